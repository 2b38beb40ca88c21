//! Masks among derivatives.

use super::name::Name;
use super::{BidsMasks, Image};
use crate::Result;
use crate::error::ImagingError;
use crate::import::files::check_volume;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Entities that a derivative may have beyond those of its image (BIDS 1.10, "Derivatives").
const ADDED: [&str; 8] = [
    "space", "desc", "res", "den", "label", "seg", "atlas", "hemi",
];
/// Spaces that are those of the image itself, as its suffix is.
const NATIVE: [&str; 2] = ["orig", "individual"];
/// Folders of data types (BIDS 1.10, "Data types").
const DATA_TYPES: [&str; 14] = [
    "anat", "beh", "dwi", "eeg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mrs", "nirs",
    "perf", "pet",
];
/// Suffix of masks with several classes.
const SEGMENTATION: &str = "dseg";

/// The mask of each image.
pub(super) struct Masks {
    /// Paths below the data set.
    paths: Vec<Option<String>>,
    classes: Vec<String>,
    /// Derivatives of the suffix that fit no image.
    strangers: usize,
}

impl Masks {
    pub(super) fn find(
        source: &Path,
        files: &[String],
        wanted: &BidsMasks,
        images: &[Image],
    ) -> Result<Self> {
        if wanted.suffix == SEGMENTATION && wanted.classes.is_empty() {
            let expected = "the names of the values of dseg, background first";
            return Err(ImagingError::argument("classes of masks", expected, "none"));
        }
        if wanted.classes.len() == 1 {
            let expected = "two names or more, background first";
            let found = format!("`{}` alone", wanted.classes[0]);
            return Err(ImagingError::argument("classes of masks", expected, found));
        }
        let candidates = wanted.candidates(source, files)?;
        let mut used = BTreeSet::new();
        let mut paths = Vec::with_capacity(images.len());
        for image in images {
            let mask = wanted.mask_of(image, &candidates, source)?;
            if let Some(mask) = mask {
                check_volume(&source.join(mask))?;
                used.insert(mask);
            }
            paths.push(mask.map(str::to_owned));
        }
        let all: usize = candidates.values().map(Vec::len).sum();
        if used.is_empty() {
            let expected = format!("a {} with the entities of an image", wanted.suffix);
            let found = format!("none among {all} below derivatives/");
            return Err(ImagingError::content(source, expected, found));
        }
        Ok(Self {
            strangers: all - used.len(),
            paths,
            classes: wanted.classes.clone(),
        })
    }

    /// Names with the numbers that stand for them.
    pub(super) fn classes(&self) -> Vec<(String, u32)> {
        let binary = ["background", "foreground"].map(str::to_owned);
        let names = match self.classes[..] {
            [] => &binary[..],
            _ => &self.classes,
        };
        names.iter().cloned().zip(0..).collect()
    }

    /// Where the mask of an image will lie, which is copied there; empty where it has none.
    pub(super) fn place(
        &self,
        image: usize,
        source: &Path,
        copies: &mut BTreeSet<(PathBuf, String)>,
    ) -> String {
        let Some(path) = &self.paths[image] else {
            return String::new();
        };
        let below = path.strip_prefix("derivatives/").unwrap_or(path);
        let placed = format!("mask/{below}");
        copies.insert((source.join(path), placed.clone()));
        placed
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let without = self.paths.iter().filter(|path| path.is_none()).count();
        let mut notes = Vec::new();
        if without > 0 {
            notes.push(format!("{without} images without a mask"));
        }
        if self.strangers > 0 {
            notes.push(format!("{} masks that belong to no image", self.strangers));
        }
        notes
    }
}

impl BidsMasks {
    /// Derivatives of the suffix that have the entities, by subject.
    fn candidates<'a>(
        &self,
        source: &Path,
        files: &'a [String],
    ) -> Result<BTreeMap<String, Vec<(Name, &'a str)>>> {
        let mut suffixes = BTreeSet::new();
        let mut candidates: BTreeMap<String, Vec<(Name, &str)>> = BTreeMap::new();
        for path in files {
            let Some(name) = self.derivative(path) else {
                continue;
            };
            suffixes.insert(name.suffix.clone());
            let fits = self
                .entities
                .iter()
                .all(|(key, value)| name.get(key) == Some(value));
            if name.suffix == self.suffix && fits {
                let subject = name.get("sub").unwrap_or_default().to_owned();
                candidates.entry(subject).or_default().push((name, path));
            }
        }
        if !suffixes.contains(&self.suffix) {
            let folder = source
                .join("derivatives")
                .join(self.pipeline.as_deref().unwrap_or(""));
            let found: Vec<String> = suffixes.into_iter().collect();
            let found = match found[..] {
                [] => "no NIfTI file".to_owned(),
                _ => found.join(", "),
            };
            let expected = format!("files of the suffix {}", self.suffix);
            return Err(ImagingError::content(&folder, expected, found));
        }
        Ok(candidates)
    }

    /// The name of a `NIfTI` file below `derivatives/`, in the pipeline that was asked for.
    fn derivative(&self, path: &str) -> Option<Name> {
        let below = path.strip_prefix("derivatives/")?;
        let (pipeline, _) = below.split_once('/')?;
        let asked = self.pipeline.as_ref().is_none_or(|asked| asked == pipeline);
        let name = Name::parse(below.rsplit('/').next()?)?;
        (asked && name.is_nifti()).then_some(name)
    }

    fn mask_of<'a>(
        &self,
        image: &Image,
        candidates: &BTreeMap<String, Vec<(Name, &'a str)>>,
        source: &Path,
    ) -> Result<Option<&'a str>> {
        let subject = image.name.get("sub").unwrap_or_default();
        let of_subject = candidates.get(subject).into_iter().flatten();
        let fitting: Vec<&str> = of_subject
            .filter(|(name, path)| {
                self.belongs(name, &image.name) && of_one_data_type(path, &image.path)
            })
            .map(|&(_, path)| path)
            .collect();
        match fitting[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(ImagingError::content(
                &source.join(&image.path),
                format!(
                    "one {}: further entities of masks, or a pipeline, choose",
                    self.suffix
                ),
                fitting.join(", "),
            )),
        }
    }

    /// Whether a derivative has the entities of an image, and beyond them only those of
    /// derivatives, in the image's own space unless another was asked for.
    fn belongs(&self, mask: &Name, image: &Name) -> bool {
        let mut further = mask.entities.keys().filter(|key| image.get(key).is_none());
        let space = mask.get("space").filter(|_| image.get("space").is_none());
        let asked = self.entities.iter().any(|(key, _)| key == "space");
        let at_home = |space: &str| NATIVE.contains(&space) || space == image.suffix;
        mask.has_all_of(image)
            && further.all(|key| ADDED.contains(&key.as_str()))
            && (asked || space.is_none_or(at_home))
    }
}

/// Whether two files lie in folders of one data type, as far as both lie in one.
fn of_one_data_type(one: &str, other: &str) -> bool {
    match (data_type(one), data_type(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// The folder that a file lies in, if it is one of a data type.
fn data_type(path: &str) -> Option<&str> {
    let folder = path.rsplit('/').nth(1)?;
    DATA_TYPES.contains(&folder).then_some(folder)
}
