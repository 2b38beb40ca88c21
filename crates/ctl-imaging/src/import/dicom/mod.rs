//! Series of DICOM files.

mod age;
mod series;

use super::cohort::{NewCohort, Provenance};
use super::files::link;
use super::{Imported, LeftOut};
use crate::Result;
use crate::dicom::{
    Action, Secret, SeriesFiles, SeriesOptions, action, discover_series, tag_of, unplaced_kind,
};
use crate::error::ImagingError;
use crate::volume::write_volume;
use dicom_core::Tag;
use series::{Row, single};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders of DICOM files and what is wanted of them.
#[derive(Debug, Clone, Default)]
pub struct DicomImport {
    /// Is searched through with all folders in it.
    pub source: PathBuf,
    /// What pseudonyms are derived from: the same salt gives the same ones, and who does not know
    /// it cannot lead them back. Best 16 random characters or more.
    pub salt: String,
    /// Keyword of the attribute that names sites, such as `InstitutionName`.
    pub site: Option<String>,
    /// Keywords of attributes that become columns; `PatientAge` becomes `age` in years,
    /// `PatientSex` `sex`.
    pub tags: Vec<String>,
    /// Only series of this modality, such as `MR`.
    pub modality: Option<String>,
    /// Whether series are written into the cohort as `NIfTI`; else it holds links to their files.
    pub convert: bool,
    /// Whether series of which no volume can be made are left out.
    pub skip_faulty: bool,
    /// Columns that models may take; the manifest's defaults where there are none.
    pub inputs: Vec<String>,
}

/// Writes a cohort of the series of images below a folder, a row for each.
///
/// The manifest names nobody: the patient is a pseudonym of `PatientID` (of `StudyInstanceUID`
/// where it is empty), the one that [`deidentify`](crate::dicom::deidentify) gives with the same
/// secret; study and series are mapped UIDs, and files are called after them. Attributes come into
/// the manifest only by name. The linked files stay as they are, with all that identifies in them;
/// those that `convert` writes hold values and place alone.
///
/// What is no image (segmentations, structure sets, reports), an image that does not say where it
/// lies, and a series of several stacks, such as a localiser, of several times, or of colours are
/// left out. A malformed file is an error, and so is a series with missing slices unless
/// `skip_faulty` leaves it out.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty; see [`write_folder`](crate::write_folder).
/// * `import`: the folders and what is wanted of them.
///
/// # Returns
/// How many rows there are, which series were left out and why, and how many files of which kinds.
///
/// # Errors
/// [`ImagingError::Argument`] when the salt is empty, a keyword is none of PS3.6, or two columns
/// would have one name; [`ImagingError::Content`] when there is no series of images, a file is
/// malformed or lacks its place, a series makes no volume, its files differ in patient, site or a
/// tag, it has no site, an age is none, or no series has a tag; those of
/// [`read_series_files`](crate::dicom::read_series_files) and [`Cohort::open`](crate::Cohort::open).
///
/// # References
/// PS3.3 section C.7.3 (series), PS3.15 annex E (what identifies).
///
/// # Examples
/// ```no_run
/// use ctl_imaging::{DicomImport, import_dicom};
///
/// let import = DicomImport {
///     source: "archive".into(),
///     salt: "correct horse battery staple".to_owned(),
///     site: Some("InstitutionName".to_owned()),
///     ..DicomImport::default()
/// };
/// println!("{} series", import_dicom("cohort".as_ref(), &import)?.images);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn import_dicom(folder: &Path, import: &DicomImport) -> Result<Imported> {
    if import.salt.is_empty() {
        return Err(ImagingError::argument("salt", "some text", "none"));
    }
    let columns = import.columns()?;
    let mut imported = Imported::default();
    let all = import.series(&mut imported)?;
    let mut rows = Vec::new();
    for files in all {
        match single(&files, import.skip_faulty)? {
            Ok(()) => rows.push(Row::read(files, &columns, &import.source)?),
            Err(reason) => imported.left_out.push(import.left_out(&files, reason)),
        }
    }
    if rows.is_empty() {
        let found = format!("none, {} left out", imported.left_out.len());
        let expected = "a series that makes one volume of one component";
        return Err(ImagingError::content(&import.source, expected, found));
    }
    imported.left_out.sort();
    check_columns(&rows, &columns, &import.source)?;
    imported.notes.extend(notes(&rows, &columns));
    imported.images = rows.len();
    import.write(folder, &columns, &rows, &mut imported.notes)?;
    Ok(imported)
}

