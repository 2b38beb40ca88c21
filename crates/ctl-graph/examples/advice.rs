//! Advice for a confounded chest-film study: two hospitals share scanners' marks and prevalence.
//!
//! Run with `cargo run -p ctl-graph --example advice`.

use std::io::Write;

use ctl_graph::advice::advise;
use ctl_graph::graph::DiagramFile;

/// Pneumonia shows as an opacity on the film. The hospital decides on the scanner, whose mark is
/// on the film, and sees sicker patients; the target hospital's scanner is another one.
const STUDY: &str = r#"
schema = 1
edges = """
pneumonia -> opacity -> film
hospital -> scanner -> film
hospital <-> pneumonia
age -> pneumonia; age -> film
"""

[nodes.film]
role = "image"
[nodes.pneumonia]
role = "label"
[nodes.opacity]
role = "anatomy"
observed = false
[nodes.hospital]
role = "site"
[nodes.scanner]
role = "acquisition"
[nodes.age]
role = "demographic"

[[shift]]
kind = "acquisition"
nodes = ["scanner"]
"#;

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
