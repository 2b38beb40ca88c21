//! Diagrams and marked graphs as JSON.
#![no_main]

use ctl_graph::{Diagram, graph::MarkedGraph};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(diagram) = serde_json::from_str::<Diagram>(text) {
        assert_eq!(diagram.topological_order().len(), diagram.len());
    }
    if let Ok(graph) = serde_json::from_str::<MarkedGraph>(text) {
        assert!(graph.edges().all(|edge| edge.a < edge.b));
    }
});
