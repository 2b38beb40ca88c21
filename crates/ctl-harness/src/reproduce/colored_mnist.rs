//! `ColoredMNIST` exactly as the IRM and `REx` papers ran it.

use std::path::Path;

use candle_core::{Device, Tensor};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{permutation, stream};
use ctl_imaging::idx::read_idx;
use ctl_invariance::methods::erm::Erm;
use ctl_invariance::methods::irm::{Irm, IrmConfig, PenaltyForm};
use ctl_invariance::methods::mm_rex::{MmRex, MmRexConfig};
use ctl_invariance::methods::v_rex::{VRex, VRexConfig};
use ctl_invariance::{BinaryLogistic, EnvironmentOutputs, Objective, Step};
use ctl_nets::{Mlp, MlpSpec, Mode, Network};
use rand::RngExt;

use crate::{HarnessError, Result};

const TRAINING_DIGITS: usize = 50_000;
const ALL_DIGITS: usize = 60_000;
const SIDE: usize = 14;
const PIXELS: usize = SIDE * SIDE;
const LABEL_NOISE: f64 = 0.25;
/// Colour flips of the two training environments and the test environment.
const COLOUR_FLIPS: [f64; 3] = [0.2, 0.1, 0.9];
/// Digits below this are class 1.
const CLASS_BOUNDARY: u8 = 5;
/// Floating-point operations of a training step per weight and sample, forward and backward.
const OPERATIONS_PER_WEIGHT: f64 = 6.0;

/// Files of MNIST's training digits and their shapes.
const FILES: [(&str, &[usize]); 2] = [
    ("train-images-idx3-ubyte", &[ALL_DIGITS, 28, 28]),
    ("train-labels-idx1-ubyte", &[ALL_DIGITS]),
];
/// Raised when a recipe is trained differently than before, so that results of then are not taken
/// for results of now.
pub(super) const REVISION: u32 = 2;

/// How one row of the published tables was trained.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Recipe {
    /// Row of the ledger.
    pub row: &'static str,
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Weight of the squared norm of all weights.
    pub l2: f64,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// Steps with penalty weight 1 before the full weight sets in.
    pub anneal_steps: u64,
    /// Full penalty weight.
    pub penalty_weight: f64,
    /// Number of full-batch steps.
    pub steps: u64,
}

const RECIPES: [(&str, &[Recipe]); 2] = [
    (
        "irm-colored-mnist",
        &[
            Recipe {
                row: "erm",
                hidden: 256,
                l2: 0.001,
                learning_rate: 0.001,
                anneal_steps: 0,
                penalty_weight: 0.0,
                steps: 501,
            },
            Recipe {
                row: "irm",
                hidden: 390,
                l2: 0.001_107_945_68,
                learning_rate: 0.000_489_853_656_654_683_4,
                anneal_steps: 190,
                penalty_weight: 91_257.186_131_158_9,
                steps: 501,
            },
            Recipe {
                row: "greyscale",
                hidden: 83,
                l2: 0.000_860_286_886_528_838_3,
                learning_rate: 0.002_817_148_813_382_172_6,
                anneal_steps: 0,
                penalty_weight: 0.0,
                steps: 101,
            },
        ],
    ),
    (
        "rex-colored-mnist",
        &[
            Recipe {
                row: "v-rex",
                hidden: 256,
                l2: 0.001,
                learning_rate: 0.001,
                anneal_steps: 100,
                penalty_weight: 10_000.0,
                steps: 501,
            },
            Recipe {
                row: "mm-rex",
                hidden: 256,
                l2: 0.001,
                learning_rate: 0.001,
                anneal_steps: 100,
                penalty_weight: 10_000.0,
                steps: 501,
            },
        ],
    ),
];

/// The recipes of an experiment, none where it is another protocol.
pub fn recipes(experiment: &str) -> &'static [Recipe] {
    RECIPES
        .iter()
        .find(|(id, _)| *id == experiment)
        .map_or(&[], |(_, recipes)| recipes)
}

impl Recipe {
    fn channels(&self) -> usize {
        if self.row == "greyscale" { 1 } else { 2 }
    }

    /// Floating-point operations of one restart, nearly all of them in training.
    pub fn operations(&self) -> f64 {
        let inputs = (self.channels() * PIXELS) as f64;
        let hidden = self.hidden as f64;
        // The input's gradient is not needed: two thirds of the work for the first layer.
        let weights = inputs * hidden * 2.0 / 3.0 + hidden * hidden + hidden;
        weights * OPERATIONS_PER_WEIGHT * TRAINING_DIGITS as f64 * self.steps as f64
    }

