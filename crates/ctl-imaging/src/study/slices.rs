//! Slices of studies, one by one and in batches.

use super::Batch;
use super::feed::{Feed, FeedOptions, Item, Part};
use super::prepare::Study;
use super::store::StudyStore;
use crate::Result;
use crate::error::ImagingError;
use crate::mask::MaskRole;
use crate::preprocess::Mask;
use crate::raster::Raster;
use crate::resize::Filter;
use crate::volume::Plane;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most neighbours on either side of a slice.
const MAX_NEIGHBOURS: usize = 100;

/// Which slices of a volume are used.
///
/// # Examples
/// ```
/// use ctl_imaging::study::SliceRule;
///
/// let middle = SliceRule { every: 2, between: [0.25, 0.75], ..SliceRule::default() };
/// assert_eq!(middle.indices(12), [3, 5, 7]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SliceRule {
    /// The plane, of the image along its closest axes.
    pub plane: Plane,
    /// The first and then every so-many-th, at least 1.
    pub every: usize,
    /// The part of the way along the axis (0 to 1, start below end) in which a slice's middle lies.
    pub between: [f64; 2],
    /// Neighbours on either side that are channels besides ("2.5-D"), 0 to 100; beyond the ends
    /// the outermost slice is repeated.
    pub neighbours: usize,
}

impl Default for SliceRule {
    fn default() -> Self {
        Self {
            plane: Plane::Axial,
            every: 1,
            between: [0.0, 1.0],
            neighbours: 0,
        }
    }
}

impl SliceRule {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when one is out of range.
    pub fn validate(&self) -> Result<()> {
        let fault = |subject, expected: &str, found: String| {
            Err(ImagingError::argument(subject, expected, found))
        };
        let [start, end] = self.between;
        // Written so that NaN is out of range, too.
        if !(0.0 <= start && start < end && end <= 1.0) {
            let expected = "two parts from 0 to 1, the second above the first";
            return fault("between", expected, format!("{:?}", self.between));
        }
        if self.every == 0 {
            return fault("every", "at least 1", "0".to_owned());
        }
        if self.neighbours > MAX_NEIGHBOURS {
            let expected = format!("0 to {MAX_NEIGHBOURS}");
            return fault("neighbours", &expected, self.neighbours.to_string());
        }
        Ok(())
    }

    /// The slices of a volume of so many.
    ///
    /// # Returns
    /// Indices in rising order; at least the one closest to the middle of `between`.
    pub fn indices(&self, depth: usize) -> Vec<usize> {
        let [start, end] = self.between;
        let middle = |index: usize| (index as f64 + 0.5) / depth as f64;
        let inside = (0..depth).filter(|&index| (start..=end).contains(&middle(index)));
        let chosen: Vec<usize> = inside.step_by(self.every.max(1)).collect();
        if chosen.is_empty() && depth > 0 {
            let wanted = (f64::midpoint(start, end) * depth as f64) as usize;
            return vec![wanted.min(depth - 1)];
        }
        chosen
    }
}

impl Study {
    /// A slice of the image with its neighbours, as radiologists look at it: the patient's right,
    /// or the front, on the left; the front, or the head, on top.
    ///
    /// # Arguments
    /// * `index`: from the feet, the back or the left.
    /// * `neighbours`: slices on either side, 0 to 100.
    ///
    /// # Returns
    /// `2 · neighbours + 1` channels, the lowest slice first; beyond the ends the outermost slice
    /// is repeated.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such slice, or too many neighbours.
    pub fn slice(&self, plane: Plane, index: usize, neighbours: usize) -> Result<Raster> {
        let shape = self.image.spatial_shape();
        let last = shape[plane.across()] - 1;
        let rule = SliceRule {
            neighbours,
            ..SliceRule::default()
        };
        rule.validate()?;
        let mut samples = Vec::new();
        let mut size = [0; 2];
        for channel in 0..=2 * neighbours {
            // Beyond the ends, but not for a slice that is none.
            let at = if index > last {
                index
            } else {
                (index + channel).saturating_sub(neighbours).min(last)
            };
            let slice = plane.slice_of(self.values(), shape, at);
            let slice = slice.ok_or_else(|| no_slice(plane, index, last))?;
            size = [slice.height, slice.width];
            samples.extend(slice.values);
        }
        Raster::new(2 * neighbours + 1, size[0], size[1], samples)
    }

