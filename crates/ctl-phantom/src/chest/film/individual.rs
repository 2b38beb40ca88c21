//! What is a patient's own and no node of the diagram: build, course of vessels, grain.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::measures::Deviates;

/// Patients beyond this many standard deviations are drawn in, to keep every chest a chest.
const LARGEST_DEVIATE: f64 = 2.5;
/// Most opacities that a patient has.
pub(crate) const MAX_OPACITIES: usize = 3;

/// Exogenous noises of a patient and a film that belong to no node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Individual {
    /// Standard normal deviates within ±2.5.
    pub(crate) build: Deviates,
    /// Uniform in [0, 1): one, two or three opacities.
    pub(crate) opacity_count: f64,
    /// The opacities that would show.
    pub(crate) opacities: [OpacityNoise; MAX_OPACITIES],
    /// Uniform in [0, 1): side of an effusion, and how much of it is on the other side.
    pub(crate) effusion: [f64; 2],
    /// Uniform in [0, 1): courses that a tube, a line and the leads' wires would take.
    pub(crate) courses: [f64; 12],
    /// Uniform in [0, 1): corner, inset, height and size of the lead letter.
    pub(crate) marker: [f64; 4],
    /// Uniform in [0, 1): a tube, a marker, where the chance of one exceeds it.
    pub(crate) devices: [f64; 2],
    /// Uniform in [0, 1): the collimator's four blades.
    pub(crate) blades: [f64; 4],
    /// Key of the vessels and the texture.
    pub(crate) texture: u64,
    /// Key of the quantum noise.
    pub(crate) grain: u64,
}

/// The exogenous noises of one opacity, each uniform in [0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OpacityNoise {
    pub(crate) side: f64,
    pub(crate) along: f64,
    pub(crate) across: f64,
    pub(crate) radius: f64,
    pub(crate) elongation: f64,
    pub(crate) angle: f64,
    pub(crate) strength: f64,
}

impl Individual {
    /// Draws from one generator a purpose, so that a further purpose leaves the others as they are.
    pub(crate) fn draw<R: Rng>(stream: impl Fn(&str) -> R) -> Self {
        Self {
            build: build(&mut stream("build")),
            opacity_count: stream("opacity-count").random(),
            opacities: opacities(&mut stream("opacities")),
            effusion: stream("effusion-side").random(),
            courses: stream("courses").random(),
            marker: stream("marker-place").random(),
            devices: stream("devices").random(),
            blades: stream("blades").random(),
            texture: stream("texture").next_u64(),
            grain: stream("grain").next_u64(),
        }
    }
}

fn build(rng: &mut impl Rng) -> Deviates {
    Deviates::from_fn(|| {
        rng.sample::<f64, _>(StandardNormal)
            .clamp(-LARGEST_DEVIATE, LARGEST_DEVIATE)
    })
}

fn opacities(rng: &mut impl Rng) -> [OpacityNoise; MAX_OPACITIES] {
    std::array::from_fn(|_| OpacityNoise {
        side: rng.random(),
        along: rng.random(),
        across: rng.random(),
        radius: rng.random(),
        elongation: rng.random(),
        angle: rng.random(),
        strength: rng.random(),
    })
}
