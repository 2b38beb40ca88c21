//! The statements that DOT and dagitty have in common.

use super::cursor::Cursor;
use crate::GraphError;

/// How a format writes names and edges.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Edge operators, none a beginning of a later one.
    pub(super) operators: &'static [&'static str],
    pub(super) bare: fn(char) -> bool,
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
) -> Result<Vec<Statement<'a>>, GraphError> {
    if !cursor.accept("{")? {
        return Err(cursor.error("`{`"));
    }
    let mut statements = Vec::new();
    while !cursor.accept("}")? {
        if cursor.accept_any(&[";", ","])?.is_none() {
            statements.extend(statement(cursor, dialect)?);
        }
    }
    if cursor.at_end()? {
        Ok(statements)
    } else {
        Err(cursor.error("the end"))
    }
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
