//! What is seen of every image, and how images are shown.

use ctl_imaging::{ImageStore, Raster};

use super::sites::{moments, quantile};
use crate::Result;

/// Images that are decoded at once.
const BATCH: usize = 256;
/// Pixels by which the range of all images is judged, at most.
const SAMPLED: usize = 1 << 22;
/// Part of the pixels that is shown black, and white.
const TAIL: f64 = 0.005;
/// Rounding by which averaged pixels may leave the range of integers.
const ROUNDING: f32 = 1e-5;
/// Colour of pixels that are NaN or infinite.
const HOLE: [f32; 3] = [0.85, 0.2, 0.2];

/// What was seen of one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Mean and standard deviation of its finite pixels, if it has any.
    pub(super) intensity: Option<(f64, f64)>,
    /// Whether a pixel is NaN or infinite.
    pub(super) not_finite: bool,
    /// Rows and columns.
    pub(super) size: [usize; 2],
    /// Millimetres between rows and between columns.
    pub(super) spacing: Option<[f64; 2]>,
}

/// The numbers that are shown black and white.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Window {
    /// What is black, with all that is less.
    pub low: f64,
    /// What is white, with all that is more.
    pub high: f64,
}

/// Looks at every image of a cohort, in its order.
///
/// # Returns
/// What was seen, and the window of numbers that are not all between 0 and 1.
pub(super) fn look(store: &ImageStore) -> Result<(Vec<Look>, Option<Window>)> {
    let cohort = store.cohort();
    let all: Vec<usize> = (0..cohort.len()).collect();
    let mut looks = Vec::with_capacity(all.len());
    let mut sample = Sample::new(cohort.len(), store.request().height * store.request().width);
    for batch in all.chunks(BATCH) {
        for (&index, image) in batch.iter().zip(store.load(batch)?) {
            sample.add(image.samples());
            looks.push(Look {
                size: store.source_size(index)?,
                spacing: store.source_pixel_mm(index)?,
                ..Look::of(image.samples())
            });
        }
    }
    Ok((looks, sample.window()))
}

impl Look {
    fn of(samples: &[f32]) -> Self {
        let finite: Vec<f64> = finite(samples).map(f64::from).collect();
        Self {
            intensity: (!finite.is_empty()).then(|| moments(&finite)),
            not_finite: finite.len() < samples.len(),
            size: [0; 2],
            spacing: None,
        }
    }
}

fn finite(samples: &[f32]) -> impl Iterator<Item = f32> {
    samples.iter().copied().filter(|sample| sample.is_finite())
}

/// Finite pixels of all images, evenly taken.
struct Sample {
    step: usize,
    /// Pixels of the next image before the first that is taken.
    skip: usize,
    pixels: Vec<f64>,
    leaves_unit: bool,
}

impl Sample {
    fn new(images: usize, pixels: usize) -> Self {
        Self {
            step: (images.saturating_mul(pixels)).div_ceil(SAMPLED).max(1),
            skip: 0,
            pixels: Vec::new(),
            leaves_unit: false,
        }
    }

    fn add(&mut self, samples: &[f32]) {
        let unit = -ROUNDING..=1.0 + ROUNDING;
        self.leaves_unit |= finite(samples).any(|sample| !unit.contains(&sample));
        let taken = samples.iter().skip(self.skip).step_by(self.step).copied();
        let taken = taken.filter(|sample| sample.is_finite());
        self.pixels.extend(taken.map(f64::from));
        // The step goes on into the next image, lest always the same column is taken.
        let gone = (samples.len() + self.step - self.skip) % self.step;
        self.skip = (self.step - gone) % self.step;
    }

    fn window(mut self) -> Option<Window> {
        if !self.leaves_unit || self.pixels.is_empty() {
            return None;
        }
        self.pixels.sort_by(f64::total_cmp);
        let [low, high] = [TAIL, 1.0 - TAIL].map(|part| quantile(&self.pixels, part));
        Some(Window { low, high })
    }
}

/// An image as it is shown: in its own proportions, its window black to white, holes in colour.
///
/// # Arguments
/// * `image`: grey, brought to a square.
/// * `size`: rows and columns that it had before.
pub(super) fn shown(image: &Raster, size: [usize; 2], window: Option<Window>) -> Result<Raster> {
    let side = image.height().max(image.width());
    let longest = size[0].max(size[1]).max(1);
    let [height, width] = size.map(|length| (length * side).div_ceil(longest).max(1));
    let image = image.resized(height, width, ctl_imaging::Filter::AreaOrBilinear)?;
    let Window { low, high } = window.unwrap_or(Window {
        low: 0.0,
        high: 1.0,
    });
    let level = |sample: f32| {
        let reach = if high > low { high - low } else { 1.0 };
        (((f64::from(sample) - low) / reach) as f32).clamp(0.0, 1.0)
    };
    let samples = image.samples();
    if samples.iter().all(|sample| sample.is_finite()) {
        let levels = samples.iter().map(|&sample| level(sample)).collect();
        return Ok(Raster::new(1, height, width, levels)?);
    }
    let of = |channel: f32| {
        let shown = move |sample: &f32| {
            if sample.is_finite() {
                level(*sample)
            } else {
                channel
            }
        };
        samples.iter().map(shown)
    };
    let levels = HOLE.into_iter().flat_map(of).collect();
    Ok(Raster::new(3, height, width, levels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_leave_out_what_is_no_number() {
        let look = Look::of(&[1.0, f32::NAN, 3.0, f32::INFINITY]);
        assert_eq!((look.intensity, look.not_finite), (Some((2.0, 1.0)), true));
        let blank = Look::of(&[f32::NAN]);
        assert_eq!((blank.intensity, blank.not_finite), (None, true));
    }

    #[test]
    fn a_window_is_that_of_the_finite_numbers() {
        let mut sample = Sample::new(1, 1003);
        let mut numbers: Vec<f32> = (0..=1000).map(|number| number as f32 - 500.0).collect();
        numbers.extend([f32::NAN, f32::INFINITY]);
        sample.add(&numbers);
        let window = sample.window().unwrap();
        assert!((window.low + 495.0).abs() < 1e-9 && (window.high - 495.0).abs() < 1e-9);
        // Integers are read as 0 to 1 and shown so, that sites stay comparable with other cohorts.
        let mut sample = Sample::new(1, 2);
        sample.add(&[0.2, 0.9, f32::NAN]);
        assert_eq!(sample.window(), None);
    }

    #[test]
    fn the_sample_goes_on_from_image_to_image() {
        let mut sample = Sample::new(2, SAMPLED);
        for image in [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]] {
            sample.add(&image);
        }
        assert_eq!(sample.pixels, [0.0, 2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn images_keep_their_proportions_and_holes_are_red() {
        let square = Raster::new(1, 4, 4, vec![-10.0; 16]).unwrap();
        let window = Some(Window {
            low: -20.0,
            high: 0.0,
        });
        let tall = shown(&square, [200, 100], window).unwrap();
        assert_eq!(tall.shape(), [1, 4, 2]);
        assert!(
            tall.samples()
                .iter()
                .all(|&sample| (sample - 0.5).abs() < 1e-6)
        );
        let mut holed = square;
        holed.samples_mut()[0] = f32::NAN;
        let wide = shown(&holed, [100, 100], window).unwrap();
        assert_eq!(wide.shape(), [3, 4, 4]);
        assert_eq!(wide.samples()[0..2], [HOLE[0], 0.5]);
        assert_eq!(wide.samples()[16..17], [HOLE[1]]);
    }
}
