//! Penalties on the gradients of a linear head.

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::case::{Case, Problem, elements, tensor, written};
use super::environments::{Inputs, risks};
use crate::gradients::{
    Reduction, dispersion, gradient_variance, mean_gradient, sample_gradients, smoothed_variance,
    variance_penalty,
};
use crate::methods::erm::Aggregation;
use crate::{EnvironmentOutputs, Step, mean_risk, pooled_risk};

type Fields = Result<Map<String, Value>, Problem>;

pub(super) fn iga(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let outputs = inputs.outputs()?;
    let gradients = slopes(case, &inputs, &outputs)?;
    let gradients = gradients.iter().map(|(input, slopes)| {
        let [weight, bias] = mean_gradient(input, slopes)?;
        Ok(Tensor::cat(&[weight.flatten_all()?, bias], 0)?)
    });
    let gradients = gradients.collect::<crate::Result<Vec<_>>>()?;
    let penalty = dispersion(&gradients)?;
    let mut fields = penalised(case, &inputs, &outputs, &penalty)?;
    fields.insert("env_gradients".to_owned(), list(&gradients)?);
    Ok(fields)
}

pub(super) fn fishr(case: &Case<'_>) -> Fields {
    case.expect_variant(&["mean", "sum", "mean-ema"])?;
    let reduction = match case.variant() {
        "sum" => Reduction::Sum,
        _ => Reduction::Mean,
    };
    let inputs = Inputs::read(case, case.part("envs"))?;
    let outputs = inputs.outputs()?;
    let raw = slopes(case, &inputs, &outputs)?;
    let raw = raw.iter().map(|(input, slopes)| {
        let samples = sample_gradients(input, slopes)?;
        gradient_variance(&samples)
    });
    let raw = raw.collect::<crate::Result<Vec<_>>>()?;
    let (mut used, mut kept) = (raw.clone(), Vec::new());
    if case.variant() == "mean-ema" {
        let ema = case.number("ema")?;
        for (variance, previous) in used.iter_mut().zip(previous(case, raw.len())?) {
            let (smoothed, state) = smoothed_variance(Some(&previous), variance, ema)?;
            *variance = smoothed;
            kept.push(state);
        }
    }
    let penalty = variance_penalty(&used, reduction)?;
    let mut fields = penalised(case, &inputs, &outputs, &penalty)?;
    fields.insert("gradient_variance_raw".to_owned(), list(&raw)?);
    if !kept.is_empty() {
        let state = Map::from_iter([("ema".to_owned(), list(&kept)?)]);
        fields.insert("state_after".to_owned(), Value::Object(state));
    }
    Ok(fields)
}

/// What the head is given in each environment, and the derivative with respect to its outputs.
fn slopes(
    case: &Case<'_>,
    inputs: &Inputs,
    outputs: &[EnvironmentOutputs],
) -> Result<Vec<(Tensor, Tensor)>, Problem> {
    let pairs = inputs.head_inputs()?.into_iter().zip(outputs);
    let pair = |(input, outputs): (Tensor, &EnvironmentOutputs)| {
        Ok((input, outputs.output_gradient(case.loss)?))
    };
    pairs.map(pair).collect()
}

/// The moving averages before the step.
fn previous(case: &Case<'_>, environments: usize) -> Result<Vec<Tensor>, Problem> {
    let list = elements("state.ema", &case.part("state")["ema"])?;
    if list.len() != environments {
        let found = list.len();
        return Err(Problem(format!(
            "state.ema: expected {environments} tensors, found {found}"
        )));
    }
    list.iter()
        .map(|value| tensor("state.ema", value))
        .collect()
}

/// The risk, in the aggregation of the case, plus the weighted penalty.
fn penalised(
    case: &Case<'_>,
    inputs: &Inputs,
    outputs: &[EnvironmentOutputs],
    penalty: &Tensor,
) -> Fields {
    let step = Step {
        number: 0,
        environments: outputs,
        loss: case.loss,
    };
    let risk = match case.aggregation(Aggregation::EnvironmentMean)? {
        Aggregation::EnvironmentMean => mean_risk(&step)?,
        Aggregation::Pooled => pooled_risk(&step)?,
    };
    let total = (risk + (penalty * case.number("lambda")?)?)?;
    let mut fields = inputs.differentiate(&total)?;
    fields.insert("risks".to_owned(), risks(case.loss, outputs)?);
    fields.insert("penalty".to_owned(), super::case::scalar(penalty)?);
    Ok(fields)
}

fn list(tensors: &[Tensor]) -> Result<Value, Problem> {
    tensors.iter().map(written).collect()
}
