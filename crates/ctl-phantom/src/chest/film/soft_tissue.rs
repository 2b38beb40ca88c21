//! Body, mediastinum, heart, hila, breasts and what lies below the diaphragm.

use super::canvas::{Canvas, smooth_edge};
use super::lungs::{LungPoint, Lungs};
use super::measures::Measures;
use super::texture::cloud;

/// Half width of the body's silhouette by height: neck, shoulders, chest, as a share of the
/// chest's.
const SILHOUETTE: [(f64, f64); 8] = [
    (-1.30, 0.26),
    (-0.98, 0.28),
    (-0.88, 0.46),
    (-0.77, 0.88),
    (-0.60, 1.26),
    (-0.20, 1.22),
    (0.15, 1.06),
    (1.30, 1.03),
];
/// Attenuation of the body where it is thickest, at the neck, the chest and the abdomen.
const THICKNESS: [(f64, f64); 4] = [(-1.0, 0.9), (-0.6, 1.10), (0.4, 1.25), (1.0, 1.55)];
/// What liver, spleen and bowel add to the body's attenuation below the diaphragm, as a share.
const LIVER: f64 = 0.16;

/// An upright or tilted ellipse.
struct Ellipse {
    centre: [f64; 2],
    radii: [f64; 2],
    tilt: f64,
}

impl Ellipse {
    /// 1 at the centre, 0 on the outline, negative outside.
    fn depth(&self, x: f64, y: f64) -> f64 {
        let (sin, cos) = self.tilt.sin_cos();
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let u = (cos * dx + sin * dy) / self.radii[0];
        let v = (cos * dy - sin * dx) / self.radii[1];
        // `hypot` guards against overflow that cannot happen here, and takes several times as long.
        1.0 - (u * u + v * v).sqrt()
    }
}

/// Adds the soft tissue to the attenuation, and writes how much of it the lungs' air spares.
pub(crate) fn draw(
    canvas: &mut Canvas,
    spared: &mut Canvas,
    measures: &Measures,
    key: u64,
    lungs: &Lungs,
    places: &[LungPoint],
) {
    let heart = Heart::new(measures, lungs);
    let pixels = places
        .iter()
        .zip(&mut canvas.values)
        .zip(&mut spared.values);
    for ((place, value), spared) in pixels {
        let (x, y) = (place.x, place.y);
        let body = body(x, y, measures);
        if body <= 0.0 {
            continue;
        }
        let torso = body * (1.0 + 0.05 * cloud(key, x, y, 1.7, 2));
        let above = smooth_edge(place.diaphragm - y, 0.03);
        let liver = LIVER * (1.0 - above) * smooth_edge(lungs.lateral - x.abs(), 0.15);
        let heart = heart.at(x, y, above);
        let soft =
            mediastinum(x, y, above) + heart + hila(x, y) * place.coverage + breast(x, y, measures);
        let shown = smooth_edge(body - 0.1, 0.1);
        // Before and behind the heart there is less lung.
        let lung = place.air * (1.0 - 0.7 * heart);
        *spared = torso * measures.aeration * lung;
        *value += torso * (1.0 + liver) - *spared + shown * (soft - stomach(x, y, measures, lungs));
    }
}

/// Interpolates a table of (place, value) linearly; its ends go on level.
fn interpolate(table: &[(f64, f64)], at: f64) -> f64 {
    let mut value = table[0].1;
    for pair in table.windows(2) {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        if at >= from {
            let t = ((at - from) / (to - from)).min(1.0);
            value = low + (high - low) * t;
        }
    }
    value
}

/// The same with the corners rounded off, for outlines.
fn curve(table: &[(f64, f64)], at: f64) -> f64 {
    const ROUNDING: f64 = 0.05;
    [-1.0, -0.5, 0.0, 0.5, 1.0]
        .iter()
        .map(|step| interpolate(table, at + ROUNDING * step))
        .sum::<f64>()
        / 5.0
}

/// Chord through the body: elliptic, so that it thins towards the skin.
fn body(x: f64, y: f64, measures: &Measures) -> f64 {
    let width = measures.body_width * interpolate(&SILHOUETTE, y);
    let share = x / width;
    let squared = 1.0 - share * share;
    if squared <= 0.0 {
        return 0.0;
    }
    let root = squared.sqrt();
    // The flanks are flatter than an ellipse: most of the attenuation is reached soon.
    measures.thickness * interpolate(&THICKNESS, y) * 0.5 * (root + root.sqrt())
}

