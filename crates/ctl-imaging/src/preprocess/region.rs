//! Steps that make and shape the mask.

use super::check::within;
use super::image::Image;
use super::mask::Mask;
use super::provenance::Measurements;
use super::step::Apply;
use super::stream::Stream;
use crate::Result;
use crate::distance::signed_distance_transform;
use crate::foreground::{ForegroundOptions, marks};
use crate::morphology::{
    Connectivity, Element, closed, dilated, eroded, holes_filled, largest_component, opened,
};
use serde::{Deserialize, Serialize};

/// Largest radius of a ball, mm.
const MOST_MM: f64 = 1e3;

/// A mask of the body, the head or whatever else was imaged, in the place of the mask that was
/// there: Otsu's threshold, the largest part, closed and filled ([`foreground_mask`]).
///
/// [`foreground_mask`]: crate::foreground_mask
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForegroundMask(pub ForegroundOptions);

/// What is done to the shape of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskOperation {
    /// Grown by the ball.
    Dilate,
    /// Shrunk by the ball.
    Erode,
    /// Shrunk, then grown: what is thinner than the ball goes.
    Open,
    /// Grown, then shrunk: gaps narrower than the ball close.
    Close,
    /// What the mask encloses belongs to it.
    FillHoles,
    /// Only the largest part, of voxels that touch by faces.
    LargestComponent,
}

/// Another shape of the mask's foreground ([`crate::morphology`]).
///
/// Voxels that join the foreground are of class 1, those that leave it background; the others keep
/// their class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeMask {
    /// What is done.
    pub operation: MaskOperation,
    /// Radius of the ball in mm, 0 to 1,000; not used for holes and parts.
    #[serde(default)]
    pub radius: f64,
}

/// Millimetres to the border of the mask instead of values, negative within it
/// ([`signed_distance_transform`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceMap {}

impl Apply for ForegroundMask {
    fn validate(&self) -> Result<()> {
        within(
            "foreground-mask closing_radius",
            self.0.closing_radius,
            0.0..=MOST_MM,
        )
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let numbers: Vec<f64> = image.values.iter().map(|&value| value.into()).collect();
        let marks = marks(&numbers, (image.shape, image.spacing), &self.0)?;
        image.mask = Some(Mask::new(
            image.shape,
            marks.iter().map(|&m| u8::from(m)).collect(),
        )?);
        Ok(voxels(&marks))
    }
}

impl Apply for ShapeMask {
    fn validate(&self) -> Result<()> {
        within("shape-mask radius", self.radius, 0.0..=MOST_MM)
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let before = image.foreground()?.to_vec();
        let mask: Vec<bool> = before.iter().map(|&class| class != 0).collect();
        let shape = image.shape;
        let ball = Element::Ball {
            radius: self.radius,
            spacing: image.spacing,
        };
        let faces = Connectivity::Faces;
        let shaped = match self.operation {
            MaskOperation::Dilate => dilated(&mask, shape, &ball)?,
            MaskOperation::Erode => eroded(&mask, shape, &ball)?,
            MaskOperation::Open => opened(&mask, shape, &ball)?,
            MaskOperation::Close => closed(&mask, shape, &ball)?,
            MaskOperation::FillHoles => holes_filled(&mask, shape, faces)?,
            MaskOperation::LargestComponent => largest_component(&mask, shape, faces)?,
        };
        let class = |(&mark, &class): (&bool, &u8)| if mark { class.max(1) } else { 0 };
        let classes = shaped.iter().zip(&before).map(class).collect();
        image.mask = Some(Mask::new(shape, classes)?);
        Ok(voxels(&shaped))
    }
}

impl Apply for DistanceMap {
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let mask: Vec<bool> = image
            .foreground()?
            .iter()
            .map(|&class| class != 0)
            .collect();
        let distances = signed_distance_transform(&mask, image.shape, image.spacing)?;
        image.values = distances
            .into_iter()
            .map(|distance| distance as f32)
            .collect();
        Ok(voxels(&mask))
    }
}

fn voxels(marks: &[bool]) -> Measurements {
    let count = marks.iter().filter(|&&mark| mark).count();
    Measurements::one("foreground_voxels", count as f64)
}
