//! A DICOM file with its pixels.
#![no_main]

use std::path::Path;

use ctl_imaging::dicom::info_of_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(info) = info_of_bytes(bytes.to_vec(), Path::new("fuzz.dcm")) {
        assert!(info.pixel.is_none() || info.pixel_error.is_none());
        assert!(info.n_elements > 0);
    }
});
