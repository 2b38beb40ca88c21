//! Files of cases.

use super::description::{Description, PICTURE};
use crate::Result;
use crate::error::ImagingError;
use crate::import::files::{check_volume, files_below, text_of};
use crate::raster_size;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Digits of a channel in the name of a file.
const DIGITS: usize = 4;
/// End of the names of folders with training cases.
const TRAINING: &str = "Tr";

/// Cases of one folder of images, with the folder of their masks.
pub(super) struct Cases {
    /// `Tr` or `Ts`.
    pub(super) part: &'static str,
    /// Channels that are there, by case.
    pub(super) channels: BTreeMap<String, BTreeSet<usize>>,
    /// Cases that have masks; `None` where their folder is not there.
    masks: Option<BTreeSet<String>>,
    ending: String,
    /// Files of another ending.
    pub(super) others: Vec<PathBuf>,
}

impl Cases {
    /// Looks at `imagesTr` and `labelsTr`, or at those of `Ts`.
    pub(super) fn find(
        source: &Path,
        part: &'static str,
        description: &Description,
    ) -> Result<Self> {
        let mut cases = Self {
            part,
            channels: BTreeMap::new(),
            masks: None,
            ending: description.ending.clone(),
            others: Vec::new(),
        };
        let folder = format!("images{part}");
        for file in files_below(&source.join(&folder))? {
            let name = text_of(&file)?;
            let Some(stem) = name.strip_suffix(&cases.ending) else {
                cases.others.push(Path::new(&folder).join(&file));
                continue;
            };
            let path = source.join(&folder).join(&file);
            let (case, channel) = channel_of(stem, &path)?;
            let count = description.channels.len();
            if channel >= count {
                let expected = format!("channels 0 to {} in the name", count - 1);
                return Err(ImagingError::content(&path, expected, channel.to_string()));
            }
            cases
                .channels
                .entry(case.to_owned())
                .or_default()
                .insert(channel);
        }
        cases.find_masks(source)?;
        Ok(cases)
    }

    /// Whether the masks' folder is there.
    pub(super) fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Where a channel of a case lies below the data set.
    pub(super) fn image(&self, case: &str, channel: usize) -> String {
        format!(
            "images{}/{case}_{channel:0DIGITS$}{}",
            self.part, self.ending
        )
    }

    /// Where its mask lies, if it has one.
    pub(super) fn mask(&self, case: &str) -> Option<String> {
        let has_one = self.masks.as_ref().is_some_and(|all| all.contains(case));
        has_one.then(|| format!("labels{}/{case}{}", self.part, self.ending))
    }

    /// Masks are those of the cases; of training cases all have one.
    fn find_masks(&mut self, source: &Path) -> Result<()> {
        let folder = source.join(format!("labels{}", self.part));
        if !folder.is_dir() {
            return Ok(());
        }
        let mut masks = BTreeSet::new();
        for file in files_below(&folder)? {
            let name = text_of(&file)?;
            masks.extend(name.strip_suffix(&self.ending).map(str::to_owned));
        }
        let images = format!("images{}", self.part);
        if let Some(alone) = masks.iter().find(|case| !self.channels.contains_key(*case)) {
            let expected = format!("images of the case {alone} in {images}");
            return Err(ImagingError::content(&folder, expected, "none"));
        }
        let without = self.channels.keys().find(|case| !masks.contains(*case));
        if let Some(case) = without.filter(|_| self.part == TRAINING) {
            let expected = format!("a mask {case}{} of the case {case}", self.ending);
            return Err(ImagingError::content(&folder, expected, "none"));
        }
        self.masks = Some(masks);
        Ok(())
    }

    /// Refuses a case without one of the channels, and files that are no images.
    pub(super) fn check(&self, source: &Path, wanted: &[usize]) -> Result<()> {
        for (case, channels) in &self.channels {
            if let Some(&channel) = wanted.iter().find(|channel| !channels.contains(channel)) {
                let path = source.join(self.image(case, channel));
                let expected = format!("channel {channel} of the case {case}");
                return Err(ImagingError::content(&path, expected, "no such file"));
            }
            let images = wanted.iter().map(|&channel| self.image(case, channel));
            for file in images.chain(self.mask(case)) {
                self.check_file(&source.join(file))?;
            }
        }
        Ok(())
    }

    fn check_file(&self, path: &Path) -> Result<()> {
        match self.ending.as_str() {
            PICTURE => raster_size(path).map(|_| ()),
            _ => check_volume(path).map(|_| ()),
        }
    }
}

/// How many cases a folder of images has, whose names are not held to anything.
pub(super) fn count(source: &Path, part: &str, description: &Description) -> Result<usize> {
    let mut cases = BTreeSet::new();
    for file in files_below(&source.join(format!("images{part}")))? {
        let name = file.to_string_lossy();
        if let Some(stem) = name.strip_suffix(&description.ending) {
            let case = stem.rsplit_once('_').map_or(stem, |(case, _)| case);
            cases.insert(case.to_owned());
        }
    }
    Ok(cases.len())
}

/// Case and channel of a name such as `spleen_12_0000`.
fn channel_of<'a>(stem: &'a str, path: &Path) -> Result<(&'a str, usize)> {
    let parts = stem.rsplit_once('_').filter(|(case, digits)| {
        let number = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        number && !case.is_empty() && !case.contains('/')
    });
    let read = parts.and_then(|(case, digits)| Some((case, digits.parse().ok()?)));
    read.ok_or_else(|| {
        let expected = "CASE_0000 with the number of its channel (the Medical Segmentation \
                        Decathlon has none: nnUNetv2_convert_MSD_dataset gives it one)";
        ImagingError::content(path, expected, format!("`{stem}`"))
    })
}
