//! Graphviz DOT, in and out.

use std::fmt::Write as _;

use super::braced::{Attribute, Dialect, Item, Statement, body};
use super::cursor::{Cursor, Syntax, quoted};
use crate::GraphError;
use crate::graph::{Diagram, DiagramBuilder};

const SYNTAX: Syntax = Syntax {
    format: "DOT",
    hash_comments: true,
    slash_comments: true,
    lines_matter: false,
};

const DIALECT: Dialect = Dialect {
    operators: &["->"],
    bare: is_bare,
    blocks: true,
};

/// Where an edge has its arrowheads.
#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Back,
    Both,
}

impl Diagram {
    /// Reads a diagram from a DOT `digraph`.
    ///
    /// An edge with `dir=both` is bidirected, one with `dir=back` is turned round; a node with
    /// `observed=false` or `latent=true` is latent. `{a b} -> c` joins each member; other attributes
    /// concern layout and are passed over. Of a subgraph its statements count; one that an edge
    /// joins may hold nodes only. Ports and HTML strings are not read.
    ///
    /// # Errors
    /// [`GraphError::Parse`] with line and column, and what [`DiagramBuilder`] objects to.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::Diagram;
    ///
    /// let diagram = Diagram::from_dot(
    ///     r#"digraph "a study" { rankdir=LR; u [latent=true];
    ///        {scanner disease} -> image; disease -> scanner [dir=both, style=dashed] }"#,
    /// )?;
    /// assert_eq!(
    ///     diagram.to_string(),
    ///     "u [latent]; scanner; disease; image; scanner -> image; disease -> image; scanner <-> disease"
    /// );
    /// assert_eq!(Diagram::from_dot(&diagram.to_dot())?, diagram);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn from_dot(text: &str) -> Result<Self, GraphError> {
        let mut cursor = Cursor::new(text, SYNTAX);
        let mut word = cursor.name(is_bare)?.unwrap_or_default().to_lowercase();
        if word == "strict" {
            word = cursor.name(is_bare)?.unwrap_or_default().to_lowercase();
        }
        if word != "digraph" {
            return Err(cursor.error("`digraph`"));
        }
        cursor.name(is_bare)?;
        let mut builder = Self::builder();
        let mut usual = Direction::Forward;
        let mut outside = Vec::new();
        for item in body(&mut cursor, DIALECT)? {
            match item {
                Item::Open => outside.push(usual),
                Item::Close => usual = outside.pop().unwrap_or(usual),
                Item::Statement(statement) if statement.operators.is_empty() => {
                    nodes(&statement, &mut builder, &mut usual)?;
                }
                Item::Statement(statement) => edges(&statement, &mut builder, usual)?,
            }
        }
        builder.build()
    }

    /// The diagram as a DOT `digraph` that [`Diagram::from_dot`] reads back into an equal one.
    ///
    /// # Examples
    ///
    /// ```
    /// let diagram = ctl_graph::Diagram::parse("x -> y; x <-> y")?;
    /// let dot = "digraph {\n  \"x\";\n  \"y\";\n  \"x\" -> \"y\";\n  \"x\" -> \"y\" [dir=both, style=dashed];\n}\n";
    /// assert_eq!(diagram.to_dot(), dot);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let name = |id| quoted(self.name(id), |_| false);
        let mut dot = String::from("digraph {\n");
        for id in self.ids() {
            let mark = if self.is_observed(id) {
                ""
            } else {
                " [latent=true, style=dashed]"
            };
            // Writing to a string cannot fail.
            let _ = writeln!(dot, "  {}{mark};", name(id));
        }
        for (from, to) in self.directed_edges() {
            let _ = writeln!(dot, "  {} -> {};", name(from), name(to));
        }
        for (a, b) in self.bidirected_edges() {
            let _ = writeln!(
                dot,
                "  {} -> {} [dir=both, style=dashed];",
                name(a),
                name(b)
            );
        }
        dot.push_str("}\n");
        dot
    }
}

