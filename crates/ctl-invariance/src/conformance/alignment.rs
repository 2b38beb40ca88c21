//! Objectives that compare the features of environments.

use candle_core::{Tensor, Var};
use serde_json::{Map, Value, json};

use super::case::{Case, Problem, class_indices, scalar, tensor};
use super::environments::{Inputs, evaluate, gradients, risks, term};
use crate::methods::causirl::{Causirl, CausirlCoralConfig, CausirlMmdConfig, Cuts, Distance};
use crate::methods::coral::{Coral, CoralConfig};
use crate::methods::counterfactual_invariance::{
    CounterfactualInvariance, CounterfactualInvarianceConfig, Form,
};
use crate::methods::deep_coral::{DeepCoral, DeepCoralConfig};
use crate::methods::erm::Aggregation;
use crate::methods::mmd::{Mmd, MmdConfig};
use crate::{
    EnvironmentOutputs, MethodConfig, Objective, coral_distance, deep_coral_distance, mmd_distance,
};

type Fields = Result<Map<String, Value>, Problem>;

/// With and without environments that have no labels.
const VARIANTS: [&str; 2] = ["", "unlabelled-target"];

pub(super) fn coral(case: &Case<'_>) -> Fields {
    let penalty_weight = case.number("lambda")?;
    let config = CoralConfig { penalty_weight };
    config.validate("coral")?;
    pairwise(
        case,
        &mut Coral { config },
        "coral-penalty",
        &coral_distance,
    )
}

pub(super) fn deep_coral(case: &Case<'_>) -> Fields {
    let penalty_weight = case.number("lambda")?;
    let config = DeepCoralConfig { penalty_weight };
    config.validate("deep-coral")?;
    let objective = &mut DeepCoral { config };
    pairwise(case, objective, "deep-coral-penalty", &deep_coral_distance)
}

pub(super) fn mmd(case: &Case<'_>) -> Fields {
    let config = MmdConfig {
        penalty_weight: case.number("lambda")?,
        gammas: case.numbers("gammas")?,
    };
    config.validate("mmd")?;
    let gammas = config.gammas.clone();
    let distance = |a: &Tensor, b: &Tensor| mmd_distance(a, b, &gammas);
    pairwise(case, &mut Mmd { config }, "mmd-penalty", &distance)
}

fn pairwise(
    case: &Case<'_>,
    objective: &mut dyn Objective,
    penalty: &str,
    distance: &dyn Fn(&Tensor, &Tensor) -> crate::Result<Tensor>,
) -> Fields {
    case.expect_variant(&VARIANTS)?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let features = inputs.features()?;
    let mut fields = penalised(case, &inputs, objective, penalty)?;
    let (mut pairs, mut distances) = (Vec::new(), Vec::new());
    for (i, a) in features.iter().enumerate() {
        for (j, b) in features.iter().enumerate().skip(i + 1) {
            pairs.push(json!([i, j]));
            distances.push(scalar(&distance(a, b)?)?);
        }
    }
    fields.insert("pairs".to_owned(), pairs.into());
    fields.insert("penalty_per_pair".to_owned(), distances.into());
    Ok(fields)
}