    /// The objective on the mean of the two risks that equals the published one up to a factor,
    /// and that factor: the `REx` paper adds the two risks.
    ///
    /// With two environments `R₁ + R₂ + β(R₁ − R₂)²` is `2·(mean R + 2β·Var R)`, and
    /// `R₁ + R₂ + β|R₁ − R₂|` is `2·((1 − 2λ) max R + λ ΣR)` with `λ = (1 − β) / 2`.
    fn objective(&self) -> (Box<dyn Objective>, f64) {
        let (before, weight) = (1.0, self.penalty_weight);
        match self.row {
            "irm" => {
                let config = IrmConfig {
                    penalty_weight: weight,
                    penalty_weight_before: before,
                    anneal_steps: self.anneal_steps,
                    penalty: PenaltyForm::Paper,
                    rescale: false,
                    reset_optimiser: false,
                };
                (Box::new(Irm::new(config)), 1.0)
            }
            "v-rex" => {
                let config = VRexConfig {
                    penalty_weight: 2.0 * weight,
                    penalty_weight_before: 2.0 * before,
                    anneal_steps: self.anneal_steps,
                    rescale: false,
                    reset_optimiser: false,
                };
                (Box::new(VRex::new(config)), 2.0)
            }
            "mm-rex" => {
                let config = MmRexConfig {
                    lambda_min: (1.0 - weight) / 2.0,
                    lambda_min_before: Some((1.0 - before) / 2.0),
                    anneal_steps: self.anneal_steps,
                    rescale: false,
                    reset_optimiser: false,
                };
                (Box::new(MmRex::new(config)), 2.0)
            }
            _ => (Box::new(Erm::default()), 1.0),
        }
    }

    /// Weight by which the whole loss is divided at a step.
    fn divisor(&self, step: u64) -> f64 {
        if step >= self.anneal_steps && self.penalty_weight > 1.0 {
            self.penalty_weight
        } else {
            1.0
        }
    }
}

/// The three environments, colours drawn from a seed.
pub struct ColoredMnist {
    /// `[n, 2·196]` by environment.
    images: Vec<Tensor>,
    /// `[n, 1]` by environment, 0 or 1.
    labels: Vec<Tensor>,
}

impl ColoredMnist {
    /// Reads MNIST's training digits from `folder` and colours them for `seed`.
    ///
    /// The first 50,000 digits are shuffled; those at even positions make environment 1, the
    /// others environment 2; the last 10,000 training digits are the test environment.
    ///
    /// # Errors
    /// When the IDX files are missing, damaged or not MNIST's.
    pub fn load(folder: &Path, seed: u64) -> Result<Self> {
        let [images, digits] = FILES.map(|(name, shape)| read_digits(folder, name, shape));
        let (images, digits) = (images?, digits?);
        let order = permutation(
            &mut stream(seed, "colored-mnist", "shuffle"),
            TRAINING_DIGITS,
        );
        let even = order.iter().copied().step_by(2).collect::<Vec<_>>();
        let odd = order.iter().copied().skip(1).step_by(2).collect();
        let test = (TRAINING_DIGITS..ALL_DIGITS).collect();
        let mut environments = Self {
            images: Vec::new(),
            labels: Vec::new(),
        };
        for (index, rows) in [even, odd, test].into_iter().enumerate() {
            let (x, y) = colour(&images, &digits, &rows, (index, seed))?;
            environments.images.push(x);
            environments.labels.push(y);
        }
        Ok(environments)
    }

    fn inputs(&self, environment: usize, channels: usize) -> Result<Tensor> {
        let images = &self.images[environment];
        if channels == 2 {
            return Ok(images.clone());
        }
        let rows = images.dim(0)?;
        Ok(images.reshape((rows, 2, PIXELS))?.sum(1)?)
    }
}

