//! Suites by name, and filters on them.

use super::{SimulatedEntry, Suite, exists};
use crate::vocabulary::{Shift, Task};
use crate::{HarnessError, Registry, Result};

const SHIPPED: [(&str, &str); 12] = [
    ("quick", include_str!("../../suites/quick.toml")),
    ("survey", include_str!("../../suites/survey.toml")),
    ("survey-full", include_str!("../../suites/survey-full.toml")),
    ("dial", include_str!("../../suites/dial.toml")),
    (
        "counterfactual",
        include_str!("../../suites/counterfactual.toml"),
    ),
    ("real", include_str!("../../suites/real.toml")),
    (
        "colored-mnist-mlp",
        include_str!("../../suites/published/colored-mnist-mlp.toml"),
    ),
    (
        "colored-mnist-cnn",
        include_str!("../../suites/published/colored-mnist-cnn.toml"),
    ),
    (
        "rotated-mnist",
        include_str!("../../suites/published/rotated-mnist.toml"),
    ),
    (
        "pneumonia",
        include_str!("../../suites/published/pneumonia.toml"),
    ),
    (
        "domainbed-colored-mnist",
        include_str!("../../suites/published/domainbed-colored-mnist.toml"),
    ),
    (
        "domainbed-rotated-mnist",
        include_str!("../../suites/published/domainbed-rotated-mnist.toml"),
    ),
];

/// The suites that the crate ships.
///
/// # Errors
/// When one does not parse, which a test rules out.
pub fn shipped(registry: &Registry) -> Result<Vec<Suite>> {
    SHIPPED
        .iter()
        .map(|(name, text)| Suite::parse(text, name, registry))
        .collect()
}

/// What a command line leaves of a suite; empty lists leave everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Tasks to keep.
    pub tasks: Vec<Task>,
    /// Shifts to keep.
    pub shifts: Vec<Shift>,
    /// Methods to run instead of the suite's.
    pub methods: Vec<String>,
    /// Number of seeds instead of the suite's.
    pub seeds: Option<u64>,
}

impl Filter {
    /// What is said when no cohort is left.
    fn nothing_left(&self) -> String {
        let shifts: Vec<&str> = self.shifts.iter().map(|shift| shift.as_str()).collect();
        let tasks: Vec<&str> = self.tasks.iter().map(|task| task.as_str()).collect();
        let all = |words: Vec<&str>| {
            if words.is_empty() {
                "any".to_owned()
            } else {
                words.join(", ")
            }
        };
        format!(
            "no cohort of this suite has task {} and shift {}",
            all(tasks),
            all(shifts)
        )
    }

    /// Applies the filter.
    ///
    /// # Errors
    /// When a method does not exist, the number of seeds is out of range, or nothing is left.
    pub fn apply(&self, mut suite: Suite, registry: &Registry) -> Result<Suite> {
        if !self.methods.is_empty() {
            suite.methods.clone_from(&self.methods);
        }
        if let Some(seeds) = self.seeds {
            suite.seeds = seeds;
        }
        let keeps_task = |task: &Task| self.tasks.is_empty() || self.tasks.contains(task);
        let keeps = |shift: &Shift| self.shifts.is_empty() || self.shifts.contains(shift);
        if !self.methods.is_empty() {
            for own in suite.tasks.values_mut() {
                own.methods = None;
            }
        }
        for entry in &mut suite.simulated {
            entry.tasks.retain(keeps_task);
            entry.shifts.retain(keeps);
            entry.keep_what_exists();
        }
        let some = |entry: &SimulatedEntry| {
            let mut pairs = entry
                .tasks
                .iter()
                .flat_map(|&task| entry.shifts.iter().map(move |&shift| exists(task, shift)));
            pairs.any(|exists| exists)
        };
        suite.simulated.retain(some);
        suite.folders = suite.folders.take().and_then(|mut folders| {
            folders.tasks.retain(keeps_task);
            // What the suite itself keeps stays the limit.
            let empty = folders.only_shifts.is_empty();
            let own = folders.only_shifts.iter().copied().filter(&keeps).collect();
            folders.only_shifts = if empty { self.shifts.clone() } else { own };
            let none = !empty && folders.only_shifts.is_empty();
            (!none && !folders.tasks.is_empty()).then_some(folders)
        });
        if suite.simulated.is_empty() && suite.folders.is_none() {
            return Err(HarnessError::Config {
                origin: format!("suite {}", suite.name),
                key: "filter".into(),
                message: self.nothing_left(),
            });
        }
        suite.validate(&format!("suite {}", suite.name), registry)?;
        Ok(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of several tasks names what exists for some of them only.
    #[test]
    fn one_task_of_a_shipped_suite_can_be_run_alone() {
        let registry = Registry::standard();
        for suite in shipped(&registry).unwrap() {
            let cohorts = suite.cohorts().unwrap();
            for task in crate::vocabulary::TASKS {
                let expected = cohorts.iter().filter(|c| c.task == task).count();
                let filter = Filter {
                    tasks: vec![task],
                    ..Filter::default()
                };
                match filter.apply(suite.clone(), &registry) {
                    Ok(alone) => assert_eq!(alone.cohorts().unwrap().len(), expected),
                    Err(error) => assert!(expected == 0, "{}: {error}", suite.name),
                }
            }
        }
    }

    const MASKS: &str = "schema = 1\nname = \"masks\"\ntitle = \"Masks\"\nmethods = [\"erm\"]\n\
                         TRAINING\n[[simulated]]\ntasks = [\"segmentation\"]\n\
                         shifts = [\"population\"]\npatients_per_site = 8\nMORE";

    fn masks(training: &str, more: &str) -> Result<Suite> {
        let text = MASKS.replace("TRAINING", training).replace("MORE", more);
        Suite::parse(&text, "masks.toml", &Registry::standard())
    }

    #[test]
    fn a_network_that_serves_no_task_is_an_error() {
        let error = masks("[training]\nnetwork = \"resnet18\"", "")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("masks.toml: training.network"), "{error}");
        assert!(error.contains("serves none of this suite's tasks, segmentation"));
        assert!(masks("[training]\nnetwork = \"unet\"", "").is_ok());
        assert!(masks("", "").is_ok());
    }

    #[test]
    fn sequence_and_severity_reach_the_simulator() {
        let suite = masks("", "contrast = \"t1\"\nseverity = 4.0").unwrap();
        let [cohort] = &suite.cohorts().unwrap()[..] else {
            panic!("one cohort");
        };
        assert_eq!(cohort.name, "brain-segmentation-population-t1-severity-4");
        assert_eq!(cohort.spec.contrast, Some(ctl_phantom::MrContrast::T1));
        assert!((cohort.spec.severity - 4.0).abs() < 1e-12);
        let films = masks("", "contrast = \"t1\"\nanatomies = [\"chest\"]").unwrap_err();
        assert!(films.to_string().contains("contrast"), "{films}");
        assert!(masks("", "severity = 9.0").is_err());
    }

    #[test]
    fn an_unknown_method_is_named_with_file_and_key() {
        let text = MASKS
            .replace("TRAINING", "")
            .replace("MORE", "")
            .replace("erm", "irn");
        let error = Suite::parse(&text, "masks.toml", &Registry::standard()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("masks.toml: methods: unknown method \"irn\""),
            "{error}"
        );
    }

    #[test]
    fn shipped_suites_are_valid_and_survive_a_round_trip() {
        let registry = Registry::standard();
        for suite in shipped(&registry).unwrap() {
            let again = Suite::parse(&suite.to_toml(), "again", &registry).unwrap();
            assert_eq!(again, suite);
        }
    }
}
