//! Which way a metric points.

use serde::{Deserialize, Serialize};

/// Whether a larger value of a metric is a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Accuracy, AUROC, Dice.
    HigherIsBetter,
    /// Errors, losses, calibration errors, distances.
    LowerIsBetter,
}

impl Direction {
    /// Tells whether `a` is a strictly worse value than `b`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::Direction;
    /// assert!(Direction::HigherIsBetter.is_worse(0.6, 0.7));
    /// assert!(Direction::LowerIsBetter.is_worse(0.2, 0.1));
    /// ```
    pub fn is_worse(self, a: f64, b: f64) -> bool {
        match self {
            Self::HigherIsBetter => a < b,
            Self::LowerIsBetter => a > b,
        }
    }
}
