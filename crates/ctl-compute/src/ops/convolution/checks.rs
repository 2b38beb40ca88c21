//! What every operand must be before an operator is built.

use candle_core::{DType, Tensor};

use crate::ops::custom::check_device;
use crate::{ComputeError, Result};

/// Whether the operands are floats of one type on one device.
pub(in crate::ops) fn operands(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<()> {
    let dtype = input.dtype();
    for tensor in [Some(input), Some(weight), bias].into_iter().flatten() {
        if tensor.dtype() != dtype || !matches!(dtype, DType::F32 | DType::F64) {
            return Err(ComputeError::Shape {
                op,
                expected: "operands that are all f32 or all f64".into(),
                found: format!("{} beside {}", dtype.as_str(), tensor.dtype().as_str()),
            });
        }
    }
    let operands: Vec<_> = [input, weight].into_iter().chain(bias).collect();
    check_device(op, &operands)
}

pub(in crate::ops) fn bias(op: &'static str, bias: Option<&Tensor>, channels: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.dims() != [channels] => Err(ComputeError::shape(
            op,
            format!("a bias [{channels}]"),
            bias.shape(),
        )),
        _ => Ok(()),
    }
}
