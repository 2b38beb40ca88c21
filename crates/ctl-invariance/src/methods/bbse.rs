//! Black-box shift estimation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::label_shift::{self, Vote};
use crate::{
    Adaptation, Assumption, BuildContext, ConfigError, Deployment, Exception, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, OutputCorrection, Result, Role, Status,
};

/// Description of `bbse`.
pub const INFO: MethodInfo = MethodInfo {
    id: "bbse",
    name: "BBSE",
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
    paper: "Lipton, Wang & Smola 2018, Detecting and Correcting for Label Shift with Black Box Predictors",
    summary: "Estimates the target's label frequencies from the confusion matrix on source validation patients and corrects the outputs by them.",
};

/// How predictions enter the confusion matrix of `bbse` and `rlls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Predictions {
    /// Decisions, as in the paper's theorem.
    Hard,
    /// Probabilities: less noise with few patients.
    #[default]
    Soft,
}

impl Predictions {
    /// How a prediction counts.
    pub(crate) fn vote(self) -> Vote {
        match self {
            Self::Hard => Vote::Hard,
            Self::Soft => Vote::Soft,
        }
    }
}

/// Settings of `bbse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BbseConfig {
    /// What the confusion matrix counts.
    pub predictions: Predictions,
}

impl MethodConfig for BbseConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::adaptation(Bbse { config: *self }))
    }
}

/// `p′_y ∝ w_y p_y` with `w = max(C⁻¹ μ, 0)`; probabilities are calibrated on the sources first,
/// because a correction of the prior is right for calibrated ones only.
pub struct Bbse {
    /// Settings.
    pub config: BbseConfig,
}

impl Adaptation for Bbse {
    fn correction(&self, deployment: &Deployment<'_>) -> Result<OutputCorrection> {
        let calibrated = label_shift::calibrated(deployment)?;
        let deployment = calibrated.deployment();
        let prior = label_shift::source_prior(&deployment)?;
        let found = label_shift::black_box(&deployment, self.config.predictions.vote())?;
        let estimate = found
            .weights
            .and_then(|weights| label_shift::target_prior(&weights, &prior));
        Ok(calibrated.towards(estimate, &prior))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The predictor is always right and calibrated to 0.9; class 1 triples its odds.
    #[test]
    fn corrects_towards_the_target() {
        let (no, yes) = ([0.9, 0.1], [0.1, 0.9]);
        let mut validation = Vec::new();
        let mut labels = Vec::new();
        for i in 0..20 {
            // One in ten is wrong, so that 0.9 is calibrated.
            let says_yes = (i % 2 == 1) != (i % 10 == 4 || i % 10 == 5);
            validation.extend(if says_yes { yes } else { no });
            labels.push(i % 2);
        }
        let mean =
            |rows: &[f64]| rows.iter().skip(1).step_by(2).sum::<f64>() * 2.0 / rows.len() as f64;
        assert!((mean(&validation) - 0.5).abs() < 1e-12);
        // Of 20 target patients 15 are of class 1.
        let target: Vec<f64> = (0..100)
            .flat_map(|i| if i % 10 < 7 { yes } else { no })
            .collect();
        let deployment = Deployment {
            classes: 2,
            validation: &validation,
            labels: &labels,
            target: &target,
        };
        let method = Bbse {
            config: BbseConfig::default(),
        };
        let correction = method.correction(&deployment).unwrap();
        let [w0, w1] = correction.weights[..] else {
            panic!("{correction:?}")
        };
        assert!(w1 > 1.0 && w0 < 1.0, "{correction:?}");
        assert!(correction.apply(&[0.5, 0.5])[1] > 0.6);
    }
}
