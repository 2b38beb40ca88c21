//! Steps that change each voxel by itself.

use crate::Result;
use crate::preprocess::check::interval;
use crate::preprocess::image::Image;
use crate::preprocess::intensity::{MOST_GAMMA, powered};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// [`Gamma`](crate::preprocess::Gamma) with a drawn exponent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGamma {
    /// Smallest and largest exponent, 0.05 to 20; uniform in the logarithm.
    pub exponent: [f64; 2],
}

impl Apply for RandomGamma {
    fn validate(&self) -> Result<()> {
        let range = 1.0 / MOST_GAMMA..=MOST_GAMMA;
        interval("random-gamma exponent", self.exponent, range)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let exponent = stream.between(self.exponent.map(f64::ln)).exp();
        Ok(powered(image, exponent))
    }
}

/// What noise does to a value x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// `x + σ n`, with a standard normal n.
    Gaussian,
    /// `√((x + σ n₁)² + (σ n₂)²)`: the magnitude of a complex signal whose parts have Gaussian
    /// noise (Gudbjartsson & Patz 1995).
    Rician,
}

/// Noise of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomNoise {
    /// Its distribution.
    pub kind: NoiseKind,
    /// Smallest and largest σ in the image's units, 0 to 10⁶; uniform between.
    pub sigma: [f64; 2],
}

impl Apply for RandomNoise {
    fn validate(&self) -> Result<()> {
        interval("random-noise sigma", self.sigma, 0.0..=1e6)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let sigma = stream.between(self.sigma);
        if sigma > 0.0 {
            for value in &mut image.values {
                let [first, second] = stream.normals();
                let shifted = f64::from(*value) + sigma * first;
                let noisy = match self.kind {
                    NoiseKind::Gaussian => shifted,
                    NoiseKind::Rician => shifted.hypot(sigma * second),
                };
                *value = noisy as f32;
            }
        }
        Ok(Measurements::one("sigma", sigma))
    }
}
