//! `ctl report`

use std::process::ExitCode;

use ctl_harness::Registry;
use ctl_harness::report::{Format, write};

use crate::arguments::Report;
use crate::output::print_line;

pub(crate) fn run(options: &Report) -> anyhow::Result<ExitCode> {
    let format = Format::parse(&options.format)?;
    let path = write(&options.folder, format, &Registry::standard())?;
    print_line(format_args!("report: {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
