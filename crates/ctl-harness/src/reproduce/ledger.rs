//! The ledger of published figures, `published.toml`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

const TEXT: &str = include_str!("../../published.toml");
const SCHEMA: u32 = 2;

/// All published figures that the harness can measure again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    schema: u32,
    /// The experiments, in file order.
    #[serde(rename = "experiment")]
    pub experiments: Vec<Experiment>,
}

/// One published experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Id given to `reproduce`.
    pub id: String,
    /// One line.
    pub title: String,
    /// Authors, year, title, table.
    pub source: String,
    /// Data, splits, network, optimiser.
    pub protocol: String,
    /// How the published settings were selected.
    pub selector: String,
    /// What the published spread is, where a figure has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
    /// The data set it needs.
    pub data: DataSet,
    /// The sweep that measures it; the recipes of the IRM and `REx` papers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepOf>,
    /// The models that measure it, where it is of generative models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelOf>,
    /// Its figures.
    #[serde(rename = "figure")]
    pub figures: Vec<Figure>,
    /// What it is to show beyond figures.
    #[serde(default, rename = "claim", skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// A data set that experiments need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataSet {
    /// The four IDX files of MNIST.
    Mnist,
    /// `pneumoniamnist.npz` of `MedMNIST`.
    Pneumoniamnist,
    /// None: cohorts are simulated.
    Simulated,
}

impl DataSet {
    /// Its files, of which a gzipped one may stand for each.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ],
            Self::Pneumoniamnist => &["pneumoniamnist.npz"],
            Self::Simulated => &[],
        }
    }

    /// The folder itself, or the one folder in it that holds the first file where it does not.
    ///
    /// # Errors
    /// When there is none, or when there are several, such as `mnist` and `fashion-mnist`, whose
    /// files have the same names.
    pub(super) fn folder(self, given: &Path) -> Result<PathBuf> {
        let Some(first) = self.names().first() else {
            return Ok(given.to_path_buf());
        };
        if file(given, first).is_some() {
            return Ok(given.to_path_buf());
        }
        let entries = std::fs::read_dir(given).into_iter().flatten().flatten();
        let below = entries.map(|entry| entry.path());
        let mut found: Vec<PathBuf> = below.filter(|dir| file(dir, first).is_some()).collect();
        found.sort();
        let fault = |message: String| HarnessError::Data {
            path: given.to_path_buf(),
            message,
        };
        match &found[..] {
            [one] => Ok(one.clone()),
            [] => Err(fault(format!("holds no {first}, nor does a folder in it"))),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect();
                Err(fault(format!(
                    "{first} lies in {}; name one of them",
                    names.join(" and ")
                )))
            }
        }
    }

    /// Its files, in one folder.
    ///
    /// # Errors
    /// When one is missing.
    pub(super) fn files(self, given: &Path) -> Result<Vec<PathBuf>> {
        let folder = self.folder(given)?;
        let of = |name: &&str| {
            file(&folder, name).ok_or_else(|| HarnessError::Data {
                path: folder.clone(),
                message: format!("holds no {name}"),
            })
        };
        self.names().iter().map(of).collect()
    }
}

/// A file of a folder, gzipped or not.
fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = folder.join(name);
    let zipped = folder.join(format!("{name}.gz"));
    [plain, zipped].into_iter().find(|path| path.is_file())
}

/// A sweep over a cohort that is made of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepOf {
    /// Name of a shipped suite.
    pub suite: String,
    /// The cohort.
    pub cohort: CohortOf,
    /// What its budget is where the published one was larger.
    pub budget: String,
}

/// Models that are trained and scored for an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOf {
    /// Which models.
    pub kind: ModelKind,
    /// What its budget is where the published one was larger.
    pub budget: String,
    /// Updates of the image's mechanism instead of the usual number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// At most so many images in each part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
}

/// Kinds of models that are trained and scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Deep structural causal models of `MorphoMNIST` with a variational autoencoder.
    DeepScm,
    /// Models of `MorphoMNIST` with several mechanisms, by the metrics of the counterfactual
    /// benchmark and by the true counterfactuals.
    CounterfactualBenchmark,
    /// A model of simulated chest films, by the true counterfactuals.
    CounterfactualChest,
    /// A model of simulated slices of the head, by the true counterfactuals.
    CounterfactualBrain,
}