/// Total, gradients, risks and penalty.
fn penalised(
    case: &Case<'_>,
    inputs: &Inputs,
    objective: &mut dyn Objective,
    penalty: &str,
) -> Fields {
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let outputs = inputs.outputs()?;
    let value = evaluate(case.loss, &outputs, objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    fields.insert("penalty".to_owned(), term(&value, penalty)?);
    Ok(fields)
}

pub(super) fn causirl_coral(case: &Case<'_>) -> Fields {
    let penalty_weight = case.number("lambda")?;
    CausirlCoralConfig { penalty_weight }.validate("causirl-coral")?;
    causirl(case, penalty_weight, Distance::Coral)
}

pub(super) fn causirl_mmd(case: &Case<'_>) -> Fields {
    let config = CausirlMmdConfig {
        penalty_weight: case.number("lambda")?,
        gammas: case.numbers("gammas")?,
    };
    config.validate("causirl-mmd")?;
    causirl(case, config.penalty_weight, Distance::Mmd(config.gammas))
}

fn causirl(case: &Case<'_>, penalty_weight: f64, distance: Distance) -> Fields {
    case.expect_variant(&[""])?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let cuts = case.counts("cut")?;
    let rows = inputs.features()?.into_iter().map(|f| f.dim(0));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let fits = cuts.iter().zip(&rows).all(|(cut, rows)| cut <= rows);
    if cuts.len() != rows.len() || !fits {
        return Err(Problem(format!(
            "hyper.cut: expected a row of each environment of {rows:?} rows, found {cuts:?}"
        )));
    }
    let mut objective = Causirl::new(penalty_weight, distance, Cuts::Given(cuts));
    penalised(case, &inputs, &mut objective, "causirl-penalty")
}

/// One batch whose `attribute` says which environment a row is of.
pub(super) fn counterfactual_invariance(case: &Case<'_>) -> Fields {
    case.expect_variant(&["marginal", "conditional"])?;
    let config = CounterfactualInvarianceConfig {
        form: match case.variant() {
            "marginal" => Form::Marginal,
            _ => Form::Conditional,
        },
        penalty_weight: case.number("lambda")?,
        gammas: case.numbers("gammas")?,
    };
    config.validate("counterfactual-invariance")?;
    let batch = case.part("batch");
    let leaf = |name: &str| -> Result<Var, Problem> {
        Ok(Var::from_tensor(&tensor(name, &batch[name])?)?)
    };
    let (features, logits) = (leaf("features")?, leaf("logits")?);
    let labels = case.labels("labels", &batch["labels"])?;
    let attribute = class_indices("attribute", &batch["attribute"])?;
    let environments = by_attribute(&attribute, [&features, &logits, &labels])?;
    let [a, b] = &environments[..] else {
        let found = environments.len();
        return Err(Problem(format!(
            "attribute: expected two values, found {found}"
        )));
    };
    let terms = config.distances([a, b])?;
    let mut objective = CounterfactualInvariance { config };
    let value = evaluate(case.loss, &environments, &mut objective)?;
    let mut fields = Map::from_iter([
        ("risk".to_owned(), term(&value, "risk")?),
        (
            "penalty".to_owned(),
            term(&value, "counterfactual-invariance-penalty")?,
        ),
        ("total".to_owned(), scalar(&value.total)?),
        (
            "mmd2_terms".to_owned(),
            terms.iter().map(scalar).collect::<Result<_, _>>()?,
        ),
    ]);
    for (name, leaf) in [("grad_features", &features), ("grad_logits", &logits)] {
        fields.insert(name.to_owned(), gradients(&value.total, &[leaf])?[0].take());
    }
    Ok(fields)
}

/// The rows of each value of the attribute, values ascending.
fn by_attribute(
    attribute: &Tensor,
    parts: [&Tensor; 3],
) -> Result<Vec<EnvironmentOutputs>, Problem> {
    let values = attribute.flatten_all()?.to_vec1::<u32>()?;
    if let Some(other) = parts
        .iter()
        .find(|part| part.dims().first() != Some(&values.len()))
    {
        return Err(Problem(format!(
            "attribute: {} rows beside {:?}",
            values.len(),
            other.dims()
        )));
    }
    let distinct: std::collections::BTreeSet<u32> = values.iter().copied().collect();
    let environment = |value: u32| -> Result<EnvironmentOutputs, Problem> {
        let rows = (0..values.len()).filter(|&row| values[row] == value);
        let rows: Vec<u32> = rows.map(|row| row as u32).collect();
        let rows = Tensor::new(rows, attribute.device())?;
        let [features, logits, labels] = parts.map(|part| part.index_select(&rows, 0));
        Ok(EnvironmentOutputs::labelled(
            value as usize,
            features?,
            logits?,
            labels?,
        ))
    };
    distinct.into_iter().map(environment).collect()
}
