//! Exit codes: 0 done, 1 a check found something, 2 usage, 3 bad input data, 4 internal, 130
//! interrupted.

use std::process::ExitCode;

use ctl_counterfactual::CounterfactualError;
use ctl_graph::GraphError;
use ctl_graph::advice::AdviceError;
use ctl_harness::HarnessError;
use ctl_imaging::ImagingError;
use ctl_phantom::PhantomError;
use ctl_phantom::digits::DigitError;

use crate::output::{Unprinted, note};

/// A check found something.
pub(crate) const FOUND: u8 = 1;
const USAGE: u8 = 2;
/// Bad input data.
pub(crate) const DATA: u8 = 3;
const INTERNAL: u8 = 4;
/// Ctrl-C while waiting, as shells count it: 128 and the number of the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// Ends the process at once.
#[expect(clippy::exit, reason = "a second Ctrl-C asks for nothing else")]
pub(crate) fn now(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

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
    note(format_args!("error: {}", one_line(error)));
    ExitCode::from(code_of(error))
}

/// Shows one mistake of the user's that is neither an argument nor data.
pub(crate) fn misuse(error: &anyhow::Error) -> ExitCode {
    note(format_args!("error: {}", one_line(error)));
    ExitCode::from(USAGE)
}

/// The causes joined by colons, without repeating one that its parent already quotes.
fn one_line(error: &anyhow::Error) -> String {
    chain(error.as_ref())
}

/// As [`one_line`], of any error.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
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

/// The code of a failure that has been reported already.
pub(crate) fn code_of_failure(error: &HarnessError) -> ExitCode {
    ExitCode::from(code_of_harness(error))
}

/// Whether the reader of our results had seen enough, as `head` has.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Unprinted>()
        .is_some_and(|e| e.0.kind() == std::io::ErrorKind::BrokenPipe)
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Unprinted>() {
        return DATA;
    }
    if let Some(harness) = error.chain().find_map(|c| c.downcast_ref::<HarnessError>()) {
        return code_of_harness(harness);
    }
    if error
        .chain()
        .any(|c| c.downcast_ref::<ImagingError>().is_some())
    {
        return DATA;
    }
    if let Some(digits) = error.chain().find_map(|c| c.downcast_ref::<DigitError>()) {
        return code_of_digits(digits);
    }
    if let Some(advice) = error.chain().find_map(|c| c.downcast_ref::<AdviceError>()) {
        return code_of_advice(advice);
    }
    if error
        .chain()
        .any(|c| c.downcast_ref::<GraphError>().is_some())
    {
        return DATA;
    }
    let simulated = error.chain().find_map(|c| c.downcast_ref::<PhantomError>());
    simulated.map_or(INTERNAL, code_of_phantom)
}

fn code_of_advice(error: &AdviceError) -> u8 {
    match error {
        AdviceError::UnknownTemplate { .. } | AdviceError::NotInTemplate { .. } => USAGE,
        _ => DATA,
    }
}

fn code_of_digits(error: &DigitError) -> u8 {
    match error {
        DigitError::Setting { .. } => USAGE,
        DigitError::Write(inner) => code_of_phantom(inner),
        DigitError::Read(_) | DigitError::Content { .. } | DigitError::Blank { .. } => DATA,
        _ => INTERNAL,
    }
}

fn code_of_phantom(error: &PhantomError) -> u8 {
    match error {
        PhantomError::Io { .. } | PhantomError::Image { .. } => DATA,
        _ => USAGE,
    }
}

fn code_of_harness(error: &HarnessError) -> u8 {
    match error {
        HarnessError::Config { .. } | HarnessError::Unknown { .. } | HarnessError::Method(_) => {
            USAGE
        }
        HarnessError::Phantom(inner) => code_of_phantom(inner),
        HarnessError::Digits(inner) => code_of_digits(inner),
        HarnessError::Counterfactual(inner) => code_of_counterfactual(inner),
        HarnessError::Data { .. }
        | HarnessError::File { .. }
        | HarnessError::Stored { .. }
        | HarnessError::Imaging(_)
        | HarnessError::Net(_) => DATA,
        HarnessError::Run { source, .. } => code_of_harness(source),
        _ => INTERNAL,
    }
}

fn code_of_counterfactual(error: &CounterfactualError) -> u8 {
    match error {
        CounterfactualError::Node { .. }
        | CounterfactualError::Value { .. }
        | CounterfactualError::Setting { .. }
        | CounterfactualError::Graph(_) => USAGE,
        CounterfactualError::File { .. }
        | CounterfactualError::Description { .. }
        | CounterfactualError::Stored { .. }
        | CounterfactualError::Shape { .. }
        | CounterfactualError::Net(_) => DATA,
        _ => INTERNAL,
    }
}
