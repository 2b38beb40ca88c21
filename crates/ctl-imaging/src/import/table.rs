//! A table beside a folder of pictures.

use super::Imported;
use super::files::NewCohort;
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
/// Those that name files.
const FILES: [&str; 2] = ["path", "mask_path"];

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
    /// What stands after every path, such as `.png`, where the table leaves it out.
    pub ending: String,
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
    let files: Vec<usize> = FILES
        .iter()
        .filter_map(|file| header.iter().position(|name| name == file))
        .collect();
    let mut cohort = NewCohort {
        header,
        rows: Vec::new(),
        copies: BTreeSet::new(),
        inputs: import.inputs.clone(),
        names_mean_themselves: false,
    };
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let mut row: Vec<String> = record.iter().map(str::to_owned).collect();
        for &column in &files {
            row[column] = import.placed(&row[column], &mut cohort.copies)?;
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
        left_out: Vec::new(),
    })
}

impl TableImport {
    /// The table's header with the manifest's names.
    fn renamed(&self, own: &[String]) -> Result<Vec<String>> {
        let mut header = own.to_vec();
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
        let mut seen = BTreeSet::new();
        let site = self.site.iter().map(|_| "site");
        let mut names = header.iter().map(String::as_str).chain(site);
        if let Some(twice) = names.find(|name| !seen.insert(*name)) {
            let expected = "columns with different names";
            let found = format!("`{twice}` twice");
            return Err(ImagingError::argument(
                "columns of the manifest",
                expected,
                found,
            ));
        }
        Ok(header)
    }

    /// Where a picture of the table will lie in the cohort; an empty cell stays empty.
    fn placed(&self, cell: &str, copies: &mut BTreeSet<(PathBuf, String)>) -> Result<String> {
        let cell = cell.trim();
        if MISSING.contains(&cell) {
            return Ok(String::new());
        }
        // Read on its own first, so that an absolute path is refused.
        let address: ImageAddress = format!("{cell}{}", self.ending).parse()?;
        let placed = format!("img/{}", address.file());
        copies.insert((self.images.join(address.file()), placed));
        Ok(format!("img/{address}"))
    }
}
