//! Centred orthonormal Fourier transforms along any number of axes.

use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Samples, Volume};
use num_complex::Complex;
use rayon::prelude::*;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::sync::Arc;

/// Between an image and its frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// From an image to k-space, `e^{−2πi…}`.
    ToFrequencies,
    /// From k-space to an image, `e^{+2πi…}`.
    ToImage,
}

/// A centred orthonormal transform of lines of one length.
///
/// `X_k = n^{−½} Σ_j x_j e^{∓2πi (k − c)(j − c) / n}` with `c = ⌊n / 2⌋`.
#[derive(Clone)]
pub(crate) struct LineTransform<T> {
    plan: Arc<dyn Fft<T>>,
    scale: T,
    length: usize,
    scratch: usize,
}

impl<T: FftNum> LineTransform<T> {
    pub(crate) fn new(length: usize, transform: Transform) -> Self {
        let direction = match transform {
            Transform::ToFrequencies => FftDirection::Forward,
            Transform::ToImage => FftDirection::Inverse,
        };
        let plan = FftPlanner::new().plan_fft(length, direction);
        Self {
            scratch: plan.get_inplace_scratch_len(),
            plan,
            // Every floating-point type has a value near each of these.
            scale: T::from_f64(1.0 / (length as f64).sqrt()).unwrap_or_else(T::one),
            length,
        }
    }

    pub(crate) fn scratch(&self) -> Vec<Complex<T>> {
        vec![Complex::new(T::zero(), T::zero()); self.scratch]
    }

    /// Transforms one line in place.
    pub(crate) fn apply(&self, line: &mut [Complex<T>], scratch: &mut [Complex<T>]) {
        line.rotate_left(self.length / 2);
        self.plan.process_with_scratch(line, scratch);
        line.rotate_right(self.length / 2);
        for value in line {
            *value = Complex::new(value.re * self.scale, value.im * self.scale);
        }
    }
}

/// Transforms an array in place along all of its axes: `numpy`'s
/// `fftshift(fftn(ifftshift(x), norm="ortho"))`, or with `ifftn`.
///
/// # Arguments
/// * `values`: first axis fastest (a plane `[H, W]` stored row by row has the shape `[W, H]`).
/// * `shape`: length of each axis; axes of length 1 stay as they are.
///
/// # Errors
/// [`ImagingError::Argument`] when an axis is empty or there are not as many values as the shape
/// has.
///
/// # Complexity
/// `O(n log n)` for n values.
///
/// # Examples
/// ```
/// use ctl_imaging::kspace::{Complex, Transform, centred_fft};
///
/// // A point in the centre has all frequencies alike.
/// let mut values = vec![Complex::new(0.0, 0.0); 12];
/// values[2 + 4 * 1] = Complex::new(1.0, 0.0);
/// centred_fft(&mut values, &[4, 3], Transform::ToFrequencies)?;
/// assert!(values.iter().all(|value| (value - 12.0_f64.powf(-0.5)).norm() < 1e-15));
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn centred_fft<T: FftNum>(
    values: &mut [Complex<T>],
    shape: &[usize],
    transform: Transform,
) -> Result<()> {
    let count = shape
        .iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side));
    if count != Some(values.len()) || values.is_empty() {
        return Err(ImagingError::argument(
            "values to transform",
            format!("as many as {shape:?} has, at least one"),
            format!("{} values", values.len()),
        ));
    }
    for axis in 0..shape.len() {
        if shape[axis] > 1 {
            let line = LineTransform::new(shape[axis], transform);
            along_axis(values, &shape[..axis], &line);
        }
    }
    Ok(())
}

/// Transforms all lines along the axis that comes after the `faster` ones.
fn along_axis<T: FftNum>(values: &mut [Complex<T>], faster: &[usize], line: &LineTransform<T>) {
    let stride: usize = faster.iter().product();
    values
        .par_chunks_exact_mut(stride * line.length)
        .for_each_init(
            || {
                (
                    line.scratch(),
                    vec![Complex::new(T::zero(), T::zero()); line.length],
                )
            },
            |(scratch, buffer), block| {
                if stride == 1 {
                    return line.apply(block, scratch);
                }
                for first in 0..stride {
                    for (to, from) in buffer.iter_mut().zip(block[first..].iter().step_by(stride)) {
                        *to = *from;
                    }
                    line.apply(buffer, scratch);
                    for (to, from) in block[first..].iter_mut().step_by(stride).zip(&*buffer) {
                        *to = *from;
                    }
                }
            },
        );
}

/// Transforms every frame of an image along its axes of space.
///
/// # Arguments
/// * `volume`: one component; real numbers are scaled, complex ones taken as they are.
///
/// # Returns
/// The same grid with complex values, of double precision where the image's are.
///
/// # Errors
/// [`ImagingError::Argument`] when there are several components.
///
/// # Examples
/// ```
/// use ctl_imaging::kspace::{Transform, transformed};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let image = Volume::new(&[2, 2], Samples::F64(vec![1.0, 2.0, 3.0, 4.0]), affine)?;
/// let frequencies = transformed(&image, Transform::ToFrequencies)?;
/// // Zero frequency is the last of two: the sum over √4.
/// assert!((frequencies.value(&[1, 1]).unwrap() - 5.0).abs() < 1e-12);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn transformed(volume: &Volume, transform: Transform) -> Result<Volume> {
    if volume.components() != 1 {
        return Err(ImagingError::argument(
            "image to transform",
            "one component",
            format!("{} components", volume.components()),
        ));
    }
    let shape = volume.spatial_shape();
    let samples = match volume.samples() {
        Samples::Complex64(values) => Samples::Complex64(frames(values.clone(), shape, transform)?),
        Samples::Complex128(values) => {
            Samples::Complex128(frames(values.clone(), shape, transform)?)
        }
        Samples::F64(_) => {
            let values = volume.to_f64().into_iter().map(Complex::from).collect();
            Samples::Complex128(frames(values, shape, transform)?)
        }
        _ => {
            let values = volume.to_f32().into_iter().map(Complex::from).collect();
            Samples::Complex64(frames(values, shape, transform)?)
        }
    };
    Volume::new(volume.shape(), samples, *volume.affine())?.with_series(volume.series())
}

fn frames<T: FftNum>(
    mut values: Vec<Complex<T>>,
    shape: [usize; 3],
    transform: Transform,
) -> Result<Vec<Complex<T>>> {
    let frame = shape.iter().product();
    for frame in values.chunks_exact_mut(frame) {
        centred_fft(frame, &shape, transform)?;
    }
    Ok(values)
}
