//! Labels: from cells to indices of classes.

use std::collections::{BTreeMap, BTreeSet};

/// The classes of a label column and how cells name them.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) classes: Vec<String>,
    /// Whether a cell may also be the index of a class. Not where a class is itself called by a
    /// number: index and name could disagree.
    by_index: bool,
    /// Index of each class: a column of measurements has as many classes as rows.
    positions: BTreeMap<String, usize>,
}

impl Labels {
    /// Declared classes.
    pub(crate) fn declared(classes: &[String]) -> Self {
        let by_index = classes.iter().all(|class| class.parse::<f64>().is_err());
        Self::new(classes.to_vec(), by_index)
    }

    /// The distinct cells: sorted as numbers if all are numbers, otherwise as text.
    pub(crate) fn derived<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let distinct: BTreeSet<String> = cells.map(canonical).collect();
        let mut classes: Vec<String> = distinct.into_iter().collect();
        let numbers: Option<Vec<f64>> = classes.iter().map(|class| class.parse().ok()).collect();
        if numbers.is_some() {
            classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        Self::new(classes, false)
    }

    fn new(classes: Vec<String>, by_index: bool) -> Self {
        let mut positions = BTreeMap::new();
        for (index, class) in classes.iter().enumerate() {
            // A class that is declared twice is a fault of its own; cells mean the first.
            positions.entry(class.clone()).or_insert(index);
        }
        Self {
            classes,
            by_index,
            positions,
        }
    }

    /// The class that a cell names.
    pub(crate) fn index_of(&self, cell: &str) -> Option<usize> {
        let cell = canonical(cell);
        let named = self.positions.get(&cell).copied();
        let index = || {
            cell.parse()
                .ok()
                .filter(|&index: &usize| index < self.classes.len())
        };
        named.or_else(|| index().filter(|_| self.by_index))
    }

    /// What a cell may hold, for errors.
    pub(crate) fn expected(&self) -> String {
        let names = self.classes.iter().map(|class| format!("`{class}`"));
        let names = names.collect::<Vec<_>>().join(", ");
        if self.by_index {
            format!("one of {names}, or 0 to {}", self.classes.len() - 1)
        } else {
            format!("one of {names}")
        }
    }
}

/// Whole numbers lose the `.0` that spreadsheets and data frames add beside empty cells.
fn canonical(cell: &str) -> String {
    let whole = cell
        .strip_suffix(".0")
        .filter(|whole| whole.parse::<i64>().is_ok());
    whole.unwrap_or(cell).to_owned()
}

fn number(class: &str) -> f64 {
    class.parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::numbers_sort_as_numbers(&["10", "9", "9", "-1"], &["-1", "9", "10"])]
    #[case::text_sorts_as_text(&["b", "a", "10"], &["10", "a", "b"])]
    #[case::frames_write_floats(&["1.0", "1", "0.0"], &["0", "1"])]
    #[case::none(&[], &[])]
    fn classes_are_derived(#[case] cells: &[&str], #[case] classes: &[&str]) {
        assert_eq!(Labels::derived(cells.iter().copied()).classes, classes);
    }

    #[rstest]
    #[case::name("ill", Some(1))]
    #[case::index("1", Some(1))]
    #[case::index_as_float("0.0", Some(0))]
    #[case::index_too_large("2", None)]
    #[case::negative("-1", None)]
    #[case::other_case("Ill", None)]
    #[case::fraction("0.5", None)]
    fn names_and_indices_are_accepted(#[case] cell: &str, #[case] index: Option<usize>) {
        let labels = Labels::declared(&["well".to_owned(), "ill".to_owned()]);
        assert_eq!(labels.index_of(cell), index);
    }

    #[test]
    fn classes_called_by_numbers_are_not_also_indices() {
        let labels = Labels::declared(&["1".to_owned(), "2".to_owned()]);
        assert_eq!(labels.index_of("1"), Some(0));
        assert_eq!(labels.index_of("0"), None);
    }
}
