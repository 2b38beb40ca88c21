//! Slices of an image side by side, as one picture.

use super::{Affine, Grid, LabelInterpolation, Samples, Volume};
use crate::Result;
use crate::error::ImagingError;
use crate::raster::Raster;
use crate::resize::Filter;

/// Most slices of a sheet.
const MAX_SLICES: usize = 400;
/// Longest side of a slice on the sheet, pixels.
const MAX_SIDE: usize = 1024;
/// Grey values that are shown black and white, as parts of all values.
const RANGE: [f64; 2] = [0.005, 0.995];
/// How much of the picture a label leaves to be seen.
const TRANSPARENCY: f32 = 0.45;
/// Colours of labels 1, 2, …, repeated; told apart also by readers who do not tell red from green
/// (Okabe & Ito 2008).
const COLOURS: [[f32; 3]; 7] = [
    [0.902, 0.624, 0.0],
    [0.337, 0.706, 0.914],
    [0.0, 0.62, 0.451],
    [0.941, 0.894, 0.259],
    [0.0, 0.447, 0.698],
    [0.835, 0.369, 0.0],
    [0.8, 0.475, 0.655],
];

/// The plane of slices.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// From foot to head, seen from the feet.
    #[default]
    Axial,
    /// From back to front, seen from the front.
    Coronal,
    /// From left to right, seen from the left.
    Sagittal,
}

/// How a sheet looks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SheetOptions {
    /// The plane.
    pub plane: Plane,
    /// How many slices, evenly over the image; as many as there are, if there are fewer. 0 takes 12.
    pub slices: usize,
    /// Numbers that are shown black and white; of all numbers the 0.5th and 99.5th percentile
    /// without.
    pub window: Option<[f64; 2]>,
    /// Which frame of a series.
    pub frame: usize,
}

const DEFAULT_SLICES: usize = 12;

