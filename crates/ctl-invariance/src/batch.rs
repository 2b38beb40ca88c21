//! What goes into the network and what comes out, per environment.

use candle_core::{DType, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::{ObjectiveError, Result, SampleLoss};

/// A target and the weight with which its loss counts; mixtures have several.
#[derive(Clone, Debug)]
pub struct WeightedTarget {
    /// Share of this target in the loss, usually 1.
    pub weight: f64,
    /// Targets in the form that the task's [`SampleLoss`] documents.
    pub target: Tensor,
}

/// Images of one environment before the network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Index of the environment; stays the same over all steps of a run.
    pub environment: usize,
    /// `[B, C, H, W]`
    pub images: Tensor,
    /// What the network is given beside the images, `[B, …]`: attributes of the patients, the
    /// sampled columns of k-space, noise; none for most tasks.
    pub context: Option<Tensor>,
    /// Empty where the environment is unlabelled.
    pub targets: Vec<WeightedTarget>,
}

/// A change to the batches of a step before the network sees them.
pub trait Augmentation {
    /// The batches to train on instead, one per environment.
    ///
    /// # Errors
    /// When the batches do not fit together.
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>>;
}

/// What the network made of one environment's batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnvironmentOutputs {
    /// Index of the environment.
    pub environment: usize,
    /// `[B, F]`
    pub features: Tensor,
    /// `[B, K]`, or `[B, K, H, W]` for images.
    pub outputs: Tensor,
    /// Empty where the environment is unlabelled.
    pub targets: Vec<WeightedTarget>,
    /// What the network itself adds to the loss of every sample, `[B]`, such as a divergence from
    /// a prior; usually nothing.
    pub penalty: Option<Tensor>,
}

impl EnvironmentOutputs {
    /// Outputs with whatever targets the batch had.
    pub fn new(
        environment: usize,
        features: Tensor,
        outputs: Tensor,
        targets: Vec<WeightedTarget>,
    ) -> Self {
        Self {
            environment,
            features,
            outputs,
            targets,
            penalty: None,
        }
    }

    /// The same with what the network adds to the loss of every sample, `[B]`.
    #[must_use]
    pub fn with_penalty(mut self, penalty: Option<Tensor>) -> Self {
        self.penalty = penalty;
        self
    }

    /// Outputs with one target of weight 1.
    pub fn labelled(environment: usize, features: Tensor, outputs: Tensor, target: Tensor) -> Self {
        let targets = vec![WeightedTarget {
            weight: 1.0,
            target,
        }];
        Self::new(environment, features, outputs, targets)
    }

    /// Whether the environment has targets.
    pub fn is_labelled(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Loss of every sample, `[B]`.
    ///
    /// # Errors
    /// When targets are missing or do not fit the outputs.
    pub fn losses(&self, loss: &dyn SampleLoss) -> Result<Tensor> {
        let losses = self.weighted(|outputs, target| loss.per_sample(outputs, target))?;
        Ok(match &self.penalty {
            Some(penalty) => (losses + penalty)?,
            None => losses,
        })
    }

    /// Derivative of every sample's loss with respect to its outputs, shaped like the outputs.
    ///
    /// # Errors
    /// When targets are missing or do not fit the outputs.
    pub fn output_gradient(&self, loss: &dyn SampleLoss) -> Result<Tensor> {
        self.weighted(|outputs, target| loss.output_gradient(outputs, target))
    }

    /// Mean loss of the environment, a scalar.
    ///
    /// # Errors
    /// When targets are missing or do not fit the outputs.
    pub fn risk(&self, loss: &dyn SampleLoss) -> Result<Tensor> {
        Ok(self.losses(loss)?.mean_all()?)
    }

    /// The class of every sample, `[B]`, where the target is a vector of class indices.
    ///
    /// # Arguments
    /// - `method`: who asks, for the error.
    ///
    /// # Errors
    /// When the target is something else: masks, real values, several labels for one sample, the
    /// two halves of a mixture, or none.
    pub fn classes(&self, method: &'static str) -> Result<Vec<u32>> {
        let rows = self.outputs.dims().first().copied();
        if let [WeightedTarget { target, .. }] = &self.targets[..] {
            let one_each = target.rank() == 1 && target.dims().first().copied() == rows;
            if one_each && target.dtype().is_int() {
                return Ok(target.to_dtype(DType::U32)?.to_vec1()?);
            }
        }
        let forms = self.targets.iter().map(|part| {
            let target = &part.target;
            format!("{:?} {:?}", target.dtype(), target.dims())
        });
        Err(ObjectiveError::Environments {
            method,
            expected: "one class index for each sample".into(),
            found: format!(
                "targets [{}] in environment {}",
                forms.collect::<Vec<_>>().join(", "),
                self.environment
            ),
        })
    }

    fn weighted(&self, f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for part in &self.targets {
            let value = f(&self.outputs, &part.target)?;
            // A plain target keeps its value bit for bit.
            let value = if part.weight.to_bits() == 1f64.to_bits() {
                value
            } else {
                (value * part.weight)?
            };
            sum = Some(match sum {
                Some(sum) => (sum + value)?,
                None => value,
            });
        }
        sum.ok_or_else(|| ObjectiveError::Environments {
            method: "loss",
            expected: "targets".into(),
            found: format!("environment {} without labels", self.environment),
        })
    }
}
