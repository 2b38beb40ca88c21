//! Images as they would have been.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::{Batch, Result};

/// What is set in a counterfactual of one image; what is not named stays as the image had it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intervention {
    /// Environment that the image would have been taken in.
    pub environment: Option<usize>,
    /// Values of attributes, by name.
    pub attributes: BTreeMap<String, f64>,
}

impl Intervention {
    /// `do(environment = index)`
    pub fn environment(index: usize) -> Self {
        Self {
            environment: Some(index),
            ..Self::default()
        }
    }
}

/// A model of how images come about that can be asked what an image would have been under an
/// intervention.
pub trait CounterfactualGenerator {
    /// The counterfactuals of the images of a batch.
    ///
    /// # Arguments
    /// - `batch`: images of one environment, with whatever else is known of them.
    /// - `interventions`: one for each image.
    ///
    /// # Returns
    /// `[B, C, H, W]` on the scale of the batch.
    ///
    /// # Errors
    /// When the images or an intervention are not of those that the generator knows.
    fn counterfactuals(&self, batch: &Batch, interventions: &[Intervention]) -> Result<Tensor>;
}
