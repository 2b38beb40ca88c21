//! Rules that make one gradient, or one step, of those of the environments.

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::case::{Case, Problem, elements, scalar, tensor, written};
use super::environments::Inputs;
use crate::gradients::{
    EnvironmentRisk, FishSettings, InnerRule, LinearHead, MaskedGradient, MldgOrder, MldgSettings,
    and_mask, fish as fish_step, mldg as mldg_step, sand_mask,
};

type Fields = Result<Map<String, Value>, Problem>;

pub(super) fn and(case: &Case<'_>) -> Fields {
    masked(&and_mask(&given(case)?, case.number("tau")?)?)
}

pub(super) fn sand(case: &Case<'_>) -> Fields {
    let (tau, k) = (case.number("tau")?, case.number("k")?);
    masked(&sand_mask(&given(case)?, tau, k)?)
}

/// The gradients of every environment.
fn given(case: &Case<'_>) -> Result<Vec<Vec<Tensor>>, Problem> {
    let environments = elements("env_gradients", case.part("env_gradients"))?;
    let gradient = |(index, list): (usize, &Value)| {
        let name = format!("env_gradients[{index}]");
        let parameters = elements(&name, list)?.iter();
        parameters.map(|value| tensor(&name, value)).collect()
    };
    environments.iter().enumerate().map(gradient).collect()
}

fn masked(found: &MaskedGradient) -> Fields {
    Ok(Map::from_iter([
        ("combined".to_owned(), list(&found.gradient)?),
        ("mask".to_owned(), list(&found.masks)?),
    ]))
}

fn list(tensors: &[Tensor]) -> Result<Value, Problem> {
    tensors.iter().map(written).collect()
}

pub(super) fn fish(case: &Case<'_>) -> Fields {
    case.expect_variant(&["sgd", "adam"])?;
    let settings = FishSettings {
        rule: inner_rule(case.variant()),
        inner_rate: case.number("inner_lr")?,
        meta_rate: case.number("meta_lr")?,
    };
    let inputs = Inputs::read(case, case.part("envs"))?;
    let heads = heads(case, &inputs)?;
    let step = fish_step(&inputs.head()?.weights(), &dynamic(&heads), &settings)?;
    let losses = step
        .risks
        .iter()
        .map(scalar)
        .collect::<Result<Value, _>>()?;
    let mut fields = Map::from_iter([("inner_losses".to_owned(), losses)]);
    for (names, tensors) in [
        (["inner_weight", "inner_bias"], &step.inner),
        (["weight", "bias"], &step.weights),
    ] {
        for (name, tensor) in names.iter().zip(tensors) {
            fields.insert((*name).to_owned(), written(tensor)?);
        }
    }
    Ok(fields)
}

pub(super) fn mldg(case: &Case<'_>) -> Fields {
    let (order, rule) = match case.variant() {
        "first-order-sgd" => (MldgOrder::First, "sgd"),
        "first-order-adam" => (MldgOrder::First, "adam"),
        "second-order-sgd" => (MldgOrder::Second, "sgd"),
        "second-order-adam" => (MldgOrder::Second, "adam"),
        other => return Err(Problem(format!("variant: {other:?} is unknown"))),
    };
    let settings = MldgSettings {
        rule: inner_rule(rule),
        inner_rate: case.number("inner_lr")?,
        beta: case.number("beta")?,
        order,
    };
    let inputs = Inputs::read(case, case.part("envs"))?;
    let heads = heads(case, &inputs)?;
    let pairs = pairs(case)?;
    let step = mldg_step(
        &inputs.head()?.weights(),
        &dynamic(&heads),
        &pairs,
        &settings,
    )?;
    let mut fields = Map::from_iter([("total".to_owned(), scalar(&step.total)?)]);
    for (name, gradient) in ["grad_weight", "grad_bias"].iter().zip(&step.gradient) {
        fields.insert((*name).to_owned(), written(gradient)?);
    }
    Ok(fields)
}

fn inner_rule(name: &str) -> InnerRule {
    match name {
        "adam" => InnerRule::Adam,
        _ => InnerRule::Sgd,
    }
}

/// The environments, each before the case's head.
fn heads<'a>(case: &Case<'a>, inputs: &Inputs) -> Result<Vec<LinearHead<'a>>, Problem> {
    let environments = inputs.head_inputs()?.into_iter().zip(inputs.labels()?);
    let head = |(input, labels): (Tensor, &Tensor)| {
        let pixels = input.rank() > 2;
        let target = match (pixels, labels.rank()) {
            (true, 3) => labels.flatten_from(1)?,
            (true, 4..) => labels.flatten_from(2)?,
            _ => labels.clone(),
        };
        let loss = case.loss;
        Ok(LinearHead {
            input,
            target,
            loss,
        })
    };
    environments.map(head).collect()
}

fn dynamic<'a>(heads: &'a [LinearHead<'_>]) -> Vec<&'a dyn EnvironmentRisk> {
    heads
        .iter()
        .map(|head| head as &dyn EnvironmentRisk)
        .collect()
}

fn pairs(case: &Case<'_>) -> Result<Vec<(usize, usize)>, Problem> {
    let list = elements("hyper.pairs", &case.part("hyper")["pairs"])?;
    let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let pair = |value: &Value| Some((index(&value[0])?, index(&value[1])?));
    let pairs: Option<Vec<_>> = list.iter().map(pair).collect();
    pairs.ok_or_else(|| Problem("hyper.pairs: expected pairs of indices".to_owned()))
}
