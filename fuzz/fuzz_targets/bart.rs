//! Arrays of BART: the input is the header, a zero byte, and the values.
#![no_main]

use std::path::Path;

use ctl_fuzz::bounded;
use ctl_imaging::bart::parse_bart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let header = parts.next().unwrap_or_default();
    let data = parts.next().unwrap_or_default();
    let read = || parse_bart(header, data, Path::new("fuzz"));
    if let Ok(array) = bounded(bytes.len(), read, |_| 0) {
        assert_eq!(array.values().len() * 8, data.len());
    }
});
