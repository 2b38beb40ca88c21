//! What goes into the network and what comes out, per environment.

use candle_core::{DType, Tensor};
use ctl_nets::LinearHead;
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

/// What the targets of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A class of every image, `[B]`.
    Classes,
    /// A class of every pixel, `[B, H, W]`, which moves with the image.
    Masks,
    /// Images `[B, C, H, W]` on the scale of the input, which change as the input does.
    Images,
}

/// Images of one environment before the network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Index of the environment; stays the same over all steps of a run.
    pub environment: usize,
    /// `[B, C, H, W]`, pixel values in [0, 1] after [`Batch::centre`] and [`Batch::scale`].
    pub images: Tensor,
    /// The value of `images` where a pixel is 0 is `−centre / scale`.
    pub centre: f64,
    /// A pixel is `value · scale + centre`.
    pub scale: f64,
    /// What the targets are.
    pub kind: TargetKind,
    /// Class of every image `[B]`, of labelled environments whose images have one.
    pub classes: Option<Vec<u32>>,
    /// Weight of every sample in the risk, `[B]`; none where all are 1.
    pub weights: Option<Tensor>,
    /// What the network is given beside the images, `[B, …]`: attributes of the patients, the
    /// sampled columns of k-space, noise; none for most tasks.
    pub context: Option<Tensor>,
    /// Empty where the environment is unlabelled.
    pub targets: Vec<WeightedTarget>,
}

impl Batch {
    /// Unlabelled images on their own scale, in which a pixel is its value.
    ///
    /// # Examples
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use ctl_invariance::{Batch, TargetKind};
    ///
    /// let images = Tensor::zeros((3, 1, 8, 8), DType::F32, &Device::Cpu)?;
    /// let batch = Batch::new(0, images, TargetKind::Classes);
    /// assert_eq!(batch.select(&[2, 0])?.images.dims(), [2, 1, 8, 8]);
    /// # Ok::<(), ctl_invariance::ObjectiveError>(())
    /// ```
    pub fn new(environment: usize, images: Tensor, kind: TargetKind) -> Self {
        Self {
            environment,
            images,
            centre: 0.0,
            scale: 1.0,
            kind,
            classes: None,
            weights: None,
            context: None,
            targets: Vec::new(),
        }
    }

    /// Whether there are targets.
    pub fn is_labelled(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Some rows, in the order given.
    ///
    /// # Errors
    /// When a row does not exist.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let index: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        let index = Tensor::new(index, self.images.device())?;
        let pick = |tensor: &Tensor| tensor.index_select(&index, 0);
        let targets = self.targets.iter().map(|part| {
            Ok(WeightedTarget {
                weight: part.weight,
                target: pick(&part.target)?,
            })
        });
        let classes = self.classes.as_ref();
        Ok(Self {
            images: pick(&self.images)?,
            context: self.context.as_ref().map(pick).transpose()?,
            targets: targets.collect::<Result<_>>()?,
            classes: classes.map(|all| rows.iter().map(|&row| all[row]).collect()),
            weights: self.weights.as_ref().map(pick).transpose()?,
            ..self.clone()
        })
    }
}

/// A change to the batches of a step before the network sees them.
///
/// Where images are measured before the network sees them, as in reconstruction, the change comes
/// before the measurement.
pub trait Augmentation {
    /// The batches to train on instead, one per environment; an environment that is left out is
    /// not trained on.
    ///
    /// A batch keeps its samples in their order; the last may be left out, and all may come several
    /// times, one version after the other.
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
    /// Weight of every sample in the risk, `[B]`; none where all are 1.
    pub weights: Option<Tensor>,
    /// Class of every image `[B]`, of labelled environments whose images have one.
    pub classes: Option<Vec<u32>>,
    /// The linear map that ends the network, of networks that end with one, on these samples.
    pub head: Option<LinearHead>,
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
            weights: None,
            classes: None,
            head: None,
        }
    }

    /// The same with what the network adds to the loss of every sample, `[B]`.
    #[must_use]
    pub fn with_penalty(mut self, penalty: Option<Tensor>) -> Self {
        self.penalty = penalty;
        self
    }

    /// The same with the linear map that ends the network.
    #[must_use]
    pub fn with_head(mut self, head: Option<LinearHead>) -> Self {
        self.head = head;
        self
    }

    /// The same with the weight of every sample `[B]`.
    #[must_use]
    pub fn with_weights(mut self, weights: Option<Tensor>) -> Self {
        self.weights = weights;
        self
    }

    /// The same with the class of every image.
    #[must_use]
    pub fn with_classes(mut self, classes: Option<Vec<u32>>) -> Self {
        self.classes = classes;
        self
    }

    /// What the last linear layer takes, `[B, F]`, or `[B, P, F]` of `P` pixels; of a network that
    /// does not end with one its outputs, as if an affine map at the identity followed.
    ///
    /// # Errors
    /// When a tensor cannot be rearranged.
    pub fn last_input(&self) -> Result<Tensor> {
        let Some(head) = &self.head else {
            return Ok(match self.outputs.rank() {
                0..=2 => self.outputs.clone(),
                _ => self
                    .outputs
                    .flatten_from(2)?
                    .transpose(1, 2)?
                    .contiguous()?,
            });
        };
        let input = &head.input;
        Ok(match input.rank() {
            0..=2 => input.clone(),
            rank => input.flatten(1, rank - 2)?,
        })
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

    /// Whether the targets are classes of samples or pixels, and not images.
    pub(crate) fn is_categorical(&self) -> bool {
        let first = self.targets.first();
        first.is_some_and(|part| part.target.dtype() == DType::U32)
    }

    /// Loss of every sample times its weight, `[B]`.
    ///
    /// # Errors
    /// When targets are missing or do not fit the outputs.
    pub fn losses(&self, loss: &dyn SampleLoss) -> Result<Tensor> {
        let losses = self.weighted(|outputs, target| loss.per_sample(outputs, target))?;
        let losses = match &self.penalty {
            Some(penalty) => (losses + penalty)?,
            None => losses,
        };
        Ok(match &self.weights {
            Some(weights) => (losses * weights)?,
            None => losses,
        })
    }

    /// Derivative of every sample's weighted loss with respect to its outputs, shaped like the
    /// outputs.
    ///
    /// # Errors
    /// When targets are missing or do not fit the outputs.
    pub fn output_gradient(&self, loss: &dyn SampleLoss) -> Result<Tensor> {
        let gradient = self.weighted(|outputs, target| loss.output_gradient(outputs, target))?;
        let Some(weights) = &self.weights else {
            return Ok(gradient);
        };
        let mut shape = vec![1; gradient.rank()];
        shape[0] = weights.elem_count();
        Ok(gradient.broadcast_mul(&weights.reshape(shape)?)?)
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

    /// The class of every sample, `[B]`; where images have no class, as in segmentation and
    /// reconstruction, all are of one, and what is conditional on the class is marginal.
    ///
    /// # Errors
    /// As [`EnvironmentOutputs::classes`], where a target is one value a sample.
    pub fn classes_or_one(&self, method: &'static str) -> Result<Vec<u32>> {
        match self.targets.first() {
            Some(part) if part.target.rank() > 1 => {
                let rows = self.outputs.dims().first().copied();
                Ok(vec![0; rows.unwrap_or(0)])
            }
            _ => self.classes(method),
        }
    }

    /// The sum over the targets of something of outputs and target, by the targets' weights.
    pub(crate) fn weighted(
        &self,
        f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
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
