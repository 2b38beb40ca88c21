//! NPY arrays.
#![no_main]

use std::path::Path;

use ctl_imaging::npy::parse_npy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = parse_npy(bytes, Path::new("fuzz.npy")) {
        assert_eq!(array.to_f64().len(), array.shape.iter().product::<usize>());
    }
});
