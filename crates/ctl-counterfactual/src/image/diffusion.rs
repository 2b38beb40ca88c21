//! The image as the end of a deterministic denoising path that begins at its noise.

mod bound;
mod config;
mod steps;
#[cfg(test)]
mod tests;

pub use config::{DiffusionConfig, NoiseSchedule, Prediction};

use candle_core::{Device, Tensor};
use ctl_compute::random::normal;
use ctl_nets::{DiffusionUNet, DiffusionUNetSpec, Parameters};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::steps::DdimStep;
use super::{ImageLoss, ImageMechanism, ImageNoise, check_inputs};
use crate::{CounterfactualError, Result};

/// Images with noise, at a time of their own each.
struct Noised {
    /// `a x₀ + σ ε`
    images: Tensor,
    noise: Tensor,
    /// `a = √ᾱ`, `[B, 1, 1, 1]`.
    signal: Tensor,
    /// `σ = √(1 − ᾱ)`, `[B, 1, 1, 1]`.
    deviation: Tensor,
}

/// A conditional denoising diffusion model whose exogenous noise is `x_T` of the deterministic path.
///
/// Abduction follows the path of the factual image under its parents up to `x_T`; prediction goes
/// back down under the parents that are asked for, with classifier-free guidance. Nothing is drawn in
/// either. Both are steps of one ordinary differential equation, so that they undo each other the
/// better the more steps are taken, at guidance 1.
///
/// Training predicts the noise, or the velocity, of images at a uniformly drawn time, and withholds
/// the parents of some of them, which makes the same network the unconditional model as well.
///
/// Images have values from 0 to 1 outside and from −1 to 1 inside.
///
/// # References
/// Sanchez & Tsaftaris 2022, "Diffusion causal models for counterfactual estimation", algorithm 1;
/// Ho, Jain & Abbeel 2020, equation 14 (loss); Song, Meng & Ermon 2021, section 4.3 (inversion); Ho &
/// Salimans 2022, "Classifier-free diffusion guidance", with weights one higher than their equation 6
/// has.
/// Deviations: parents are inputs of the network with guidance free of a classifier, where the first
/// trains a classifier beside an unconditional model; abduction is under the factual parents; a step
/// of the inversion asks the network for the time that it goes to, for which prediction asks as well,
/// and can be corrected (`refinements`); the network says velocities unless noise is asked for.
pub struct DiffusionMechanism {
    network: DiffusionUNet,
    config: DiffusionConfig,
    alpha_bars: Vec<f64>,
    steps: Vec<DdimStep>,
}

