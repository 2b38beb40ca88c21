//! Images of several coils made one, by the coils' sensitivities.

use super::coils::Coils;
use super::fourier::{Transform, centred_fft};
use crate::Result;
use crate::error::ImagingError;
use num_complex::Complex;
use serde::{Deserialize, Serialize};

/// How sensitivities are estimated from the centre of k-space.
///
/// # References
/// Pruessmann et al. 1999, "SENSE: sensitivity encoding for fast MRI", section on sensitivity
/// assessment; `McKenzie` et al. 2002, "Self-calibrating parallel imaging", for the low-resolution
/// images from the centre of the data itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Rows and columns around zero frequency that are fully sampled, each at least 1.
    pub size: [usize; 2],
    /// Share of the highest combined intensity below which a pixel has no sensitivity, 0 to 1.
    pub threshold: f64,
}

impl Calibration {
    /// Sensitivities of coils from their raw data.
    ///
    /// Frequency `k` of the `m` around zero frequency, from `⌊n/2⌋ − ⌊m/2⌋` on, is weighted along
    /// each axis by `½ (1 + cos(2π (k − ⌊n/2⌋) / (m + 1)))` (Hann's window), all others by 0.
    /// With the images `r_c` of these, `s_c = r_c / √Σ|r_c|²` where the root is above `threshold`
    /// times its largest value, and 0 elsewhere.
    ///
    /// # Arguments
    /// * `raw`: k-space, zero frequency at `⌊n / 2⌋`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the centre is empty or larger than a plane, or the threshold
    /// not in [0, 1].
    pub fn sensitivities(&self, raw: &Coils) -> Result<Coils> {
        let (height, width) = raw.size();
        let [rows, columns] = self.size;
        if !(1..=height).contains(&rows) || !(1..=width).contains(&columns) {
            return Err(ImagingError::argument(
                "size of the calibration region",
                format!("from 1 × 1 to {height} × {width}"),
                format!("{rows} × {columns}"),
            ));
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(ImagingError::argument(
                "threshold of sensitivities",
                "a number from 0 to 1",
                self.threshold.to_string(),
            ));
        }
        let mut low = raw.clone();
        let (down, across) = (taper(height, rows), taper(width, columns));
        for plane in low.planes_mut() {
            for (row, down) in plane.chunks_exact_mut(width).zip(&down) {
                for (value, across) in row.iter_mut().zip(&across) {
                    *value *= down * across;
                }
            }
            centred_fft(plane, &[width, height], Transform::ToImage)?;
        }
        self.normalise(&mut low);
        Ok(low)
    }

    fn normalise(&self, low: &mut Coils) {
        let root = low.root_sum_of_squares();
        let highest = root.iter().copied().fold(0.0, f32::max);
        let least = (f64::from(highest) * self.threshold) as f32;
        for plane in low.planes_mut() {
            for (value, &root) in plane.iter_mut().zip(&root) {
                *value = if root > least {
                    *value / root
                } else {
                    Complex::default()
                };
            }
        }
    }
}

/// Hann's window over the `kept` indices around zero frequency.
fn taper(length: usize, kept: usize) -> Vec<f32> {
    let first = length / 2 - kept / 2;
    let weight = |index: usize| {
        if !(first..first + kept).contains(&index) {
            return 0.0;
        }
        let away = index as f64 - (length / 2) as f64;
        let phase = std::f64::consts::TAU * away / (kept + 1) as f64;
        (0.5 * (1.0 + phase.cos())) as f32
    };
    (0..length).map(weight).collect()
}

/// `Σ_c s_c* x_c / Σ_c |s_c|²`: the image of least variance for uncorrelated noise of equal size in
/// all coils; 0 where no coil is sensitive.
///
/// # Arguments
/// * `images`: one complex image a coil.
/// * `sensitivities`: as many, of the same size.
///
/// # Returns
/// `height × width` values, row by row.
///
/// # Errors
/// [`ImagingError::Argument`] when sizes or numbers of coils differ.
///
/// # References
/// Roemer et al. 1990, "The NMR phased array", with an identity noise matrix.
///
/// # Examples
/// ```
/// use ctl_imaging::kspace::{Coils, Complex, combine};
///
/// let sensitivities = Coils::new(1, 1, vec![Complex::new(0.6, 0.0), Complex::new(0.0, 0.8)])?;
/// let images = Coils::new(1, 1, vec![Complex::new(6.0, 0.0), Complex::new(0.0, 8.0)])?;
/// assert!((combine(&images, &sensitivities)?[0] - 10.0).norm() < 1e-5);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn combine(images: &Coils, sensitivities: &Coils) -> Result<Vec<Complex<f32>>> {
    if images.size() != sensitivities.size() || images.count() != sensitivities.count() {
        let told = |coils: &Coils| format!("{} coils of {:?}", coils.count(), coils.size());
        return Err(ImagingError::argument(
            "sensitivities",
            told(images),
            told(sensitivities),
        ));
    }
    let (height, width) = images.size();
    let mut sums = vec![(Complex::<f64>::default(), 0.0_f64); height * width];
    for (image, sensitivity) in images.planes().zip(sensitivities.planes()) {
        for (sum, (x, s)) in sums.iter_mut().zip(image.iter().zip(sensitivity)) {
            let wide = |value: &Complex<f32>| Complex::new(f64::from(value.re), value.im.into());
            sum.0 += wide(s).conj() * wide(x);
            sum.1 += wide(s).norm_sqr();
        }
    }
    let ratio = |(above, below): (Complex<f64>, f64)| {
        let value = if below > 0.0 {
            above / below
        } else {
            Complex::default()
        };
        Complex::new(value.re as f32, value.im as f32)
    };
    Ok(sums.into_iter().map(ratio).collect())
}
