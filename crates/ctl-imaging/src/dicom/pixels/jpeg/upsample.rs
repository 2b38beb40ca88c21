//! Subsampled components at full resolution.

use super::sequential::Plane;

/// Samples of a plane for each pixel of the picture.
///
/// Samples lie centred between the pixels that share them (T.81 figure A.3 leaves it open, JFIF 1.02
/// says so), and values between them are interpolated linearly along each axis.
///
/// # Arguments
/// * `ratio`: pixels a sample, across and down.
/// * `size`: width and height of the picture.
pub(super) fn upsample(plane: &Plane, ratio: (usize, usize), size: (usize, usize)) -> Vec<u16> {
    let (width, height) = size;
    let mut values = Vec::with_capacity(width * height);
    let columns: Vec<Tap> = taps(width, plane.width, ratio.0);
    for row in taps(height, plane.height, ratio.1) {
        let first = plane
            .samples
            .get(row.first * plane.stride..)
            .unwrap_or_default();
        let second = plane
            .samples
            .get(row.second * plane.stride..)
            .unwrap_or_default();
        values.extend(columns.iter().map(|column| {
            let across =
                |line: &[u16]| column.blend(value(line, column.first), value(line, column.second));
            let scale = (column.parts * row.parts) as u32;
            ((row.blend(across(first), across(second)) + scale / 2) / scale) as u16
        }));
    }
    values
}

fn value(line: &[u16], at: usize) -> u32 {
    line.get(at).copied().unwrap_or_default().into()
}

/// Two neighbours and their weights in parts of a whole.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    /// Weight of the second.
    weight: usize,
    parts: usize,
}

impl Tap {
    fn blend(self, first: u32, second: u32) -> u32 {
        first * (self.parts - self.weight) as u32 + second * self.weight as u32
    }
}

/// Where `count` pixels lie between `samples`, `ratio` pixels a sample.
fn taps(count: usize, samples: usize, ratio: usize) -> Vec<Tap> {
    let ratio = ratio.max(1);
    let parts = 2 * ratio;
    (0..count)
        .map(|pixel| {
            // In halves of a pixel: its centre is 2·pixel + 1, that of sample s is ratio·(2s + 1).
            let place = (2 * pixel + 1)
                .saturating_sub(ratio)
                .min((samples - 1) * parts);
            let first = place / parts;
            Tap {
                first,
                second: (first + 1).min(samples - 1),
                weight: place % parts,
                parts,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangle_weights() {
        let half: Vec<(usize, usize)> = taps(6, 3, 2)
            .iter()
            .map(|tap| (tap.first, tap.weight))
            .collect();
        assert_eq!(half, [(0, 0), (0, 1), (0, 3), (1, 1), (1, 3), (2, 0)]);
        let same: Vec<(usize, usize)> = taps(3, 3, 1)
            .iter()
            .map(|tap| (tap.first, tap.weight))
            .collect();
        assert_eq!(same, [(0, 0), (1, 0), (2, 0)]);
    }
}
