//! Images as they would have been.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::{Batch, Result};

/// What is set in a counterfactual of one image; what is not named stays as the image had it.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervention {
    /// Environment that the image would have been taken in.
    pub environment: Option<usize>,
    /// How far on the way from the image's own environment to that one, finite: 0 is its own, 1 the
    /// other, and beyond 1 lie acquisitions that differ from the image's more than the other does.
    pub extent: f64,
    /// Values of attributes, by name.
    pub attributes: BTreeMap<String, f64>,
}

impl Default for Intervention {
    fn default() -> Self {
        Self {
            environment: None,
            extent: 1.0,
            attributes: BTreeMap::new(),
        }
    }
}

impl Intervention {
    /// `do(environment = index)`
    pub fn environment(index: usize) -> Self {
        Self {
            environment: Some(index),
            ..Self::default()
        }
    }

    /// An acquisition on the line from the image's own environment to another.
    ///
    /// # Arguments
    /// - `extent`: as [`Intervention::extent`]
    pub fn towards(index: usize, extent: f64) -> Self {
        Self {
            extent,
            ..Self::environment(index)
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
