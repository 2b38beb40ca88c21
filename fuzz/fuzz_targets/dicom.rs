//! A DICOM file with its pixels.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded, claims};
use ctl_imaging::ImagingError;
use ctl_imaging::dicom::{DicomInfo, info_of_bytes};
use libfuzzer_sys::fuzz_target;

/// Bytes of a value, the widest ones.
const VALUE: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    // Of the frames that are declared, those count for which there can be a fragment.
    let fragments = bytes.len() / 8 + 1;
    let declared = |read: &Result<DicomInfo, ImagingError>| {
        let inflated = bytes.len() * DEFLATE;
        let pixels = match read.as_ref().map(|info| info.pixel.as_ref()) {
            Ok(Some(pixels)) => pixels.shape.iter().product::<usize>() * VALUE,
            _ => claims::dicom(bytes, fragments),
        };
        inflated.saturating_add(pixels)
    };
    let read = || info_of_bytes(bytes.to_vec(), Path::new("fuzz.dcm"));
    if let Ok(info) = bounded(bytes.len(), read, declared) {
        assert!(info.pixel.is_none() || info.pixel_error.is_none());
        assert!(info.n_elements > 0);
    }
});
