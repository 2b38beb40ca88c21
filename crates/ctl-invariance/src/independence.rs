//! Independences that a causal diagram asks of a representation, as penalties.

use std::collections::BTreeSet;

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_gammas, check_weight};
use crate::discrepancy::{conditional_mmd_distance, mmd_distance, pairwise_mean};
use crate::methods::irm;
use crate::{ConfigError, Objective, Result, Step, Value, in_range, mean_risk};

/// The name under which errors speak of these penalties.
const SUBJECT: &str = "independence";
/// The variable that stands for the source an image comes from.
pub const ENVIRONMENT: &str = "environment";

/// The form of an independence that a representation `φ` of the image is held to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum IndependenceKind {
    /// `φ ⊥ environment`: the squared maximum mean discrepancy of the features of two environments.
    Marginal,
    /// `φ ⊥ environment | label`: the same among samples of one label, averaged over labels.
    ConditionalOnLabel,
    /// `label ⊥ environment | φ`: the penalty of invariant risk minimisation.
    SameRule,
}

/// An independence, as the array `constraints` of `ctl advise --json` holds it; other fields of an
/// entry are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Independence {
    /// The form.
    pub kind: IndependenceKind,
    /// The variables of which the representation, or the rule, must be independent.
    pub variables: Vec<String>,
}

impl Independence {
    /// The independences of an advice record.
    ///
    /// # Arguments
    /// - `record`: what `ctl advise --json` prints.
    ///
    /// # Errors
    /// [`ConfigError::Shape`] when the text is not JSON, has no array `constraints`, or an entry is
    /// of an unknown kind; the message names the place.
    ///
    /// # Examples
    /// ```
    /// use ctl_invariance::{Independence, IndependenceKind};
    ///
    /// let record = r#"{"schema": 1, "constraints": [{
    ///     "of": "representation", "variables": ["site"], "given": ["label"],
    ///     "kind": "conditional-on-label", "carrier": ["image"]
    /// }]}"#;
    /// let found = Independence::from_advice(record)?;
    /// assert_eq!(found[0].kind, IndependenceKind::ConditionalOnLabel);
    /// assert_eq!(found[0].variables, ["site"]);
    /// # Ok::<(), ctl_invariance::ConfigError>(())
    /// ```
    pub fn from_advice(record: &str) -> std::result::Result<Vec<Self>, ConfigError> {
        #[derive(Deserialize)]
        struct Record {
            constraints: Vec<Independence>,
        }
        let mut reader = serde_json::Deserializer::from_str(record);
        let record: std::result::Result<Record, _> = serde_path_to_error::deserialize(&mut reader);
        record
            .map(|record| record.constraints)
            .map_err(|error| ConfigError::Shape {
                method: SUBJECT.to_owned(),
                key: error.path().to_string(),
                message: error.inner().to_string(),
            })
    }
}

/// Settings of [`IndependencePenalty`].
#[derive(Clone, Debug, PartialEq)]
pub struct IndependenceConfig {
    /// Weight of the mean penalty, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
    /// Variables of the diagram whose values are those of the environments, such as `site` where
    /// each site is one; `environment` itself is always among them.
    pub environment: Vec<String>,
}

impl IndependenceConfig {
    /// Whether the environments stand for every variable of an independence.
    pub(crate) fn stands_for(&self, independence: &Independence) -> bool {
        let is_ours = |name: &String| name == ENVIRONMENT || self.environment.contains(name);
        independence.variables.iter().all(is_ours)
    }
}

impl Default for IndependenceConfig {
    /// The kernels of `DomainBed`, and environments that stand for themselves only.
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
            gammas: vec![0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0],
            environment: Vec::new(),
        }
    }
}

