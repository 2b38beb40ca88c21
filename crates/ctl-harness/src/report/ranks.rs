//! Rank tests of the methods over independent units.

use std::collections::{BTreeMap, BTreeSet};

use ctl_invariance::Role;
use ctl_metrics::Direction;
use ctl_metrics::rank::{FriedmanTest, friedman};
use serde::Serialize;

use super::contenders::ALPHA;
use super::contrast::{Scores, Unit, Units};
use super::ground::Ground;
use super::svg::{RankPlot, file_name};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::Result;
use crate::table::Cell;
use crate::vocabulary::Selector;

/// Fewest units and methods for which ranks say anything.
const LEAST: usize = 3;
/// What no rank test over few hospitals may leave unsaid.
const CAUTION: &str = "The χ² approximation is rough below about ten units, F is better.";

#[derive(Debug, Serialize)]
pub(crate) struct Ranks {
    sentence: String,
    figure: Option<String>,
    /// The figure's name where it is a file of its own.
    file: String,
    rows: Vec<RankRow>,
}

#[derive(Debug, Serialize)]
struct RankRow {
    name: String,
    rank: String,
    against_reference: String,
}

/// Target means of the methods that have one in every cell of every unit.
#[derive(Debug, PartialEq)]
struct Matrix {
    methods: Vec<String>,
    units: Units,
    /// `[units, methods]`, row-major.
    values: Vec<f64>,
}

