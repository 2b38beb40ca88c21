//! `MedMNIST` archives as a cohort.

use super::Imported;
use super::cohort::{Provenance, at_home};
use crate::Result;
use crate::error::ImagingError;
use crate::npz;
use crate::{Cohort, write_folder};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Parts of an archive, by names that manifests take for splits.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// Columns that a model may be given.
const INPUTS: [&str; 2] = ["age", "sex"];

/// Writes a cohort whose sites are archives in `MedMNIST`'s layout (Yang et al. 2023, `MedMNIST`
/// v2).
///
/// An archive holds `train_images`, `train_labels` and the same of `val` and `test`; a part may be
/// missing. A further array with one number an image, such as `train_age`, becomes a column of the
/// manifest; `train_patient` names patients, and where it is missing every image stands for one, as
/// `MedMNIST` does not name them. Of the columns only `age` and `sex` are inputs of models, since a
/// column may be derived from the label; others are added to `cohort.toml` by hand.
/// The folder holds `manifest.csv`, `cohort.toml` and copies of the archives, which the manifest's
/// paths point into. The site of an image is its archive's name, its split the archive's. See
/// [`write_folder`] for how it is written.
///
/// # Arguments
/// * `folder`: a folder that does not exist yet or is empty.
/// * `archives`: NPZ files with different names, at least one.
///
/// # Returns
/// How many rows there are; nothing is left out.
///
/// # Errors
/// [`ImagingError::Argument`] when there is no archive, two have one name, or a name holds
/// characters that a manifest or a path within an archive gives a meaning;
/// [`ImagingError::Content`] when an archive has images without labels or labels without images,
/// its arrays differ in length, a number is infinite, or a label is no class (several labels an
/// image, as in `ChestMNIST`, are not read); those of [`write_folder`], [`npz::read_npz`] and
/// [`Cohort::open`], the last for columns that a cohort cannot have, such as an age of −1.
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
pub fn import_medmnist(folder: &Path, archives: &[PathBuf]) -> Result<Imported> {
    let names = names(archives)?;
    let mut manifest = Manifest::default();
    for (path, name) in archives.iter().zip(&names) {
        manifest.add(path, name)?;
    }
    write_folder(folder, |partial| {
        write(partial, &manifest, archives.iter().zip(&names))?;
        Provenance::new("medmnist", archives.iter().map(PathBuf::as_path))
            .write(partial, manifest.rows.len())?;
        Cohort::open(partial)
            .map(|_| ())
            .map_err(|error| at_home(error, partial, folder))
    })?;
    Ok(Imported {
        images: manifest.rows.len(),
        ..Imported::default()
    })
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

fn write<'a>(
    partial: &Path,
    manifest: &Manifest,
    archives: impl Iterator<Item = (&'a PathBuf, &'a String)>,
) -> Result<()> {
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
    patient: String,
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
            let [images, labels_of] = ["images", "labels"].map(|of| format!("{part}_{of}"));
            match [&images, &labels_of].map(|name| arrays.contains(name)) {
                [false, false] => continue,
                [true, true] => {}
                [has_images, _] => {
                    let (found, missing) = if has_images {
                        (images, labels_of)
                    } else {
                        (labels_of, images)
                    };
                    let found = format!("{found} alone");
                    return Err(ImagingError::content(
                        path,
                        format!("{missing} beside it"),
                        found,
                    ));
                }
            }
            let count = npz::npz_shape(path, &images)?.first().copied();
            let count = count.unwrap_or_default();
            let labels = labels(path, &labels_of, count)?;
            let mut others = others(path, &arrays, part, count)?;
            let patients = others.iter().position(|(name, _)| name == "patient");
            let patients = patients.map(|place| others.remove(place).1);
            self.columns.extend(others.iter().map(|(n, _)| n.clone()));
            for (index, label) in labels.into_iter().enumerate() {
                self.classes = self.classes.max(label + 1);
                self.rows.push(Row {
                    path: format!("{site}.npz#{images}/{index}"),
                    label,
                    site: site.to_owned(),
                    patient: match &patients {
                        Some(numbers) => format!("{site}-{}", numbers[index]),
                        None => format!("{site}-{part}-{index}"),
                    },
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
            let Row {
                path,
                label,
                site,
                patient,
                split,
                ..
            } = row;
            let _ = write!(text, "{path},{label},{site},{patient},{split}");
            for column in &self.columns {
                let found = row.others.iter().find(|(name, _)| name == column);
                let value = found.map(|(_, value)| value).filter(|v| !v.is_nan());
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
        let inputs = INPUTS.iter().filter(|&&name| self.columns.contains(name));
        let inputs: Vec<String> = inputs.map(|&name| name.to_owned()).collect();
        let tasks = if inputs.is_empty() {
            "\"classification\""
        } else {
            "\"classification\", \"multimodal\""
        };
        format!(
            "schema = 1\nname = \"medmnist\"\ntasks = [{tasks}]\n\n[label]\ncolumn = \"label\"\n\
             classes = [{}]\n\n[attributes]\ninputs = [{}]\n",
            quoted(classes.collect()),
            quoted(inputs),
        )
    }
}

/// The classes of the images of a part.
fn labels(path: &Path, name: &str, count: usize) -> Result<Vec<usize>> {
    let expected = format!("{name} of shape [{count}] or [{count}, 1], one class an image");
    let shape = npz::npz_shape(path, name)?;
    if !one_each(&shape, count) {
        let found = format!("shape {shape:?}");
        return Err(ImagingError::content(path, expected, found));
    }
    let class = |value: f64| {
        let whole = value >= 0.0 && value < f64::from(u16::MAX) && value.fract() == 0.0;
        let expected = || format!("classes from 0 to 65534 in {name}");
        whole
            .then_some(value as usize)
            .ok_or_else(|| ImagingError::content(path, expected(), value.to_string()))
    };
    let values = npz::read_npz(path, name)?.to_f64();
    values.into_iter().map(class).collect()
}

/// Further arrays of a part with one number an image, by name without the part; those of more
/// numbers an image, such as masks, are no columns.
fn others(
    path: &Path,
    arrays: &[String],
    part: &str,
    count: usize,
) -> Result<Vec<(String, Vec<f64>)>> {
    let taken = ["path", "label", "site", "split", "mask_path"];
    let mut found = Vec::new();
    for array in arrays {
        let name = array.strip_prefix(part).and_then(|n| n.strip_prefix('_'));
        let Some(name) = name.filter(|name| !["images", "labels"].contains(name)) else {
            continue;
        };
        let shape = npz::npz_shape(path, array)?;
        if shape.len() > 1 && shape[1..] != [1] {
            continue;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if taken.contains(&name) || !name.chars().all(plain) {
            let expected = "arrays whose names, without the part, are letters, digits and `_` and \
                            no column of a manifest";
            return Err(ImagingError::content(path, expected, array.as_str()));
        }
        if !one_each(&shape, count) {
            let expected = format!("{array} of shape [{count}] or [{count}, 1]");
            return Err(ImagingError::content(
                path,
                expected,
                format!("shape {shape:?}"),
            ));
        }
        let values = npz::read_npz(path, array)?.to_f64();
        if let Some(value) = values.iter().find(|value| value.is_infinite()) {
            let expected = format!("numbers in {array}, or NaN where one is missing");
            return Err(ImagingError::content(path, expected, value.to_string()));
        }
        found.push((name.to_owned(), values));
    }
    Ok(found)
}

/// Whether an array has one number an image.
fn one_each(shape: &[usize], count: usize) -> bool {
    shape == [count] || shape == [count, 1]
}
