//! What fills healthy lungs: vessels and a fine texture.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::canvas::{Canvas, Knot};
use super::frame::Frame;
use super::lungs::LungPoint;
use super::measures::Measures;
use super::texture::cloud;

/// Vessels that leave each hilum.
const VESSELS: usize = 13;
/// Straight pieces of a vessel.
const PIECES: usize = 7;
/// Attenuation of a vessel.
const VESSEL_CONTRAST: f64 = 0.17;

/// Adds vessels and texture to the attenuation.
pub(crate) fn draw(
    canvas: &mut Canvas,
    frame: &Frame,
    measures: &Measures,
    key: u64,
    places: &[LungPoint],
) {
    let vessels = vessels(frame, key);
    let contrast = VESSEL_CONTRAST * measures.vessels;
    let pixels = places.iter().zip(&vessels.values).zip(&mut canvas.values);
    for ((place, vessel), value) in pixels {
        if place.coverage <= 0.0 {
            continue;
        }
        let texture = 0.05 * cloud(key, place.x, place.y, 2.5, 2)
            + 0.05 * cloud(key ^ 0xA5, place.x, place.y, 14.0, 2);
        *value += place.coverage * (contrast * vessel + texture);
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
            let branch = vessel(&mut rng, side, from, turned, 0.6 * fork.half_width);
            layer.stroke(frame, &branch);
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
