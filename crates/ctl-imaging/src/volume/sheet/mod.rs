//! Slices of an image side by side, as one picture.

mod frame;
mod tiles;
mod tone;

use super::{Display, Plane, Volume};
use crate::Result;
use crate::error::ImagingError;
use crate::raster::Raster;
use frame::Frame;
use tiles::Tiles;
use tone::Tone;

/// Most slices of a sheet.
const MAX_SLICES: usize = 400;
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

/// How a sheet looks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SheetOptions {
    /// The plane.
    pub plane: Plane,
    /// How many slices, evenly over the image; as many as there are, if there are fewer. 0 takes 12.
    pub slices: usize,
    /// Numbers that are shown black and white, both finite. Without, the file's window (see
    /// `display`), or else the 0.5th and 99.5th percentile of the frame.
    pub window: Option<[f64; 2]>,
    /// Which frame of a series.
    pub frame: usize,
    /// How the file wants to be looked at: its window, whether low numbers are bright, and which
    /// values are padding, which is always black and counts for no percentile.
    pub display: Display,
}

const DEFAULT_SLICES: usize = 12;

impl Volume {
    /// Slices side by side, with labels in colour.
    ///
    /// Slices are shown as radiologists look at them: the patient's right on the left of axial and
    /// coronal slices, the front on top of axial and on the left of sagittal ones, the head on top
    /// otherwise. Pixels are made square. The image is turned to its closest axes, not
    /// interpolated, so that slices of an oblique image are those of its scanner. Of several values
    /// a voxel the mean is shown; numbers that are none are black.
    ///
    /// # Arguments
    /// * `overlay`: labels, whole numbers of which those of 0 and below are not drawn, on any grid;
    ///   they are taken to the image's by the closest voxel. Of a series the frame that is shown of
    ///   the image, of a single image that one.
    /// * `options`: plane, slices, window, frame and what the file says.
    ///
    /// # Returns
    /// An RGB raster, slices row by row.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such frame, in the image or the overlay, more
    /// than 400 slices or more than a picture can hold are asked for, the window's ends are not
    /// finite or not in order, or the overlay has several values a voxel or numbers that are not
    /// whole.
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
        let plane = options.plane;
        let image = Frame::of_image(self, options.frame, &options.display)?;
        let slices = chosen(options, image.shape()[plane.across()])?;
        let mut tiles = Tiles::new(
            slices.len(),
            image.shape_of(plane),
            plane.spacing(image.affine()),
        )?;
        let tone = Tone::of(&image, options)?;
        let labels = overlay
            .map(|labels| Frame::of_labels(labels, options.frame, &image))
            .transpose()?;
        for slice in slices {
            tiles.add(&tile(&image, labels.as_ref(), plane, slice, &tone)?)?;
        }
        tiles.joined()
    }
}

/// One slice in colour, one pixel a voxel.
fn tile(
    image: &Frame,
    labels: Option<&Frame>,
    plane: Plane,
    slice: usize,
    tone: &Tone,
) -> Result<Raster> {
    let [height, width] = image.shape_of(plane);
    let grey: Vec<f32> = image
        .slice(plane, slice)?
        .into_iter()
        .map(|number| tone.at(number))
        .collect();
    let mut colours = [grey.clone(), grey.clone(), grey];
    if let Some(labels) = labels {
        for (pixel, label) in labels.slice(plane, slice)?.into_iter().enumerate() {
            if label >= 1.0 {
                let colour = COLOURS[(label as usize - 1) % COLOURS.len()];
                for (channel, part) in colours.iter_mut().zip(colour) {
                    channel[pixel] = TRANSPARENCY * channel[pixel] + (1.0 - TRANSPARENCY) * part;
                }
            }
        }
    }
    Raster::new(3, height, width, colours.concat())
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
