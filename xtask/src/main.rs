//! Developer entry point: `cargo xtask COMMAND`.
//!
//! Commands of the toolkit are passed on, word for word, to the release build of `ctl`; what only a
//! developer of this repository needs lives here.
//! Nothing but the called program writes to stdout, so that `--json` output can be piped.
#![expect(
    clippy::print_stderr,
    reason = "a binary that reports its progress on stderr"
)]

mod arguments;
mod ci;
mod forward;
mod fuzz;
mod generate;
mod new_method;
mod workspace;

use std::process::ExitCode;

use crate::arguments::Request;
use crate::workspace::Build;

/// A check found something.
const FOUND: u8 = 1;
const USAGE: u8 = 2;
const INTERNAL: u8 = 4;

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).collect();
    let request = match arguments::parse(words) {
        Ok(request) => request,
        // Help leaves with 0, mistakes with 2.
        Err(error) => error.exit(),
    };
    match run(request) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(INTERNAL)
        }
    }
}

fn run(request: Request) -> anyhow::Result<ExitCode> {
    match request {
        Request::Forward(words) => forward::run(&words),
        Request::Ci { full } => passed(ci::run(full)?),
        Request::Generate { check } => passed(generate::run(check, Build::Release)?),
        Request::Fuzz { minutes, targets } => passed(fuzz::run(minutes, &targets)?),
        Request::NewMethod(name) => Ok(if new_method::run(&name)? {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(USAGE)
        }),
    }
}

/// The exit code of a check.
#[expect(clippy::unnecessary_wraps, reason = "it closes the arms of a match")]
fn passed(ok: bool) -> anyhow::Result<ExitCode> {
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    })
}
