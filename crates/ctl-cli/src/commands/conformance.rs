//! `ctl conformance`

use std::process::ExitCode;

use ctl_harness::conformance::{FileOutcome, run_folder};
use serde_json::json;

use crate::arguments::Conformance;
use crate::exit;
use crate::output::{print_json, print_line};

/// Differences shown per file.
const SHOWN: usize = 5;

pub(crate) fn run(options: &Conformance) -> anyhow::Result<ExitCode> {
    let outcomes = run_folder(&options.folder)?;
    let passed: usize = outcomes.iter().map(|o| o.passed).sum();
    let failed: usize = outcomes.iter().map(|o| o.failed).sum();
    if options.json {
        print_json(&json!({ "files": outcomes, "passed": passed, "failed": failed }))?;
    } else {
        outcomes.iter().try_for_each(show)?;
        print_line(format_args!("{passed} passed, {failed} failed"))?;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FOUND)
    })
}

fn show(outcome: &FileOutcome) -> anyhow::Result<()> {
    let file = &outcome.file;
    if let Some(reason) = &outcome.not_run {
        return print_line(format_args!("{file}: not run: {reason}"));
    }
    print_line(format_args!(
        "{file}: {} passed, {} failed",
        outcome.passed, outcome.failed
    ))?;
    for (family, count) in &outcome.not_implemented {
        print_line(format_args!(
            "    not implemented: {family} ({count} cases)"
        ))?;
    }
    for difference in outcome.differences.iter().take(SHOWN) {
        print_line(format_args!("    {difference}"))?;
    }
    Ok(())
}
