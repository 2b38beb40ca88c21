//! The layout of a suite file.

use std::collections::BTreeMap;
use std::path::Path;

use ctl_phantom::ChestSpec;
use serde::{Deserialize, Serialize};

use crate::spec::Training;
use crate::vocabulary::{Protocol, Shift};
use crate::{HarnessError, Registry, Result};

const SCHEMA: u32 = 1;
const MAX_STEPS: u64 = 1_000_000_000;
const MAX_SEEDS: u64 = 1000;
const MAX_DRAWS: u64 = 1000;
const MAX_SIZE: usize = 1024;

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
    /// Keep the weights of the selected checkpoints, for `ctl predict`.
    #[serde(default)]
    pub save_models: bool,
    /// How networks are trained.
    #[serde(default)]
    pub training: Training,
    /// Settings that differ from a method's defaults, by id.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Simulated chest films.
    #[serde(default)]
    pub chest: Vec<ChestEntry>,
    /// What to do with the cohorts in the folder given by `--data`.
    #[serde(default)]
    pub folders: Option<FolderEntry>,
}

fn one() -> u64 {
    1
}

/// A simulated cohort of a suite; seed and image size come from the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChestEntry {
    /// Name in tables.
    pub name: String,
    /// What moves.
    pub shift: Shift,
    /// Images of every site.
    pub images_per_site: usize,
    /// Number of source sites.
    #[serde(default = "three")]
    pub source_sites: usize,
    /// Dial from 0 to 1, see [`ChestSpec::confounding`].
    #[serde(default)]
    pub confounding: f64,
    /// Dial from 0 to 1, see [`ChestSpec::acquisition`].
    #[serde(default)]
    pub acquisition: f64,
    /// Dial from 0 to 1, see [`ChestSpec::prevalence`].
    #[serde(default)]
    pub prevalence: f64,
    /// Least and greatest severity of the disease, see [`ChestSpec::severity`].
    #[serde(default = "whole_range")]
    pub severity: [f64; 2],
}

fn whole_range() -> [f64; 2] {
    ChestSpec::default().severity
}

fn three() -> usize {
    3
}

impl ChestEntry {
    /// The simulator's settings for one seed and image size.
    pub fn spec(&self, seed: u64, size: usize) -> ChestSpec {
        ChestSpec {
            size,
            images_per_site: self.images_per_site,
            source_sites: self.source_sites,
            seed,
            confounding: self.confounding,
            acquisition: self.acquisition,
            prevalence: self.prevalence,
            severity: self.severity,
        }
    }
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
        Ok(suite)
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
        check(
            "methods",
            "an empty list".into(),
            "at least one id",
            !self.methods.is_empty(),
        )?;
        let twice = first_twice(&self.methods);
        let found = format!("{:?} twice", twice.map_or("", String::as_str));
        check("methods", found, "each id once", twice.is_none())?;
        let some = !self.chest.is_empty() || self.folders.is_some();
        check(
            "chest",
            "no cohort".into(),
            "at least one [[chest]], or [folders]",
            some,
        )?;
        self.validate_training(&check)?;
        self.validate_cohorts(origin, &check)?;
        self.validate_methods(registry)
    }

    fn validate_training(&self, check: &Check<'_>) -> Result<()> {
        let t = &self.training;
        let size = (1..=MAX_SIZE).contains(&t.size);
        check("training.size", t.size.to_string(), "from 1 to 1024", size)?;
        check(
            "training.steps",
            t.steps.to_string(),
            "from 1 to 1000000000",
            (1..=MAX_STEPS).contains(&t.steps),
        )?;
        let batch = (1..=4096).contains(&t.batch_size);
        check(
            "training.batch_size",
            t.batch_size.to_string(),
            "from 1 to 4096",
            batch,
        )?;
        let every = t.evaluate_every > 0;
        check(
            "training.evaluate_every",
            t.evaluate_every.to_string(),
            "at least 1",
            every,
        )?;
        let rate = t.learning_rate.is_finite() && t.learning_rate > 0.0;
        check(
            "training.learning_rate",
            t.learning_rate.to_string(),
            "positive",
            rate,
        )?;
        let decay = t.weight_decay.is_finite() && t.weight_decay >= 0.0;
        check(
            "training.weight_decay",
            t.weight_decay.to_string(),
            "not negative",
            decay,
        )?;
        let shift = t.translate < t.size;
        check(
            "training.translate",
            t.translate.to_string(),
            "below the image size",
            shift,
        )
    }

    fn validate_cohorts(&self, origin: &str, check: &Check<'_>) -> Result<()> {
        let names: Vec<&str> = self.chest.iter().map(|c| c.name.as_str()).collect();
        let twice = first_twice(&names);
        let found = format!("{:?} twice", twice.unwrap_or(&""));
        check("chest.name", found, "unique", twice.is_none())?;
        for (index, entry) in self.chest.iter().enumerate() {
            entry
                .spec(0, self.training.size)
                .validate()
                .map_err(|e| HarnessError::Config {
                    origin: origin.to_owned(),
                    key: format!("chest[{index}] ({})", entry.name),
                    message: e.to_string(),
                })?;
        }
        if let Some(folders) = &self.folders {
            let least = folders.min_per_class;
            check(
                "folders.min_per_class",
                least.to_string(),
                "at least 2",
                least >= 2,
            )?;
            let known = [Protocol::LeaveOneSiteOut, Protocol::SiteLabelMixture];
            let ok = !folders.protocols.is_empty()
                && folders.protocols.iter().all(|p| known.contains(p))
                && first_twice(&folders.protocols).is_none();
            let names: Vec<&str> = folders.protocols.iter().map(|p| p.as_str()).collect();
            let found = format!("[{}]", names.join(", "));
            let allowed = "a list of leave-one-site-out and site-label-mixture, each once";
            check("folders.protocols", found, allowed, ok)?;
        }
        Ok(())
    }

    fn validate_methods(&self, registry: &Registry) -> Result<()> {
        for id in self.methods.iter().chain(self.settings.keys()) {
            registry.get(id)?.resolve(&self.settings_of(id))?;
        }
        Ok(())
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

type Check<'a> = dyn Fn(&str, String, &str, bool) -> Result<()> + 'a;
