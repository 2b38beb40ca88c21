//! What a network says of the parts of a run's data.

use std::collections::BTreeMap;
use std::rc::Rc;

use ctl_imaging::MaskRole;
use ctl_invariance::{Adaptation, Deployment, ImageTransform, OutputCorrection};
use ctl_nets::Network;

use super::checkpoint::Arrays;
use super::predictions::Prediction;
use crate::Result;
use crate::data::{CohortData, Part, Parts, View, thinned};
use crate::spec::RunSpec;
use crate::task::{How, Kit, Scored, Selected};
use crate::vocabulary::Selector;

/// A run's data and how it is looked at.
#[derive(Clone)]
pub(crate) struct Ground<'a> {
    pub(crate) spec: &'a RunSpec,
    pub(crate) cohort: &'a CohortData,
    pub(crate) parts: &'a Parts,
    pub(crate) view: View,
    /// What the method makes of every image first.
    pub(crate) transform: Option<Rc<dyn ImageTransform>>,
}

impl Ground<'_> {
    /// Samples to evaluate, scored by an observer.
    pub(crate) fn select<'b>(&'b self, samples: &'b [usize], observer: MaskRole) -> Selected<'b> {
        Selected {
            spec: self.spec,
            cohort: self.cohort,
            view: self.view,
            samples,
            how: How::Evaluate,
            observer,
            transform: self.transform.as_deref(),
        }
    }

    fn all(parts: &[Part]) -> Vec<usize> {
        parts.iter().flat_map(|p| p.samples.clone()).collect()
    }

    /// Validation patients of the sources.
    pub(crate) fn validation(&self, kit: &dyn Kit, network: &dyn Network) -> Result<Scored> {
        let samples = Self::all(&self.parts.validation);
        kit.score(network, &self.select(&samples, self.parts.train_observer))
    }

    /// Target patients that are open to adaptation and to the oracle.
    pub(crate) fn oracle(&self, kit: &dyn Kit, network: &dyn Network) -> Result<Scored> {
        let open = &self.parts.adaptation.samples;
        let most = self.spec.training.score_at_most.unwrap_or(usize::MAX);
        let samples = thinned(open, most, self.spec.seed);
        kit.score(network, &self.select(&samples, self.parts.target_observer))
    }

    /// Scored patients of the sources.
    pub(crate) fn in_distribution(&self, kit: &dyn Kit, network: &dyn Network) -> Result<Scored> {
        let samples = Self::all(&self.parts.in_distribution);
        kit.score(network, &self.select(&samples, MaskRole::Annotation))
    }

    /// Scored patients of the target.
    pub(crate) fn target(&self, kit: &dyn Kit, network: &dyn Network) -> Result<Scored> {
        let samples = &self.parts.target.samples;
        kit.score(network, &self.select(samples, self.parts.target_observer))
    }
}

/// What a checkpoint says where it is deployed.
pub(crate) struct Deployed {
    pub(crate) in_distribution: Scored,
    pub(crate) target: Scored,
    /// What draws are chosen by where the model that is deployed is not the one of the checkpoint:
    /// its score on validation patients of the sources, and on those of the target that are open to
    /// the oracle.
    pub(crate) scores: BTreeMap<Selector, f64>,
    /// What a reader must know, such as why nothing was corrected.
    pub(crate) notes: Vec<String>,
    /// The network's weights where they are not those of the checkpoint: those of the target, where
    /// the method adapts to it.
    pub(crate) weights: Option<Arrays>,
    /// What is done to the outputs on the target.
    pub(crate) correction: Option<OutputCorrection>,
}

/// Corrects the outputs of a trained network on parts of the target.
pub(super) fn correct(
    ground: &Ground<'_>,
    (kit, network): (&dyn Kit, &dyn Network),
    adaptation: &dyn Adaptation,
    parts: [&mut Scored; 2],
) -> Result<OutputCorrection> {
    let validation = ground.validation(kit, network)?.rows;
    let unlabelled = ground.oracle(kit, network)?.rows;
    let labels: Vec<usize> = validation.iter().map(|row| row.target).collect();
    let correction = adaptation.correction(&Deployment {
        classes: ground.cohort.classes.len(),
        validation: &flat(&validation),
        labels: &labels,
        target: &flat(&unlabelled),
    })?;
    for row in parts.into_iter().flat_map(|part| &mut part.rows) {
        row.outputs = correction.apply(&row.outputs);
    }
    Ok(correction)
}

fn flat(rows: &[Prediction]) -> Vec<f64> {
    rows.iter().flat_map(|row| row.outputs.clone()).collect()
}
