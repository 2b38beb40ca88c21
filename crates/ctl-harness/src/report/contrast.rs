//! Paired differences between two methods, and how much of them is noise.

use std::collections::{BTreeMap, BTreeSet};

use ctl_metrics::rank::paired_t;

use crate::record::Record;
use crate::table::{Cell, Table};
use crate::vocabulary::Selector;
use crate::{Registry, Result};

/// From this many shared cells on, cells are the units of the test and the answer is about further
/// cells; below it, pairs of cell and seed are, and the answer is about these cells only.
const CELLS_AS_UNITS: usize = 5;
/// The unit below that.
pub(crate) const CELL_AND_SEED: &str = "pair of cell and seed";

/// Differences are rounded to this before the test: what is left of subtracting equal differences
/// must not pass for variation.
const RESOLUTION: f64 = 1e-12;

/// A method and what chose its checkpoint.
pub(crate) type Arm<'a> = (&'a str, Selector);

/// The main metric on the target by cell and seed.
type BySeed = BTreeMap<(Cell, u64), f64>;

/// The main metric on the target of every method, selector, cell and seed.
pub(crate) struct Scores {
    arms: BTreeMap<(String, Selector), BySeed>,
}

/// The difference of two arms over what they share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Contrast {
    /// Mean difference of the units.
    pub(crate) difference: f64,
    /// Its standard error with `n − 1`; absent when the units do not vary or there is one.
    pub(crate) standard_error: Option<f64>,
    /// Two-sided p-value of the paired t-test, absent likewise.
    pub(crate) p: Option<f64>,
    /// Number of units.
    pub(crate) units: usize,
    /// What a unit is.
    pub(crate) unit: &'static str,
}

impl Scores {
    /// Collects the scores of a sweep, each seed on its own so that pairs never get out of step.
    pub(crate) fn of(records: &[Record], registry: &Registry) -> Self {
        let mut by_seed: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        for record in records {
            let seed = record.spec.seed;
            by_seed.entry(seed).or_default().push(record.clone());
        }
        let mut arms: BTreeMap<(String, Selector), BySeed> = BTreeMap::new();
        for (seed, records) in by_seed {
            let table = Table::of(&records, registry);
            for line in table.lines {
                let value = line.target.get(table.main_metric).map(|e| e.mean);
                if let Some(value) = value.filter(|v| v.is_finite()) {
                    let arm = arms.entry((line.method, line.selector)).or_default();
                    arm.insert((line.cell, seed), value);
                }
            }
        }
        Self { arms }
    }

    fn arm(&self, (method, selector): Arm<'_>) -> Option<&BySeed> {
        self.arms.get(&(method.to_owned(), selector))
    }

    /// The cells in which an arm has a score.
    pub(crate) fn cells(&self, arm: Arm<'_>) -> BTreeSet<&Cell> {
        let keys = self.arm(arm).into_iter().flat_map(BTreeMap::keys);
        keys.map(|(cell, _)| cell).collect()
    }

    /// The first arm minus the second; `None` when they share nothing.
    pub(crate) fn contrast(&self, a: Arm<'_>, b: Arm<'_>) -> Result<Option<Contrast>> {
        let (Some(a), Some(b)) = (self.arm(a), self.arm(b)) else {
            return Ok(None);
        };
        let mut cells: BTreeMap<&Cell, Vec<f64>> = BTreeMap::new();
        for (key, value) in a {
            if let Some(other) = b.get(key) {
                cells.entry(&key.0).or_default().push(value - other);
            }
        }
        if cells.len() >= CELLS_AS_UNITS {
            let means = cells.values().map(|d| mean(d)).collect();
            return of_units(means, "cell");
        }
        of_units(cells.into_values().flatten().collect(), CELL_AND_SEED)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn of_units(differences: Vec<f64>, unit: &'static str) -> Result<Option<Contrast>> {
    if differences.is_empty() {
        return Ok(None);
    }
    let differences: Vec<f64> = differences
        .into_iter()
        .map(|d| (d / RESOLUTION).round() * RESOLUTION)
        .collect();
    let difference = mean(&differences);
    let test = match paired_t(&differences) {
        Ok(test) => Some(test),
        Err(error) if error.is_undefined() => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Contrast {
        difference,
        standard_error: test.map(|_| standard_error(&differences)),
        p: test.map(|t| t.p_two_sided),
        units: differences.len(),
        unit,
    }))
}

/// Of the mean, with `n − 1`, as the t-test uses it.
fn standard_error(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let center = mean(values);
    let squares: f64 = values.iter().map(|v| (v - center).powi(2)).sum();
    (squares / (n - 1.0) / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 2, deviation 1, standard error 1/√3; p = 1 − √(6/7) as for t = 2√3 on 2 degrees.
    #[test]
    fn three_differences_by_hand() {
        let c = of_units(vec![1.0, 2.0, 3.0], "cell").unwrap().unwrap();
        assert!((c.difference - 2.0).abs() < 1e-12);
        assert!((c.standard_error.unwrap() - 1.0 / 3f64.sqrt()).abs() < 1e-12);
        assert!((c.p.unwrap() - (1.0 - (6f64 / 7.0).sqrt())).abs() < 1e-12);
    }

    #[test]
    fn noise_needs_units_that_vary() {
        let almost = vec![0.8 - 0.7, 0.7 - 0.6, 0.4 - 0.3];
        let constant = of_units(almost, "cell").unwrap().unwrap();
        assert_eq!((constant.standard_error, constant.p), (None, None));
        let single = of_units(vec![0.1], "cell").unwrap().unwrap();
        assert_eq!((single.units, single.p), (1, None));
        assert_eq!(of_units(Vec::new(), "cell").unwrap(), None);
    }
}
