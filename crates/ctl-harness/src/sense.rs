//! Images from undersampled raw data of several receiver coils.

use ctl_compute::ops::fourier::{fft2_centred, ifft2_centred};
use ctl_imaging::kspace::{Coils, Complex};
use ctl_metrics::image_quality::{ImagePair, SsimConfig};
use serde::Serialize;

use crate::{HarnessError, Result};

/// Rows and columns on each side of zero frequency that must be sampled for sensitivities.
const CENTRE_MIN: usize = 2;
/// Share of the greatest magnitude below which sensitivities are not divided by the magnitude.
const DARK: f32 = 1e-3;
/// Square of the residual, relative to the first, at which the search ends.
const CONVERGED: f64 = 1e-10;

/// How raw data become an image.
///
/// # References
/// Pruessmann, Weiger, Börnert and Boesiger 2001, "Advances in sensitivity encoding with arbitrary
/// k-space trajectories"; `McKenzie` et al. 2002, "Self-calibrating parallel imaging with automatic
/// coil sensitivity extraction".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SenseConfig {
    /// Iterations of conjugate gradients at most, at least 1.
    pub iterations: u32,
    /// Weight of the squared image beside the squared error of the measured points, at least 0.
    /// Sensitivities have unit sum of squares, so that it does not depend on the data's scale.
    pub regularisation: f64,
}

impl Default for SenseConfig {
    /// 20 iterations with 0.03.
    fn default() -> Self {
        Self {
            iterations: 20,
            regularisation: 0.03,
        }
    }
}

/// A reconstruction of the data of several coils.
#[derive(Clone, Debug, PartialEq)]
pub struct CoilImage {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Share of the points of k-space that were measured, in (0, 1].
    pub sampled: f64,
    /// Root sum of squares of the zero-filled coil images, `[H, W]`.
    pub zero_filled: Vec<f32>,
    /// Magnitude of the reconstruction, `[H, W]`, on the same scale.
    pub image: Vec<f32>,
}

/// Reconstructs undersampled raw data: sensitivities from the fully sampled centre, then the image
/// that fits the measured points best, by conjugate gradients.
///
/// With `E` the coil images, Fourier transform and sampling of an image `x`, it minimises
/// `‖E x − k‖² + λ ‖x‖²`.
///
/// # Arguments
/// * `raw`: centred k-space of every coil; a point that is 0 in all of them was not measured.
/// * `config`: how far to search, and λ.
///
/// # Errors
/// [`HarnessError::Config`] when λ is negative or not a number, or no iteration is asked for; [`HarnessError::Data`] when no
/// point was measured, or the centre is not fully sampled over 5 × 5 points at least.
///
/// # Examples
/// ```
/// use ctl_harness::sense::{SenseConfig, reconstruct_coils};
/// use ctl_imaging::kspace::{Coils, Complex};
///
/// // A point in the middle of the image, seen by one coil at every frequency.
/// let raw = Coils::new(8, 8, vec![Complex::new(0.125, 0.0); 64])?;
/// let found = reconstruct_coils(&raw, &SenseConfig { regularisation: 0.0, ..Default::default() })?;
/// assert_eq!(found.sampled, 1.0);
/// assert!((found.image[4 * 8 + 4] - 1.0).abs() < 1e-4);
/// # Ok::<(), ctl_harness::HarnessError>(())
/// ```
pub fn reconstruct_coils(raw: &Coils, config: &SenseConfig) -> Result<CoilImage> {
    // Written so that NaN is out of range, too.
    if !(config.regularisation >= 0.0 && (config.regularisation as f32).is_finite()) {
        let message = format!(
            "{} is not allowed: it must be a number of at least 0 that single precision holds",
            config.regularisation
        );
        return Err(HarnessError::Config {
            origin: "reconstruction of coils".into(),
            key: "regularisation".into(),
            message,
        });
    }
    if config.iterations == 0 {
        return Err(HarnessError::Config {
            origin: "reconstruction of coils".into(),
            key: "iterations".into(),
            message: "0 is not allowed: it must be at least 1".into(),
        });
    }
    let (height, width) = raw.size();
    let sampled = sampled(raw);
    let count = sampled.iter().filter(|&&sampled| sampled).count();
    if count == 0 {
        return Err(unusable("every value is 0: no point was measured".into()));
    }
    let half = fully_sampled(&sampled, [height, width]);
    if half < CENTRE_MIN {
        let side = 2 * CENTRE_MIN + 1;
        let message = format!(
            "sensitivities need a fully sampled centre of {side} x {side} points at least, \
             found {0} x {0}",
            (2 * half + 1).min(side)
        );
        return Err(unusable(message));
    }
    let encoding = Encoding {
        sensitivities: sensitivities(raw, half)?,
        sampled,
        size: [height, width],
    };
    let mut zero_filled = raw.clone();
    for plane in zero_filled.planes_mut() {
        ifft2_centred(plane, height, width)?;
    }
    let image = encoding.solve(raw, config)?;
    Ok(CoilImage {
        size: [height, width],
        sampled: count as f64 / (height * width) as f64,
        zero_filled: zero_filled.root_sum_of_squares(),
        image: image.iter().map(|value| value.norm()).collect(),
    })
}

