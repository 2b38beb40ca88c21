//! One file per command.

pub(crate) mod advise;
pub(crate) mod benchmark;
pub(crate) mod conformance;
pub(crate) mod data;
pub(crate) mod methods;
pub(crate) mod perf;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod suites;

use std::io::Write;

/// Writes JSON to stdout.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
