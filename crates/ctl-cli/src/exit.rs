//! Exit codes: 0 done, 1 a check found something, 2 usage, 3 bad input data, 4 internal.

use std::process::ExitCode;

use ctl_harness::HarnessError;
use ctl_imaging::ImagingError;

/// A check found something.
pub(crate) const FOUND: u8 = 1;
const USAGE: u8 = 2;
/// Bad input data.
pub(crate) const DATA: u8 = 3;
const INTERNAL: u8 = 4;

/// Shows what clap says: help on stdout with code 0, mistakes on stderr with code 2.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to tell a closed pipe.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

/// Shows one error with its causes and gives the code that fits.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", one_line(error));
    ExitCode::from(code_of(error))
}

/// The causes joined by colons, without repeating one that its parent already quotes.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = cause.to_string();
        if text.ends_with(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn code_of(error: &anyhow::Error) -> u8 {
    if let Some(harness) = error.chain().find_map(|c| c.downcast_ref::<HarnessError>()) {
        return code_of_harness(harness);
    }
    if error
        .chain()
        .any(|c| c.downcast_ref::<ImagingError>().is_some())
    {
        return DATA;
    }
    if error
        .chain()
        .any(|c| c.downcast_ref::<ctl_phantom::PhantomError>().is_some())
    {
        return USAGE;
    }
    INTERNAL
}

fn code_of_harness(error: &HarnessError) -> u8 {
    match error {
        HarnessError::Config { .. }
        | HarnessError::Unknown { .. }
        | HarnessError::Method(_)
        | HarnessError::Phantom(_) => USAGE,
        HarnessError::Data { .. }
        | HarnessError::File { .. }
        | HarnessError::Stored { .. }
        | HarnessError::Imaging(_)
        | HarnessError::Net(_) => DATA,
        HarnessError::Run { source, .. } => code_of_harness(source),
        _ => INTERNAL,
    }
}
