//! Weights by which every class counts the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::weighting::with_mean_one;
use crate::{
    Assumption, BuildContext, ConfigError, Exception, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Preparation, Prepared, Result, Role, Status, TrainingData,
};

/// Description of `class-balanced`.
pub const INFO: MethodInfo = MethodInfo {
    id: "class-balanced",
    name: "Class-balanced ERM",
    family: Family::Baseline,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: Exception::WITHOUT_CLASSES,
    assumptions: &[Assumption::InvariantImageGivenLabel],
    paper: "Idrissi, Arjovsky, Pezeshki & Lopez-Paz 2022, Simple data balancing achieves competitive worst-group-accuracy",
    summary: "Minimises the mean of the environments' risks, in each of which every class weighs the same.",
};

/// Settings of `class-balanced`; there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassBalancedConfig {}

impl MethodConfig for ClassBalancedConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::preparation(ClassBalanced))
    }
}

/// `w_i = 1 / (K_e P_e(y_i))` with the frequency `P_e(y)` of a class in environment `e`, which has
/// samples of `K_e` classes.
///
/// # References
/// Idrissi et al. 2022, section 3, reweighting of classes (RWY). Deviation: classes are balanced
/// within each environment, so that an environment without a class does not change the others.
pub struct ClassBalanced;

impl Preparation for ClassBalanced {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let count = data.class_count();
        let weights = (0..data.sources()).map(|e| Some(balanced(&data.classes(e)?, count)));
        Ok(Prepared {
            weights: weights.collect(),
            ..Prepared::default()
        })
    }
}

fn balanced(classes: &[u32], count: usize) -> Vec<f32> {
    let mut samples = vec![0.0; count];
    for &class in classes {
        samples[class as usize] += 1.0;
    }
    let raw: Vec<f64> = classes.iter().map(|&c| 1.0 / samples[c as usize]).collect();
    with_mean_one(&raw, f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::Patients;

    /// Three of one class and one of another: 4/(2·3) and 4/(2·1); a class that is absent takes no
    /// share.
    #[test]
    fn weights_by_hand() {
        let patients = Patients::classes(&[&[0, 0, 2, 0], &[1, 1]], 3);
        let weights = ClassBalanced.prepare(&patients).unwrap().weights.unwrap();
        let third = 2.0 / 3.0;
        for (found, expected) in weights[0].iter().zip([third, third, 2.0, third]) {
            assert!((found - expected).abs() < 1e-6, "{weights:?}");
        }
        assert_eq!(weights[1], [1.0, 1.0]);
    }
}
