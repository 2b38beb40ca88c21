//! The exogenous variables of a patient: all that is random, and nothing that any dial changes.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::sample::ChestAnatomy;
use crate::stream::Streams;

/// Patients beyond this many standard deviations are drawn in, to keep every chest a chest.
const LARGEST_DEVIATE: f64 = 2.5;
/// Most opacities that a patient has.
pub(crate) const MAX_OPACITIES: usize = 3;

/// The exogenous noises of one sample.
///
/// Given the site, every other field of a [`crate::ChestSample`] is a function of them. Abduction
/// therefore is reading them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChestNoise {
    /// Standard normal deviate of the age.
    pub age: f64,
    /// Uniform in [0, 1): the sex.
    pub sex: f64,
    /// Uniform in [0, 1): diseased where it is less than the probability of disease.
    pub disease: f64,
    /// Uniform in [0, 1): the severity's place in its range.
    pub severity: f64,
    /// A standard normal deviate of each anatomical measure, within ±2.5.
    pub anatomy: ChestAnatomy,
    /// Uniform in [0, 1): one, two or three opacities.
    pub opacity_count: f64,
    /// The opacities that would show.
    pub opacities: [OpacityNoise; MAX_OPACITIES],
    /// Standard normal deviates of log gain, log gamma, log noise level and log blur width.
    pub scanner: [f64; 4],
    /// Uniform in [0, 1): a tube where it is less than the probability of one.
    pub tube: f64,
    /// Uniform in [0, 1): the course that a tube and an electrode's wire would take.
    pub tube_course: [f64; 6],
    /// Uniform in [0, 1): a marker where it is less than the probability of one.
    pub marker: f64,
    /// Uniform in [0, 1): side and place of the marker.
    pub marker_place: [f64; 3],
    /// Key of the vessels and the texture.
    pub texture: u64,
    /// Key of the pixel noise.
    pub grain: u64,
}

/// The exogenous noises of one opacity, each uniform in [0, 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpacityNoise {
    /// Which lung.
    pub side: f64,
    /// Height in the lung.
    pub along: f64,
    /// Place between the lung's medial and lateral border.
    pub across: f64,
    /// Size.
    pub radius: f64,
    /// Ratio of the axes.
    pub elongation: f64,
    /// Direction of the long axis.
    pub angle: f64,
    /// Contrast relative to the severity's.
    pub contrast: f64,
}

impl ChestNoise {
    /// Draws a patient's noises, each from its own stream.
    pub(crate) fn draw(streams: Streams<'_>) -> Self {
        let normal = |purpose: &str| streams.of(purpose).sample::<f64, _>(StandardNormal);
        let uniform = |purpose: &str| streams.of(purpose).random::<f64>();
        Self {
            age: normal("age"),
            sex: uniform("sex"),
            disease: uniform("disease"),
            severity: uniform("severity"),
            anatomy: anatomy_deviates(&mut streams.of("anatomy")),
            opacity_count: uniform("opacity-count"),
            opacities: opacities(&mut streams.of("opacities")),
            scanner: {
                let mut rng = streams.of("scanner");
                std::array::from_fn(|_| rng.sample(StandardNormal))
            },
            tube: uniform("tube"),
            tube_course: streams.of("tube-course").random(),
            marker: uniform("marker"),
            marker_place: streams.of("marker-place").random(),
            texture: streams.of("texture").next_u64(),
            grain: streams.of("grain").next_u64(),
        }
    }
}

fn anatomy_deviates(rng: &mut impl Rng) -> ChestAnatomy {
    let mut deviate = || {
        rng.sample::<f64, _>(StandardNormal)
            .clamp(-LARGEST_DEVIATE, LARGEST_DEVIATE)
    };
    ChestAnatomy {
        thorax_width: deviate(),
        lung_height: deviate(),
        body_width: deviate(),
        dome_rise: deviate(),
        dome_asymmetry: deviate(),
        heart_ratio: deviate(),
        aorta: deviate(),
        rib_contrast: deviate(),
        rib_spacing: deviate(),
        breast: deviate(),
        aeration: deviate(),
        vessels: deviate(),
        gastric_air: deviate(),
        rotation: deviate(),
        shift_x: deviate(),
        shift_y: deviate(),
        zoom: deviate(),
    }
}

fn opacities(rng: &mut impl Rng) -> [OpacityNoise; MAX_OPACITIES] {
    std::array::from_fn(|_| OpacityNoise {
        side: rng.random(),
        along: rng.random(),
        across: rng.random(),
        radius: rng.random(),
        elongation: rng.random(),
        angle: rng.random(),
        contrast: rng.random(),
    })
}
