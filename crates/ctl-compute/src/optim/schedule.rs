//! Learning rates that change with the number of updates.

use std::f64::consts::PI;

use super::{check, check_decay, check_not_negative, check_positive};
use crate::Result;

const OP: &str = "schedule";

/// A factor on the learning rate as a function of the updates made so far.
///
/// # Examples
/// ```
/// use ctl_compute::optim::Schedule;
///
/// let cosine = Schedule::Cosine { steps: 10, floor: 0.0 };
/// let warm = Schedule::WarmUp { steps: 4, start: 0.0, then: Box::new(cosine) };
/// let factors: Vec<f64> = [0, 2, 4, 9, 14].iter().map(|&t| warm.factor(t)).collect();
/// assert_eq!(factors[..3], [0.0, 0.5, 1.0]);
/// assert!((factors[3] - 0.5).abs() < 1e-12 && factors[4].abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// 1.
    #[default]
    Constant,
    /// `factor^⌊t / every⌋`
    Step {
        /// Updates between two changes, at least 1.
        every: u64,
        /// In `(0, 1]`.
        factor: f64,
    },
    /// From 1 to `floor` along half a cosine, then `floor`
    /// (Loshchilov & Hutter 2017, equation 5, without restarts).
    Cosine {
        /// Updates until the floor, at least 1.
        steps: u64,
        /// In `[0, 1]`.
        floor: f64,
    },
    /// `(1 − t / steps)^power`, then 0.
    Polynomial {
        /// Updates until 0, at least 1.
        steps: u64,
        /// Positive; 1 is a straight line.
        power: f64,
    },
    /// From `1 / initial` up to 1 and down to `1 / (initial · last)`, both along half a cosine
    /// (Smith & Topin 2018; the shape is `PyTorch`'s).
    OneCycle {
        /// Updates of the whole cycle, at least 2.
        steps: u64,
        /// Share of the cycle that rises, in `(0, 1)`.
        rise: f64,
        /// Divisor at the start, positive.
        initial: f64,
        /// Divisor of the first rate at the end, positive.
        last: f64,
    },
    /// A straight line from `start` to 1, then another schedule from its beginning.
    WarmUp {
        /// Updates until 1, at least 1.
        steps: u64,
        /// In `[0, 1)`.
        start: f64,
        /// What follows.
        then: Box<Schedule>,
    },
}

/// From `a` at 0 to `b` at 1 along half a cosine.
fn cosine(a: f64, b: f64, share: f64) -> f64 {
    b + (a - b) / 2.0 * (1.0 + (PI * share).cos())
}

impl Schedule {
    /// Refuses settings that are out of range.
    ///
    /// # Errors
    /// When one is.
    pub fn validate(&self) -> Result<()> {
        let steps = |steps: u64, least: u64| {
            check(
                OP,
                "steps",
                (steps as f64, steps >= least),
                "at least 1 (2 for a cycle)",
            )
        };
        let share =
            |key, value: f64| check(OP, key, (value, (0.0..=1.0).contains(&value)), "in [0, 1]");
        match self {
            Self::Constant => Ok(()),
            Self::Step { every, factor } => {
                steps(*every, 1)?;
                check_positive(OP, "factor", *factor)?;
                share("factor", *factor)
            }
            Self::Cosine { steps: n, floor } => {
                steps(*n, 1)?;
                share("floor", *floor)
            }
            Self::Polynomial { steps: n, power } => {
                steps(*n, 1)?;
                check_positive(OP, "power", *power)
            }
            Self::OneCycle {
                steps: n,
                rise,
                initial,
                last,
            } => {
                steps(*n, 2)?;
                check_decay(OP, "rise", *rise)?;
                check_positive(OP, "rise", *rise)?;
                check_positive(OP, "initial", *initial)?;
                check_positive(OP, "last", *last)
            }
            Self::WarmUp {
                steps: n,
                start,
                then,
            } => {
                steps(*n, 1)?;
                check_not_negative(OP, "start", *start)?;
                check_decay(OP, "start", *start)?;
                then.validate()
            }
        }
    }

    /// The factor for the next update after `step` updates.
    pub fn factor(&self, step: u64) -> f64 {
        let share = |steps: u64| (step as f64 / steps.max(1) as f64).min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => factor.powf((step / (*every).max(1)) as f64),
            Self::Cosine { steps, floor } => cosine(1.0, *floor, share(*steps)),
            Self::Polynomial { steps, power } => (1.0 - share(*steps)).powf(*power),
            Self::OneCycle {
                steps,
                rise,
                initial,
                last,
            } => {
                // The peak lies on a whole number of updates only if `rise` says so.
                let (peak, end) = (rise * *steps as f64 - 1.0, *steps as f64 - 1.0);
                let at = (step as f64).min(end);
                let bottom = 1.0 / (initial * last);
                if at <= peak {
                    cosine(1.0 / initial, 1.0, at / peak.max(f64::MIN_POSITIVE))
                } else {
                    cosine(1.0, bottom, (at - peak) / (end - peak))
                }
            }
            Self::WarmUp { steps, start, then } => {
                if step < *steps {
                    (start + (1.0 - start) * share(*steps)) * then.factor(0)
                } else {
                    then.factor(step - steps)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ill_settings_are_errors() {
        for schedule in [
            Schedule::Step {
                every: 0,
                factor: 0.5,
            },
            Schedule::Step {
                every: 1,
                factor: 0.0,
            },
            Schedule::Cosine {
                steps: 5,
                floor: 1.5,
            },
            Schedule::Polynomial {
                steps: 5,
                power: -1.0,
            },
            Schedule::OneCycle {
                steps: 1,
                rise: 0.3,
                initial: 25.0,
                last: 1e4,
            },
            Schedule::OneCycle {
                steps: 9,
                rise: 0.0,
                initial: 25.0,
                last: 1e4,
            },
            Schedule::WarmUp {
                steps: 5,
                start: 1.0,
                then: Box::default(),
            },
        ] {
            assert!(schedule.validate().is_err(), "{schedule:?}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn steps_and_ends() {
        let step = Schedule::Step {
            every: 3,
            factor: 0.5,
        };
        let found: Vec<f64> = (0..7).map(|t| step.factor(t)).collect();
        assert_eq!(found, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
        let late = Schedule::Cosine {
            steps: 4,
            floor: 0.25,
        };
        assert!((late.factor(400) - 0.25).abs() < 1e-15);
        let line = Schedule::Polynomial {
            steps: 4,
            power: 1.0,
        };
        assert_eq!([line.factor(1), line.factor(9)], [0.75, 0.0]);
    }
}
