//! Diagram files.
#![no_main]

use ctl_graph::DiagramFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(file) = DiagramFile::parse(text) {
        assert_eq!(DiagramFile::parse(&file.to_toml()), Ok(file));
    }
});
