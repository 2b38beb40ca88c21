//! What each task makes of a cohort: what the network is given and compared with, and what its
//! outputs are worth.

mod anomaly;
mod attributes;
mod classification;
mod density;
mod figures;
mod inputs;
mod reconstruction;
mod segmentation;

use std::rc::Rc;

use ctl_invariance::{Batch, ImageTransform, SampleLoss};
use ctl_nets::{Architecture, Network};
use serde::{Deserialize, Serialize};

pub use attributes::AttributeScale;
pub use figures::{classification_metrics, probabilities};
pub(crate) use inputs::{How, Selected};

use crate::data::{CohortData, Parts, View};
use crate::record::Metrics;
use crate::run::Prediction;
use crate::spec::{AnomalyScore, MainMetric, RunSpec, Training};
use crate::vocabulary::Task;
use crate::{HarnessError, Result};

/// What a network said of a part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scored {
    /// One row for each image.
    pub(crate) rows: Vec<Prediction>,
    /// Metrics that rows do not determine, such as those over all pixels.
    pub(crate) beside: Metrics,
}

/// A picture of what went in and came out, for the report; values in [0, 1].
pub(crate) struct Panel {
    /// What it shows.
    pub(crate) caption: String,
    /// `[H, W]`
    pub(crate) pixels: Vec<f32>,
}

/// What a network says of one image of a new cohort.
pub(crate) struct Described {
    /// Values by [`Kit::described`].
    pub(crate) values: Vec<f64>,
    /// The output as a picture, `[H, W]` in [0, 1], where it is one.
    pub(crate) picture: Option<Vec<f32>>,
}

/// One task of one run.
///
/// It knows cohort and settings, and owns whatever it fits to them, such as the scale of
/// attributes.
pub(crate) trait Kit {
    /// Images of one site that are predicted together.
    fn at_once(&self) -> usize;

    /// The loss.
    fn loss(&self) -> &dyn SampleLoss;

    /// Channels that the network takes, and outputs that it gives.
    fn channels(&self) -> [usize; 2];

    /// Attributes that the network takes.
    fn attributes(&self) -> usize {
        0
    }

    /// Images of one environment with their targets, as augmentations take them.
    fn batch(&self, selected: &Selected<'_>) -> Result<Batch>;

    /// The same as the network takes them: measured, where it reconstructs.
    ///
    /// # Arguments
    /// - `batch`: of `selected`'s samples in their order, perhaps augmented: the last may be left
    ///   out, and all may come several times, one version after the other.
    fn measure(&self, batch: Batch, selected: &Selected<'_>) -> Result<Batch> {
        let _ = selected;
        Ok(batch)
    }

    /// Fits to a trained network what scoring needs beside it.
    fn prepare(&mut self, network: &dyn Network) -> Result<()> {
        let _ = network;
        Ok(())
    }

    /// What the network says of some samples.
    fn score(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Scored>;

    /// Names of the outputs in `predictions.csv`; empty where they are numbered.
    fn columns(&self) -> &'static [&'static str] {
        &[]
    }

    /// Metrics of a part.
    fn metrics(&self, scored: &Scored) -> Result<Metrics>;

    /// What checkpoints are selected by, higher is better; `labelled` where the part has labels
    /// that its task may choose by.
    fn selection_score(&self, scored: &Scored, labelled: bool) -> Result<f64>;

    /// Names of the values of [`Kit::describe`].
    fn described(&self) -> Vec<String>;

    /// What the network says of images that nothing is known of.
    fn describe(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Described>>;

    /// What a model must remember to scale attributes as in training.
    fn attribute_scale(&self) -> Option<AttributeScale> {
        None
    }

    /// What went in and came out for one sample; nothing for labels.
    fn panels(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Panel>> {
        let _ = (network, selected);
        Ok(Vec::new())
    }
}

/// The kit of a run.
///
/// # Errors
/// When the cohort lacks what the task needs.
pub(crate) fn kit<'a>(
    spec: &'a RunSpec,
    cohort: &'a CohortData,
    (parts, view): (&'a Parts, View),
    transform: Option<Rc<dyn ImageTransform>>,
) -> Result<Box<dyn Kit + 'a>> {
    check_training(spec.task, &spec.training)?;
    Ok(match spec.task {
        Task::Classification => Box::new(classification::Classification::new(spec, cohort)),
        Task::Multimodal => Box::new(classification::Classification::multimodal(
            spec, cohort, parts,
        )?),
        Task::Segmentation => Box::new(segmentation::Segmentation::new(cohort)?),
        Task::Reconstruction => Box::new(reconstruction::Reconstruction::new(spec, cohort)?),
        Task::Anomaly => Box::new(anomaly::Anomaly::new(
            spec,
            cohort,
            (parts, view),
            transform,
        )),
        other => {
            return Err(HarnessError::Config {
                origin: "run".into(),
                key: "task".into(),
                message: format!("{} cannot be run", other.as_str()),
            });
        }
    })
}

/// The kit of a trained model on a new cohort.
///
/// # Errors
/// When the model needs what it was not saved with, or the cohort lacks its attributes.
pub(crate) fn kit_of_model<'a>(
    spec: &'a RunSpec,
    (cohort, parts): (&'a CohortData, &'a Parts),
    attributes: Option<&AttributeScale>,
) -> Result<Box<dyn Kit + 'a>> {
    if spec.task == Task::Anomaly && spec.training.anomaly_score == AnomalyScore::FeatureDensity {
        return Err(HarnessError::Config {
            origin: "model".into(),
            key: "anomaly_score".into(),
            message: "the density of features is made of training images, which a model does not \
                      carry; train with `anomaly_score = \"residual\"` to apply it elsewhere"
                .into(),
        });
    }
    match (spec.task, attributes) {
        (Task::Multimodal, Some(scale)) => Ok(Box::new(
            classification::Classification::with_scale(spec, cohort, scale.clone())?,
        )),
        _ => kit(spec, cohort, (parts, View::Plain), None),
    }
}

