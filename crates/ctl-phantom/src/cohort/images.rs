//! Pixels: what a sample looks like, as acquired, as it should, and without the shortcut.

use super::PhantomCohort;
use crate::body::{Exposure, Scene};
use crate::key::Key;
use crate::spec::invalid;
use crate::{PhantomError, PhantomSample};

/// Depths that a volume can have.
const DEPTHS: std::ops::RangeInclusive<usize> = 1..=512;

impl PhantomCohort {
    /// The image as acquired, with its scanner's settings, devices, noise and motion.
    ///
    /// # Arguments
    /// - `index`: position of the sample, below the number of [`PhantomCohort::samples`].
    ///
    /// # Returns
    /// `[H, W]` in row order, 0 to 1.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn image(&self, index: usize) -> Vec<f32> {
        self.image_of(&self.samples[index])
    }

    /// The image of a sample at hand, such as a counterfactual one.
    pub fn image_of(&self, sample: &PhantomSample) -> Vec<f32> {
        self.body.image(&self.scene(sample), Exposure::Acquired)
    }

    /// What the same scanner would show with full sampling, without noise and motion: the truth of
    /// a reconstruction, `[H, W]` in 0 to 1.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn reference_image(&self, index: usize) -> Vec<f32> {
        self.reference_image_of(&self.samples[index])
    }

    /// The reference image of a sample at hand.
    pub fn reference_image_of(&self, sample: &PhantomSample) -> Vec<f32> {
        self.body.image(&self.scene(sample), Exposure::Ideal)
    }

    /// The same patient at the reference scanner and without devices, so that the image tells
    /// nothing of site or unit; `[H, W]` in 0 to 1.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn oracle_image(&self, index: usize) -> Vec<f32> {
        self.oracle_image_of(&self.samples[index])
    }

    /// The image of a sample at hand at the reference scanner and without devices.
    pub fn oracle_image_of(&self, sample: &PhantomSample) -> Vec<f32> {
        let settings: Vec<f64> = self.body.settings().iter().map(|s| s.base).collect();
        let scene = Scene {
            settings: &settings,
            device: false,
            ..self.scene(sample)
        };
        self.body.image(&scene, Exposure::Acquired)
    }

    /// A stack of slices around that of [`PhantomCohort::image`], which has their in-plane size.
    ///
    /// # Arguments
    /// - `index`: position of the sample.
    /// - `depth`: number of slices, 1 to 512; together they always span the same part of the head.
    ///
    /// # Returns
    /// `[D, H, W]`, 0 to 1, from the feet up.
    ///
    /// # Errors
    /// [`PhantomError::NoSuchSample`], and [`PhantomError::InvalidSetting`] for a depth out of
    /// range or a body whose images have no depth.
    pub fn volume(&self, index: usize, depth: usize) -> Result<Vec<f32>, PhantomError> {
        let count = self.samples.len();
        let sample = self.samples.get(index);
        let sample = sample.ok_or(PhantomError::NoSuchSample { index, count })?;
        if !DEPTHS.contains(&depth) {
            return Err(invalid("depth", depth, "a whole number from 1 to 512"));
        }
        let volume = self.body.volume(&self.scene(sample), depth);
        volume.ok_or_else(|| invalid("depth", depth, "nothing for a film, which has no depth"))
    }

    pub(super) fn scene<'a>(&'a self, sample: &'a PhantomSample) -> Scene<'a> {
        let places = &self.model.places;
        let (home, index) = sample.origin;
        Scene {
            size: self.spec.size,
            load: sample.values[places.load],
            spread: sample.values[places.spread],
            measures: &sample.values[places.measures.clone()],
            settings: &sample.values[places.settings.clone()],
            device: sample.values[places.unit] > 0.5,
            contrast: self.spec.contrast.unwrap_or_default(),
            key: Key {
                seed: self.spec.seed,
                site: &self.sites[home].name,
                index,
                attempt: 0,
            },
        }
    }
}
