//! The predictor that knows what made an image.

use std::collections::BTreeMap;
use std::path::Path;

use super::evaluate::Ground;
use super::execute::Ended;
use super::predictions::{Block, IN_DISTRIBUTION, Prediction, TARGET, write_predictions};
use crate::record::{Selection, Status};
use crate::task::classification_metrics;
use crate::vocabulary::{Selector, Task};
use crate::{HarnessError, Result};

/// Scores P(label given the true factors that the image shows) under the target's law, given the
/// attributes besides where the task has them; nothing is trained, so that both selectors have the
/// same figures.
///
/// # Errors
/// When the cohort is not simulated.
pub(crate) fn true_factors(ground: &Ground<'_>, folder: &Path) -> Result<Ended> {
    let Some(phantom) = ground.cohort.images.phantom() else {
        return Err(HarnessError::Config {
            origin: format!("cohort {}", ground.spec.cohort),
            key: "method".into(),
            message: "true factors are known of simulated cohorts only".into(),
        });
    };
    let rows = |samples: &[usize]| -> Vec<Prediction> {
        let row = |&sample: &usize| {
            let p = if ground.spec.task == Task::Multimodal {
                phantom.bayes_multimodal(sample)
            } else {
                phantom.bayes(sample)
            };
            Prediction::of(ground.cohort, sample, vec![1.0 - p, p])
        };
        samples.iter().map(row).collect()
    };
    let sources = ground.parts.in_distribution.iter();
    let sources: Vec<usize> = sources.flat_map(|part| part.samples.clone()).collect();
    let (inside, target) = (rows(&sources), rows(&ground.parts.target.samples));
    let selection = Selection {
        step: 0,
        score: 0.0,
        in_distribution: classification_metrics(&inside)?,
        target: classification_metrics(&target)?,
    };
    let selections: BTreeMap<Selector, Selection> = Selector::ALL
        .iter()
        .map(|&selector| (selector, selection.clone()))
        .collect();
    let blocks: Vec<Block<'_>> = Selector::ALL
        .iter()
        .flat_map(|&s| {
            [
                (s, IN_DISTRIBUTION, inside.as_slice()),
                (s, TARGET, target.as_slice()),
            ]
        })
        .collect();
    Ok(Ended {
        status: Status::Finished,
        evaluations: Vec::new(),
        selections,
        predictions: write_predictions(&folder.join("predictions.csv"), &[], &blocks)?,
        notes: Vec::new(),
        generator: None,
    })
}
