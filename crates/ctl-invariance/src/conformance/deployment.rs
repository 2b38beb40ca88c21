//! What is done at deployment.

use candle_core::{Device, Tensor, Var};
use serde_json::{Map, Value, json};

use super::case::{Case, Problem, float, scalar, tensor};
use super::environments::gradients;
use crate::label_shift::{
    BlackBox, Vote, black_box, em_iterates, expectation_maximisation, log_likelihood_ratio,
    source_prior, target_prior,
};
use crate::methods::importance_weighting::{density_ratio, effective_sample_size, weighted_risks};
use crate::{Deployment, OutputCorrection, softmax_entropy};

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

/// Weights from the probability that a sample is of the target, and risks from losses.
pub(super) fn importance_weighting(case: &Case<'_>) -> Result<Map<String, Value>, Problem> {
    case.expect_variant(&[""])?;
    let list = |name: &str| -> Result<Vec<f64>, Problem> {
        let items = case.part(name).as_array();
        let numbers = items.and_then(|items| items.iter().map(Value::as_f64).collect());
        numbers.ok_or_else(|| Problem(format!("{name}: expected a list of numbers")))
    };
    let (probabilities, losses) = (list("target_probability")?, list("losses")?);
    if probabilities.len() != losses.len() || losses.is_empty() {
        let (found, wanted) = (probabilities.len(), losses.len());
        return Err(Problem(format!(
            "target_probability: expected one for each of {wanted} losses, found {found}"
        )));
    }
    let count = |name: &str| -> Result<usize, Problem> {
        let value = &case.part("hyper")[name];
        let count = value.as_u64().filter(|&count| count > 0);
        let count = count.ok_or_else(|| Problem(format!("hyper.{name}: expected a count")))?;
        Ok(count as usize)
    };
    let clip = match &case.part("hyper")["clip_max"] {
        Value::Null => None,
        _ => Some(case.number("clip_max")?),
    };
    let log_odds: Vec<f64> = probabilities.iter().map(|d| (d / (1.0 - d)).ln()).collect();
    let sizes = [count("n_source")?, count("n_target")?];
    let weights = density_ratio(&log_odds, sizes, clip);
    let losses = Tensor::new(losses, &Device::Cpu)?;
    let [plain, normalised] = weighted_risks(&losses, &weights)?;
    let size = float(effective_sample_size(&weights));
    Ok(Map::from_iter([
        (
            "weights".to_owned(),
            weights.into_iter().map(float).collect(),
        ),
        ("weighted_risk".to_owned(), scalar(&plain)?),
        ("self_normalised_risk".to_owned(), scalar(&normalised)?),
        ("effective_sample_size".to_owned(), size),
    ]))
}

/// Mean entropy of the predictions of a batch.
pub(super) fn tent(case: &Case<'_>) -> Result<Map<String, Value>, Problem> {
    case.expect_variant(&[""])?;
    let logits = tensor("batch.logits", &case.part("batch")["logits"])?;
    let logits = Var::from_tensor(&logits)?;
    let total = softmax_entropy(&logits)?.mean_all()?;
    Ok(Map::from_iter([
        ("total".to_owned(), scalar(&total)?),
        (
            "grad_logits".to_owned(),
            gradients(&total, &[&logits])?[0].take(),
        ),
    ]))
}