/// An attribute and the column that it becomes.
pub(super) struct TagColumn {
    pub(super) tag: Tag,
    pub(super) keyword: String,
    pub(super) column: String,
}

impl DicomImport {
    /// The site's column, if there is one, and those of the tags.
    fn columns(&self) -> Result<Vec<TagColumn>> {
        let site = self.site.iter().map(|keyword| (keyword, "site"));
        let tags = self.tags.iter().map(|keyword| {
            let column = match keyword.as_str() {
                "PatientAge" => "age",
                "PatientSex" => "sex",
                other => other,
            };
            (keyword, column)
        });
        let all = site.chain(tags).map(|(keyword, column)| {
            let tag = tag_of(keyword).ok_or_else(|| {
                let expected = "a keyword of PS3.6 such as Manufacturer";
                ImagingError::argument("attribute", expected, format!("`{keyword}`"))
            })?;
            Ok(TagColumn {
                tag,
                keyword: keyword.clone(),
                column: column.to_owned(),
            })
        });
        all.collect()
    }

    /// All series of images, of the modality if one is asked for.
    fn series(&self, imported: &mut Imported) -> Result<Vec<SeriesFiles>> {
        let found = discover_series(&self.source)?;
        let uids: BTreeSet<&str> = found
            .series
            .iter()
            .map(|series| series.uid.as_str())
            .collect();
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (path, error) in found.skipped {
            match unplaced_kind(&path)? {
                // A slice that has lost its place is a hole in its series.
                Some((kind, series)) if !uids.contains(series.as_str()) || is_other(kind) => {
                    *kinds.entry(kind).or_default() += 1;
                }
                _ => return Err(error),
            }
        }
        let kinds: Vec<String> = kinds
            .into_iter()
            .map(|(kind, count)| format!("{count} left out: {kind}"))
            .collect();
        if found.series.is_empty() {
            let found = if kinds.is_empty() {
                "none".to_owned()
            } else {
                kinds.join("; ")
            };
            return Err(ImagingError::content(
                &self.source,
                "series of DICOM images",
                found,
            ));
        }
        imported.notes.extend(kinds);
        if !found.foreign.is_empty() {
            let count = found.foreign.len();
            imported
                .notes
                .push(format!("{count} left out: a file that is no DICOM"));
        }
        self.of_modality(found.series, &mut imported.notes)
    }