/// Hash of the images and labels that [`ColoredMnist::load`] reads.
///
/// # Errors
/// As [`ColoredMnist::load`].
pub(super) fn data_hash(folder: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for (name, shape) in FILES {
        hasher.update(&read_digits(folder, name, shape)?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn read_digits(folder: &Path, name: &str, shape: &[usize]) -> Result<Vec<u8>> {
    let zipped = folder.join(format!("{name}.gz"));
    let path = if zipped.exists() {
        zipped
    } else {
        folder.join(name)
    };
    let array = read_idx(&path)?;
    if array.shape != shape {
        return Err(HarnessError::Data {
            path,
            message: format!("expected MNIST of shape {shape:?}, found {:?}", array.shape),
        });
    }
    Ok(array.bytes)
}

fn colour(
    images: &[u8],
    digits: &[u8],
    rows: &[usize],
    (environment, seed): (usize, u64),
) -> Result<(Tensor, Tensor)> {
    let rng = &mut stream(
        seed,
        "colored-mnist",
        &format!("noise of environment {environment}"),
    );
    let mut x = vec![0f32; rows.len() * 2 * PIXELS];
    let mut y = Vec::with_capacity(rows.len());
    for (slot, &row) in x.chunks_exact_mut(2 * PIXELS).zip(rows) {
        let class = digits[row] < CLASS_BOUNDARY;
        let label = class ^ (rng.random::<f64>() < LABEL_NOISE);
        let colour = label ^ (rng.random::<f64>() < COLOUR_FLIPS[environment]);
        let image = &images[row * 28 * 28..][..28 * 28];
        let plane = &mut slot[usize::from(colour) * PIXELS..][..PIXELS];
        for (pixel, value) in plane.iter_mut().enumerate() {
            let (i, j) = (pixel / SIDE, pixel % SIDE);
            *value = f32::from(image[2 * i * 28 + 2 * j]) / 255.0;
        }
        y.push(if label { 1f32 } else { 0.0 });
    }
    Ok((
        Tensor::from_vec(x, (rows.len(), 2 * PIXELS), &Device::Cpu)?,
        Tensor::from_vec(y, (rows.len(), 1), &Device::Cpu)?,
    ))
}

/// Accuracies of one restart, per cent.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Accuracies {
    /// Mean over the two training environments.
    pub train: f64,
    /// Test environment.
    pub test: f64,
}

/// Trains one restart; `on_step` hears of every step.
///
/// # Errors
/// When an operator fails or the loss is not finite.
pub fn train(
    data: &ColoredMnist,
    recipe: &Recipe,
    seed: u64,
    on_step: &dyn Fn(u64),
) -> Result<Accuracies> {
    let channels = recipe.channels();
    let inputs: Vec<Tensor> = (0..3)
        .map(|e| data.inputs(e, channels))
        .collect::<Result<_>>()?;
    let spec = MlpSpec {
        inputs: channels * PIXELS,
        hidden: recipe.hidden,
        outputs: 1,
    };
    let network = Mlp::new(spec, seed, recipe.row)?;
    let weights = network.parameters().trained();
    let params = AdamParams {
        learning_rate: recipe.learning_rate,
        ..AdamParams::default()
    };
    let mut adam = Adam::new(weights.clone(), params)?;
    let (mut objective, factor) = recipe.objective();
    let training = Tensor::cat(&inputs[..2], 0)?;
    for number in 0..recipe.steps {
        let environments = forward(&network, &training, &data.labels[..2])?;
        let step = Step {
            number,
            environments: &environments,
            loss: &BinaryLogistic,
        };
        let value = objective.evaluate(&step)?.total;
        let mut norm = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
        for weight in &weights {
            norm = (norm + weight.sqr()?.sum_all()?)?;
        }
        let loss = ((value * factor)? + (norm * recipe.l2)?)?;
        let loss = (loss / recipe.divisor(number))?;
        adam.step(&loss.backward()?)?;
        on_step(number);
    }
    let training = |e: usize| accuracy(&network, &inputs[e], &data.labels[e]);
    let train = training(0)?.midpoint(training(1)?);
    let test = accuracy(&network, &inputs[2], &data.labels[2])?;
    Ok(Accuracies { train, test })
}

/// Both environments in one pass: the network has no batch statistics, so they do not mix.
fn forward(network: &Mlp, images: &Tensor, labels: &[Tensor]) -> Result<Vec<EnvironmentOutputs>> {
    let out = network.forward(images.into(), Mode::Train)?;
    let mut first = 0;
    let mut environments = Vec::new();
    for (index, target) in labels.iter().enumerate() {
        let rows = target.dim(0)?;
        let logits = out.outputs.narrow(0, first, rows)?;
        let features = out.features.detach().narrow(0, first, rows)?;
        environments.push(EnvironmentOutputs::labelled(
            index,
            features,
            logits,
            target.clone(),
        ));
        first += rows;
    }
    Ok(environments)
}

fn accuracy(network: &Mlp, images: &Tensor, labels: &Tensor) -> Result<f64> {
    let logits = network.forward(images.into(), Mode::Evaluate)?.outputs;
    let logits = logits.flatten_all()?.to_vec1::<f32>()?;
    let labels = labels.flatten_all()?.to_vec1::<f32>()?;
    if logits.iter().any(|v| !v.is_finite()) {
        return Err(HarnessError::Diverged {
            what: "ColoredMNIST restart".into(),
        });
    }
    let right = logits
        .iter()
        .zip(&labels)
        .filter(|(z, y)| (**z > 0.0) == (**y > 0.5))
        .count();
    Ok(100.0 * right as f64 / labels.len() as f64)
}
