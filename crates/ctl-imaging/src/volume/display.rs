//! How a file wants its image to be looked at.

use super::Volume;
use crate::dicom::{Series, Window};

/// What a file says about showing its image; nothing, where it says nothing.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Display {
    /// The part of the range of numbers that is shown, the first where a file has several.
    pub window: Option<Window>,
    /// Whether low numbers are bright (`MONOCHROME1`).
    pub inverted: bool,
    /// First and last stored value that stand for no tissue (`PixelPaddingValue`).
    pub padding: Option<(i64, i64)>,
}

impl Display {
    /// What a DICOM series says.
    pub(super) fn of(series: &Series) -> Self {
        // Where slices have scalings of their own, stored values are no longer there.
        let is_stored = series.volume.sample_type().is_integer();
        let is_grey = series.volume.components() == 1;
        Self {
            window: series.windows.first().filter(|_| is_grey).cloned(),
            inverted: series.inverted_display,
            padding: series.padding.filter(|_| is_stored),
        }
    }

    /// Whether a stored value stands for no tissue.
    pub(super) fn is_padding(&self, stored: f64) -> bool {
        self.padding.is_some_and(|(one, other)| {
            let (low, high) = (one.min(other) as f64, one.max(other) as f64);
            (low..=high).contains(&stored)
        })
    }

    /// What of this a file of another format loses, in words.
    ///
    /// # Arguments
    /// * `volume`: the image.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Display, Samples, Volume};
    ///
    /// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
    /// let volume = Volume::new(&[1, 1], Samples::U8(vec![0]), affine)?;
    /// assert!(Display::default().lost(&volume).is_empty());
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn lost(&self, volume: &Volume) -> Vec<String> {
        let mut lost = Vec::new();
        if let Some(window) = &self.window {
            let (center, width) = (window.center(), window.width());
            lost.push(format!(
                "the window (center {center}, width {width}) is not written"
            ));
        }
        if self.inverted {
            let text = "low numbers are to be shown bright (MONOCHROME1), which is not written; \
                        numbers stay as they are";
            lost.push(text.to_owned());
        }
        if let Some((first, last)) = self.padding {
            let [first, last] = [first, last].map(|stored| volume.scaling().apply(stored as f64));
            lost.push(format!(
                "numbers from {first} to {last} stand for no tissue (PixelPaddingValue), which is \
                 not written; they stay numbers"
            ));
        }
        lost
    }
}
