//! Why a statistic could not be computed.

/// Why a table could not be read, or a statistic does not exist on it.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{StatsError, Table};
/// let table = Table::from_columns([("age", vec![40.0, 50.0])])?;
/// let error = table.column("sex").unwrap_err();
/// assert_eq!(error.to_string(), "no column sex; there are: age");
/// # Ok::<(), StatsError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// A column of that name does not exist.
    #[error("no column {name}; there are: {}", shortened(.known))]
    UnknownColumn {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A variable's position is beyond the table's columns.
    #[error("no variable {index}; there are {count}")]
    UnknownVariable {
        /// The position asked for.
        index: usize,
        /// How many variables there are.
        count: usize,
    },
    /// Two columns bear one name.
    #[error("column {name} occurs twice")]
    DuplicateColumn {
        /// The repeated name.
        name: String,
    },
    /// A column has more or fewer rows than the first.
    #[error("column {name}: expected {expected} rows, found {found}")]
    ColumnLength {
        /// The column.
        name: String,
        /// Rows of the first column.
        expected: usize,
        /// Rows of this one.
        found: usize,
    },
    /// A column does not hold what the statistic needs.
    #[error("column {name}: expected {expected}")]
    ColumnKind {
        /// The column.
        name: String,
        /// What was needed, in words.
        expected: &'static str,
    },
    /// A value is infinite or not a number.
    #[error("column {name}, row {row}: expected a finite number, found {found}")]
    NotFinite {
        /// The column.
        name: String,
        /// The row, counted from zero.
        row: usize,
        /// The value.
        found: f64,
    },
    /// There are too few rows for an estimate.
    #[error("expected at least {expected} rows, found {found}")]
    TooFewRows {
        /// The least number that would do.
        expected: usize,
        /// The number there is.
        found: usize,
    },
    /// A column never varies, or some columns determine another.
    #[error("singular covariance: a variable among {} is constant or determined by the others", shortened(.variables))]
    Singular {
        /// The variables whose covariance has no inverse.
        variables: Vec<String>,
    },
    /// A variable stands twice in one query.
    #[error("variable {name} occurs twice in one query")]
    RepeatedVariable {
        /// The variable.
        name: String,
    },
    /// An option is outside its range.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// The option.
        option: &'static str,
        /// The allowed range in words.
        expected: &'static str,
        /// What was given.
        found: f64,
    },
    /// Text that is no table.
    #[error("line {line}: {message}")]
    Csv {
        /// The line, counted from one.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
}

/// How many names an error lists before it stops.
const LISTED: usize = 8;

fn shortened(names: &[String]) -> String {
    let text = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<String> = (0..10).map(|i| format!("V{i}")).collect();
        assert!(shortened(&names).ends_with("V7 and 2 more"));
    }
}
