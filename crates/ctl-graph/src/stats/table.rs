//! Data in named columns.

use std::collections::HashMap;

use super::StatsError;

/// One column: real numbers, or codes of categories.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{Column, Table};
/// let table = Table::parse_csv("site,dose\na,1\nb,2\n")?;
/// assert_eq!(table.column("dose")?, &Column::Real(vec![1.0, 2.0]));
/// let levels = vec!["a".to_owned(), "b".to_owned()];
/// assert_eq!(table.column("site")?, &Column::Category { codes: vec![0, 1], levels });
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Real numbers, all finite.
    Real(Vec<f64>),
    /// Category codes with the name of each.
    Category {
        /// `codes[row]` is a position in `levels`.
        codes: Vec<u32>,
        /// The categories' names.
        levels: Vec<String>,
    },
}

impl Column {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Category { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn selected(&self, rows: &[usize]) -> Self {
        match self {
            Self::Real(values) => Self::Real(rows.iter().map(|&row| values[row]).collect()),
            Self::Category { codes, levels } => Self::Category {
                codes: rows.iter().map(|&row| codes[row]).collect(),
                levels: levels.clone(),
            },
        }
    }
}

/// Columns of equal length under distinct names.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::Table;
/// let table = Table::parse_csv("age,site\n40,oslo\n51,pune\n47,oslo\n")?;
/// assert_eq!((table.rows(), table.columns()), (3, 2));
/// assert_eq!(table.real("age")?, [40.0, 51.0, 47.0]);
/// assert_eq!(table.category("site")?, ([0, 1, 0].as_slice(), 2));
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// A table of the given columns.
    ///
    /// # Errors
    /// [`StatsError::DuplicateColumn`], [`StatsError::ColumnLength`], [`StatsError::NotFinite`]
    /// for the first column that does not fit; [`StatsError::ColumnKind`] for a category code
    /// without a level.
    pub fn new(columns: Vec<(String, Column)>) -> Result<Self, StatsError> {
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let mut table = Self {
            names: Vec::new(),
            columns: Vec::new(),
            rows,
        };
        for (name, column) in columns {
            table.push(name, column)?;
        }
        Ok(table)
    }

