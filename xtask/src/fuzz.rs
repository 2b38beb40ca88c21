//! Fuzzing every parser for a given time.

use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::workspace;

/// The program that writes the corpus, a target to `cargo fuzz` only.
const SEEDS: &str = "seeds";

/// Targets whose formats have the most to get wrong; they get [`SHARE`] times the time of others.
const LARGE: [&str; 9] = [
    "dicom",
    "dicom_files",
    "fastmri",
    "import",
    "jpegls",
    "nifti",
    "nrrd",
    "raster",
    "tiff_pages",
];

const SHARE: u64 = 3;

/// What libFuzzer calls a fault, besides panics: an input that takes ten seconds, memory beyond
/// what any input of the corpus can need, and a single allocation of most of it.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=3072", "-malloc_limit_mb=1100"];

/// Runs targets one after the other, all for `minutes` together.
///
/// # Arguments
/// * `minutes`: of fuzzing, without the build.
/// * `wanted`: names of targets; none for all of them.
///
/// # Returns
/// Whether no target found a fault; those that did are named on stderr.
///
/// # Errors
/// When a tool is missing, a target does not exist or does not build.
pub(crate) fn run(minutes: u64, wanted: &[String]) -> anyhow::Result<bool> {
    check_tools()?;
    let all = targets(&output(cargo_fuzz().arg("list"))?);
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("no fuzz target {unknown:?}; there are {}", all.join(", "));
    }
    let chosen = if wanted.is_empty() { &all } else { wanted };
    // Which assertions are on stands in the profile of fuzz/Cargo.toml.
    succeed(cargo_fuzz().args(["build", "--release"]))?;
    succeed(cargo_fuzz().args(["run", "--release", SEEDS]))?;
    let mut found = Vec::new();
    for (target, seconds) in chosen.iter().zip(shares(chosen, minutes * 60)) {
        eprintln!("{target}: {seconds} s");
        let time = format!("-max_total_time={seconds}");
        let run = [
            "run",
            "--release",
            target,
            "--",
            &time,
            "-print_final_stats=1",
        ];
        let status = cargo_fuzz().args(run).args(LIMITS).status();
        if !status.context("cannot run cargo fuzz")?.success() {
            found.push(target.as_str());
        }
    }
    if !found.is_empty() {
        eprintln!("faults in {}; see fuzz/artifacts", found.join(", "));
    }
    Ok(found.is_empty())
}

/// `cargo fuzz` under the nightly toolchain, from the root of the workspace.
fn cargo_fuzz() -> Command {
    let mut command = nightly(&["cargo", "fuzz"]);
    // The toolchain that runs this program must not be the one that builds.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly"])
        .args(words)
        .current_dir(workspace::root());
    command
}

fn check_tools() -> anyhow::Result<()> {
    let answers = |mut command: Command| {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    ensure!(
        answers(nightly(&["rustc", "--version"])),
        "fuzzing needs a nightly toolchain: `rustup toolchain install nightly`"
    );
    let mut version = cargo_fuzz();
    version.arg("--version");
    ensure!(
        answers(version),
        "fuzzing needs cargo-fuzz: `cargo install cargo-fuzz`"
    );
    Ok(())
}

/// The names in what `cargo fuzz list` says.
fn targets(list: &str) -> Vec<String> {
    let names = list.lines().map(str::trim);
    let names = names.filter(|name| !name.is_empty() && *name != SEEDS);
    names.map(str::to_owned).collect()
}

/// Seconds for each target, at least one.
fn shares(targets: &[String], seconds: u64) -> Vec<u64> {
    let weight = |name: &String| {
        if LARGE.contains(&name.as_str()) {
            SHARE
        } else {
            1
        }
    };
    let all: u64 = targets.iter().map(weight).sum();
    let share = |name| (seconds * weight(name) / all.max(1)).max(1);
    targets.iter().map(share).collect()
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.context("cannot run cargo fuzz")?;
    ensure!(output.status.success(), "cargo fuzz failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cannot run cargo fuzz")?;
    ensure!(status.success(), "cargo fuzz failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_writes_the_corpus_is_no_target() {
        assert_eq!(targets("bart\nseeds\n  nifti\n\n"), ["bart", "nifti"]);
    }

    #[test]
    fn large_formats_get_more_of_the_time() {
        let names = ["bart", "nifti"].map(str::to_owned);
        assert_eq!(shares(&names, 60), [15, 45]);
        assert_eq!(shares(&names[..1], 60), [60]);
        assert_eq!(shares(&names, 0), [1, 1]);
    }

    /// A renamed target would lose its share without a word.
    #[test]
    fn large_formats_are_targets() {
        let manifest = workspace::root().join("fuzz/Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        for name in LARGE.into_iter().chain([SEEDS]) {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
