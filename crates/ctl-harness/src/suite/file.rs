//! The layout of a suite file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::search::{Search, usual, validate_search};
use super::simulated::{SimulatedCohort, SimulatedEntry};
use super::training::{TaskTraining, validate};
use crate::spec::Training;
use crate::task::{architectures, check_training};
use crate::vocabulary::{OracleCheckpoint, Protocol, Selector, Shift, TASKS, Task};
use crate::{HarnessError, Registry, Result};

const SCHEMA: u32 = 1;
const MAX_SEEDS: u64 = 1000;
const MAX_DRAWS: u64 = 1000;

/// A suite: cohorts × methods × seeds × draws under one training budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of this layout, 1.
    pub schema: u32,
    /// Lower-case name with hyphens.
    pub name: String,
    /// One line for the report.
    pub title: String,
    /// What the suite is for.
    #[serde(default)]
    pub description: String,
    /// Ids of the methods, in the order of the tables.
    pub methods: Vec<String>,
    /// Number of seeds, 1 to 1000.
    #[serde(default = "one")]
    pub seeds: u64,
    /// Hyperparameter draws per method, 1 to 1000; the first are the defaults.
    #[serde(default = "one")]
    pub draws: u64,
    /// How checkpoints and draws are chosen: training-domain and target-oracle, which every run
    /// has, and leave-one-domain-out, which takes one more run for each source.
    #[serde(default = "usual_selectors")]
    pub selectors: Vec<Selector>,
    /// Which checkpoint of a run the target oracle sees.
    #[serde(default)]
    pub oracle_checkpoint: OracleCheckpoint,
    /// Keep the weights of the selected checkpoints, for `ctl predict`.
    #[serde(default)]
    pub save_models: bool,
    /// How networks are trained, where a task does not say otherwise.
    #[serde(default)]
    pub training: Training,
    /// What a task does otherwise, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<Task, TaskTraining>,
    /// Seconds that a run of a task takes on one core, as measured, so that a sweep can say how
    /// long it will take.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected_seconds: BTreeMap<Task, f64>,
    /// What draws after the first vary of training, and how; a method's settings are searched
    /// besides.
    #[serde(default = "usual")]
    pub search: Search,
    /// Settings that differ from a method's defaults, by id.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Simulated cohorts.
    #[serde(default)]
    pub simulated: Vec<SimulatedEntry>,
    /// What to do with the cohorts in the folder given by `--data`.
    #[serde(default)]
    pub folders: Option<FolderEntry>,
}

fn one() -> u64 {
    1
}

fn usual_selectors() -> Vec<Selector> {
    vec![Selector::TrainingDomain, Selector::TargetOracle]
}

/// How cohorts on disk are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderEntry {
    /// How sources and targets are made.
    pub protocols: Vec<Protocol>,
    /// What moves between the sites.
    pub shift: Shift,
    /// Images of each class that a site must have to be a source or a target, at least 2.
    #[serde(default = "five")]
    pub min_per_class: usize,
    /// Patients that a site must have for tasks without classes, at least 2.
    #[serde(default = "three")]
    pub min_patients: usize,
    /// Tasks to run, of those that a cohort has.
    #[serde(default = "all_tasks")]
    pub tasks: Vec<Task>,
    /// Shifts to keep, of those that protocols and columns make; all where the list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_shifts: Vec<Shift>,
    /// Sites that are targets; all that are large enough where the list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_targets: Vec<String>,
    /// Columns besides `site` whose values are environments of their own where a manifest has
    /// them, such as the contrast of a sequence.
    #[serde(default)]
    pub environment_columns: Vec<String>,
}

fn three() -> usize {
    3
}

fn all_tasks() -> Vec<Task> {
    TASKS.to_vec()
}

fn five() -> usize {
    5
}