    /// A table of real columns.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn from_columns<N: Into<String>>(
        columns: impl IntoIterator<Item = (N, Vec<f64>)>,
    ) -> Result<Self, StatsError> {
        let columns = columns.into_iter();
        Self::new(
            columns
                .map(|(n, values)| (n.into(), Column::Real(values)))
                .collect(),
        )
    }

    /// Adds a column at the end.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn push(&mut self, name: impl Into<String>, column: Column) -> Result<(), StatsError> {
        let name = name.into();
        if self.names.contains(&name) {
            return Err(StatsError::DuplicateColumn { name });
        }
        if self.columns.is_empty() {
            self.rows = column.len();
        }
        if column.len() != self.rows {
            return Err(StatsError::ColumnLength {
                name,
                expected: self.rows,
                found: column.len(),
            });
        }
        check(&name, &column)?;
        self.names.push(name);
        self.columns.push(column);
        Ok(())
    }

    /// Reads comma-separated values with a header row.
    ///
    /// A column whose every field is a number is real; any other is a category whose levels are
    /// numbered in order of first appearance.
    ///
    /// # Errors
    /// [`StatsError::Csv`] for a row of another length or text that is no UTF-8; those of
    /// [`Table::new`].
    pub fn parse_csv(text: &str) -> Result<Self, StatsError> {
        Self::read_csv(text.as_bytes())
    }

    /// Reads comma-separated values, as [`Table::parse_csv`], from a file or a buffer.
    ///
    /// # Errors
    /// As [`Table::parse_csv`].
    pub fn read_csv(source: impl std::io::Read) -> Result<Self, StatsError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(source);
        let names: Vec<String> = reader
            .headers()
            .map_err(|error| ill_formed(&error))?
            .iter()
            .map(str::to_owned)
            .collect();
        let mut fields: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        for record in reader.records() {
            let record = record.map_err(|error| ill_formed(&error))?;
            for (column, field) in fields.iter_mut().zip(&record) {
                column.push(field.to_owned());
            }
        }
        Self::new(
            names
                .into_iter()
                .zip(fields.iter().map(|column| typed(column)))
                .collect(),
        )
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// The columns' names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Position of a column.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`].
    pub fn position(&self, name: &str) -> Result<usize, StatsError> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| StatsError::UnknownColumn {
            name: name.to_owned(),
            known: self.names.clone(),
        })
    }

    /// A column by name.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`].
    pub fn column(&self, name: &str) -> Result<&Column, StatsError> {
        Ok(&self.columns[self.position(name)?])
    }

    /// A column by position.
    ///
    /// # Errors
    /// [`StatsError::UnknownVariable`].
    pub fn column_at(&self, index: usize) -> Result<&Column, StatsError> {
        self.columns.get(index).ok_or(StatsError::UnknownVariable {
            index,
            count: self.columns.len(),
        })
    }

    /// The numbers of a real column.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`], [`StatsError::ColumnKind`] for a category.
    pub fn real(&self, name: &str) -> Result<&[f64], StatsError> {
        self.real_at(self.position(name)?)
    }

    /// The numbers of the real column at a position.
    ///
    /// # Errors
    /// [`StatsError::UnknownVariable`], [`StatsError::ColumnKind`] for a category.
    pub fn real_at(&self, index: usize) -> Result<&[f64], StatsError> {
        match self.column_at(index)? {
            Column::Real(values) => Ok(values),
            Column::Category { .. } => Err(StatsError::ColumnKind {
                name: self.names[index].clone(),
                expected: "real numbers",
            }),
        }
    }

    /// The codes of a category and the number of its levels.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`], [`StatsError::ColumnKind`] for a real column.
    pub fn category(&self, name: &str) -> Result<(&[u32], usize), StatsError> {
        self.category_at(self.position(name)?)
    }

    /// The codes of the category at a position and the number of its levels.
    ///
    /// # Errors
    /// [`StatsError::UnknownVariable`], [`StatsError::ColumnKind`] for a real column.
    pub fn category_at(&self, index: usize) -> Result<(&[u32], usize), StatsError> {
        match self.column_at(index)? {
            Column::Category { codes, levels } => Ok((codes, levels.len())),
            Column::Real(_) => Err(StatsError::ColumnKind {
                name: self.names[index].clone(),
                expected: "categories",
            }),
        }
    }

    /// The same table with the named real columns read as categories, one for each distinct
    /// value, in ascending order.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::stats::Table;
    /// let table = Table::parse_csv("grade\n3\n1\n3\n")?.with_categories(&["grade"])?;
    /// assert_eq!(table.category("grade")?, ([1, 0, 1].as_slice(), 2));
    /// # Ok::<(), ctl_graph::stats::StatsError>(())
    /// ```
    pub fn with_categories(mut self, names: &[&str]) -> Result<Self, StatsError> {
        for name in names {
            let index = self.position(name)?;
            if let Column::Real(values) = &self.columns[index] {
                self.columns[index] = categorised(values);
            }
        }
        Ok(self)
    }

    /// The same table with every real column read as a category.
    #[must_use]
    pub fn all_categories(mut self) -> Self {
        for column in &mut self.columns {
            if let Column::Real(values) = column {
                *column = categorised(values);
            }
        }
        self
    }

    /// The table of some columns, in the order named.
    ///
    /// # Errors
    /// [`StatsError::UnknownColumn`], [`StatsError::DuplicateColumn`].
    pub fn select(&self, names: &[&str]) -> Result<Self, StatsError> {
        let picked = names
            .iter()
            .map(|name| Ok(((*name).to_owned(), self.column(name)?.clone())));
        Self::new(picked.collect::<Result<_, StatsError>>()?)
    }

    /// The table of some rows, in the order given and with its repetitions.
    ///
    /// # Errors
    /// [`StatsError::TooFewRows`] for a position that does not exist.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self, StatsError> {
        if let Some(&beyond) = rows.iter().find(|&&row| row >= self.rows) {
            return Err(StatsError::TooFewRows {
                expected: beyond + 1,
                found: self.rows,
            });
        }
        Ok(Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(|c| c.selected(rows)).collect(),
            rows: rows.len(),
        })
    }
}

fn ill_formed(error: &csv::Error) -> StatsError {
    StatsError::Csv {
        line: error.position().map_or(1, csv::Position::line),
        message: error.to_string(),
    }
}

