//! Handing a command over to `ctl`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::workspace::{self, Build};

/// Builds `ctl` with optimisation and becomes it.
///
/// # Errors
/// When it cannot be built or started.
pub(crate) fn run(words: &[OsString]) -> anyhow::Result<ExitCode> {
    let program = workspace::build_ctl(Build::Release)?;
    become_program(&program, words)
}

/// Replaces this process, so that signals reach `ctl` and its exit code is ours.
#[cfg(unix)]
fn become_program(program: &Path, words: &[OsString]) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    let error = Command::new(program).args(words).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Waits for `ctl` and passes its exit code on.
#[cfg(not(unix))]
fn become_program(program: &Path, words: &[OsString]) -> anyhow::Result<ExitCode> {
    let status = Command::new(program)
        .args(words)
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(crate::INTERNAL)))
}
