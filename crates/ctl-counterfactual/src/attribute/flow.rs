//! Continuous attributes: conditional normalising flows of one variable.

use candle_core::{Device, Tensor};
use ctl_nets::Parameters;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc;

use super::AttributeMechanism;
use super::conditioner::Conditioner;
use super::scale::Scale;
use super::spline::{self, Spline, raw_count};
use crate::error::in_range;
use crate::{CounterfactualError, Kind, Result, Rows};

/// `ln √(2 π)`
const LOG_ROOT_TAU: f64 = 0.918_938_533_204_672_8;
/// Largest logarithm of the affine layer's scale, either way.
const LARGEST_LOG_SCALE: f64 = 7.0;

/// Settings of [`AttributeFlow`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FlowConfig {
    /// Width of the two hidden layers between parents and flow, 1 to 4096.
    pub hidden: usize,
    /// Bins of the spline, 2 to 64; 0 leaves the spline out, and the flow is conditionally normal
    /// on the unbounded scale.
    pub bins: usize,
    /// The spline bends the line from `−tail` to `tail` standard deviations, 1 to 20.
    pub tail: f64,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            hidden: 32,
            bins: 8,
            tail: 5.0,
        }
    }
}

impl FlowConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        const WHAT: &str = "attribute flow";
        let hidden = (self.hidden, (1..=4096).contains(&self.hidden));
        in_range(WHAT, "hidden", hidden, "1 to 4096")?;
        let bins = (self.bins, self.bins == 0 || (2..=64).contains(&self.bins));
        in_range(WHAT, "bins", bins, "0, or 2 to 64")?;
        let tail = (self.tail, (1.0..=20.0).contains(&self.tail));
        in_range(WHAT, "tail", tail, "1 to 20")
    }

    fn outputs(&self) -> usize {
        2 + if self.bins == 0 {
            0
        } else {
            raw_count(self.bins)
        }
    }
}

/// A continuous attribute as a function of one standard normal noise that rises with it:
/// `a = g⁻¹(m + d (b + eˢ · spline⁻¹(ε)))`.
///
/// `g` takes the attribute's range to the line ([`Kind::Continuous`]), `m` and `d` standardise it by
/// the training data; shift `b`, scale `eˢ` and the spline's bins come from the parents by a network.
/// From data to noise that is a conditional affine flow and a conditional rational-quadratic spline.
///
/// # References
/// Pawlowski, Castro & Glocker 2020, "Deep structural causal models for tractable counterfactual
/// inference", section 3.1 (mechanisms as conditional flows); Durkan et al. 2019, "Neural spline
/// flows".
pub struct AttributeFlow {
    config: FlowConfig,
    scale: Scale,
    conditioner: Conditioner,
}

impl AttributeFlow {
    /// A flow that does not look at the parents yet: the training values standardised.
    ///
    /// # Arguments
    /// - `kind`: bounds of the attribute
    /// - `values`: of the training data, in its units
    /// - `parents`: width of the encoded parents
    /// - `(seed, run)`: what the first weights are drawn for
    ///
    /// # Errors
    /// When the attribute is not continuous, there is no value, or a setting is out of range.
    pub fn new(
        config: FlowConfig,
        kind: &Kind,
        values: &[f64],
        parents: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        let &Kind::Continuous { lower, upper } = kind else {
            return Err(CounterfactualError::Value {
                subject: "variable of a flow".to_owned(),
                expected: "a continuous one".to_owned(),
                found: kind.allowed(),
            });
        };
        if values.is_empty() {
            return Err(CounterfactualError::Value {
                subject: "training data of a flow".to_owned(),
                expected: "at least one value".to_owned(),
                found: "none".to_owned(),
            });
        }
        Self::with_scale(
            config,
            Scale::fit(lower, upper, values),
            parents,
            (seed, run),
        )
    }

    pub(crate) fn with_scale(
        config: FlowConfig,
        scale: Scale,
        parents: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        config.validate()?;
        let outputs = config.outputs();
        Ok(Self {
            config,
            scale,
            conditioner: Conditioner::new((seed, run), parents, config.hidden, outputs)?,
        })
    }

    pub(crate) fn scale(&self) -> Scale {
        self.scale
    }

    /// Applies a function to every value and the layers that its parents give.
    fn each(
        &self,
        values: &[f64],
        parents: &Rows,
        function: impl Fn(&Self, &Layers, f64) -> f64,
    ) -> Result<Vec<f64>> {
        let frozen = self.conditioner.frozen()?;
        let layers = |row: usize| Layers::new(&self.config, &frozen.apply(parents.row(row)));
        if parents.width() == 0 {
            // The same layers for everybody.
            let layers = Layers::new(&self.config, &frozen.apply(&[]));
            let values = values.iter();
            return Ok(values
                .map(|&value| function(self, &layers, value))
                .collect());
        }
        let values = values.iter().enumerate();
        Ok(values
            .map(|(row, &value)| function(self, &layers(row), value))
            .collect())
    }

