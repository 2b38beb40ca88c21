//! The workspace as cargo sees it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Root of the workspace, known since the build.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if FROM_NOTHING.load(Ordering::Relaxed) {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Whether this process builds into a folder that held nothing of the workspace.
static FROM_NOTHING: AtomicBool = AtomicBool::new(false);

/// Has [`cargo`] keep no records for later builds where there was none before: they take a good
/// part of the time of a first build, and a machine that checks a fresh clone never uses them.
pub(crate) fn build_whole_if_first(target: &Path) {
    FROM_NOTHING.store(!holds_a_build(target), Ordering::Relaxed);
}

/// Whether a library of the workspace has been built for development.
fn holds_a_build(target: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(target.join("debug").join("deps")) else {
        return false;
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libctl_"))
}

/// What `cargo metadata` says that matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo fails or answers something else.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed");
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
    }

    /// Names of the toolkit's own crates, sorted.
    pub(crate) fn crates(&self) -> Vec<String> {
        let names = self.packages.iter().map(|package| package.name.clone());
        let mut names: Vec<String> = names
            .filter(|name| name == "ctl" || name.starts_with("ctl-"))
            .collect();
        names.sort();
        names
    }
}

/// How `ctl` is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Optimised, for work.
    Release,
    /// Together with the tests of the workspace: after a test run nothing is left to compile,
    /// because the same features of the same dependencies are asked for.
    WithTests,
}

impl Build {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release", "--package", "ctl-cli", "--bin", "ctl"],
            Self::WithTests => &["--workspace", "--bin", "ctl", "--tests"],
        }
    }
}

/// Builds `ctl` and says where it is; cargo's progress goes to stderr.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_ctl(build: Build) -> anyhow::Result<PathBuf> {
    let output = cargo()
        .arg("build")
        .args(build.words())
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo build")?;
    ensure!(output.status.success(), "ctl could not be built");
    let messages = String::from_utf8_lossy(&output.stdout);
    match executable(&messages, "ctl") {
        Some(path) => Ok(path),
        None => bail!("cargo built ctl without saying where it is"),
    }
}

/// The executable that cargo's messages name for a binary.
fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        profile: Profile,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.name == binary && !artifact.profile.test)
        .find_map(|artifact| artifact.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_library_of_the_workspace() {
        let target = std::env::temp_dir().join(format!("ctl-xtask-{}", std::process::id()));
        let deps = target.join("debug").join("deps");
        std::fs::create_dir_all(&deps).unwrap();
        let empty = holds_a_build(&target);
        // What building this program leaves.
        std::fs::write(deps.join("libanyhow-1.rlib"), "").unwrap();
        let others = holds_a_build(&target);
        std::fs::write(deps.join("libctl_graph-1.rlib"), "").unwrap();
        let built = holds_a_build(&target);
        std::fs::remove_dir_all(&target).unwrap();
        assert_eq!([empty, others, built], [false, false, true]);
    }

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn only_crates_of_the_toolkit_are_listed() {
        let text = r#"{
            "target_directory": "/t",
            "packages": [{"name": "xtask"}, {"name": "ctl-nets"}, {"name": "ctl"}, {"name": "ctlx"}]
        }"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(metadata.crates(), ["ctl", "ctl-nets"]);
    }

    #[test]
    fn library_and_unit_tests_of_the_same_name_are_not_the_executable() {
        let artifact = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"ctl","kind":["x"]}},"profile":{{"opt_level":"1","test":{test}}},"executable":{executable}}}"#
            )
        };
        let messages = [
            artifact(false, "null"),
            artifact(true, r#""/t/ctl-0123""#),
            r#"{"reason":"build-script-executed","package_id":"x"}"#.to_owned(),
            artifact(false, r#""/t/ctl""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let messages = messages.join("\n");
        assert_eq!(executable(&messages, "ctl"), Some(PathBuf::from("/t/ctl")));
        assert_eq!(executable(&messages, "xtask"), None);
    }
}
