//! Steps that move voxels: image and mask go together, and the affine says where.

use super::check::{count, within};
use super::image::Image;
use super::mask::Mask;
use super::provenance::Measurements;
use super::step::Apply;
use super::stream::Stream;
use crate::Result;
use crate::volume::{Affine, Interpolation, LabelInterpolation, Orientation, Samples, Volume};
use serde::{Deserialize, Serialize};

/// Largest margin, in mm, and longest side, in voxels.
const MOST_MM: f64 = 1e4;
const MOST_VOXELS: usize = 1 << 16;

/// Other spacing over the same field of view ([`Volume::resampled_to_spacing`]); masks take the
/// label with the most weight.
///
/// A picture keeps its one slice where the third spacing is at least its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// Millimetres between centres along each axis, above 0.
    pub spacing: [f64; 3],
    /// How values between centres are made.
    #[serde(default = "linear")]
    pub interpolation: Interpolation,
}

fn linear() -> Interpolation {
    Interpolation::Linear
}

/// Another order and direction of axes ([`Volume::reoriented`]); no value changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orient {
    /// The ends towards which axes run, such as `RAS`.
    pub axes: String,
}

/// The smallest box about the mask's foreground, with a margin, within the image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CropForeground {
    /// Millimetres kept on every side, 0 to 10⁴.
    pub margin: f64,
}

impl Default for CropForeground {
    fn default() -> Self {
        Self { margin: 0.0 }
    }
}

/// A box of given size about the middle: cuts what is longer and pads what is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentreBox {
    /// Voxels along each axis, 1 to 65,536; 1 along the third of a picture.
    pub size: [usize; 3],
    /// The number outside the image; the mask is background there.
    #[serde(default)]
    pub fill: f32,
}

impl Apply for Resample {
    fn validate(&self) -> Result<()> {
        Affine::from_spacing(self.spacing, [0.0; 3]).map(drop)
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let before = image.spacing;
        let moved = image
            .volume()?
            .resampled_to_spacing(self.spacing, self.interpolation)?;
        let grid = moved.grid();
        let by_weight = LabelInterpolation::LinearArgmax;
        image.replace(moved, |labels| {
            labels.labels_resampled_to(&grid, by_weight, 0)
        })?;
        Ok(Measurements::default().with("spacing_before", before))
    }
}

impl Apply for Orient {
    fn validate(&self) -> Result<()> {
        Orientation::parse(&self.axes).map(drop)
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let wanted = Orientation::parse(&self.axes)?;
        let turned = image.volume()?.reoriented(wanted)?;
        image.replace(turned, |labels| labels.reoriented(wanted))?;
        Ok(Measurements::default())
    }
}

impl Apply for CropForeground {
    fn validate(&self) -> Result<()> {
        within("crop-foreground margin", self.margin, 0.0..=MOST_MM)
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let [low, high] = extent(image.foreground()?, image.shape);
        let margin = image
            .spacing
            .map(|side| (self.margin / side).ceil() as usize);
        let start = [0, 1, 2].map(|axis| low[axis].saturating_sub(margin[axis]));
        let last = [0, 1, 2].map(|axis| {
            high[axis]
                .saturating_add(margin[axis])
                .min(image.shape[axis] - 1)
        });
        let size = [0, 1, 2].map(|axis| last[axis] - start[axis] + 1);
        image.cut(start.map(usize::cast_signed), size, 0.0)?;
        Ok(Measurements::default()
            .with("start", start.map(|at| at as f64))
            .with("size", size.map(|side| side as f64)))
    }
}

impl Apply for CentreBox {
    fn validate(&self) -> Result<()> {
        within(
            "centre-box fill",
            self.fill.into(),
            f32::MIN.into()..=f32::MAX.into(),
        )?;
        self.size
            .iter()
            .try_for_each(|&side| count("centre-box size", side, 1..=MOST_VOXELS))
    }

    fn apply(&self, image: &mut Image, _: &mut Stream) -> Result<Measurements> {
        let start = [0, 1, 2].map(|axis| {
            let (side, wanted) = (
                image.shape[axis].cast_signed(),
                self.size[axis].cast_signed(),
            );
            // Of an odd difference the larger half lies at the end.
            (side - wanted).div_euclid(2)
        });
        image.cut(start, self.size, self.fill.into())?;
        Ok(Measurements::default().with("start", start.map(|at| at as f64)))
    }
}

/// First and last index of the foreground, of which there is some, along each axis.
fn extent(classes: &[u8], shape: [usize; 3]) -> [[usize; 3]; 2] {
    let [width, height, _] = shape;
    let (mut low, mut high) = (shape, [0; 3]);
    for (voxel, _) in classes.iter().enumerate().filter(|(_, class)| **class != 0) {
        let at = [
            voxel % width,
            voxel / width % height,
            voxel / (width * height),
        ];
        for axis in 0..3 {
            low[axis] = low[axis].min(at[axis]);
            high[axis] = high[axis].max(at[axis]);
        }
    }
    [low, high]
}

impl Image {
    /// The image between two steps as a volume.
    fn volume(&mut self) -> Result<Volume> {
        let values = std::mem::take(&mut self.values);
        Volume::new(&self.shape, Samples::F32(values), self.affine)
    }

    /// Takes a moved image, and moves the mask likewise.
    fn replace(
        &mut self,
        moved: Volume,
        labels: impl FnOnce(&Volume) -> Result<Volume>,
    ) -> Result<()> {
        if let Some(mask) = &self.mask {
            let moved = labels(&mask.to_volume(self.affine)?)?;
            self.mask = Some(Mask::from_volume(&moved)?);
        }
        self.shape = moved.spatial_shape();
        self.affine = *moved.affine();
        self.spacing = self.affine.spacing();
        self.values = match moved.into_samples() {
            Samples::F32(values) => values,
            other => {
                let numbers = (0..other.len()).filter_map(|index| other.get(index));
                numbers.map(|number| number as f32).collect()
            }
        };
        Ok(())
    }

    /// Cuts a box, or pads up to one.
    fn cut(&mut self, start: [isize; 3], size: [usize; 3], fill: f64) -> Result<()> {
        let cut = self.volume()?.boxed(start, size, fill)?;
        self.replace(cut, |labels| labels.boxed(start, size, 0.0))
    }
}