/// Mean risk plus the weighted mean of the penalties of some independences; those of one form have
/// one penalty, since all their variables are the environment's.
///
/// # References
/// Veitch, D'Amour, Yadlowsky & Eisenstein 2021, *Counterfactual invariance to spurious
/// correlations*, section 4; Kaur, Kiciman & Sharma 2022, *Modeling the data-generating process is
/// necessary for out-of-distribution generalization*, section 4, for maximum mean discrepancies
/// within labels. Deviation: pairs of environments that share no label are left out.
/// Arjovsky et al. 2019 for the penalty on the rule.
///
/// # Examples
/// Features at distance 1 between two environments, kernel `exp(−‖a − b‖²)`:
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::{
///     EnvironmentOutputs, Independence, IndependenceConfig, IndependenceKind,
///     IndependencePenalty, Objective, SoftmaxCrossEntropy, Step,
/// };
///
/// let environment = |index, x: f64| -> Result<_, candle_core::Error> {
///     let features = Tensor::new(&[[x, 0.0]], &Device::Cpu)?;
///     let target = Tensor::new(&[0_u32], &Device::Cpu)?;
///     Ok(EnvironmentOutputs::labelled(index, features.clone(), features, target))
/// };
/// let environments = [environment(0, 0.0)?, environment(1, 1.0)?];
/// let independence = Independence {
///     kind: IndependenceKind::ConditionalOnLabel,
///     variables: vec!["site".to_owned()],
/// };
/// let config = IndependenceConfig {
///     gammas: vec![1.0],
///     environment: vec!["site".to_owned()],
///     ..IndependenceConfig::default()
/// };
/// let mut objective = IndependencePenalty::new(&[independence], config)?;
/// let loss = &SoftmaxCrossEntropy;
/// let value = objective.evaluate(&Step { number: 0, environments: &environments, loss })?;
/// let penalty = value.term("independence-penalty")?.unwrap();
/// assert!((penalty - (2.0 - 2.0 * (-1f64).exp())).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IndependencePenalty {
    kinds: BTreeSet<IndependenceKind>,
    config: IndependenceConfig,
}

impl IndependencePenalty {
    /// The objective that enforces some independences.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for settings outside their ranges, for no independence at all, and for
    /// one of a variable that the environments do not stand for, whose values a batch does not hold.
    pub fn new(
        independences: &[Independence],
        config: IndependenceConfig,
    ) -> std::result::Result<Self, ConfigError> {
        check_weight(SUBJECT, "penalty_weight", config.penalty_weight)?;
        check_gammas(SUBJECT, &config.gammas)?;
        let count = independences.len();
        in_range(SUBJECT, "constraints", &count, "at least one", count > 0)?;
        for name in independences.iter().flat_map(|one| &one.variables) {
            let ok = name == ENVIRONMENT || config.environment.contains(name);
            let allowed = "a variable that the environments stand for";
            in_range(SUBJECT, "variables", name, allowed, ok)?;
        }
        let kinds = independences.iter().map(|one| one.kind).collect();
        Ok(Self { kinds, config })
    }

    /// The objective for independences of the environment itself, with settings that are checked.
    pub(crate) fn of_environments(
        kinds: BTreeSet<IndependenceKind>,
        config: IndependenceConfig,
    ) -> Self {
        Self { kinds, config }
    }

    fn penalty(&self, kind: IndependenceKind, step: &Step<'_>) -> Result<Tensor> {
        let gammas = &self.config.gammas;
        match kind {
            IndependenceKind::Marginal => {
                let features: Vec<_> = step.environments.iter().map(|e| &e.features).collect();
                pairwise_mean(&features, |a, b| mmd_distance(a, b, gammas))
            }
            IndependenceKind::ConditionalOnLabel => within_labels(step, gammas),
            IndependenceKind::SameRule => {
                let environments = step.labelled()?.into_iter();
                let penalties = environments
                    .map(|e| irm::penalty(e, step.loss, irm::PenaltyForm::Split))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Tensor::stack(&penalties, 0)?.mean_all()?)
            }
        }
    }
}