impl Ranks {
    /// Ranks on the first ground that has scores; figures of the other would not be comparable.
    pub(crate) fn of(sweep: &Sweep<'_>, scores: &Scores) -> Result<Self> {
        let grounds = Ground::ALL.into_iter().map(|ground| scores.on(ground));
        let has_scores = |s: &Scores| !s.methods(Selector::TrainingDomain).is_empty();
        let scores = grounds.into_iter().find(has_scores);
        let Some(scores) = scores else {
            return Ok(Self::without("No cell can be ranked.".to_owned()));
        };
        let matrix = Matrix::of(sweep, &scores);
        let (units, methods) = (matrix.units.count(), matrix.methods.len());
        if units < LEAST || methods < LEAST {
            return Ok(Self::without(format!(
                "Ranks need at least {LEAST} independent units and {LEAST} methods with a figure \
                 in each of them; here are {} and {}.",
                text::units(matrix.units),
                text::count(methods, "such method")
            )));
        }
        let test = match friedman(&matrix.values, methods, Direction::HigherIsBetter) {
            Ok(test) => test,
            Err(error) if error.is_undefined() => {
                return Ok(Self::without("All methods tie in every unit.".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        Self::tested(sweep, &matrix, &test)
    }

    /// The figure, by the name of its file.
    pub(crate) fn drawn(&self) -> Option<(&str, &str)> {
        Some((&self.file, self.figure.as_deref()?))
    }

    fn without(sentence: String) -> Self {
        Self {
            sentence,
            figure: None,
            file: String::new(),
            rows: Vec::new(),
        }
    }

    fn tested(sweep: &Sweep<'_>, matrix: &Matrix, test: &FriedmanTest) -> Result<Self> {
        let critical = test.critical_difference(ALPHA)?;
        let names: Vec<String> = matrix.methods.iter().map(|m| sweep.name(m)).collect();
        let entries = names.iter().cloned().zip(test.average_ranks.clone());
        Ok(Self {
            sentence: sentence(matrix.units, test, critical),
            file: file_name(&[sweep.task.as_str(), "ranks"]),
            figure: Some(
                RankPlot {
                    entries: entries.collect(),
                    critical_difference: critical,
                }
                .draw(),
            ),
            rows: rows(matrix, &names, test)?,
        })
    }
}

impl Matrix {
    fn of(sweep: &Sweep<'_>, scores: &Scores) -> Self {
        let selector = Selector::TrainingDomain;
        let lines = sweep.table.lines.iter();
        let references = lines.filter(|l| l.role == Role::Oracle);
        let references: BTreeSet<&str> = references.map(|l| l.method.as_str()).collect();
        let mut competing = scores.methods(selector);
        competing.retain(|method| !references.contains(method));
        let places = |method: &&str| scores.places((method, selector));
        let all: BTreeSet<(&Unit, &Cell)> = competing.iter().flat_map(places).collect();
        competing.retain(|method| places(method) == all);
        let units: BTreeSet<&Unit> = all.iter().map(|(unit, _)| *unit).collect();
        let columns: Vec<BTreeMap<&Unit, f64>> = competing
            .iter()
            .map(|method| scores.unit_means((method, selector)))
            .collect();
        let row = |unit| columns.iter().map(move |column| column[unit]);
        Self {
            values: units.iter().flat_map(|unit| row(*unit)).collect(),
            units: Units::of(units.iter().copied()),
            methods: competing.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn sentence(units: Units, test: &FriedmanTest, critical: f64) -> String {
    let differ = if test.p_iman_davenport < ALPHA {
        "The methods differ"
    } else {
        "The methods cannot be told apart"
    };
    let f = if test.iman_davenport_f.is_finite() {
        format!("F = {}", text::number(Some(test.iman_davenport_f)))
    } else {
        "F is infinite".to_owned()
    };
    format!(
        "{differ} over {}: Friedman χ² = {} ({}), Iman–Davenport {f} ({}), {} methods, target under \
         training-domain selection, mean over the cells of a unit. Methods whose mean ranks are further apart than {} \
         (Nemenyi, α = {ALPHA}) differ. {CAUTION}",
        text::units(units),
        text::number(Some(test.chi2)),
        text::p_value(test.p_chi2),
        text::p_value(test.p_iman_davenport),
        test.average_ranks.len(),
        text::number(Some(critical)),
    )
}

/// Best mean rank first.
fn rows(matrix: &Matrix, names: &[String], test: &FriedmanTest) -> Result<Vec<RankRow>> {
    let p_values = test.nemenyi_p_values()?;
    let reference = matrix.methods.iter().position(|m| m == REFERENCE);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| test.average_ranks[a].total_cmp(&test.average_ranks[b]));
    let against = |index: usize| match reference {
        Some(reference) if reference != index => {
            text::p_value(p_values[reference * names.len() + index])
        }
        _ => text::MISSING.to_owned(),
    };
    Ok(order
        .into_iter()
        .map(|index| RankRow {
            name: names[index].clone(),
            rank: format!("{:.2}", test.average_ranks[index]),
            against_reference: against(index),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks 1 1 1, 2 3 2 and 3 2 3: means 1, 7/3 and 8/3; χ² = 12/(3·3·4)·(9 + 49 + 64) − 36.
    #[test]
    fn a_rank_table_by_hand() {
        let matrix = Matrix {
            methods: ["a", REFERENCE, "z"].map(String::from).to_vec(),
            units: Units { sites: 3, seeds: 0 },
            values: vec![0.9, 0.8, 0.7, 0.9, 0.7, 0.8, 0.8, 0.7, 0.6],
        };
        let test = friedman(&matrix.values, 3, Direction::HigherIsBetter).unwrap();
        let names = ["A", "ERM", "Z"].map(String::from);
        let rows = rows(&matrix, &names, &test).unwrap();
        let ranks: Vec<(&str, &str)> = rows.iter().map(|r| (&*r.name, &*r.rank)).collect();
        assert_eq!(ranks, [("A", "1.00"), ("ERM", "2.33"), ("Z", "2.67")]);
        assert_eq!(rows[1].against_reference, "–");
        assert!(rows[0].against_reference.starts_with("p = 0.2"));
        let text = sentence(matrix.units, &test, 1.913_624);
        assert!(text.starts_with("The methods"), "{text}");
        assert!(
            text.contains("over 3 target sites: Friedman χ² = 4.667"),
            "{text}"
        );
        assert!(text.contains("F = 7.000"), "{text}");
        assert!(text.contains("further apart than 1.914"), "{text}");
    }
}
