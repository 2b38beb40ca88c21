//! Deep structural causal models of images.
//!
//! What would this scan look like on the other scanner, or without the disease?
//! A model over a causal diagram has a mechanism for every attribute and one for the image; a
//! counterfactual abducts the noises of a fact, acts on some nodes and predicts the rest.

mod error;
mod image;

pub use error::{CounterfactualError, Result};
pub use image::{
    DiffusionConfig, DiffusionMechanism, FlowConfig, FlowMechanism, ImageLoss, ImageMechanism,
    ImageNoise, NoiseSchedule, Prediction,
};
