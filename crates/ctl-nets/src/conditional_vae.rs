//! A variational autoencoder of images that come about from parents.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use serde::{Deserialize, Serialize};

use crate::layers::{Conv, ConvSize, Linear, TransposedConv, to_channels_first, to_channels_last};
use crate::likelihood::DiscretisedGaussian;
use crate::{NetError, Parameters, Result};

/// Sizes of a [`ConditionalVae`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConditionalVaeSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height and width of the images in pixels, positive multiples of 2 to the number of widths.
    pub sides: [usize; 2],
    /// Number of parents; 0 makes it an ordinary variational autoencoder.
    pub context: usize,
    /// Channels after each halving of the sides, at least one of them.
    pub widths: Vec<usize>,
    /// Width of the layer between the innermost map and the latent variables, at least 1.
    pub hidden: usize,
    /// Number of latent variables, at least 1.
    pub latent: usize,
}

impl ConditionalVaeSpec {
    fn validate(&self) -> Result<()> {
        let sizes = [self.channels, self.hidden, self.latent];
        if sizes.contains(&0) {
            return fault(
                "channels, hidden, latent",
                "at least 1",
                format!("{sizes:?}"),
            );
        }
        if self.widths.is_empty() || self.widths.contains(&0) {
            let found = format!("{:?}", self.widths);
            return fault("widths", "at least one size of at least 1", found);
        }
        let halvings = u32::try_from(self.widths.len()).unwrap_or(u32::MAX);
        let fits = |&side: &usize| side > 0 && side.trailing_zeros() >= halvings;
        if !self.sides.iter().all(fits) {
            let expected = "positive multiples of 2 to the number of widths";
            return fault("sides", expected, format!("{:?}", self.sides));
        }
        Ok(())
    }

    fn inner_sides(&self) -> [usize; 2] {
        self.sides.map(|side| side >> self.widths.len())
    }

    /// Width of the innermost map.
    fn inner_width(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }
}

/// What a [`ConditionalVae`] says about images.
#[derive(Clone, Debug)]
pub struct ConditionalVaeOutput {
    /// `−ln p(x | z, parents)` of each image, mean over its values, `[B]`.
    pub distortion: Tensor,
    /// `KL(q(z | x, parents) ‖ N(0, 1))` of each image, divided by its number of values, `[B]`.
    pub kl: Tensor,
    /// The latent variables that were drawn, `[B, Z]`.
    pub latents: Tensor,
}

impl ConditionalVaeOutput {
    /// The negative evidence lower bound per image value, with the KL term times `beta`.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn loss(&self, beta: f64) -> Result<Tensor> {
        Ok(((self.kl.mean_all()? * beta)? + self.distortion.mean_all()?)?)
    }
}

/// Strided convolutions and two linear layers to a Gaussian over latent variables, and their mirror
/// image back; parents join the latent variables on both ways.
///
/// Each halving is a 4×4 convolution of stride 2 and a 3×3 one, each doubling a 3×3 one and a
/// transposed 4×4 one, all with `ReLU`; the last map gives a discretised Gaussian over grey values,
/// mean and deviation pixel by pixel, as in [`crate::Hvae`].
///
/// # References
/// Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative
/// models", with a prior that does not depend on the parents: the latent variables are exogenous
/// (Pawlowski et al. 2020, section 3.1, amortised explicit mechanism).
pub struct ConditionalVae {
    parameters: Parameters,
    spec: ConditionalVaeSpec,
    encoder: Vec<[Conv; 2]>,
    squeeze: Linear,
    law: Linear,
    expand: [Linear; 2],
    decoder: Vec<(Conv, TransposedConv)>,
    likelihood: DiscretisedGaussian,
}

fn halving(inputs: usize, outputs: usize) -> ConvSize {
    ConvSize {
        dimensions: 2,
        inputs,
        outputs,
        kernel: 4,
        stride: 2,
        padding: 1,
    }
}

