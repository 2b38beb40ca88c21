//! Linear-Gaussian and nonlinear structural models.

use std::path::Path;

use serde_json::Value;

use super::input::{Problem, diagram, list, number, numbers, object, string};
use super::{Outcome, each_case};
use crate::model::{
    Basis, Formula, Gaussian, Intervention, LinearGaussian, Mechanism, ModelError, Noise, Scm,
};
use crate::{Diagram, NodeId};

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        Self(error.to_string())
    }
}

/// Collects the numbers that differ by more than a tolerance.
pub(super) struct Comparison {
    tolerance: f64,
    pub(super) differences: Vec<String>,
}

impl Comparison {
    pub(super) fn new(tolerance: f64) -> Self {
        Self {
            tolerance,
            differences: Vec::new(),
        }
    }

    pub(super) fn number(&mut self, field: &str, found: f64, expected: f64) {
        // Not a number is a difference.
        let agrees = (found - expected).abs() <= self.tolerance;
        if !agrees {
            let line = format!("{field}: expected {expected}, found {found}");
            self.differences.push(line);
        }
    }

    pub(super) fn list(
        &mut self,
        field: &str,
        found: &[f64],
        expected: &Value,
    ) -> Result<(), Problem> {
        let expected = numbers(expected)?;
        if found.len() != expected.len() {
            let line = format!(
                "{field}: expected {} numbers, found {}",
                expected.len(),
                found.len()
            );
            self.differences.push(line);
        }
        for (place, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
            self.number(&format!("{field}[{place}]"), found, expected);
        }
        Ok(())
    }

    fn nodes(
        &mut self,
        diagram: &Diagram,
        field: &str,
        found: impl Fn(NodeId) -> f64,
        expected: &Value,
    ) -> Result<(), Problem> {
        for (node, expected) in by_node(diagram, expected)? {
            let field = format!("{field}.{}", diagram.name(node));
            self.number(&field, found(node), expected);
        }
        Ok(())
    }

    fn matrix(
        &mut self,
        diagram: &Diagram,
        field: &str,
        found: impl Fn(NodeId, NodeId) -> f64,
        expected: &Value,
    ) -> Result<(), Problem> {
        for (row, expected) in diagram.ids().zip(rows(expected)?) {
            let found: Vec<f64> = diagram.ids().map(|column| found(row, column)).collect();
            self.list(&format!("{field}[{}]", diagram.name(row)), &found, expected)?;
        }
        Ok(())
    }
}

fn rows(value: &Value) -> Result<&[Value], Problem> {
    let rows = value.as_array().map(Vec::as_slice);
    rows.ok_or_else(|| Problem("expected a matrix".to_owned()))
}

/// The numbers of an object keyed by node names.
fn by_node(diagram: &Diagram, value: &Value) -> Result<Vec<(NodeId, f64)>, Problem> {
    let entry = |(name, value): (&String, &Value)| {
        let number = value.as_f64();
        let number = number.ok_or_else(|| Problem(format!("{name}: expected a number")))?;
        Ok((diagram.node(name)?, number))
    };
    object(value)?.iter().map(entry).collect()
}

pub(super) fn linear_gaussian(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", |case| {
        let diagram = diagram(&case["graph"])?;
        let model = linear_model(&diagram, case)?;
        let evidence = by_node(&diagram, &case["evidence"])?;
        let set = by_node(&diagram, &case["do"])?;
        let truth = &case["truth"];
        let mut compare = Comparison::new(number(truth, "tol_abs")?);

        let observed = model.observational();
        let expected = &truth["observational_mean"];
        compare.nodes(
            &diagram,
            "observational_mean",
            |node| observed.mean(node),
            expected,
        )?;
        let covariance = |a, b| observed.covariance(a, b);
        let expected = &truth["observational_cov"];
        compare.matrix(&diagram, "observational_cov", covariance, expected)?;
        let mut moments = |name: &str, found: &Gaussian| {
            let (mean, variance) = (format!("{name}_mean"), format!("{name}_var"));
            compare.nodes(
                &diagram,
                &mean,
                |node| found.mean(node),
                &truth[mean.as_str()],
            )?;
            let expected = &truth[variance.as_str()];
            compare.nodes(&diagram, &variance, |node| found.variance(node), expected)
        };
        moments("interventional", &model.interventional(&set)?)?;
        moments("counterfactual", &model.counterfactual(&evidence, &set)?)?;
        let effect = |to, from| model.total_effect(from, to).unwrap_or(f64::NAN);
        let expected = &truth["total_effect_matrix"];
        compare.matrix(&diagram, "total_effect_matrix", effect, expected)?;
        Ok(compare.differences)
    })
}

