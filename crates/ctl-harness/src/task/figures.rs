//! Metrics of classification.

use std::collections::BTreeMap;

use ctl_metrics::calibration::{Binning, ReliabilityTable, top_predictions};
use ctl_metrics::discrimination::{ConfusionMatrix, auroc, auroc_ovr_macro, predicted_classes};
use ctl_metrics::groups::GroupTable;
use ctl_metrics::{Direction, MetricError};

use crate::record::Metrics;
use crate::run::Prediction;
use crate::{HarnessError, Result};

/// Bins of the expected calibration error.
const CALIBRATION_BINS: usize = 15;

/// Softmax of logits `[N, K]`, row by row, in double precision.
///
/// # Errors
/// When a logit is not finite; `what` names the run.
pub fn probabilities(logits: &[f32], classes: usize, what: &str) -> Result<Vec<Vec<f64>>> {
    if logits.iter().any(|z| !z.is_finite()) {
        return Err(HarnessError::Diverged {
            what: what.to_owned(),
        });
    }
    Ok(logits
        .chunks_exact(classes)
        .map(|row| {
            let top = row.iter().copied().fold(f32::MIN, f32::max);
            let powers: Vec<f64> = row.iter().map(|z| f64::from(z - top).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(|p| p / sum).collect()
        })
        .collect())
}

/// AUROC (macro one-vs-rest beyond two classes), or `None` where a class is missing.
fn area(predictions: &[&Prediction]) -> Result<Option<f64>> {
    let Some(first) = predictions.first() else {
        return Ok(None);
    };
    let labels: Vec<usize> = predictions.iter().map(|p| p.target).collect();
    defined(area_of(&flat(predictions), first.outputs.len(), &labels))
}

/// AUROC of probabilities `[N, K]`.
pub(super) fn area_of(
    outputs: &[f64],
    classes: usize,
    labels: &[usize],
) -> std::result::Result<f64, MetricError> {
    if classes > 2 {
        return auroc_ovr_macro(outputs, classes, labels);
    }
    let scores: Vec<f64> = outputs.iter().skip(1).step_by(2).copied().collect();
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    auroc(&scores, &positive)
}

/// A metric that does not exist on these samples is `None`; bad input stays an error.
pub(super) fn defined(value: std::result::Result<f64, MetricError>) -> Result<Option<f64>> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_undefined() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn flat(predictions: &[&Prediction]) -> Vec<f64> {
    predictions
        .iter()
        .flat_map(|p| p.outputs.iter().copied())
        .collect()
}

/// AUROC, accuracy, balanced accuracy, expected calibration error, negative log likelihood and the
/// AUROC of the worst site; a metric that is undefined on the samples is left out.
///
/// # Errors
/// When outputs are not probabilities.
pub fn classification_metrics(predictions: &[Prediction]) -> Result<Metrics> {
    let all: Vec<&Prediction> = predictions.iter().collect();
    let mut metrics = Metrics::new();
    let Some(first) = all.first() else {
        return Ok(metrics);
    };
    let classes = first.outputs.len();
    let outputs = flat(&all);
    let labels: Vec<usize> = all.iter().map(|p| p.target).collect();
    let predicted = predicted_classes(&outputs, classes)?;
    let confusion = ConfusionMatrix::from_predictions(&predicted, &labels, classes)?;
    metrics.insert("accuracy".into(), confusion.accuracy());
    let mut insert = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            metrics.insert(name.into(), value);
        }
    };
    insert("balanced_accuracy", defined(confusion.balanced_accuracy())?);
    insert("auroc", area(&all)?);
    let top = top_predictions(&outputs, classes, &labels)?;
    let table = ReliabilityTable::of(&top, Binning::EqualWidth, CALIBRATION_BINS)?;
    insert("ece", Some(table.expected_error()));
    insert("log_loss", Some(log_loss(&all)));
    insert("worst_site_auroc", worst_site(&all)?);
    Ok(metrics)
}

/// Mean negative log probability of the true class, probabilities bounded below by 1e-12.
fn log_loss(predictions: &[&Prediction]) -> f64 {
    let sum: f64 = predictions
        .iter()
        .map(|p| -p.outputs[p.target].max(1e-12).ln())
        .sum();
    sum / predictions.len() as f64
}

/// Smallest AUROC over the sites that have both classes, where there are at least two.
fn worst_site(predictions: &[&Prediction]) -> Result<Option<f64>> {
    let sites: Vec<&str> = predictions.iter().map(|p| p.site.as_str()).collect();
    let table = GroupTable::of(&sites, |rows| {
        let labels: Vec<usize> = rows.iter().map(|&row| predictions[row].target).collect();
        let outputs: Vec<f64> = rows
            .iter()
            .flat_map(|&row| predictions[row].outputs.iter().copied())
            .collect();
        area_of(&outputs, predictions[0].outputs.len(), &labels)
    })?;
    if table.values().len() < 2 {
        return Ok(None);
    }
    Ok(Some(table.worst(Direction::HigherIsBetter)?.value))
}

/// AUROC over all samples, or `None` where a class is missing.
pub(super) fn auroc_of(predictions: &[Prediction]) -> Result<Option<f64>> {
    area(&predictions.iter().collect::<Vec<_>>())
}

/// The mean over sites of the mean of a column, over the rows that have a finite value in it.
pub(super) fn site_mean(rows: &[Prediction], value: impl Fn(&Prediction) -> f64) -> Option<f64> {
    let mut sites: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let value = value(row);
        if value.is_finite() {
            sites.entry(&row.site).or_default().push(value);
        }
    }
    let means: Vec<f64> = sites.values().map(|values| mean(values)).collect();
    (!means.is_empty()).then(|| mean(&means))
}

/// The mean of a column over the rows that have a finite value in it.
pub(super) fn finite_mean(rows: &[Prediction], value: impl Fn(&Prediction) -> f64) -> Option<f64> {
    let values: Vec<f64> = rows.iter().map(value).filter(|v| v.is_finite()).collect();
    (!values.is_empty()).then(|| mean(&values))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What a checkpoint is selected by where accuracy is asked for: the mean over sites of the share of
/// right answers, the lowest class on ties.
pub(super) fn accuracy_score(predictions: &[Prediction]) -> f64 {
    let right = |row: &Prediction| {
        let better = |best: usize, k| {
            if row.outputs[k] > row.outputs[best] {
                k
            } else {
                best
            }
        };
        let answer = (0..row.outputs.len()).fold(0, better);
        f64::from(answer == row.target)
    };
    site_mean(predictions, right).unwrap_or(0.0)
}

/// What a checkpoint is selected by: the mean over sites of the AUROC; where no site has both
/// classes, the AUROC over all samples; where that does not exist, minus the log loss.
pub(super) fn classification_score(predictions: &[Prediction]) -> Result<f64> {
    let mut sites: Vec<&str> = predictions.iter().map(|p| p.site.as_str()).collect();
    sites.sort_unstable();
    sites.dedup();
    let mut areas = Vec::new();
    for site in sites {
        let of_site: Vec<&Prediction> = predictions.iter().filter(|p| p.site == site).collect();
        areas.extend(area(&of_site)?);
    }
    if !areas.is_empty() {
        return Ok(areas.iter().sum::<f64>() / areas.len() as f64);
    }
    let all: Vec<&Prediction> = predictions.iter().collect();
    Ok(match area(&all)? {
        Some(value) => value,
        None if all.is_empty() => 0.0,
        None => -log_loss(&all),
    })
}
