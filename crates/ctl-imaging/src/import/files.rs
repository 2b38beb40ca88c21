//! What imports have in common: walking, copying and writing a manifest.

use crate::error::ImagingError;
use crate::{Cohort, Result, write_folder};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders below which nothing is looked for: deeper ones are links that go in a circle.
const MAX_DEPTH: usize = 32;

/// All files below a folder with their paths relative to it, sorted; what is hidden is left out.
pub(super) fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(root, &PathBuf::new(), &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    if below.components().count() > MAX_DEPTH {
        let expected = format!("at most {MAX_DEPTH} folders in one another");
        return Err(ImagingError::content(&folder, expected, "more"));
    }
    let io = |source| ImagingError::io(&folder, "list", source);
    for entry in fs::read_dir(&folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let path = below.join(&name);
        if root.join(&path).is_dir() {
            walk(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A path as a manifest writes it, or an error for one that is no text.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| ImagingError::content(path, "a file name in UTF-8", "bytes that are not"))
}

/// A manifest in the making.
pub(super) struct NewCohort {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Files to copy: where each is, and its path in the cohort.
    pub(super) copies: BTreeSet<(PathBuf, String)>,
    /// Columns that models may take.
    pub(super) inputs: Vec<String>,
    /// Whether only an empty cell is a missing value.
    pub(super) names_mean_themselves: bool,
}

impl NewCohort {
    /// Writes the cohort and reads it back, so that what is at fault is said now.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write_folder(folder, |partial| {
            for (from, to) in &self.copies {
                copy(from, &partial.join(to))?;
            }
            self.write_manifest(&partial.join(crate::MANIFEST))?;
            self.write_description(folder, &partial.join("cohort.toml"))?;
            Cohort::open(partial).map(|_| ())
        })
    }

    fn write_manifest(&self, path: &Path) -> Result<()> {
        let unwritten = |error: csv::Error| ImagingError::decode(path, "csv", error);
        let mut writer = csv::Writer::from_path(path).map_err(unwritten)?;
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).map_err(unwritten)?;
        }
        writer
            .flush()
            .map_err(|source| ImagingError::io(path, "write", source))
    }

    fn write_description(&self, folder: &Path, path: &Path) -> Result<()> {
        let mut description = toml::Table::new();
        description.insert("schema".into(), 1.into());
        // Of `.` only the whole path has a name.
        let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let name = whole.file_name().unwrap_or_default().to_string_lossy();
        description.insert("name".into(), name.into_owned().into());
        if self.names_mean_themselves {
            description.insert("missing".into(), vec![""].into());
        }
        if !self.inputs.is_empty() {
            let inputs: Vec<toml::Value> = self.inputs.iter().cloned().map(Into::into).collect();
            let mut attributes = toml::Table::new();
            attributes.insert("inputs".into(), inputs.into());
            description.insert("attributes".into(), attributes.into());
        }
        fs::write(path, description.to_string())
            .map_err(|source| ImagingError::io(path, "write", source))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| ImagingError::io(folder, "create", e))?;
    }
    if to.exists() {
        let found = "another file of this name";
        return Err(ImagingError::content(from, "a place of its own", found));
    }
    // The source may be what is missing, so that it is the one to name.
    fs::copy(from, to).map_err(|source| ImagingError::io(from, "copy", source))?;
    Ok(())
}
