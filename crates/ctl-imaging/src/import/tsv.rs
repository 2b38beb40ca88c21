//! Tab-separated values as BIDS writes them.

use crate::Result;
use crate::bounded::read_file;
use crate::error::ImagingError;
use std::path::{Path, PathBuf};

/// How BIDS writes that nothing is known (BIDS 1.10, section "Tabular files").
const UNKNOWN: &str = "n/a";

/// A table of text with one key a row.
pub(super) struct Tsv {
    pub(super) path: PathBuf,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Tsv {
    /// Reads a table; cells of `n/a` come back empty.
    ///
    /// # Errors
    /// When the file cannot be read, is no UTF-8, has no header, a column twice, or rows of
    /// another length.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let malformed = |error| ImagingError::decode(path, "tab-separated values", error);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            // A quote in a table of BIDS is a character like others.
            .quoting(false)
            .from_reader(bytes.as_slice());
        let header: Vec<String> = reader
            .headers()
            .map_err(malformed)?
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let again = |(place, name): (usize, &String)| header[..place].contains(name);
        if let Some(place) = header.iter().enumerate().position(again) {
            let found = format!("`{}` twice", header[place]);
            return Err(ImagingError::content(path, "each column once", found));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(malformed)?;
            rows.push(record.iter().map(known).collect());
        }
        Ok(Self {
            path: path.to_owned(),
            header,
            rows,
        })
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        let place = self.header.iter().position(|own| own == name);
        place.ok_or_else(|| {
            let expected = format!("one of the columns {}", self.header.join(", "));
            ImagingError::content(&self.path, expected, format!("`{name}`"))
        })
    }
}

fn known(cell: &str) -> String {
    match cell.trim() {
        UNKNOWN => String::new(),
        cell => cell.to_owned(),
    }
}