/// How near an image is to a reference after scaling by least squares, since raw data and
/// reference need not have one scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CoilFigures {
    /// Peak signal-to-noise ratio in dB, the peak being the reference's maximum.
    pub psnr: f64,
    /// Structural similarity with the window and range of fastMRI.
    pub ssim: f64,
    /// Squared error over the reference's sum of squares.
    pub nmse: f64,
}

impl CoilFigures {
    /// Compares magnitudes `[H, W]`.
    ///
    /// # Errors
    /// When sizes differ, or one of the two is 0 everywhere.
    pub fn of([height, width]: [usize; 2], image: &[f32], reference: &[f32]) -> Result<Self> {
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| f64::from(v)).collect() };
        let (mut image, reference) = (wide(image), wide(reference));
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let power = product(&image, &image);
        let range = reference.iter().copied().fold(0.0, f64::max);
        if power <= 0.0 || range <= 0.0 {
            return Err(unusable(
                "image or reference is 0 everywhere: there is nothing to compare".into(),
            ));
        }
        let scale = product(&image, &reference) / power;
        for value in &mut image {
            *value *= scale;
        }
        let pair = ImagePair::new(&image, &reference, [1, height, width])?;
        Ok(Self {
            psnr: pair.psnr(range)?,
            ssim: pair.ssim(range, &SsimConfig::fast_mri())?,
            nmse: pair.nmse()?,
        })
    }
}

fn unusable(message: String) -> HarnessError {
    HarnessError::Data {
        path: "raw data".into(),
        message,
    }
}

/// Points that some coil measured.
fn sampled(raw: &Coils) -> Vec<bool> {
    let (height, width) = raw.size();
    let mut sampled = vec![false; height * width];
    for plane in raw.planes() {
        for (sampled, value) in sampled.iter_mut().zip(plane) {
            // Squares of small numbers would be 0.
            *sampled |= value.re != 0.0 || value.im != 0.0;
        }
    }
    sampled
}

/// The largest `h` for which all points within `h` rows and columns of zero frequency are sampled.
fn fully_sampled(sampled: &[bool], [height, width]: [usize; 2]) -> usize {
    let (row, column) = (height / 2, width / 2);
    let most = [row, column, height - 1 - row, width - 1 - column]
        .into_iter()
        .fold(usize::MAX, usize::min);
    let is_full = |half: usize| {
        (row - half..=row + half).all(|y| {
            let start = y * width + column;
            sampled[start - half..=start + half].iter().all(|&s| s)
        })
    };
    (1..=most).take_while(|&half| is_full(half)).count()
}

