//! Results to stdout, everything else to stderr.
//!
//! The macros of the standard library panic where the reader has gone or the disk is full.

use std::fmt::{Display, Formatter};
use std::io::Write;

/// Results could not be written to stdout.
#[derive(Debug)]
pub(crate) struct Unprinted(pub(crate) std::io::Error);

impl Display for Unprinted {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("cannot write to stdout")
    }
}

impl std::error::Error for Unprinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Writes text to stdout as it is.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    Ok(written.map_err(Unprinted)?)
}

/// Writes a line to stdout.
pub(crate) fn print_line(text: impl Display) -> anyhow::Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes JSON to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_line(serde_json::to_string_pretty(value)?)
}

/// Writes a line to stderr; where nobody listens, work goes on.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
