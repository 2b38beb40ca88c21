//! Patches of studies in batches.

use super::Batch;
use super::feed::{Feed, FeedOptions, Item, Part};
use super::prepare::Study;
use super::store::StudyStore;
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::{Draw, Mask, PatchPlace, PatchSampler, Pipeline};
use crate::volume::{SampleType, Samples, Volume};
use std::sync::Arc;

/// Patches at random places of studies.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Their size, how many of each study, and how many of them on the annotation's foreground.
    pub sampler: PatchSampler,
    /// The number beyond the borders of an image; classes are 0 there.
    pub fill: f32,
    /// Steps on every patch and its annotation, random ones with draws of their own for each patch
    /// and epoch.
    pub augment: Pipeline,
}

/// Batches `[B, 1, D, H, W]` of patches, in the background; see [`FeedOptions`].
///
/// D, H and W are the third, second and first axis of the image: W runs to the right, H to the
/// front, D to the head. Studies without foreground give patches anywhere.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Border, PatchSampler, Pipeline};
/// use ctl_imaging::study::{FeedOptions, PatchFeed, Patches, Preparation, StudyStore};
/// use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
/// use ctl_imaging::Cohort;
/// use std::sync::Arc;
///
/// # let folder = tempfile::tempdir()?;
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[6, 5, 4], Samples::I16((0..120).collect()), affine)?;
/// write_volume(&folder.path().join("ct.nii"), &volume)?;
/// std::fs::write(folder.path().join("manifest.csv"), "path\nct.nii\n")?;
/// let cohort = Arc::new(Cohort::open(folder.path())?);
/// let store = Arc::new(StudyStore::new(cohort, Preparation::default(), 1 << 20)?);
///
/// let sampler = PatchSampler { size: [4, 3, 2], count: 3, foreground: 0.0, border: Border::Shift };
/// let patches = Patches { sampler, fill: 0.0, augment: Pipeline::default() };
/// let feed = PatchFeed::new(store, vec![0], patches, FeedOptions::default())?;
/// let batches = feed.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(batches[0].shape, [3, 1, 2, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PatchFeed(Feed);

impl PatchFeed {
    /// Starts to load.
    ///
    /// # Arguments
    /// * `studies`: positions in [`StudyStore::studies`] whose patches are wanted.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, a study does not exist, or
    /// foreground is asked of studies without annotation. What goes wrong later comes as an item,
    /// after which there are no more.
    pub fn new(
        store: Arc<StudyStore>,
        studies: Vec<usize>,
        patches: Patches,
        options: FeedOptions,
    ) -> Result<Self> {
        patches.augment.validate()?;
        // Says what is wrong with the settings before anything is loaded.
        let anywhere = PatchSampler {
            foreground: 0.0,
            ..patches.sampler
        };
        anywhere.draw([1, 1, 1], None, Draw::default())?;
        crate::preprocess::check_share("foreground share of patches", patches.sampler.foreground)?;
        let count = studies.len() as u64;
        let patches = Arc::new(patches);
        let parts = move |study: &Arc<Study>, (number, place): (usize, usize)| {
            // A study that is named twice has draws of its own each time.
            let index = options.epoch.wrapping_mul(count).wrapping_add(place as u64);
            let seed = options.seed;
            Patches::parts(&patches, study, (number, Draw { seed, index }))
        };
        Feed::start(store, studies, options, Box::new(parts)).map(Self)
    }
}

impl Iterator for PatchFeed {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Patches {
    fn parts(
        this: &Arc<Self>,
        study: &Arc<Study>,
        (number, draw): (usize, Draw),
    ) -> Result<Vec<Part>> {
        let mask = study.annotation.as_ref();
        if this.sampler.foreground > 0.0 && mask.is_none() {
            return Err(ImagingError::argument(
                "studies for patches with a share on the foreground",
                "studies with an annotation",
                format!("study {number} without"),
            ));
        }
        let is_empty = mask.is_none_or(|mask| mask.foreground() == 0);
        let sampler = PatchSampler {
            foreground: if is_empty {
                0.0
            } else {
                this.sampler.foreground
            },
            ..this.sampler
        };
        let places = sampler.draw(study.image.spatial_shape(), mask, draw)?;
        // Labels are cut out as an image is.
        let labels = mask.map(|mask| mask.to_volume(*study.image.affine()));
        let labels = labels.transpose()?.map(Arc::new);
        let part = |(position, place): (usize, PatchPlace)| -> Part {
            let index = draw.index.wrapping_mul(this.sampler.count as u64);
            let draw = Draw {
                seed: draw.seed,
                index: index.wrapping_add(position as u64),
            };
            let (this, study, labels) = (Arc::clone(this), Arc::clone(study), labels.clone());
            Box::new(move || this.patch((&study, labels.as_deref()), (number, place), draw))
        };
        Ok(places.into_iter().enumerate().map(part).collect())
    }

    fn patch(
        &self,
        (study, labels): (&Study, Option<&Volume>),
        (number, place): (usize, PatchPlace),
        draw: Draw,
    ) -> Result<Item> {
        let size = self.sampler.size;
        let image = study.image.boxed(place.start, size, f64::from(self.fill))?;
        let labels = labels.map(|labels| labels.boxed(place.start, size, 0.0));
        let labels = labels.transpose()?;
        let mask = labels
            .map(|labels| Mask::from_volume(&labels))
            .transpose()?;
        let done = self.augment.run(&image, mask.as_ref(), draw)?;
        let values = match done.volume.into_samples() {
            Samples::F32(values) => values,
            other => {
                let expected = SampleType::Float32.name();
                let found = other.sample_type().to_string();
                return Err(ImagingError::argument("values of a patch", expected, found));
            }
        };
        let [width, height, depth] = size;
        Ok(Item {
            study: number,
            start: place.start,
            shape: vec![1, depth, height, width],
            values,
            classes: done.mask.map(|mask| mask.classes().to_vec()),
        })
    }
}
