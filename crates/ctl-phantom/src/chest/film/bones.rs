//! Spine, ribs, clavicles, shoulder blades and the heads of the arms.

use super::canvas::{Canvas, Knot, bezier, smooth_edge};
use super::frame::Frame;
use super::lungs::{LungPoint, Lungs};
use super::measures::Measures;
use super::texture::fraction;

/// Height at which the first drawn posterior rib leaves the spine.
const FIRST_RIB: f64 = -0.86;
/// Half the height of a rib, as a share of the distance between ribs.
const RIB_HALF: f64 = 0.25;
/// Attenuation of a posterior rib.
const POSTERIOR: f64 = 0.15;
/// Attenuation of an anterior rib.
const ANTERIOR: f64 = 0.08;
/// How far the ribs reach beyond the lungs.
const CHEST_WALL: f64 = 0.045;
/// Attenuation of the vertebral column, and how much of it the discs lack.
const SPINE: f64 = 0.34;
const DISC: f64 = 0.10;
/// Attenuation of the bones of the shoulder girdle.
const GIRDLE: f64 = 0.26;
/// Attenuation of the shoulder blade's thin plate.
const BLADE: f64 = 0.13;

/// Adds all bones to the attenuation.
pub(crate) fn draw(
    canvas: &mut Canvas,
    frame: &Frame,
    measures: &Measures,
    lungs: &Lungs,
    places: &[LungPoint],
) {
    let cage = Cage::new(measures, frame, lungs);
    for (place, value) in places.iter().zip(&mut canvas.values) {
        *value += measures.bone * (cage.spine(place) + cage.ribs(place));
    }
    canvas.add(&girdle(frame, measures), GIRDLE * measures.bone);
    canvas.add(&blades(frame, measures), BLADE * measures.bone);
}

/// What spine and ribs are drawn from.
struct Cage {
    spacing: f64,
    /// Half width of a rib's edge, as a share of the distance between ribs.
    soft: f64,
    scoliosis: f64,
    wall: f64,
    base: f64,
}

impl Cage {
    fn new(measures: &Measures, frame: &Frame, lungs: &Lungs) -> Self {
        let spacing = measures.rib_spacing;
        Self {
            spacing,
            soft: (0.7 * frame.pixel() / spacing).max(0.07),
            scoliosis: measures.scoliosis,
            wall: lungs.lateral + CHEST_WALL,
            base: lungs.base + 0.05,
        }
    }

    /// A bright column with darker discs between the vertebrae.
    fn spine(&self, place: &LungPoint) -> f64 {
        let from_middle = (place.x - self.scoliosis * (3.0 * place.y).sin()).abs();
        let column = smooth_edge(0.08 - from_middle, 0.03);
        if column <= 0.0 {
            return 0.0;
        }
        let phase = fraction(place.y / 0.125);
        let disc = smooth_edge(0.14 - (phase - 0.5).abs(), 0.08);
        column * (SPINE - DISC * disc)
    }

    fn ribs(&self, place: &LungPoint) -> f64 {
        let distance = place.x.abs();
        // Below the diaphragm the ribs drown in the abdomen's attenuation.
        let wall = smooth_edge(self.wall - distance, 0.02)
            * smooth_edge(distance - 0.07, 0.03)
            * smooth_edge(self.base - place.y, 0.1);
        if wall <= 0.0 {
            return 0.0;
        }
        let inside = smooth_edge(place.depth + CHEST_WALL, 0.03).max(0.25);
        // From the spine a rib runs level, then down along the chest wall; its front rises
        // outwards, so that back and front cross in the outer lung.
        let level = place.y - FIRST_RIB;
        let back = (level - 0.70 * distance * distance * (0.75 + 0.25 * distance)
            + 0.06 * distance)
            / self.spacing;
        let front = (level - 0.48 + 0.55 * distance) / (1.15 * self.spacing);
        let front_ends = smooth_edge(distance - 0.30, 0.12);
        // Seen along its surface at the chest wall, a rib is denser there.
        let edge_on = 1.0 + 0.8 * (distance / self.wall).powi(6);
        wall * inside
            * (POSTERIOR * edge_on * band(back, self.soft)
                + ANTERIOR * front_ends * band(front, self.soft))
    }
}

/// One bone per unit of `phase`, with the denser cortex along its edges.
fn band(phase: f64, soft: f64) -> f64 {
    let from_middle = (fraction(phase) - 0.5).abs();
    let body = smooth_edge(RIB_HALF - from_middle, soft);
    let cortex = from_middle / RIB_HALF;
    body * (0.70 + 0.30 * (cortex * cortex).min(1.0))
}

/// How far towards the midline the shoulder blades are turned.
fn turn(measures: &Measures) -> f64 {
    0.20 * measures.scapula
}

/// Clavicles, the shoulder blades' rims and spines, and the heads of the arms.
fn girdle(frame: &Frame, measures: &Measures) -> Canvas {
    let mut layer = Canvas::new(frame.size());
    let medial = turn(measures);
    // Arms that hang down, as in AP films, leave the clavicles level.
    let level = 0.07 * measures.scapula;
    for side in [-1.0, 1.0] {
        let clavicle = [
            [0.06, -0.57],
            [0.26, -0.56],
            [0.45, -0.76 + level],
            [0.92, -0.72 + level],
        ];
        let rim = [
            [0.80 - medial, -0.62],
            [0.72 - medial, -0.40],
            [0.80 - medial, -0.15],
            [0.90 - medial, 0.02],
        ];
        let crest = [
            [0.74 - medial, -0.42],
            [0.84 - 0.8 * medial, -0.52],
            [0.92 - 0.5 * medial, -0.58],
            [1.05, -0.60],
        ];
        for (control, half_width) in [(clavicle, 0.028), (rim, 0.014), (crest, 0.018)] {
            let mirrored = control.map(|[x, y]| [side * x, y]);
            layer.stroke(frame, &bezier(mirrored, half_width));
        }
        let knot = |x: f64, y: f64, half_width| Knot {
            at: [side * x, y],
            half_width,
        };
        layer.stroke(frame, &[knot(1.0, -0.56, 0.11), knot(1.0, -0.56, 0.11)]);
        layer.stroke(frame, &[knot(1.02, -0.52, 0.075), knot(1.18, 0.15, 0.06)]);
    }
    layer
}

/// The thin plates of the shoulder blades, which veil the outer lungs in AP films.
fn blades(frame: &Frame, measures: &Measures) -> Canvas {
    let mut layer = Canvas::new(frame.size());
    let medial = turn(measures);
    for side in [-1.0, 1.0] {
        let knot = |x: f64, y: f64, half_width| Knot {
            at: [side * (x - medial), y],
            half_width,
        };
        layer.stroke(
            frame,
            &[
                knot(0.87, -0.48, 0.13),
                knot(0.88, -0.25, 0.10),
                knot(0.92, -0.02, 0.03),
            ],
        );
    }
    layer
}