impl Volume {
    /// Slices side by side, with labels in colour.
    ///
    /// Slices are shown as radiologists look at them: the patient's right on the left of axial and
    /// coronal slices, the front on top of axial and on the left of sagittal ones, the head on top
    /// otherwise. Pixels are made square. The image is turned to its closest axes, not
    /// interpolated, so that slices of an oblique image are those of its scanner.
    ///
    /// # Arguments
    /// * `overlay`: labels (0 is none), on any grid; they are taken to the image's by the closest
    ///   voxel.
    /// * `options`: plane, slices, window and frame.
    ///
    /// # Returns
    /// An RGB raster, slices row by row.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such frame, more than 400 slices are asked for,
    /// or the window's end is not above its start.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Samples, SheetOptions, Volume};
    ///
    /// let affine = Affine::from_spacing([1.0, 2.0, 5.0], [0.0; 3])?;
    /// let volume = Volume::new(&[4, 3, 2], Samples::U8((0..24).collect()), affine)?;
    /// let sheet = volume.sheet(None, &SheetOptions::default())?;
    /// // Two slices of 4 mm × 6 mm beside each other.
    /// assert_eq!(sheet.shape(), [3, 6, 8]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn sheet(&self, overlay: Option<&Volume>, options: &SheetOptions) -> Result<Raster> {
        let image = self.frame_turned(options.frame)?;
        let labels = overlay
            .map(|labels| labels_on(&image, labels))
            .transpose()?;
        let window = image.window(options.window)?;
        let slices = chosen(options, image.spatial_shape()[options.plane.across()])?;
        let tiles: Vec<Raster> = slices
            .iter()
            .map(|&slice| image.tile(labels.as_ref(), options.plane, slice, window))
            .collect::<Result<_>>()?;
        joined(&tiles)
    }

    /// One frame along its closest axes.
    fn frame_turned(&self, frame: usize) -> Result<Self> {
        let image = self.one_frame(frame)?;
        image.to_canonical()
    }

    /// A frame as an image of three axes of single-precision numbers, the mean of components.
    fn one_frame(&self, frame: usize) -> Result<Self> {
        if frame >= self.frames() {
            return Err(ImagingError::argument(
                "frame",
                format!("a number below {}", self.frames()),
                frame.to_string(),
            ));
        }
        let shape = self.spatial_shape();
        let voxels: usize = shape.iter().product();
        let components = self.components();
        let numbers = self.to_f32();
        let of_frame = numbers.chunks_exact(voxels * components).nth(frame);
        let values = of_frame.unwrap_or_default().chunks_exact(components);
        let values = values.map(|values| values.iter().sum::<f32>() / components as f32);
        Self::new(&shape, Samples::F32(values.collect()), *self.affine())
    }

    /// The numbers of a frame that [`one_frame`](Self::one_frame) took out.
    fn frame_values(&self) -> &[f32] {
        match self.samples() {
            Samples::F32(values) => values,
            _ => &[],
        }
    }

    fn window(&self, window: Option<[f64; 2]>) -> Result<[f64; 2]> {
        if let Some([low, high]) = window {
            if high.is_nan() || low.is_nan() || high <= low {
                return Err(ImagingError::argument(
                    "window",
                    "an end above its start",
                    format!("{low} to {high}"),
                ));
            }
            return Ok([low, high]);
        }
        let finite = self
            .frame_values()
            .iter()
            .filter(|number| number.is_finite());
        let mut numbers: Vec<f32> = finite.copied().collect();
        if numbers.is_empty() {
            return Ok([0.0, 1.0]);
        }
        let last = numbers.len() - 1;
        let at = |part: f64, numbers: &mut Vec<f32>| {
            let place = (part * last as f64).round() as usize;
            f64::from(*numbers.select_nth_unstable_by(place, f32::total_cmp).1)
        };
        Ok(RANGE.map(|part| at(part, &mut numbers)))
    }

    /// One slice in colour, with square pixels.
    fn tile(
        &self,
        labels: Option<&Volume>,
        plane: Plane,
        slice: usize,
        [low, high]: [f64; 2],
    ) -> Result<Raster> {
        let grey = self.plane_of(plane, slice)?;
        let range = if high > low { high - low } else { 1.0 };
        let grey = grey.map(|number| {
            let part = (f64::from(number) - low) / range;
            if part.is_nan() {
                0.0
            } else {
                part.clamp(0.0, 1.0) as f32
            }
        });
        let mut colours = [
            grey.values.clone(),
            grey.values.clone(),
            grey.values.clone(),
        ];
        if let Some(labels) = labels {
            let labels = labels.plane_of(plane, slice)?;
            for (pixel, &label) in labels.values.iter().enumerate() {
                if label >= 0.5 {
                    let colour = COLOURS[(label.round() as usize - 1) % COLOURS.len()];
                    for (channel, part) in colours.iter_mut().zip(colour) {
                        channel[pixel] =
                            TRANSPARENCY * channel[pixel] + (1.0 - TRANSPARENCY) * part;
                    }
                }
            }
        }
        let raster = Raster::new(3, grey.height, grey.width, colours.concat())?;
        let (height, width) = square(&grey, plane.spacing(self.affine()));
        raster.resized(height, width, Filter::AreaOrBilinear)
    }

    /// A slice of a turned image, as it is looked at.
    fn plane_of(&self, plane: Plane, slice: usize) -> Result<Pixels> {
        let [width, height] = plane.along().map(|axis| self.spatial_shape()[axis]);
        let shape = self.spatial_shape();
        let strides = [1, shape[0], shape[0] * shape[1]];
        let [across, down] = plane.along().map(|axis| strides[axis]);
        let start = slice * strides[plane.across()];
        let values = self.frame_values();
        let pixel = |row: usize, column: usize| {
            // The right of the patient, or the front, is on the left; the front, or the head, on top.
            let (column, row) = (width - 1 - column, height - 1 - row);
            values.get(start + column * across + row * down).copied()
        };
        let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let values: Option<Vec<f32>> = pixels.map(|(row, column)| pixel(row, column)).collect();
        let values = values.ok_or_else(|| {
            ImagingError::argument("slice", format!("one of {shape:?}"), slice.to_string())
        })?;
        Ok(Pixels {
            height,
            width,
            values,
        })
    }
}

