//! What every structural model answers, learnt or not.

use std::collections::BTreeMap;

use ctl_graph::NodeId;

use super::{Act, Acts, Extrapolation, FitOptions, FitProgress, FitReport};
use crate::image::ImageNoise;
use crate::{Columns, Examples, Records, Result, Schema};

/// The exogenous noises of some individuals, and the facts that they were abducted from.
#[derive(Clone, Debug)]
pub struct Abducted {
    pub(super) facts: Columns,
    /// By node, row after row; empty for the image.
    pub(super) noises: Vec<Vec<f64>>,
    pub(super) image: Option<ImageNoise>,
    /// Place of the first individual among those that belong together, for draws.
    pub(super) offset: usize,
}

impl Abducted {
    /// Number of individuals.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// The noises of an attribute, row after row.
    pub fn noise(&self, node: NodeId) -> &[f64] {
        &self.noises[node.index()]
    }

    /// The noises of the images.
    pub fn image_noise(&self) -> Option<&ImageNoise> {
        self.image.as_ref()
    }
}

/// Interventions that suit a model, and which of them lead beyond what it was trained on.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The interventions.
    pub acts: Acts,
    /// Values beyond those of the training data.
    pub extrapolations: Vec<Extrapolation>,
}

/// Log-probabilities in nats, one for each individual.
#[derive(Clone, Debug, PartialEq)]
pub struct LogProb {
    /// Of each attribute given its parents, by name.
    pub attributes: BTreeMap<String, Vec<f64>>,
    /// Of the image given its parents, over 256 grey levels: exact or a lower bound, as its mechanism
    /// says; none without an image, or where the mechanism cannot tell.
    pub image: Option<Vec<f64>>,
}

/// A model of how individuals come about that answers all three rungs: what is, what if, and what
/// would have been.
///
/// # References
/// Pearl 2009, *Causality*, theorem 7.1.7: abduction, action, prediction.
pub trait StructuralModel {
    /// The diagram and what its nodes hold.
    fn schema(&self) -> &Schema;

    /// Trains every mechanism that is not known.
    ///
    /// # Errors
    /// When the data do not suit the model, a setting is out of range, or training diverges.
    fn fit(
        &mut self,
        data: &dyn Examples,
        options: &FitOptions,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<FitReport>;

    /// The noises that made the facts; the same seed gives the same ones.
    ///
    /// # Errors
    /// When the facts do not suit the model.
    fn abduct(&self, facts: &Records, seed: u64) -> Result<Abducted>;

    /// Checks interventions: on several attributes, hard and soft.
    ///
    /// # Errors
    /// When an attribute is not known, a value not possible, or a category was never seen.
    fn act(&self, acts: &[(&str, Act)]) -> Result<Acted>;

    /// The individuals with these noises after the interventions.
    ///
    /// Attributes that do not descend from an intervention are the facts, bit for bit. The image
    /// always goes through its mechanism: without an intervention it is its reconstruction.
    ///
    /// # Errors
    /// When interventions are for another number of individuals.
    fn predict(&self, noise: &Abducted, acts: &Acts) -> Result<Records>;

    /// New individuals under interventions; the same seed gives the same ones.
    ///
    /// # Errors
    /// When there are none, or interventions are for another number of individuals.
    fn sample(&self, count: usize, acts: &Acts, seed: u64) -> Result<Records>;

    /// How probable individuals are, node by node.
    ///
    /// # Errors
    /// When the records do not suit the model.
    fn log_prob(&self, records: &Records, seed: u64) -> Result<LogProb>;

    /// What the facts would have been: abduction, action and prediction, some individuals at a time.
    ///
    /// # Errors
    /// Those of the three steps.
    fn counterfactual(&self, facts: &Records, acts: &Acts, seed: u64) -> Result<Records>;
}
