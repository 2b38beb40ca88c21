//! Graphs in serde formats: names of nodes, and edges as pairs of names.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Diagram, Mark, MarkedGraph};
use crate::GraphError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    nodes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    latent: Vec<String>,
    #[serde(default)]
    directed: Vec<(String, String)>,
    #[serde(default)]
    bidirected: Vec<(String, String)>,
}

impl Plain {
    fn of(diagram: &Diagram) -> Self {
        let pair = |(a, b)| (diagram.name(a).to_owned(), diagram.name(b).to_owned());
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Self {
            nodes: diagram
                .ids()
                .map(|node| diagram.name(node).to_owned())
                .collect(),
            latent: owned(diagram.names(&diagram.latent())),
            directed: diagram.directed_edges().map(pair).collect(),
            bidirected: diagram.bidirected_edges().map(pair).collect(),
        }
    }

    fn build(self) -> Result<Diagram, GraphError> {
        let mut builder = Diagram::builder();
        for name in &self.nodes {
            builder.declare(name)?;
        }
        // Edges and marks must not bring in nodes that are not declared.
        let known = builder.clone().build()?;
        for name in &self.latent {
            known.node(name)?;
            builder.set_observed(name, false)?;
        }
        for (a, b) in self.directed.iter().chain(&self.bidirected) {
            known.node(a).and(known.node(b))?;
        }
        self.directed
            .iter()
            .try_for_each(|(a, b)| builder.add_directed(a, b))?;
        self.bidirected
            .iter()
            .try_for_each(|(a, b)| builder.add_bidirected(a, b))?;
        builder.build()
    }
}

impl Serialize for Diagram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Plain::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Diagram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer)?
            .build()
            .map_err(de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainEdge {
    a: String,
    at_a: Mark,
    at_b: Mark,
    b: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainMarked {
    nodes: Vec<String>,
    edges: Vec<PlainEdge>,
}

impl PlainMarked {
    fn build(self) -> Result<MarkedGraph, GraphError> {
        let mut graph = MarkedGraph::new(&self.nodes)?;
        for edge in self.edges {
            let (a, b) = (graph.node(&edge.a)?, graph.node(&edge.b)?);
            let text = format!("{} and {}", edge.a, edge.b);
            if a == b {
                return Err(GraphError::SelfLoop { edge: text });
            }
            if graph.are_adjacent(a, b) {
                return Err(GraphError::DuplicateEdge { edge: text });
            }
            graph.join(a, b, edge.at_a, edge.at_b);
        }
        Ok(graph)
    }
}

impl Serialize for MarkedGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |node| self.name(node).to_owned();
        let edges = self.edges();
        let edges = edges.map(|e| PlainEdge {
            a: name(e.a),
            at_a: e.at_a,
            at_b: e.at_b,
            b: name(e.b),
        });
        PlainMarked {
            nodes: self.ids().map(name).collect(),
            edges: edges.collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MarkedGraph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PlainMarked::deserialize(deserializer)?
            .build()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const STUDY: &str = r#"{"nodes":["a","b","c"],"latent":["c"],"directed":[["a","b"],["c","b"]],"bidirected":[["a","b"]]}"#;
    const MARKED: &str =
        r#"{"nodes":["a","b"],"edges":[{"a":"a","at_a":"tail","at_b":"circle","b":"b"}]}"#;

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = serde_json::from_str::<Diagram>(&text);
            let _ = serde_json::from_str::<MarkedGraph>(&text);
        }

        /// A changed byte leads to an error or to a sound graph.
        #[test]
        fn no_damaged_text_panics(at in 0..STUDY.len(), new in "[a-d\\[\\],:{}\"]") {
            for text in [STUDY, MARKED] {
                let at = at % text.len();
                let text = format!("{}{new}{}", &text[..at], &text[at + 1..]);
                if let Ok(diagram) = serde_json::from_str::<Diagram>(&text) {
                    prop_assert_eq!(diagram.topological_order().len(), diagram.len());
                }
                if let Ok(graph) = serde_json::from_str::<MarkedGraph>(&text) {
                    prop_assert!(graph.edges().all(|edge| edge.a < edge.b));
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let diagram = Diagram::parse("u [latent]; b; a -> b; a <-> u").unwrap();
        let json = serde_json::to_string(&diagram).unwrap();
        assert_eq!(
            json,
            r#"{"nodes":["u","b","a"],"latent":["u"],"directed":[["a","b"]],"bidirected":[["u","a"]]}"#
        );
        assert_eq!(serde_json::from_str::<Diagram>(&json).unwrap(), diagram);

        let mut graph = MarkedGraph::new(&["a", "b", "c"]).unwrap();
        graph.join(
            graph.node("a").unwrap(),
            graph.node("c").unwrap(),
            Mark::Circle,
            Mark::Arrow,
        );
        let json = serde_json::to_string(&graph).unwrap();
        assert!(
            json.ends_with(r#"[{"a":"a","at_a":"circle","at_b":"arrow","b":"c"}]}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<MarkedGraph>(&json).unwrap(), graph);
    }

    #[rstest]
    #[case(
        r#"{"nodes": ["a"], "directed": [["a", "b"]]}"#,
        "node b: not in the graph, which has a"
    )]
    #[case(r#"{"nodes": ["a", "a"]}"#, "node a: declared twice")]
    #[case(
        r#"{"nodes": ["a"], "latent": ["b"]}"#,
        "node b: not in the graph, which has a"
    )]
    fn faults_are_named(#[case] json: &str, #[case] message: &str) {
        let fault = serde_json::from_str::<Diagram>(json)
            .unwrap_err()
            .to_string();
        assert!(fault.starts_with(message), "{fault}");
    }
}
