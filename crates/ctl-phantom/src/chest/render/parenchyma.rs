//! What fills the lungs: vessels, the fine texture and the opacities of the disease.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::canvas::{Canvas, Knot};
use super::frame::Frame;
use super::lungs::{LungPoint, Lungs};
use super::texture::cloud;
use crate::{ChestSample, Opacity};

/// Vessels that leave each hilum.
const VESSELS: usize = 13;
/// Straight pieces of a vessel.
const PIECES: usize = 7;
/// Attenuation of a vessel.
const VESSEL_CONTRAST: f64 = 0.15;
/// Standard deviations beyond which an opacity is not drawn.
const OPACITY_REACH: f64 = 3.0;

pub(crate) fn draw(
    canvas: &mut Canvas,
    frame: &Frame,
    sample: &ChestSample,
    lungs: &Lungs,
    places: &[LungPoint],
) {
    let key = sample.noise.texture;
    let vessels = vessels(frame, key);
    let opacities: Vec<Patch> = sample
        .opacities
        .iter()
        .map(|opacity| Patch::new(opacity, lungs))
        .collect();
    let vessel_contrast = VESSEL_CONTRAST * sample.anatomy.vessels;
    for (index, (x, y)) in frame.points().enumerate() {
        let place = &places[index];
        if place.coverage <= 0.0 {
            continue;
        }
        let healthy = vessel_contrast * vessels.values[index]
            + 0.09 * cloud(key, x, y, 2.5, 2)
            + 0.07 * cloud(key ^ 0xA5, x, y, 14.0, 3);
        let disease: f64 = opacities.iter().map(|patch| patch.at(x, y, key)).sum();
        canvas.values[index] += place.coverage * (healthy + disease);
    }
}

/// An opacity in its place.
struct Patch {
    centre: [f64; 2],
    axes: [f64; 2],
    sin_cos: (f64, f64),
    contrast: f64,
}

impl Patch {
    fn new(opacity: &Opacity, lungs: &Lungs) -> Self {
        let stretch = opacity.elongation.sqrt();
        Self {
            centre: lungs.place(opacity),
            axes: [opacity.radius * stretch, opacity.radius / stretch],
            sin_cos: opacity.angle.sin_cos(),
            contrast: opacity.contrast,
        }
    }

    /// A Gaussian with clouds in it.
    fn at(&self, x: f64, y: f64, key: u64) -> f64 {
        let (sin, cos) = self.sin_cos;
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let u = (cos * dx + sin * dy) / self.axes[0];
        let v = (cos * dy - sin * dx) / self.axes[1];
        let squared = u * u + v * v;
        if squared > OPACITY_REACH * OPACITY_REACH {
            return 0.0;
        }
        let clouds = 1.0 + 0.5 * cloud(key ^ 0x5A, x, y, 7.0, 3);
        self.contrast * (-0.5 * squared).exp() * clouds
    }
}

/// Trees of vessels from both hila, as coverage.
fn vessels(frame: &Frame, key: u64) -> Canvas {
    let mut rng = ChaCha8Rng::seed_from_u64(key);
    let mut layer = Canvas::new(frame.size());
    for side in [-1.0, 1.0] {
        for index in 0..VESSELS {
            // From straight down along the heart over outwards to straight up.
            let share = (index as f64 + rng.random::<f64>()) / VESSELS as f64;
            let direction = 1.45 - 2.75 * share;
            let knots = vessel(&mut rng, side, [0.17, -0.03], direction, 0.015);
            let fork = knots[2 + index % 3];
            layer.stroke(frame, &knots);
            let turned = direction + if index % 2 == 0 { 0.5 } else { -0.5 };
            let from = [side * fork.at[0], fork.at[1]];
            layer.stroke(
                frame,
                &vessel(&mut rng, side, from, turned, 0.6 * fork.half_width),
            );
        }
    }
    layer
}

/// One vessel, thinning as it goes, from a point that is given for the film's right side.
fn vessel(
    rng: &mut impl Rng,
    side: f64,
    from: [f64; 2],
    direction: f64,
    half_width: f64,
) -> Vec<Knot> {
    let length = 0.35 + 0.4 * rng.random::<f64>();
    let (mut at, mut heading) = (from, direction);
    (0..=PIECES)
        .map(|piece| {
            let knot = Knot {
                at: [side * at[0], at[1]],
                half_width: half_width * (1.0 - 0.8 * piece as f64 / PIECES as f64),
            };
            heading += 0.7 * (rng.random::<f64>() - 0.5);
            let step = length / PIECES as f64;
            at = [at[0] + step * heading.cos(), at[1] + step * heading.sin()];
            knot
        })
        .collect()
}
