//! Spine, ribs, clavicles, scapulae and the heads of the arms.

use super::canvas::{Canvas, Knot, bezier, smooth_edge};
use super::frame::Frame;
use super::lungs::{LungPoint, Lungs};
use crate::ChestAnatomy;

/// Height at which the first drawn posterior rib leaves the spine.
const FIRST_RIB: f64 = -0.86;
/// Half the height of a rib, as a share of the distance between ribs.
const RIB_HALF: f64 = 0.26;
/// Attenuation of a posterior rib.
const POSTERIOR: f64 = 0.17;
/// Attenuation of an anterior rib.
const ANTERIOR: f64 = 0.10;
/// How far the ribs reach beyond the lungs.
const CHEST_WALL: f64 = 0.045;

pub(crate) fn draw(
    canvas: &mut Canvas,
    frame: &Frame,
    anatomy: &ChestAnatomy,
    lungs: &Lungs,
    places: &[LungPoint],
) {
    let spacing = anatomy.rib_spacing;
    let soft = (0.7 * frame.pixel() / spacing).max(0.07);
    let pixels = frame.points().zip(places).zip(&mut canvas.values);
    for (((x, y), place), value) in pixels {
        *value += spine(x, y) + anatomy.rib_contrast * ribs(x, y, place, lungs, spacing, soft);
    }
    let shoulders = shoulders(frame);
    canvas.add(&shoulders, 0.26 * anatomy.rib_contrast);
}

/// A bright column with darker discs between the vertebrae.
fn spine(x: f64, y: f64) -> f64 {
    let column = smooth_edge(0.085 - x.abs(), 0.03);
    let phase = (y / 0.125).rem_euclid(1.0);
    let disc = smooth_edge(0.14 - (phase - 0.5).abs(), 0.08);
    column * (0.30 - 0.12 * disc)
}

fn ribs(x: f64, y: f64, place: &LungPoint, lungs: &Lungs, spacing: f64, soft: f64) -> f64 {
    let distance = x.abs();
    // Below the diaphragm the ribs drown in the abdomen's attenuation.
    let wall = smooth_edge(lungs.lateral + CHEST_WALL - distance, 0.02)
        * smooth_edge(distance - 0.07, 0.03)
        * smooth_edge(lungs.base + 0.05 - y, 0.1);
    let cage = wall * smooth_edge(place.depth + CHEST_WALL, 0.03).max(0.25);
    if cage <= 0.0 {
        return 0.0;
    }
    // From the spine a rib runs level, then down along the chest wall; its front rises outwards.
    let back = (y - FIRST_RIB - 0.70 * distance.powf(2.3) + 0.06 * distance) / spacing;
    let front = (y - FIRST_RIB - 0.48 + 0.55 * distance) / (1.15 * spacing);
    let front_ends = smooth_edge(distance - 0.30, 0.12);
    cage * (POSTERIOR * band(back, soft) + ANTERIOR * front_ends * band(front, soft))
}

/// One bone per unit of `phase`, with the denser cortex along its edges.
fn band(phase: f64, soft: f64) -> f64 {
    let from_middle = (phase.rem_euclid(1.0) - 0.5).abs();
    let body = smooth_edge(RIB_HALF - from_middle, soft);
    let cortex = from_middle / RIB_HALF;
    body * (0.75 + 0.25 * (cortex * cortex).min(1.0))
}

/// Clavicles, the scapulae's medial borders and the heads of the arms.
fn shoulders(frame: &Frame) -> Canvas {
    let mut layer = Canvas::new(frame.size());
    for side in [-1.0, 1.0] {
        let clavicle = [[0.07, -0.56], [0.26, -0.55], [0.45, -0.74], [0.92, -0.70]];
        let scapula = [[0.74, -0.62], [0.66, -0.40], [0.74, -0.15], [0.84, 0.02]];
        let spine_of_scapula = [[0.70, -0.42], [0.80, -0.52], [0.90, -0.58], [1.05, -0.60]];
        for (control, half_width) in [
            (clavicle, 0.030),
            (scapula, 0.016),
            (spine_of_scapula, 0.020),
        ] {
            let mirrored = control.map(|[x, y]| [side * x, y]);
            layer.stroke(frame, &bezier(mirrored, half_width));
        }
        let head = Knot {
            at: [side * 1.0, -0.55],
            half_width: 0.12,
        };
        layer.stroke(frame, &[head, head]);
    }
    layer
}
