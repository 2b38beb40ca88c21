//! The training steps that are compared with `PyTorch`.
//!
//! A step is forward, loss, backward and Adam in single precision on fixed inputs; noise that a
//! model draws is drawn within the step.
//! `peers/train_step.py` describes the models and holds the same steps in `PyTorch`.

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::{Reduction, binary_cross_entropy, cross_entropy};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{normal, stream, uniform};
use ctl_nets::{
    Architecture, AutoencoderSpec, ConvVae, Hvae, HvaeSpec, Mode, NetError, Network, NetworkSpec,
    Parameters, UNet, UNetSpec,
};

use crate::SEED;

/// The same steps in `PyTorch`, a script for Python 3.10 and later.
pub const PEER: &str = include_str!("../peers/train_step.py");

const RUN: &str = "train_step";
const LEARNING_RATE: f64 = 1e-3;

/// A model whose training step is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Two hidden layers on 256 digits.
    Mlp,
    /// `DomainBed`'s network on 64 digits of two colours.
    MnistCnn,
    /// ResNet-18 on 32 grey images of 64 × 64.
    ResNet18,
    /// A U-Net of five resolutions on 4 grey images of 128 × 128.
    UNet,
    /// A U-Net of three resolutions on one volume of 48 × 48 × 48.
    UNet3d,
    /// A convolutional VAE on 32 grey images of 64 × 64.
    ConvVae,
    /// The hierarchical VAE for `MorphoMNIST` on 32 images of 32 × 32.
    Hvae32,
}

impl Model {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Mlp,
        Self::MnistCnn,
        Self::ResNet18,
        Self::UNet,
        Self::UNet3d,
        Self::ConvVae,
        Self::Hvae32,
    ];

    /// The name in benches, tables and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::MnistCnn => "mnist-cnn",
            Self::ResNet18 => "resnet18",
            Self::UNet => "unet",
            Self::UNet3d => "unet3d",
            Self::ConvVae => "conv-vae",
            Self::Hvae32 => "hvae32",
        }
    }

    /// The model of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }
}

/// A model with its inputs.
enum Work {
    Classify(Box<dyn Network>, Tensor, Tensor),
    Segment(UNet, Tensor, Tensor),
    Reconstruct(ConvVae, Tensor),
    Generate(Box<Hvae>, Tensor, Tensor),
}

/// A model, its inputs and its optimiser, ready to train.
pub struct TrainStep {
    work: Work,
    adam: Adam,
    steps: u64,
}

type Result<T> = std::result::Result<T, NetError>;

impl TrainStep {
    /// Weights and inputs of a model, the same in every run.
    ///
    /// # Errors
    /// When the operators refuse the sizes, which are fixed: never.
    pub fn new(model: Model) -> Result<Self> {
        let work = match model {
            Model::Mlp => classify(Architecture::Mlp, [256, 1, 28, 10])?,
            Model::MnistCnn => classify(Architecture::MnistCnn, [64, 2, 28, 2])?,
            Model::ResNet18 => classify(Architecture::ResNet18, [32, 1, 64, 2])?,
            Model::UNet => segment(&UNetSpec::images(1, 1), &[4, 1, 128, 128])?,
            Model::UNet3d => segment(&UNetSpec::volumes(1, 1), &[1, 1, 48, 48, 48])?,
            Model::ConvVae => {
                let network = ConvVae::new(&AutoencoderSpec::grey_64(), SEED, RUN)?;
                Work::Reconstruct(network, symmetric("images", &[32, 1, 64, 64])?)
            }
            Model::Hvae32 => {
                let network = Hvae::new(&HvaeSpec::morphomnist(), SEED, RUN)?;
                let images = symmetric("images", &[32, 1, 32, 32])?;
                Work::Generate(Box::new(network), images, symmetric("parents", &[32, 12])?)
            }
        };
        let settings = AdamParams {
            learning_rate: LEARNING_RATE,
            ..AdamParams::default()
        };
        let adam = Adam::new(work.parameters().trained(), settings)?;
        Ok(Self {
            work,
            adam,
            steps: 0,
        })
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        self.work.parameters().count()
    }

