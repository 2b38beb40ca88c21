//! What a random search varies of training.

use std::collections::BTreeMap;

use ctl_invariance::Distribution;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::Check;
use super::training::validate;
use crate::spec::Training;
use crate::{HarnessError, Result};

/// Distributions by what is drawn from them.
pub type Search = BTreeMap<Searched, Distribution>;

/// A setting of training that can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Searched {
    /// [`Training::batch_size`].
    BatchSize,
    /// [`Training::learning_rate`].
    LearningRate,
    /// [`Training::weight_decay`].
    WeightDecay,
}

impl Searched {
    /// Its key in `[training]`, which names its random stream too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BatchSize => "batch_size",
            Self::LearningRate => "learning_rate",
            Self::WeightDecay => "weight_decay",
        }
    }

    /// Puts a value into training settings.
    ///
    /// # Errors
    /// When it is of the wrong kind.
    pub fn set(self, training: &mut Training, value: &Value) -> Result<()> {
        let fault = |kind: &str| HarnessError::Config {
            origin: "suite".into(),
            key: format!("search.{}", self.as_str()),
            message: format!("{value} is not allowed: it must be {kind}"),
        };
        let number = || value.as_f64().ok_or_else(|| fault("a number"));
        match self {
            Self::BatchSize => {
                let whole = value.as_u64().and_then(|n| usize::try_from(n).ok());
                training.batch_size = whole.ok_or_else(|| fault("a whole number"))?;
            }
            Self::LearningRate => training.learning_rate = number()?,
            Self::WeightDecay => training.weight_decay = number()?,
        }
        Ok(())
    }
}

/// What is searched where a suite does not say: the step size.
pub(super) fn usual() -> Search {
    let rate = Distribution::LogUniform {
        low: -4.0,
        high: -2.5,
    };
    [(Searched::LearningRate, rate)].into()
}

/// Checks that every value which can be drawn is one that training allows.
pub(super) fn validate_search(search: &Search, base: &Training, check: &Check<'_>) -> Result<()> {
    for (searched, distribution) in search {
        let key = format!("search.{}", searched.as_str());
        if let Some((found, allowed)) = distribution.fault() {
            check(&key, found, allowed, false)?;
        }
        for value in distribution.extremes() {
            let mut training = base.clone();
            searched.set(&mut training, &value)?;
            validate("search", &training, check)?;
        }
    }
    Ok(())
}
