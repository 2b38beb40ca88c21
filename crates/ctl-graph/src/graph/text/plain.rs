//! The plain text format: `x -> y; x <-> z`.

use std::fmt;
use std::str::FromStr;

use super::cursor::{Cursor, Syntax, quoted};
use crate::GraphError;
use crate::graph::{Diagram, DiagramBuilder, NodeId};

const SYNTAX: Syntax = Syntax {
    format: "diagram text",
    hash_comments: true,
    slash_comments: false,
    lines_matter: true,
};

impl Diagram {
    /// Reads a diagram from text.
    ///
    /// Statements end with `;` or with the line. A statement is a chain of nodes joined by `->`,
    /// `<-` or `<->`, or a single node, which `[latent]` may follow. Names with other characters
    /// than letters, digits and `_.'` stand in double quotes. `#` begins a comment.
    ///
    /// # Arguments
    /// - `text`: the diagram.
    ///
    /// # Errors
    /// [`GraphError::Parse`] with line and column, and what [`DiagramBuilder`] objects to.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, GraphError};
    ///
    /// let diagram = Diagram::parse("u [latent]\n\"lung mask\" <- image -> label; u -> label # rater")?;
    /// assert_eq!(diagram.len(), 4);
    /// assert_eq!(diagram.names(&diagram.latent()), ["u"]);
    /// let fault = Diagram::parse("x -> y; y => z").unwrap_err();
    /// assert_eq!(
    ///     fault.to_string(),
    ///     "diagram text, line 1, column 11: expected an edge or the statement's end, found `=> z`"
    /// );
    /// # Ok::<(), GraphError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        let mut builder = Self::builder();
        extend(&mut builder, text)?;
        builder.build()
    }
}

impl FromStr for Diagram {
    type Err = GraphError;

    fn from_str(text: &str) -> Result<Self, GraphError> {
        Self::parse(text)
    }
}

/// Adds the statements of a text to a diagram under construction.
pub(crate) fn extend(builder: &mut DiagramBuilder, text: &str) -> Result<(), GraphError> {
    let mut cursor = Cursor::new(text, SYNTAX);
    while !cursor.at_end()? {
        if cursor.accept_any(&[";", "\n"])?.is_none() {
            statement(&mut cursor, builder)?;
        }
    }
    Ok(())
}

fn statement(cursor: &mut Cursor<'_>, builder: &mut DiagramBuilder) -> Result<(), GraphError> {
    let mut from = name(cursor)?;
    builder.get_or_add(&from)?;
    if cursor.accept("[")? {
        if !cursor.accept("latent")? || !cursor.accept("]")? {
            return Err(cursor.error("`latent]`"));
        }
        builder.set_observed(&from, false)?;
    }
    while let Some(edge) = cursor.accept_any(&["<->", "<-", "->"])? {
        let to = name(cursor)?;
        match edge {
            "<->" => builder.add_bidirected(&from, &to)?,
            "->" => builder.add_directed(&from, &to)?,
            _ => builder.add_directed(&to, &from)?,
        }
        from = to;
    }
    if cursor.at_end()? || matches!(cursor.peek(), Some(';' | '\n')) {
        return Ok(());
    }
    Err(cursor.error("an edge or the statement's end"))
}

fn name(cursor: &mut Cursor<'_>) -> Result<String, GraphError> {
    let name = cursor.name(is_bare)?;
    name.ok_or_else(|| cursor.error("a node's name"))
}

pub(in crate::graph) fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '\'')
}

impl fmt::Display for Diagram {
    /// The text that [`Diagram::parse`] reads back into an equal diagram.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = declarations(self);
        let text = |id| quoted(self.name(id), is_bare);
        let directed = self
            .directed_edges()
            .map(|(a, b)| format!("{} -> {}", text(a), text(b)));
        parts.extend(directed);
        let both = self
            .bidirected_edges()
            .map(|(a, b)| format!("{} <-> {}", text(a), text(b)));
        parts.extend(both);
        formatter.write_str(&parts.join("; "))
    }
}

/// The nodes that must be declared so that reading finds the same nodes in the same order: all up
/// to the last that the edges alone would not put into its place.
fn declarations(diagram: &Diagram) -> Vec<String> {
    let pairs = diagram.directed_edges().chain(diagram.bidirected_edges());
    let mut named = vec![false; diagram.len()];
    let mut order: Vec<NodeId> = Vec::new();
    for node in pairs.flat_map(|(a, b)| [a, b]) {
        if !std::mem::replace(&mut named[node.index()], true) {
            order.push(node);
        }
    }
    let in_place = order.iter().enumerate().all(|(i, node)| node.index() == i);
    let all_named = order.len() == diagram.len();
    let plain = in_place && all_named;
    let text = |id| quoted(diagram.name(id), is_bare);
    let nodes = diagram.ids().filter_map(|id| match diagram.details(id) {
        Some(node) if !node.observed => Some(format!("{} [latent]", text(id))),
        _ => (!plain || !diagram.latent().is_empty()).then(|| text(id)),
    });
    nodes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("x -> ", "line 1, column 6: expected a node's name, found the end")]
    #[case("x\n-> y", "line 2, column 1: expected a node's name, found `-> y`")]
    #[case("x [seen]", "line 1, column 4: expected `latent]`, found `seen]`")]
    #[case(
        "\"x",
        "line 1, column 1: expected a quoted name that ends, found `\"x`"
    )]
    fn faults_have_a_place(#[case] text: &str, #[case] message: &str) {
        let fault = Diagram::parse(text).unwrap_err().to_string();
        assert_eq!(fault, format!("diagram text, {message}"));
    }

    #[test]
    fn chains_lines_and_comments() {
        let diagram = Diagram::parse("# a chain\na -> b <- c <-> d\n\n;e;").unwrap();
        assert_eq!(
            diagram.to_string(),
            "a; b; c; d; e; a -> b; c -> b; c <-> d"
        );
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!(
            Diagram::parse("\"\" -> x").unwrap_err(),
            GraphError::EmptyName
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c\"\\\\ ;\n<>\\-\\[\\]#latenté]{0,40}") {
            if let Ok(diagram) = Diagram::parse(&text) {
                prop_assert_eq!(Diagram::parse(&diagram.to_string()).unwrap(), diagram);
            }
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = Diagram::parse(&text);
        }
    }
}