impl ConditionalVae {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &ConditionalVaeSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &ConditionalVaeSpec) -> Result<Self> {
        spec.validate()?;
        let p = &mut parameters;
        let mut encoder = Vec::new();
        let mut inputs = spec.channels;
        for (index, &width) in spec.widths.iter().enumerate() {
            let down = Conv::biased(p, &format!("encoder{index}.down"), halving(inputs, width))?;
            let same = ConvSize::three(width, width, 1);
            encoder.push([
                down,
                Conv::biased(p, &format!("encoder{index}.same"), same)?,
            ]);
            inputs = width;
        }
        let flat = spec.inner_width() * spec.inner_sides().iter().product::<usize>();
        let squeeze = Linear::new(p, "squeeze", flat + spec.context, spec.hidden)?;
        let law = Linear::new(p, "latent", spec.hidden, 2 * spec.latent)?;
        let expand = [
            Linear::new(p, "expand0", spec.latent + spec.context, spec.hidden)?,
            Linear::new(p, "expand1", spec.hidden, flat)?,
        ];
        let mut decoder = Vec::new();
        let first = spec.widths[0];
        let narrower = spec.widths.iter().rev().skip(1).copied();
        for (index, outputs) in narrower.chain([first]).enumerate() {
            let same = ConvSize::three(inputs, inputs, 1);
            let same = Conv::biased(p, &format!("decoder{index}.same"), same)?;
            let up = halving(inputs, outputs);
            let up = TransposedConv::new(p, &format!("decoder{index}.up"), up)?;
            decoder.push((same, up));
            inputs = outputs;
        }
        let likelihood = DiscretisedGaussian::new(p, first, spec.channels)?;
        Ok(Self {
            parameters,
            spec: spec.clone(),
            encoder,
            squeeze,
            law,
            expand,
            decoder,
            likelihood,
        })
    }

    /// Mean and log variance of the latent variables, each `[B, Z]`, of images `[B, C, H, W]` on
    /// `[−1, 1]` with parents `[B, P]`.
    ///
    /// # Errors
    /// When images or parents have another shape.
    pub fn encode(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check(images, parents)?;
        let mut hidden = to_channels_last(images)?;
        for [down, same] in &self.encoder {
            hidden = down.forward_with(&hidden, Activation::Relu)?;
            hidden = same.forward_with(&hidden, Activation::Relu)?;
        }
        let flat = to_channels_first(&hidden)?.flatten_from(1)?;
        let hidden = self.squeeze.forward_relu(&self.joined(&flat, parents)?)?;
        let law = self.law.forward(&hidden)?;
        let part =
            |start| -> Result<Tensor> { Ok(law.narrow(1, start, self.spec.latent)?.contiguous()?) };
        Ok((part(0)?, part(self.spec.latent)?))
    }

    /// Mean and log standard deviation of the images, each `[B, C, H, W]`, that latent variables
    /// `[B, Z]` stand for under parents `[B, P]`.
    ///
    /// # Errors
    /// When latents or parents have another shape.
    pub fn decode(&self, latents: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        let hidden = self.hidden(latents, parents)?;
        let (mean, log_scale) = self.likelihood.moments(&hidden)?;
        Ok((to_channels_first(&mean)?, to_channels_first(&log_scale)?))
    }

    /// The evidence lower bound of images `[B, C, H, W]` on `[−1, 1]` with parents `[B, P]`.
    ///
    /// # Arguments
    /// - `noise`: standard normal values `[B, Z]`
    ///
    /// # Errors
    /// When images, parents or noise have another shape.
    pub fn forward(
        &self,
        images: &Tensor,
        parents: &Tensor,
        noise: &Tensor,
    ) -> Result<ConditionalVaeOutput> {
        let (mean, log_variance) = self.encode(images, parents)?;
        let latents = (&mean + (&log_variance * 0.5)?.exp()?.mul(noise)?)?;
        let hidden = self.hidden(&latents, parents)?;
        let distortion = self
            .likelihood
            .negative_log(&hidden, &to_channels_last(images)?)?;
        let values = (images.elem_count() / images.dims()[0]) as f64;
        let spread = (mean.sqr()? + log_variance.exp()?)?;
        let kl = ((spread - &log_variance)? - 1.0)?.sum(1)?;
        Ok(ConditionalVaeOutput {
            distortion,
            kl: (kl * (0.5 / values))?,
            latents,
        })
    }

    /// The last map of the decoder, `[B, H, W, width]`.
    fn hidden(&self, latents: &Tensor, parents: &Tensor) -> Result<Tensor> {
        let batch = parents.dims().first().copied().unwrap_or(0);
        if latents.dims() != [batch, self.spec.latent] || batch == 0 {
            let found = format!("{:?} for parents {:?}", latents.dims(), parents.dims());
            return fault("latents", "[B, Z]", found);
        }
        self.check_parents(parents, batch)?;
        let hidden = self.expand[0].forward_relu(&self.joined(latents, parents)?)?;
        let flat = self.expand[1].forward_relu(&hidden)?;
        let [height, width] = self.spec.inner_sides();
        let shape = (batch, self.spec.inner_width(), height, width);
        let mut hidden = to_channels_last(&flat.reshape(shape)?)?;
        for (same, up) in &self.decoder {
            hidden = same.forward_with(&hidden, Activation::Relu)?;
            hidden = up.forward_with(&hidden, Activation::Relu)?;
        }
        Ok(hidden)
    }

    fn joined(&self, values: &Tensor, parents: &Tensor) -> Result<Tensor> {
        if self.spec.context == 0 {
            return Ok(values.clone());
        }
        Ok(Tensor::cat(&[values, parents], 1)?)
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &ConditionalVaeSpec {
        &self.spec
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn check(&self, images: &Tensor, parents: &Tensor) -> Result<()> {
        let [height, width] = self.spec.sides;
        let &[batch, channels, h, w] = images.dims() else {
            return fault("images", "[B, C, H, W]", format!("{:?}", images.dims()));
        };
        if batch == 0 || [channels, h, w] != [self.spec.channels, height, width] {
            let found = format!("{:?} for {:?}", images.dims(), self.spec);
            return fault("images", "[B, C, H, W]", found);
        }
        self.check_parents(parents, batch)
    }

    fn check_parents(&self, parents: &Tensor, batch: usize) -> Result<()> {
        if parents.dims() == [batch, self.spec.context] {
            return Ok(());
        }
        let found = format!("{:?} for {:?}", parents.dims(), [batch, self.spec.context]);
        fault("parents", "[B, P]", found)
    }
}

fn fault<T>(key: &'static str, expected: &'static str, found: String) -> Result<T> {
    Err(NetError::Size {
        architecture: "conditional-vae",
        key,
        expected,
        found,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_compute::random::{normal, stream, uniform};

    use super::*;

    fn spec(context: usize) -> ConditionalVaeSpec {
        ConditionalVaeSpec {
            channels: 1,
            sides: [8, 4],
            context,
            widths: vec![3, 5],
            hidden: 7,
            latent: 2,
        }
    }

    fn inputs(dtype: DType) -> [Tensor; 3] {
        let rng = &mut stream(0, "t", "inputs");
        let images = uniform(rng, (2, 1, 8, 4), (-1.0, 1.0)).unwrap();
        let parents = normal(rng, (2, 3), 0.0, 1.0).unwrap();
        let noise = normal(rng, (2, 2), 0.0, 1.0).unwrap();
        [images, parents, noise].map(|t| t.to_dtype(dtype).unwrap())
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let parameters = Parameters::new(0, "t").in_double_precision();
        let vae = ConditionalVae::from_parameters(parameters, &spec(3)).unwrap();
        let [images, parents, noise] = inputs(DType::F64);
        let loss = || {
            let out = vae.forward(&images, &parents, &noise).unwrap();
            out.loss(0.7).unwrap()
        };
        let gradients = loss().backward().unwrap();
        for (var, (name, _)) in vae
            .parameters()
            .trained()
            .iter()
            .zip(vae.parameters().shapes())
        {
            let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
            let gradient = gradient.to_vec1::<f64>().unwrap();
            let start = var.as_tensor().copy().unwrap();
            let flat = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let index = flat.len() / 2;
            let at = |by: f64| {
                let mut moved = flat.clone();
                moved[index] += by;
                let moved = Tensor::from_vec(moved, start.shape(), &Device::Cpu).unwrap();
                var.set(&moved).unwrap();
                loss().to_scalar::<f64>().unwrap()
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            var.set(&start).unwrap();
            let error = (gradient[index] - slope).abs();
            assert!(
                error < 1e-6 * (1.0 + slope.abs()),
                "{name}: {} {slope}",
                gradient[index]
            );
        }
    }

    /// By hand: `½ Σ (μ² + σ² − ln σ² − 1) / n`, from what `encode` says.
    #[test]
    fn divergence_by_hand_and_what_is_drawn() {
        let vae = ConditionalVae::new(&spec(3), 0, "t").unwrap();
        let [images, parents, noise] = inputs(DType::F32);
        let (mean, log_variance) = vae.encode(&images, &parents).unwrap();
        let out = vae.forward(&images, &parents, &noise).unwrap();
        let read = |t: &Tensor| t.to_vec2::<f32>().unwrap();
        let (mean, log_variance, noise) = (read(&mean), read(&log_variance), read(&noise));
        for row in 0..2 {
            let kl: f32 = (0..2)
                .map(|z| {
                    let (m, l) = (mean[row][z], log_variance[row][z]);
                    0.5 * (m * m + l.exp() - l - 1.0)
                })
                .sum();
            let found = out.kl.to_vec1::<f32>().unwrap()[row];
            assert!((found - kl / 32.0).abs() < 1e-6, "{found} {kl}");
            for z in 0..2 {
                let drawn = mean[row][z] + (log_variance[row][z] / 2.0).exp() * noise[row][z];
                assert!((read(&out.latents)[row][z] - drawn).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn parents_matter_and_may_be_none() {
        let vae = ConditionalVae::new(&spec(3), 0, "t").unwrap();
        let [images, parents, noise] = inputs(DType::F32);
        let other = (&parents + 1.0).unwrap();
        let mean = |parents: &Tensor| {
            let image = vae.decode(&noise, parents).unwrap().0;
            assert_eq!(image.dims(), images.dims());
            image.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_ne!(mean(&parents), mean(&other));
        let free = ConditionalVae::new(&spec(0), 0, "t").unwrap();
        let none = Tensor::zeros((2, 0), DType::F32, &Device::Cpu).unwrap();
        let out = free.forward(&images, &none, &noise).unwrap();
        assert!(
            out.loss(1.0)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
                .is_finite()
        );
        assert!(free.encode(&images, &parents).is_err());
    }

    #[test]
    fn ill_sizes_are_errors() {
        let new = |spec: ConditionalVaeSpec| ConditionalVae::new(&spec, 0, "t").map(|_| ());
        for bad in [
            ConditionalVaeSpec {
                channels: 0,
                ..spec(1)
            },
            ConditionalVaeSpec {
                sides: [6, 4],
                ..spec(1)
            },
            ConditionalVaeSpec {
                widths: vec![],
                ..spec(1)
            },
            ConditionalVaeSpec {
                latent: 0,
                ..spec(1)
            },
        ] {
            assert!(new(bad.clone()).is_err(), "{bad:?}");
        }
        let vae = ConditionalVae::new(&spec(3), 0, "t").unwrap();
        let [images, parents, noise] = inputs(DType::F32);
        assert!(
            vae.encode(&images.narrow(3, 0, 2).unwrap(), &parents)
                .is_err()
        );
        assert!(
            vae.encode(&images, &parents.narrow(0, 0, 1).unwrap())
                .is_err()
        );
        assert!(
            vae.decode(&noise.narrow(1, 0, 1).unwrap(), &parents)
                .is_err()
        );
        assert!(
            vae.decode(&noise, &parents.narrow(1, 0, 1).unwrap())
                .is_err()
        );
    }
}
