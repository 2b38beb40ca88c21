//! A table beside a folder of pictures.

use super::Imported;
use super::cohort::{NewCohort, Provenance, own_name};
use crate::Result;
use crate::address::ImageAddress;
use crate::bounded;
use crate::cohort::MISSING;
use crate::error::ImagingError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Columns that a manifest gives a meaning.
const KNOWN: [&str; 8] = [
    "path",
    "mask_path",
    "label",
    "site",
    "patient",
    "split",
    "age",
    "sex",
];
/// A table and how its columns are to be understood.
#[derive(Debug, Clone, Default)]
pub struct TableImport {
    /// Comma-separated values with a header row.
    pub table: PathBuf,
    /// Folder that the table's paths are relative to.
    pub images: PathBuf,
    /// The table's column for each of the manifest's: `path`, which is required unless the table
    /// has it, `mask_path`, `label`, `site`, `patient`, `split`, `age`, `sex`.
    pub columns: BTreeMap<String, String>,
    /// The site of all images, where no column names it.
    pub site: Option<String>,
    /// What stands after every path of an image, such as `.png`, where the table leaves it out.
    pub ending: String,
    /// The same of masks, which may be of another format.
    pub mask_ending: String,
    /// Columns that models may take; the manifest's defaults where there are none.
    pub inputs: Vec<String>,
}

/// Writes a cohort of the pictures that a table names.
///
/// Columns of the table that stand for one of the manifest's take its name; all others are kept as
/// they are. Pictures and masks are copied, each once; array files as a whole.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty; see [`write_folder`](crate::write_folder).
/// * `import`: table, pictures and columns.
///
/// # Returns
/// How many rows there are; nothing is left out.
///
/// # Errors
/// [`ImagingError::Argument`] when a column is asked for that the manifest has no meaning for, or
/// two columns would have one name; [`ImagingError::Content`] when the table has no such column, or
/// no row; [`ImagingError::Decode`] when it is no table; what copying a file that is missing
/// reports; those of [`Cohort::open`](crate::Cohort::open).
///
/// # Examples
/// ```
/// use ctl_imaging::{Cohort, Raster, TableImport, import_table};
///
/// # let parent = tempfile::tempdir()?;
/// # let images = parent.path().join("films");
/// # std::fs::create_dir(&images)?;
/// Raster::new(1, 2, 2, vec![0.0; 4])?.write_png(&images.join("a.png"))?;
/// let table = parent.path().join("findings.csv");
/// std::fs::write(&table, "Image Index,Finding\na,ill\n")?;
/// let columns = [("path", "Image Index"), ("label", "Finding")];
/// let import = TableImport {
///     table,
///     images,
///     columns: columns.map(|(to, from)| (to.to_owned(), from.to_owned())).into(),
///     ending: ".png".to_owned(),
///     ..TableImport::default()
/// };
/// let cohort = parent.path().join("cohort");
/// assert_eq!(import_table(&cohort, &import)?.images, 1);
/// assert_eq!(Cohort::open(&cohort)?.records()[0].path, "img/a.png");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_table(folder: &Path, import: &TableImport) -> Result<Imported> {
    import.check_names()?;
    let bytes = bounded::read_file(&import.table)?;
    let malformed = |error| ImagingError::decode(&import.table, "csv", error);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let own: Vec<String> = reader
        .headers()
        .map_err(malformed)?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').to_owned())
        .collect();
    let header = import.renamed(&own)?;
    let files: Vec<(usize, &str)> = [("path", &import.ending), ("mask_path", &import.mask_ending)]
        .into_iter()
        .filter_map(|(file, ending)| {
            let column = header.iter().position(|name| name == file)?;
            Some((column, ending.as_str()))
        })
        .collect();
    let mut cohort = NewCohort {
        header,
        inputs: import.inputs.clone(),
        provenance: import.provenance(),
        ..NewCohort::default()
    };
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut row: Vec<String> = record.iter().map(str::to_owned).collect();
        for &(column, ending) in &files {
            row[column] = import.placed(&row[column], ending, line, &mut cohort.copies)?;
        }
        row.extend(import.site.clone());
        cohort.rows.push(row);
    }
    if cohort.rows.is_empty() {
        return Err(ImagingError::content(
            &import.table,
            "one row or more",
            "none",
        ));
    }
    cohort
        .header
        .extend(import.site.as_ref().map(|_| "site".to_owned()));
    cohort.write(folder)?;
    Ok(Imported {
        images: cohort.rows.len(),
        ..Imported::default()
    })
}

impl TableImport {
    fn provenance(&self) -> Provenance {
        let columns = self.columns.iter();
        let columns: serde_json::Map<String, serde_json::Value> = columns
            .map(|(to, from)| (to.clone(), from.clone().into()))
            .collect();
        // What lies above the table may tell of patients.
        let elsewhere = self.table.parent() != Some(self.images.as_path());
        let images = elsewhere.then(|| own_name(&self.images));
        Provenance::new("csv", [self.table.as_path()])
            .with("images", images)
            .with("inputs", self.inputs.clone())
            .with("columns", columns)
            .with("site", self.site.clone())
            .with("ending", self.ending.clone())
            .with("mask_ending", self.mask_ending.clone())
    }

    /// Each of the manifest's columns is one, and has a column of the table to itself.
    fn check_names(&self) -> Result<()> {
        let mut given = BTreeSet::new();
        for (to, from) in &self.columns {
            if !given.insert(from) {
                let expected = "one of the manifest's for each of the table's";
                let found = format!("`{from}` twice");
                return Err(ImagingError::argument(
                    "columns of the table",
                    expected,
                    found,
                ));
            }
            if !KNOWN.contains(&to.as_str()) {
                let allowed = format!("one of {}", KNOWN.join(", "));
                return Err(ImagingError::argument("column of a manifest", allowed, to));
            }
        }
        Ok(())
    }

    /// The table's header with the manifest's names.
    fn renamed(&self, own: &[String]) -> Result<Vec<String>> {
        let mut header = own.to_vec();
        for (to, from) in &self.columns {
            let column = own.iter().position(|name| name == from).ok_or_else(|| {
                let expected = format!("one of the columns {}", own.join(", "));
                ImagingError::content(&self.table, expected, format!("`{from}`"))
            })?;
            header[column].clone_from(to);
        }
        if !header.iter().any(|name| name == "path") {
            let found = own.join(", ");
            return Err(ImagingError::content(
                &self.table,
                "a column for `path`",
                found,
            ));
        }
        Ok(header)
    }

    /// Where a picture of the table will lie in the cohort; an empty cell stays empty.
    fn placed(
        &self,
        cell: &str,
        ending: &str,
        line: u64,
        copies: &mut BTreeSet<(PathBuf, String)>,
    ) -> Result<String> {
        let cell = cell.trim();
        if MISSING.contains(&cell) {
            return Ok(String::new());
        }
        // Read on its own first, so that an absolute path is refused.
        let address: ImageAddress = format!("{cell}{ending}").parse().map_err(|error| {
            let ImagingError::Argument {
                expected, found, ..
            } = error
            else {
                return error;
            };
            ImagingError::content(&self.table, format!("{expected} in line {line}"), found)
        })?;
        let placed = format!("img/{}", address.file());
        copies.insert((self.images.join(address.file()), placed));
        Ok(format!("img/{address}"))
    }
}
