//! Measures of a chest as the film shows it, and of its position in the film.

use super::{Build, View};

/// Measures of a patient's chest in one view.
///
/// Lengths are in half film widths: the film spans -1 to 1 in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measures {
    /// From the midline to the inner chest wall, about 0.72.
    pub(crate) thorax_width: f64,
    /// From a lung's apex to its costophrenic angle, about 1.3.
    pub(crate) lung_height: f64,
    /// From the midline to the skin, about 0.95.
    pub(crate) body_width: f64,
    /// Factor on the attenuation of the soft tissue, about 1.
    pub(crate) thickness: f64,
    /// Height of the diaphragm's domes over the costophrenic angles, about 0.2.
    pub(crate) dome_rise: f64,
    /// How much higher the right dome stands than the left, about 0.05.
    pub(crate) dome_asymmetry: f64,
    /// Width of the heart over inner width of the chest, about 0.48.
    pub(crate) heart_ratio: f64,
    /// Radius of the aortic knob, about 0.08.
    pub(crate) aorta: f64,
    /// Contrast of the bones, about 1.
    pub(crate) bone: f64,
    /// From one posterior rib to the next, about 0.14.
    pub(crate) rib_spacing: f64,
    /// Attenuation of breast tissue; 0 where there is none.
    pub(crate) breast: f64,
    /// Share of the rays' loss that an aerated lung spares, about 0.72.
    pub(crate) aeration: f64,
    /// Contrast of the lungs' vessels, about 1.
    pub(crate) vessels: f64,
    /// Attenuation that the air in the stomach spares; 0 where there is none.
    pub(crate) gastric_air: f64,
    /// How far the shoulder blades lie over the lungs: 0 beside them, 1 well inside.
    pub(crate) scapula: f64,
    /// Curve of the spine to the side, about 0.
    pub(crate) scoliosis: f64,
    /// Rotation in the film in radians, about 0.
    pub(crate) rotation: f64,
    /// Shift to the right.
    pub(crate) shift_x: f64,
    /// Shift downwards.
    pub(crate) shift_y: f64,
    /// Magnification, about 1.
    pub(crate) zoom: f64,
}

impl Measures {
    /// A patient's measures as a view shows them; `u` holds the standard normal deviates of what
    /// no factor tells.
    ///
    /// In the AP view the heart is far from the detector and is magnified, the patient sits or
    /// lies so that the diaphragm stands high, and the shoulder blades stay over the lungs.
    pub(crate) fn of(build: &Build, view: View, u: &Deviates) -> Self {
        let wide = build.habitus.clamp(-3.0, 3.0);
        let ap = f64::from(u8::from(view == View::Ap));
        Self {
            thorax_width: (build.thorax_width + 0.008 * wide).clamp(0.6, 0.85),
            lung_height: (build.lung_height - 0.03 * wide - 0.12 * ap).clamp(0.85, 1.5),
            body_width: 0.945 + 0.06 * wide + 0.02 * u.body_width,
            thickness: 0.985 + 0.07 * wide + 0.02 * u.thickness,
            dome_rise: 0.20 + 0.01 * wide + 0.02 * ap + 0.025 * u.dome_rise,
            dome_asymmetry: 0.05 + 0.02 * u.dome_asymmetry,
            heart_ratio: (build.heart_ratio + 0.01 * wide + 0.055 * ap).clamp(0.3, 0.75),
            aorta: build.aorta.clamp(0.04, 0.14),
            bone: build.bone.clamp(0.35, 1.6),
            rib_spacing: 0.139 - 0.006 * ap + 0.005 * u.rib_spacing,
            breast: (build.breast + 0.03 * wide).max(0.0) * f64::from(u8::from(build.breast > 0.0)),
            aeration: (build.aeration - 0.02 * ap).clamp(0.6, 0.85),
            vessels: (1.0 + 0.15 * u.vessels).max(0.4),
            gastric_air: (0.05 + 0.28 * u.gastric_air).max(0.0),
            scapula: (0.15 + 0.6 * ap + 0.15 * u.scapula).clamp(0.0, 1.0),
            scoliosis: 0.014 * u.scoliosis,
            rotation: (0.018 + 0.025 * ap) * u.rotation,
            shift_x: (0.02 + 0.02 * ap) * u.shift_x,
            shift_y: (0.03 + 0.02 * ap) * u.shift_y,
            zoom: 1.06 + 0.02 * ap + 0.035 * u.zoom,
        }
    }
}

/// Standard normal deviates of the measures that no factor tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Deviates {
    body_width: f64,
    thickness: f64,
    dome_rise: f64,
    dome_asymmetry: f64,
    rib_spacing: f64,
    vessels: f64,
    gastric_air: f64,
    scapula: f64,
    scoliosis: f64,
    rotation: f64,
    shift_x: f64,
    shift_y: f64,
    zoom: f64,
}

impl Deviates {
    /// Fills the fields in order.
    pub(crate) fn from_fn(mut next: impl FnMut() -> f64) -> Self {
        Self {
            body_width: next(),
            thickness: next(),
            dome_rise: next(),
            dome_asymmetry: next(),
            rib_spacing: next(),
            vessels: next(),
            gastric_air: next(),
            scapula: next(),
            scoliosis: next(),
            rotation: next(),
            shift_x: next(),
            shift_y: next(),
            zoom: next(),
        }
    }
}
