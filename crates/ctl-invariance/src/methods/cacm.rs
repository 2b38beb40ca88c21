//! Causally adaptive constraint minimisation.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mmd::MmdConfig;
use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Family, IndependenceConfig, IndependenceKind,
    IndependencePenalty, MethodConfig, MethodInfo, MethodParts, Needs, Result, Role,
    SearchDimension, Status, in_range,
};

/// Description of `cacm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "cacm",
    name: "CACM",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::KnownDiagram],
    paper: "Kaur, Kiciman & Sharma 2022, Modeling the Data-Generating Process is Necessary for Out-of-Distribution Generalization",
    summary: "Holds the features to the independences of the environment that the causal diagram implies.",
};

/// Settings of `cacm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacmConfig {
    /// Independences that the diagram implies, at least one, each once: `ctl advise` derives them.
    pub constraints: Vec<IndependenceKind>,
    /// Weight of the mean penalty over the constraints, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
}

impl Default for CacmConfig {
    /// The constraint where the environment goes with the label through a common cause and shows in
    /// the image, and `DomainBed`'s kernels.
    fn default() -> Self {
        Self {
            constraints: vec![IndependenceKind::ConditionalOnLabel],
            penalty_weight: 1.0,
            gammas: MmdConfig::default().gammas,
        }
    }
}

impl CacmConfig {
    fn kinds(&self) -> BTreeSet<IndependenceKind> {
        self.constraints.iter().copied().collect()
    }
}

impl MethodConfig for CacmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let count = self.constraints.len();
        let ok = count > 0 && self.kinds().len() == count;
        let shown = format!("{:?}", self.constraints);
        in_range(method, "constraints", &shown, "at least one, each once", ok)?;
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_gammas(method, &self.gammas)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 2.0)]
    }

    /// [`IndependencePenalty`] of the environment.
    ///
    /// # References
    /// Kaur et al. 2022, section 4, on which constraint goes with which diagram.
    /// Deviations: the attribute is the environment; the penalties of several constraints have one
    /// weight and are averaged; discrepancies are of the features, where the authors' program takes
    /// the last layer's outputs; `same-rule` stands for diagrams whose constraint is on the label
    /// given the features.
    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        let config = IndependenceConfig {
            penalty_weight: self.penalty_weight,
            gammas: self.gammas.clone(),
            ..IndependenceConfig::default()
        };
        let objective = IndependencePenalty::of_environments(self.kinds(), config);
        Ok(MethodParts::objective(objective))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{assert_near, classification, evaluate, scalar};

    fn total(constraints: &[IndependenceKind]) -> f64 {
        let config = CacmConfig {
            constraints: constraints.to_vec(),
            penalty_weight: 3.0,
            gammas: vec![0.5],
        };
        config.validate("cacm").unwrap();
        let context = BuildContext {
            environments: 2,
            features: 2,
            outputs: 2,
            seed: 0,
            run: "t",
            steps: 100,
            independences: &[],
        };
        let mut parts = config.build(&context).unwrap();
        let environments = [
            classification(0, &[[0.5, 0.0], [1.5, 0.0]], &[0, 1]),
            classification(1, &[[0.5, 0.0], [1.5, 0.0]], &[1, 0]),
        ];
        scalar(&evaluate(parts.objective.as_mut(), &environments).total)
    }

    /// Labels balance what the environments do to the features: 0 as a whole, 2 − 2/√e within each
    /// label, and the mean of both.
    #[test]
    fn constraints_are_averaged() {
        use IndependenceKind::{ConditionalOnLabel, Marginal};
        let risk = total(&[Marginal]);
        let within = 2.0 - 2.0 * (-0.5f64).exp();
        assert_near(total(&[ConditionalOnLabel]), risk + 3.0 * within);
        assert_near(total(&[Marginal, ConditionalOnLabel]), risk + 1.5 * within);
        // Logits (z, 0): slopes (σ(z) − 1) z for label 0 and σ(z) z for label 1.
        let odds = |z: f64| 1.0 / (1.0 + (-z).exp());
        let slope = |z: f64, label: u32| (odds(z) - f64::from(label == 0)) * z;
        let of_first = slope(0.5, 0) * slope(1.5, 1);
        let of_second = slope(0.5, 1) * slope(1.5, 0);
        let penalty = f64::midpoint(of_first, of_second);
        assert_near(total(&[IndependenceKind::SameRule]), risk + 3.0 * penalty);
    }

    #[test]
    fn no_constraint_and_one_named_twice_are_errors() {
        for constraints in [vec![], vec![IndependenceKind::Marginal; 2]] {
            let config = CacmConfig {
                constraints,
                ..CacmConfig::default()
            };
            let message = config.validate("cacm").unwrap_err().to_string();
            assert!(
                message.contains("constraints") && message.contains("once"),
                "{message}"
            );
        }
    }
}
