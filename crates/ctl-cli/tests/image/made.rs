//! DICOM files of one slice, made by hand (PS3.5 section 7.1.2, explicit little endian).

use std::collections::BTreeMap;
use std::path::Path;

/// Elements by tag: representation and value.
pub(crate) type Elements = BTreeMap<(u16, u16), (&'static str, Vec<u8>)>;

/// Of 4 columns × 3 rows of 1 mm, rows to the left, columns to the back.
pub(crate) fn slice(series: &str, z: i32, values: &[i16; 12]) -> Elements {
    let words: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let (instance, place) = (format!("{series}.{}", z + 100), format!("0\\0\\{z}"));
    let mut elements = Elements::new();
    for (tag, vr, value) in [
        ((0x0008, 0x0016), "UI", "1.2.840.10008.5.1.4.1.1.2"),
        ((0x0008, 0x0018), "UI", instance.as_str()),
        ((0x0008, 0x0060), "CS", "CT"),
        ((0x0008, 0x103e), "LO", "thorax"),
        ((0x0018, 0x0050), "DS", "2"),
        ((0x0020, 0x000d), "UI", "1.2.3"),
        ((0x0020, 0x000e), "UI", series),
        ((0x0020, 0x0032), "DS", place.as_str()),
        ((0x0020, 0x0037), "DS", "1\\0\\0\\0\\1\\0"),
        ((0x0028, 0x0004), "CS", "MONOCHROME2"),
        ((0x0028, 0x0030), "DS", "1\\1"),
    ] {
        set(&mut elements, tag, vr, value);
    }
    for (element, value) in [
        (0x0002, 1_u16),
        (0x0010, 3),
        (0x0011, 4),
        (0x0100, 16),
        (0x0101, 16),
        (0x0102, 15),
        (0x0103, 1),
    ] {
        elements.insert((0x0028, element), ("US", value.to_le_bytes().to_vec()));
    }
    elements.insert((0x7fe0, 0x0010), ("OW", words));
    elements
}

/// Sets an element of text.
pub(crate) fn set(elements: &mut Elements, tag: (u16, u16), vr: &'static str, value: &str) {
    let mut bytes = value.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(if vr == "UI" { 0 } else { b' ' });
    }
    elements.insert(tag, (vr, bytes));
}

/// Writes preamble, meta information and elements.
pub(crate) fn save(elements: &Elements, path: &Path) {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    put(&mut bytes, (0x0002, 0x0010), "UI", b"1.2.840.10008.1.2.1\0");
    for (&tag, (vr, value)) in elements {
        put(&mut bytes, tag, vr, value);
    }
    std::fs::write(path, bytes).unwrap();
}

fn put(bytes: &mut Vec<u8>, (group, element): (u16, u16), vr: &str, value: &[u8]) {
    bytes.extend(group.to_le_bytes());
    bytes.extend(element.to_le_bytes());
    bytes.extend(vr.as_bytes());
    if vr == "OW" {
        bytes.extend([0, 0]);
        bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    } else {
        bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    }
    bytes.extend(value);
}
