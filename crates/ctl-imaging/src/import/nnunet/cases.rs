//! Files of cases.

use super::description::Description;
use crate::Result;
use crate::error::ImagingError;
use crate::import::files::{check_volume, files_below, text_of};
use crate::raster_size;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Digits of a channel in the name of a file.
const DIGITS: usize = 4;

/// Cases of one folder of images, with the folder of their masks.
pub(super) struct Cases {
    /// `Tr` or `Ts`.
    pub(super) part: &'static str,
    /// Channels that are there, by case.
    pub(super) channels: BTreeMap<String, BTreeSet<usize>>,
    /// Whether the masks' folder is there.
    pub(super) has_masks: bool,
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
            has_masks: source.join(format!("labels{part}")).is_dir(),
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
        cases.check_masks(source)?;
        Ok(cases)
    }

    /// Where a channel of a case lies below the data set.
    pub(super) fn image(&self, case: &str, channel: usize) -> String {
        format!(
            "images{}/{case}_{channel:0DIGITS$}{}",
            self.part, self.ending
        )
    }

    /// Where its mask lies.
    pub(super) fn mask(&self, case: &str) -> Option<String> {
        let path = || format!("labels{}/{case}{}", self.part, self.ending);
        self.has_masks.then(path)
    }

    /// Masks are those of the cases, all of them.
    fn check_masks(&mut self, source: &Path) -> Result<()> {
        if !self.has_masks {
            return Ok(());
        }
        let folder = source.join(format!("labels{}", self.part));
        let mut masks = BTreeSet::new();
        for file in files_below(&folder)? {
            let name = text_of(&file)?;
            match name.strip_suffix(&self.ending) {
                Some(case) => masks.insert(case.to_owned()),
                None => continue,
            };
        }
        let images = format!("images{}", self.part);
        if let Some(alone) = masks.iter().find(|case| !self.channels.contains_key(*case)) {
            let expected = format!("images of the case {alone} in {images}");
            return Err(ImagingError::content(&folder, expected, "none"));
        }
        match self.channels.keys().find(|case| !masks.contains(*case)) {
            None => Ok(()),
            Some(case) => {
                let expected = format!("a mask {case}{} of the case {case}", self.ending);
                Err(ImagingError::content(&folder, expected, "none"))
            }
        }
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
            ".png" => raster_size(path).map(|_| ()),
            _ => check_volume(path),
        }
    }
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
