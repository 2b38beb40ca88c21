//! Penalties that a cohort's causal diagram asks for.

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

/// Description of `graph-penalty`.
pub const INFO: MethodInfo = MethodInfo {
    id: "graph-penalty",
    name: "Penalties from the diagram",
    family: Family::ScmGuided,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::KnownDiagram,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Veitch, D'Amour, Yadlowsky & Eisenstein 2021, Counterfactual invariance to spurious correlations; Kaur, Kiciman & Sharma 2022, Modeling the data-generating process is necessary for out-of-distribution generalization",
    summary: "Holds features to the independences that the cohort's causal diagram implies, and to no others.",
};

/// Settings of `graph-penalty`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphPenaltyConfig {
    /// Weight of the mean penalty of the independences, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
    /// Variables of the diagram that the environments stand for, beside `environment`.
    pub environment: Vec<String>,
}

impl Default for GraphPenaltyConfig {
    fn default() -> Self {
        let usual = IndependenceConfig::default();
        Self {
            penalty_weight: usual.penalty_weight,
            gammas: usual.gammas,
            environment: vec!["site".into()],
        }
    }
}

impl MethodConfig for GraphPenaltyConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
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
        let all = context.independences.iter();
        let (ours, others): (Vec<_>, Vec<_>) = all.partition(|one| config.stands_for(one));
        let kinds: BTreeSet<IndependenceKind> = ours.iter().map(|one| one.kind).collect();
        let others = others.into_iter().cloned().collect();
        Ok(MethodParts {
            preparation: Some(Box::new(Enforced {
                kinds: kinds.clone(),
                others,
            })),
            ..MethodParts::objective(GraphPenalty { kinds, config })
        })
    }
}

/// Mean risk plus the weighted [`IndependencePenalty`] of the independences that the diagram implies
/// of a representation; the mean risk alone where it implies none.
///
/// Independences come from advice on the diagram, by separation; the environments are the sites.
/// What batches do not hold is not enforced, such as a scanner within a site, or the class of an
/// image where the task has none, and a note says so.
///
/// # References
/// See [`IndependencePenalty`].
pub struct GraphPenalty {
    kinds: BTreeSet<IndependenceKind>,
    config: IndependenceConfig,
}

impl Objective for GraphPenalty {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let labelled = step.labelled()?;
        let have_classes = labelled.iter().all(|e| e.classes.is_some());
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
                "graph-penalty: independence of {} is not enforced: the environments do not stand \
                 for it",
                variables.join(", ")
            ));
        }
        if left.len() < self.kinds.len() {
            notes.push(
                "graph-penalty: independence given the label is not enforced: images have no class"
                    .into(),
            );
        }
        if left.is_empty() {
            notes.push(
                "graph-penalty: no diagram of the cohort asks for an independence that can be \
                 enforced: plain training"
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
    use crate::EnvironmentOutputs;
    use crate::methods::testing::{Patients, check_settings, classification, context, evaluate};

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
        GraphPenaltyConfig::default().build(&context).unwrap()
    }

    fn notes(parts: &MethodParts, patients: &Patients) -> Vec<String> {
        let preparation = parts.preparation.as_ref().unwrap();
        preparation.prepare(patients).unwrap().notes
    }

    fn environments(with_classes: bool) -> [EnvironmentOutputs; 2] {
        [
            classification(0, &[[0.0, 0.0], [1.0, 0.5]], &[0, 1]),
            classification(1, &[[0.3, 0.2], [-1.0, 2.0]], &[1, 0]),
        ]
        .map(|e| e.with_classes(with_classes.then(|| vec![0, 1])))
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
        let found = evaluate(parts.objective.as_mut(), &environments(true));
        let config = IndependenceConfig {
            environment: vec!["site".into()],
            ..IndependenceConfig::default()
        };
        let mut expected = IndependencePenalty::new(&asked, config).unwrap();
        let expected = evaluate(&mut expected, &environments(true));
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
        let value = evaluate(parts.objective.as_mut(), &environments(false));
        assert_eq!(value.term("independence-penalty").unwrap(), None);
        let with_classes = Patients::classes(&[&[0, 1]], 2);
        assert_eq!(notes(&parts, &with_classes).len(), 1);
    }

    #[test]
    fn without_a_diagram_it_is_plain_training_and_says_so() {
        let mut parts = parts(&[]);
        let value = evaluate(parts.objective.as_mut(), &environments(true));
        let risk = value.term("risk").unwrap().unwrap();
        assert!((value.total.to_scalar::<f64>().unwrap() - risk).abs() < 1e-15);
        let said = notes(&parts, &Patients::classes(&[&[0, 1]], 2));
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("no diagram"), "{said:?}");
    }

    #[test]
    fn settings_are_checked() {
        check_settings::<GraphPenaltyConfig>(
            INFO,
            &[
                ("penalty_weight", "-1.0", "not negative"),
                ("gammas", "[]", "at least one positive"),
                ("environment", "[\"\"]", "names"),
            ],
        );
    }
}
