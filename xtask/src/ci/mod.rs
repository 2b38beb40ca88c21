//! Everything that CI checks, one named step after the other.

mod steps;

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use self::steps::{Check, Choice, SLURM, Step, steps, tree_words};
use crate::generate;
use crate::workspace::{self, Build};

/// Runs all steps up to the first that fails; `false` when one did.
///
/// # Errors
/// When a step could not be started.
pub(crate) fn run(full: bool) -> anyhow::Result<bool> {
    let metadata = workspace::Metadata::read()?;
    workspace::build_whole_if_first(&metadata.target_directory);
    let steps = steps(&Choice {
        crates: &metadata.crates(),
        target: &metadata.target_directory,
        nextest: has_nextest(),
        full,
    });
    let begun = Instant::now();
    for (index, step) in steps.iter().enumerate() {
        eprintln!("ci: [{}/{}] {}", index + 1, steps.len(), step.name);
        let started = Instant::now();
        let passed = run_step(step)?;
        let seconds = started.elapsed().as_secs_f64();
        if !passed {
            eprintln!("ci: {} FAILED after {seconds:.1} s", step.name);
            eprintln!("ci: to run it again: {}", step.command());
            return Ok(false);
        }
        eprintln!("ci: {} passed in {seconds:.1} s", step.name);
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("ci: all of it took {seconds:.0} s");
    eprintln!("ci: {} steps passed", steps.len());
    Ok(true)
}

fn run_step(step: &Step) -> anyhow::Result<bool> {
    match &step.check {
        Check::Cargo { words, environment } => {
            let variables = environment.iter().map(|(name, value)| (name, value));
            let status = workspace::cargo()
                .args(words)
                .envs(variables)
                .current_dir(workspace::root())
                .status()
                .with_context(|| format!("cannot run {}", step.command()))?;
            Ok(status.success())
        }
        Check::WithoutCandle(name) => without_candle(name),
        Check::Generated => generate::run(true, Build::WithTests),
        Check::Slurm(_) => on_slurm(),
    }
}

/// Skips itself, with a reason, where Slurm is not installed.
fn on_slurm() -> anyhow::Result<bool> {
    let program = workspace::build_ctl(Build::WithTests)?;
    let status = Command::new(workspace::root().join(SLURM))
        .arg(program)
        .status()
        .with_context(|| format!("cannot run {SLURM}"))?;
    Ok(status.success())
}

fn without_candle(name: &str) -> anyhow::Result<bool> {
    let output = workspace::cargo()
        .args(tree_words(name))
        .current_dir(workspace::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree -p {name} failed");
    let tree = String::from_utf8_lossy(&output.stdout);
    let offenders = naming_candle(&tree);
    for line in &offenders {
        eprintln!("{name} depends on {line}");
    }
    Ok(offenders.is_empty())
}

/// Lines of a dependency tree that name one of candle's crates.
fn naming_candle(tree: &str) -> Vec<&str> {
    tree.lines()
        .filter(|line| line.starts_with("candle"))
        .collect()
}

fn has_nextest() -> bool {
    workspace::cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candle_is_found_by_crate_name_only() {
        let clean = "ctl-imaging v0.1.0 (/home/candle/ctl-imaging)\ncsv v1.4.0\n";
        assert!(naming_candle(clean).is_empty());
        let tree = format!("{clean}candle-core v0.11.1\n");
        assert_eq!(naming_candle(&tree), ["candle-core v0.11.1"]);
    }
}
