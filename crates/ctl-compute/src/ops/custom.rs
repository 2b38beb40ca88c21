//! What all custom operators share: checks of their operands and the choice of the float type.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Tensor, WithDType};

use crate::kernels::float::Float;
use crate::{ComputeError, Result};

/// A float type of both candle and the kernels.
pub(super) trait Element: WithDType + Float {}

impl Element for f32 {}
impl Element for f64 {}

/// Evaluates `body` with `T` standing for the float type of `storage`.
macro_rules! by_dtype {
    ($storage:expr, $T:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $T = f32;
                candle_core::CpuStorage::F32($body)
            }
            candle_core::CpuStorage::F64(_) => {
                type $T = f64;
                candle_core::CpuStorage::F64($body)
            }
            other => return Err($crate::ops::custom::not_a_float(other)),
        }
    };
}

pub(super) use by_dtype;

pub(super) fn not_a_float(storage: &CpuStorage) -> candle_core::Error {
    let found = storage.dtype().as_str().to_owned();
    dtype_fault("custom operator", found).into()
}

fn dtype_fault(op: &'static str, found: String) -> ComputeError {
    ComputeError::Option {
        op,
        key: "dtype",
        expected: "f32 or f64, the same for all operands",
        found,
    }
}

/// Refuses operands that are not floats of one type on the CPU.
pub(super) fn check_floats(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    let Some(first) = operands.first() else {
        return Ok(());
    };
    for operand in operands {
        if operand.dtype() != first.dtype() || !matches!(operand.dtype(), DType::F32 | DType::F64) {
            let names: Vec<_> = operands.iter().map(|t| t.dtype().as_str()).collect();
            return Err(dtype_fault(op, names.join(", ")));
        }
        if !operand.device().is_cpu() {
            return Err(ComputeError::Option {
                op,
                key: "device",
                expected: "the CPU",
                found: format!("{:?}", operand.device().location()),
            });
        }
    }
    Ok(())
}
