//! What all custom operators share: checks of their operands and the choice of the float type.

use std::sync::LazyLock;

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

/// Devices that operands may lie on, all on the same.
const DEVICES: &str = if cfg!(feature = "cuda") {
    "the CPU or one CUDA device, the same for all operands"
} else {
    "the CPU (other devices need the feature `cuda`)"
};

fn dtype_fault(op: &'static str, found: String) -> ComputeError {
    ComputeError::Option {
        op,
        key: "dtype",
        expected: "f32 or f64, the same for all operands",
        found,
    }
}

/// Whether candle differentiates gradients again, which it reads from the environment once.
fn keeps_graphs() -> bool {
    static KEEPS: LazyLock<bool> = LazyLock::new(|| {
        std::env::var("CANDLE_GRAD_DO_NOT_DETACH").is_ok_and(|s| !s.is_empty() && s != "0")
    });
    *KEEPS
}

/// What the gradient operators of a backward pass work on.
///
/// candle cuts a gradient from its past before it goes on, but not those of the weights, which are
/// left to the caller: with their pasts they would hold the gradient of every layer's output until
/// the last is done.
/// Where nobody differentiates gradients again, operands without past have the same values.
pub(super) fn operands<const N: usize>(tensors: [&Tensor; N]) -> [Tensor; N] {
    tensors.map(|tensor| {
        if keeps_graphs() {
            tensor.clone()
        } else {
            tensor.detach()
        }
    })
}

/// Refuses operands that are not floats of one type on one device.
pub(super) fn check_floats(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    let Some(first) = operands.first() else {
        return Ok(());
    };
    for operand in operands {
        if operand.dtype() != first.dtype() || !matches!(operand.dtype(), DType::F32 | DType::F64) {
            let names: Vec<_> = operands.iter().map(|t| t.dtype().as_str()).collect();
            return Err(dtype_fault(op, names.join(", ")));
        }
    }
    check_device(op, operands)
}

/// Refuses operands on several devices, or on one that this build has no operators for.
pub(super) fn check_device(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    let Some(first) = operands.first() else {
        return Ok(());
    };
    for operand in operands {
        let device = operand.device();
        let served = device.is_cpu() || (cfg!(feature = "cuda") && device.is_cuda());
        if !served || !device.same_device(first.device()) {
            let locations: Vec<_> = operands.iter().map(|t| t.device().location()).collect();
            return Err(ComputeError::Option {
                op,
                key: "device",
                expected: DEVICES,
                found: format!("{locations:?}"),
            });
        }
    }
    Ok(())
}