struct Pixels {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl Pixels {
    fn map(mut self, change: impl Fn(f32) -> f32) -> Self {
        for value in &mut self.values {
            *value = change(*value);
        }
        self
    }
}

impl std::fmt::Display for Plane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
        })
    }
}

impl std::str::FromStr for Plane {
    type Err = ImagingError;

    /// Reads `axial`, `coronal` or `sagittal`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "axial" => Ok(Self::Axial),
            "coronal" => Ok(Self::Coronal),
            "sagittal" => Ok(Self::Sagittal),
            _ => Err(ImagingError::argument(
                "plane",
                "axial, coronal or sagittal",
                format!("`{text}`"),
            )),
        }
    }
}

impl Plane {
    /// The axis of a turned image that slices follow each other along.
    pub(crate) fn across(self) -> usize {
        match self {
            Self::Axial => 2,
            Self::Coronal => 1,
            Self::Sagittal => 0,
        }
    }

    /// Its axes across and down a slice.
    pub(crate) fn along(self) -> [usize; 2] {
        match self {
            Self::Axial => [0, 1],
            Self::Coronal => [0, 2],
            Self::Sagittal => [1, 2],
        }
    }

    /// Millimetres of a pixel down and across.
    pub(crate) fn spacing(self, affine: &Affine) -> [f64; 2] {
        let [across, down] = self.along().map(|axis| affine.spacing()[axis]);
        [down, across]
    }
}

/// Labels on the grid of an image.
fn labels_on(image: &Volume, labels: &Volume) -> Result<Volume> {
    let grid = Grid::new(image.spatial_shape(), *image.affine())?;
    labels
        .one_frame(0)?
        .labels_resampled_to(&grid, LabelInterpolation::Nearest, 0)
}

/// Positions of slices, evenly over an image.
fn chosen(options: &SheetOptions, depth: usize) -> Result<Vec<usize>> {
    let wanted = match options.slices {
        0 => DEFAULT_SLICES,
        wanted if wanted > MAX_SLICES => {
            return Err(ImagingError::argument(
                "slices of a sheet",
                format!("at most {MAX_SLICES}"),
                wanted.to_string(),
            ));
        }
        wanted => wanted,
    };
    let count = wanted.min(depth);
    Ok((0..count)
        .map(|slice| (2 * slice + 1) * depth / (2 * count))
        .collect())
}

/// Rows and columns of square pixels of the finer spacing, bounded.
fn square(pixels: &Pixels, [down, across]: [f64; 2]) -> (usize, usize) {
    let finest = down.min(across);
    let height = pixels.height as f64 * down / finest;
    let width = pixels.width as f64 * across / finest;
    let shrink = (MAX_SIDE as f64 / height.max(width)).min(1.0);
    let side = |length: f64| ((length * shrink).round() as usize).max(1);
    (side(height), side(width))
}

/// Tiles of one size in rows, as close to a square as whole tiles come.
fn joined(tiles: &[Raster]) -> Result<Raster> {
    let [channels, height, width] = tiles.first().map_or([3, 1, 1], Raster::shape);
    let columns = (tiles.len() as f64).sqrt().ceil().max(1.0) as usize;
    let rows = tiles.len().div_ceil(columns);
    let (sheet_width, plane) = (columns * width, rows * height * columns * width);
    let mut samples = vec![0.0; channels * plane];
    for (index, tile) in tiles.iter().enumerate() {
        let (top, left) = (index / columns * height, index % columns * width);
        for (line, values) in tile.samples().chunks_exact(width).enumerate() {
            let (channel, row) = (line / height, line % height);
            let start = channel * plane + (top + row) * sheet_width + left;
            samples[start..start + width].copy_from_slice(values);
        }
    }
    Raster::new(channels, rows * height, sheet_width, samples)
}
