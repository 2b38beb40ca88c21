//! MLDG: a step on one environment should also serve another.

use candle_core::{Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::meta::{EnvironmentRisk, InnerRule, RiskGradient, first_direction};
use crate::{ObjectiveError, Result};

const NAME: &str = "mldg";

/// Whether the inner step is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MldgOrder {
    /// The inner step is a constant; the gradient after it is taken as it is.
    First,
    /// The gradient passes through the inner step.
    Second,
}

/// Settings of [`mldg`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MldgSettings {
    /// Optimiser of the inner step.
    pub rule: InnerRule,
    /// Its step size.
    pub inner_rate: f64,
    /// Weight of the risks after the inner step.
    pub beta: f64,
    /// Whether the inner step is differentiated.
    pub order: MldgOrder,
}

/// What [`mldg`] gives.
#[derive(Clone, Debug)]
pub struct MldgStep {
    /// `Σ (R_i + β R_j(θ′)) / E`, a scalar.
    pub total: Tensor,
    /// What an optimiser shall follow, one tensor for each of the weights.
    pub gradient: Vec<Tensor>,
}

/// The gradient of meta-learning for domain generalisation.
///
/// For each pair `(i, j)`, an environment to train on and one to test on, of which the larger is
/// cut to the rows of the smaller: `G_i = ∇R_i(θ)`, `θ′ = θ − η G_i` (with Adam
/// `θ − η G_i / (|G_i| + ε)`), and `G_j = ∇R_j` at `θ′`, in second order `d R_j(θ′) / dθ`. The
/// result is `Σ (G_i + β G_j) / E` over all pairs, with `E` environments.
///
/// # Arguments
/// - `weights`: `θ`.
/// - `pairs`: indices of environments.
///
/// # Returns
/// Constants.
///
/// # Errors
/// When a pair names no environment, an environment does not fit the weights, or its gradient is
/// no expression of them in second order.
///
/// # References
/// Li, Yang, Song & Hospedales 2018, Learning to Generalize: Meta-Learning for Domain
/// Generalization, algorithm 1, over pairs of environments and divided by their number as in
/// `DomainBed`.
///
/// # Examples
/// Risks `(b − 1)²` and `(b + 3)²` of a bias at 0, trained on the first:
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_invariance::SquaredError;
/// use ctl_invariance::gradients::{
///     EnvironmentRisk, InnerRule, LinearHead, MldgOrder, MldgSettings, mldg,
/// };
///
/// let constant = |value: f64| Tensor::new(&[[value]], &Device::Cpu);
/// let environment = |target: f64| -> Result<_, candle_core::Error> {
///     let (input, target) = (constant(0.0)?, constant(target)?);
///     Ok(LinearHead { input, target, loss: &SquaredError })
/// };
/// let (one, other) = (environment(1.0)?, environment(-3.0)?);
/// let environments: [&dyn EnvironmentRisk; 2] = [&one, &other];
/// let weights = [constant(0.0)?, Tensor::zeros(1, DType::F64, &Device::Cpu)?];
/// let bias = |order| {
///     let settings = MldgSettings { rule: InnerRule::Sgd, inner_rate: 0.25, beta: 1.0, order };
///     let step = mldg(&weights, &environments, &[(0, 1)], &settings)?;
///     Ok::<_, Box<dyn std::error::Error>>(step.gradient[1].to_vec1::<f64>()?[0])
/// };
/// // G_i = −2, b′ = 0.5, and ∇R_j = 7 there; b′ moves by 1 − 0.25 · 2 as b does.
/// assert_eq!(bias(MldgOrder::First)?, (-2.0 + 7.0) / 2.0);
/// assert_eq!(bias(MldgOrder::Second)?, (-2.0 + 7.0 * 0.5) / 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mldg(
    weights: &[Tensor],
    environments: &[&dyn EnvironmentRisk],
    pairs: &[(usize, usize)],
    settings: &MldgSettings,
) -> Result<MldgStep> {
    let leaves: Vec<Var> = weights
        .iter()
        .map(Var::from_tensor)
        .collect::<std::result::Result<_, _>>()?;
    let theta: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
    let share = 1.0 / environments.len() as f64;
    let Some(first) = weights.first() else {
        return Err(misfit("one weight or more", "none"));
    };
    let mut total = Tensor::zeros((), first.dtype(), first.device())?;
    let mut gradient: Vec<Tensor> = weights
        .iter()
        .map(Tensor::zeros_like)
        .collect::<std::result::Result<_, _>>()?;
    for &pair in pairs {
        let (train, test) = chosen(environments, pair)?;
        let rows = train.rows().min(test.rows());
        let before = train.at(&theta, rows)?;
        let inner = inner_step(&theta, &before, settings)?;
        let after = test.at(&inner, rows)?;
        let tested = match settings.order {
            MldgOrder::First => after.gradient,
            MldgOrder::Second => through_the_step(&after.risk, &leaves)?,
        };
        let risks = (before.risk + (after.risk * settings.beta)?)?;
        total = (total + (risks.detach() * share)?)?;
        for ((sum, own), other) in gradient.iter_mut().zip(&before.gradient).zip(&tested) {
            let both = (own + (other * settings.beta)?)?;
            *sum = (&*sum + (both.detach() * share)?)?;
        }
    }
    Ok(MldgStep { total, gradient })
}

