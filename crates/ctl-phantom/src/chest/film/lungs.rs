//! The outline of the two lungs: apex, chest wall, mediastinum and the diaphragm's dome.

use super::canvas::smooth_edge;
use super::frame::Frame;
use super::measures::Measures;

/// Height of the apices.
const APEX: f64 = -0.75;
/// Distance of the apices from the midline.
const APEX_X: f64 = 0.30;
/// Distance of the lungs' medial borders from the midline, below the apices.
const MEDIAL_X: f64 = 0.095;
/// Share of the lung's height over which the medial border curves in from the apex.
const MEDIAL_CURVE: f64 = 0.26;
/// Distance of the domes' tops from the midline.
const DOME_X: f64 = 0.33;
/// How far the dome falls off towards the spine.
const MEDIAL_FALL: f64 = 0.09;
/// Least half width of an outline's edge.
const EDGE: f64 = 0.012;
/// Depth inside the outline at which the lung is as thick as it gets.
const FULL_DEPTH: f64 = 0.22;

/// Both lungs of a patient.
pub(crate) struct Lungs {
    /// Outermost reach of the lungs from the midline.
    pub(crate) lateral: f64,
    /// Height of the costophrenic angles.
    pub(crate) base: f64,
    /// Top of the dome on the film's left and right.
    pub(crate) dome: [f64; 2],
    edge: f64,
}

/// What there is of a lung at one point.
#[derive(Clone, Copy)]
pub(crate) struct LungPoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Approximate distance inside the outline; negative outside.
    pub(crate) depth: f64,
    /// Share that is lung, 0 to 1.
    pub(crate) coverage: f64,
    /// Thickness of the air, 0 to 1.
    pub(crate) air: f64,
    /// Height of the diaphragm here.
    pub(crate) diaphragm: f64,
}

impl Lungs {
    pub(crate) fn new(measures: &Measures, frame: &Frame) -> Self {
        let base = APEX + measures.lung_height;
        let left_dome = base - measures.dome_rise;
        Self {
            lateral: measures.thorax_width,
            base,
            dome: [left_dome - measures.dome_asymmetry, left_dome],
            edge: EDGE.max(0.6 * frame.pixel()),
        }
    }

    pub(crate) fn at(&self, x: f64, y: f64) -> LungPoint {
        let diaphragm = self.diaphragm(x);
        let depth = self.depth(x, y, diaphragm);
        let coverage = smooth_edge(depth, self.edge);
        let inside = (depth / FULL_DEPTH).clamp(0.0, 1.0);
        LungPoint {
            x,
            y,
            depth,
            coverage,
            air: coverage * (0.66 + 0.34 * inside.sqrt()),
            diaphragm,
        }
    }

    fn depth(&self, x: f64, y: f64, diaphragm: f64) -> f64 {
        let along = self.along(y);
        if along <= 0.0 {
            return y - APEX;
        }
        let distance = x.abs();
        let lateral = self.lateral_border(along) - distance;
        let medial = distance - medial_border(along);
        // Where the outline is nearly level, the horizontal distance overstates the depth.
        let apex = 1.5 * (y - APEX);
        lateral.min(medial).min(diaphragm - y).min(apex)
    }

    /// Share of the way from the apices down to the costophrenic angles.
    pub(crate) fn along(&self, y: f64) -> f64 {
        (y - APEX) / (self.base - APEX)
    }

    fn lateral_border(&self, along: f64) -> f64 {
        let rest = (1.0 - along).clamp(0.0, 1.0);
        // Steep below the apex, then nearly upright; powers that roots and products give are quick.
        let bulge = 1.0 - rest * rest * (0.7 + 0.3 * rest);
        APEX_X + (self.lateral - APEX_X) * bulge.sqrt() * (0.75 + 0.25 * bulge)
    }

    /// Height of the diaphragm; beyond the costophrenic angle it falls away.
    fn diaphragm(&self, x: f64) -> f64 {
        let dome = self.dome[usize::from(x > 0.0)];
        let distance = x.abs();
        if distance > DOME_X {
            let t = (distance - DOME_X) / (self.lateral - DOME_X);
            dome + (self.base - dome) * t * t * (0.6 + 0.4 * t)
        } else {
            let t = (DOME_X - distance) / DOME_X;
            dome + MEDIAL_FALL * t * t
        }
    }

    /// The point `along` the lung (0 apex, 1 costophrenic angle) and `across` it (0 medial, 1
    /// lateral), drawn up by `clearance` where it would lie below the diaphragm.
    pub(crate) fn place(&self, side: f64, along: f64, across: f64, clearance: f64) -> [f64; 2] {
        let medial = medial_border(along);
        let x = side * (medial + across * (self.lateral_border(along) - medial));
        let y = APEX + along * (self.base - APEX);
        [x, y.min(self.diaphragm(x) - clearance)]
    }
}

/// Distance of the medial border from the midline at a share of the lung's height.
fn medial_border(along: f64) -> f64 {
    let t = (along / MEDIAL_CURVE).clamp(0.0, 1.0);
    APEX_X - (APEX_X - MEDIAL_X) * (t * (2.0 - t)).sqrt()
}
