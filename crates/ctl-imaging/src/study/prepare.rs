//! From the files of a study to an image that is ready for a network.

use super::store::StudyFiles;
use crate::Result;
use crate::cohort::Cohort;
use crate::error::ImagingError;
use crate::mask::{self, MaskFault, MaskRole};
use crate::preprocess::{Draw, Mask, Pipeline, Provenance, Step};
use crate::volume::{Grid, Interpolation, LabelInterpolation, Samples, Volume, read_volume};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How far apart, in mm, the corners of an image and of its mask may lie: headers round.
const SAME_PLACE_MM: f64 = 0.01;

/// What is done to every study before it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preparation {
    /// Millimetres between voxels towards the right, the front and the head; as in the file
    /// without.
    pub spacing: Option<[f64; 3]>,
    /// How values between voxels are made; masks take the label with the most weight.
    pub interpolation: Interpolation,
    /// Steps that neither draw nor move voxels. Those with `region = "mask"` mean the annotation, or
    /// what a `foreground-mask` before them found; the annotation itself stays as it is.
    pub steps: Pipeline,
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            spacing: None,
            interpolation: Interpolation::Linear,
            steps: Pipeline::default(),
        }
    }
}

/// An image with its masks, prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// One frame of one component in single precision, axes towards the right, the front and the
    /// head.
    pub image: Volume,
    /// The classes that models are trained on, on the image's grid: positions among the cohort's
    /// mask classes.
    pub annotation: Option<Mask>,
    /// Those of a second observer.
    pub second_observer: Option<Mask>,
    /// The region to evaluate within.
    pub evaluate_within: Option<Mask>,
    /// What the steps did; `None` where the study came from a cache.
    pub provenance: Option<Provenance>,
}

impl Study {
    /// The mask of a role.
    pub fn mask(&self, role: MaskRole) -> Option<&Mask> {
        match role {
            MaskRole::Annotation => self.annotation.as_ref(),
            MaskRole::SecondObserver => self.second_observer.as_ref(),
            MaskRole::EvaluateWithin => self.evaluate_within.as_ref(),
        }
    }

    /// Bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let masks = MaskRole::ALL.into_iter().filter_map(|role| self.mask(role));
        let classes: usize = masks.map(|mask| mask.classes().len()).sum();
        self.image.voxels() * size_of::<f32>() + classes
    }

    /// The numbers of its image, first axis fastest.
    pub(super) fn values(&self) -> &[f32] {
        match self.image.samples() {
            Samples::F32(values) => values,
            _ => &[],
        }
    }
}

impl Preparation {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a spacing or a setting of a step is out of range, or a step
    /// draws random numbers: what is prepared once is the same in every epoch.
    pub fn validate(&self) -> Result<()> {
        if let Some(spacing) = self.spacing {
            crate::volume::Affine::from_spacing(spacing, [0.0; 3])?;
        }
        self.steps.validate()?;
        let refused = |expected: &str, step: &Step| {
            Err(ImagingError::argument("steps", expected, step.name()))
        };
        for step in &self.steps.steps {
            if step.is_random() {
                let expected = "steps without a random part (random ones belong into a feed)";
                return refused(expected, step);
            }
            // All masks and the number of slices would have to follow.
            if step.moves_voxels() {
                let expected = "steps that leave voxels where they are (`spacing` changes theirs)";
                return refused(expected, step);
            }
        }
        Ok(())
    }

    /// Reads and prepares a study.
    pub(super) fn run(&self, files: &StudyFiles, cohort: &Cohort) -> Result<Study> {
        let path = cohort.root().join(&files.image);
        let image = single(read_volume(&path)?, &path)?;
        let original = image.grid();
        let image = self.on_grid(&image).map_err(|error| error.in_file(&path))?;
        let mask = |role: MaskRole| {
            let Some(file) = files.mask(role) else {
                return Ok(None);
            };
            let path = cohort.root().join(file);
            let labels = single(read_volume(&path)?, &path)?;
            check_same_place(&labels.grid(), &original, &path)?;
            let labels = on_prepared(&labels, &image.grid());
            let labels = labels.map_err(|error| error.in_file(&path))?;
            let classes = mask::classify_volume(&labels, role.rule(cohort.mask()));
            let fault =
                |fault: MaskFault| ImagingError::content(&path, fault.expected, fault.found);
            classes.map(Some).map_err(fault)
        };
        let annotation = mask(MaskRole::Annotation)?;
        let second_observer = mask(MaskRole::SecondObserver)?;
        let evaluate_within = mask(MaskRole::EvaluateWithin)?;
        let first = Draw::default();
        let done = self.steps.run(&image, annotation.as_ref(), first);
        let done = done.map_err(|error| error.in_file(&path))?;
        Ok(Study {
            image: done.volume,
            annotation,
            second_observer,
            evaluate_within,
            provenance: Some(done.provenance),
        })
    }

    /// The image along its closest axes, with the spacing wanted.
    fn on_grid(&self, image: &Volume) -> Result<Volume> {
        let turned = image.to_canonical()?;
        match self.spacing {
            Some(spacing) => turned.resampled_to_spacing(spacing, self.interpolation),
            None => Ok(turned),
        }
    }
}

/// An image that is one, and no series of images or of vectors.
fn single(image: Volume, path: &Path) -> Result<Volume> {
    let is_single = image.frames() == 1 && image.components() == 1;
    if is_single && !image.sample_type().is_complex() {
        return Ok(image);
    }
    let (frames, components) = (image.frames(), image.components());
    Err(ImagingError::content(
        path,
        "one frame of one real component",
        format!(
            "{frames} of {components} components of {}",
            image.sample_type()
        ),
    ))
}

/// Labels along their closest axes, on the grid of the image that they are of.
fn on_prepared(labels: &Volume, grid: &Grid) -> Result<Volume> {
    let turned = labels.to_canonical()?;
    // Where only the order of voxels changed there is nothing to interpolate.
    let is_there = turned.spatial_shape() == grid.shape()
        && corners_apart(&turned.grid(), grid) <= SAME_PLACE_MM;
    if is_there {
        return Ok(turned);
    }
    turned.labels_resampled_to(grid, LabelInterpolation::LinearArgmax, 0)
}

/// Refuses a mask of other voxels than its image's.
///
/// The order and direction of axes may differ: both are turned to their closest axes.
pub(crate) fn check_same_place(mask: &Grid, image: &Grid, path: &Path) -> Result<()> {
    let (mask, image) = (&mask.to_canonical()?, &image.to_canonical()?);
    if mask.shape() != image.shape() {
        let expected = format!("a mask of {:?} like its image", image.shape());
        return Err(ImagingError::content(
            path,
            expected,
            format!("{:?}", mask.shape()),
        ));
    }
    let apart = corners_apart(mask, image);
    if apart > SAME_PLACE_MM {
        let expected = format!("a mask within {SAME_PLACE_MM} mm of its image");
        return Err(ImagingError::content(
            path,
            expected,
            format!("corners {apart:.3} mm apart"),
        ));
    }
    Ok(())
}

/// The largest distance, in mm, of the corners of two grids of one shape.
fn corners_apart(one: &Grid, other: &Grid) -> f64 {
    let last = one.shape().map(|side| (side - 1) as f64);
    let distance = |corner: usize| {
        let voxel = [0, 1, 2].map(|axis| last[axis] * ((corner >> axis) & 1) as f64);
        let (a, b) = (one.affine().to_world(voxel), other.affine().to_world(voxel));
        let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    (0..8).map(distance).fold(0.0, f64::max)
}
