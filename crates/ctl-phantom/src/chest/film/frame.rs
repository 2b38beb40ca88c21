//! Pixels and the patient's own coordinates.

use super::measures::Measures;

/// Maps between pixels and the patient.
///
/// The patient's coordinates are in half image widths: x to the right of the film, which is the
/// patient's left, y downwards, 0 at the film's centre when the patient stands straight.
pub(crate) struct Frame {
    size: usize,
    cos: f64,
    sin: f64,
    shift: [f64; 2],
    zoom: f64,
}

impl Frame {
    pub(crate) fn new(measures: &Measures, size: usize) -> Self {
        let (sin, cos) = measures.rotation.sin_cos();
        Self {
            size,
            cos,
            sin,
            shift: [measures.shift_x, measures.shift_y],
            zoom: measures.zoom,
        }
    }

    /// Height and width in pixels.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Width of a pixel in the patient's coordinates.
    pub(crate) fn pixel(&self) -> f64 {
        2.0 / (self.size as f64 * self.zoom)
    }

    /// The patient's coordinates at every pixel's centre, row by row.
    pub(crate) fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let scale = 2.0 / self.size as f64;
        (0..self.size * self.size).map(move |index| {
            let u = ((index % self.size) as f64 + 0.5) * scale - 1.0 - self.shift[0];
            let v = ((index / self.size) as f64 + 0.5) * scale - 1.0 - self.shift[1];
            let x = (self.cos * u + self.sin * v) / self.zoom;
            let y = (self.cos * v - self.sin * u) / self.zoom;
            (x, y)
        })
    }

    /// Where a point of the patient lies, in pixels from the film's upper left corner.
    pub(crate) fn to_pixels(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let u = self.zoom * (self.cos * x - self.sin * y) + self.shift[0];
        let v = self.zoom * (self.cos * y + self.sin * x) + self.shift[1];
        let half = self.size as f64 / 2.0;
        [(u + 1.0) * half, (v + 1.0) * half]
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Measures};

    #[test]
    fn points_and_pixels_are_inverse() {
        let measures = Measures {
            rotation: 0.1,
            shift_x: 0.05,
            shift_y: -0.2,
            zoom: 1.1,
            ..Measures::default()
        };
        let frame = Frame::new(&measures, 16);
        for (index, (x, y)) in frame.points().enumerate() {
            let [column, row] = frame.to_pixels([x, y]);
            assert!((column - (index % 16) as f64 - 0.5).abs() < 1e-12);
            assert!((row - (index / 16) as f64 - 0.5).abs() < 1e-12);
        }
    }
}
