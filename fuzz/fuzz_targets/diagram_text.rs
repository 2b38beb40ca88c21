//! Diagrams as plain text.
#![no_main]

use ctl_graph::Diagram;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(diagram) = Diagram::parse(text) {
        assert_eq!(Diagram::parse(&diagram.to_string()), Ok(diagram));
    }
});