impl Objective for IndependencePenalty {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let kinds = self.kinds.iter();
        let penalties = kinds
            .map(|&kind| self.penalty(kind, step))
            .collect::<Result<Vec<_>>>()?;
        let penalty = Tensor::stack(&penalties, 0)?.mean_all()?;
        let weight = self.config.penalty_weight;
        let named = ("independence-penalty", penalty);
        Value::penalised(&mean_risk(step)?, named, weight, false)
    }
}

/// Mean over pairs of labelled environments of their distance within labels; 0 where no pair shares
/// a label.
fn within_labels(step: &Step<'_>, gammas: &[f64]) -> Result<Tensor> {
    let environments = step.labelled()?;
    let labels = environments
        .iter()
        .map(|e| e.classes_or_one(SUBJECT))
        .collect::<Result<Vec<_>>>()?;
    let mut distances = Vec::new();
    for (i, a) in environments.iter().enumerate() {
        for (j, b) in environments.iter().enumerate().skip(i + 1) {
            let (a, b) = ((&a.features, &labels[i][..]), (&b.features, &labels[j][..]));
            distances.extend(conditional_mmd_distance(a, b, gammas)?);
        }
    }
    if distances.is_empty() {
        let like = &environments[0].features;
        return Ok(Tensor::zeros((), like.dtype(), like.device())?);
    }
    Ok(Tensor::stack(&distances, 0)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvironmentOutputs;
    use crate::methods::testing::{classification, evaluate};
    use candle_core::{DType, Var};

    fn held_to(kind: IndependenceKind) -> IndependencePenalty {
        let variables = vec![ENVIRONMENT.to_owned()];
        let config = IndependenceConfig {
            gammas: vec![0.5],
            ..IndependenceConfig::default()
        };
        IndependencePenalty::new(&[Independence { kind, variables }], config).unwrap()
    }

    fn penalty_of(kind: IndependenceKind, environments: &[EnvironmentOutputs]) -> f64 {
        let value = evaluate(&mut held_to(kind), environments);
        value.term("independence-penalty").unwrap().unwrap()
    }

    /// Where only the frequency of labels differs between environments, features given the label
    /// are alike, and the features as a whole are not.
    #[test]
    fn prevalence_moves_the_marginal_penalty_only() {
        let (sick, well) = ([1.0, 0.0], [0.0, 2.0]);
        let environments = [
            classification(0, &[sick, sick, sick, well], &[1, 1, 1, 0]),
            classification(1, &[sick, well, well, well], &[1, 0, 0, 0]),
        ];
        assert!(penalty_of(IndependenceKind::ConditionalOnLabel, &environments).abs() < 1e-12);
        // ‖¾ δ_s + ¼ δ_w − ¼ δ_s − ¾ δ_w‖² = ¼ (2 − 2 k), k = exp(−½ · 5).
        let expected = 0.25 * (2.0 - 2.0 * (-2.5f64).exp());
        let found = penalty_of(IndependenceKind::Marginal, &environments);
        assert!((found - expected).abs() < 1e-12);
    }

    /// Where a scanner shifts the features of each label and labels balance it in the mixture, the
    /// features as a whole are alike, and those given the label are not.
    #[test]
    fn a_shortcut_moves_the_conditional_penalty_only() {
        let environments = [
            classification(0, &[[0.0, 0.0], [1.0, 0.0]], &[0, 1]),
            classification(1, &[[0.0, 0.0], [1.0, 0.0]], &[1, 0]),
        ];
        assert!(penalty_of(IndependenceKind::Marginal, &environments).abs() < 1e-12);
        let expected = 2.0 - 2.0 * (-0.5f64).exp();
        let found = penalty_of(IndependenceKind::ConditionalOnLabel, &environments);
        assert!((found - expected).abs() < 1e-12);
    }

    #[test]
    fn the_rule_is_held_by_the_penalty_of_irm() {
        let environments = [
            classification(0, &[[0.3, 1.5], [0.2, -0.4]], &[1, 0]),
            classification(1, &[[0.0, -0.5], [1.0, 0.1]], &[1, 1]),
        ];
        let config = irm::IrmConfig {
            anneal_steps: 0,
            ..irm::IrmConfig::default()
        };
        let irm = evaluate(&mut irm::Irm::new(config), &environments);
        let expected = irm.term("irm-penalty").unwrap().unwrap();
        assert!((penalty_of(IndependenceKind::SameRule, &environments) - expected).abs() < 1e-12);
    }

    #[test]
    fn environments_without_a_common_label_have_no_conditional_penalty() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[5.0, 0.0]], &[1]),
        ];
        let found = penalty_of(IndependenceKind::ConditionalOnLabel, &environments);
        assert!(found.abs() < 1e-300);
    }

    #[test]
    fn the_gradient_within_labels_is_that_of_finite_differences() {
        let values = [0.3f64, -0.2, 1.1, 0.4, -0.6, 0.9];
        let (fixed, labels) = ([0.1f64, 0.5, -0.3, 0.8], ([0, 1, 0], [1, 0]));
        let device = candle_core::Device::Cpu;
        let fixed = Tensor::from_vec(fixed.to_vec(), (2, 2), &device).unwrap();
        let distance = |a: &Tensor| {
            let (a, b) = ((a, &labels.0[..]), (&fixed, &labels.1[..]));
            conditional_mmd_distance(a, b, &[0.3, 1.0])
                .unwrap()
                .unwrap()
        };
        let at = |values: &[f64]| {
            let a = Tensor::from_vec(values.to_vec(), (3, 2), &device).unwrap();
            distance(&a).to_scalar::<f64>().unwrap()
        };
        let variable =
            Var::from_tensor(&Tensor::from_vec(values.to_vec(), (3, 2), &device).unwrap()).unwrap();
        let gradients = distance(variable.as_tensor()).backward().unwrap();
        let found = gradients.get(&variable).unwrap().flatten_all().unwrap();
        let found = found.to_vec1::<f64>().unwrap();
        for (i, found) in found.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut moved = values;
                moved[i] += by;
                at(&moved)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-8, "{i}: {found} {expected}");
        }
    }

    #[test]
    fn what_cannot_be_enforced_is_an_error() {
        let about = |name: &str| Independence {
            kind: IndependenceKind::Marginal,
            variables: vec![name.to_owned()],
        };
        let fault = |of: &[Independence], config| {
            let refused = IndependencePenalty::new(of, config).err();
            refused.map(|error| error.to_string()).unwrap_or_default()
        };
        let config = IndependenceConfig::default();
        assert_eq!(
            fault(&[about("scanner")], config.clone()),
            "method independence: variables = scanner is not allowed: it must be a variable that \
             the environments stand for"
        );
        assert!(fault(&[], config.clone()).contains("constraints = 0"));
        let negative = IndependenceConfig {
            penalty_weight: -1.0,
            ..config
        };
        assert!(fault(&[about(ENVIRONMENT)], negative).contains("penalty_weight = -1"));
        let images = Tensor::zeros((1, 4, 4), DType::U32, &candle_core::Device::Cpu).unwrap();
        let mut masks = classification(0, &[[0.0, 0.0]], &[0]);
        masks.targets[0].target = images;
        let message = masks.classes(SUBJECT).unwrap_err().to_string();
        assert!(message.contains("U32 [1, 4, 4]"), "{message}");
        let reals = Tensor::zeros(1, DType::F64, &candle_core::Device::Cpu).unwrap();
        masks.targets[0].target = reals;
        assert!(masks.classes(SUBJECT).is_err());
        masks.targets.clear();
        assert!(masks.classes(SUBJECT).is_err());
    }

    #[test]
    fn a_record_of_advice_is_read_and_a_wrong_one_is_an_error() {
        let fault = |text: &str| Independence::from_advice(text).unwrap_err().to_string();
        assert!(fault("{}").contains("constraints"));
        assert!(fault("not json").contains("expected"));
        let entry = r#"{"constraints": [{"kind": "loud", "variables": []}]}"#;
        assert!(fault(entry).contains("constraints[0].kind") && fault(entry).contains("loud"));
    }
}