/// A statement about nodes, or about what later edges are like.
fn nodes(
    statement: &Statement<'_>,
    builder: &mut DiagramBuilder,
    usual: &mut Direction,
) -> Result<(), GraphError> {
    // Within quotes and braces these words are names.
    let plain = !matches!(statement.at.peek(), Some('"' | '{'));
    for name in &statement.groups[0] {
        match name.to_lowercase().as_str() {
            "node" | "graph" if plain => {}
            "edge" if plain => *usual = direction(statement, *usual)?,
            "subgraph" if plain => return Err(statement.at.error("a node or an edge")),
            _ => {
                builder.get_or_add(name)?;
                for attribute in &statement.attributes {
                    if let Some(observed) = observed(attribute) {
                        builder.set_observed(name, observed)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn observed((name, value): &Attribute) -> Option<bool> {
    let value = match value.as_deref() {
        Some("true" | "yes" | "1") | None => true,
        Some("false" | "no" | "0") => false,
        Some(_) => return None,
    };
    match name.as_str() {
        "latent" => Some(!value),
        "observed" => Some(value),
        _ => None,
    }
}

fn direction(statement: &Statement<'_>, usual: Direction) -> Result<Direction, GraphError> {
    let given = statement.attributes.iter().rfind(|(name, _)| name == "dir");
    match given.map(|(_, value)| value.as_deref()) {
        None => Ok(usual),
        Some(Some("forward")) => Ok(Direction::Forward),
        Some(Some("back")) => Ok(Direction::Back),
        Some(Some("both")) => Ok(Direction::Both),
        Some(_) => Err(statement.at.error("an edge with dir=forward, back or both")),
    }
}

fn edges(
    statement: &Statement<'_>,
    builder: &mut DiagramBuilder,
    usual: Direction,
) -> Result<(), GraphError> {
    let direction = direction(statement, usual)?;
    for name in statement.groups.iter().flatten() {
        builder.get_or_add(name)?;
    }
    for pair in statement.groups.windows(2) {
        for from in &pair[0] {
            for to in &pair[1] {
                match direction {
                    Direction::Forward => builder.add_directed(from, to)?,
                    Direction::Back => builder.add_directed(to, from)?,
                    Direction::Both => builder.add_bidirected(from, to)?,
                }
            }
        }
    }
    Ok(())
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "graph { a -- b }",
        "DOT, line 1, column 7: expected `digraph`, found `{ a -- b }`"
    )]
    #[case(
        "digraph { a -> }",
        "DOT, line 1, column 16: expected a name, found `}`"
    )]
    #[case(
        "digraph {\n a -> b",
        "DOT, line 2, column 8: expected a name, found the end"
    )]
    #[case(
        "digraph { a -> b [dir=none] }",
        "DOT, line 1, column 11: expected an edge with dir=forward, back or both, found `a -> b [dir=none] }`"
    )]
    #[case(
        "digraph { a -> b } c",
        "DOT, line 1, column 20: expected the end, found `c`"
    )]
    #[case(
        "digraph { a -> b /* }",
        "DOT, line 1, column 18: expected a comment that ends, found `/* }`"
    )]
    #[case("digraph { a -> b -> a }", "edges a -> b -> a: form a cycle")]
    fn faults_are_named(#[case] text: &str, #[case] message: &str) {
        assert_eq!(Diagram::from_dot(text).unwrap_err().to_string(), message);
    }

    #[test]
    fn keywords_in_quotes_are_names() {
        let diagram = Diagram::parse("edge -> node; subgraph").unwrap();
        assert_eq!(Diagram::from_dot(&diagram.to_dot()).unwrap(), diagram);
    }

    #[test]
    fn statements_in_blocks_count() {
        let text = "digraph { { rank=same; a; b } subgraph cluster_1 { label=\"a } site\"; \
                    edge [dir=back]; a -> c; subgraph { d } } c -> d; {a b} -> e }";
        let diagram = Diagram::from_dot(text).unwrap();
        assert_eq!(
            diagram.to_string(),
            "a; b; c; d; e; a -> e; b -> e; c -> a; c -> d"
        );
        let deep = format!("digraph {}{}", "{".repeat(99), "}".repeat(99));
        assert!(matches!(
            Diagram::from_dot(&deep),
            Err(GraphError::Parse { .. })
        ));
    }

    #[test]
    fn defaults_and_directions() {
        let text =
            "strict digraph g { edge [dir=back]; a -> b; node [shape=box]\n c -> a [dir=both] }";
        let diagram = Diagram::from_dot(text).unwrap();
        assert_eq!(diagram.to_string(), "a; b; c; b -> a; a <-> c");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(digraph )?[{]?[a-c\"\\\\ ;,\n<>=\\-\\[\\]{}#/*]{0,30}[}]?") {
            if let Ok(diagram) = Diagram::from_dot(&text) {
                prop_assert_eq!(Diagram::from_dot(&diagram.to_dot()).unwrap(), diagram);
            }
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = Diagram::from_dot(&format!("digraph {{{text}}}"));
        }
    }
}
