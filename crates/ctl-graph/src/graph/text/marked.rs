//! Graphs with marks from text: `x o-> y; y --> z`.

use std::collections::HashMap;
use std::str::FromStr;

use super::cursor::{Cursor, Syntax};
use super::plain::is_bare;
use crate::GraphError;
use crate::graph::{Mark, MarkedGraph, NodeId};

const SYNTAX: Syntax = Syntax {
    format: "text of a graph with marks",
    hash_comments: true,
    slash_comments: false,
    lines_matter: true,
};

/// The edges and their marks at the left and the right end.
const EDGES: &[(&str, Mark, Mark)] = &[
    ("---", Mark::Tail, Mark::Tail),
    ("-->", Mark::Tail, Mark::Arrow),
    ("--o", Mark::Tail, Mark::Circle),
    ("<--", Mark::Arrow, Mark::Tail),
    ("<->", Mark::Arrow, Mark::Arrow),
    ("<-o", Mark::Arrow, Mark::Circle),
    ("o--", Mark::Circle, Mark::Tail),
    ("o->", Mark::Circle, Mark::Arrow),
    ("o-o", Mark::Circle, Mark::Circle),
];

impl MarkedGraph {
    /// Reads a graph from text, as [`Display`](std::fmt::Display) writes it.
    ///
    /// Statements end with `;` or with the line. A statement is a chain of nodes joined by two marks
    /// with `-` between them (a tail `-`, an arrow `<` or `>`, a circle `o`), or a single node. Names
    /// with other characters than letters, digits and `_.'` stand in double quotes. `#` begins a
    /// comment. Nodes keep the order in which they are first named.
    ///
    /// # Errors
    /// [`GraphError::Parse`] with line and column, [`GraphError::EmptyName`],
    /// [`GraphError::SelfLoop`], [`GraphError::DuplicateEdge`] and [`GraphError::Limit`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::graph::{Mark, MarkedGraph};
    ///
    /// let graph = MarkedGraph::parse("z o-> x <-o w; x --> y")?;
    /// assert_eq!(graph.mark(graph.node("w")?, graph.node("x")?), Some(Mark::Arrow));
    /// assert_eq!(graph.to_string(), "z o-> x; x <-o w; x --> y");
    /// let fault = MarkedGraph::parse("x --> y; y o-o x").unwrap_err();
    /// assert_eq!(fault.to_string(), "edge y o-o x: given twice");
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        let mut cursor = Cursor::new(text, SYNTAX);
        let mut read = Read::default();
        while !cursor.at_end()? {
            if cursor.accept_any(&[";", "\n"])?.is_none() {
                read.statement(&mut cursor)?;
            }
        }
        read.build()
    }
}

impl FromStr for MarkedGraph {
    type Err = GraphError;

    fn from_str(text: &str) -> Result<Self, GraphError> {
        Self::parse(text)
    }
}

/// What the statements say.
#[derive(Default)]
struct Read {
    names: Vec<String>,
    index: HashMap<String, NodeId>,
    edges: Vec<(NodeId, &'static str, NodeId)>,
}

impl Read {
    fn statement(&mut self, cursor: &mut Cursor<'_>) -> Result<(), GraphError> {
        let operators: Vec<&'static str> = EDGES.iter().map(|edge| edge.0).collect();
        let mut from = self.node(cursor)?;
        while let Some(edge) = cursor.accept_any(&operators)? {
            let to = self.node(cursor)?;
            self.edges.push((from, edge, to));
            from = to;
        }
        if cursor.at_end()? || matches!(cursor.peek(), Some(';' | '\n')) {
            return Ok(());
        }
        Err(cursor.error("an edge or the statement's end"))
    }

    fn node(&mut self, cursor: &mut Cursor<'_>) -> Result<NodeId, GraphError> {
        let name = cursor.name(is_bare)?;
        let name = name.ok_or_else(|| cursor.error("a node's name"))?;
        let next = NodeId::new(self.names.len());
        let id = *self.index.entry(name.clone()).or_insert(next);
        if id == next {
            self.names.push(name);
        }
        Ok(id)
    }

    fn build(self) -> Result<MarkedGraph, GraphError> {
        let mut graph = MarkedGraph::new(&self.names)?;
        for (a, text, b) in self.edges {
            let edge = || format!("{} {text} {}", graph.name(a), graph.name(b));
            if a == b {
                return Err(GraphError::SelfLoop { edge: edge() });
            }
            if graph.are_adjacent(a, b) {
                return Err(GraphError::DuplicateEdge { edge: edge() });
            }
            if let Some((_, at_a, at_b)) = EDGES.iter().find(|known| known.0 == text) {
                graph.join(a, b, *at_a, *at_b);
            }
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "x -> y",
        "text of a graph with marks, line 1, column 3: expected an edge or the statement's end, found `-> y`"
    )]
    #[case(
        "x o-o ",
        "text of a graph with marks, line 1, column 7: expected a node's name, found the end"
    )]
    #[case("x o-> x", "edge x o-> x: joins a node with itself")]
    #[case("\"\"", "node: expected a name, found an empty one")]
    fn faults_are_named(#[case] text: &str, #[case] message: &str) {
        assert_eq!(MarkedGraph::parse(text).unwrap_err().to_string(), message);
    }

    #[test]
    fn too_many_nodes_are_an_error() {
        let names: Vec<String> = (0..20_000).map(|i| format!("v{i}")).collect();
        assert!(matches!(
            MarkedGraph::parse(&names.join(";")),
            Err(GraphError::Limit { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::btree_set("[ao\" -]{1,3}", 2..6),
            kinds in proptest::collection::vec(0_usize..12, 15),
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let mut graph = MarkedGraph::new(&names).unwrap();
            let pairs = graph.ids().flat_map(|b| (0..b.index()).map(move |a| (NodeId::new(a), b)));
            for ((a, b), kind) in pairs.zip(kinds) {
                if let Some((_, at_a, at_b)) = EDGES.get(kind) {
                    graph.join(a, b, *at_a, *at_b);
                }
            }
            let read = MarkedGraph::parse(&graph.to_string()).unwrap();
            prop_assert_eq!(read.len(), graph.len());
            for (a, b) in graph.ids().flat_map(|a| graph.ids().map(move |b| (a, b))) {
                let same = |node| read.node(graph.name(node)).unwrap();
                prop_assert_eq!(read.mark(same(a), same(b)), graph.mark(a, b));
            }
        }

        #[test]
        fn no_text_panics(text in "[a-bo\"\\\\ ;\n<>\\-#]{0,40}") {
            let _ = MarkedGraph::parse(&text);
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = MarkedGraph::parse(&text);
        }
    }
}
