//! `ctl suites`

use std::process::ExitCode;

use ctl_harness::Registry;
use ctl_harness::suite::shipped;

use crate::arguments::Suites;
use crate::output::{print_json, print_line};

pub(crate) fn run(options: &Suites) -> anyhow::Result<ExitCode> {
    let suites = shipped(&Registry::standard())?;
    if options.json {
        print_json(&suites)?;
        return Ok(ExitCode::SUCCESS);
    }
    for suite in suites {
        let cohorts = suite.cohorts()?.len();
        let data = if suite.folders.is_some() {
            ", and the cohorts of --data"
        } else {
            ""
        };
        print_line(format_args!("{}: {}", suite.name, suite.title))?;
        print_line(format_args!("    {}", suite.description))?;
        print_line(format_args!(
            "    {} methods, {} seeds, {cohorts} simulated cohorts{data}",
            suite.methods.len(),
            suite.seeds
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
