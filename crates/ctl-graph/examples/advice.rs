//! Advice for a confounded chest-film study: hospitals differ in scanner and in patients.
//!
//! Run with `cargo run -p ctl-graph --example advice`.

use std::io::Write;

use ctl_graph::advice::advise;
use ctl_graph::graph::DiagramFile;

/// Pneumonia shows as an opacity on the film. The hospital decides on the scanner, whose mark is
/// on the film, and sees sicker patients; the target hospital's scanner is another one.
const STUDY: &str = include_str!("diagrams/chest-film.toml");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let advice = advise(&DiagramFile::parse(STUDY)?)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{advice}")?;
    writeln!(
        out,
        "{}",
        serde_json::to_string_pretty(&advice.constraints)?
    )?;
    Ok(())
}
