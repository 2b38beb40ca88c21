//! Regularised learning under label shift.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bbse::Predictions;
use crate::config::check_weight;
use crate::label_shift;
use crate::{
    Adaptation, Assumption, BuildContext, ConfigError, Deployment, Exception, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, OutputCorrection, Result, Role, SearchDimension, Status,
    in_range,
};

/// Description of `rlls`.
pub const INFO: MethodInfo = MethodInfo {
    id: "rlls",
    name: "RLLS",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs {
        class_probabilities: true,
        ..Needs::NOTHING
    },
    exceptions: Exception::WITHOUT_CLASSES,
    assumptions: &[
        Assumption::InvariantImageGivenLabel,
        Assumption::InvertibleConfusion,
    ],
    paper: "Azizzadenesheli, Liu, Yang & Anandkumar 2019, Regularized Learning for Domain Adaptation under Label Shifts",
    summary: "Estimates the target's label frequencies from the confusion matrix with shrinkage towards no shift and corrects the outputs by them.",
};

/// Settings of `rlls`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RllsConfig {
    /// What the confusion matrix counts.
    pub predictions: Predictions,
    /// Factor on the bound of the confusion matrix's error that gives the regularisation, not
    /// negative.
    pub regularisation: f64,
    /// Share of the estimated shift that is believed, 0 to 1.
    pub shrinkage: f64,
}

impl Default for RllsConfig {
    /// The factor of the authors' experiments, and all of the shift.
    fn default() -> Self {
        Self {
            predictions: Predictions::Soft,
            regularisation: 0.01,
            shrinkage: 1.0,
        }
    }
}

impl MethodConfig for RllsConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "regularisation", self.regularisation)?;
        let ok = (0.0..=1.0).contains(&self.shrinkage);
        in_range(method, "shrinkage", &self.shrinkage, "0 to 1", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("regularisation", -4.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::adaptation(Rlls { config: *self }))
    }
}

/// `p′_y ∝ w_y p_y` with `w = max(1 + γ θ, 0)` of [`label_shift::regularised`]; probabilities are
/// calibrated on the sources first, because a correction of the prior is right for calibrated ones
/// only.
///
/// # References
/// Azizzadenesheli et al. 2019, section 2. Deviation: the outputs of the trained network are
/// corrected where the paper trains again with weighted losses, so that it stands beside `bbse` and
/// `em`.
pub struct Rlls {
    /// Settings.
    pub config: RllsConfig,
}

impl Adaptation for Rlls {
    fn correction(&self, deployment: &Deployment<'_>) -> Result<OutputCorrection> {
        let calibrated = label_shift::calibrated(deployment)?;
        let deployment = calibrated.deployment();
        let prior = label_shift::source_prior(&deployment)?;
        let error = label_shift::confusion_error(deployment.classes, deployment.labels.len());
        let weights = label_shift::regularised(
            &deployment,
            self.config.predictions.vote(),
            self.config.regularisation * error,
            self.config.shrinkage,
        )?;
        Ok(calibrated.towards(label_shift::target_prior(&weights, &prior), &prior))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::bbse::{Bbse, BbseConfig};

    /// Right nine times of ten and calibrated so; of the target seven in ten look like class 1.
    fn correction(config: RllsConfig) -> [OutputCorrection; 2] {
        let (no, yes) = ([0.9, 0.1], [0.1, 0.9]);
        let says_yes = |i: usize| (i % 2 == 1) != (i % 10 == 4 || i % 10 == 5);
        let validation: Vec<f64> = (0..20)
            .flat_map(|i| if says_yes(i) { yes } else { no })
            .collect();
        let labels: Vec<usize> = (0..20).map(|i| i % 2).collect();
        let target: Vec<f64> = (0..100)
            .flat_map(|i| if i % 10 < 7 { yes } else { no })
            .collect();
        let deployment = Deployment {
            classes: 2,
            validation: &validation,
            labels: &labels,
            target: &target,
        };
        let bbse = Bbse {
            config: BbseConfig::default(),
        };
        let rlls = Rlls { config };
        [&rlls as &dyn Adaptation, &bbse].map(|m| m.correction(&deployment).unwrap())
    }

    #[test]
    fn it_is_black_box_estimation_without_regularisation_and_nothing_with_much() {
        let [found, bbse] = correction(RllsConfig {
            regularisation: 0.0,
            ..RllsConfig::default()
        });
        for (a, b) in found.weights.iter().zip(&bbse.weights) {
            assert!((a - b).abs() < 1e-12, "{found:?} {bbse:?}");
        }
        let much = RllsConfig {
            regularisation: 10.0,
            ..RllsConfig::default()
        };
        let none = RllsConfig {
            shrinkage: 0.0,
            ..RllsConfig::default()
        };
        for config in [much, none] {
            let [found, _] = correction(config);
            assert!(
                (found.apply(&[0.5, 0.5])[0] - 0.5).abs() < 1e-9,
                "{found:?}"
            );
        }
    }

    /// Half of the shift is believed: the smoothed frequencies lie in the middle.
    #[test]
    fn shrinkage_is_linear_in_the_frequencies() {
        let all = RllsConfig {
            regularisation: 0.0,
            ..RllsConfig::default()
        };
        let half = RllsConfig {
            shrinkage: 0.5,
            ..all
        };
        let weight = |config| correction(config)[0].weights[1];
        assert!((weight(half) - f64::midpoint(weight(all), 1.0)).abs() < 1e-12);
    }
}
