//! Paired differences between two methods, and how much of them is noise.

use std::collections::{BTreeMap, BTreeSet};

use ctl_metrics::rank::paired_t;

use super::ground::Ground;
use crate::record::Record;
use crate::table::{Cell, Table, cell_of};
use crate::vocabulary::{Selector, Shift};
use crate::{Registry, Result};

/// Fewest independent units that are tested.
///
/// Two give a t-test one degree of freedom, where only a difference twelve times its standard error
/// passes.
pub(crate) const LEAST_UNITS: usize = 3;

/// Differences are rounded to this before the test: what is left of subtracting equal differences
/// must not pass for variation.
const RESOLUTION: f64 = 1e-12;

/// A method and what chose its checkpoint.
pub(crate) type Arm<'a> = (&'a str, Selector);

/// What shares no scored image with another of its kind, so that a test may count it.
///
/// Cells are not that: several have the same target site, and simulated cells of one seed are drawn
/// from the same noises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    /// A target site of a cohort on disk; its seeds divide the same patients anew.
    Site {
        /// The cohort.
        cohort: String,
        /// The site.
        site: String,
    },
    /// A seed of the simulator, which makes all patients anew.
    Seed(u64),
}

/// How many units there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) sites: usize,
    pub(crate) seeds: usize,
}

/// Where a score was measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    unit: Unit,
    cell: Cell,
    seed: u64,
}

/// The main metric on the target by place.
type ByPlace = BTreeMap<Place, f64>;

/// The main metric on the target of every method, selector, cell and seed; cells with few samples
/// are left out.
pub(crate) struct Scores {
    arms: BTreeMap<(String, Selector), ByPlace>,
}

/// The difference of two arms over what they share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Contrast {
    /// Mean difference of the units.
    pub(crate) difference: f64,
    /// Its standard error with `n − 1`; absent when the units are fewer than [`LEAST_UNITS`] or do
    /// not vary.
    pub(crate) standard_error: Option<f64>,
    /// Two-sided p-value of the paired t-test, absent likewise.
    pub(crate) p: Option<f64>,
    /// The units.
    pub(crate) units: Units,
}

impl Unit {
    fn of(cell: &Cell, seed: u64, simulated: bool) -> Self {
        if simulated {
            Self::Seed(seed)
        } else {
            Self::Site {
                cohort: cell.cohort.clone(),
                site: cell.target.clone(),
            }
        }
    }
}

impl Units {
    pub(crate) fn of<'a>(units: impl Iterator<Item = &'a Unit>) -> Self {
        units.fold(Self::default(), |mut all, unit| {
            match unit {
                Unit::Site { .. } => all.sites += 1,
                Unit::Seed(_) => all.seeds += 1,
            }
            all
        })
    }

    /// Their number.
    pub(crate) fn count(self) -> usize {
        self.sites + self.seeds
    }
}

impl Scores {
    /// Collects the scores of a sweep, each seed on its own so that pairs never get out of step.
    pub(crate) fn of(records: &[Record], registry: &Registry) -> Self {
        // By the whole table: a cell with few samples in one seed is out in all.
        let sparse = sparse_cells(&Table::of(records, registry));
        let simulated: BTreeSet<Cell> = records
            .iter()
            .filter(|record| record.spec.data.phantom().is_some())
            .map(cell_of)
            .collect();
        let mut by_seed: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        for record in records {
            let seed = record.spec.seed;
            by_seed.entry(seed).or_default().push(record.clone());
        }
        let mut arms: BTreeMap<(String, Selector), ByPlace> = BTreeMap::new();
        for (seed, records) in by_seed {
            let table = Table::of(&records, registry);
            for line in table.lines {
                let value = line.target.get(line.main_metric()).map(|e| e.mean);
                let value = value.filter(|v| v.is_finite() && !sparse.contains(&line.cell));
                if let Some(value) = value {
                    let place = Place {
                        unit: Unit::of(&line.cell, seed, simulated.contains(&line.cell)),
                        cell: line.cell,
                        seed,
                    };
                    let arm = arms.entry((line.method, line.selector)).or_default();
                    arm.insert(place, value);
                }
            }
        }
        Self { arms }
    }

    /// The scores in the cells of a ground.
    pub(crate) fn on(&self, ground: Ground) -> Self {
        self.filtered(|place| ground.has(&place.cell))
    }

    /// The scores under a shift.
    pub(crate) fn of_shift(&self, shift: Shift) -> Self {
        self.filtered(|place| place.cell.shift == shift)
    }