impl Suite {
    /// Reads a suite file and checks it against the registry.
    ///
    /// # Errors
    /// When the file cannot be read, holds an unknown key, a value outside its range, a method or
    /// setting that does not exist, or no cohort.
    pub fn read(path: &Path, registry: &Registry) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| HarnessError::File {
            path: path.to_path_buf(),
            action: "read",
            source,
        })?;
        let origin = path.display().to_string();
        let text = String::from_utf8(bytes).map_err(|error| HarnessError::Config {
            origin: origin.clone(),
            key: "file".into(),
            message: format!("is not UTF-8 text: {}", error.utf8_error()),
        })?;
        Self::parse(&text, &origin, registry)
    }

    /// Parses and checks a suite; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`Suite::read`].
    pub fn parse(text: &str, origin: &str, registry: &Registry) -> Result<Self> {
        let fault = |key: String, message: String| HarnessError::Config {
            origin: origin.to_owned(),
            key,
            message,
        };
        let parser =
            toml::Deserializer::parse(text).map_err(|e| fault("file".into(), e.to_string()))?;
        let suite: Self = serde_path_to_error::deserialize(parser)
            .map_err(|e| fault(e.path().to_string(), e.inner().message().to_owned()))?;
        suite.validate(origin, registry)?;
        suite.check_network(origin)?;
        Ok(suite)
    }

    /// Whether the network that `[training]` names serves a task of the file: one that serves none
    /// would be replaced without a word. What a command line leaves of a suite is not asked.
    fn check_network(&self, origin: &str) -> Result<()> {
        let network = self.training.network;
        let simulated = self.simulated.iter().flat_map(|entry| &entry.tasks);
        let folders = self.folders.iter().flat_map(|entry| &entry.tasks);
        let mut tasks: Vec<Task> = simulated.chain(folders).copied().collect();
        tasks.sort_unstable();
        tasks.dedup();
        let serves = |task: &Task| architectures(*task).contains(&network);
        if network == Training::default().network || tasks.iter().any(serves) {
            return Ok(());
        }
        let names: Vec<&str> = tasks.iter().map(|task| task.as_str()).collect();
        Err(HarnessError::Config {
            origin: origin.to_owned(),
            key: "training.network".into(),
            message: format!(
                "{} is not allowed: it serves none of this suite's tasks, {}",
                network.name(),
                names.join(", ")
            ),
        })
    }

    /// The suite as TOML, defaults filled in.
    pub fn to_toml(&self) -> String {
        // Plain tables and numbers: it always serialises.
        toml::to_string(self).unwrap_or_default()
    }

    /// Checks every range, method and setting.
    ///
    /// # Errors
    /// Names the first key at fault, its value and what is allowed.
    pub fn validate(&self, origin: &str, registry: &Registry) -> Result<()> {
        let check = |key: &str, found: String, allowed: &str, ok: bool| {
            if ok {
                return Ok(());
            }
            Err(HarnessError::Config {
                origin: origin.to_owned(),
                key: key.to_owned(),
                message: format!("{found} is not allowed: it must be {allowed}"),
            })
        };
        check(
            "schema",
            self.schema.to_string(),
            "1",
            self.schema == SCHEMA,
        )?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ok = !self.name.is_empty() && self.name.chars().all(plain);
        check(
            "name",
            format!("{:?}", self.name),
            "lower-case letters, digits and hyphens",
            ok,
        )?;
        let seeds = (1..=MAX_SEEDS).contains(&self.seeds);
        check("seeds", self.seeds.to_string(), "from 1 to 1000", seeds)?;
        let draws = (1..=MAX_DRAWS).contains(&self.draws);
        check("draws", self.draws.to_string(), "from 1 to 1000", draws)?;
        self.validate_selectors(&check)?;
        check(
            "methods",
            "an empty list".into(),
            "at least one id",
            !self.methods.is_empty(),
        )?;
        let twice = first_twice(&self.methods);
        let found = format!("{:?} twice", twice.map_or("", String::as_str));
        check("methods", found, "each id once", twice.is_none())?;
        let some = !self.simulated.is_empty() || self.folders.is_some();
        check(
            "simulated",
            "no cohort".into(),
            "at least one [[simulated]], or [folders]",
            some,
        )?;
        for (task, seconds) in &self.expected_seconds {
            let key = format!("expected_seconds.{}", task.as_str());
            let ok = seconds.is_finite() && *seconds > 0.0;
            check(&key, seconds.to_string(), "positive", ok)?;
        }
        validate("training", &self.training, &check)?;
        validate_search(&self.search, &self.training, &check)?;
        for task in self.tasks.keys() {
            let key = format!("tasks.{}", task.as_str());
            validate(&key, &self.training_of(*task), &check)?;
            check_training(*task, &self.training_of(*task))?;
        }
        self.validate_cohorts(origin, &check)?;
        self.validate_methods(origin, registry)
    }

    fn validate_selectors(&self, check: &Check<'_>) -> Result<()> {
        let mut given = usual_selectors().into_iter();
        let ok = given.all(|selector| self.selectors.contains(&selector))
            && first_twice(&self.selectors).is_none();
        let names: Vec<&str> = self.selectors.iter().map(|s| s.as_str()).collect();
        let allowed = "training-domain and target-oracle, which every run has, and \
                       leave-one-domain-out where it is wanted, each once";
        check("selectors", format!("[{}]", names.join(", ")), allowed, ok)
    }

    fn validate_cohorts(&self, origin: &str, check: &Check<'_>) -> Result<()> {
        let cohorts = self.cohorts().map_err(|error| match error {
            HarnessError::Config { key, message, .. } => HarnessError::Config {
                origin: origin.to_owned(),
                key: format!("simulated.{key}"),
                message,
            },
            HarnessError::Phantom(error) => HarnessError::Config {
                origin: origin.to_owned(),
                key: "simulated".into(),
                message: error.to_string(),
            },
            other => other,
        })?;
        let names: Vec<&str> = cohorts.iter().map(|c| c.name.as_str()).collect();
        let twice = first_twice(&names);
        let found = format!("{:?} twice", twice.unwrap_or(&""));
        check("simulated", found, "cohorts that differ", twice.is_none())?;
        for cohort in &cohorts {
            check_training(cohort.task, &self.training_of(cohort.task))?;
        }
        if let Some(folders) = &self.folders {
            let least = folders.min_per_class;
            check(
                "folders.min_per_class",
                least.to_string(),
                "at least 2",
                least >= 2,
            )?;
            let patients = folders.min_patients;
            check(
                "folders.min_patients",
                patients.to_string(),
                "at least 2",
                patients >= 2,
            )?;
            let some = !folders.tasks.is_empty();
            check(
                "folders.tasks",
                "an empty list".into(),
                "at least one task",
                some,
            )?;
            let twice = first_twice(&folders.tasks);
            let found = format!("{:?} twice", twice.map_or("", |task| task.as_str()));
            check("folders.tasks", found, "each task once", twice.is_none())?;
            let known = [
                Protocol::LeaveOneSiteOut,
                Protocol::SiteLabelMixture,
                Protocol::SecondObserver,
            ];
            let ok = !folders.protocols.is_empty()
                && folders.protocols.iter().all(|p| known.contains(p))
                && first_twice(&folders.protocols).is_none();
            let names: Vec<&str> = folders.protocols.iter().map(|p| p.as_str()).collect();
            let found = format!("[{}]", names.join(", "));
            let allowed =
                "a list of leave-one-site-out, site-label-mixture and second-observer, each once";
            check("folders.protocols", found, allowed, ok)?;
        }
        Ok(())
    }

    fn validate_methods(&self, origin: &str, registry: &Registry) -> Result<()> {
        let of_suite = self.methods.iter().map(|id| ("methods".to_owned(), id));
        let of_tasks = self.tasks.iter().flat_map(|(task, own)| {
            let key = format!("tasks.{}.methods", task.as_str());
            let ids = own.methods.iter().flatten();
            ids.map(move |id| (key.clone(), id))
        });
        let set = self.settings.keys().map(|id| ("settings".to_owned(), id));
        for (key, id) in of_suite.chain(of_tasks).chain(set) {
            let method = registry.get(id).map_err(|error| HarnessError::Config {
                origin: origin.to_owned(),
                key,
                message: error.to_string(),
            })?;
            method.resolve(&self.settings_of(id))?;
        }
        Ok(())
    }

    /// How networks of a task are trained.
    pub fn training_of(&self, task: Task) -> Training {
        match self.tasks.get(&task) {
            Some(own) => own.over(task, &self.training),
            None => TaskTraining::default().over(task, &self.training),
        }
    }

    /// Ids of the methods that a task runs, in the order of the tables.
    pub fn methods_of(&self, task: Task) -> &[String] {
        let own = self.tasks.get(&task).and_then(|own| own.methods.as_ref());
        own.unwrap_or(&self.methods)
    }

    /// The simulated cohorts, in order.
    ///
    /// # Errors
    /// Names the first value that is not allowed.
    pub fn cohorts(&self) -> Result<Vec<SimulatedCohort>> {
        let mut cohorts = Vec::new();
        for entry in &self.simulated {
            cohorts.extend(entry.cohorts(|task| self.training_of(task).size)?);
        }
        Ok(cohorts)
    }

    /// Settings of a method as the suite gives them.
    pub fn settings_of(&self, method: &str) -> serde_json::Value {
        let empty = || serde_json::Value::Object(serde_json::Map::new());
        self.settings.get(method).cloned().unwrap_or_else(empty)
    }
}

/// The first value that occurs a second time.
fn first_twice<T: PartialEq>(values: &[T]) -> Option<&T> {
    let mut rest = values.iter().enumerate();
    rest.find(|(index, value)| values[..*index].contains(value))
        .map(|(_, value)| value)
}

/// Refuses a value: key, what was found, what is allowed, whether it is.
pub(super) type Check<'a> = dyn Fn(&str, String, &str, bool) -> Result<()> + 'a;
