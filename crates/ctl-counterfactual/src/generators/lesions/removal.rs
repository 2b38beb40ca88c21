//! Images as they would be without their lesions.

use ctl_invariance::{Augmentation, Batch, Result};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::super::inpaint::InpaintConfig;
use super::super::labels::relabel;
use super::super::{as_objective_error, pixels::Pixels};
use super::{LesionFinder, Which, check_label, class_maps, remove_lesion, rewrite_masks};
use crate::CounterfactualError;
use crate::error::in_range;

const NAME: &str = "lesion removal";
/// Largest margin in pixels.
pub(super) const WIDEST_MARGIN: usize = 32;

/// Settings of the removal of lesions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LesionRemovalConfig {
    /// Chance that the lesions of an image are removed, 0 to 1.
    pub probability: f64,
    /// Classes of a mask that are lesions; where there are none, all but the background.
    pub classes: Vec<u32>,
    /// Class of a pixel that was a lesion.
    pub background: u32,
    /// Pixels around a lesion that are filled with it, 0 to 32.
    pub margin: usize,
    /// Class of an image without its lesions; needed where targets are classes.
    pub label: Option<u32>,
    /// How the place of a lesion is filled.
    pub inpaint: InpaintConfig,
}

impl Default for LesionRemovalConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            classes: Vec::new(),
            background: 0,
            margin: 1,
            label: None,
            inpaint: InpaintConfig::default(),
        }
    }
}

impl LesionRemovalConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`] names the setting outside its range.
    pub fn validate(&self) -> crate::Result<()> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(NAME, "probability", (self.probability, ok), "0 to 1")?;
        let ok = !self.classes.contains(&self.background);
        in_range(
            NAME,
            "background",
            (self.background, ok),
            "no lesion's class",
        )?;
        let ok = self.margin <= WIDEST_MARGIN;
        in_range(NAME, "margin", (self.margin, ok), "0 to 32")?;
        self.inpaint.validate()
    }
}

/// With a chance, `x ← x_{do(lesion = none)}`: every lesion of an image is filled from around it.
///
/// Masks lose the lesions, and the class of the image becomes [`LesionRemovalConfig::label`].
/// Pixels away from lesions stay bit for bit; what leaves [0, 1] is cut off. Unlabelled batches and
/// images without a lesion stay.
///
/// # Assumptions
/// The lesion acts on the pixels of its mask and margin alone, so that all others are what they would
/// have been: no mass effect, no oedema beyond the mask, no treatment that went with it. What
/// lay there is taken to be like what surrounds it. Where a class stands for more than the lesions
/// that are seen, an image without them need not be of class `label`.
#[derive(Clone)]
pub struct LesionRemoval {
    config: LesionRemovalConfig,
    finder: Option<LesionFinder>,
}

impl LesionRemoval {
    /// Removes what the masks of a batch show.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: LesionRemovalConfig) -> crate::Result<Self> {
        config.validate()?;
        Ok(Self {
            config,
            finder: None,
        })
    }

    /// The same for batches whose targets are classes, whose lesions `finder` knows.
    #[must_use]
    pub fn with_finder(mut self, finder: LesionFinder) -> Self {
        self.finder = Some(finder);
        self
    }

    fn changed(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let config = &self.config;
        check_label(NAME, batch, config.label)?;
        let which = Which {
            classes: config.classes.clone(),
            background: config.background,
        };
        let maps = class_maps(NAME, batch, (&which, self.finder.as_ref()))?;
        let ours = |error: CounterfactualError| as_objective_error(NAME, error);
        let mut pixels = Pixels::of(&batch.images, batch).map_err(ours)?;
        let mut healed = vec![false; pixels.count()];
        for (row, classes) in maps.iter().enumerate() {
            let chosen = rng.random::<f64>() < config.probability;
            let lesion = which.mask(classes);
            if !chosen || !lesion.contains(&true) {
                continue;
            }
            let mut image = pixels.row(row).to_vec();
            let hole = (&lesion[..], config.margin);
            remove_lesion(&mut image, pixels.shape(), hole, (&config.inpaint, rng))
                .map_err(ours)?;
            pixels.set_row(row, &image);
            healed[row] = true;
        }
        let mut changed = batch.clone();
        changed.images = pixels.into_tensor().map_err(ours)?;
        rewrite_masks(&mut changed, |row, mask| {
            for class in mask.iter_mut().filter(|class| which.contains(**class)) {
                if healed[row] {
                    *class = config.background;
                }
            }
        })?;
        if let Some(label) = config.label {
            let rows = (0..healed.len()).filter(|&row| healed[row]);
            let new: Vec<_> = rows.map(|row| (row, label)).collect();
            relabel(NAME, &mut changed, &new)?;
        }
        Ok(changed)
    }
}

impl Augmentation for LesionRemoval {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let changed = batches.into_iter().map(|batch| {
            if batch.is_labelled() {
                self.changed(&batch, rng)
            } else {
                Ok(batch)
            }
        });
        changed.collect()
    }
}
