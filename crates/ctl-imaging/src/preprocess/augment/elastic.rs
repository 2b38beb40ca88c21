//! A smooth displacement.

use super::sampler::resample;
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::within;
use crate::preprocess::image::Image;
use crate::preprocess::lattice::{Axis, Lattice};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// Share of the distance of control points by which each may move so that nothing folds.
///
/// Choi & Lee 2000 prove 1 / 2.4795 along every axis in space and 1 / 2.0464 in the plane.
const UNFOLDED: f64 = 0.4;

/// Moves an image by a random smooth displacement: a cubic B-spline whose control points move
/// independently and uniformly along every axis.
///
/// `p ← p + u(p)` is where a voxel's value comes from, in millimetres along the image's own axes.
/// Values are linear between voxels, classes of the mask nearest. Through an image one voxel deep
/// nothing moves.
///
/// # References
/// Rueckert et al. 1999, "Nonrigid registration using free-form deformations", eq. 1; that it does
/// not fold: Choi & Lee 2000, "Injectivity conditions of 2D and 3D uniform cubic B-spline
/// functions", theorems 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomElastic {
    /// Largest displacement of a control point along each axis, mm, 0 to 0.4 of `spacing`.
    pub displacement: f64,
    /// Distance of control points, mm, 0.001 to 10000, no less than that of voxels.
    pub spacing: f64,
    /// Value of voxels from outside the image, finite.
    #[serde(default)]
    pub fill: f32,
}

impl Apply for RandomElastic {
    fn validate(&self) -> Result<()> {
        within("random-elastic spacing", self.spacing, 0.001..=10_000.0)?;
        let most = UNFOLDED * self.spacing;
        within("random-elastic displacement", self.displacement, 0.0..=most)?;
        let largest = f64::from(f32::MAX);
        within("random-elastic fill", self.fill.into(), -largest..=largest)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let axes = self.axes(image)?;
        let mut fields: [Vec<f64>; 3] = Default::default();
        for (field, _) in fields
            .iter_mut()
            .zip(image.shape)
            .filter(|(_, side)| *side > 1)
        {
            let lattice = Lattice::new(&axes, |_| stream.at_most(self.displacement));
            *field = lattice.evaluate(&axes);
        }
        let largest = fields.each_ref().map(|field| {
            let sizes = field.iter().map(|step| step.abs());
            sizes.fold(0.0, f64::max)
        });
        if self.displacement > 0.0 {
            let (spacing, [width, height, _]) = (image.spacing, image.shape);
            resample(image, self.fill, |voxel| {
                let at = voxel[0] + width * (voxel[1] + height * voxel[2]);
                [0, 1, 2].map(|axis| {
                    let step = fields[axis].get(at).copied().unwrap_or_default();
                    voxel[axis] as f64 + step / spacing[axis]
                })
            })?;
        }
        Ok(Measurements::default().with("largest-displacement", largest))
    }
}

impl RandomElastic {
    fn axes(&self, image: &Image) -> Result<[Axis; 3]> {
        let coarse = |axis: usize| image.shape[axis] == 1 || self.spacing >= image.spacing[axis];
        if !(0..3).all(coarse) {
            return Err(ImagingError::argument(
                "random-elastic spacing",
                format!("no less than the voxels' {:?} mm", image.spacing),
                self.spacing.to_string(),
            ));
        }
        Ok([0, 1, 2].map(|axis| {
            let places = (0..image.shape[axis]).map(|place| place as f64);
            if image.shape[axis] == 1 {
                return Axis::new(1, 1, places);
            }
            let voxels = self.spacing / image.spacing[axis];
            let pieces = ((image.shape[axis] - 1) as f64 / voxels) as usize + 1;
            Axis::spaced(pieces, voxels, places)
        }))
    }
}
