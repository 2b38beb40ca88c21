//! Training objectives over environments.
//!
//! A method is composed of independent parts: an [`Objective`] turns the outputs of every
//! environment into one number to minimise, an [`Augmentation`] changes the batches before the
//! network sees them, an [`Adaptation`] corrects what a trained network says of the target.
//! Each lives in a file of its own under [`methods`], beside its settings, its documentation and
//! its tests; the harness lists them in one registry.
//!
//! Beside the traits, [`gradients`] holds rules over the gradients of several environments, and
//! [`select`] closed-form heads and the choice of invariant features: functions that need no
//! harness.
//!
//! Objectives never ask which task they serve: a [`SampleLoss`] gives the loss of every sample and
//! its closed-form derivative with respect to the outputs, from which penalties such as IRM's
//! follow without second derivatives.
//!
//! # Examples
//! The IRM penalty of two environments with a linear predictor `z = 2` of targets 1 and 3:
//! ```
//! use candle_core::{Device, Tensor};
//! use ctl_invariance::methods::irm::{Irm, IrmConfig, PenaltyForm};
//! use ctl_invariance::{EnvironmentOutputs, Objective, SquaredError, Step};
//!
//! let environment = |index, target: f64| -> Result<_, candle_core::Error> {
//!     let outputs = Tensor::new(&[[2f64], [2.0]], &Device::Cpu)?;
//!     let target = Tensor::new(&[[target], [target]], &Device::Cpu)?;
//!     Ok(EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target))
//! };
//! let environments = [environment(0, 1.0)?, environment(1, 3.0)?];
//! let config = IrmConfig { penalty: PenaltyForm::Paper, ..IrmConfig::default() };
//! let value = Irm::new(config).evaluate(&Step {
//!     number: 0,
//!     environments: &environments,
//!     loss: &SquaredError,
//! })?;
//! // Risks 1 and 1; d/dw (w·2 − y)² at w = 1 is 2·(2 − y)·2 = ±4, squared 16.
//! assert_eq!(value.term("risk")?, Some(1.0));
//! assert_eq!(value.term("irm-penalty")?, Some(16.0));
//! # Ok::<(), ctl_invariance::ObjectiveError>(())
//! ```

mod adaptation;
mod affine;
mod amplitude;
mod averaging;
mod batch;
mod config;
pub mod conformance;
mod counterfactual;
mod deployed;
mod discrepancy;
mod discriminator;
mod empirical_bayes;
mod entropy;
mod error;
mod factorisation;
mod gradient_rule;
pub mod gradients;
mod independence;
mod info;
pub mod label_shift;
mod loss;
pub mod methods;
mod objective;
pub mod pairs;
mod pixels;
mod preparation;
mod projection;
mod quantiles;
mod ramp;
mod refit;
mod representation;
mod running_mean;
pub mod select;
mod smooth;
mod style;
mod weighting;
mod weights;
mod wrapping;

pub use adaptation::{
    Adaptation, AdaptedFor, Deployment, NetworkAdaptation, OutputCorrection, Site,
};
pub use averaging::{WeightAveraging, Weights};
pub use batch::{Augmentation, Batch, EnvironmentOutputs, TargetKind, WeightedTarget};
pub use config::{
    BuildContext, Configured, Distribution, Method, MethodConfig, MethodParts, SearchDimension,
    in_range,
};
pub use counterfactual::{CounterfactualGenerator, Intervention};
pub use discrepancy::{
    conditional_mmd_distance, coral_distance, deep_coral_distance, mmd_distance,
    mmd_distances_by_label, pairwise_mean,
};
pub use discriminator::{Discriminator, DiscriminatorSpec};
pub use entropy::softmax_entropy;
pub use error::{ConfigError, ObjectiveError, Result};
pub use gradient_rule::{GradientRule, Ruled, Trial, Update};
pub use independence::{
    ENVIRONMENT, Independence, IndependenceConfig, IndependenceKind, IndependencePenalty,
};
pub use info::{Assumption, Exception, Family, LearnsFrom, MethodInfo, Needs, Role, Status};
pub use loss::{
    BinaryLogistic, PixelCrossEntropy, SampleLoss, SegmentationLoss, SoftmaxCrossEntropy,
    SquaredError,
};
pub use objective::{Auxiliary, Objective, ObjectiveState, Step, Value, mean_risk, pooled_risk};
pub use preparation::{ImageTransform, Preparation, Prepared, TrainingData};
pub use projection::Projection;
