//! `participants.tsv`.

use super::BidsImport;
use crate::Result;
use crate::error::ImagingError;
use crate::import::tsv::Tsv;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Columns that name sites, in the order in which they are looked for.
const SITES: [&str; 3] = ["site", "site_id", "center"];

/// What is known of participants, under the manifest's names.
pub(super) struct Participants {
    path: PathBuf,
    header: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
}

impl Participants {
    /// `None` where there is no table, which BIDS does not require.
    pub(super) fn read(import: &BidsImport) -> Result<Option<Self>> {
        let path = import.source.join("participants.tsv");
        if !path.exists() {
            let asked = import.site.iter().chain(&import.label).next();
            return match asked {
                None => Ok(None),
                Some(column) => {
                    let expected = format!("a participants.tsv with the column `{column}`");
                    Err(ImagingError::content(&import.source, expected, "none"))
                }
            };
        }
        Self::from_table(Tsv::read(&path)?, import).map(Some)
    }

    fn from_table(table: Tsv, import: &BidsImport) -> Result<Self> {
        let key = table.column("participant_id")?;
        let header = renamed(&table, import)?;
        let mut participants = Self {
            header: without(key, &header),
            rows: BTreeMap::new(),
            path: table.path,
        };
        for row in &table.rows {
            participants.check(row, &header, &row[key])?;
            let fields = without(key, row);
            if participants.rows.insert(row[key].clone(), fields).is_some() {
                let found = format!("`{}` twice", row[key]);
                return Err(participants.wrong("each participant once", found));
            }
        }
        Ok(participants)
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// The cells of a participant, one for each of the header.
    pub(super) fn of(&self, participant: &str, image: &str) -> Result<&[String]> {
        self.rows
            .get(participant)
            .map(Vec::as_slice)
            .ok_or_else(|| {
                let expected = format!("a row for {participant}, of whom there is {image}");
                self.wrong(expected, "none")
            })
    }

    /// What the cohort would refuse, told here with the participant.
    fn check(&self, row: &[String], header: &[String], participant: &str) -> Result<()> {
        for (name, cell) in header.iter().zip(row) {
            let age = || {
                cell.parse()
                    .is_ok_and(|age: f64| (0.0..=150.0).contains(&age))
            };
            let expected = match name.as_str() {
                "site" if cell.is_empty() => "a site",
                "age" if !cell.is_empty() && !age() => "an age from 0 to 150 years, or n/a,",
                _ => continue,
            };
            let found = if cell.is_empty() { "n/a" } else { cell };
            return Err(self.wrong(format!("{expected} of {participant}"), format!("`{found}`")));
        }
        Ok(())
    }

    fn wrong(&self, expected: impl Into<String>, found: impl Into<String>) -> ImagingError {
        ImagingError::content(&self.path, expected, found)
    }
}

/// The table's header with the manifest's names.
fn renamed(table: &Tsv, import: &BidsImport) -> Result<Vec<String>> {
    let mut header = table.header.clone();
    let in_any_case = |name: &str| {
        let mut own = table.header.iter();
        own.position(|own| own.eq_ignore_ascii_case(name))
    };
    let site = match &import.site {
        Some(name) => Some(table.column(name)?),
        None => SITES.iter().find_map(|name| in_any_case(name)),
    };
    let label = match &import.label {
        Some(name) => Some(table.column(name)?),
        None => None,
    };
    let known = [
        (in_any_case("age"), "age"),
        (in_any_case("sex"), "sex"),
        (site, "site"),
        (label, "label"),
    ];
    for (column, name) in known {
        if let Some(column) = column {
            name.clone_into(&mut header[column]);
        }
    }
    if site.is_some() && site == label {
        let found = format!("`{}` for both", table.header[site.unwrap_or_default()]);
        let expected = "different columns for site and label";
        return Err(ImagingError::argument("columns", expected, found));
    }
    Ok(header)
}

fn without(place: usize, cells: &[String]) -> Vec<String> {
    let others = cells
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != place);
    others.map(|(_, cell)| cell.clone()).collect()
}
