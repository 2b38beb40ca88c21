//! Deep structural causal models of images.
//!
//! What would this scan look like on the other scanner, or without the disease?
//! A model over a causal diagram has a mechanism for every attribute and one for the image; a
//! counterfactual abducts the noises of a fact, acts on some nodes and predicts the rest.

mod attribute;
mod encoding;
mod error;
mod evaluate;
pub mod generators;
mod image;
pub mod methods;
mod model;
mod records;
mod variable;

pub use attribute::{
    AttributeCategories, AttributeFit, AttributeFlow, AttributeMechanism, AttributeTraining,
    CategoriesConfig, FlowConfig, train_attribute,
};
pub use encoding::{Encoding, Rows};
pub use error::{CounterfactualError, Result};
pub use evaluate::{
    Answers, Predictor, PredictorConfig, Predictors, Realism, TrueError, composition, minimality,
    realism, reversibility, true_error,
};
pub use image::{
    Belief, DiffusionConfig, DiffusionMechanism, FlowMechanism, HvaeConfig, HvaeMechanism,
    ImageFlowConfig, ImageLoss, ImageMechanism, ImageNoise, NoiseSchedule, Prediction, VaeConfig,
    VaeMechanism,
};
pub use model::{
    Abducted, Act, Acted, Acts, Amount, DeepScm, Extrapolation, FineTuning, FineTuningFit,
    FitOptions, FitProgress, FitReport, FitStage, ImageFit, ImageSpec, ImageTraining, LogProb,
    Measured, ModelSpec, StructuralModel, train_image,
};
pub use records::{Columns, Examples, Records};
pub use variable::{Kind, Schema};
