//! Luminance and chrominance to colours (PS3.3 section C.7.6.3.1.2).

/// Turns `[Y, Cb, Cr]` into `[R, G, B]` in place.
///
/// ```text
/// R = Y + 1.402·Cr'
/// G = Y − 0.114·1.772/0.587·Cb' − 0.299·1.402/0.587·Cr'
/// B = Y + 1.772·Cb'
/// ```
///
/// with `Cb' = Cb − 2^(bits − 1)`, the inverse of ITU-R BT.601's equations at full range, rounded
/// to the nearest integer and clipped to `[0, 2^bits − 1]`.
pub(super) fn to_rgb(pixel: [f32; 3], bits: u32) -> [f32; 3] {
    const GREEN_BLUE: f32 = (-0.114 * 1.772 / 0.587) as f32;
    const GREEN_RED: f32 = (-0.299 * 1.402 / 0.587) as f32;
    let middle = (1_u64 << (bits - 1)) as f32;
    let top = 2.0 * middle - 1.0;
    let [y, blue, red] = pixel;
    let (blue, red) = (blue - middle, red - middle);
    [
        y + 1.402 * red,
        y + GREEN_BLUE * blue + GREEN_RED * red,
        y + 1.772 * blue,
    ]
    .map(|value| (value + 0.5).floor().clamp(0.0, top))
}

/// Gives both pixels of `[Y0, Y1, Cb, Cr]` their own colours.
pub(super) fn expand_422<T: Copy>(values: &[T]) -> Vec<T> {
    values
        .as_chunks()
        .0
        .iter()
        .flat_map(|&[first, second, blue, red]| [first, blue, red, second, blue, red])
        .collect()
}

/// Values of planes one after the other, as pixels.
pub(super) fn interleave<T: Copy>(planes: &[T], samples: usize) -> Vec<T> {
    let pixels = planes.len() / samples;
    (0..pixels)
        .flat_map(|pixel| (0..samples).map(move |sample| planes[sample * pixels + pixel]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries() {
        // The Y, Cb, Cr of pure red, green and blue at 8 bits.
        let rgb = |pixel, bits| to_rgb(pixel, bits).map(|value| value as u32);
        assert_eq!(rgb([76.0, 85.0, 255.0], 8), [254, 0, 0]);
        assert_eq!(rgb([150.0, 44.0, 21.0], 8), [0, 255, 1]);
        assert_eq!(rgb([29.0, 255.0, 107.0], 8), [0, 0, 254]);
        assert_eq!(rgb([200.0, 128.0, 128.0], 8), [200; 3]);
        assert_eq!(rgb([3000.0, 2048.0, 2048.0], 12), [3000; 3]);
    }

    #[test]
    fn order_of_samples() {
        assert_eq!(expand_422(&[1, 2, 3, 4]), [1, 3, 4, 2, 3, 4]);
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6], 3), [1, 3, 5, 2, 4, 6]);
    }
}
