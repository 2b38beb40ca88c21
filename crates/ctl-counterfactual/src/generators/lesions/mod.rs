//! Lesions put into images and taken out of them, by inpainting.

mod insertion;
mod lesion;
mod removal;

use std::rc::Rc;

use candle_core::{DType, Tensor};
use ctl_invariance::{Batch, ObjectiveError, Result, TargetKind};

pub use insertion::{Donors, LesionInsertion, LesionInsertionConfig};
pub use lesion::{Blend, Lesion, LesionPixel, remove_lesion};
pub use removal::{LesionRemoval, LesionRemovalConfig};

/// Finds lesions in batches whose targets are not masks: classes of pixels `[B, H, W]`, from a
/// segmentation network or a file.
pub type LesionFinder = Rc<dyn Fn(&Batch) -> Result<Tensor>>;

/// Which classes of a mask are lesions.
#[derive(Clone, Debug)]
struct Which {
    /// All but the background where there is none.
    classes: Vec<u32>,
    background: u32,
}

impl Which {
    fn contains(&self, class: u32) -> bool {
        if self.classes.is_empty() {
            class != self.background
        } else {
            self.classes.contains(&class)
        }
    }

    fn mask(&self, classes: &[u32]) -> Vec<bool> {
        classes.iter().map(|&class| self.contains(class)).collect()
    }
}

/// The class of each pixel of each image, `[H, W]` per row.
///
/// Where several targets disagree, a pixel is a lesion if any of them says so.
fn class_maps(
    method: &'static str,
    batch: &Batch,
    (which, finder): (&Which, Option<&LesionFinder>),
) -> Result<Vec<Vec<u32>>> {
    let masks = match (batch.kind, finder) {
        (TargetKind::Masks, _) => batch.targets.iter().map(|t| t.target.clone()).collect(),
        (TargetKind::Classes, Some(find)) => vec![find(batch)?],
        (kind, _) => {
            return Err(ObjectiveError::Environments {
                method,
                expected: "masks as targets, or classes and something that finds lesions".into(),
                found: format!("{kind:?} alone"),
            });
        }
    };
    let (rows, _, height, width) = batch.images.dims4()?;
    let mut united: Option<Vec<u32>> = None;
    for mask in masks {
        if mask.dims() != [rows, height, width] {
            return Err(ObjectiveError::Environments {
                method,
                expected: format!("masks [{rows}, {height}, {width}]"),
                found: format!("{:?}", mask.dims()),
            });
        }
        let classes: Vec<u32> = mask.to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
        let Some(united) = &mut united else {
            united = Some(classes);
            continue;
        };
        for (seen, class) in united.iter_mut().zip(classes) {
            if !which.contains(*seen) && which.contains(class) {
                *seen = class;
            }
        }
    }
    let united = united.unwrap_or_default();
    Ok(united
        .chunks_exact(height * width)
        .map(<[u32]>::to_vec)
        .collect())
}

/// Rewrites the masks that a batch has as targets, if it has any.
///
/// # Arguments
/// - `change`: called with each row's number and its mask `[H, W]`.
fn rewrite_masks(batch: &mut Batch, mut change: impl FnMut(usize, &mut [u32])) -> Result<()> {
    if batch.kind != TargetKind::Masks {
        return Ok(());
    }
    for part in &mut batch.targets {
        let target = &part.target;
        let (_, height, width) = target.dims3()?;
        let mut classes: Vec<u32> = target.to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
        for (row, mask) in classes.chunks_exact_mut(height * width).enumerate() {
            change(row, mask);
        }
        let changed = Tensor::from_vec(classes, target.shape(), target.device())?;
        part.target = changed.to_dtype(target.dtype())?;
    }
    Ok(())
}

/// Refuses batches whose labels would have to change and for which nothing says how.
fn check_label(method: &'static str, batch: &Batch, label: Option<u32>) -> Result<()> {
    if batch.kind != TargetKind::Classes || label.is_some() {
        return Ok(());
    }
    Err(ObjectiveError::Environments {
        method,
        expected: "the setting `label`, the class of a changed image".into(),
        found: "targets that are classes, and no such setting".into(),
    })
}

#[cfg(test)]
mod tests;