/// Coil images of the centre alone, over their root sum of squares.
fn sensitivities(raw: &Coils, half: usize) -> Result<Coils> {
    let (height, width) = raw.size();
    let window = |n: usize| -> Vec<f32> {
        let taper = |place: usize| {
            let distance = place.abs_diff(n / 2);
            if distance > half {
                return 0.0;
            }
            let angle = std::f64::consts::FRAC_PI_2 * distance as f64 / (half + 1) as f64;
            angle.cos().powi(2) as f32
        };
        (0..n).map(taper).collect()
    };
    let (rows, columns) = (window(height), window(width));
    let mut low = raw.clone();
    for plane in low.planes_mut() {
        for (row, weight) in plane.chunks_exact_mut(width).zip(&rows) {
            for (value, own) in row.iter_mut().zip(&columns) {
                *value *= weight * own;
            }
        }
        ifft2_centred(plane, height, width)?;
    }
    let magnitudes = low.root_sum_of_squares();
    let least = DARK * magnitudes.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    for plane in low.planes_mut() {
        for (value, magnitude) in plane.iter_mut().zip(&magnitudes) {
            *value /= magnitude.max(least);
        }
    }
    Ok(low)
}

/// From an image to the measured points of every coil.
struct Encoding {
    sensitivities: Coils,
    sampled: Vec<bool>,
    size: [usize; 2],
}

impl Encoding {
    /// `Eᴴ k`, or `Eᴴ` of what a coil measures of an image, summed over coils.
    fn adjoint<'a>(
        &self,
        planes: impl Iterator<Item = Result<std::borrow::Cow<'a, [Complex<f32>]>>>,
    ) -> Result<Vec<Complex<f32>>> {
        let [height, width] = self.size;
        let mut sum = vec![Complex::new(0.0, 0.0); height * width];
        for (plane, sensitivity) in planes.zip(self.sensitivities.planes()) {
            let mut plane = plane?.into_owned();
            for (value, sampled) in plane.iter_mut().zip(&self.sampled) {
                if !sampled {
                    *value = Complex::new(0.0, 0.0);
                }
            }
            ifft2_centred(&mut plane, height, width)?;
            for ((sum, value), own) in sum.iter_mut().zip(&plane).zip(sensitivity) {
                *sum += own.conj() * value;
            }
        }
        Ok(sum)
    }

    /// `Eᴴ E x + λ x`
    fn normal(&self, image: &[Complex<f32>], weight: f32) -> Result<Vec<Complex<f32>>> {
        let [height, width] = self.size;
        let planes = self.sensitivities.planes().map(|sensitivity| {
            let seen = sensitivity.iter().zip(image);
            let mut plane: Vec<Complex<f32>> = seen.map(|(own, value)| own * value).collect();
            fft2_centred(&mut plane, height, width)?;
            Ok(plane.into())
        });
        let mut sum = self.adjoint(planes)?;
        for (sum, value) in sum.iter_mut().zip(image) {
            *sum += value * weight;
        }
        Ok(sum)
    }

    /// Conjugate gradients on the normal equations, from 0.
    fn solve(&self, raw: &Coils, config: &SenseConfig) -> Result<Vec<Complex<f32>>> {
        let weight = config.regularisation as f32;
        let right = self.adjoint(raw.planes().map(|plane| Ok(plane.into())))?;
        let mut image = vec![Complex::new(0.0, 0.0); right.len()];
        let mut residual = right;
        let mut direction = residual.clone();
        let mut size = inner(&residual, &residual);
        let enough = size * CONVERGED;
        for _ in 0..config.iterations {
            if size <= enough {
                break;
            }
            let mapped = self.normal(&direction, weight)?;
            let step = (size / inner(&direction, &mapped)) as f32;
            for (value, by) in image.iter_mut().zip(&direction) {
                *value += by * step;
            }
            for (value, by) in residual.iter_mut().zip(&mapped) {
                *value -= by * step;
            }
            let next = inner(&residual, &residual);
            let turn = (next / size) as f32;
            for (value, rest) in direction.iter_mut().zip(&residual) {
                *value = *value * turn + rest;
            }
            size = next;
        }
        Ok(image)
    }
}