/// How data become a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CohortOf {
    /// Coloured digits in three environments.
    ColoredDomainbed,
    /// Digits in six rotations.
    Rotated,
    /// An archive of `MedMNIST`.
    Medmnist,
}

/// One published number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Row of the table: a recipe, or a method of the sweep.
    pub row: String,
    /// Of a recipe `train` or `test`, of a sweep a metric on the target.
    pub quantity: String,
    /// How checkpoint and draw of a sweep are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The target of a sweep, or `average` for the mean over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Published value, per cent; without one ours stands alone.
    #[serde(default)]
    pub value: Option<f64>,
    /// Published spread, per cent, where one was published.
    #[serde(default)]
    pub spread: Option<f64>,
    /// How far our mean may lie from the value with ten restarts or more, or in a sweep; without
    /// it the value only stands beside ours, because budget or network differ.
    #[serde(default)]
    pub tolerance: Option<f64>,
    /// The same with fewer restarts.
    #[serde(default)]
    pub tolerance_few: Option<f64>,
    /// Least value of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Greatest value of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Decimals that are shown; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<usize>,
}

/// That one method scores higher than another under a selector, beyond noise: by a paired t-test
/// over trials at the level of 5 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The method that is to score higher.
    pub higher: String,
    /// The method that is to score lower.
    pub lower: String,
    /// The metric on the target.
    pub quantity: String,
    /// How checkpoints and draws are chosen.
    pub selector: Selector,
    /// The target.
    pub target: String,
}

impl Experiment {
    fn check(&self) -> Result<()> {
        let fault = |row: &str, message: &str| HarnessError::Config {
            origin: "published.toml".into(),
            key: format!("{}.{row}", self.id),
            message: message.to_owned(),
        };
        for figure in &self.figures {
            let places = (figure.selector.is_some(), figure.target.is_some());
            let tolerances = (figure.tolerance.is_some(), figure.tolerance_few.is_some());
            let message = match (self.sweep.is_some(), places, tolerances) {
                (true, (false, _) | (_, false), _) => {
                    "a figure of a sweep needs selector and target"
                }
                (true, _, (_, true)) => "tolerance_few is of recipes",
                (false, (true, _) | (_, true), _) => "selector and target are of sweeps",
                (false, _, (true, false) | (false, true)) => {
                    "a recipe needs tolerance and tolerance_few or neither"
                }
                (_, _, (true, _)) if figure.value.is_none() => "a tolerance needs a value",
                _ => continue,
            };
            return Err(fault(&figure.row, message));
        }
        match self.claims.first() {
            Some(claim) if self.sweep.is_none() => {
                Err(fault(&claim.higher, "a claim is of a sweep"))
            }
            _ => Ok(()),
        }
    }
}

impl Ledger {
    /// The ledger that the crate ships.
    ///
    /// # Errors
    /// When the file does not parse, which a test rules out.
    pub fn shipped() -> Result<Self> {
        Self::parse(TEXT)
    }

    /// Parses a ledger.
    ///
    /// # Errors
    /// On an unknown key, a wrong type or another schema, and where a figure of a sweep lacks
    /// selector or target, a figure of recipes has them or one tolerance of two, a tolerance has no
    /// value to lie around, or a claim is not of a sweep.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |message: String| HarnessError::Config {
            origin: "published.toml".into(),
            key: "schema".into(),
            message,
        };
        let ledger: Self = toml::from_str(text).map_err(|e| fault(e.to_string()))?;
        if ledger.schema != SCHEMA {
            return Err(fault(format!(
                "{} is not known, expected {SCHEMA}",
                ledger.schema
            )));
        }
        for experiment in &ledger.experiments {
            experiment.check()?;
        }
        Ok(ledger)
    }

    /// An experiment by id.
    ///
    /// # Errors
    /// When there is none of that id; the message lists those there are.
    pub fn experiment(&self, id: &str) -> Result<&Experiment> {
        self.experiments
            .iter()
            .find(|e| e.id == id)
            .ok_or_else(|| HarnessError::Unknown {
                what: "experiment",
                name: id.to_owned(),
                known: self.experiments.iter().map(|e| e.id.clone()).collect(),
            })
    }
}
