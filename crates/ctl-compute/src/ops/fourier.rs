//! Fourier transforms of complex images and consistency with sampled frequencies, closed under
//! differentiation.
//!
//! A complex image is two channels, real part first: `[B, 2, H, W]`.
//! Transforms are orthonormal, and centred: zero frequency and the origin of space stand at
//! `(⌊H / 2⌋, ⌊W / 2⌋)`, as `fftshift(fft2(ifftshift(x)))` has them.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};
use rustfft::FftDirection;
pub use rustfft::num_complex::Complex;

use super::custom::{by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::fourier::{Transform, project};
use crate::{ComputeError, Result};

/// `F x`, the transform of images.
///
/// # Arguments
/// - `images`: `[B, 2, H, W]`
///
/// # Returns
/// Frequencies, `[B, 2, H, W]`
///
/// # Errors
/// When the shape is another, a size is 0, or the values are not floats on the CPU.
///
/// # Complexity
/// `O(B H W log(H W))`
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::fourier::fft2;
///
/// // A constant image has its energy at zero frequency, the middle of three columns.
/// let image = Tensor::new(&[[[[1f64, 1.0, 1.0]], [[0.0, 0.0, 0.0]]]], &Device::Cpu)?;
/// let found = fft2(&image)?.flatten_all()?.to_vec1::<f64>()?;
/// assert!((found[1] - 3f64.sqrt()).abs() < 1e-15 && found[0].abs() < 1e-15);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn fft2(images: &Tensor) -> Result<Tensor> {
    transform("fft2", images, FftDirection::Forward)
}

/// `Fᴴ y`, the inverse of [`fft2`] and its adjoint.
///
/// # Errors
/// Those of [`fft2`].
pub fn ifft2(frequencies: &Tensor) -> Result<Tensor> {
    transform("ifft2", frequencies, FftDirection::Inverse)
}

fn transform(op: &'static str, images: &Tensor, direction: FftDirection) -> Result<Tensor> {
    check_images(op, images)?;
    Ok(images.contiguous()?.apply_op1(Fourier { direction })?)
}

/// `x + Fᴴ M (F m − F x)`: the image with the measured values at the sampled frequencies.
///
/// # Arguments
/// - `x`: images `[B, 2, H, W]`
/// - `measured`: images `m` `[B, 2, H, W]` whose transforms hold the measured values, such as the
///   zero-filled ones
/// - `columns`: `M` `[B, W]`, 1 where a phase-encoding column was sampled, else 0; taken as
///   constants. Values between weigh the measurement against the image, for noisy ones.
///
/// # Returns
/// `[B, 2, H, W]`
///
/// # Errors
/// When the shapes do not fit, a size is 0, or the values are not floats of one type on the CPU.
///
/// # Complexity
/// `O(B H W log W)`: the mask does not vary along a column, so that only rows are transformed.
///
/// # References
/// Schlemper et al. 2018, "A deep cascade of convolutional neural networks for dynamic MR image
/// reconstruction", equation 7 with `λ → ∞`.
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::fourier::data_consistency;
///
/// let x = Tensor::ones((1, 2, 4, 4), DType::F32, &Device::Cpu)?;
/// let measured = x.zeros_like()?;
/// // All that a constant image consists of stands in column 2, which is sampled.
/// let columns = Tensor::new(&[[0f32, 0.0, 1.0, 0.0]], &Device::Cpu)?;
/// let out = data_consistency(&x, &measured, &columns)?;
/// assert!(out.abs()?.sum_all()?.to_scalar::<f32>()? < 1e-5);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn data_consistency(x: &Tensor, measured: &Tensor, columns: &Tensor) -> Result<Tensor> {
    const OP: &str = "data_consistency";
    check_floats(OP, &[x, measured, columns])?;
    check_images(OP, x)?;
    if measured.dims() != x.dims() {
        let expected = format!("measured {:?}", x.dims());
        return Err(ComputeError::shape(OP, expected, measured.shape()));
    }
    let expected = [x.dims()[0], x.dims()[3]];
    if columns.dims() != expected {
        let expected = format!("columns {expected:?}");
        return Err(ComputeError::shape(OP, expected, columns.shape()));
    }
    let gap = (measured - x)?.contiguous()?;
    let columns = columns.detach().contiguous()?;
    Ok((x + gap.apply_op2(&columns, Projection)?)?)
}

/// The transform of one complex image in place, for preparing data.
///
/// # Arguments
/// - `image`: `height × width` values, row after row
///
/// # Errors
/// When a size is 0 or the number of values is another.
///
/// # Examples
/// ```
/// use ctl_compute::ops::fourier::{Complex, fft2_centred, ifft2_centred};
///
/// let mut image = vec![Complex::new(0f32, 0.0); 12];
/// image[4 * 1 + 2] = Complex::new(12f32.sqrt(), 0.0);
/// // A point at the origin has the same value at every frequency.
/// fft2_centred(&mut image, 3, 4)?;
/// assert!(image.iter().all(|v| (v - Complex::new(1.0, 0.0)).norm() < 1e-6));
/// ifft2_centred(&mut image, 3, 4)?;
/// assert!((image[6].re - 12f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn fft2_centred(image: &mut [Complex<f32>], height: usize, width: usize) -> Result<()> {
    let size = [height, width];
    transform_slice("fft2_centred", image, size, FftDirection::Forward)
}

/// The inverse of [`fft2_centred`].
///
/// # Errors
/// Those of [`fft2_centred`].
pub fn ifft2_centred(image: &mut [Complex<f32>], height: usize, width: usize) -> Result<()> {
    let size = [height, width];
    transform_slice("ifft2_centred", image, size, FftDirection::Inverse)
}

fn transform_slice(
    op: &'static str,
    image: &mut [Complex<f32>],
    [height, width]: [usize; 2],
    direction: FftDirection,
) -> Result<()> {
    if image.is_empty() || height.checked_mul(width) != Some(image.len()) {
        return Err(ComputeError::Option {
            op,
            key: "image",
            expected: "height × width values, neither of them 0",
            found: format!("{} for {height} × {width}", image.len()),
        });
    }
    Transform::new([height, width], direction).apply(image);
    Ok(())
}

fn check_images(op: &'static str, images: &Tensor) -> Result<()> {
    check_floats(op, &[images])?;
    match images.dims() {
        [_, 2, _, _] if images.elem_count() > 0 => Ok(()),
        _ => {
            let expected = "[B, 2, H, W], no size of 0";
            Err(ComputeError::shape(op, expected, images.shape()))
        }
    }
}

fn plane(layout: &Layout) -> [usize; 2] {
    let dims = layout.dims();
    [dims[2], dims[3]]
}

/// A unitary map, whose inverse is its adjoint.
struct Fourier {
    direction: FftDirection,
}

impl CustomOp1 for Fourier {
    fn name(&self) -> &'static str {
        "fourier"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => {
            Transform::<T>::new(plane(l), self.direction).apply_all(slice(s, l)?)
        });
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let adjoint = Self {
            direction: self.direction.opposite_direction(),
        };
        dy.contiguous()?.apply_op1(adjoint).map(Some)
    }
}

/// `Fᴴ M F`, its own adjoint.
struct Projection;

impl CustomOp2 for Projection {
    fn name(&self) -> &'static str {
        "frequency-projection"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => {
            project::<T>(slice(s1, l1)?, slice(s2, l2)?, plane(l1))
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        columns: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = dy.contiguous()?.apply_op2(columns, Projection)?;
        Ok((Some(dx), None))
    }
}
