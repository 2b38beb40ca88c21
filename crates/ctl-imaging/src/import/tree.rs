//! A folder for each class.

use super::cohort::{NewCohort, Provenance};
use super::files::{files_below, text_of};
use super::{Imported, LeftOut};
use crate::error::ImagingError;
use crate::{Result, raster_size};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Names that a manifest takes for splits.
const SPLITS: [&str; 5] = ["train", "val", "valid", "validation", "test"];
/// Names of files by which pictures are known: one of these that is none is a fault.
const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "tif", "tiff"];

/// What the name of a folder says of the images in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TreeLevel {
    /// The label.
    Class,
    /// The hospital, scanner or other environment.
    Site,
    /// `train`, `val` or `test`.
    Split,
    /// The patient.
    Patient,
}

impl TreeLevel {
    fn column(self) -> &'static str {
        match self {
            Self::Class => "label",
            Self::Site => "site",
            Self::Split => "split",
            Self::Patient => "patient",
        }
    }
}

impl FromStr for TreeLevel {
    type Err = ImagingError;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "class" => Self::Class,
            "site" => Self::Site,
            "split" => Self::Split,
            "patient" => Self::Patient,
            _ => {
                return Err(ImagingError::argument(
                    "level of a folder",
                    "class, site, split or patient",
                    format!("`{text}`"),
                ));
            }
        })
    }
}

/// Writes a cohort of pictures that lie in folders named after their classes.
///
/// Pictures are recognised as [`raster_size`] recognises them; other files are left out, and so is
/// what is hidden. They are copied with the folders that they lie in.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty; see [`write_folder`](crate::write_folder).
/// * `source`: the outermost folder.
/// * `levels`: what the folders are named after, from the outermost to the innermost, each once;
///   empty for `class`, or `split` and `class` where the outermost folders are called like splits.
///
/// # Returns
/// How many pictures there are and what was left out.
///
/// # Errors
/// [`ImagingError::Argument`] when a level stands twice; [`ImagingError::Content`] when a picture
/// lies less deep or deeper than the levels, a file that is named like a picture is none, or there
/// is no picture; those of [`write_folder`](crate::write_folder) and [`Cohort::open`](crate::Cohort::open).
///
/// # Examples
/// ```
/// use ctl_imaging::{Cohort, Raster, TreeLevel, import_tree};
///
/// # let parent = tempfile::tempdir()?;
/// # let source = parent.path().join("films");
/// for (site, class) in [("north", "ill"), ("north", "well"), ("south", "ill")] {
///     let folder = source.join(site).join(class);
///     std::fs::create_dir_all(&folder)?;
///     Raster::new(1, 2, 2, vec![0.0; 4])?.write_png(&folder.join("a.png"))?;
/// }
/// let cohort = parent.path().join("cohort");
/// import_tree(&cohort, &source, &[TreeLevel::Site, TreeLevel::Class])?;
/// let cohort = Cohort::open(&cohort)?;
/// assert_eq!((cohort.len(), cohort.classes()), (3, &["ill".to_owned(), "well".into()][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_tree(folder: &Path, source: &Path, levels: &[TreeLevel]) -> Result<Imported> {
    let distinct: BTreeSet<TreeLevel> = levels.iter().copied().collect();
    if distinct.len() < levels.len() {
        let found = format!("{levels:?}");
        return Err(ImagingError::argument("levels", "each level once", found));
    }
    let mut pictures = Vec::new();
    let mut left_out = Vec::new();
    for file in files_below(source)? {
        match raster_size(&source.join(&file)) {
            Ok(_) => pictures.push(file),
            Err(error @ ImagingError::Io { .. }) => return Err(error),
            Err(error) if is_named_like_a_picture(&file) => return Err(error),
            Err(_) => left_out.push(LeftOut::new(file, "no picture")),
        }
    }
    if pictures.is_empty() {
        let expected = "PNG, JPEG or TIFF files in folders";
        return Err(ImagingError::content(source, expected, "none"));
    }
    let levels = match levels {
        [] => guessed(&pictures),
        _ => levels.to_vec(),
    };
    cohort_of(source, &pictures, &levels)?.write(folder)?;
    Ok(Imported {
        images: pictures.len(),
        left_out,
        ..Imported::default()
    })
}

fn is_named_like_a_picture(file: &Path) -> bool {
    let ending = file.extension().and_then(OsStr::to_str).unwrap_or_default();
    PICTURES.contains(&ending.to_ascii_lowercase().as_str())
}

fn guessed(pictures: &[PathBuf]) -> Vec<TreeLevel> {
    let is_split = |picture: &PathBuf| {
        let outermost = picture.iter().next().and_then(OsStr::to_str);
        outermost.is_some_and(|name| SPLITS.contains(&name))
    };
    if pictures.iter().all(is_split) {
        vec![TreeLevel::Split, TreeLevel::Class]
    } else {
        vec![TreeLevel::Class]
    }
}

fn cohort_of(source: &Path, pictures: &[PathBuf], levels: &[TreeLevel]) -> Result<NewCohort> {
    let mut header = vec!["path".to_owned()];
    header.extend(levels.iter().map(|level| level.column().to_owned()));
    let columns: Vec<&str> = levels.iter().map(|level| level.column()).collect();
    let mut cohort = NewCohort {
        header,
        // A class may be called NA.
        names_mean_themselves: true,
        provenance: Provenance::new("tree", [source]).with("levels", columns),
        ..NewCohort::default()
    };
    for picture in pictures {
        let path = format!("img/{}", text_of(picture)?);
        let folders: Vec<&str> = path.split('/').collect();
        let folders = &folders[1..folders.len() - 1];
        if folders.len() != levels.len() {
            let named: Vec<&str> = levels.iter().map(|level| level.column()).collect();
            return Err(ImagingError::content(
                &source.join(picture),
                format!("a picture in folders for {}", named.join(", ")),
                format!("{} folders", folders.len()),
            ));
        }
        let mut row = vec![path.clone()];
        row.extend(folders.iter().map(|&folder| folder.to_owned()));
        cohort.rows.push(row);
        cohort.copies.insert((source.join(picture), path));
    }
    Ok(cohort)
}
