//! Maximum likelihood of the target's label frequencies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::label_shift;
use crate::{
    Adaptation, Assumption, BuildContext, ConfigError, Deployment, Exception, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, OutputCorrection, Result, Role, Status,
};

/// Description of `em`.
pub const INFO: MethodInfo = MethodInfo {
    id: "em",
    name: "EM for prevalence",
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
        Assumption::CalibratedOnSources,
    ],
    paper: "Saerens, Latinne & Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities; calibration as in Alexandari, Kundaje & Shrikumar 2020",
    summary: "Estimates the target's label frequencies by maximum likelihood from calibrated outputs and corrects the outputs by them.",
};

/// Settings of `em`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmConfig {
    /// Calibrate the outputs on source validation patients first, by one temperature.
    pub calibrate: bool,
}

impl Default for EmConfig {
    fn default() -> Self {
        Self { calibrate: true }
    }
}

impl MethodConfig for EmConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::adaptation(Em { config: *self }))
    }
}

/// `p′_y ∝ (q_y / p_y) p(y given x)` with the most likely frequencies q.
pub struct Em {
    /// Settings.
    pub config: EmConfig,
}

impl Adaptation for Em {
    fn correction(&self, deployment: &Deployment<'_>) -> Result<OutputCorrection> {
        let calibrated = if self.config.calibrate {
            label_shift::calibrated(deployment)?
        } else {
            label_shift::as_given(deployment)
        };
        let deployment = calibrated.deployment();
        let prior = label_shift::source_prior(&deployment)?;
        let found = label_shift::expectation_maximisation(&deployment)?;
        Ok(calibrated.towards(Some(found), &prior))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_shift_nothing_moves() {
        let rows: Vec<f64> = (0..40)
            .flat_map(|i| {
                if i % 2 == 0 {
                    [0.75, 0.25]
                } else {
                    [0.25, 0.75]
                }
            })
            .collect();
        // A quarter is wrong on either side: 0.75 is calibrated.
        let labels: Vec<usize> = (0..40)
            .map(|i| (i % 2) ^ usize::from(i / 2 % 4 == 0))
            .collect();
        let deployment = Deployment {
            classes: 2,
            validation: &rows,
            labels: &labels,
            target: &rows,
        };
        let method = Em {
            config: EmConfig::default(),
        };
        let correction = method.correction(&deployment).unwrap();
        let corrected = correction.apply(&[0.75, 0.25]);
        assert!((corrected[0] - 0.75).abs() < 0.02, "{correction:?}");
    }
}
