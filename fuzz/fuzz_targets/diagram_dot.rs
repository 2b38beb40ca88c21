//! Diagrams as Graphviz DOT.
#![no_main]

use ctl_graph::Diagram;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(diagram) = Diagram::from_dot(text) {
        assert_eq!(Diagram::from_dot(&diagram.to_dot()), Ok(diagram));
    }
});
