//! Vector files: JSON in which numbers may be infinite or none.
#![no_main]

use ctl_graph::conformance::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(value) = parse(text) {
        assert_eq!(parse(&value.to_string()).ok(), Some(value));
    }
});
