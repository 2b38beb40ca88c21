//! Two-dimensional convolution, closed under differentiation.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};

use super::kernels::{ConvShape, conv_forward, conv_input_gradient, conv_weight_gradient};
use super::storage::slice;
use crate::{ComputeError, Result};

/// Stride and zero padding of a convolution, equal in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dParams {
    /// Step between output pixels, at least 1.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
}

/// Convolution (cross-correlation, as deep learning has it) without bias.
///
/// `y[b, o, i, j] = Σ_{c, u, v} w[o, c, u, v] · x[b, c, i·s + u − p, j·s + v − p]`
///
/// The gradients are operators of the same kind, so second derivatives exist
/// (set `CANDLE_GRAD_DO_NOT_DETACH=1` before candle's first use to ask for them).
///
/// # Arguments
/// - `input`: `[B, C, H, W]`
/// - `weight`: `[O, C, U, V]`
///
/// # Returns
/// `[B, O, (H + 2p − U) / s + 1, (W + 2p − V) / s + 1]`, divisions rounded down.
///
/// # Errors
/// When a rank is not 4, the channels differ, the stride is 0, or the padded image is smaller than
/// the kernel.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Conv2dParams, conv2d};
///
/// let image = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &Device::Cpu)?;
/// let sum = Tensor::ones((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu)?;
/// let out = conv2d(&image, &sum, Conv2dParams { stride: 1, padding: 0 })?;
/// assert_eq!(out.flatten_all()?.to_vec1::<f32>()?, [10.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv2d(input: &Tensor, weight: &Tensor, params: Conv2dParams) -> Result<Tensor> {
    let shape = conv_shape(input, weight, params)?;
    Ok(input
        .contiguous()?
        .apply_op2(&weight.contiguous()?, Forward(shape))?)
}

fn conv_shape(input: &Tensor, weight: &Tensor, params: Conv2dParams) -> Result<ConvShape> {
    let &[batch, channels_in, height, width] = input.dims() else {
        return Err(ComputeError::shape(
            "conv2d",
            "an input [B, C, H, W]",
            input.shape(),
        ));
    };
    let &[channels_out, weight_in, kernel_h, kernel_w] = weight.dims() else {
        return Err(ComputeError::shape(
            "conv2d",
            "a weight [O, C, U, V]",
            weight.shape(),
        ));
    };
    if weight_in != channels_in {
        let expected = format!("a weight with {channels_in} input channels");
        return Err(ComputeError::shape("conv2d", expected, weight.shape()));
    }
    if params.stride == 0 {
        return Err(ComputeError::Option {
            op: "conv2d",
            key: "stride",
            expected: "at least 1",
            found: "0".into(),
        });
    }
    let padded = [height + 2 * params.padding, width + 2 * params.padding];
    if kernel_h == 0 || kernel_w == 0 || padded[0] < kernel_h || padded[1] < kernel_w {
        let expected = format!("a kernel between 1x1 and {}x{}", padded[0], padded[1]);
        return Err(ComputeError::shape("conv2d", expected, weight.shape()));
    }
    Ok(ConvShape {
        batch,
        channels_in,
        channels_out,
        height,
        width,
        kernel: [kernel_h, kernel_w],
        stride: params.stride,
        padding: params.padding,
    })
}

/// `(x, w) -> y`
struct Forward(ConvShape);
/// `(dy, w) -> dx`
struct InputGradient(ConvShape);
/// `(x, dy) -> dw`
struct WeightGradient(ConvShape);

fn input_dims(s: &ConvShape) -> Shape {
    Shape::from((s.batch, s.channels_in, s.height, s.width))
}

fn weight_dims(s: &ConvShape) -> Shape {
    Shape::from((s.channels_out, s.channels_in, s.kernel[0], s.kernel[1]))
}

fn output_dims(s: &ConvShape) -> Shape {
    let [height, width] = s.output();
    Shape::from((s.batch, s.channels_out, height, width))
}

/// Runs a generic kernel on the two operands' common float type.
macro_rules! on_floats {
    ($kernel:ident, $shape:expr, $s1:expr, $l1:expr, $s2:expr, $l2:expr) => {
        match candle_core::backend::BackendStorage::dtype($s1) {
            DType::F64 => Ok(CpuStorage::F64($kernel(
                $shape,
                slice::<f64>($s1, $l1)?,
                slice::<f64>($s2, $l2)?,
            ))),
            _ => Ok(CpuStorage::F32($kernel(
                $shape,
                slice::<f32>($s1, $l1)?,
                slice::<f32>($s2, $l2)?,
            ))),
        }
    };
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out: candle_core::Result<_> = on_floats!(conv_forward, &self.0, s1, l1, s2, l2);
        Ok((out?, output_dims(&self.0)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        // The first layer reads data, not parameters: its input gradient would be thrown away.
        let dx = input
            .track_op()
            .then(|| gradient.apply_op2(weight, InputGradient(self.0)))
            .transpose()?;
        let dw = input.apply_op2(&gradient, WeightGradient(self.0))?;
        Ok((dx, Some(dw)))
    }
}

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d-input-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out: candle_core::Result<_> = on_floats!(conv_input_gradient, &self.0, s1, l1, s2, l2);
        Ok((out?, input_dims(&self.0)))
    }

    fn bwd(
        &self,
        output_gradient: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let d_output = gradient.apply_op2(weight, Forward(self.0))?;
        let d_weight = gradient.apply_op2(output_gradient, WeightGradient(self.0))?;
        Ok((Some(d_output), Some(d_weight)))
    }
}

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d-weight-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out: candle_core::Result<_> = on_floats!(conv_weight_gradient, &self.0, s1, l1, s2, l2);
        Ok((out?, weight_dims(&self.0)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        output_gradient: &Tensor,
        _res: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let d_input = output_gradient.apply_op2(&gradient, InputGradient(self.0))?;
        let d_output = input.apply_op2(&gradient, Forward(self.0))?;
        Ok((Some(d_input), Some(d_output)))
    }
}
