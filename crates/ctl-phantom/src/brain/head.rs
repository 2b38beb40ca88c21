//! Where the head lies in the image, and its hull.

use rand::RngExt;

use super::measure;
use crate::body::Scene;

/// Semi-axes of the head in millimetres, at a size of 1.
const AXES: [f32; 3] = [74.0, 94.0, 96.0];
/// How much wider the head is at its back.
const EGG: f32 = 0.07;
/// Sizes of the head that can be drawn.
const SIZES: [f64; 2] = [0.8, 1.1];
/// Heights of the slice above the foramen's plane, in millimetres.
const LEVELS: [f32; 2] = [4.0, 20.0];
/// Greatest turn in radians and displacement in millimetres.
const TURN: f32 = 0.1;
const AWAY: f32 = 3.0;

/// Position and size of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    axes: [f32; 3],
    cosine: f32,
    sine: f32,
    centre: [f32; 2],
    /// Height of the slice.
    pub(super) level: f32,
    /// Thickness of scalp and skull in millimetres.
    pub(super) scalp: f32,
    pub(super) skull: f32,
}

impl Head {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let mut rng = scene.key.stream("pose");
        let mut within = |range: [f32; 2]| range[0] + (range[1] - range[0]) * rng.random::<f32>();
        let turn = within([-TURN, TURN]);
        let size = scene.measures[measure::HEAD].clamp(SIZES[0], SIZES[1]) as f32;
        Self {
            axes: AXES.map(|axis| axis * size),
            cosine: turn.cos(),
            sine: turn.sin(),
            centre: [within([-AWAY, AWAY]), within([-AWAY, AWAY])],
            level: within(LEVELS),
            scalp: within([4.5, 7.5]),
            skull: within([5.5, 8.0]),
        }
    }

    /// From millimetres in the image to the head's frame.
    pub(super) fn place(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        [
            self.cosine * x + self.sine * y,
            self.cosine * y - self.sine * x,
        ]
    }

    /// Direction of a row of the image in the head's frame.
    pub(super) fn along(&self) -> [f32; 2] {
        [self.cosine, -self.sine]
    }

    /// Depth below the skin in millimetres, to first order.
    pub(super) fn depth(&self, [x, y, z]: [f32; 3]) -> f32 {
        let [_, b, c] = self.axes;
        let a = self.axes[0] * (1.0 + EGG * (y / b).clamp(-1.0, 1.0));
        let (u, v, w) = (x / a, y / b, z / c);
        let radius = (u * u + v * v + w * w).sqrt().max(1e-3);
        let slope = ((u / a).powi(2) + (v / b).powi(2)).sqrt() / radius;
        // At the centre the slope vanishes; there the smaller axis says how deep it is.
        (1.0 - radius) / slope.max(1.0 / b)
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn depth_grows_inwards_and_vanishes_at_the_skin() {
        let head = Head {
            axes: [70.0, 90.0, 90.0],
            cosine: 1.0,
            sine: 0.0,
            centre: [0.0, 0.0],
            level: 0.0,
            scalp: 5.0,
            skull: 6.0,
        };
        assert!(head.depth([0.0, -90.0, 0.0]).abs() < 1e-3);
        assert!((head.depth([60.0, 0.0, 0.0]) - 10.0).abs() < 0.5);
        assert!(head.depth([0.0, 100.0, 0.0]) < -9.0);
        assert!(head.depth([0.0, 0.0, 0.0]) > 60.0);
    }
}
