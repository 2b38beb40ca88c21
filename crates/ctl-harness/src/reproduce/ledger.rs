//! The ledger of published figures, `published.toml`.

use serde::{Deserialize, Serialize};

use crate::{HarnessError, Result};

const TEXT: &str = include_str!("../../published.toml");
const SCHEMA: u32 = 1;

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
    pub data: String,
    /// Its figures.
    #[serde(rename = "figure")]
    pub figures: Vec<Figure>,
}

/// One published number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Row of the table: a recipe.
    pub row: String,
    /// `train` or `test`.
    pub quantity: String,
    /// Published value, per cent.
    pub value: f64,
    /// Published spread, per cent, where one was published.
    #[serde(default)]
    pub spread: Option<f64>,
    /// How far our mean may lie from the value with ten restarts or more.
    pub tolerance: f64,
    /// The same with fewer.
    pub tolerance_few: f64,
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
