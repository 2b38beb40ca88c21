//! Causally adaptive constraint minimisation: penalties that a causal diagram asks for.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Family, Independence, IndependenceConfig,
    IndependenceKind, IndependencePenalty, MethodConfig, MethodInfo, MethodParts, Needs, Objective,
    Preparation, Prepared, Result, Role, SearchDimension, Status, Step, TrainingData, Value,
    in_range, mean_risk,
};

/// Description of `cacm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "cacm",
    name: "CACM",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs {
        diagram: true,
        ..Needs::ENVIRONMENTS
    },
    exceptions: &[],
    assumptions: &[
        Assumption::KnownDiagram,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Kaur, Kiciman & Sharma 2022, Modeling the Data-Generating Process is Necessary for Out-of-Distribution Generalization",
    summary: "Holds features to the independences that the causal diagram implies, and to no others.",
};

/// Settings of `cacm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacmConfig {
    /// Independences of the environment to enforce, each once, as `ctl advise` derives them; an
    /// empty list takes those that the cohort's own diagram implies.
    pub constraints: Vec<IndependenceKind>,
    /// Weight of the mean penalty of the independences, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
    /// Variables of the diagram that the environments stand for, beside `environment`.
    pub environment: Vec<String>,
}

impl Default for CacmConfig {
    fn default() -> Self {
        let usual = IndependenceConfig::default();
        Self {
            constraints: Vec::new(),
            penalty_weight: usual.penalty_weight,
            gammas: usual.gammas,
            environment: vec!["site".into()],
        }
    }
}

impl MethodConfig for CacmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let kinds: BTreeSet<_> = self.constraints.iter().collect();
        let ok = kinds.len() == self.constraints.len();
        let shown = format!("{:?}", self.constraints);
        in_range(method, "constraints", &shown, "each once", ok)?;
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_gammas(method, &self.gammas)?;
        let ok = self.environment.iter().all(|name| !name.is_empty());
        let shown = format!("{:?}", self.environment);
        in_range(method, "environment", &shown, "a list of names", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 1.0)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let config = IndependenceConfig {
            penalty_weight: self.penalty_weight,
            gammas: self.gammas.clone(),
            environment: self.environment.clone(),
        };
        let (kinds, others) = if self.constraints.is_empty() {
            let all = context.independences.iter();
            let (ours, others): (Vec<_>, Vec<_>) = all.partition(|one| config.stands_for(one));
            let kinds = ours.into_iter().map(|one| one.kind).collect();
            (kinds, others.into_iter().cloned().collect())
        } else {
            (self.constraints.iter().copied().collect(), Vec::new())
        };
        Ok(MethodParts {
            preparation: Some(Box::new(Enforced {
                kinds: BTreeSet::clone(&kinds),
                others,
            })),
            ..MethodParts::objective(Cacm { kinds, config })
        })
    }
}

/// Mean risk plus the weighted [`IndependencePenalty`] of the independences that a diagram implies
/// of a representation, or that the settings name; the mean risk alone where there is none.
///
/// Independences come from advice on the cohort's diagram, by separation; the environments are the
/// sites, whatever the diagram calls them. What batches do not hold is not enforced, such as a scanner within a site, or the class of
/// an image where the task has none, and a note says so.
/// On labels, where the diagram asks for independence given the label alone,
/// `counterfactual-invariance` in its conditional form is the same penalty, summed over labels where
/// this takes their mean.
///
/// # References
/// Kaur et al. 2022, section 4, on which constraint goes with which diagram; Veitch et al. 2021,
/// *Counterfactual invariance to spurious correlations*, section 4.
/// Deviations: the attribute is the environment; the penalties of several constraints have one
/// weight and are averaged; discrepancies are of the features, where the authors' program takes the
/// last layer's outputs; `same-rule` stands for diagrams whose constraint is on the label given the
/// features.
pub struct Cacm {
    kinds: BTreeSet<IndependenceKind>,
    config: IndependenceConfig,
}

impl Objective for Cacm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let labelled = step.labelled()?;
        let have_classes = labelled.iter().all(|e| e.classes(INFO.id).is_ok());
        let kinds = enforced(&self.kinds, have_classes);
        if kinds.is_empty() {
            let risk = mean_risk(step)?;
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        }
        IndependencePenalty::of_environments(kinds, self.config.clone()).evaluate(step)
    }
}

/// The forms that can be enforced, with or without classes of images.
fn enforced(kinds: &BTreeSet<IndependenceKind>, have_classes: bool) -> BTreeSet<IndependenceKind> {
    let needs_classes = |kind: IndependenceKind| kind == IndependenceKind::ConditionalOnLabel;
    let kinds = kinds.iter().copied();
    kinds
        .filter(|&kind| have_classes || !needs_classes(kind))
        .collect()
}

/// Says what of the diagram is not enforced.
struct Enforced {
    kinds: BTreeSet<IndependenceKind>,
    others: Vec<Independence>,
}

