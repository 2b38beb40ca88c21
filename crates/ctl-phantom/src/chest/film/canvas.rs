//! A grid of values and the curves that are drawn on it.

use super::frame::Frame;

/// One value a pixel, row by row.
pub(crate) struct Canvas {
    pub(crate) size: usize,
    pub(crate) values: Vec<f64>,
}

/// A point of a curve, in the patient's coordinates, with the curve's half width there.
#[derive(Clone, Copy)]
pub(crate) struct Knot {
    pub(crate) at: [f64; 2],
    pub(crate) half_width: f64,
}

impl Canvas {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            values: vec![0.0; size * size],
        }
    }

    /// Adds another canvas of the same size, times a factor.
    pub(crate) fn add(&mut self, other: &Self, factor: f64) {
        for (value, other) in self.values.iter_mut().zip(&other.values) {
            *value += factor * other;
        }
    }

    /// Draws a curve: each pixel becomes at least the share of it that the curve covers.
    ///
    /// A curve thinner than a pixel covers less of it, so that its total is the same at any size.
    pub(crate) fn stroke(&mut self, frame: &Frame, knots: &[Knot]) {
        let scale = 1.0 / frame.pixel();
        let knots: Vec<Knot> = knots
            .iter()
            .map(|knot| Knot {
                at: frame.to_pixels(knot.at),
                half_width: knot.half_width * scale,
            })
            .collect();
        for pair in knots.windows(2) {
            self.segment(pair[0], pair[1]);
        }
    }

    fn segment(&mut self, from: Knot, to: Knot) {
        let reach = from.half_width.max(to.half_width) + 1.0;
        let columns = self.span(from.at[0], to.at[0], reach);
        for row in self.span(from.at[1], to.at[1], reach) {
            for column in columns.clone() {
                let point = [column as f64 + 0.5, row as f64 + 0.5];
                let covered = coverage(point, from, to);
                let value = &mut self.values[row * self.size + column];
                *value = value.max(covered);
            }
        }
    }

    /// Pixels between two coordinates, widened by `reach` and cut to the canvas.
    fn span(&self, a: f64, b: f64, reach: f64) -> std::ops::Range<usize> {
        let limit = self.size as f64;
        let first = (a.min(b) - reach).floor().clamp(0.0, limit);
        let last = (a.max(b) + reach).ceil().clamp(0.0, limit);
        first as usize..last as usize
    }
}

/// Share of the pixel at `point` that the segment covers.
fn coverage(point: [f64; 2], from: Knot, to: Knot) -> f64 {
    let along = [to.at[0] - from.at[0], to.at[1] - from.at[1]];
    let offset = [point[0] - from.at[0], point[1] - from.at[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let t = if length > 0.0 {
        ((offset[0] * along[0] + offset[1] * along[1]) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let across = [offset[0] - t * along[0], offset[1] - t * along[1]];
    let distance = (across[0] * across[0] + across[1] * across[1]).sqrt();
    let half_width = from.half_width + t * (to.half_width - from.half_width);
    (half_width.max(0.5) + 0.5 - distance).clamp(0.0, 1.0) * (2.0 * half_width).min(1.0)
}

/// A cubic Bézier curve of even width as knots.
pub(crate) fn bezier(control: [[f64; 2]; 4], half_width: f64) -> Vec<Knot> {
    const STEPS: usize = 24;
    (0..=STEPS)
        .map(|step| {
            let t = step as f64 / STEPS as f64;
            let s = 1.0 - t;
            let weights = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
            let at = [0, 1].map(|axis| {
                weights
                    .iter()
                    .zip(&control)
                    .map(|(weight, point)| weight * point[axis])
                    .sum()
            });
            Knot { at, half_width }
        })
        .collect()
}

/// 0 below -half, 1 above it, smooth in between.
pub(crate) fn smooth_edge(distance: f64, half: f64) -> f64 {
    let t = ((distance + half) / (2.0 * half)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::{Canvas, Knot, bezier, smooth_edge};
    use crate::chest::film::frame::Frame;
    use crate::chest::film::measures::Measures;

    #[test]
    fn a_stroke_covers_its_area_at_any_size() {
        let measures = Measures {
            zoom: 1.0,
            ..Measures::default()
        };
        for (size, half_width) in [(32, 0.01), (32, 0.1), (128, 0.01)] {
            let frame = Frame::new(&measures, size);
            let mut canvas = Canvas::new(size);
            let knot = |x| Knot {
                at: [x, 0.0],
                half_width,
            };
            canvas.stroke(&frame, &[knot(-2.0), knot(2.0)]);
            let area = canvas.values.iter().sum::<f64>() * frame.pixel() * frame.pixel();
            let exact = 2.0 * 2.0 * half_width;
            assert!(
                (area - exact).abs() < 0.05 * exact,
                "{size}: {area} against {exact}"
            );
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "a curve's ends are exact")]
    fn bezier_meets_its_ends() {
        let knots = bezier([[0.0, 1.0], [5.0, 5.0], [-5.0, 0.0], [2.0, 3.0]], 0.1);
        assert_eq!(knots[0].at, [0.0, 1.0]);
        assert_eq!(knots[24].at, [2.0, 3.0]);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the polynomial is exact at these places")]
    fn smooth_edge_is_a_step_with_a_ramp() {
        assert_eq!(smooth_edge(-0.2, 0.1), 0.0);
        assert_eq!(smooth_edge(0.0, 0.1), 0.5);
        assert_eq!(smooth_edge(0.2, 0.1), 1.0);
    }
}
