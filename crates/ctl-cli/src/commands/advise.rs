//! `ctl advise`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use ctl_graph::advice::{Advice, TEMPLATES, Template, Verdict, advise};
use ctl_graph::graph::DiagramFile;
use ctl_harness::{HarnessError, Registry};

use crate::arguments::Advise;
use crate::output::{print, print_json, print_line};

/// What every comparison holds.
const BASELINE: &str = "erm";

pub(crate) fn run(options: &Advise) -> anyhow::Result<ExitCode> {
    if options.templates {
        list(options.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (diagram, name) = diagram(options)?;
    if options.diagram {
        print(diagram.to_toml())?;
        return Ok(ExitCode::SUCCESS);
    }
    let advice = advise(&diagram).with_context(|| name)?;
    if options.json {
        print_json(&advice)?;
    } else {
        print_line(advice.to_string().trim_end())?;
        print(at_hand(&advice, &Registry::standard()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(&TEMPLATES);
    }
    for entry in TEMPLATES {
        print_line(entry)?;
    }
    Ok(())
}

/// The diagram that was asked for, and what to call it.
fn diagram(options: &Advise) -> anyhow::Result<(DiagramFile, String)> {
    if let Some(name) = &options.template {
        let template: Template = name.parse()?;
        return Ok((template.build()?, format!("template {name}")));
    }
    // clap lets nobody through with neither.
    let path = options.file.as_deref().unwrap_or(Path::new(""));
    let text = std::fs::read_to_string(path).map_err(|source| HarnessError::File {
        path: path.to_path_buf(),
        action: "read",
        source,
    })?;
    let name = path.display().to_string();
    let file = DiagramFile::parse(&text).with_context(|| name.clone())?;
    Ok((file, name))
}

/// Which of the licensed methods the benchmark can run.
fn at_hand(advice: &Advice, registry: &Registry) -> String {
    let licensed: Vec<&str> = advice
        .remedies
        .iter()
        .filter(|remedy| remedy.verdict == Verdict::Licensed)
        .flat_map(|remedy| remedy.methods.iter().copied())
        .collect();
    let mut known: Vec<_> = registry
        .iter()
        .map(|method| method.info().id)
        .filter(|id| licensed.contains(id))
        .collect();
    if known.is_empty() {
        return "\nNone of the licensed methods can be trained with this version.\n".to_owned();
    }
    if !known.contains(&BASELINE) {
        known.insert(0, BASELINE);
    }
    let known = known.join(",");
    format!("\nTo see what the licensed ones give: cargo xtask benchmark --method {known}\n")
}
