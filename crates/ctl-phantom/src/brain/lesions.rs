//! Lesions of the white matter: how much, where, and how gathered.

use std::f32::consts::{PI, TAU};

use rand::RngExt;

use super::deep::Deep;
use crate::body::Scene;
use crate::model::mechanism::logistic;

/// Lesions of one head.
const COUNT: usize = 12;
/// Area in square millimetres at a load of 0, its growth with the load, and the largest.
const AREA: (f64, f64, f64) = (70.0, 0.72, 3200.0);
/// Slope and centre of the signal's change over the load.
const CONSPICUITY: (f64, f64) = (1.3, 0.7);
/// How steeply the shares of a gathered load fall from lesion to lesion, and of a scattered one.
const FALL: (f64, f64) = (2.4, 0.06);
/// Share of the lesions that lie at the ventricles.
const PERIVENTRICULAR: f32 = 0.6;
/// The change of signal above which a pixel is of the lesion.
pub(super) const VISIBLE: f32 = 0.4;

/// An ellipsoid with an uneven edge.
#[derive(Clone, Copy, Debug)]
struct Lesion {
    centre: [f32; 3],
    radius: f32,
    /// Semi-axes relative to the radius: along, across.
    stretch: f32,
    cosine: f32,
    sine: f32,
    reach: f32,
}

/// The lesions of a head.
#[derive(Clone, Debug)]
pub(super) struct Lesions {
    each: Vec<Lesion>,
    /// Share of the full change of signal, 0 to 1.
    pub(super) conspicuity: f32,
    /// Width of a lesion's edge in millimetres beside that of a pixel.
    softness: f32,
}

impl Lesions {
    pub(super) fn new(scene: &Scene<'_>, deep: Deep, level: f32) -> Self {
        let area = (AREA.0 * (AREA.1 * scene.load).exp()).min(AREA.2);
        let scatter = logistic(1.2 * scene.spread);
        let fall = FALL.0 * (1.0 - scatter) + FALL.1;
        let shares: Vec<f64> = (0..COUNT).map(|k| (-fall * k as f64).exp()).collect();
        let total: f64 = shares.iter().sum();
        let mut rng = scene.key.stream("lesions");
        let lesions = shares.iter().map(|share| {
            let radius = (area * share / total / f64::from(PI)).sqrt() as f32;
            place(&mut rng, deep, level, radius)
        });
        Self {
            each: lesions.collect(),
            conspicuity: logistic(CONSPICUITY.0 * (scene.load - CONSPICUITY.1)) as f32,
            softness: 0.6 + 2.0 * scatter as f32,
        }
    }

    /// Share of lesion at a point, 0 to 1.
    ///
    /// # Arguments
    /// - `pixel`: millimetres of a pixel.
    /// - `uneven`: a random field of standard deviation 1, which dents the edges.
    pub(super) fn share(&self, p: [f32; 3], pixel: f32, uneven: f32) -> f32 {
        let edge = pixel + self.softness;
        let inside = |lesion: &Lesion| lesion.depth(p, edge, uneven) / edge + 0.5;
        let deepest = self.each.iter().map(inside).fold(0.0, f32::max);
        deepest.min(1.0)
    }
}

impl Lesion {
    /// Depth below the lesion's edge in millimetres, negative outside.
    fn depth(&self, p: [f32; 3], edge: f32, uneven: f32) -> f32 {
        let [dx, dy, dz]: [f32; 3] = std::array::from_fn(|i| p[i] - self.centre[i]);
        let far = self.reach + edge;
        if dx.abs() > far || dy.abs() > far {
            return f32::NEG_INFINITY;
        }
        let along = (self.cosine * dx + self.sine * dy) / self.stretch;
        let across = (self.cosine * dy - self.sine * dx) * self.stretch;
        let up = dz * self.radius / (self.radius + 6.0);
        let distance = (along * along + across * across + up * up).sqrt();
        self.radius * (1.0 + 0.14 * uneven) - distance
    }
}

fn place(rng: &mut rand_chacha::ChaCha8Rng, deep: Deep, level: f32, radius: f32) -> Lesion {
    let side = if rng.random::<bool>() { 1.0 } else { -1.0 };
    let (tube, along) = (rng.random_range(0..4_usize), rng.random::<f32>());
    let (turn, lean) = (TAU * rng.random::<f32>(), rng.random_range(-0.7..0.7_f32));
    let (x, y) = if rng.random::<f32>() < PERIVENTRICULAR {
        let (axis, width) = deep.beside(tube, along);
        let off = width + 2.0 + 0.7 * radius;
        (axis[0] + off * lean.cos(), axis[1] + off * lean.sin())
    } else {
        (22.0 + 16.0 * along, -42.0 + 84.0 * turn / TAU)
    };
    let stretch = rng.random_range(1.0..1.35_f32);
    Lesion {
        centre: [side * x, y, level + rng.random_range(-2.0..2.0_f32)],
        radius,
        stretch,
        cosine: turn.cos(),
        sine: turn.sin(),
        reach: 1.5 * radius * stretch,
    }
}
