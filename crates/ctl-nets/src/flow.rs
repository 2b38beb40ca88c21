//! A conditional normalising flow of affine couplings for small images.

mod coupling;
mod mixing;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::CouplingFlowSpec;

use candle_core::{DType, Tensor, Var};

use self::coupling::Coupling;
use self::mixing::Mixing;
use self::spec::fault;
use crate::layers::{to_channels_first, to_channels_last};
use crate::{Initialiser, Parameters, Result};

/// A channel that hardly varies in the first batch is not blown up by more than `1 / this`.
const DEVIATION_MIN: f64 = 1e-3;

/// Where a [`CouplingFlow`] takes images.
#[derive(Clone, Debug)]
pub struct FlowOutput {
    /// Latent variables of each level, `[B, h, w, K]` as [`CouplingFlowSpec::latent_shapes`] lists
    /// them; together they have as many values as the images.
    pub latents: Vec<Tensor>,
    /// `ln |det ∂latents/∂image|` of each image, `[B]`.
    pub log_determinant: Tensor,
}

impl FlowOutput {
    /// `ln N(latents; 0, I)` of each image, `[B]`.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn log_prior(&self) -> Result<Tensor> {
        let mut total = self.log_determinant.zeros_like()?;
        for latent in &self.latents {
            let flat = latent.flatten_from(1)?;
            let constant = flat.dim(1)? as f64 * std::f64::consts::TAU.ln();
            total = (total - ((flat.sqr()?.sum(1)? + constant)? * 0.5)?)?;
        }
        Ok(total)
    }

    /// `ln p(image | parents)` of each image as a density, `[B]`: prior and log-determinant.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn log_density(&self) -> Result<Tensor> {
        Ok((self.log_prior()? + &self.log_determinant)?)
    }
}

/// `y = (x + bias) · exp(log_scale)` for every channel.
struct ActNorm {
    bias: Var,
    log_scale: Var,
}

