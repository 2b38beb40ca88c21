//! Ventricles, deep grey matter, and the fissures that no fold field draws.

use super::measure;
use crate::body::Scene;

/// Factors of the ventricles' width that can be drawn.
const WIDTHS: [f64; 2] = [0.35, 2.4];

/// A piece of a tube between two points, with a radius at either end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tube {
    from: [f32; 3],
    to: [f32; 3],
    radii: [f32; 2],
}

const fn tube(from: [f32; 3], to: [f32; 3], radii: [f32; 2]) -> Tube {
    Tube { from, to, radii }
}

impl Tube {
    /// Distance to the axis and the radius at the nearest point of it.
    fn nearest(&self, p: [f32; 3]) -> (f32, f32) {
        let along: [f32; 3] = std::array::from_fn(|i| self.to[i] - self.from[i]);
        let off: [f32; 3] = std::array::from_fn(|i| p[i] - self.from[i]);
        let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let t = (dot(off, along) / dot(along, along)).clamp(0.0, 1.0);
        let rest: [f32; 3] = std::array::from_fn(|i| off[i] - t * along[i]);
        let radius = self.radii[0] + (self.radii[1] - self.radii[0]) * t;
        (dot(rest, rest).sqrt(), radius)
    }

    /// A point on the axis, and the radius there.
    fn point(&self, t: f32) -> ([f32; 3], f32) {
        let point = std::array::from_fn(|i| self.from[i] + t * (self.to[i] - self.from[i]));
        (point, self.radii[0] + (self.radii[1] - self.radii[0]) * t)
    }
}

/// A lateral ventricle: frontal horn, body, atrium, occipital and temporal horn.
const LATERAL: [Tube; 5] = [
    tube([13.0, -40.0, 6.0], [5.5, -16.0, 9.0], [2.6, 4.2]),
    tube([5.5, -16.0, 9.0], [10.0, 10.0, 20.0], [4.2, 4.6]),
    tube([10.0, 10.0, 20.0], [23.0, 32.0, 9.0], [4.6, 5.8]),
    tube([23.0, 32.0, 9.0], [20.0, 55.0, 3.0], [5.8, 2.2]),
    tube([23.0, 32.0, 9.0], [32.0, 6.0, -16.0], [5.0, 2.0]),
];
/// The third ventricle, in the middle.
const THIRD: Tube = tube([0.0, -9.0, 2.0], [0.0, 11.0, 5.0], [1.3, 1.6]);
/// The Sylvian fissure and the cleft over the insula.
const SYLVIAN: [Tube; 2] = [
    tube([70.0, -16.0, 2.0], [38.0, -3.0, 4.0], [2.0, 1.1]),
    tube([37.0, -20.0, 3.0], [36.0, 15.0, 6.0], [0.9, 0.9]),
];
/// How much flatter the fissure is along the body's axis than across.
const SYLVIAN_HEIGHT: f32 = 0.12;

/// Deep grey nuclei: centre, semi-axes, and how far the centre moves outwards towards the back.
const NUCLEI: [([f32; 3], [f32; 3], f32); 4] = [
    ([12.5, -22.0, 10.0], [4.5, 9.5, 10.0], -0.2),
    ([26.5, -5.0, 4.0], [5.5, 17.0, 12.0], 0.18),
    ([19.0, 0.0, 2.0], [4.5, 9.0, 8.0], 0.3),
    ([10.5, 12.0, 6.0], [8.0, 13.5, 11.0], 0.25),
];

/// The deep structures of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deep {
    /// Factor of the ventricles' width.
    pub(super) width: f32,
    /// Phase of the midline's course.
    midline: f32,
}

impl Deep {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let width = scene.measures[measure::VENTRICLES].clamp(WIDTHS[0], WIDTHS[1]);
        Self {
            width: width as f32,
            midline: scene.key.uniform("midline") as f32 * std::f32::consts::TAU,
        }
    }

    /// Depth within the ventricles, negative outside.
    pub(super) fn ventricles(self, [x, y, z]: [f32; 3]) -> f32 {
        let p = [x.abs(), y, z];
        let inside = |tube: &Tube| {
            let (distance, radius) = tube.nearest(p);
            radius * self.width - distance
        };
        let lateral = LATERAL.iter().map(inside);
        lateral.fold(inside(&THIRD), f32::max)
    }

    /// A point beside a lateral ventricle: on the axis of its tube, with the radius there.
    pub(super) fn beside(self, tube: usize, t: f32) -> ([f32; 3], f32) {
        let (point, radius) = LATERAL[tube % (LATERAL.len() - 1)].point(t);
        (point, radius * self.width)
    }

    /// Depth within the nuclei, negative outside.
    pub(super) fn nuclei(self, [x, y, z]: [f32; 3]) -> f32 {
        // Wide ventricles push the nuclei outwards.
        let x = x.abs() - 2.5 * (self.width - 1.0);
        let inside = |(centre, axes, lean): &([f32; 3], [f32; 3], f32)| {
            let (dx, dy) = (x - centre[0] - lean * (y - centre[1]), y - centre[1]);
            let dz = z - centre[2];
            let (u, v, w) = (dx / axes[0], dy / axes[1], dz / axes[2]);
            let radius = (u * u + v * v + w * w).sqrt().max(1e-3);
            let slope = ((u / axes[0]).powi(2) + (v / axes[1]).powi(2)).sqrt() / radius;
            (1.0 - radius) / slope.max(1.0 / axes[1])
        };
        NUCLEI.iter().map(inside).fold(f32::NEG_INFINITY, f32::max)
    }

    /// Distance to the Sylvian fissure, negative within.
    pub(super) fn sylvian([x, y, z]: [f32; 3]) -> f32 {
        let outside = |tube: &Tube| {
            let height = (tube.from[2] - z) * (1.0 - SYLVIAN_HEIGHT);
            let (distance, radius) = tube.nearest([x.abs(), y, z + height]);
            distance - radius
        };
        outside(&SYLVIAN[0]).min(outside(&SYLVIAN[1]))
    }

    /// Distance to the fissure between the hemispheres, which the corpus callosum interrupts.
    pub(super) fn midline(self, [x, y, z]: [f32; 3]) -> f32 {
        let course = 0.9 * (y / 13.0 + self.midline).sin();
        // Above the ventricles the fissure reaches all the way.
        let bridge = 37.0 - 0.9 * (z - 18.0).max(0.0);
        let within = (bridge - y.abs()).max(0.0);
        (x - course).abs() + within
    }
}
