//! Images of a cohort, as batches.

use std::sync::Arc;

use ctl_imaging::{ImageStore, Raster};
use ctl_phantom::ChestCohort;

use crate::{HarnessError, Result};

/// Which rendering of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As acquired.
    Plain,
    /// Without the shortcut, where the cohort can give it.
    Oracle,
}

/// Images of one size, by sample index.
pub enum ImageBank {
    /// All in memory, row-major `[N, C, H, W]`, values in [0, 1].
    Memory {
        /// Plain images.
        plain: Vec<f32>,
        /// Images without the shortcut, or none.
        oracle: Vec<f32>,
        /// `[C, H, W]`
        shape: [usize; 3],
    },
    /// Decoded on demand, cached where they fit.
    Store {
        /// The decoder.
        store: Box<ImageStore>,
        /// Record of the cohort behind each sample.
        records: Vec<usize>,
    },
}

impl ImageBank {
    /// Renders a simulated cohort.
    pub fn of_chest(cohort: &ChestCohort) -> Self {
        let size = cohort.spec.size;
        let mut plain = Vec::with_capacity(cohort.samples.len() * size * size);
        let mut oracle = Vec::with_capacity(cohort.samples.len() * size * size);
        for (index, sample) in cohort.samples.iter().enumerate() {
            plain.extend_from_slice(&sample.image);
            oracle.extend(cohort.without_shortcut(index));
        }
        Self::Memory {
            plain,
            oracle,
            shape: [1, size, size],
        }
    }

    /// `[C, H, W]`
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Memory { shape, .. } => *shape,
            Self::Store { store, .. } => {
                let request = store.request();
                let channels = if request.colour == ctl_imaging::Colour::Grey {
                    1
                } else {
                    3
                };
                [channels, request.height, request.width]
            }
        }
    }

    /// Whether images without the shortcut exist.
    pub fn has_oracle(&self) -> bool {
        matches!(self, Self::Memory { oracle, .. } if !oracle.is_empty())
    }

    /// The images of some samples, one after the other.
    ///
    /// # Errors
    /// When an image cannot be decoded, or the view does not exist.
    pub fn gather(&self, samples: &[usize], view: View) -> Result<Vec<f32>> {
        match self {
            Self::Memory {
                plain,
                oracle,
                shape,
            } => {
                let pixels = shape.iter().product::<usize>();
                let source = if view == View::Oracle { oracle } else { plain };
                let mut out = Vec::with_capacity(samples.len() * pixels);
                for &sample in samples {
                    let Some(image) = source.get(sample * pixels..(sample + 1) * pixels) else {
                        return Err(no_oracle());
                    };
                    out.extend_from_slice(image);
                }
                Ok(out)
            }
            Self::Store { store, records } => {
                if view == View::Oracle {
                    return Err(no_oracle());
                }
                let wanted: Vec<usize> = samples.iter().map(|&s| records[s]).collect();
                let rasters: Vec<Arc<Raster>> = store.load(&wanted)?;
                Ok(rasters
                    .iter()
                    .flat_map(|r| r.samples().iter().copied())
                    .collect())
            }
        }
    }
}

fn no_oracle() -> HarnessError {
    HarnessError::Config {
        origin: "cohort".into(),
        key: "oracle view".into(),
        message: "this cohort has no images without the shortcut".into(),
    }
}
