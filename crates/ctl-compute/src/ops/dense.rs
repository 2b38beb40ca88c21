//! Linear layers on the convolution kernels.

use std::sync::Arc;

use candle_core::{Shape, Tensor};

use super::activation::Activation;
use super::convolution::checks;
use super::convolution::operators::{Geometry, Kind, Product};
use crate::kernels::conv::ConvShape;
use crate::{ComputeError, Result};

/// `y = a(x Wᵀ + b)` over the last axis.
///
/// The input's gradient is not computed where nothing upstream of it trains.
///
/// # Arguments
/// - `input`: `[…, I]`; `weight`: `[O, I]`; `bias`: `[O]`
///
/// # Returns
/// `[…, O]`
///
/// # Errors
/// When a rank, a width, a dtype or the device does not fit.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::linear;
/// use ctl_compute::ops::Activation;
///
/// let x = Tensor::new(&[[1f32, 2.0], [-1.0, 0.0]], &Device::Cpu)?;
/// let w = Tensor::new(&[[3f32, 4.0]], &Device::Cpu)?;
/// let b = Tensor::new(&[0.5f32], &Device::Cpu)?;
/// assert_eq!(linear(&x, &w, Some(&b), Activation::Relu)?.to_vec2::<f32>()?, [[11.5], [0.0]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn linear(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    checks::operands("linear", input, weight, bias)?;
    let (&[outputs, inputs], [rows @ .., width]) = (weight.dims(), input.dims()) else {
        let expected = "an input […, I] and a weight [O, I]";
        return Err(ComputeError::shape("linear", expected, weight.shape()));
    };
    if *width != inputs {
        let expected = format!("a weight [O, {width}]");
        return Err(ComputeError::shape("linear", expected, weight.shape()));
    }
    checks::bias("linear", bias, outputs)?;
    let output: Vec<usize> = rows.iter().copied().chain([outputs]).collect();
    let product = Product {
        name: "linear",
        geometry: Arc::new(Geometry {
            shape: ConvShape::linear(rows.iter().product(), inputs, outputs),
            input: input.shape().clone(),
            weight: weight.shape().clone(),
            output: Shape::from(output),
        }),
        kind: Kind::Output,
        relu: activation == Activation::Relu,
    };
    Ok(product.apply(input, weight, bias)?)
}