impl DiffusionMechanism {
    /// A mechanism with weights drawn for `(seed, run)`.
    ///
    /// # Arguments
    /// - `shape`: channels, height and width of the images
    /// - `parent_width`: width of the encoded parents, at least 1
    ///
    /// # Errors
    /// When a setting is out of range, or the images are not of a size that the network halves.
    pub fn new(
        config: &DiffusionConfig,
        shape: [usize; 3],
        parent_width: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), config, shape, parent_width)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// As [`DiffusionMechanism::new`].
    pub fn from_parameters(
        parameters: Parameters,
        config: &DiffusionConfig,
        [channels, height, width]: [usize; 3],
        parent_width: usize,
    ) -> Result<Self> {
        config.validate()?;
        let spec = DiffusionUNetSpec {
            channels,
            sides: [height, width],
            widths: config.widths.clone(),
            context: parent_width,
            time: config.embedding,
        };
        let alpha_bars = config.schedule.alpha_bars(config.train_steps);
        Ok(Self {
            network: DiffusionUNet::from_parameters(parameters, &spec)?,
            steps: DdimStep::all(&alpha_bars, config.sampling_steps, config.prediction),
            config: config.clone(),
            alpha_bars,
        })
    }

    /// Settings of the mechanism.
    pub fn config(&self) -> &DiffusionConfig {
        &self.config
    }

    /// The network.
    pub fn network(&self) -> &DiffusionUNet {
        &self.network
    }

    /// Images on `[−1, 1]` and parents in the network's precision.
    fn checked(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        check_inputs(self, Some(images), parents)?;
        let dtype = self.network.dtype();
        let images = images.to_dtype(dtype)?.affine(2.0, -1.0)?;
        Ok((images, parents.to_dtype(dtype)?))
    }

    fn noised(&self, images: &Tensor, times: &[usize], rng: &mut ChaCha8Rng) -> Result<Noised> {
        let noise = normal(rng, images.shape(), 0.0, 1.0)?.to_dtype(images.dtype())?;
        let column = |of: &dyn Fn(f64) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = times.iter().map(|&t| of(self.alpha_bars[t])).collect();
            let column = Tensor::from_vec(values, (times.len(), 1, 1, 1), &Device::Cpu)?;
            Ok(column.to_dtype(images.dtype())?)
        };
        let signal = column(&f64::sqrt)?;
        let deviation = column(&|share| (1.0 - share).sqrt())?;
        let scaled = noise.broadcast_mul(&deviation)?;
        Ok(Noised {
            images: (images.broadcast_mul(&signal)? + scaled)?,
            noise,
            signal,
            deviation,
        })
    }

    /// What the network says of noisy images.
    fn ask(
        &self,
        noisy: &Tensor,
        times: &[usize],
        parents: &Tensor,
        present: &[bool],
    ) -> Result<Tensor> {
        let times: Vec<f64> = times.iter().map(|&time| time as f64).collect();
        Ok(self.network.forward(noisy, &times, parents, present)?)
    }

    /// What it says of all at one time, with or without their parents.
    fn ask_all(&self, noisy: &Tensor, time: usize, parents: &Tensor, seen: bool) -> Result<Tensor> {
        let batch = noisy.dim(0)?;
        // Sampling needs no gradients: without this the graphs of all steps would be kept.
        let output = self.ask(noisy, &vec![time; batch], parents, &vec![seen; batch])?;
        Ok(output.detach())
    }

    /// `o(∅) + w (o(parents) − o(∅))`
    #[expect(
        clippy::float_cmp,
        reason = "the one weight at which the second pass is saved"
    )]
    fn ask_guided(&self, noisy: &Tensor, time: usize, parents: &Tensor) -> Result<Tensor> {
        let conditional = self.ask_all(noisy, time, parents, true)?;
        if self.config.guidance == 1.0 {
            return Ok(conditional);
        }
        let plain = self.ask_all(noisy, time, parents, false)?;
        Ok(((conditional - &plain)? * self.config.guidance)?.add(&plain)?)
    }

    /// The image that an output stands for.
    fn image_of(&self, noised: &Noised, output: &Tensor) -> Result<Tensor> {
        let Noised {
            images,
            signal,
            deviation,
            ..
        } = noised;
        let scaled = output.broadcast_mul(deviation)?;
        Ok(match self.config.prediction {
            Prediction::Noise => (images - scaled)?.broadcast_div(signal)?,
            Prediction::Velocity => (images.broadcast_mul(signal)? - scaled)?,
        })
    }

    /// What the network is to say of noisy images.
    fn target(&self, images: &Tensor, noised: &Noised) -> Result<Tensor> {
        Ok(match self.config.prediction {
            Prediction::Noise => noised.noise.clone(),
            Prediction::Velocity => {
                let image = images.broadcast_mul(&noised.deviation)?;
                (noised.noise.broadcast_mul(&noised.signal)? - image)?
            }
        })
    }

    fn check_noise(&self, noise: &ImageNoise, batch: usize) -> Result<Tensor> {
        let [channels, height, width] = self.shape();
        let expected = [batch, channels, height, width];
        match (&noise.latents[..], &noise.residual) {
            ([latent], None) if latent.dims() == expected => {
                Ok(latent.to_dtype(self.network.dtype())?)
            }
            (latents, residual) => {
                let found: Vec<_> = latents.iter().map(Tensor::dims).collect();
                let rest = if residual.is_some() {
                    " and a residual"
                } else {
                    ""
                };
                Err(CounterfactualError::Shape {
                    subject: "noise of a diffusion",
                    expected: format!("one latent {expected:?} alone"),
                    found: format!("{found:?}{rest}"),
                })
            }
        }
    }
}

