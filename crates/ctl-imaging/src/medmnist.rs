//! `MedMNIST` archives as a cohort.

use crate::Result;
use crate::error::ImagingError;
use crate::npy::NpyArray;
use crate::npz;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Parts of an archive, by names that manifests take for splits.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// Writes a cohort whose sites are archives in `MedMNIST`'s layout (Yang et al. 2023, `MedMNIST`
/// v2).
///
/// An archive holds `train_images`, `train_labels` and the same of `val` and `test`; a part may be
/// missing, and any further array with one number an image, such as `train_age`, becomes a column.
/// The folder holds `manifest.csv`, `cohort.toml` and copies of the archives, which the manifest's
/// paths point into. The site of an image is its archive's name, its split the archive's; as
/// `MedMNIST` does not name patients, every image stands for one. All is written beside the folder
/// first and then renamed, so that no half-written cohort is left behind.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet.
/// * `archives`: NPZ files with different names, at least one.
///
/// # Errors
/// [`ImagingError::Argument`] when there is no archive, two have one name, a name holds characters
/// that a manifest or a path within an archive gives a meaning, or the folder exists;
/// [`ImagingError::Content`] when an archive lacks images or labels, its arrays differ in length,
/// a label is no class (several labels an image, as in `ChestMNIST`, are not read);
/// [`ImagingError::Io`] and [`ImagingError::Decode`] as [`npz::read_npz`].
///
/// # Examples
/// ```no_run
/// use ctl_imaging::{Cohort, import_medmnist};
/// use std::path::Path;
///
/// import_medmnist(Path::new("pneumonia"), &["pneumoniamnist.npz".into()])?;
/// assert_eq!(Cohort::open(Path::new("pneumonia"))?.sites(), ["pneumoniamnist"]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn import_medmnist(folder: &Path, archives: &[PathBuf]) -> Result<()> {
    if folder.symlink_metadata().is_ok() {
        let found = format!("{}, which exists", folder.display());
        return Err(ImagingError::argument("folder", "a new folder", found));
    }
    let names = names(archives)?;
    let mut manifest = Manifest::default();
    for (path, name) in archives.iter().zip(&names) {
        manifest.add(path, name)?;
    }
    let partial = partial_name(folder)?;
    let written = write(&partial, &manifest, archives.iter().zip(&names)).and_then(|()| {
        fs::rename(&partial, folder).map_err(|e| ImagingError::io(folder, "create", e))
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

/// The names of archives, which become sites and files.
fn names(archives: &[PathBuf]) -> Result<Vec<String>> {
    const ALLOWED: &str = "NPZ files with different names of letters, digits, `-`, `_` and `.`";
    if archives.is_empty() {
        return Err(ImagingError::argument("archives", ALLOWED, "none"));
    }
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for path in archives {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = stem.filter(|stem| stem.chars().all(plain) && seen.insert((*stem).to_owned()));
        let Some(name) = fits else {
            let found = path.display().to_string();
            return Err(ImagingError::argument("archives", ALLOWED, found));
        };
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The folder that is written first.
fn partial_name(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().ok_or_else(|| {
        ImagingError::argument("folder", "a folder's name", folder.display().to_string())
    })?;
    let hidden = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
    Ok(folder.with_file_name(hidden))
}

fn write<'a>(
    partial: &Path,
    manifest: &Manifest,
    archives: impl Iterator<Item = (&'a PathBuf, &'a String)>,
) -> Result<()> {
    fs::create_dir_all(partial).map_err(|e| ImagingError::io(partial, "create", e))?;
    for (path, name) in archives {
        let copy = partial.join(format!("{name}.npz"));
        fs::copy(path, &copy).map_err(|e| ImagingError::io(&copy, "write", e))?;
    }
    for (name, text) in [
        ("manifest.csv", manifest.table()),
        ("cohort.toml", manifest.description()),
    ] {
        let path = partial.join(name);
        fs::write(&path, text).map_err(|e| ImagingError::io(&path, "write", e))?;
    }
    Ok(())
}

/// One image.
struct Row {
    path: String,
    label: usize,
    site: String,
    id: String,
    split: &'static str,
    /// By column.
    others: Vec<(String, f64)>,
}

#[derive(Default)]
struct Manifest {
    rows: Vec<Row>,
    columns: BTreeSet<String>,
    classes: usize,
}

impl Manifest {
    fn add(&mut self, path: &Path, site: &str) -> Result<()> {
        let arrays = npz::npz_names(path)?;
        let before = self.rows.len();
        for part in PARTS {
            let images = format!("{part}_images");
            if !arrays.contains(&images) {
                continue;
            }
            let count = npz::npz_shape(path, &images)?.first().copied();
            let count = count.unwrap_or_default();
            let labels = labels(path, &format!("{part}_labels"), count)?;
            let others = others(path, &arrays, part, count)?;
            self.columns.extend(others.iter().map(|(n, _)| n.clone()));
            for (index, label) in labels.into_iter().enumerate() {
                self.classes = self.classes.max(label + 1);
                self.rows.push(Row {
                    path: format!("{site}.npz#{images}/{index}"),
                    label,
                    site: site.to_owned(),
                    id: format!("{site}-{part}-{index}"),
                    split: part,
                    others: (others.iter())
                        .map(|(name, values)| (name.clone(), values[index]))
                        .collect(),
                });
            }
        }
        if self.rows.len() == before {
            return Err(ImagingError::content(
                path,
                "the arrays train_images, train_labels and the same of val and test, with images",
                if arrays.is_empty() {
                    "no array".to_owned()
                } else {
                    arrays.join(", ")
                },
            ));
        }
        Ok(())
    }

    fn table(&self) -> String {
        let mut text = String::from("path,label,site,patient,split");
        for column in &self.columns {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{column}");
        }
        text.push('\n');
        for row in &self.rows {
            let (path, label, site, id) = (&row.path, row.label, &row.site, &row.id);
            let _ = write!(text, "{path},{label},{site},{id},{}", row.split);
            for column in &self.columns {
                let found = row.others.iter().find(|(name, _)| name == column);
                let value = found.map(|(_, value)| value).filter(|v| v.is_finite());
                let _ = match value {
                    Some(value) => write!(text, ",{value}"),
                    None => write!(text, ","),
                };
            }
            text.push('\n');
        }
        text
    }

    fn description(&self) -> String {
        let quoted = |names: Vec<String>| {
            let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            quoted.join(", ")
        };
        let classes = (0..self.classes.max(2)).map(|class| class.to_string());
        let tasks = if self.columns.is_empty() {
            "\"classification\""
        } else {
            "\"classification\", \"multimodal\""
        };
        format!(
            "schema = 1\nname = \"medmnist\"\ntasks = [{tasks}]\n\n[label]\ncolumn = \"label\"\n\
             classes = [{}]\n\n[attributes]\ninputs = [{}]\n",
            quoted(classes.collect()),
            quoted(self.columns.iter().cloned().collect()),
        )
    }
}

/// The classes of the images of a part.
fn labels(path: &Path, name: &str, count: usize) -> Result<Vec<usize>> {
    let array = npz::read_npz(path, name)?;
    let values = one_each(&array, count).ok_or_else(|| {
        let expected = format!("{name} of shape [{count}] or [{count}, 1], one class an image");
        ImagingError::content(path, expected, format!("shape {:?}", array.shape))
    })?;
    let class = |value: f64| {
        let whole = value >= 0.0 && value < f64::from(u16::MAX) && value.fract() == 0.0;
        let expected = || format!("classes from 0 to 65534 in {name}");
        whole
            .then_some(value as usize)
            .ok_or_else(|| ImagingError::content(path, expected(), value.to_string()))
    };
    values.into_iter().map(class).collect()
}

/// Further arrays of a part with one number an image, by name without the part.
fn others(
    path: &Path,
    arrays: &[String],
    part: &str,
    count: usize,
) -> Result<Vec<(String, Vec<f64>)>> {
    let taken = ["path", "label", "site", "patient", "split", "mask"];
    let mut found = Vec::new();
    for array in arrays {
        let name = array.strip_prefix(part).and_then(|n| n.strip_prefix('_'));
        let Some(name) = name.filter(|name| !["images", "labels"].contains(name)) else {
            continue;
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if taken.contains(&name) || !name.chars().all(plain) {
            continue;
        }
        if let Some(values) = one_each(&npz::read_npz(path, array)?, count) {
            found.push((name.to_owned(), values));
        }
    }
    Ok(found)
}

/// The elements of an array `[count]` or `[count, 1]`.
fn one_each(array: &NpyArray, count: usize) -> Option<Vec<f64>> {
    let fits = array.shape == [count] || array.shape == [count, 1];
    fits.then(|| array.to_f64())
}
