//! How well scores and predictions separate the classes.

mod binary;
mod multiclass;
mod one_vs_rest;
mod ranking;

pub use binary::{BinaryConfusion, predictions_at};
pub use multiclass::{ConfusionMatrix, KappaWeights};
pub use one_vs_rest::{
    auroc_ovr_macro, average_precision_macro, predicted_classes, top_k_accuracy,
};
pub use ranking::{
    OperatingPoint, auroc, average_precision, operating_points, sensitivity_at_specificity,
};
