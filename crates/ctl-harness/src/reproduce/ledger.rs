//! The ledger of published figures, `published.toml`.

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
    /// What the published spread is.
    pub spread: String,
    /// The data set it needs.
    pub data: DataSet,
    /// The sweep that measures it; the recipes of the IRM and `REx` papers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepOf>,
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
    /// On an unknown key, a wrong type or another schema.
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
