//! Pages of TIFF files.

use super::golden::{bytes, unit};
use ctl_imaging::ImagingError;
use ctl_imaging::tiff::{PageAxis, parse_pages, read_pages, tiff_pages};
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) hex: String,
    kind: String,
    shape: Vec<usize>,
    components: usize,
    values: Vec<f64>,
}

pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/volume_tiff.json")).unwrap()
}

fn named(name: &str) -> Vec<u8> {
    let cases = cases();
    bytes(&cases.iter().find(|case| case.name == name).unwrap().hex)
}

#[test]
fn pages_have_the_values_that_were_written() {
    let cases = cases();
    assert_eq!(cases.len(), 18);
    for case in cases {
        let path = Path::new(&case.name);
        let read = parse_pages(&bytes(&case.hex), path, PageAxis::Slices, unit());
        let volume = read.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        assert_eq!(volume.shape(), case.shape, "{}", case.name);
        assert_eq!(volume.components(), case.components, "{}", case.name);
        assert_eq!(volume.sample_type().name(), case.kind, "{}", case.name);
        assert_eq!(volume.to_f64(), case.values, "{}", case.name);
    }
}

#[test]
fn pages_may_be_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tif");
    fs::write(&path, named("uint16")).unwrap();
    let slices = read_pages(&path, PageAxis::Slices, unit()).unwrap();
    let frames = read_pages(&path, PageAxis::Frames, unit()).unwrap();
    assert_eq!(frames.shape(), [5, 4, 1, 3]);
    assert_eq!(frames.samples(), slices.samples());
}

#[test]
fn resolution_and_description_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tif");
    fs::write(&path, named("resolution")).unwrap();
    let pages = tiff_pages(&path).unwrap();
    assert_eq!(pages.len(), 1);
    let resolution = pages[0].resolution.unwrap();
    assert_eq!((resolution.x, resolution.y), (400.0, 200.0));
    assert_eq!(resolution.pixel_millimetres(), Some([0.025, 0.05]));
    assert_eq!(pages[0].description.as_deref(), Some("a phantom"));
    assert_eq!(
        (pages[0].width, pages[0].height, pages[0].bits),
        (19, 5, 16)
    );
}

#[test]
fn other_files_and_pages_are_refused() {
    let parse = |bytes: &[u8]| parse_pages(bytes, Path::new("x.tif"), PageAxis::Slices, unit());
    assert!(matches!(
        parse(b"GIF89a"),
        Err(ImagingError::Content { .. })
    ));
    let whole = named("uint16");
    let volume = parse(&whole).unwrap();
    for cut in 0..whole.len() {
        // The last bytes may be a tag that nothing depends upon.
        let read = parse(&whole[..cut]).ok();
        assert!(
            read.is_none() || (cut + 16 >= whole.len() && read == Some(volume.clone())),
            "{cut}"
        );
    }
    // One strip of 65,535 x 65,535: found by its size, before anything is decoded.
    let mut huge = named("uint8");
    for tag in [256_u16, 257, 278] {
        let is_entry = |w: &[u8]| w[..2] == tag.to_le_bytes() && w[2] <= 4 && w[3] == 0;
        let entry = huge.windows(4).position(is_entry).unwrap();
        huge[entry + 8..entry + 10].copy_from_slice(&[0xff, 0xff]);
    }
    let text = parse(&huge).unwrap_err().to_string();
    assert!(text.contains("of strips or tiles"), "{text}");
    // One tag of 327,681 words: a decoder would make room for all of them.
    let tags = b"II*\0\x08\0\0\0\x01\0\x01\x01\x04\0\x01\0\x05\0\0\0\0\0\0\0\0\0";
    let text = parse(tags).unwrap_err().to_string();
    assert!(text.contains("values of tag 257 within"), "{text}");
}
