//! Deep structural causal models of images.
//!
//! What would this scan look like on the other scanner, or without the disease?
//! A model over a causal diagram has a mechanism for every attribute and one for the image; a
//! counterfactual abducts the noises of a fact, acts on some nodes and predicts the rest.

mod error;
pub mod generators;
mod image;

pub use error::{CounterfactualError, Result};
pub use image::{ImageLoss, ImageMechanism, ImageNoise};