    fn noise_of(&self, layers: &Layers, value: f64) -> (f64, f64) {
        let (place, log_slope) = self.scale.forward(value);
        let (noise, more) = layers.forward(place);
        (noise, log_slope + more)
    }
}

/// The layers of one individual.
struct Layers {
    shift: f64,
    log_scale: f64,
    spline: Option<Spline>,
}

fn limited(raw: f64) -> f64 {
    LARGEST_LOG_SCALE * (raw / LARGEST_LOG_SCALE).tanh()
}

impl Layers {
    fn new(config: &FlowConfig, raw: &[f64]) -> Self {
        let spline = || Spline::new(&raw[2..], config.bins, config.tail);
        Self {
            shift: raw[0],
            log_scale: limited(raw[1]),
            spline: (config.bins > 0).then(spline),
        }
    }

    fn forward(&self, place: f64) -> (f64, f64) {
        let centred = (place - self.shift) * (-self.log_scale).exp();
        let (noise, log_slope) = match &self.spline {
            Some(spline) => spline.forward(centred),
            None => (centred, 0.0),
        };
        (noise, log_slope - self.log_scale)
    }

    fn inverse(&self, noise: f64) -> f64 {
        let centred = match &self.spline {
            Some(spline) => spline.inverse(noise),
            None => noise,
        };
        self.shift + centred * self.log_scale.exp()
    }
}

impl AttributeMechanism for AttributeFlow {
    fn parameters(&self) -> &Parameters {
        self.conditioner.parameters()
    }

    fn loss(&self, values: &[f64], parents: &Rows) -> Result<Tensor> {
        let placed: Vec<(f64, f64)> = values.iter().map(|&v| self.scale.forward(v)).collect();
        let places: Vec<f32> = placed.iter().map(|&(place, _)| place as f32).collect();
        let log_slope = placed.iter().map(|(_, log_slope)| log_slope).sum::<f64>();
        let constant = LOG_ROOT_TAU - log_slope / values.len().max(1) as f64;
        let raw = self.conditioner.forward(&parents.to_tensor()?)?;
        let column = |index: usize| -> Result<Tensor> { Ok(raw.narrow(1, index, 1)?.squeeze(1)?) };
        let log_scale = ((column(1)? / LARGEST_LOG_SCALE)?.tanh()? * LARGEST_LOG_SCALE)?;
        let places = Tensor::from_vec(places, values.len(), &Device::Cpu)?;
        let centred = (places - column(0)?)?.mul(&log_scale.neg()?.exp()?)?;
        let (noise, log_slope) = if self.config.bins == 0 {
            let zero = centred.zeros_like()?;
            (centred, zero)
        } else {
            let raw = raw.narrow(1, 2, raw_count(self.config.bins))?;
            spline::forward(&centred, &raw, self.config.bins, self.config.tail)?
        };
        let nats = (((noise.sqr()? * 0.5)? - log_slope)? + log_scale)?;
        Ok((nats.mean_all()? + constant)?)
    }

    fn log_prob(&self, values: &[f64], parents: &Rows) -> Result<Vec<f64>> {
        self.each(values, parents, |flow, layers, value| {
            let (noise, log_slope) = flow.noise_of(layers, value);
            log_slope - noise * noise / 2.0 - LOG_ROOT_TAU
        })
    }

    fn noise_width(&self) -> usize {
        1
    }

    fn abduct(&self, values: &[f64], parents: &Rows, _rng: &mut ChaCha8Rng) -> Result<Vec<f64>> {
        self.each(values, parents, |flow, layers, value| {
            flow.noise_of(layers, value).0
        })
    }

    fn draw_noise(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        (0..count).map(|_| StandardNormal.sample(rng)).collect()
    }

    fn predict(&self, noise: &[f64], parents: &Rows) -> Result<Vec<f64>> {
        self.each(noise, parents, |flow, layers, noise| {
            flow.scale.inverse(layers.inverse(noise))
        })
    }

    fn rank(&self, values: &[f64], parents: &Rows) -> Result<Option<Vec<f64>>> {
        let ranks = self.each(values, parents, |flow, layers, value| {
            let noise = flow.noise_of(layers, value).0;
            erfc(-noise / std::f64::consts::SQRT_2) / 2.0
        });
        ranks.map(Some)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
