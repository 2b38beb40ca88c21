//! Diagrams as dagitty text.
#![no_main]

use ctl_graph::{Mixed, graph::Dagitty};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(read) = Dagitty::parse(text) {
        assert!(read.exposures.is_subset(&read.diagram.nodes()));
    }
});
