//! Thickness, length, area and slant of a pen stroke, and strokes of another thickness.
//!
//! A digit of 28 pixels is too coarse to be thinned. It is enlarged, cut at half of its range,
//! reduced to its medial axis, and measured there: the distance from the axis to the edge is half
//! of the stroke's thickness. The same mask, dilated or eroded and then reduced again, is the digit
//! written with another pen.
//!
//! # References
//! Castro, Tan, Kainz, Konukoglu & Glocker (2019), "Morpho-MNIST: quantitative assessment and
//! diagnostics for representation learning", section 3.

mod distance;
mod intensity;
mod resample;
mod skeleton;
mod thickness;
mod tie_order;

pub use intensity::{median_intensity, with_intensity};

use super::{DigitError, Plane};

/// Scale at which published tables of morphometrics are measured.
pub const MEASURING_SCALE: usize = 4;
/// Scale at which the published generator changes the thickness.
pub const GENERATING_SCALE: usize = 16;
/// Where the mask of a picture begins, as a fraction of the range of its grey levels.
const MASK_THRESHOLD: f64 = 0.5;
/// Greatest factor of enlargement: 28 pixels become 1792.
const MAX_SCALE: usize = 64;

/// Measures of a written digit.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::Plane;
/// use ctl_phantom::digits::morphology::{MEASURING_SCALE, Morphology};
///
/// // An upright bar, 4 pixels wide and 20 pixels long.
/// let mut pixels = vec![0_u8; 28 * 28];
/// for y in 4..24 {
///     pixels[28 * y + 12..28 * y + 16].fill(255);
/// }
/// let bar = Plane::new([28, 28], pixels)?;
/// let measures = Morphology::new(&bar, MEASURING_SCALE)?.measures();
/// assert!((measures.thickness - 4.0).abs() < 0.4);
/// assert!((measures.area - 80.0).abs() < 4.0);
/// assert!(measures.slant.abs() < 1e-3);
/// # Ok::<(), ctl_phantom::digits::DigitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Morphometrics {
    /// Area of the stroke in square pixels.
    pub area: f64,
    /// Length of its medial axis in pixels.
    pub length: f64,
    /// Mean thickness along the medial axis in pixels.
    pub thickness: f64,
    /// Angle of the horizontal shear in radians, positive where the top leans to the right.
    pub slant: f64,
}

/// A picture with its enlarged mask, medial axis and distances.
#[derive(Clone, Debug)]
pub struct Morphology {
    scale: usize,
    image: Plane<u8>,
    mask: Plane<bool>,
    skeleton: Plane<bool>,
    squared_distance: Plane<isize>,
}

impl Morphology {
    /// Enlarges a picture and finds the medial axis of its strokes.
    ///
    /// # Arguments
    /// - `image`: bright strokes on a dark ground, `[H, W]`, grey levels 0 to 255.
    /// - `scale`: how many times it is enlarged, 1 to 64.
    ///
    /// # Errors
    /// [`DigitError::Blank`] for a constant picture, [`DigitError::Setting`] for the scale.
    ///
    /// # References
    /// Castro et al. (2019), section 3.1, with the constants of its authors' program: cubic
    /// interpolation, a Gaussian of a third of the scale, and a cut at half of the range.
    pub fn new(image: &Plane<u8>, scale: usize) -> Result<Self, DigitError> {
        if !(1..=MAX_SCALE).contains(&scale) {
            return Err(DigitError::Setting {
                key: "scale",
                value: scale.to_string(),
                allowed: "a whole number from 1 to 64",
            });
        }
        let image = resample::enlarge(image, scale);
        let mask = stroke(&image)?;
        let squared_distance = distance::squared_distance(&mask);
        let skeleton = skeleton::medial_axis(&mask, &squared_distance);
        Ok(Self {
            scale,
            image,
            mask,
            skeleton,
            squared_distance,
        })
    }

    /// The enlarged mask of the strokes, `[scale · H, scale · W]`.
    pub fn mask(&self) -> &Plane<bool> {
        &self.mask
    }

