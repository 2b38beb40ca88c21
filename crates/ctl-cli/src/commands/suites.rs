//! `ctl suites`

use std::process::ExitCode;

use ctl_harness::Registry;
use ctl_harness::suite::shipped;

use super::print_json;
use crate::arguments::Suites;

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
        println!("{}: {}", suite.name, suite.title);
        println!("    {}", suite.description);
        println!(
            "    {} methods, {} seeds, {cohorts} simulated cohorts{data}",
            suite.methods.len(),
            suite.seeds
        );
    }
    Ok(ExitCode::SUCCESS)
}