impl ActNorm {
    fn new(p: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        let zero = Initialiser::Constant(0.0);
        Ok(Self {
            bias: p.add(&format!("{name}.bias"), &[channels], zero)?,
            log_scale: p.add(&format!("{name}.log_scale"), &[channels], zero)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let scale = self.log_scale.exp()?;
        Ok(x.broadcast_add(&self.bias)?.broadcast_mul(&scale)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let scale = self.log_scale.neg()?.exp()?;
        Ok(y.broadcast_mul(&scale)?.broadcast_sub(&self.bias)?)
    }

    /// Sets the weights so that `x` leaves with mean 0 and deviation 1.
    fn fit(&self, x: &Tensor) -> Result<()> {
        let rows = x.detach().reshape(((), x.dim(x.rank() - 1)?))?;
        let mean = rows.mean_keepdim(0)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
        let deviation = variance.sqrt()?.maximum(DEVIATION_MIN)?;
        self.bias.set(&mean.squeeze(0)?.neg()?)?;
        self.log_scale.set(&deviation.log()?.neg()?)?;
        Ok(())
    }
}

/// Normalisation, mixing of the channels, coupling.
struct Step {
    norm: ActNorm,
    mixing: Mixing,
    coupling: Coupling,
}

impl Step {
    fn new(
        p: &mut Parameters,
        name: &str,
        channels: usize,
        spec: &CouplingFlowSpec,
    ) -> Result<Self> {
        Ok(Self {
            norm: ActNorm::new(p, &format!("{name}.norm"), channels)?,
            mixing: Mixing::new(p, &format!("{name}.mixing"), channels)?,
            coupling: Coupling::new(p, &format!("{name}.coupling"), channels, spec)?,
        })
    }

    /// The output, the log-determinant of each image `[B]`, and that of all images, a scalar.
    fn forward(&self, x: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let mixed = self.mixing.forward(&self.norm.forward(x)?)?;
        let pixels = (x.dim(1)? * x.dim(2)?) as f64;
        let scales = (self.norm.log_scale.sum_all()? + self.mixing.log_determinant()?)?;
        let (out, own) = self.coupling.forward(&mixed, parents)?;
        Ok((out, own, (scales * pixels)?))
    }

    fn inverse(&self, y: &Tensor, parents: &Tensor) -> Result<Tensor> {
        let uncoupled = self.coupling.inverse(y, parents)?;
        self.norm.inverse(&self.mixing.inverse(&uncoupled)?)
    }
}

/// An invertible map between images and standard normal latent variables, given parents in the
/// causal graph: a density of small images in closed form.
///
/// An image value `u` becomes `logit(α + (1 − 2α) u)`; then each level squeezes 2×2 pixels into
/// channels and takes steps of a normalisation, a mixing of the channels and a coupling;
/// after each level but the last one half of the channels leaves as latent variables.
///
/// The normalisation has a scale and a shift per channel, neutral until
/// [`CouplingFlow::initialise`] fits them to a batch.
/// The mixing is a 1×1 convolution `W = P L U`: `P` a fixed permutation, `L` unit lower triangular
/// and `U` upper triangular with a diagonal of fixed signs and trained sizes; it begins as a random
/// rotation.
/// The coupling leaves the first half of the channels as it is and takes the other to
/// `b · exp(s) + t`; `s = bound · tanh(raw / bound)`; raw and `t` come from convolutions over the
/// first half, with the parents added to their inner map, and are 0 at first.
///
/// # References
/// Dinh, Sohl-Dickstein & Bengio 2017, "Density estimation using Real NVP", sections 3 and 4.1
/// (logit with α = 0.05, squeeze, multi-scale latents); Kingma & Dhariwal 2018, "Glow", section 3
/// (normalisation, 1×1 convolution, its LU form in equation 11); conditional on parents as in
/// Pawlowski, Castro & Glocker 2020, "Deep structural causal models", section 3.
/// Deviations: the logit's interval `[α, 1 − α]` is symmetric; latents of early levels have a
/// standard normal prior instead of a learned one, so that they stay exogenous.
pub struct CouplingFlow {
    parameters: Parameters,
    spec: CouplingFlowSpec,
    dtype: DType,
    levels: Vec<Vec<Step>>,
    is_initialised: Var,
}

impl CouplingFlow {
    /// A network with weights drawn for `(seed, run)`: rotations for the mixings, `PyTorch`'s
    /// defaults within couplings but zero at their end.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &CouplingFlowSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &CouplingFlowSpec) -> Result<Self> {
        spec.validate()?;
        let p = &mut parameters;
        let is_initialised = p.add_buffer("is_initialised", &[1], 0.0)?;
        let mut levels = Vec::new();
        for (level, channels) in spec.level_channels().into_iter().enumerate() {
            let steps = (0..spec.steps)
                .map(|step| Step::new(p, &format!("levels.{level}.{step}"), channels, spec));
            levels.push(steps.collect::<Result<_>>()?);
        }
        Ok(Self {
            parameters,
            spec: spec.clone(),
            dtype: is_initialised.dtype(),
            levels,
            is_initialised,
        })
    }

    /// Images to latent variables.
    ///
    /// # Arguments
    /// - `images`: `[B, C, H, W]`, continuous values within
    ///   `(−α / (1 − 2α), 1 + α / (1 − 2α))`; grey levels from 0 to 1 lie well inside
    /// - `parents`: `[B, P]`
    ///
    /// # Returns
    /// The latent variables and the log-determinant with respect to `images`, logit included; not a
    /// number where a value lies outside.
    ///
    /// # Errors
    /// When images or parents have another shape.
    pub fn forward(&self, images: &Tensor, parents: &Tensor) -> Result<FlowOutput> {
        self.run(images, parents, |_, _| Ok(()))
    }

    /// Fits the normalisations, one after the other, so that what leaves each of them has mean 0
    /// and deviation 1 in every channel over these images, and remembers that it did.
    ///
    /// # Errors
    /// When images or parents have another shape.
    ///
    /// # References
    /// Kingma & Dhariwal 2018, section 3.1, after Salimans & Kingma 2016.
    pub fn initialise(&self, images: &Tensor, parents: &Tensor) -> Result<()> {
        self.run(images, parents, |step, x| step.norm.fit(x))?;
        self.is_initialised.set(&self.is_initialised.ones_like()?)?;
        Ok(())
    }

    /// Whether [`CouplingFlow::initialise`] was called; saved with the weights.
    ///
    /// # Errors
    /// When the flag cannot be read back from its device.
    pub fn is_initialised(&self) -> Result<bool> {
        let flag = self.is_initialised.to_dtype(DType::F32)?;
        Ok(flag.to_vec1::<f32>()?.iter().any(|&flag| flag > 0.0))
    }

    fn run(
        &self,
        images: &Tensor,
        parents: &Tensor,
        mut before: impl FnMut(&Step, &Tensor) -> Result<()>,
    ) -> Result<FlowOutput> {
        self.check(images, parents)?;
        let (mut hidden, mut log_determinant) = self.logit(&to_channels_last(images)?)?;
        let mut latents = Vec::new();
        for (level, steps) in self.levels.iter().enumerate() {
            hidden = squeeze(&hidden)?;
            for step in steps {
                before(step, &hidden)?;
                let (out, own, common) = step.forward(&hidden, parents)?;
                hidden = out;
                log_determinant = (log_determinant + own)?.broadcast_add(&common)?;
            }
            if level + 1 < self.levels.len() {
                let [leaves, stays] = halves(&hidden)?;
                latents.push(leaves);
                hidden = stays;
            }
        }
        latents.push(hidden);
        Ok(FlowOutput {
            latents,
            log_determinant,
        })
    }

    /// `y = ln s − ln(1 − s)`, `s = α + (1 − 2α) u`, and `Σ ln ∂y/∂u` of each image.
    fn logit(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        let width = 1.0 - 2.0 * self.spec.alpha;
        let below = images.affine(width, self.spec.alpha)?.log()?;
        let above = images.affine(-width, 1.0 - self.spec.alpha)?.log()?;
        let slope = ((&below + &above)?.neg()? + width.ln())?;
        Ok(((below - above)?, slope.flatten_from(1)?.sum(1)?))
    }

    /// The images `[B, C, H, W]` of latent variables under `parents` `[B, P]`: the inverse of
    /// [`CouplingFlow::forward`], within the open interval named there.
    ///
    /// # Errors
    /// When latents or parents have another shape.
    pub fn inverse(&self, latents: &[Tensor], parents: &Tensor) -> Result<Tensor> {
        self.check_latents(latents, parents)?;
        let mut hidden: Option<Tensor> = None;
        for (steps, latent) in self.levels.iter().zip(latents).rev() {
            let mut joined = match hidden {
                Some(stays) => ctl_compute::ops::concat_channels(&[latent, &stays])?,
                None => latent.clone(),
            };
            for step in steps.iter().rev() {
                joined = step.inverse(&joined, parents)?;
            }
            hidden = Some(unsqueeze(&joined)?);
        }
        let Some(values) = hidden else {
            return fault("levels", "at least 1", "0".into());
        };
        let logistic = ctl_compute::ops::sigmoid(&values)?;
        let width = 1.0 - 2.0 * self.spec.alpha;
        to_channels_first(&logistic.affine(1.0 / width, -self.spec.alpha / width)?)
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &CouplingFlowSpec {
        &self.spec
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Type of the weights, and so of images and parents.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    fn check(&self, images: &Tensor, parents: &Tensor) -> Result<()> {
        let spec = &self.spec;
        let [height, width] = spec.sides;
        let batch = images.dims().first().copied().unwrap_or(0);
        if batch == 0 || images.dims() != [batch, spec.channels, height, width] {
            let found = format!("{:?} for {spec:?}", images.dims());
            return fault("images", "[B, C, height, width]", found);
        }
        self.check_parents(batch, parents)
    }

    fn check_parents(&self, batch: usize, parents: &Tensor) -> Result<()> {
        if parents.dims() == [batch, self.spec.context] {
            return Ok(());
        }
        let (found, width) = (parents.dims(), self.spec.context);
        let found = format!("{found:?} for B = {batch}, P = {width}");
        fault("parents", "[B, P]", found)
    }

    fn check_latents(&self, latents: &[Tensor], parents: &Tensor) -> Result<()> {
        let batch = parents.dims().first().copied().unwrap_or(0);
        self.check_parents(batch, parents)?;
        let expected = self.spec.latent_shapes(batch);
        let fits = batch > 0
            && expected.len() == latents.len()
            && expected.iter().zip(latents).all(|(e, l)| e == l.dims());
        if fits {
            return Ok(());
        }
        let found: Vec<_> = latents.iter().map(Tensor::dims).collect();
        let found = format!("{found:?} for {expected:?}");
        fault("latents", "one [B, h, w, K] per level", found)
    }
}

/// Both halves of the channels.
fn halves(x: &Tensor) -> Result<[Tensor; 2]> {
    let half = x.dim(x.rank() - 1)? / 2;
    let first = x.narrow(x.rank() - 1, 0, half)?.contiguous()?;
    Ok([first, ctl_compute::ops::channels_from(x, half)?])
}

/// `[B, 2h, 2w, C] -> [B, h, w, 4C]`
fn squeeze(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let windows = x.reshape(vec![batch, height / 2, 2, width / 2, 2, channels])?;
    let order = vec![0, 1, 3, 2, 4, 5];
    let shape = (batch, height / 2, width / 2, 4 * channels);
    Ok(windows.permute(order)?.contiguous()?.reshape(shape)?)
}

/// `[B, h, w, 4C] -> [B, 2h, 2w, C]`
fn unsqueeze(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let windows = x.reshape(vec![batch, height, width, 2, 2, channels / 4])?;
    let order = vec![0, 1, 3, 2, 4, 5];
    let shape = (batch, 2 * height, 2 * width, channels / 4);
    Ok(windows.permute(order)?.contiguous()?.reshape(shape)?)
}
