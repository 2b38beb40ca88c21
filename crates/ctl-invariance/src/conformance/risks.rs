//! Objectives that look at the risks alone.

use serde_json::{Map, Value};

use super::case::{Case, Problem, elements, float, scalar};
use super::environments::{Inputs, evaluate, risks, term};
use crate::methods::erm::{Aggregation, Erm, ErmConfig};
use crate::methods::group_dro::{GroupDro, GroupDroConfig};
use crate::methods::irm::{self, Irm, IrmConfig, PenaltyForm};
use crate::methods::mixup::mix;
use crate::methods::mm_rex::{MmRex, MmRexConfig};
use crate::methods::v_rex::{VRex, VRexConfig};
use crate::{Batch, EnvironmentOutputs, MethodConfig, Objective, TargetKind, WeightedTarget};

type Fields = Result<Map<String, Value>, Problem>;

/// Total, gradients, risks and the term that holds the penalty.
fn fields(
    case: &Case<'_>,
    inputs: &Inputs,
    objective: &mut dyn Objective,
    penalty: Option<&str>,
) -> Fields {
    let outputs = inputs.outputs()?;
    let value = evaluate(case.loss, &outputs, objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    if let Some(name) = penalty {
        fields.insert("penalty".to_owned(), term(&value, name)?);
    }
    Ok(fields)
}

pub(super) fn erm(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    let aggregation = case.aggregation(Aggregation::EnvironmentMean)?;
    let config = ErmConfig { aggregation };
    let inputs = Inputs::read(case, case.part("envs"))?;
    fields(case, &inputs, &mut Erm { config }, None)
}

pub(super) fn irm(case: &Case<'_>) -> Fields {
    case.expect_variant(&["paper", "split"])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let form = match case.variant() {
        "paper" => PenaltyForm::Paper,
        _ => PenaltyForm::Split,
    };
    let config = IrmConfig {
        penalty_weight: case.number("lambda")?,
        anneal_steps: 0,
        penalty: form,
        rescale: case.flag("rescale")?,
        ..IrmConfig::default()
    };
    config.validate("irm")?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let penalty = Some("irm-penalty");
    let mut fields = fields(case, &inputs, &mut Irm::new(config), penalty)?;
    let outputs = inputs.outputs()?;
    let labelled = outputs.iter().filter(|e| e.is_labelled());
    let penalties = labelled.map(|e| scalar(&irm::penalty(e, case.loss, form)?));
    let penalties = penalties.collect::<Result<Value, _>>()?;
    fields.insert("penalty_per_env".to_owned(), penalties);
    Ok(fields)
}

pub(super) fn v_rex(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let config = VRexConfig {
        penalty_weight: case.number("lambda")?,
        anneal_steps: 0,
        rescale: case.flag("rescale")?,
        ..VRexConfig::default()
    };
    config.validate("v-rex")?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let penalty = Some("v-rex-penalty");
    fields(case, &inputs, &mut VRex::new(config), penalty)
}

pub(super) fn mm_rex(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let config = MmRexConfig {
        lambda_min: case.number("lambda_min")?,
        anneal_steps: 0,
        rescale: case.flag("rescale")?,
        ..MmRexConfig::default()
    };
    config.validate("mm-rex")?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    fields(case, &inputs, &mut MmRex::new(config), None)
}

/// Consecutive steps that share the environments' weights.
pub(super) fn group_dro(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    let initial = &case.part("hyper")["initial_weights"];
    if !initial.is_null() && initial != "uniform" {
        return Err(Problem(format!(
            "hyper.initial_weights: {initial} is not offered"
        )));
    }
    let eta = case.number("eta")?;
    let config = GroupDroConfig { eta };
    config.validate("group-dro")?;
    let mut dro = GroupDro::new(config);
    let mut steps = Vec::new();
    for step in elements("steps", case.part("steps"))? {
        let inputs = Inputs::read(case, step)?;
        let mut fields = fields(case, &inputs, &mut dro, None)?;
        let weights = dro.weights().iter().copied().map(float).collect();
        fields.insert("weights".to_owned(), weights);
        steps.push(Value::Object(fields));
    }
    Ok(Map::from_iter([("steps".to_owned(), Value::Array(steps))]))
}

/// Given pairs and mixing weights; the features stand for the images.
pub(super) fn mixup(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    let mixed = mixed_outputs(case, &inputs)?;
    let value = evaluate(case.loss, &mixed, &mut Erm::default())?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("pair_losses".to_owned(), risks(case.loss, &mixed)?);
    Ok(fields)
}

fn mixed_outputs(case: &Case<'_>, inputs: &Inputs) -> Result<Vec<EnvironmentOutputs>, Problem> {
    let batches = batches(inputs)?;
    let (order, weights) = (case.counts("permutation")?, case.numbers("mix")?);
    let known = order.iter().all(|&index| index < batches.len());
    if order.len() != batches.len() || weights.len() != batches.len() || !known {
        return Err(Problem(
            "hyper: permutation and mix need one entry per environment".to_owned(),
        ));
    }
    let mut outputs = Vec::new();
    for (position, &weight) in weights.iter().enumerate() {
        let first = &batches[order[position]];
        let second = &batches[order[(position + 1) % order.len()]];
        let mixed = mix(first, second, weight)?;
        let logits = inputs.head()?.forward(&mixed.images)?;
        let outputs_of_pair =
            EnvironmentOutputs::new(position, mixed.images, logits, mixed.targets);
        outputs.push(outputs_of_pair);
    }
    Ok(outputs)
}

fn batches(inputs: &Inputs) -> Result<Vec<Batch>, Problem> {
    let pairs = inputs.features()?.into_iter().zip(inputs.labels()?);
    let batch = |(environment, (features, labels)): (usize, (&candle_core::Tensor, _))| Batch {
        targets: vec![WeightedTarget {
            weight: 1.0,
            target: candle_core::Tensor::clone(labels),
        }],
        ..Batch::new(environment, features.clone(), TargetKind::Classes)
    };
    Ok(pairs.enumerate().map(batch).collect())
}