    /// The medial axis, `[scale · H, scale · W]`.
    pub fn skeleton(&self) -> &Plane<bool> {
        &self.skeleton
    }

    /// All measures.
    pub fn measures(&self) -> Morphometrics {
        Morphometrics {
            area: self.area(),
            length: self.length(),
            thickness: self.thickness(),
            slant: self.slant(),
        }
    }

    /// Area of the strokes in pixels of the picture.
    fn area(&self) -> f64 {
        let set = self.mask.values().iter().filter(|&&set| set).count();
        set as f64 / (self.scale * self.scale) as f64
    }

    /// Twice the mean distance from the medial axis to the edge, in pixels of the picture.
    pub fn thickness(&self) -> f64 {
        let distances = self.squared_distance.values().iter();
        let along = distances
            .zip(self.skeleton.values())
            .filter(|(_, on_axis)| **on_axis);
        let (sum, count) = along.fold((0.0, 0_usize), |(sum, count), (&squared, _)| {
            (sum + (squared as f64).sqrt(), count + 1)
        });
        2.0 * sum / count as f64 / self.scale as f64
    }

    /// Steps between neighbours on the medial axis, diagonal ones counting √2.
    fn length(&self) -> f64 {
        let [height, width] = self.skeleton.shape();
        let mut length = 0.0;
        for y in 0..height {
            let row = self.skeleton.row(y);
            length += joint(row, &row[1..]);
            if y + 1 < height {
                let below = self.skeleton.row(y + 1);
                length += joint(row, below);
                let diagonal = joint(row, &below[1..]) + joint(&row[1..], &below[..width - 1]);
                length += std::f64::consts::SQRT_2 * diagonal;
            }
        }
        length / self.scale as f64
    }

    /// The angle whose tangent is the negative horizontal shear, from the second moments of the
    /// enlarged picture.
    fn slant(&self) -> f64 {
        let mut mass = 0.0;
        let mut first = [0.0; 2];
        let mut second = [0.0; 2];
        for (y, row) in self.image.rows().enumerate() {
            for (x, &value) in row.iter().enumerate() {
                let (y, x, value) = (y as f64, x as f64, f64::from(value));
                mass += value;
                first = [first[0] + y * value, first[1] + x * value];
                second = [second[0] + y * y * value, second[1] + x * y * value];
            }
        }
        let [mean_y, mean_x] = first.map(|sum| sum / mass);
        let variance = second[0] / mass - mean_y * mean_y;
        let covariance = second[1] / mass - mean_x * mean_y;
        (-covariance / variance).atan()
    }

    /// The same strokes at another thickness, at the resolution of the original picture.
    ///
    /// # Arguments
    /// - `thickness`: in pixels, 0 to 64. The mask grows or shrinks by half of the difference to
    ///   [`Morphology::thickness`], in whole pixels of the enlarged picture.
    ///
    /// # Returns
    /// Grey levels 0 to 255; all 0 where the strokes are thinner than what is taken away.
    ///
    /// # Errors
    /// [`DigitError::Value`] for a thickness outside its range.
    ///
    /// # References
    /// Castro et al. (2019), section 3.2. The brush is that of the authors' program: a disk that
    /// its own smoothing widens by about one pixel of the enlarged picture.
    pub fn with_thickness(&self, thickness: f64) -> Result<Plane<u8>, DigitError> {
        let mask = thickness::with_thickness(self, thickness)?;
        Ok(resample::reduce(&mask, self.scale))
    }
}

/// Number of places where both rows are set.
fn joint(one: &[bool], other: &[bool]) -> f64 {
    one.iter().zip(other).filter(|(a, b)| **a && **b).count() as f64
}

/// The pixels in the upper half of the range of grey levels.
fn stroke(image: &Plane<u8>) -> Result<Plane<bool>, DigitError> {
    let low = image.values().iter().copied().min().unwrap_or(0);
    let high = image.values().iter().copied().max().unwrap_or(0);
    if low == high {
        return Err(DigitError::Blank { value: low });
    }
    let threshold = f64::from(low) + f64::from(high - low) * MASK_THRESHOLD;
    Ok(image.map(|value| f64::from(value) >= threshold))
}
