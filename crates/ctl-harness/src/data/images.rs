//! Images and masks of a cohort, as batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ctl_imaging::{ImageStore, MaskRole, Raster};
use ctl_phantom::PhantomCohort;

use crate::{HarnessError, Result};

/// Which rendering of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As acquired.
    Plain,
    /// Without the shortcut, where the cohort can give it.
    Oracle,
    /// Fully sampled, without noise and motion; a real image is its own.
    Reference,
}

/// Images of one size, by sample index.
pub enum ImageBank {
    /// Rendered on demand, cached where they fit.
    Phantom(Box<Rendered>),
    /// Decoded on demand, cached where they fit.
    Store {
        /// The decoder.
        store: Box<ImageStore>,
        /// Record of the cohort behind each sample.
        records: Vec<usize>,
        /// The one channel of coloured images that is used.
        channel: Option<usize>,
    },
}

/// Simulated images; views that were rendered stay until the bytes are used up.
pub struct Rendered {
    cohort: PhantomCohort,
    views: [Vec<OnceLock<Arc<[f32]>>>; 3],
    free_bytes: AtomicUsize,
}

impl Rendered {
    fn image(&self, sample: usize, view: View) -> Arc<[f32]> {
        let slot = &self.views[view as usize][sample];
        if let Some(image) = slot.get() {
            return Arc::clone(image);
        }
        let image: Arc<[f32]> = match view {
            View::Plain => self.cohort.image(sample),
            View::Oracle => self.cohort.oracle_image(sample),
            View::Reference => self.cohort.reference_image(sample),
        }
        .into();
        let bytes = size_of_val(&*image);
        let reserved = self
            .free_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            });
        // Another thread may have filled the slot meanwhile, with the same pixels.
        if reserved.is_ok() && slot.set(Arc::clone(&image)).is_err() {
            self.free_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        image
    }
}

impl ImageBank {
    /// The images of a simulated cohort, of which `cache_bytes` stay in memory.
    pub fn of_phantom(cohort: PhantomCohort, cache_bytes: usize) -> Self {
        let slots = || {
            std::iter::repeat_with(OnceLock::new)
                .take(cohort.samples().len())
                .collect()
        };
        Self::Phantom(Box::new(Rendered {
            views: [slots(), slots(), slots()],
            free_bytes: AtomicUsize::new(cache_bytes),
            cohort,
        }))
    }

    /// `[C, H, W]`
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Phantom(rendered) => {
                let size = rendered.cohort.spec().size;
                [1, size, size]
            }
            Self::Store { store, channel, .. } => {
                let request = store.request();
                let grey = request.colour == ctl_imaging::Colour::Grey;
                let channels = if grey || channel.is_some() { 1 } else { 3 };
                [channels, request.height, request.width]
            }
        }
    }

    /// Height and width of a pixel of a sample in millimetres, where the cohort or, of a slice, its
    /// volume states it.
    ///
    /// # Errors
    /// When the size of the image's file has to be read and cannot be.
    pub fn pixel_mm(&self, sample: usize) -> Result<Option<[f64; 2]>> {
        match self {
            Self::Phantom(rendered) => Ok(Some([rendered.cohort.pixel_mm(); 2])),
            Self::Store { store, records, .. } => {
                let Some([down, across]) = store.source_pixel_mm(records[sample])? else {
                    return Ok(None);
                };
                let request = store.request();
                let [rows, columns] = store.source_size(records[sample])?;
                let scaled =
                    |side: f64, before: usize, after: usize| side * before as f64 / after as f64;
                Ok(Some([
                    scaled(down, rows, request.height),
                    scaled(across, columns, request.width),
                ]))
            }
        }
    }

    /// Whether images without the shortcut exist.
    pub fn has_oracle(&self) -> bool {
        matches!(self, Self::Phantom(_))
    }

    /// The simulation behind the images, where there is one.
    pub fn phantom(&self) -> Option<&PhantomCohort> {
        match self {
            Self::Phantom(rendered) => Some(&rendered.cohort),
            Self::Store { .. } => None,
        }
    }

    /// The images of some samples, one after the other, values in [0, 1].
    ///
    /// # Errors
    /// When an image cannot be decoded, or the view does not exist.
    pub fn gather(&self, samples: &[usize], view: View) -> Result<Vec<f32>> {
        let image = self.shape().iter().product::<usize>();
        match self {
            Self::Phantom(rendered) => {
                let mut pixels = Vec::with_capacity(samples.len() * image);
                for &sample in samples {
                    pixels.extend_from_slice(&rendered.image(sample, view));
                }
                Ok(pixels)
            }
            Self::Store {
                store,
                records,
                channel,
            } => {
                if view == View::Oracle {
                    return Err(no_oracle());
                }
                let wanted: Vec<usize> = samples.iter().map(|&s| records[s]).collect();
                let rasters: Vec<Arc<Raster>> = store.load(&wanted)?;
                let mut pixels = Vec::with_capacity(samples.len() * image);
                for raster in &rasters {
                    let one = channel.and_then(|channel| raster.channel(channel));
                    pixels.extend_from_slice(one.unwrap_or(raster.samples()));
                }
                Ok(pixels)
            }
        }
    }

    /// The masks of some samples, class indices `[H, W]` each; `None` for samples without one.
    ///
    /// The region to evaluate within is 1 inside; a simulated image has none.
    ///
    /// # Errors
    /// When a mask cannot be read.
    pub fn masks(&self, samples: &[usize], role: MaskRole) -> Result<Vec<Option<Vec<u8>>>> {
        match self {
            Self::Phantom(rendered) => Ok(samples
                .iter()
                .map(|&sample| match role {
                    MaskRole::Annotation => Some(rendered.cohort.mask(sample)),
                    MaskRole::SecondObserver | MaskRole::EvaluateWithin => None,
                })
                .collect()),
            Self::Store { store, records, .. } => {
                let wanted: Vec<usize> = samples.iter().map(|&s| records[s]).collect();
                let masks = store.load_masks_of(role, &wanted)?;
                Ok(masks
                    .into_iter()
                    .map(|mask| Some(classes(&*mask?)))
                    .collect())
            }
        }
    }

    /// Whether a sample has a mask of a role; no pixel is read.
    pub fn has_mask(&self, sample: usize, role: MaskRole) -> bool {
        match self {
            Self::Phantom(_) => role == MaskRole::Annotation,
            Self::Store { store, records, .. } => {
                let record = &store.cohort().records()[records[sample]];
                let path = match role {
                    MaskRole::Annotation => &record.mask_path,
                    MaskRole::SecondObserver => &record.second_observer_path,
                    MaskRole::EvaluateWithin => &record.evaluate_within_path,
                };
                path.is_some()
            }
        }
    }
}

/// Class indices of a mask, which the store gives as whole numbers.
fn classes(mask: &Raster) -> Vec<u8> {
    mask.samples().iter().map(|&class| class as u8).collect()
}

fn no_oracle() -> HarnessError {
    HarnessError::Config {
        origin: "cohort".into(),
        key: "oracle view".into(),
        message: "this cohort has no images without the shortcut".into(),
    }
}