impl ImageMechanism for DiffusionMechanism {
    fn shape(&self) -> [usize; 3] {
        let spec = self.network.spec();
        [spec.channels, spec.sides[0], spec.sides[1]]
    }

    fn parent_width(&self) -> usize {
        self.network.spec().context
    }

    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn fine_tuning_obstacle(&self) -> Option<&'static str> {
        Some("its sampling is not differentiated")
    }

    /// The mean squared error of what the network says at uniform times from 1 to `T`, its one term
    /// `noise` or `velocity`.
    fn loss(
        &self,
        images: &Tensor,
        parents: &Tensor,
        _step: u64,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageLoss> {
        let (images, parents) = self.checked(images, parents)?;
        let batch = images.dim(0)?;
        let last = self.alpha_bars.len() - 1;
        let times: Vec<usize> = (0..batch).map(|_| rng.random_range(1..=last)).collect();
        let present: Vec<bool> = (0..batch)
            .map(|_| rng.random::<f64>() >= self.config.dropped)
            .collect();
        let noised = self.noised(&images, &times, rng)?;
        let output = self.ask(&noised.images, &times, &parents, &present)?;
        let total = (output - self.target(&images, &noised)?)?
            .sqr()?
            .mean_all()?;
        let name = match self.config.prediction {
            Prediction::Noise => "noise",
            Prediction::Velocity => "velocity",
        };
        Ok(ImageLoss {
            terms: vec![(name, total.clone())],
            total,
        })
    }

    /// An unbiased estimate of the variational lower bound of `ln P` of the grey levels, for the
    /// model that generates with random steps of the posterior's variance: `bound_draws + 1` passes
    /// through the network, none and no bound with 0 draws.
    fn log_prob(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Vec<f64>>> {
        let (images, parents) = self.checked(images, parents)?;
        if self.config.bound_draws == 0 {
            return Ok(None);
        }
        let bound = bound::estimate(self, &images, &parents, rng)?;
        Ok(Some(bound.log_probs()))
    }

    /// `x_T`, `[B, C, H, W]`, the one latent; draws nothing.
    fn abduct(
        &self,
        images: &Tensor,
        parents: &Tensor,
        _rng: &mut ChaCha8Rng,
    ) -> Result<ImageNoise> {
        let (mut hidden, parents) = self.checked(images, parents)?;
        for step in &self.steps {
            let mut later = hidden.clone();
            for _ in 0..=self.config.refinements {
                let output = self.ask_all(&later, step.time, &parents, true)?;
                later = step.invert(&hidden, &output)?;
            }
            hidden = later;
        }
        Ok(ImageNoise {
            latents: vec![hidden.detach()],
            residual: None,
        })
    }

    fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<ImageNoise> {
        let [channels, height, width] = self.shape();
        let drawn = normal(rng, (batch, channels, height, width), 0.0, 1.0)?;
        Ok(ImageNoise {
            latents: vec![drawn.to_dtype(self.network.dtype())?],
            residual: None,
        })
    }

    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor> {
        let batch = check_inputs(self, None, parents)?;
        let mut hidden = self.check_noise(noise, batch)?;
        let parents = parents.to_dtype(self.network.dtype())?;
        for step in self.steps.iter().rev() {
            let output = self.ask_guided(&hidden, step.time, &parents)?;
            hidden = step.generate(&hidden, &output)?;
        }
        Ok(hidden.detach().affine(0.5, 0.5)?.clamp(0.0, 1.0)?)
    }
}
