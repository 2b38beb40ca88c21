//! A place in a text, with what every format of graphs needs to read on from it.

use crate::GraphError;

/// How many characters of the offending text an error repeats.
const FOUND_SHOWN: usize = 20;

/// Which comments a format has.
#[derive(Clone, Copy)]
pub(super) struct Syntax {
    pub(super) format: &'static str,
    /// Whether `#` begins a comment that ends with the line.
    pub(super) hash_comments: bool,
    /// Whether `//` and `/* */` are comments.
    pub(super) slash_comments: bool,
    /// Whether a line's end is a token and not a space.
    pub(super) lines_matter: bool,
}

#[derive(Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    syntax: Syntax,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, syntax: Syntax) -> Self {
        Self {
            rest: text,
            line: 1,
            column: 1,
            syntax,
        }
    }

    /// An error at the next character that is no space.
    pub(super) fn error(&self, expected: &'static str) -> GraphError {
        let mut at = self.clone();
        while at.peek().is_some_and(|c| c.is_whitespace() && c != '\n') {
            at.bump();
        }
        at.error_here(expected)
    }

    fn error_here(&self, expected: &'static str) -> GraphError {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let shown: String = self.rest[..end].chars().take(FOUND_SHOWN).collect();
        let found = match (shown.is_empty(), self.rest.is_empty()) {
            (true, true) => "the end".to_owned(),
            (true, false) => "the end of the line".to_owned(),
            _ => format!("`{}`", shown.trim_end()),
        };
        let (format, line, column) = (self.syntax.format, self.line, self.column);
        GraphError::Parse {
            format,
            line,
            column,
            expected,
            found,
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        (self.line, self.column) = match next {
            '\n' => (self.line + 1, 1),
            _ => (self.line, self.column + 1),
        };
        Some(next)
    }

    /// Passes spaces and comments.
    ///
    /// A block comment that does not end is an error where it begins.
    pub(super) fn skip(&mut self) -> Result<(), GraphError> {
        loop {
            let Some(next) = self.peek() else {
                return Ok(());
            };
            if next == '\n' && self.syntax.lines_matter {
                return Ok(());
            } else if next.is_whitespace() {
                self.bump();
            } else if (next == '#' && self.syntax.hash_comments)
                || (self.syntax.slash_comments && self.rest.starts_with("//"))
            {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.bump();
                }
            } else if self.syntax.slash_comments && self.rest.starts_with("/*") {
                let end = self
                    .rest
                    .find("*/")
                    .ok_or_else(|| self.error("a comment that ends"))?;
                self.advance(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        let left = self.rest.len().saturating_sub(bytes);
        while self.rest.len() > left {
            self.bump();
        }
    }

    /// Passes the token if it comes next.
    pub(super) fn accept(&mut self, token: &str) -> Result<bool, GraphError> {
        self.skip()?;
        let there = self.rest.starts_with(token);
        if there {
            self.advance(token.len());
        }
        Ok(there)
    }

    /// Passes the first of the tokens that comes next, and answers which.
    pub(super) fn accept_any<'t>(
        &mut self,
        tokens: &[&'t str],
    ) -> Result<Option<&'t str>, GraphError> {
        for token in tokens {
            if self.accept(token)? {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    pub(super) fn at_end(&mut self) -> Result<bool, GraphError> {
        self.skip()?;
        Ok(self.rest.is_empty())
    }

    /// Reads a quoted string, or as many characters as are allowed in a bare name.
    pub(super) fn name(&mut self, bare: fn(char) -> bool) -> Result<Option<String>, GraphError> {
        self.skip()?;
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let end = self.rest.find(|c| !bare(c)).unwrap_or(self.rest.len());
        let name = self.rest[..end].to_owned();
        self.advance(end);
        Ok((!name.is_empty()).then_some(name))
    }

    fn quoted(&mut self) -> Result<String, GraphError> {
        let start = self.clone();
        self.bump();
        let mut name = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(name),
                Some('\\') => match self.bump() {
                    Some(escaped @ ('"' | '\\')) => name.push(escaped),
                    // Other escapes of DOT are layout, which a name keeps as it stands.
                    Some(other) => name.extend(['\\', other]),
                    None => return Err(start.error("a quoted name that ends")),
                },
                Some(other) => name.push(other),
                None => return Err(start.error("a quoted name that ends")),
            }
        }
    }
}

/// A name as it must stand in a text of which `bare` are the unquoted characters.
pub(in crate::graph) fn quoted(name: &str, bare: fn(char) -> bool) -> String {
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
