//! Attributes: cells typed as numbers or levels.

use super::config::Config;
use super::table::Table;
use super::{AttributeInput, AttributeKind, AttributeValue};
use crate::problem::{Problem, ProblemKind};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The known column that always holds numbers.
const AGE: &str = "age";

/// Ages of patients, in years.
const AGES: RangeInclusive<f64> = 0.0..=150.0;

/// A typed column: one value for each row of the table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) input: AttributeInput,
    pub(crate) values: Vec<AttributeValue>,
}

/// Types every input column of a table.
pub(crate) fn columns(table: &Table, config: &Config, problems: &mut Vec<Problem>) -> Vec<Column> {
    let (inputs, must_exist) = config.inputs();
    let mut columns = Vec::new();
    for name in inputs {
        match table.position(name) {
            Some(position) => columns.push(column(table, config, name, position, problems)),
            None if must_exist => {
                let expected = format!("the input column `{name}` of cohort.toml");
                problems.push(table.header_problem(name, &expected, "none"));
            }
            None => {}
        }
    }
    columns
}

fn column(
    table: &Table,
    config: &Config,
    name: &str,
    position: usize,
    problems: &mut Vec<Problem>,
) -> Column {
    let cells: Vec<Option<&str>> = table
        .rows()
        .iter()
        .map(|(_, row)| row.get(position).unwrap_or_default().trim())
        .map(|cell| Some(cell).filter(|cell| !config.is_missing(cell)))
        .collect();
    let (kind, values) = if is_numeric(&cells, config, name) {
        (
            AttributeKind::Numeric,
            numbers(table, &cells, name, problems),
        )
    } else {
        let levels: BTreeSet<&str> = cells.iter().copied().flatten().collect();
        let levels: Vec<String> = levels.into_iter().map(str::to_owned).collect();
        let values = cells.iter().map(|cell| level(*cell, &levels)).collect();
        (AttributeKind::Categorical { levels }, values)
    };
    Column {
        input: AttributeInput {
            name: name.to_owned(),
            kind,
        },
        values,
    }
}

/// Whether a column holds numbers: as declared, `age` always, others if every cell is one.
fn is_numeric(cells: &[Option<&str>], config: &Config, name: &str) -> bool {
    let declared_in = |columns: &[String]| columns.iter().any(|column| column == name);
    if declared_in(&config.attributes.categorical) {
        return false;
    }
    name == AGE
        || declared_in(&config.attributes.numeric)
        || cells
            .iter()
            .flatten()
            .all(|cell| cell.parse::<f64>().is_ok())
}

fn numbers(
    table: &Table,
    cells: &[Option<&str>],
    name: &str,
    problems: &mut Vec<Problem>,
) -> Vec<AttributeValue> {
    let is_age = name == AGE;
    let expected = if is_age {
        "an age from 0 to 150 years, or nothing"
    } else {
        "a finite number"
    };
    let mut values = Vec::with_capacity(cells.len());
    for (cell, (line, _)) in cells.iter().zip(table.rows()) {
        let Some(cell) = cell else {
            values.push(AttributeValue::Missing);
            continue;
        };
        let number = cell.parse().ok().filter(|value: &f64| value.is_finite());
        let number = number.filter(|value| !is_age || AGES.contains(value));
        if number.is_none() {
            let found = format!("`{cell}`");
            let problem = Problem::new(table.file(), ProblemKind::BadNumber, expected, found);
            problems.push(problem.at_row(*line).in_column(name));
        }
        values.push(number.map_or(AttributeValue::Missing, AttributeValue::Number));
    }
    values
}

fn level(cell: Option<&str>, levels: &[String]) -> AttributeValue {
    let position = cell.and_then(|cell| {
        levels
            .binary_search_by(|level| level.as_str().cmp(cell))
            .ok()
    });
    position.map_or(AttributeValue::Missing, AttributeValue::Level)
}
