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
    become_program(&program, &documented(words, workspace::root()))
}

/// All published figures, measured again, are the workspace's document of them.
fn documented(words: &[OsString], root: &Path) -> Vec<OsString> {
    let mut words = words.to_vec();
    let has = |word: &str| words.iter().any(|given| given == word);
    let given = words
        .iter()
        .any(|word| word.to_string_lossy().starts_with("--document"));
    let all = words.first().is_some_and(|word| word == "reproduce") && has("--all");
    if all && !given && !has("--help") {
        words.push("--document".into());
        words.push(root.join("docs/results/REPRODUCED.md").into());
    }
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_published_figures_fill_their_document() {
        let of = |text: &str| {
            let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            let words = documented(&words, Path::new("/w"));
            let words = words.iter().map(|word| word.to_string_lossy().into_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        let all = "reproduce --all --data d";
        let filled = format!("{all} --document /w/docs/results/REPRODUCED.md");
        assert_eq!(of(all), filled);
        for other in [
            "reproduce --all --data d --document mine.md",
            "reproduce --all --document=mine.md",
            "reproduce irm-colored-mnist --data d",
            "benchmark --all",
            "reproduce --all --help",
        ] {
            assert_eq!(of(other), other);
        }
    }
}
