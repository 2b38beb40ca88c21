//! The array `images` of an NPZ archive.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded};
use ctl_imaging::npz::parse_npz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = || parse_npz(bytes, "images", Path::new("fuzz.npz"));
    // Deflate's bound holds whether the array was read or not.
    if let Ok(array) = bounded(bytes.len(), read, |_| bytes.len() * DEFLATE) {
        assert_eq!(array.to_f64().len(), array.shape.iter().product::<usize>());
    }
});
