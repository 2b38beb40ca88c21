//! Elements as bytes (PS3.5 section 7.1).

use crate::dicom::data::{Encoding, ITEM, has_long_length};
use dicom_core::{Tag, VR};

/// Longest value of an element with a length of two bytes.
const SHORT: usize = 0xFFFE;

/// An element of a value of known length, which is padded to an even one.
pub(super) fn element(tag: Tag, vr: VR, mut value: Vec<u8>, encoding: Encoding) -> Vec<u8> {
    if value.len() % 2 == 1 {
        let is_text = crate::dicom::data::is_text(Some(vr)) && vr != VR::UI;
        value.push(if is_text { b' ' } else { 0 });
    }
    let mut bytes = tag_bytes(tag, encoding).to_vec();
    if encoding.implicit {
        bytes.extend(u32_bytes(value.len(), encoding));
    } else if has_long_length(vr) || value.len() > SHORT {
        // A value too long for its representation is one of unknown kind (PS3.5 section 6.2.2).
        let code = if has_long_length(vr) { vr } else { VR::UN };
        bytes.extend(code.to_bytes());
        bytes.extend([0, 0]);
        bytes.extend(u32_bytes(value.len(), encoding));
    } else {
        bytes.extend(vr.to_bytes());
        let length = value.len() as u16;
        bytes.extend(if encoding.big_endian {
            length.to_be_bytes()
        } else {
            length.to_le_bytes()
        });
    }
    bytes.extend(value);
    bytes
}

/// An item of elements.
pub(super) fn item(elements: Vec<(Tag, Vec<u8>)>, encoding: Encoding) -> Vec<u8> {
    let content = joined(elements);
    let mut bytes = tag_bytes(ITEM, encoding).to_vec();
    bytes.extend(u32_bytes(content.len(), encoding));
    bytes.extend(content);
    bytes
}

/// Elements one after the other, by tag.
pub(super) fn joined(mut elements: Vec<(Tag, Vec<u8>)>) -> Vec<u8> {
    elements.sort_by_key(|element| element.0);
    elements.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

fn tag_bytes(tag: Tag, encoding: Encoding) -> [u8; 4] {
    let (group, element) = (tag.group(), tag.element());
    let ([a, b], [c, d]) = if encoding.big_endian {
        (group.to_be_bytes(), element.to_be_bytes())
    } else {
        (group.to_le_bytes(), element.to_le_bytes())
    };
    [a, b, c, d]
}

fn u32_bytes(length: usize, encoding: Encoding) -> [u8; 4] {
    let length = length as u32;
    if encoding.big_endian {
        length.to_be_bytes()
    } else {
        length.to_le_bytes()
    }
}
