//! `participants.tsv`.

use super::BidsImport;
use crate::Result;
use crate::error::ImagingError;
use crate::import::tsv::Tsv;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Columns that name sites, in the order in which they are looked for.
const SITES: [&str; 3] = ["site", "site_id", "center"];

/// Columns that a manifest gives a meaning, which must be asked for.
const MEANT: [&str; 8] = [
    "path",
    "patient",
    "mask_path",
    "label",
    "site",
    "split",
    "age",
    "sex",
];
/// How BIDS has ages of 89 years and more written, that they identify nobody.
const OLDEST: &str = "89+";
/// What is read for it.
const OLDEST_READ: &str = "89";

/// What is known of participants, under the manifest's names.
pub(super) struct Participants {
    path: PathBuf,
    header: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
    /// What is other than in the table.
    pub(super) notes: Vec<String>,
}

impl Participants {
    /// `None` where there is no table, which BIDS does not require.
    ///
    /// # Arguments
    /// * `wanted`: participants with images; of others nothing is read.
    /// * `taken`: names of columns that come from elsewhere.
    pub(super) fn read(
        import: &BidsImport,
        wanted: &BTreeSet<String>,
        taken: &BTreeSet<&str>,
    ) -> Result<Option<Self>> {
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
        let table = Tsv::read(&path)?;
        let key = table.column("participant_id")?;
        let meanings = meanings(&table, import)?;
        let mut notes = Vec::new();
        let header = renamed(&table, key, &meanings, taken, &mut notes);
        let mut participants = Self {
            header: without(key, &header),
            rows: BTreeMap::new(),
            notes,
            path,
        };
        participants.fill(&table, key, &header, wanted)?;
        Ok(Some(participants))
    }

    fn fill(
        &mut self,
        table: &Tsv,
        key: usize,
        header: &[String],
        wanted: &BTreeSet<String>,
    ) -> Result<()> {
        let age = header.iter().position(|name| name == "age");
        let mut oldest = 0;
        for row in table.rows.iter().filter(|row| wanted.contains(&row[key])) {
            let mut row = row.clone();
            if let Some(age) = age.filter(|&age| row[age] == OLDEST) {
                OLDEST_READ.clone_into(&mut row[age]);
                oldest += 1;
            }
            self.check(&row, header, &row[key])?;
            let fields = without(key, &row);
            if self.rows.insert(row[key].clone(), fields).is_some() {
                let found = format!("`{}` twice", row[key]);
                return Err(self.wrong("each participant once", found));
            }
        }
        if oldest > 0 {
            self.notes.push(format!(
                "{oldest} participants of age {OLDEST}, read as {OLDEST_READ}"
            ));
        }
        Ok(())
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

/// What columns of the table, by their places, are in the manifest.
fn meanings(table: &Tsv, import: &BidsImport) -> Result<BTreeMap<usize, &'static str>> {
    let in_any_case = |name: &str| {
        let mut own = table.header.iter();
        own.position(|own| own.eq_ignore_ascii_case(name))
    };
    let asked = |name: Option<&String>| name.map(|name| table.column(name)).transpose();
    let site = match asked(import.site.as_ref())? {
        Some(site) => Some(site),
        None => SITES.iter().find_map(|name| in_any_case(name)),
    };
    let label = asked(import.label.as_ref())?;
    if let Some(both) = site.filter(|_| site == label) {
        let found = format!("`{}` for both", table.header[both]);
        let expected = "different columns for site and label";
        return Err(ImagingError::argument("columns", expected, found));
    }
    let known = [
        (in_any_case("age"), "age"),
        (in_any_case("sex"), "sex"),
        (site, "site"),
        (label, "label"),
    ];
    let known = known.into_iter();
    Ok(known
        .filter_map(|(column, name)| Some((column?, name)))
        .collect())
}

/// The table's header with the manifest's names; a column of another meaning, or whose name is
/// taken, is called `participant_NAME`.
fn renamed(
    table: &Tsv,
    key: usize,
    meanings: &BTreeMap<usize, &'static str>,
    taken: &BTreeSet<&str>,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let mut header = table.header.clone();
    for (place, name) in header.iter_mut().enumerate() {
        if let Some(meaning) = meanings.get(&place) {
            (*meaning).clone_into(name);
        } else if place != key && (MEANT.contains(&name.as_str()) || taken.contains(name.as_str()))
        {
            let own = format!("participant_{name}");
            notes.push(format!(
                "the column `{name}` of participants.tsv is `{own}`"
            ));
            *name = own;
        }
    }
    header
}

fn without(place: usize, cells: &[String]) -> Vec<String> {
    let others = cells
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != place);
    others.map(|(_, cell)| cell.clone()).collect()
}