    /// A slice of a mask, as [`slice`](Self::slice) shows it.
    ///
    /// # Returns
    /// One channel of class positions (0.0, 1.0, …); `None` without such a mask.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such slice.
    pub fn mask_slice(&self, role: MaskRole, plane: Plane, index: usize) -> Result<Option<Raster>> {
        let cut = |mask: &Mask| {
            let shape = mask.shape();
            let slice = plane.slice_of(mask.classes(), shape, index);
            let slice = slice.ok_or_else(|| no_slice(plane, index, shape[plane.across()] - 1))?;
            let classes = slice.values.into_iter().map(f32::from).collect();
            Raster::new(1, slice.height, slice.width, classes)
        };
        self.mask(role).map(cut).transpose()
    }
}

fn no_slice(plane: Plane, index: usize, last: usize) -> ImagingError {
    let expected = format!("an index of {plane} slices, 0 to {last}");
    ImagingError::argument("slice", expected, index.to_string())
}

/// Slices of studies as batches of pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slices {
    /// Which slices.
    pub rule: SliceRule,
    /// Rows and columns of every picture; as they are without, where all must have one size.
    pub size: Option<[usize; 2]>,
}

/// Batches `[B, C, H, W]` of slices, in the background; see [`FeedOptions`].
///
/// # Examples
/// ```
/// use ctl_imaging::study::{FeedOptions, Preparation, SliceFeed, SliceRule, Slices, StudyStore};
/// use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
/// use ctl_imaging::Cohort;
/// use std::sync::Arc;
///
/// # let folder = tempfile::tempdir()?;
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[4, 3, 5], Samples::I16((0..60).collect()), affine)?;
/// write_volume(&folder.path().join("ct.nii"), &volume)?;
/// std::fs::write(folder.path().join("manifest.csv"), "path\nct.nii\n")?;
/// let cohort = Arc::new(Cohort::open(folder.path())?);
/// let store = Arc::new(StudyStore::new(cohort, Preparation::default(), 1 << 20)?);
///
/// let rule = SliceRule { neighbours: 1, ..SliceRule::default() };
/// let feed = SliceFeed::new(store, vec![0], Slices { rule, size: None }, FeedOptions::default())?;
/// let batches = feed.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(batches[0].shape, [5, 3, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SliceFeed(Feed);

impl SliceFeed {
    /// Starts to load.
    ///
    /// # Arguments
    /// * `studies`: positions in [`StudyStore::studies`] whose slices are wanted.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range or a study does not exist. What
    /// goes wrong later comes as an item, after which there are no more.
    pub fn new(
        store: Arc<StudyStore>,
        studies: Vec<usize>,
        slices: Slices,
        options: FeedOptions,
    ) -> Result<Self> {
        slices.rule.validate()?;
        let parts =
            move |study: &Arc<Study>, (number, _): (usize, usize)| Ok(slices.parts(study, number));
        Feed::start(store, studies, options, Box::new(parts)).map(Self)
    }
}

impl Iterator for SliceFeed {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Slices {
    fn parts(self, study: &Arc<Study>, number: usize) -> Vec<Part> {
        let depth = study.image.spatial_shape()[self.rule.plane.across()];
        let part = |index: usize| -> Part {
            let study = Arc::clone(study);
            Box::new(move || self.item(&study, number, index))
        };
        self.rule.indices(depth).into_iter().map(part).collect()
    }

    fn item(self, study: &Study, number: usize, index: usize) -> Result<Item> {
        let SliceRule {
            plane, neighbours, ..
        } = self.rule;
        let picture = self.sized(
            study.slice(plane, index, neighbours)?,
            Filter::AreaOrBilinear,
        )?;
        let classes = study.mask_slice(MaskRole::Annotation, plane, index)?;
        let classes = classes.map(|mask| self.sized(mask, Filter::Nearest));
        let classes = classes.transpose()?.map(|mask| {
            // Positions of classes are below 256.
            mask.samples().iter().map(|&class| class as u8).collect()
        });
        let mut start = [0; 3];
        start[plane.across()] = index.cast_signed();
        Ok(Item {
            study: number,
            start,
            shape: picture.shape().to_vec(),
            values: picture.into_samples(),
            classes,
        })
    }

    fn sized(self, raster: Raster, filter: Filter) -> Result<Raster> {
        match self.size {
            Some([height, width]) => raster.resized(height, width, filter),
            None => Ok(raster),
        }
    }
}
