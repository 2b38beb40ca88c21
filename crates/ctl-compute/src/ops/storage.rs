//! Access to the values behind a contiguous tensor.

use candle_core::{CpuStorage, Layout, WithDType};

/// The values of a contiguous operand.
pub(super) fn slice<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| {
        candle_core::Error::Msg("custom operator: operand is not contiguous".into())
    })?;
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// Evaluates `body` on the values of a tensor that has been checked to hold floats, or on a copy
/// where it is on another device.
macro_rules! with_values {
    ($tensor:expr, |$values:ident| $body:expr) => {{
        let tensor = $tensor.to_device(&candle_core::Device::Cpu)?.contiguous()?;
        let (storage, layout) = tensor.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else {
            return Err(candle_core::Error::Msg("values are not on the CPU".into()).into());
        };
        match storage {
            candle_core::CpuStorage::F64(_) => {
                let $values = $crate::ops::storage::slice::<f64>(storage, layout)?;
                $body
            }
            _ => {
                let $values = $crate::ops::storage::slice::<f32>(storage, layout)?;
                $body
            }
        }
    }};
}

pub(super) use with_values;

/// Runs `read` on the values of a tensor where they lie, or on a copy where they are not
/// contiguous or on another device.
pub(crate) fn values<R>(
    tensor: &candle_core::Tensor,
    read: impl FnOnce(&[f32]) -> R,
) -> crate::Result<R> {
    let tensor = tensor.to_device(&candle_core::Device::Cpu)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else {
        return Err(candle_core::Error::Msg("values are not on the CPU".into()).into());
    };
    Ok(read(slice::<f32>(storage, layout)?))
}