fn linear_model(diagram: &Diagram, case: &Value) -> Result<LinearGaussian, Problem> {
    let mut builder = LinearGaussian::builder(diagram.clone());
    for (node, value) in by_node(diagram, &case["intercept"])? {
        builder = builder.intercept(node, value);
    }
    for (node, deviation) in by_node(diagram, &case["noise_sd"])? {
        builder = builder.error_variance(node, deviation * deviation);
    }
    for (from, to, value) in triples(diagram, case, "coef")? {
        builder = builder.coefficient(from, to, value);
    }
    for (a, b, value) in triples(diagram, case, "noise_cov_offdiag")? {
        builder = builder.error_covariance(a, b, value);
    }
    Ok(builder.build()?)
}

fn triples(
    diagram: &Diagram,
    case: &Value,
    key: &str,
) -> Result<Vec<(NodeId, NodeId, f64)>, Problem> {
    let triple = |value: &Value| {
        let fault = || Problem(format!("{key}: expected two nodes and a number"));
        let name = |place: usize| value[place].as_str().ok_or_else(fault);
        let weight = value[2].as_f64().ok_or_else(fault)?;
        Ok((diagram.node(name(0)?)?, diagram.node(name(1)?)?, weight))
    };
    list(case, key)?.iter().map(triple).collect()
}

pub(super) fn nonlinear(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", |case| {
        let diagram = diagram(&case["graph"])?;
        let mut builder = Scm::builder(diagram.clone());
        for (name, value) in object(&case["mechanisms"])? {
            let noise = Noise::normal(number(value, "noise_sd")?);
            builder = builder.node(diagram.node(name)?, mechanism(&diagram, value)?, noise);
        }
        let model = builder.build()?;
        let evidence = by_node(&diagram, &case["evidence"])?;
        let set = by_node(&diagram, &case["do"])?.into_iter();
        let set: Vec<_> = set
            .map(|(node, value)| (node, Intervention::Set(value)))
            .collect();
        let truth = &case["truth"];
        let mut compare = Comparison::new(number(truth, "tol_abs")?);
        let noises = model.abduct(&evidence)?;
        let expected = &truth["abducted_noise"];
        compare.nodes(
            &diagram,
            "abducted_noise",
            |node| noises[node.index()],
            expected,
        )?;
        let other = model.counterfactual(&evidence, &set)?;
        let expected = &truth["counterfactual"];
        compare.nodes(
            &diagram,
            "counterfactual",
            |node| other[node.index()],
            expected,
        )?;
        Ok(compare.differences)
    })
}

fn mechanism(diagram: &Diagram, value: &Value) -> Result<Mechanism, Problem> {
    let mut location = Formula::constant(number(value, "intercept")?);
    for term in list(value, "terms")? {
        location = add(diagram, location, term)?;
    }
    match string(value, "kind")? {
        "additive" => Ok(Mechanism::Additive(location)),
        "location_scale" => {
            let scale = &value["log_scale"];
            let constant = Formula::constant(number(scale, "intercept")?);
            let log_scale = add(diagram, constant, scale)?;
            Ok(Mechanism::LocationScale {
                location,
                log_scale,
            })
        }
        other => Err(Problem(format!("kind: {other} is not known"))),
    }
}

fn add(diagram: &Diagram, formula: Formula, term: &Value) -> Result<Formula, Problem> {
    let function = match string(term, "fn")? {
        "identity" => Basis::Identity,
        "square" => Basis::Square,
        "cube" => Basis::Cube,
        "exp" => Basis::Exp,
        "tanh" => Basis::Tanh,
        "sin" => Basis::Sin,
        "relu" => Basis::Relu,
        "softplus" => Basis::Softplus,
        other => return Err(Problem(format!("fn: {other} is not known"))),
    };
    let parent = diagram.node(string(term, "parent")?)?;
    Ok(formula.plus(parent, function, number(term, "coef")?))
}