fn chosen<'a>(
    environments: &[&'a dyn EnvironmentRisk],
    (train, test): (usize, usize),
) -> Result<(&'a dyn EnvironmentRisk, &'a dyn EnvironmentRisk)> {
    match (environments.get(train), environments.get(test)) {
        (Some(train), Some(test)) => Ok((*train, *test)),
        _ => Err(misfit(
            &format!("pairs of {} environments", environments.len()),
            &format!("({train}, {test})"),
        )),
    }
}

/// `θ′`: an expression of `θ` in second order, else a constant.
fn inner_step(
    theta: &[Tensor],
    before: &RiskGradient,
    settings: &MldgSettings,
) -> Result<Vec<Tensor>> {
    let second = settings.order == MldgOrder::Second;
    if second && before.gradient.iter().any(|gradient| !gradient.track_op()) {
        return Err(misfit(
            "gradients that are expressions of the weights",
            "constants",
        ));
    }
    let moved = theta
        .iter()
        .zip(&before.gradient)
        .map(|(weight, gradient)| {
            let direction = first_direction(settings.rule, gradient)?;
            let moved = (weight - (direction * settings.inner_rate)?)?;
            Ok(if second { moved } else { moved.detach() })
        });
    moved.collect()
}

/// `d R_j(θ′) / dθ`.
fn through_the_step(risk: &Tensor, leaves: &[Var]) -> Result<Vec<Tensor>> {
    let gradients = risk.backward()?;
    let of = |leaf: &Var| match gradients.get(leaf) {
        Some(gradient) => Ok(gradient.clone()),
        None => Ok(leaf.zeros_like()?),
    };
    leaves.iter().map(of).collect()
}

fn misfit(expected: &str, found: &str) -> ObjectiveError {
    ObjectiveError::Environments {
        method: NAME,
        expected: expected.into(),
        found: found.into(),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// `R(w) = w²`, with its gradient as a constant.
    struct Opaque;

    impl EnvironmentRisk for Opaque {
        fn rows(&self) -> usize {
            1
        }

        fn at(&self, weights: &[Tensor], _rows: usize) -> Result<RiskGradient> {
            let gradient = vec![(weights[0].detach() * 2.0)?];
            let risk = weights[0].sqr()?.sum_all()?;
            Ok(RiskGradient { risk, gradient })
        }
    }

    fn run(pairs: &[(usize, usize)], order: MldgOrder) -> Result<MldgStep> {
        let settings = MldgSettings {
            rule: InnerRule::Sgd,
            inner_rate: 0.1,
            beta: 1.0,
            order,
        };
        let weights = [Tensor::ones(1, DType::F64, &Device::Cpu)?];
        mldg(&weights, &[&Opaque, &Opaque], pairs, &settings)
    }

    #[test]
    fn second_order_refuses_gradients_that_it_cannot_differentiate() {
        assert!(run(&[(0, 1)], MldgOrder::First).is_ok());
        let error = run(&[(0, 1)], MldgOrder::Second).unwrap_err();
        assert!(
            error.to_string().contains("expressions of the weights"),
            "{error}"
        );
    }

    #[test]
    fn unknown_environments_are_named() {
        let error = run(&[(0, 2)], MldgOrder::First).unwrap_err();
        let expected = "mldg: expected pairs of 2 environments, found (0, 2)";
        assert_eq!(error.to_string(), expected);
    }
}
