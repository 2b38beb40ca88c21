//! Group distributionally robust optimisation.

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, ObjectiveError, ObjectiveState, Result, Role, SearchDimension, Status, Step, Value,
    in_range,
};

/// Description of `group-dro`.
///
/// A robust baseline: it asks for no invariant mechanism, only that the target is a mixture of the
/// sources, so it does not count as causal.
pub const INFO: MethodInfo = MethodInfo {
    id: "group-dro",
    name: "GroupDRO",
    family: Family::Baseline,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::TargetIsMixtureOfSources],
    paper: "Sagawa, Koh, Hashimoto & Liang 2020, Distributionally Robust Neural Networks",
    summary: "Follows the environments with the highest risk by exponentiated weights.",
};

/// Settings of `group-dro`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupDroConfig {
    /// Step size of the environments' weights, positive.
    pub eta: f64,
}

impl Default for GroupDroConfig {
    fn default() -> Self {
        Self { eta: 0.01 }
    }
}

impl MethodConfig for GroupDroConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.eta.is_finite() && self.eta > 0.0;
        in_range(method, "eta", &self.eta, "positive and finite", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("eta", -3.0, -1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(GroupDro::new(*self)))
    }
}

/// `Σ_e q_e R_e` after `q_e ← q_e exp(η R_e)`, normalised, `q` held constant.
///
/// Weights belong to the environments' indices, so their order in a step does not matter.
///
/// # References
/// Sagawa et al. 2020, algorithm 1.
pub struct GroupDro {
    config: GroupDroConfig,
    /// Weight by environment index; empty before the first step.
    weights: Vec<f64>,
}

impl GroupDro {
    /// The objective with uniform weights.
    pub fn new(config: GroupDroConfig) -> Self {
        Self {
            config,
            weights: Vec::new(),
        }
    }

    /// The environments' weights by index, empty before the first step.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn update(&mut self, indices: &[usize], risks: &[f64]) {
        let largest = indices.iter().copied().max().unwrap_or(0);
        if self.weights.len() <= largest {
            self.weights = vec![1.0 / (largest + 1) as f64; largest + 1];
        }
        let mut exponents = vec![0.0; self.weights.len()];
        for (&index, risk) in indices.iter().zip(risks) {
            exponents[index] = self.config.eta * risk;
        }
        // A common factor cancels in the normalisation; without it a large risk would overflow.
        let shift = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (weight, exponent) in self.weights.iter_mut().zip(&exponents) {
            *weight *= (exponent - shift).exp();
        }
        let sum: f64 = self.weights.iter().sum();
        for weight in &mut self.weights {
            let (high, rest) = parts((*weight / sum).max(SMALLEST_WEIGHT));
            *weight = f64::from(high) + f64::from(rest);
        }
    }
}

/// Weights stop here: one that reached 0 would stay there whatever the risk becomes.
const SMALLEST_WEIGHT: f64 = f32::MIN_POSITIVE as f64;

/// A weight as two single-precision numbers, 48 bits: the form in which it is stored.
/// Weights are rounded to it at every update, so that a resumed run continues bit for bit.
pub(crate) fn parts(weight: f64) -> (f32, f32) {
    let high = weight as f32;
    (high, (weight - f64::from(high)) as f32)
}

impl Objective for GroupDro {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risks = step.risks()?;
        let numbers = risks.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let indices: Vec<usize> = step.labelled()?.iter().map(|e| e.environment).collect();
        self.update(&indices, &numbers);
        let weights: Vec<f64> = indices.iter().map(|&i| self.weights[i]).collect();
        let weights = Tensor::new(weights, risks.device())?.to_dtype(risks.dtype())?;
        let total = risks.mul(&weights)?.sum_all()?;
        let terms = vec![
            ("risk", risks.mean_all()?),
            ("weighted-risk", total.clone()),
        ];
        Ok(Value::new(total, terms))
    }

    fn state(&self) -> Result<ObjectiveState> {
        let split = self.weights.iter().flat_map(|&weight| {
            let (high, rest) = parts(weight);
            [high, rest]
        });
        Ok(ObjectiveState::from([("weights".into(), split.collect())]))
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let Some(parts) = state.get("weights").filter(|p| p.len() % 2 == 0) else {
            return Err(ObjectiveError::State {
                method: "group-dro",
                key: "weights".into(),
                expected: "two numbers per environment".into(),
                found: format!("{:?} numbers", state.get("weights").map(Vec::len)),
            });
        };
        self.weights = parts
            .chunks_exact(2)
            .map(|p| f64::from(p[0]) + f64::from(p[1]))
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate};

    /// One update from uniform weights with risks log 2 and log(1 + e).
    #[test]
    fn weights_by_hand_and_by_index() {
        let a = classification(0, &[[0.0, 0.0]], &[0]);
        let b = classification(1, &[[0.0, 1.0]], &[0]);
        let config = GroupDroConfig { eta: 0.5 };
        let (mut forward, mut backward) = (GroupDro::new(config), GroupDro::new(config));
        let one = evaluate(&mut forward, &[a.clone(), b.clone()]);
        let other = evaluate(&mut backward, &[b, a]);
        let (r0, r1) = (2f64.ln(), (1.0 + 1f64.exp()).ln());
        let (w0, w1) = ((0.5 * r0).exp(), (0.5 * r1).exp());
        let expected = (w0 * r0 + w1 * r1) / (w0 + w1);
        for value in [one, other] {
            assert!((value.total.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(forward.weights(), backward.weights());
    }

    #[test]
    fn state_survives_storage_bit_for_bit() {
        let mut dro = GroupDro::new(GroupDroConfig::default());
        dro.update(&[0, 1, 2], &[0.3, 1.7, 0.9]);
        let mut other = GroupDro::new(GroupDroConfig::default());
        other.restore(&dro.state().unwrap()).unwrap();
        assert_eq!(dro.weights(), other.weights());
        assert!(other.restore(&ObjectiveState::new()).is_err());
    }
}
