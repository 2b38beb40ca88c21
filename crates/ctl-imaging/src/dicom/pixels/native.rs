//! Uncompressed pixels (PS3.5 section 8).

use super::layout::{Layout, Store};
use super::{Problem, colour};
use crate::dicom::data::{Compression, Element, Encoding};
use crate::volume::Samples;
use dicom_core::VR;

/// The values of an element of pixels, the samples of a pixel together.
///
/// Longer elements are cut if they are padded by less than a frame; if they hold more frames than
/// `layout` says, `layout` is corrected.
pub(super) fn decode(element: &Element<'_>, layout: &mut Layout) -> Result<Samples, Problem> {
    let subsampled = layout.is_subsampled(Compression::Native);
    let values = layout.frame_values();
    let stored = if subsampled { values / 3 * 2 } else { values };
    let bits = (stored as u64).saturating_mul(layout.bits_allocated.into());
    let wanted = bits.saturating_mul(layout.frames as u64).div_ceil(8);
    let length = element.value.len() as u64;
    if length < wanted {
        return Err(Problem::new(
            format!("{wanted} bytes of pixels"),
            format!("{length} (truncated)"),
        ));
    }
    if subsampled && length >= wanted / 2 * 3 {
        return Err(Problem::new(
            format!("{wanted} bytes of subsampled pixels"),
            format!("{length}, as many as pixels with colours of their own have"),
        ));
    }
    // More than the padding to an even length is tolerated, but whole frames are not dropped.
    let held = length.saturating_mul(8) / bits.max(1);
    if held > layout.frames as u64 && length > wanted + wanted % 2 {
        layout.frames = held as usize;
    }
    let bytes = (bits.saturating_mul(layout.frames as u64)).div_ceil(8) as usize;
    let samples = if layout.bits_allocated == 1 {
        Samples::U8(unpack_bits(element.value, values * layout.frames))
    } else if swaps_bytes(element, layout) {
        let mut swapped = element.value.to_vec();
        for pair in swapped.as_chunks_mut::<2>().0 {
            pair.reverse();
        }
        numbers(
            &swapped[..bytes.min(swapped.len())],
            layout,
            element.encoding,
        )
    } else {
        numbers(&element.value[..bytes], layout, element.encoding)
    };
    Ok(arranged(samples, layout, subsampled))
}

/// Bytes that big-endian files keep in words of two lie exchanged.
fn swaps_bytes(element: &Element<'_>, layout: &Layout) -> bool {
    element.encoding.big_endian
        && layout.bits_allocated == 8
        && element.written_vr() == Some(VR::OW)
}

fn unpack_bits(bytes: &[u8], count: usize) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1))
        .take(count)
        .collect()
}

/// Values of `layout`'s type from bytes in the order of `encoding`.
pub(super) fn numbers(bytes: &[u8], layout: &Layout, encoding: Encoding) -> Samples {
    macro_rules! read {
        ($variant:ident, $number:ty) => {{
            let chunks = bytes.as_chunks().0.iter();
            Samples::$variant(if encoding.big_endian {
                chunks
                    .map(|&chunk| <$number>::from_be_bytes(chunk))
                    .collect()
            } else {
                chunks
                    .map(|&chunk| <$number>::from_le_bytes(chunk))
                    .collect()
            })
        }};
    }
    match (layout.store, layout.bits_allocated, layout.signed) {
        (Store::Floats, ..) => read!(F32, f32),
        (Store::Doubles, ..) => read!(F64, f64),
        (_, 8, true) => read!(I8, i8),
        (_, 16, false) => read!(U16, u16),
        (_, 16, true) => read!(I16, i16),
        (_, 32, false) => read!(U32, u32),
        (_, 32, true) => read!(I32, i32),
        (_, 64, false) => read!(U64, u64),
        (_, 64, true) => read!(I64, i64),
        _ => Samples::U8(bytes.to_vec()),
    }
}

/// Brings the samples of a pixel together.
fn arranged(samples: Samples, layout: &Layout, subsampled: bool) -> Samples {
    if subsampled {
        return crate::volume::map_any_type!(samples, values => colour::expand_422(&values));
    }
    if !layout.planar || layout.samples == 1 {
        return samples;
    }
    let frame = layout.frame_values();
    crate::volume::map_any_type!(samples, values => values
        .chunks_exact(frame)
        .flat_map(|planes| colour::interleave(planes, layout.samples))
        .collect())
}