/// Real part of the inner product, in double precision.
fn inner(a: &[Complex<f32>], b: &[Complex<f32>]) -> f64 {
    let products = a.iter().zip(b);
    products
        .map(|(a, b)| f64::from(a.re) * f64::from(b.re) + f64::from(a.im) * f64::from(b.im))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctl_imaging::kspace::read_coils;
    use std::path::Path;

    const SIDE: usize = 48;

    /// A disc with a hole, seen by four coils whose sensitivities fall off from the four sides.
    fn raw(keep: impl Fn(usize, usize) -> bool) -> (Coils, Vec<f32>) {
        let place = |i: usize| (i as f32 + 0.5) / SIDE as f32 - 0.5;
        let pixel = |index: usize| {
            let (y, x) = (place(index / SIDE), place(index % SIDE));
            let radius = y.hypot(x);
            if (0.12..0.38).contains(&radius) {
                1.0 + 0.5 * x
            } else {
                0.05
            }
        };
        let image: Vec<f32> = (0..SIDE * SIDE).map(pixel).collect();
        let mut values = Vec::new();
        for (cy, cx) in [(-0.6, 0.0), (0.6, 0.0), (0.0, -0.6), (0.0, 0.6)] {
            let mut plane: Vec<Complex<f32>> = (0..SIDE * SIDE)
                .map(|index| {
                    let (y, x) = (place(index / SIDE) - cy, place(index % SIDE) - cx);
                    let weight = (-1.5 * (y * y + x * x)).exp();
                    Complex::from_polar(weight * image[index], 1.5 * y + x)
                })
                .collect();
            fft2_centred(&mut plane, SIDE, SIDE).unwrap();
            for (index, value) in plane.iter_mut().enumerate() {
                if !keep(index / SIDE, index % SIDE) {
                    *value = Complex::new(0.0, 0.0);
                }
            }
            values.extend(plane);
        }
        let full = Coils::new(SIDE, SIDE, values).unwrap();
        (full, image)
    }

    fn nmse(found: &[f32], expected: &[f32]) -> f64 {
        CoilFigures::of([SIDE, SIDE], found, expected).unwrap().nmse
    }

    /// Without a gap the zero-filled image is the truth, and so is the reconstruction.
    #[test]
    fn all_points_give_the_image_itself() {
        let (raw, _) = raw(|_, _| true);
        let config = SenseConfig {
            regularisation: 0.0,
            ..SenseConfig::default()
        };
        let found = reconstruct_coils(&raw, &config).unwrap();
        assert!((found.sampled - 1.0).abs() < 1e-12);
        let error = nmse(&found.image, &found.zero_filled);
        // Sensitivities are smoother than the coil images by the window of the whole k-space.
        assert!(error < 1e-3, "{error}");
    }

    /// Every second column is folded onto itself; the coils tell the halves apart.
    #[test]
    fn coils_unfold_what_sampling_folds() {
        let centre = |i: usize| i.abs_diff(SIDE / 2) <= 4;
        let (raw, _) = raw(|y, x| x.is_multiple_of(2) || (centre(x) && centre(y)));
        let (full, _) = self::raw(|_, _| true);
        let truth = reconstruct_coils(&full, &SenseConfig::default())
            .unwrap()
            .zero_filled;
        let config = SenseConfig {
            regularisation: 0.005,
            iterations: 30,
        };
        let found = reconstruct_coils(&raw, &config).unwrap();
        let (before, after) = (nmse(&found.zero_filled, &truth), nmse(&found.image, &truth));
        assert!(after < 0.25 * before, "{after} of {before}");
    }

    /// What conjugate gradients end with solves `(Eᴴ E + λ) x = Eᴴ k`.
    #[test]
    fn the_normal_equations_are_solved() {
        let near = |i: usize| i.abs_diff(SIDE / 2) < 5;
        let (raw, _) = raw(|y, x| x.is_multiple_of(2) || (near(y) && near(x)));
        let encoding = Encoding {
            sensitivities: sensitivities(&raw, 4).unwrap(),
            sampled: sampled(&raw),
            size: [SIDE, SIDE],
        };
        let config = SenseConfig {
            iterations: 60,
            regularisation: 0.01,
        };
        let image = encoding.solve(&raw, &config).unwrap();
        let planes = raw.planes().map(|plane| Ok(plane.into()));
        let right = encoding.adjoint(planes).unwrap();
        let left = encoding.normal(&image, 0.01).unwrap();
        let rest: Vec<Complex<f32>> = left.iter().zip(&right).map(|(a, b)| a - b).collect();
        let relative = (inner(&rest, &rest) / inner(&right, &right)).sqrt();
        assert!(relative < 1e-4, "{relative}");
    }

    /// `Re ⟨E x, E y⟩ = Re ⟨x, Eᴴ E y⟩` shows in the symmetry of the normal operator.
    #[test]
    fn the_normal_operator_is_symmetric_and_positive() {
        let (raw, image) = raw(|y, x| (y + x).is_multiple_of(3) || y.abs_diff(24) < 4);
        let encoding = Encoding {
            sensitivities: sensitivities(&raw, 3).unwrap(),
            sampled: sampled(&raw),
            size: [SIDE, SIDE],
        };
        let x: Vec<Complex<f32>> = image.iter().map(|&v| Complex::new(v, 0.3 - v)).collect();
        let y: Vec<Complex<f32>> = image.iter().rev().map(|&v| Complex::new(0.1, v)).collect();
        let left = inner(&x, &encoding.normal(&y, 0.0).unwrap());
        let right = inner(&encoding.normal(&x, 0.0).unwrap(), &y);
        assert!((left - right).abs() < 1e-4 * left.abs(), "{left} {right}");
        assert!(inner(&x, &encoding.normal(&x, 0.0).unwrap()) > 0.0);
    }

    #[test]
    fn nonsense_is_an_error() {
        let message = |raw: &Coils, regularisation| {
            let config = SenseConfig {
                regularisation,
                ..SenseConfig::default()
            };
            reconstruct_coils(raw, &config).unwrap_err().to_string()
        };
        let zeros = Coils::new(8, 8, vec![Complex::new(0.0, 0.0); 64]).unwrap();
        assert!(message(&zeros, 0.0).contains("no point was measured"));
        let (gaps, _) = raw(|y, x| (y + x).is_multiple_of(2));
        assert!(message(&gaps, 0.0).contains("5 x 5"));
        let (full, _) = raw(|_, _| true);
        assert!(message(&full, -1.0).contains("at least 0"));
        assert!(message(&full, f64::NAN).contains("at least 0"));
        assert!(message(&full, 1e39).contains("single precision"));
        let none = SenseConfig {
            iterations: 0,
            ..SenseConfig::default()
        };
        assert!(reconstruct_coils(&full, &none).is_err());
    }

    /// Eight coils, 12.7 % of the points: zero-filled 24.25 dB; `NumPy`'s conjugate gradients, with
    /// the same sensitivities and 20 iterations at 0.03, reach 32.96 dB
    /// (`tests/golden/make_sense.py`).
    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test must say why")]
    fn a_real_scan_comes_out_as_in_numpy() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mr_recon");
        if !folder.exists() {
            eprintln!("skipped: {} is absent", folder.display());
            return;
        }
        let raw = read_coils(&folder.join("brain8ch_bart_ksp.npy")).unwrap();
        let reference = read_coils(&folder.join("brain8ch_reference_2maps.npy")).unwrap();
        let found = reconstruct_coils(&raw, &SenseConfig::default()).unwrap();
        let reference = reference.root_sum_of_squares();
        let before = CoilFigures::of(found.size, &found.zero_filled, &reference).unwrap();
        let after = CoilFigures::of(found.size, &found.image, &reference).unwrap();
        assert!((before.psnr - 24.254_57).abs() < 1e-3, "{}", before.psnr);
        assert!((after.psnr - 32.96).abs() < 0.02, "{}", after.psnr);
        assert!(after.ssim > before.ssim && after.nmse < before.nmse);
    }
}
