//! What tissues look like under a sequence.

use super::setting;
use crate::MrContrast;
use crate::body::Scene;

/// Signal of every tissue, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signals {
    pub(super) fluid: f32,
    pub(super) grey: f32,
    pub(super) white: f32,
    pub(super) nuclei: f32,
    pub(super) scalp: f32,
    pub(super) bone: f32,
    pub(super) marrow: f32,
    pub(super) lesion: f32,
}

const fn signals(brain: [f32; 4], hull: [f32; 3], lesion: f32) -> Signals {
    Signals {
        fluid: brain[0],
        grey: brain[1],
        white: brain[2],
        nuclei: brain[3],
        scalp: hull[0],
        bone: hull[1],
        marrow: hull[2],
        lesion,
    }
}

/// A sequence at the reference scanner, and the variant that the contrast setting mixes in: less
/// inversion for FLAIR, a lower field for T1, a shorter echo time for T2.
const fn variants(contrast: MrContrast) -> [Signals; 2] {
    match contrast {
        MrContrast::T1 => [
            signals([0.12, 0.44, 0.64, 0.5], [0.8, 0.05, 0.34], 0.37),
            signals([0.2, 0.5, 0.6, 0.53], [0.62, 0.08, 0.3], 0.42),
        ],
        MrContrast::T2 => [
            signals([0.92, 0.52, 0.36, 0.42], [0.5, 0.05, 0.22], 0.8),
            signals([0.7, 0.55, 0.46, 0.5], [0.72, 0.09, 0.36], 0.68),
        ],
        MrContrast::Flair => [
            signals([0.07, 0.47, 0.37, 0.43], [0.5, 0.04, 0.2], 0.8),
            signals([0.26, 0.44, 0.4, 0.41], [0.72, 0.08, 0.36], 0.66),
        ],
    }
}

impl Signals {
    /// The signals under a scene's sequence and contrast setting.
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let [plain, variant] = variants(scene.contrast);
        let mix = scene.settings[setting::CONTRAST] as f32;
        let between = |part: fn(&Self) -> f32| part(&plain) + mix * (part(&variant) - part(&plain));
        Self {
            fluid: between(|s| s.fluid),
            grey: between(|s| s.grey),
            white: between(|s| s.white),
            nuclei: between(|s| s.nuclei),
            scalp: between(|s| s.scalp),
            bone: between(|s| s.bone),
            marrow: between(|s| s.marrow),
            lesion: between(|s| s.lesion),
        }
    }
}
