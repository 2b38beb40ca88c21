//! Affine maps of the plane of an image.

/// A rotation and a change of size about the centre of an image, then a shift.
///
/// Places are in pixels, the first at 0; what comes from outside repeats the border.
pub(crate) struct Affine {
    centre: [f64; 2],
    shift: [f64; 2],
    /// From places of the moved image, about its centre, to places of the image.
    inverse: [[f64; 2]; 2],
}

impl Affine {
    /// The map of images `[H, W]`.
    ///
    /// # Arguments
    /// - `angle`: in radians, from the axis of rows towards that of columns.
    /// - `scale`: factor of size, positive.
    /// - `shift`: in pixels, down and to the right.
    pub(crate) fn new(sides: [usize; 2], (angle, scale, shift): (f64, f64, [f64; 2])) -> Self {
        let (sine, cosine) = (angle.sin() / scale, angle.cos() / scale);
        Self {
            centre: sides.map(|side| (side as f64 - 1.0) / 2.0),
            shift,
            inverse: [[cosine, sine], [-sine, cosine]],
        }
    }

    /// Where a pixel of the moved image comes from, within the image.
    fn source(&self, place: [usize; 2], sides: [usize; 2]) -> [f64; 2] {
        let from = |axis: usize| place[axis] as f64 - self.centre[axis] - self.shift[axis];
        let (y, x) = (from(0), from(1));
        std::array::from_fn(|axis| {
            let [a, b] = self.inverse[axis];
            let source = self.centre[axis] + a * y + b * x;
            source.clamp(0.0, sides[axis] as f64 - 1.0)
        })
    }

    fn moved<T>(&self, sides: [usize; 2], value: impl Fn([f64; 2]) -> T) -> Vec<T> {
        let [height, width] = sides;
        let places = (0..height).flat_map(|y| (0..width).map(move |x| [y, x]));
        places
            .map(|place| value(self.source(place, sides)))
            .collect()
    }

    /// A plane `[H, W]`, interpolated between its four nearest pixels.
    pub(crate) fn bilinear(&self, plane: &[f32], sides: [usize; 2]) -> Vec<f32> {
        let [height, width] = sides;
        self.moved(sides, |[y, x]| {
            let (top, left) = (y.floor() as usize, x.floor() as usize);
            let (down, right) = ((y - y.floor()) as f32, (x - x.floor()) as f32);
            let (bottom, other) = ((top + 1).min(height - 1), (left + 1).min(width - 1));
            let row = |row: usize| {
                let (a, b) = (plane[row * width + left], plane[row * width + other]);
                a + right * (b - a)
            };
            let (above, below) = (row(top), row(bottom));
            above + down * (below - above)
        })
    }

    /// A plane `[H, W]`, each pixel from the nearest one.
    pub(crate) fn nearest<T: Copy>(&self, plane: &[T], sides: [usize; 2]) -> Vec<T> {
        self.moved(sides, |[y, x]| {
            plane[y.round() as usize * sides[1] + x.round() as usize]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANE: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn half_a_pixel_to_the_right_and_a_whole_one_down() {
        let moved = Affine::new([2, 3], (0.0, 1.0, [1.0, 0.5])).bilinear(&PLANE, [2, 3]);
        assert_eq!(moved, [1.0, 1.5, 2.5, 1.0, 1.5, 2.5]);
        let whole = Affine::new([2, 3], (0.0, 1.0, [0.0, -1.0])).nearest(&PLANE, [2, 3]);
        assert_eq!(whole, [2.0, 3.0, 3.0, 5.0, 6.0, 6.0]);
    }

    /// A quarter turn takes rows to columns: what stood at (y, x) about the centre stands at (−x, y).
    #[test]
    fn a_quarter_turn_by_hand() {
        let square: Vec<f32> = (1u8..=9).map(f32::from).collect();
        let turn = Affine::new([3, 3], (std::f64::consts::FRAC_PI_2, 1.0, [0.0; 2]));
        let expected = [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0];
        assert_eq!(turn.nearest(&square, [3, 3]), expected);
        for (found, expected) in turn.bilinear(&square, [3, 3]).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    /// Twice the size about the centre of three columns: the outer ones come from halfway.
    #[test]
    fn twice_the_size_by_hand() {
        let row = [0.0, 1.0, 4.0];
        let grown = Affine::new([1, 3], (0.0, 2.0, [0.0; 2])).bilinear(&row, [1, 3]);
        assert_eq!(grown, [0.5, 1.0, 2.5]);
    }
}