/// Heart and great vessels as they border on the lungs.
struct Heart {
    right: [(f64, f64); 5],
    left: [(f64, f64); 6],
    top: f64,
    bottom: f64,
    knob: Ellipse,
}

impl Heart {
    fn new(measures: &Measures, lungs: &Lungs) -> Self {
        let width = 2.0 * measures.thorax_width * measures.heart_ratio;
        // About a third of the heart lies on the patient's right.
        let (atrium, ventricle) = (0.33 * width, 0.67 * width);
        let bottom = lungs.dome[1] + 0.10;
        let top = bottom - 0.62;
        let vessels = 0.12;
        Self {
            right: [
                (top, vessels),
                (bottom - 0.42, 0.8 * atrium),
                (bottom - 0.25, atrium),
                (bottom - 0.10, 0.95 * atrium),
                (bottom, 0.75 * atrium),
            ],
            left: [
                (top, vessels),
                (bottom - 0.50, 0.155),
                (bottom - 0.38, 0.58 * ventricle),
                (bottom - 0.24, 0.88 * ventricle),
                (bottom - 0.10, ventricle),
                (bottom, 0.95 * ventricle),
            ],
            top,
            bottom,
            knob: Ellipse {
                centre: [0.085, -0.30],
                radii: [measures.aorta, 1.15 * measures.aorta],
                tilt: 0.0,
            },
        }
    }

    /// Attenuation of heart and aortic knob; `above` is the share that lies over the diaphragm.
    fn at(&self, x: f64, y: f64, above: f64) -> f64 {
        let knob = self.knob.depth(x, y);
        let knob = 0.36 * smooth_edge(knob, 0.15) * (0.8 + 0.2 * knob.clamp(0.0, 1.0));
        if y < self.top - 0.1 || above <= 0.0 {
            return knob;
        }
        let border = if x < 0.0 {
            curve(&self.right, y)
        } else {
            curve(&self.left, y)
        };
        let depth = border - x.abs();
        let ends = smooth_edge(y - self.top, 0.1) * smooth_edge(self.bottom + 0.04 - y, 0.05);
        let thickness = (depth.max(0.0) / border).sqrt();
        let heart = ends * smooth_edge(depth, 0.022) * (0.34 + 0.18 * thickness);
        knob.max(above * heart)
    }
}

/// Great vessels and oesophagus about the midline, with the air of the trachea in them.
fn mediastinum(x: f64, y: f64, above: f64) -> f64 {
    let width = 0.13 + 0.03 * smooth_edge(y + 0.1, 0.4);
    let band = smooth_edge(width - x.abs(), 0.035) * smooth_edge(y + 0.85, 0.2);
    let trachea = smooth_edge(0.045 - (x - 0.008).abs(), 0.03) * smooth_edge(-0.22 - y, 0.06);
    0.24 * band * (0.4 + 0.6 * above) - 0.28 * trachea
}

/// Roots of the lungs.
fn hila(x: f64, y: f64) -> f64 {
    let (dx, dy) = (
        (x.abs() - 0.19) / 0.065,
        (y + 0.06 - 0.03 * x.signum()) / 0.11,
    );
    0.21 * (-0.5 * (dx * dx + dy * dy)).exp()
}

/// Breast tissue, denser towards its lower edge.
fn breast(x: f64, y: f64, measures: &Measures) -> f64 {
    if measures.breast <= 0.0 {
        return 0.0;
    }
    let ellipse = Ellipse {
        centre: [0.43 * x.signum(), 0.20],
        radii: [0.34, 0.30],
        tilt: 0.0,
    };
    let lower = 0.55 + 0.45 * ((y - 0.05) / 0.3).clamp(0.0, 1.0);
    measures.breast * lower * smooth_edge(ellipse.depth(x, y), 0.12)
}

/// Air in the stomach, under the left dome.
fn stomach(x: f64, y: f64, measures: &Measures, lungs: &Lungs) -> f64 {
    let bubble = Ellipse {
        centre: [0.36, lungs.dome[1] + 0.17],
        radii: [0.17, 0.10],
        tilt: 0.1,
    };
    measures.gastric_air * smooth_edge(bubble.depth(x, y) - 0.2, 0.45)
}