    fn filtered(&self, keep: impl Fn(&Place) -> bool) -> Self {
        let kept = |places: &ByPlace| -> ByPlace {
            let kept = places.iter().filter(|(place, _)| keep(place));
            kept.map(|(place, value)| (place.clone(), *value)).collect()
        };
        let arms = self.arms.iter();
        Self {
            arms: arms
                .map(|(arm, places)| (arm.clone(), kept(places)))
                .collect(),
        }
    }

    /// The scores in one cell.
    pub(crate) fn in_cell(&self, cell: &Cell) -> Self {
        self.filtered(|place| place.cell == *cell)
    }

    fn arm(&self, (method, selector): Arm<'_>) -> Option<&ByPlace> {
        self.arms.get(&(method.to_owned(), selector))
    }

    /// The methods that have a score under a selector.
    pub(crate) fn methods(&self, selector: Selector) -> BTreeSet<&str> {
        let arms = self.arms.iter();
        arms.filter(|((_, s), places)| *s == selector && !places.is_empty())
            .map(|((method, _), _)| method.as_str())
            .collect()
    }

    /// The units and cells in which an arm has a score.
    pub(crate) fn places(&self, arm: Arm<'_>) -> BTreeSet<(&Unit, &Cell)> {
        let keys = self.arm(arm).into_iter().flat_map(BTreeMap::keys);
        keys.map(|place| (&place.unit, &place.cell)).collect()
    }

    /// The cells in which an arm has a score.
    pub(crate) fn cells(&self, arm: Arm<'_>) -> BTreeSet<&Cell> {
        let places = self.places(arm).into_iter();
        places.map(|(_, cell)| cell).collect()
    }

    /// An arm's mean in each unit.
    pub(crate) fn unit_means(&self, arm: Arm<'_>) -> BTreeMap<&Unit, f64> {
        let places = self.arm(arm).into_iter().flatten();
        by_unit(places.map(|(place, value)| (place, *value)))
    }

    /// The first arm minus the second; `None` when they share nothing.
    pub(crate) fn contrast(&self, a: Arm<'_>, b: Arm<'_>) -> Result<Option<Contrast>> {
        let (Some(a), Some(b)) = (self.arm(a), self.arm(b)) else {
            return Ok(None);
        };
        let shared = a
            .iter()
            .filter_map(|(place, value)| Some((place, value - b.get(place)?)));
        let units = by_unit(shared);
        let kinds = Units::of(units.keys().copied());
        of_units(units.into_values().collect(), kinds)
    }
}

fn sparse_cells(table: &Table) -> BTreeSet<Cell> {
    let lines = table.lines.iter().filter(|line| line.few_samples);
    lines.map(|line| line.cell.clone()).collect()
}

