//! The statements that DOT and dagitty have in common.

use super::cursor::Cursor;
use crate::GraphError;

/// How a format writes names and edges.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Edge operators, none a beginning of a later one.
    pub(super) operators: &'static [&'static str],
    pub(super) bare: fn(char) -> bool,
    /// Whether statements may stand in braces of their own.
    pub(super) blocks: bool,
}

/// Blocks within blocks, beyond which a text is refused: looking for an end takes time for each.
const DEEPEST: usize = 32;

/// What a body consists of.
pub(super) enum Item<'a> {
    Statement(Statement<'a>),
    /// A block begins: what is set in it holds up to its end.
    Open,
    Close,
}

/// An attribute, with its value where it has one.
pub(super) type Attribute = (String, Option<String>);

/// A statement, with its place.
pub(super) struct Statement<'a> {
    pub(super) at: Cursor<'a>,
    /// Groups of nodes, one more than operators.
    pub(super) groups: Vec<Vec<String>>,
    pub(super) operators: Vec<&'static str>,
    pub(super) attributes: Vec<Attribute>,
}

/// Reads `{ statements }` and the end of the text.
pub(super) fn body<'a>(
    cursor: &mut Cursor<'a>,
    dialect: Dialect,
) -> Result<Vec<Item<'a>>, GraphError> {
    if !cursor.accept("{")? {
        return Err(cursor.error("`{`"));
    }
    let mut items = Vec::new();
    let mut depth = 1_usize;
    while depth > 0 {
        if cursor.accept("}")? {
            depth -= 1;
            items.push(Item::Close);
        } else if cursor.accept_any(&[";", ","])?.is_some() {
            // Statements need nothing between them.
        } else if let Some(inside) = block(cursor, dialect)? {
            if depth == DEEPEST {
                return Err(cursor.error("fewer blocks within blocks"));
            }
            *cursor = inside;
            depth += 1;
            items.push(Item::Open);
        } else {
            items.extend(statement(cursor, dialect)?.map(Item::Statement));
        }
    }
    if cursor.at_end()? {
        Ok(items)
    } else {
        Err(cursor.error("the end"))
    }
}

/// The place behind the brace that opens a block, `{` or `subgraph name {`, if one comes next.
/// Braces that an edge follows hold nodes.
fn block<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Result<Option<Cursor<'a>>, GraphError> {
    cursor.skip()?;
    if !dialect.blocks || cursor.peek() == Some('"') {
        return Ok(None);
    }
    let mut ahead = cursor.clone();
    let word = ahead.name(dialect.bare)?;
    match word.as_deref().map(str::to_lowercase).as_deref() {
        Some("subgraph") => {
            ahead.name(dialect.bare)?;
        }
        Some(_) => return Ok(None),
        None => {}
    }
    if !ahead.accept("{")? {
        return Ok(None);
    }
    let inside = ahead.clone();
    let mut open = 1_usize;
    while open > 0 && !ahead.at_end()? {
        match ahead.peek() {
            Some('"') => {
                ahead.name(dialect.bare)?;
                continue;
            }
            Some('{') => open += 1,
            Some('}') => open -= 1,
            _ => {}
        }
        ahead.bump();
    }
    let is_group = ahead.accept_any(dialect.operators)?.is_some();
    Ok((!is_group).then_some(inside))
}

/// Reads a statement; `name = value` concerns layout and is passed over.
fn statement<'a>(
    cursor: &mut Cursor<'a>,
    dialect: Dialect,
) -> Result<Option<Statement<'a>>, GraphError> {
    cursor.skip()?;
    let at = cursor.clone();
    let mut groups = vec![group(cursor, dialect)?];
    if groups[0].len() == 1 && cursor.accept("=")? {
        value(cursor, is_value)?;
        return Ok(None);
    }
    let mut operators = Vec::new();
    while let Some(operator) = cursor.accept_any(dialect.operators)? {
        operators.push(operator);
        groups.push(group(cursor, dialect)?);
    }
    let mut attributes = Vec::new();
    while cursor.accept("[")? {
        while !cursor.accept("]")? {
            if cursor.accept_any(&[";", ","])?.is_none() {
                attributes.push(attribute(cursor, dialect)?);
            }
        }
    }
    Ok(Some(Statement {
        at,
        groups,
        operators,
        attributes,
    }))
}

/// Reads a node, or nodes in braces.
fn group(cursor: &mut Cursor<'_>, dialect: Dialect) -> Result<Vec<String>, GraphError> {
    if !cursor.accept("{")? {
        return Ok(vec![value(cursor, dialect.bare)?]);
    }
    let mut members = Vec::new();
    while !cursor.accept("}")? {
        if cursor.accept_any(&[";", ","])?.is_none() {
            members.push(value(cursor, dialect.bare)?);
        }
    }
    Ok(members)
}

fn attribute(cursor: &mut Cursor<'_>, dialect: Dialect) -> Result<Attribute, GraphError> {
    let name = value(cursor, dialect.bare)?;
    let given = if cursor.accept("=")? {
        Some(value(cursor, is_value)?)
    } else {
        None
    };
    Ok((name, given))
}

/// Reads a name or a value.
fn value(cursor: &mut Cursor<'_>, bare: fn(char) -> bool) -> Result<String, GraphError> {
    cursor.name(bare)?.ok_or_else(|| cursor.error("a name"))
}

/// Attributes such as positions may be bare numbers with a sign.
fn is_value(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+')
}
