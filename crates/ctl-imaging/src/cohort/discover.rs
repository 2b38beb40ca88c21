//! Which folders below a folder are cohorts.

use super::MANIFEST;
use crate::Result;
use crate::error::ImagingError;
use std::path::{Path, PathBuf};

/// The cohorts of a folder, and what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Folders with a manifest, sorted.
    pub cohorts: Vec<PathBuf>,
    /// Folders without one, sorted, each with the reason for which it was skipped.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Finds cohorts: the folder itself, or its immediate subfolders.
///
/// Files and hidden folders are passed over silently. Nothing is opened.
///
/// # Arguments
/// * `folder`: a cohort, or a folder of cohorts.
///
/// # Returns
/// The cohorts and the skipped folders, both sorted.
///
/// # Errors
/// [`ImagingError::Io`] when the folder cannot be listed.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// std::fs::create_dir_all(folder.path().join("north"))?;
/// std::fs::create_dir_all(folder.path().join("notes"))?;
/// std::fs::write(folder.path().join("north/manifest.csv"), "path\n")?;
/// let found = ctl_imaging::discover(folder.path())?;
/// assert_eq!(found.cohorts, [folder.path().join("north")]);
/// let notes = (folder.path().join("notes"), "no manifest.csv".to_owned());
/// assert_eq!(found.skipped, [notes]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn discover(folder: &Path) -> Result<Discovery> {
    if folder.join(MANIFEST).is_file() {
        return Ok(Discovery {
            cohorts: vec![folder.to_owned()],
            skipped: Vec::new(),
        });
    }
    let mut discovery = Discovery {
        cohorts: Vec::new(),
        skipped: Vec::new(),
    };
    for subfolder in subfolders(folder)? {
        if subfolder.join(MANIFEST).is_file() {
            discovery.cohorts.push(subfolder);
        } else {
            discovery
                .skipped
                .push((subfolder, format!("no {MANIFEST}")));
        }
    }
    Ok(discovery)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = |source| ImagingError::io(folder, "list", source);
    let mut subfolders = Vec::new();
    for entry in folder.read_dir().map_err(list)? {
        let entry = entry.map_err(list)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.path().is_dir() {
            subfolders.push(entry.path());
        }
    }
    subfolders.sort_unstable();
    Ok(subfolders)
}