/// The mean of each unit: over seeds within a cell, then over its cells, so that no cell counts
/// more for having more seeds.
fn by_unit<'a>(values: impl Iterator<Item = (&'a Place, f64)>) -> BTreeMap<&'a Unit, f64> {
    let mut units: BTreeMap<&Unit, BTreeMap<&Cell, Vec<f64>>> = BTreeMap::new();
    for (place, value) in values {
        let cells = units.entry(&place.unit).or_default();
        cells.entry(&place.cell).or_default().push(value);
    }
    units
        .into_iter()
        .map(|(unit, cells)| {
            let means: Vec<f64> = cells.values().map(|seeds| mean(seeds)).collect();
            (unit, mean(&means))
        })
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn of_units(differences: Vec<f64>, units: Units) -> Result<Option<Contrast>> {
    if differences.is_empty() {
        return Ok(None);
    }
    let differences: Vec<f64> = differences
        .into_iter()
        .map(|d| (d / RESOLUTION).round() * RESOLUTION)
        .collect();
    let test = if differences.len() < LEAST_UNITS {
        None
    } else {
        match paired_t(&differences) {
            Ok(test) => Some(test),
            Err(error) if error.is_undefined() => None,
            Err(error) => return Err(error.into()),
        }
    };
    Ok(Some(Contrast {
        difference: mean(&differences),
        standard_error: test.map(|_| standard_error(&differences)),
        p: test.map(|t| t.p_two_sided),
        units,
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
    use crate::vocabulary::{Protocol, Shift, Task};

    fn seeds(number: usize) -> Units {
        Units {
            sites: 0,
            seeds: number,
        }
    }

    /// Mean 2, deviation 1, standard error 1/√3; p = 1 − √(6/7) as for t = 2√3 on 2 degrees.
    #[test]
    fn three_differences_by_hand() {
        let c = of_units(vec![1.0, 2.0, 3.0], seeds(3)).unwrap().unwrap();
        assert!((c.difference - 2.0).abs() < 1e-12);
        assert!((c.standard_error.unwrap() - 1.0 / 3f64.sqrt()).abs() < 1e-12);
        assert!((c.p.unwrap() - (1.0 - (6f64 / 7.0).sqrt())).abs() < 1e-12);
    }

    #[test]
    fn a_test_needs_three_units_that_vary() {
        let almost = vec![0.8 - 0.7, 0.7 - 0.6, 0.4 - 0.3];
        let constant = of_units(almost, seeds(3)).unwrap().unwrap();
        assert_eq!((constant.standard_error, constant.p), (None, None));
        let two = of_units(vec![0.1, 0.3], seeds(2)).unwrap().unwrap();
        assert_eq!(
            (two.units.count(), two.standard_error, two.p),
            (2, None, None)
        );
        assert!((two.difference - 0.2).abs() < 1e-12);
        assert_eq!(of_units(Vec::new(), seeds(0)).unwrap(), None);
    }

    fn cell(protocol: Protocol, source: &str, target: &str) -> Cell {
        Cell {
            task: Task::Classification,
            shift: Shift::Combined,
            cohort: "films".into(),
            protocol,
            sources: vec![source.into()],
            target: target.into(),
            metric: "auroc",
        }
    }

    fn scores(places: &[(Cell, u64, f64)], simulated: bool) -> Scores {
        let of = |gain: f64| -> ByPlace {
            let place = |(cell, seed, value): &(Cell, u64, f64)| {
                let place = Place {
                    unit: Unit::of(cell, *seed, simulated),
                    cell: cell.clone(),
                    seed: *seed,
                };
                (place, gain * value)
            };
            places.iter().map(place).collect()
        };
        let arm = |name: &str| (name.to_owned(), Selector::TrainingDomain);
        Scores {
            arms: [(arm("new"), of(2.0)), (arm("old"), of(1.0))].into(),
        }
    }

    fn contrast(scores: &Scores) -> Contrast {
        let selector = Selector::TrainingDomain;
        let found = scores.contrast(("new", selector), ("old", selector));
        found.unwrap().unwrap()
    }

    /// Two hospitals give two cells of leaving one out and four mixtures: still two units.
    #[test]
    fn cells_that_share_a_target_site_are_one_unit() {
        let (out, mixed) = (Protocol::LeaveOneSiteOut, Protocol::SiteLabelMixture);
        let mut places = Vec::new();
        for seed in 0..2 {
            places.push((cell(out, "b", "a"), seed, 0.1));
            places.push((cell(out, "a", "b"), seed, 0.4));
            for (sources, target, value) in [
                ("ab", "a", 0.2),
                ("ba", "a", 0.3),
                ("ab", "b", 0.5),
                ("ba", "b", 0.6),
            ] {
                places.push((cell(mixed, sources, target), seed, value));
            }
        }
        let all = scores(&places, false);
        let found = contrast(&all);
        assert_eq!(found.units, Units { sites: 2, seeds: 0 });
        assert_eq!(found.p, None);
        // (0.2 + 0.5) / 2.
        assert!((found.difference - 0.35).abs() < 1e-12);
        let unseen = contrast(&all.on(Ground::UnseenSite));
        assert!((unseen.difference - 0.25).abs() < 1e-12);
    }

    #[test]
    fn simulated_cells_of_one_seed_are_one_unit() {
        let named = |target: &str| cell(Protocol::NamedTarget, "a", target);
        let mut places = Vec::new();
        for seed in 0..4 {
            for (index, target) in ["b", "c", "d"].iter().enumerate() {
                places.push((
                    named(target),
                    seed,
                    0.1 * (1.0 + seed as f64 + index as f64),
                ));
            }
        }
        let found = contrast(&scores(&places, true));
        assert_eq!(found.units, seeds(4));
        // 0.2, 0.3, 0.4, 0.5: deviation √(1/60), over √4.
        assert!((found.difference - 0.35).abs() < 1e-12);
        assert!((found.standard_error.unwrap() - (1f64 / 240.0).sqrt()).abs() < 1e-12);
        assert!(found.p.is_some());
    }

    /// A cell with more seeds weighs no more than another of its unit.
    #[test]
    fn cells_of_a_unit_weigh_alike() {
        let mixed = |sources: &str| cell(Protocol::SiteLabelMixture, sources, "a");
        let places = [
            (mixed("ab"), 0, 0.1),
            (mixed("ab"), 1, 0.3),
            (mixed("ba"), 0, 0.6),
        ];
        assert!((contrast(&scores(&places, false)).difference - 0.4).abs() < 1e-12);
    }
}
