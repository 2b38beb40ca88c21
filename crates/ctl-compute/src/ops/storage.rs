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
