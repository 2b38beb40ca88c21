//! Objectives with penalties on outputs, on the spread of features, and on the distribution of
//! losses.

use serde_json::{Map, Value, json};

use super::case::{Case, Problem, float, scalar};
use super::environments::{Inputs, evaluate, risks, term};
use crate::methods::eqrm::{Bandwidth, Eqrm, EqrmConfig, RiskQuantile, mixture_quantile};
use crate::methods::erm::Aggregation;
use crate::methods::ib_erm::{IbErm, IbErmConfig, bottleneck};
use crate::methods::ib_irm::{IbIrm, IbIrmConfig};
use crate::methods::irm::{self, PenaltyForm};
use crate::methods::rdm::{Rdm, RdmConfig, worst};
use crate::methods::sd::{Sd, SdConfig};
use crate::{EnvironmentOutputs, MethodConfig, Objective, Step};

type Fields = Result<Map<String, Value>, Problem>;

/// Total, gradients, risks and the terms that are asked for.
fn fields(
    case: &Case<'_>,
    objective: &mut dyn Objective,
    terms: &[(&str, &str)],
) -> Result<(Map<String, Value>, Vec<EnvironmentOutputs>), Problem> {
    let inputs = Inputs::read(case, case.part("envs"))?;
    let outputs = inputs.outputs()?;
    let value = evaluate(case.loss, &outputs, objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    for (field, name) in terms {
        fields.insert((*field).to_owned(), term(&value, name)?);
    }
    Ok((fields, outputs))
}

pub(super) fn sd(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::Pooled)?;
    let config = SdConfig {
        penalty_weight: case.number("lambda")?,
    };
    config.validate("sd")?;
    let (fields, _) = fields(case, &mut Sd { config }, &[("penalty", "sd-penalty")])?;
    Ok(fields)
}

pub(super) fn ib_erm(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let config = IbErmConfig {
        penalty_weight: case.number("ib_lambda")?,
        anneal_steps: 0,
        ..IbErmConfig::default()
    };
    config.validate("ib-erm")?;
    let terms = [("ib_penalty", "ib-penalty")];
    let (mut fields, outputs) = fields(case, &mut IbErm { config }, &terms)?;
    fields.insert("ib_penalty_per_env".to_owned(), bottlenecks(&outputs)?);
    Ok(fields)
}

fn bottlenecks(outputs: &[EnvironmentOutputs]) -> Result<Value, Problem> {
    let labelled = outputs.iter().filter(|e| e.is_labelled());
    labelled.map(|e| scalar(&bottleneck(e)?)).collect()
}

pub(super) fn ib_irm(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let penalty = match &case.part("hyper")["irm_variant"] {
        Value::Null => PenaltyForm::Split,
        Value::String(name) if name == "split" => PenaltyForm::Split,
        Value::String(name) if name == "paper" => PenaltyForm::Paper,
        other => return Err(Problem(format!("hyper.irm_variant: {other} is unknown"))),
    };
    let config = IbIrmConfig {
        irm_weight: case.number("irm_lambda")?,
        irm_anneal_steps: 0,
        penalty,
        ib_weight: case.number("ib_lambda")?,
        ib_anneal_steps: 0,
        ..IbIrmConfig::default()
    };
    config.validate("ib-irm")?;
    let terms = [("ib_penalty", "ib-penalty"), ("irm_penalty", "irm-penalty")];
    let (mut fields, outputs) = fields(case, &mut IbIrm { config }, &terms)?;
    fields.insert("ib_penalty_per_env".to_owned(), bottlenecks(&outputs)?);
    let labelled = outputs.iter().filter(|e| e.is_labelled());
    let penalties = labelled.map(|e| scalar(&irm::penalty(e, case.loss, penalty)?));
    let penalties = penalties.collect::<Result<Value, _>>()?;
    fields.insert("irm_penalty_per_env".to_owned(), penalties);
    Ok(fields)
}

pub(super) fn rdm(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    case.expect_aggregation(Aggregation::EnvironmentMean)?;
    let config = RdmConfig {
        penalty_weight: case.number("lambda")?,
        variance_weight: case.number("variance_weight")?,
        anneal_steps: 0,
        gammas: case.numbers("gammas")?,
        ..RdmConfig::default()
    };
    config.validate("rdm")?;
    let terms = [
        ("penalty", "rdm-penalty"),
        ("variance_penalty", "loss-variance"),
    ];
    let (mut fields, outputs) = fields(case, &mut Rdm { config }, &terms)?;
    let step = Step {
        number: 0,
        environments: &outputs,
        loss: case.loss,
    };
    let worst = worst(&step, &step.risks()?.to_vec1::<f64>()?)?;
    let worst = step.labelled()?[worst].environment;
    fields.insert("worst_env".to_owned(), json!(worst));
    Ok(fields)
}

pub(super) fn eqrm(case: &Case<'_>) -> Fields {
    case.expect_variant(&["gauss-optimal", "silverman"])?;
    let config = EqrmConfig {
        quantile: case.number("alpha")?,
        bandwidth: match case.variant() {
            "silverman" => Bandwidth::Silverman,
            _ => Bandwidth::GaussOptimal,
        },
        burn_in_steps: 0,
        ..EqrmConfig::default()
    };
    config.validate("eqrm")?;
    let (mut fields, outputs) = fields(case, &mut Eqrm { config }, &[])?;
    let step = Step {
        number: 0,
        environments: &outputs,
        loss: case.loss,
    };
    let risks = step.risks()?.to_vec1::<f64>()?;
    let found = RiskQuantile::of(&risks, config.quantile, config.bandwidth);
    fields.insert("bandwidth".to_owned(), float(found.bandwidth));
    let bracket = bracket_gradient(&risks, config.quantile, &found);
    for (name, gradient) in [
        ("grad_risks", found.gradient),
        ("grad_risks_bracket", bracket),
    ] {
        let data: Vec<Value> = gradient.into_iter().map(float).collect();
        fields.insert(
            name.to_owned(),
            json!({"shape": [risks.len()], "data": data}),
        );
    }
    Ok(fields)
}

/// What back-propagation through a bisection gives that starts from the quantiles of the lowest and
/// of the highest risk's kernel: a gradient through these two ends only. The quantile's derivative
/// is another; programs that differentiate their bisection are compared by this one.
fn bracket_gradient(risks: &[f64], alpha: f64, found: &RiskQuantile) -> Vec<f64> {
    let order = |a: &usize, b: &usize| risks[*a].total_cmp(&risks[*b]);
    let lowest = (0..risks.len()).min_by(order).unwrap_or(0);
    let highest = (0..risks.len()).max_by(order).unwrap_or(0);
    let reach = mixture_quantile(&[0.0], 1.0, alpha);
    let low = risks[lowest] + found.bandwidth * reach;
    let share = (found.value - low) / (risks[highest] - risks[lowest]);
    let slopes = found.bandwidth_gradient.iter();
    let mut gradient: Vec<f64> = slopes.map(|slope| reach * slope).collect();
    gradient[lowest] += 1.0 - share;
    gradient[highest] += share;
    gradient
}
