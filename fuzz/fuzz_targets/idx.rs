//! IDX arrays, plain and gzip.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded};
use ctl_imaging::idx::parse_idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = || parse_idx(bytes, Path::new("fuzz.idx"));
    let read = bounded(bytes.len(), read, |read| match read {
        Ok(array) => array.bytes.len(),
        Err(_) => bytes.len() * DEFLATE,
    });
    if let Ok(array) = read {
        assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>());
    }
});
