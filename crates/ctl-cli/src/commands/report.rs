//! `ctl report`

use std::process::ExitCode;

use ctl_harness::Registry;
use ctl_harness::report::{Format, write};

use crate::arguments::Report;

pub(crate) fn run(options: &Report) -> anyhow::Result<ExitCode> {
    let format = Format::parse(&options.format)?;
    let path = write(&options.folder, format, &Registry::standard())?;
    println!("report: {}", path.display());
    Ok(ExitCode::SUCCESS)
}