    fn of_modality(
        &self,
        mut series: Vec<SeriesFiles>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SeriesFiles>> {
        let Some(modality) = &self.modality else {
            return Ok(series);
        };
        let all: BTreeSet<String> = series
            .iter()
            .map(|series| series.modality.clone())
            .collect();
        let before = series.len();
        series.retain(|series| series.modality == *modality);
        if series.is_empty() {
            let all: Vec<String> = all.into_iter().collect();
            let expected = format!("series of one of the modalities {}", all.join(", "));
            return Err(ImagingError::content(
                &self.source,
                expected,
                format!("`{modality}`"),
            ));
        }
        if before > series.len() {
            let others = before - series.len();
            notes.push(format!("{others} series left out: of another modality"));
        }
        Ok(series)
    }

    /// A series by its first file: its UID would lead to the patient.
    fn left_out(&self, series: &SeriesFiles, reason: String) -> LeftOut {
        let path = series.files.first().map_or(Path::new(""), PathBuf::as_path);
        let below = path.strip_prefix(&self.source).unwrap_or(path);
        LeftOut::new(below, reason)
    }

    fn write(
        &self,
        folder: &Path,
        columns: &[TagColumn],
        rows: &[Row],
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let secret = Secret::new(self.salt.as_bytes());
        let mut header = ["path", "patient", "study", "series", "modality"]
            .map(str::to_owned)
            .to_vec();
        header.extend(columns.iter().map(|column| column.column.clone()));
        let ending = if self.convert { ".nii.gz" } else { "" };
        let placed = |row: &Row| {
            let name = secret.name("series", &row.files.uid);
            format!("img/{name}{ending}")
        };
        let cohort = NewCohort {
            volumes: true,
            header,
            rows: rows
                .iter()
                .map(|row| row.cells(placed(row), &secret))
                .collect(),
            inputs: self.inputs.clone(),
            names_mean_themselves: true,
            provenance: self.provenance(),
            ..NewCohort::default()
        };
        cohort.write_with(folder, |partial| {
            for row in rows {
                let to = partial.join(placed(row));
                if self.convert {
                    convert(&row.files, &to, notes)?;
                } else {
                    for (file, number) in row.files.files.iter().zip(1..) {
                        link(file, &to.join(format!("{number:05}.dcm")))?;
                    }
                }
            }
            Ok(())
        })
    }

    fn provenance(&self) -> Provenance {
        // The folder's name may be a patient's.
        Provenance::new("dicom", [])
            .with("site", self.site.clone())
            .with("tags", self.tags.clone())
            .with("inputs", self.inputs.clone())
            .with("modality", self.modality.clone())
            .with("convert", self.convert)
            .with("skip_faulty", self.skip_faulty)
    }
}

/// Whether a kind of object is none that a series of images could lack.
fn is_other(kind: &str) -> bool {
    !["an image", "an object"]
        .iter()
        .any(|start| kind.starts_with(start))
}

fn convert(files: &SeriesFiles, to: &Path, notes: &mut Vec<String>) -> Result<()> {
    let mut series = files.read(&SeriesOptions::default())?;
    let (Some(only), true) = (series.pop(), series.is_empty()) else {
        let path = files.files.first().map_or(Path::new(""), PathBuf::as_path);
        return Err(ImagingError::content(
            path,
            "one volume of its series",
            "several",
        ));
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|e| ImagingError::io(folder, "create", e))?;
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    notes.extend(
        only.warnings
            .iter()
            .map(|warning| format!("{name}: {warning}")),
    );
    if only.inverted_display {
        notes.push(format!(
            "{name}: low values are to be shown bright (MONOCHROME1)"
        ));
    }
    write_volume(to, &only.volume)
}

fn check_columns(rows: &[Row], columns: &[TagColumn], source: &Path) -> Result<()> {
    let empty = |place: &usize| rows.iter().all(|row| row.values[*place].is_empty());
    match (0..columns.len()).find(empty) {
        None => Ok(()),
        Some(place) => {
            let expected = format!("{} in one series or more", columns[place].keyword);
            Err(ImagingError::content(source, expected, "none"))
        }
    }
}

fn notes(rows: &[Row], columns: &[TagColumn]) -> Vec<String> {
    let mut notes = Vec::new();
    let nameless = rows.iter().filter(|row| row.patient.is_empty()).count();
    if nameless > 0 {
        notes.push(format!(
            "{nameless} series without PatientID: their study is taken for the patient"
        ));
    }
    let identifying = columns
        .iter()
        .filter(|column| action(column.tag, false) != Action::K);
    let identifying: Vec<&str> = identifying.map(|column| column.keyword.as_str()).collect();
    if !identifying.is_empty() {
        let named = identifying.join(", ");
        notes.push(format!(
            "may help to identify patients (PS3.15 table E.1-1): {named}"
        ));
    }
    notes
}
