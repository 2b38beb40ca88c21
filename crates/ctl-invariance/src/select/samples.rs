//! Features, environments and responses as slices.

use std::collections::BTreeSet;

use ctl_graph::stats::{Column, Table};

use crate::{ObjectiveError, Result};

/// Names of the columns behind the features.
pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const RESPONSE: &str = "response";

/// A matrix `[n, width]`, row by row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows<'a> {
    values: &'a [f64],
    width: usize,
}

impl<'a> Rows<'a> {
    /// A view of values.
    ///
    /// # Errors
    /// When they are no whole number of rows.
    ///
    /// # Examples
    /// ```
    /// use ctl_invariance::select::Rows;
    ///
    /// let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3)?;
    /// assert_eq!((rows.count(), rows.width()), (2, 3));
    /// assert!(Rows::new(&[1.0, 2.0], 3).is_err());
    /// # Ok::<(), ctl_invariance::ObjectiveError>(())
    /// ```
    pub fn new(values: &'a [f64], width: usize) -> Result<Self> {
        if width > 0 && values.len().is_multiple_of(width) {
            return Ok(Self { values, width });
        }
        Err(ObjectiveError::Environments {
            method: "rows",
            expected: format!("whole rows of {width} values, one or more"),
            found: format!("{} values", values.len()),
        })
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.width)
    }

    /// The columns under names made of a word and their number.
    pub(super) fn columns(&self, word: &str) -> Vec<(String, Column)> {
        let column = |index: usize| {
            let values = self.iter().map(|row| row[index]).collect();
            (format!("{word} {index}"), Column::Real(values))
        };
        (0..self.width).map(column).collect()
    }
}

/// What is to be predicted, one value a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Response<'a> {
    /// A number.
    Real(&'a [f64]),
    /// A class; only classes that occur count.
    Labels(&'a [u32]),
}

/// Samples of several environments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples<'a> {
    /// `[n, F]`
    pub features: Rows<'a>,
    /// Index of every sample's environment, `[n]`; only equality matters.
    pub environments: &'a [usize],
    /// `[n]`
    pub response: Response<'a>,
}

impl Samples<'_> {
    /// A table whose first columns are the features.
    pub(super) fn table(&self) -> Result<Table> {
        let mut columns = self.features.columns("feature");
        let environments = category(self.environments.iter().copied());
        columns.push((ENVIRONMENT.to_owned(), environments));
        let response = match self.response {
            Response::Real(values) => Column::Real(values.to_vec()),
            Response::Labels(labels) => category(labels.iter().map(|&label| label as usize)),
        };
        columns.push((RESPONSE.to_owned(), response));
        Ok(Table::new(columns)?)
    }
}

/// A category with one level for each number that occurs, ascending.
fn category(numbers: impl Iterator<Item = usize> + Clone) -> Column {
    let levels: BTreeSet<usize> = numbers.clone().collect();
    let levels: Vec<usize> = levels.into_iter().collect();
    Column::Category {
        codes: numbers
            .map(|n| levels.partition_point(|&level| level < n) as u32)
            .collect(),
        levels: levels.iter().map(usize::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_in_order() {
        let Column::Category { codes, levels } = category([7, 2, 7, 900].into_iter()) else {
            panic!("a category");
        };
        assert_eq!(
            (codes, levels),
            (vec![1, 0, 1, 2], vec!["2".into(), "7".into(), "900".into()])
        );
    }

    #[test]
    fn lengths_that_do_not_fit_and_holes_are_named() {
        let samples = Samples {
            features: Rows::new(&[1.0, 2.0, 3.0, 4.0], 2).unwrap(),
            environments: &[0, 1],
            response: Response::Real(&[0.5, 1.0]),
        };
        assert_eq!(samples.table().unwrap().columns(), 4);
        let short = Samples {
            environments: &[0],
            ..samples
        };
        let message = short.table().unwrap_err().to_string();
        assert_eq!(message, "column environment: expected 2 rows, found 1");
        let holed = Samples {
            features: Rows::new(&[1.0, f64::NAN, 3.0, 4.0], 2).unwrap(),
            ..samples
        };
        let message = holed.table().unwrap_err().to_string();
        assert!(message.starts_with("column feature 1, row 0"), "{message}");
    }
}
