//! The array `images` of an NPZ archive.
#![no_main]

use std::path::Path;

use ctl_imaging::npz::parse_npz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = parse_npz(bytes, "images", Path::new("fuzz.npz")) {
        assert_eq!(array.to_f64().len(), array.shape.iter().product::<usize>());
    }
});