    /// Makes one step.
    ///
    /// # Returns
    /// The loss before it.
    ///
    /// # Errors
    /// When the operators refuse the sizes, which are fixed: never.
    pub fn run(&mut self) -> Result<f32> {
        let loss = self.work.loss(self.steps)?;
        self.adam.step(&loss.backward()?)?;
        self.steps += 1;
        Ok(loss.to_scalar()?)
    }
}

impl Work {
    fn parameters(&self) -> &Parameters {
        match self {
            Self::Classify(network, ..) => network.parameters(),
            Self::Segment(network, ..) => network.parameters(),
            Self::Reconstruct(network, _) => network.parameters(),
            Self::Generate(network, ..) => network.parameters(),
        }
    }

    fn loss(&self, step: u64) -> Result<Tensor> {
        let mut noise = stream(SEED, RUN, &format!("noise of step {step}"));
        match self {
            Self::Classify(network, images, labels) => {
                let outputs = network.forward(images.into(), Mode::Train)?.outputs;
                Ok(cross_entropy(&outputs, labels, Reduction::Mean)?)
            }
            Self::Segment(network, images, masks) => {
                let outputs = network.logits(images, Mode::Train)?;
                Ok(binary_cross_entropy(&outputs, masks, Reduction::Mean)?)
            }
            Self::Reconstruct(network, images) => {
                let shape = (images.dims()[0], network.spec().latent);
                let noise = normal(&mut noise, shape, 0.0, 1.0)?;
                network.reconstruct(images, &noise)?.loss(images)
            }
            Self::Generate(network, images, parents) => {
                let noise = network.draw_noise(images.dims()[0], &mut noise)?;
                network.forward(images, parents, &noise)?.loss(1.0)
            }
        }
    }
}

/// Values on [-1, 1).
fn symmetric(purpose: &str, shape: &[usize]) -> Result<Tensor> {
    let mut rng = stream(SEED, RUN, purpose);
    Ok(uniform(&mut rng, shape, (-1.0, 1.0))?)
}

fn classify(
    architecture: Architecture,
    [batch, channels, side, outputs]: [usize; 4],
) -> Result<Work> {
    let spec = NetworkSpec {
        architecture,
        channels,
        height: side,
        width: side,
        outputs,
        attributes: 0,
        hidden: None,
    };
    let images = symmetric("images", &[batch, channels, side, side])?;
    let labels: Vec<u32> = (0..batch).map(|row| (row % outputs) as u32).collect();
    let labels = Tensor::from_vec(labels, batch, &Device::Cpu)?;
    Ok(Work::Classify(spec.build(SEED, RUN)?, images, labels))
}

fn segment(spec: &UNetSpec, shape: &[usize]) -> Result<Work> {
    let images = symmetric("images", shape)?;
    let masks = symmetric("masks", shape)?.gt(0.0)?.to_dtype(DType::F32)?;
    Ok(Work::Segment(UNet::new(spec, SEED, RUN)?, images, masks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the script in `peers` prints them.
    #[test]
    fn models_have_the_sizes_of_their_peers() {
        for (model, count) in [
            (Model::Mlp, 269_322),
            (Model::MnistCnn, 371_394),
            (Model::ResNet18, 11_171_266),
            (Model::UNet, 1_942_289),
            (Model::UNet3d, 85_177),
            (Model::ConvVae, 2_168_641),
            (Model::Hvae32, 2_040_594),
        ] {
            assert_eq!(
                TrainStep::new(model).unwrap().parameters(),
                count,
                "{model:?}"
            );
        }
    }

    #[test]
    fn steps_lower_the_loss() {
        for model in [Model::Mlp, Model::Hvae32] {
            let mut step = TrainStep::new(model).unwrap();
            let first = step.run().unwrap();
            let last = (0..2).map(|_| step.run().unwrap()).last().unwrap();
            assert!(last < first, "{model:?}: {first} to {last}");
        }
    }

    #[test]
    fn names_read_back_and_the_peer_knows_them() {
        for model in Model::ALL {
            assert_eq!(Model::from_name(model.name()), Some(model));
            assert!(
                PEER.contains(&format!("\"{}\": (", model.name())),
                "{model:?}"
            );
        }
        assert_eq!(Model::from_name("resnet"), None);
    }
}