impl Preparation for Enforced {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let have_classes = data.class_count() > 0;
        let left = enforced(&self.kinds, have_classes);
        let mut notes = Vec::new();
        if !self.others.is_empty() {
            let variables: BTreeSet<&str> = self
                .others
                .iter()
                .flat_map(|one| &one.variables)
                .map(String::as_str)
                .collect();
            let variables: Vec<&str> = variables.into_iter().collect();
            notes.push(format!(
                "cacm: independence of {} is not enforced: the environments do not stand \
                 for it",
                variables.join(", ")
            ));
        }
        if left.len() < self.kinds.len() {
            notes.push(
                "cacm: independence given the label is not enforced: images have no class".into(),
            );
        }
        if left.is_empty() {
            notes.push(
                "cacm: neither the settings nor a diagram of the cohort ask for an independence that \
                 can be enforced: plain training"
                    .into(),
            );
        }
        Ok(Prepared {
            notes,
            ..Prepared::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};

    use crate::EnvironmentOutputs;
    use crate::methods::testing::{
        Patients, assert_near, check_settings, classification, context, evaluate, scalar, tensor,
    };

    fn independence(kind: IndependenceKind, variable: &str) -> Independence {
        Independence {
            kind,
            variables: vec![variable.to_owned()],
        }
    }

    fn parts(independences: &[Independence]) -> MethodParts {
        let context = BuildContext {
            independences,
            ..context(10)
        };
        CacmConfig::default().build(&context).unwrap()
    }

    fn notes(parts: &MethodParts, patients: &Patients) -> Vec<String> {
        let preparation = parts.preparation.as_ref().unwrap();
        preparation.prepare(patients).unwrap().notes
    }

    fn environments() -> [EnvironmentOutputs; 2] {
        [
            classification(0, &[[0.0, 0.0], [1.0, 0.5]], &[0, 1]),
            classification(1, &[[0.3, 0.2], [-1.0, 2.0]], &[1, 0]),
        ]
    }

    /// Environments of one image of two pixels each.
    fn masks() -> [EnvironmentOutputs; 2] {
        [0, 1].map(|index| {
            let features = tensor(&[0.0, f64::from(index)], &[1, 2]);
            let pixels = tensor(&[0.0; 4], &[1, 2, 1, 2]);
            let mask = Tensor::zeros((1, 1, 2), DType::U32, &Device::Cpu).unwrap();
            EnvironmentOutputs::labelled(index as usize, features, pixels, mask)
        })
    }

    /// What the penalty of a site's independences comes to is what [`IndependencePenalty`] gives.
    #[test]
    fn what_the_diagram_asks_of_the_site_is_enforced() {
        let kinds = [
            IndependenceKind::ConditionalOnLabel,
            IndependenceKind::SameRule,
        ];
        let asked = [
            independence(kinds[0], "site"),
            independence(kinds[1], "environment"),
        ];
        let mut parts = parts(&asked);
        let found = evaluate(parts.objective.as_mut(), &environments());
        let config = IndependenceConfig {
            environment: vec!["site".into()],
            ..IndependenceConfig::default()
        };
        let mut expected = IndependencePenalty::new(&asked, config).unwrap();
        let expected = evaluate(&mut expected, &environments());
        let term = |value: &Value| value.term("independence-penalty").unwrap().unwrap();
        assert!((term(&found) - term(&expected)).abs() < 1e-12 && term(&found) > 0.0);
        assert!(notes(&parts, &Patients::classes(&[&[0, 1], &[0, 1]], 2)).is_empty());
    }

    #[test]
    fn what_cannot_be_enforced_is_left_out_and_said() {
        let asked = [
            independence(IndependenceKind::Marginal, "scanner"),
            independence(IndependenceKind::ConditionalOnLabel, "site"),
        ];
        let mut parts = parts(&asked);
        let without_classes = Patients::attributes(&[], &[vec![Vec::new()]], None);
        let said = notes(&parts, &without_classes);
        assert_eq!(said.len(), 3);
        assert!(
            said[0].contains("scanner") && said[1].contains("no class"),
            "{said:?}"
        );
        assert!(said[2].contains("plain training"), "{said:?}");
        let environments = masks();
        let step = Step {
            number: 0,
            environments: &environments,
            loss: &crate::PixelCrossEntropy,
        };
        let value = parts.objective.evaluate(&step).unwrap();
        assert_eq!(value.term("independence-penalty").unwrap(), None);
        let with_classes = Patients::classes(&[&[0, 1]], 2);
        assert_eq!(notes(&parts, &with_classes).len(), 1);
    }

    #[test]
    fn without_a_diagram_it_is_plain_training_and_says_so() {
        let mut parts = parts(&[]);
        let value = evaluate(parts.objective.as_mut(), &environments());
        let risk = value.term("risk").unwrap().unwrap();
        assert!((value.total.to_scalar::<f64>().unwrap() - risk).abs() < 1e-15);
        let said = notes(&parts, &Patients::classes(&[&[0, 1]], 2));
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("nor a diagram"), "{said:?}");
    }

    fn total(constraints: &[IndependenceKind]) -> f64 {
        let config = CacmConfig {
            constraints: constraints.to_vec(),
            penalty_weight: 3.0,
            gammas: vec![0.5],
            ..CacmConfig::default()
        };
        config.validate("cacm").unwrap();
        let mut parts = config.build(&context(10)).unwrap();
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
    fn settings_are_checked() {
        check_settings::<CacmConfig>(
            INFO,
            &[
                ("constraints", r#"["marginal", "marginal"]"#, "each once"),
                ("penalty_weight", "-1.0", "not negative"),
                ("gammas", "[]", "at least one positive"),
                ("environment", "[\"\"]", "names"),
            ],
        );
    }
}
