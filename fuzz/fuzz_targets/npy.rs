//! NPY arrays.
#![no_main]

use std::path::Path;

use ctl_fuzz::bounded;
use ctl_imaging::npy::parse_npy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = || parse_npy(bytes, Path::new("fuzz.npy"));
    if let Ok(array) = bounded(bytes.len(), read, |_| 0) {
        assert_eq!(array.to_f64().len(), array.shape.iter().product::<usize>());
    }
});
