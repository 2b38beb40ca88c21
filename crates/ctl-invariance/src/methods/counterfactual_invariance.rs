//! Counterfactual invariance to the environment, by its observable signatures.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mmd::MmdConfig;
use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SearchDimension, Status, Step, Value,
    mmd_distance, mmd_distances_by_label, pooled_risk,
};

const ID: &str = "counterfactual-invariance";

/// Description of `counterfactual-invariance`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "Counterfactual invariance",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::KnownCausalDirection,
        Assumption::EnvironmentMovesStyle,
    ],
    paper: "Veitch, D'Amour, Yadlowsky & Eisenstein 2021, Counterfactual Invariance to Spurious Correlations",
    summary: "Makes the features independent of the environment, given the label or not, as the causal direction asks.",
};

/// The independence that counterfactual invariance implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `φ ⊥ environment`: in the causal direction, where the image causes the label.
    Marginal,
    /// `φ ⊥ environment | label`: in the anticausal direction, where the label shows in the image.
    Conditional,
}

/// Settings of `counterfactual-invariance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualInvarianceConfig {
    /// `marginal` where the image causes the label, `conditional` where the label shows in the
    /// image.
    pub form: Form,
    /// Weight of the mean penalty over pairs of environments, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
}

impl Default for CounterfactualInvarianceConfig {
    /// The anticausal direction, of a disease that shows in the image, and `DomainBed`'s kernels.
    fn default() -> Self {
        Self {
            form: Form::Conditional,
            penalty_weight: 1.0,
            gammas: MmdConfig::default().gammas,
        }
    }
}

impl MethodConfig for CounterfactualInvarianceConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_gammas(method, &self.gammas)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 2.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        let config = self.clone();
        Ok(MethodParts::objective(CounterfactualInvariance { config }))
    }
}

/// `R + λ MMD²(φ | z = 0, φ | z = 1)`, or `R + λ Σ_y MMD²(φ | z = 0, y ; φ | z = 1, y)`, where the
/// environments stand for z; with more than two, the mean over their pairs.
///
/// R is the mean loss over all labelled samples. The marginal form is the penalty of
/// [`Mmd`](super::mmd::Mmd) among the sources.
///
/// # References
/// Veitch et al. 2021, theorem 3.2 for the signatures and section 4 for the penalties. Deviations:
/// z is the environment and may have more than two values; labels that one environment of a pair
/// lacks in a step are left out; several kernel widths are summed.
pub struct CounterfactualInvariance {
    /// Settings.
    pub config: CounterfactualInvarianceConfig,
}

impl CounterfactualInvarianceConfig {
    /// The squared discrepancies of a pair of environments: one, or one for each label that both
    /// have, labels ascending.
    ///
    /// # Errors
    /// When the widths of the features differ, or the conditional form meets targets that are no
    /// class indices.
    pub fn distances(&self, [a, b]: [&EnvironmentOutputs; 2]) -> Result<Vec<Tensor>> {
        if self.form == Form::Marginal {
            return Ok(vec![mmd_distance(&a.features, &b.features, &self.gammas)?]);
        }
        let (labels_a, labels_b) = (a.classes_or_one(ID)?, b.classes_or_one(ID)?);
        mmd_distances_by_label(
            (&a.features, &labels_a),
            (&b.features, &labels_b),
            &self.gammas,
        )
    }
}

impl Objective for CounterfactualInvariance {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments = step.labelled()?;
        let (mut distances, mut pairs) = (Vec::new(), 0_u32);
        for (i, a) in environments.iter().enumerate() {
            for b in &environments[i + 1..] {
                distances.extend(self.config.distances([a, b])?);
                pairs += 1;
            }
        }
        let penalty = if distances.is_empty() {
            let like = &environments[0].features;
            Tensor::zeros((), like.dtype(), like.device())?
        } else {
            (Tensor::stack(&distances, 0)?.sum_all()? / f64::from(pairs))?
        };
        let named = ("counterfactual-invariance-penalty", penalty);
        Value::penalised(
            &pooled_risk(step)?,
            named,
            self.config.penalty_weight,
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, tensor, values,
    };

    fn invariance(form: Form) -> CounterfactualInvariance {
        let config = CounterfactualInvarianceConfig {
            form,
            penalty_weight: 1.0,
            gammas: vec![0.5],
        };
        CounterfactualInvariance { config }
    }

    fn penalty(form: Form, environments: &[EnvironmentOutputs]) -> f64 {
        let value = evaluate(&mut invariance(form), environments);
        let penalty = value.term("counterfactual-invariance-penalty").unwrap();
        penalty.unwrap()
    }

    /// Each label's single sample moves by 1 between the environments, and labels balance it: the
    /// conditional penalty is the sum over the labels, not their mean.
    #[test]
    fn penalties_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0], [1.0, 0.0]], &[0, 1]),
            classification(1, &[[0.0, 0.0], [1.0, 0.0]], &[1, 0]),
        ];
        assert!(penalty(Form::Marginal, &environments).abs() < 1e-12);
        let of_one_label = 2.0 - 2.0 * (-0.5f64).exp();
        assert_near(
            penalty(Form::Conditional, &environments),
            2.0 * of_one_label,
        );
        // A third environment like the first: one of three pairs is equal.
        let mut three = environments.to_vec();
        three.push(classification(2, &[[0.0, 0.0], [1.0, 0.0]], &[0, 1]));
        assert_near(penalty(Form::Conditional, &three), 4.0 / 3.0 * of_one_label);
    }

    #[test]
    fn without_a_pair_or_a_common_label_there_is_no_penalty() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[5.0, 0.0]], &[1]),
        ];
        for (form, few) in [
            (Form::Marginal, &environments[..1]),
            (Form::Conditional, &environments[..1]),
            (Form::Conditional, &environments[..]),
        ] {
            assert_eq!(penalty(form, few).to_bits(), 0f64.to_bits());
        }
        assert!(penalty(Form::Marginal, &environments) > 1.0);
    }

    /// Masks have no class of the whole image: all images are of one, and both forms agree.
    #[test]
    fn of_masks_both_forms_are_one() {
        let mask = Tensor::zeros(
            (1, 2, 2),
            candle_core::DType::U32,
            &candle_core::Device::Cpu,
        );
        let mask = mask.unwrap();
        let pixels = tensor(&[0.0; 8], &[1, 2, 2, 2]);
        let environments = [0, 1].map(|index| {
            let features = tensor(&[0.0, index as f64], &[1, 2]);
            EnvironmentOutputs::labelled(index, features, pixels.clone(), mask.clone())
        });
        let step = Step {
            number: 0,
            environments: &environments,
            loss: &crate::PixelCrossEntropy,
        };
        let [one, other] = [Form::Marginal, Form::Conditional].map(|form| {
            let value = invariance(form).evaluate(&step).unwrap();
            value.total.to_scalar::<f64>().unwrap()
        });
        // Log 2 is the risk of pixels that nothing is known of.
        assert!(
            one > 2f64.ln() + 1e-3 && (one - other).abs() < 1e-12,
            "{one} {other}"
        );
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let logits = tensor(&values(16, 1), &[8, 2]);
        let features = tensor(&values(16, 12), &[8, 2]);
        for form in [Form::Marginal, Form::Conditional] {
            assert_gradient(&features, |x| {
                let labels = [0, 1, 0, 1, 1, 0, 0, 1];
                let environments = environments_of((x, &logits), &labels, &[3, 2, 3]);
                evaluate(&mut invariance(form), &environments).total
            });
        }
    }
}
