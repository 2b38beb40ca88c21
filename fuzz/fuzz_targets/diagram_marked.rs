//! Graphs with marks as text.
#![no_main]

use ctl_graph::graph::MarkedGraph;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(graph) = MarkedGraph::parse(text) {
        let read = MarkedGraph::parse(&graph.to_string()).expect("it was written by this crate");
        assert_eq!(read.edges().count(), graph.edges().count());
    }
});