fn typed(fields: &[String]) -> Column {
    let numbers: Option<Vec<f64>> = fields.iter().map(|field| field.parse().ok()).collect();
    if let Some(values) = numbers {
        return Column::Real(values);
    }
    let mut levels: Vec<String> = Vec::new();
    // Only looked up, never iterated.
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut codes = Vec::with_capacity(fields.len());
    for field in fields {
        let next = levels.len() as u32;
        let code = *known.entry(field).or_insert(next);
        codes.push(code);
        if code == next {
            levels.push(field.clone());
        }
    }
    Column::Category { codes, levels }
}

fn categorised(values: &[f64]) -> Column {
    // Adding zero makes the negative zero the positive one: they are one number, but the total
    // order tells them apart.
    let values: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    let mut distinct = values.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    // Every value is among the distinct ones, so that both results of the search are positions.
    let code = |value: &f64| match distinct.binary_search_by(|known| known.total_cmp(value)) {
        Ok(found) | Err(found) => found as u32,
    };
    Column::Category {
        codes: values.iter().map(code).collect(),
        levels: distinct.iter().map(f64::to_string).collect(),
    }
}

fn check(name: &str, column: &Column) -> Result<(), StatsError> {
    match column {
        Column::Real(values) => match values.iter().position(|value| !value.is_finite()) {
            Some(row) => Err(StatsError::NotFinite {
                name: name.to_owned(),
                row,
                found: values[row],
            }),
            None => Ok(()),
        },
        Column::Category { codes, levels } => {
            if codes.iter().all(|&code| (code as usize) < levels.len()) {
                return Ok(());
            }
            Err(StatsError::ColumnKind {
                name: name.to_owned(),
                expected: "a level for every code",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ill_formed_tables_are_errors() {
        let ragged = Table::parse_csv("a,b\n1,2\n3\n").unwrap_err();
        assert!(
            matches!(ragged, StatsError::Csv { line: 3, .. }),
            "{ragged}"
        );
        let twice = Table::parse_csv("a,a\n1,2\n").unwrap_err();
        assert!(matches!(twice, StatsError::DuplicateColumn { .. }));
        let infinite = Table::parse_csv("a\n1\ninf\n").unwrap_err();
        assert!(matches!(infinite, StatsError::NotFinite { row: 1, .. }));
        let uneven = Table::from_columns([("a", vec![1.0]), ("b", vec![])]).unwrap_err();
        assert!(matches!(uneven, StatsError::ColumnLength { .. }));
        let column = Column::Category {
            codes: vec![1],
            levels: vec!["x".into()],
        };
        assert!(Table::new(vec![("a".into(), column)]).is_err());
    }

    #[test]
    fn both_zeros_are_one_category() {
        let table = Table::parse_csv("a\n-0\n0\n1\n").unwrap();
        let table = table.all_categories();
        assert_eq!(table.category("a").unwrap(), ([0, 0, 1].as_slice(), 2));
    }

    #[test]
    fn categories_are_numbered_as_they_appear() {
        let table = Table::parse_csv("a\ny\nx\ny\nz\nx\n").unwrap();
        assert_eq!(
            table.category("a").unwrap(),
            ([0, 1, 0, 2, 1].as_slice(), 3)
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ab01.,\"\n\r -]{0,40}") {
            if let Ok(table) = Table::parse_csv(&text) {
                let table = table.all_categories();
                for column in 0..table.columns() {
                    let (codes, levels) = table.category_at(column).unwrap();
                    prop_assert_eq!(codes.len(), table.rows());
                    prop_assert!(codes.iter().all(|&code| (code as usize) < levels));
                }
            }
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = Table::parse_csv(&text);
        }
    }

    #[test]
    fn rows_and_columns_are_selected_in_the_order_given() {
        let table = Table::parse_csv("a,b\n1,x\n2,y\n").unwrap();
        let picked = table
            .select(&["b", "a"])
            .unwrap()
            .select_rows(&[1, 1])
            .unwrap();
        assert_eq!(picked.names(), ["b", "a"]);
        assert_eq!(picked.real("a").unwrap(), [2.0, 2.0]);
        assert_eq!(picked.category("b").unwrap(), ([1, 1].as_slice(), 2));
        assert!(table.select_rows(&[2]).is_err());
        assert!(table.real("b").is_err() && table.category("a").is_err());
    }
}
