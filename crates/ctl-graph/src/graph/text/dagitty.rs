//! dagitty's text format, in.

use super::braced::{Dialect, Item, Statement, body};
use super::cursor::{Cursor, Syntax};
use crate::GraphError;
use crate::graph::{Diagram, DiagramBuilder, NodeSet};

const SYNTAX: Syntax = Syntax {
    format: "dagitty",
    hash_comments: true,
    slash_comments: true,
    lines_matter: false,
};

const DIALECT: Dialect = Dialect {
    operators: &["<->", "<-", "->"],
    bare: is_bare,
    blocks: false,
};

/// A diagram from dagitty, with the roles that its nodes have there.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::Dagitty;
///
/// let read = Dagitty::parse(
///     "dag {
///        bb=\"0,0,1,1\"
///        Scanner [exposure, pos=\"0.1,0.2\"]
///        Reading [outcome]
///        Severity [latent]
///        Scanner -> Image -> Reading
///        Scanner <-> Reading
///        Severity -> {Image Reading}
///      }",
/// )?;
/// assert_eq!(read.diagram.names(&read.exposures), ["Scanner"]);
/// assert_eq!(read.diagram.names(&read.outcomes), ["Reading"]);
/// assert_eq!(read.diagram.names(&read.diagram.latent()), ["Severity"]);
/// assert_eq!(read.diagram.directed_edges().count(), 4);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dagitty {
    /// The diagram; latent nodes are marked in it.
    pub diagram: Diagram,
    /// The nodes with the attribute `exposure`.
    pub exposures: NodeSet,
    /// The nodes with the attribute `outcome`.
    pub outcomes: NodeSet,
    /// The nodes with the attribute `adjusted`.
    pub adjusted: NodeSet,
    /// The nodes with the attribute `selected`.
    pub selected: NodeSet,
}

impl Dagitty {
    /// Reads a graph of type `dag`, in which bidirected edges may stand, too.
    ///
    /// # Errors
    /// [`GraphError::Parse`] with line and column, and what [`DiagramBuilder`] objects to.
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        let mut cursor = Cursor::new(text, SYNTAX);
        if cursor.name(is_bare)?.as_deref() != Some("dag") {
            return Err(cursor.error("a graph of type `dag`"));
        }
        cursor.name(is_bare)?;
        let mut builder = Diagram::builder();
        let items = body(&mut cursor, DIALECT)?.into_iter();
        let statements: Vec<Statement<'_>> = items
            .filter_map(|item| match item {
                Item::Statement(statement) => Some(statement),
                Item::Open | Item::Close => None,
            })
            .collect();
        for statement in &statements {
            add(statement, &mut builder)?;
        }
        let diagram = builder.build()?;
        let with = |attributes: &[&str]| -> Result<NodeSet, GraphError> {
            let nodes = statements.iter().filter(|statement| {
                let names = statement.attributes.iter().map(|(name, _)| name.as_str());
                statement.operators.is_empty()
                    && names.into_iter().any(|name| attributes.contains(&name))
            });
            nodes
                .flat_map(|statement| &statement.groups[0])
                .map(|name| diagram.node(name))
                .collect()
        };
        Ok(Self {
            exposures: with(&["exposure", "source", "e"])?,
            outcomes: with(&["outcome", "target", "o"])?,
            adjusted: with(&["adjusted", "a"])?,
            selected: with(&["selected", "s"])?,
            diagram,
        })
    }
}

fn add(statement: &Statement<'_>, builder: &mut DiagramBuilder) -> Result<(), GraphError> {
    for name in statement.groups.iter().flatten() {
        builder.get_or_add(name)?;
    }
    for (operator, pair) in statement.operators.iter().zip(statement.groups.windows(2)) {
        for from in &pair[0] {
            for to in &pair[1] {
                match *operator {
                    "<->" => builder.add_bidirected(from, to)?,
                    "->" => builder.add_directed(from, to)?,
                    _ => builder.add_directed(to, from)?,
                }
            }
        }
    }
    if statement.operators.is_empty() {
        let latent = |name: &str| matches!(name, "latent" | "unobserved" | "l" | "u");
        for name in &statement.groups[0] {
            if statement
                .attributes
                .iter()
                .any(|(attribute, _)| latent(attribute))
            {
                builder.set_observed(name, false)?;
            }
        }
    }
    Ok(())
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "pdag { a -- b }",
        "dagitty, line 1, column 6: expected a graph of type `dag`, found `{ a -- b }`"
    )]
    #[case(
        "dag { a -- b }",
        "dagitty, line 1, column 9: expected a name, found `-- b }`"
    )]
    #[case("dag a -> b", "dagitty, line 1, column 7: expected `{`, found `-> b`")]
    fn faults_are_named(#[case] text: &str, #[case] message: &str) {
        assert_eq!(Dagitty::parse(text).unwrap_err().to_string(), message);
    }

    #[test]
    fn attributes_have_short_names() {
        let read = Dagitty::parse("dag { x [e]; y [target]; u [l]; x -> y; u -> {x y} }").unwrap();
        assert_eq!(read.diagram.names(&read.exposures), ["x"]);
        assert_eq!(read.diagram.names(&read.outcomes), ["y"]);
        assert_eq!(read.diagram.names(&read.diagram.latent()), ["u"]);
    }

    #[test]
    fn chains_and_groups() {
        let read = Dagitty::parse("dag{a <- {b c} <-> d;z [adjusted]}").unwrap();
        let edges = "a; b; c; d; z; b -> a; c -> a; b <-> d; c <-> d";
        assert_eq!(read.diagram.to_string(), edges);
        assert_eq!(read.adjusted, read.diagram.set(&["z"]).unwrap());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(dag )?[{]?[a-c\"\\\\ ;,\n<>=\\-\\[\\]{}]{0,30}[}]?") {
            let _ = Dagitty::parse(&text);
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>()) {
            let _ = Dagitty::parse(&format!("dag {{{text}}}"));
        }
    }
}