/// The architectures that serve a task.
pub fn architectures(task: Task) -> &'static [Architecture] {
    match task {
        Task::Segmentation => &[Architecture::UNet, Architecture::SmallUNet],
        Task::Reconstruction => &[
            Architecture::ReconUNet,
            Architecture::ReconUNetConsistent,
            Architecture::Unrolled,
        ],
        Task::Anomaly => &[Architecture::Autoencoder, Architecture::Vae],
        Task::Multimodal => &[Architecture::FusionLate, Architecture::FusionIntermediate],
        _ => &[
            Architecture::Mlp,
            Architecture::SmallCnn,
            Architecture::MnistCnn,
            Architecture::ResNet18,
        ],
    }
}

/// Whether a task's settings name a network that serves it, at a size that it takes, and, for
/// reconstruction, a measurement of something.
///
/// # Errors
/// Names the network and those that serve the task, or the setting and what it must be.
pub fn check_training(task: Task, training: &Training) -> Result<()> {
    let labels = matches!(task, Task::Classification | Task::Multimodal);
    if training.metric == MainMetric::Accuracy && !labels {
        return Err(HarnessError::Config {
            origin: format!("training for {}", task.as_str()),
            key: "metric".into(),
            message: format!(
                "accuracy is of tasks with labels; set `metric = \"of-task\"` for this task in \
                 [tasks.{}]",
                task.as_str()
            ),
        });
    }
    let allowed = architectures(task);
    let granularity = training.network.granularity();
    if allowed.contains(&training.network) {
        if training.size.is_multiple_of(granularity) {
            return match task {
                Task::Reconstruction => reconstruction::check(training),
                _ => Ok(()),
            };
        }
        return Err(HarnessError::Config {
            origin: format!("training for {}", task.as_str()),
            key: "size".into(),
            message: format!(
                "{} is not allowed: network {} needs a multiple of {granularity}; set another for \
                 this task in [tasks.{}]",
                training.size,
                training.network.name(),
                task.as_str()
            ),
        });
    }
    Err(HarnessError::Unknown {
        what: match task {
            Task::Segmentation => "network for segmentation",
            Task::Reconstruction => "network for reconstruction",
            Task::Anomaly => "network for anomaly detection",
            Task::Multimodal => "network for multimodal prediction",
            _ => "network for classification",
        },
        name: training.network.name().to_owned(),
        known: allowed.iter().map(|n| n.name().to_owned()).collect(),
    })
}

/// The metric that a task's methods are compared by, higher is better.
pub fn main_metric(task: Task) -> &'static str {
    match task {
        Task::Segmentation => "dice",
        Task::Reconstruction => "ssim",
        _ => "auroc",
    }
}

/// What a predictor without information scores by the main metric.
pub fn chance(task: Task) -> f64 {
    match task {
        Task::Segmentation | Task::Reconstruction => 0.0,
        _ => 0.5,
    }
}
