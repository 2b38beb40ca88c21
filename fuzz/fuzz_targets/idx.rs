//! IDX arrays, plain and gzip.
#![no_main]

use std::path::Path;

use ctl_imaging::idx::parse_idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = parse_idx(bytes, Path::new("fuzz.idx")) {
        assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>());
    }
});
