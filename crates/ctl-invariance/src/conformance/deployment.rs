//! What is done at deployment.

use serde_json::{Map, Value, json};

use super::case::{Case, Problem};
use crate::label_shift::{
    BlackBox, Vote, black_box, em_iterates, expectation_maximisation, log_likelihood_ratio,
    source_prior, target_prior,
};
use crate::{Deployment, OutputCorrection};

/// Iterates and rows that a case lists.
const LISTED_ITERATES: usize = 3;
const LISTED_ROWS: usize = 5;

/// The numbers of a tensor `{"shape", "data"}`.
fn numbers(value: &Value, what: &str) -> Result<Vec<f64>, Problem> {
    let data = value["data"].as_array();
    let data = data.and_then(|data| data.iter().map(Value::as_f64).collect());
    data.ok_or_else(|| Problem(format!("{what}: expected a tensor of numbers")))
}

fn rows(values: &[f64], width: usize) -> Value {
    json!({"shape": [values.len() / width, width], "data": values})
}

fn black_box_fields(found: &BlackBox, prior: &[f64]) -> Result<Value, Problem> {
    let weights = found
        .weights
        .as_ref()
        .ok_or_else(|| Problem("confusion: cannot be inverted".into()))?;
    let clipped: Vec<f64> = weights.iter().map(|w| w.max(0.0)).collect();
    Ok(json!({
        "confusion": rows(&found.confusion.concat(), prior.len()),
        "target_prediction_marginal": found.target_marginal,
        "condition_number": found.condition_number,
        "weights": weights,
        "weights_clipped": clipped,
        "target_prior": target_prior(weights, prior),
    }))
}

fn em_fields(deployment: &Deployment<'_>, prior: &[f64]) -> Result<Value, Problem> {
    let found = expectation_maximisation(deployment)?;
    let correction = OutputCorrection {
        temperature: 1.0,
        weights: found.iter().zip(prior).map(|(q, p)| q / p).collect(),
        note: None,
    };
    let first = deployment.target.chunks_exact(deployment.classes);
    let corrected: Vec<f64> = first
        .take(LISTED_ROWS)
        .flat_map(|row| correction.apply(row))
        .collect();
    Ok(json!({
        "first_iterates": em_iterates(deployment, LISTED_ITERATES)?,
        "log_likelihood_ratio": log_likelihood_ratio(deployment, &found)?,
        "fixed_point": found,
        "corrected_posteriors_first5": rows(&corrected, prior.len()),
    }))
}

/// Estimates of label frequencies by confusion matrix and by likelihood.
pub(super) fn label_shift(case: &Case<'_>) -> Result<Map<String, Value>, Problem> {
    let source = case.part("source");
    let labels: Vec<usize> = numbers(&source["labels"], "labels")?
        .into_iter()
        .map(|label| label as usize)
        .collect();
    let validation = numbers(&source["probabilities"], "source probabilities")?;
    let target = numbers(
        &case.part("target")["probabilities"],
        "target probabilities",
    )?;
    let classes = case.part("hyper")["n_classes"].as_u64();
    let classes = classes.ok_or_else(|| Problem("n_classes: expected a number".into()))?;
    let deployment = Deployment {
        classes: classes as usize,
        validation: &validation,
        labels: &labels,
        target: &target,
    };
    let prior = source_prior(&deployment)?;
    let hard = black_box_fields(&black_box(&deployment, Vote::Hard)?, &prior)?;
    let soft = black_box_fields(&black_box(&deployment, Vote::Soft)?, &prior)?;
    let fields = json!({
        "source_prior": prior,
        "bbse_hard": hard,
        "bbse_soft": soft,
        "em": em_fields(&deployment, &prior)?,
    });
    Ok(fields.as_object().cloned().unwrap_or_default())
}
