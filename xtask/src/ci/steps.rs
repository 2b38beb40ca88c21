//! What CI checks, as data.

use std::path::{Path, PathBuf};

/// Crates that must build where candle does not.
const WITHOUT_CANDLE: [&str; 3] = ["ctl-graph", "ctl-imaging", "ctl-metrics"];
/// The package that stands for somebody else's.
const EXAMPLE: &str = "examples/add-a-method/Cargo.toml";

/// Compares a sweep on a Slurm of its own with one on this machine.
pub(super) const SLURM: &str = "tests/slurm.sh";

/// How a step finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// `cargo` with these words and environment must succeed.
    Cargo {
        words: Vec<String>,
        environment: Vec<(String, String)>,
    },
    /// The dependencies of a crate must not name candle.
    WithoutCandle(&'static str),
    /// The generated files must be up to date.
    Generated,
    /// [`SLURM`] with `ctl`, which lies here, must succeed.
    Slurm(PathBuf),
}

/// One step of CI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) check: Check,
}

/// What decides which steps there are.
pub(super) struct Choice<'a> {
    /// Names of the toolkit's crates.
    pub(super) crates: &'a [String],
    /// Where build output goes.
    pub(super) target: &'a Path,
    /// Whether cargo-nextest is installed.
    pub(super) nextest: bool,
    /// Whether to run a sweep on Slurm and to test every crate alone, and the example.
    pub(super) full: bool,
}

/// The steps, cheapest answers first.
///
/// All of them use the development profile and, where they can, the features of the whole
/// workspace, so that dependencies are built once.
pub(super) fn steps(choice: &Choice<'_>) -> Vec<Step> {
    let mut steps = vec![cargo("format", "fmt --all --check")];
    steps.extend(WITHOUT_CANDLE.map(without_candle));
    steps.push(cargo(
        "clippy",
        "clippy --workspace --all-targets -- -D warnings",
    ));
    steps.push(tests(choice.nextest));
    steps.push(cargo("doc tests", "test --workspace --doc"));
    steps.push(with(
        cargo("documentation", "doc --workspace --no-deps"),
        "RUSTDOCFLAGS",
        "-D warnings",
    ));
    steps.push(Step {
        name: "generated files".into(),
        check: Check::Generated,
    });
    steps.push(cargo(
        "benches run once",
        "bench --profile dev --workspace --bench * -- --test",
    ));
    if choice.full {
        steps.push(cargo(
            "long tests",
            "test --workspace --lib --bins --tests -- --ignored",
        ));
        steps.push(Step {
            name: "sweep on Slurm".into(),
            check: Check::Slurm(choice.target.join("debug").join("ctl")),
        });
        steps.extend(choice.crates.iter().map(|name| alone(name)));
    }
    steps.extend(outside(choice.target, choice.full));
    steps
}

/// The example compiles as a package of its own; its tests and its suite have run among the
/// workspace's tests. The full run does both in the package's own build, for which its dependencies
/// are built anew.
fn outside(target: &Path, full: bool) -> Vec<Step> {
    let words: &[(&str, &str)] = if full {
        &[("test", ""), ("run", "")]
    } else {
        &[("check", " --all-targets")]
    };
    let step = |(word, more): &(&str, &str)| {
        with(
            cargo(
                &format!("example outside the workspace, {word}"),
                &format!("{word} --manifest-path {EXAMPLE}{more}"),
            ),
            "CARGO_TARGET_DIR",
            &target.to_string_lossy(),
        )
    };
    words.iter().map(step).collect()
}

/// Examples have no tests; clippy compiles them, and linking each takes its time.
fn tests(nextest: bool) -> Step {
    let words = "--workspace --lib --bins --tests";
    if nextest {
        cargo("tests", &format!("nextest run {words}"))
    } else {
        cargo("tests", &format!("test {words}"))
    }
}

/// A crate with no features but its own, for which its dependencies are built anew.
fn alone(name: &str) -> Step {
    cargo(&format!("{name} alone"), &format!("test -p {name}"))
}

fn without_candle(name: &'static str) -> Step {
    Step {
        name: format!("{name} without candle"),
        check: Check::WithoutCandle(name),
    }
}

fn cargo(name: &str, words: &str) -> Step {
    Step {
        name: name.into(),
        check: Check::Cargo {
            words: words.split(' ').map(str::to_owned).collect(),
            environment: Vec::new(),
        },
    }
}

fn with(mut step: Step, variable: &str, value: &str) -> Step {
    if let Check::Cargo { environment, .. } = &mut step.check {
        environment.push((variable.into(), value.into()));
    }
    step
}

/// Words of `cargo tree` that list what a crate needs.
pub(super) fn tree_words(name: &str) -> [&str; 7] {
    ["tree", "-p", name, "-e", "normal", "--prefix", "none"]
}

impl Step {
    /// The command that repeats the step, ready for a shell.
    pub(super) fn command(&self) -> String {
        match &self.check {
            Check::Cargo { words, environment } => {
                let variables = environment
                    .iter()
                    .map(|(n, v)| format!("{n}={}", quoted(v)));
                let words = words.iter().map(|word| quoted(word));
                let program = std::iter::once("cargo".to_owned());
                let all: Vec<String> = variables.chain(program).chain(words).collect();
                all.join(" ")
            }
            Check::WithoutCandle(name) => {
                format!("cargo {} | grep candle", tree_words(name).join(" "))
            }
            Check::Generated => "cargo xtask generate --check".into(),
            Check::Slurm(ctl) => format!("{SLURM} {}", quoted(&ctl.to_string_lossy())),
        }
    }
}

/// A word as a shell must be given it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(nextest: bool, full: bool) -> Vec<String> {
        let crates = ["ctl-metrics".to_owned(), "ctl-nets".to_owned()];
        let choice = Choice {
            crates: &crates,
            target: Path::new("/some where/target"),
            nextest,
            full,
        };
        steps(&choice).iter().map(Step::command).collect()
    }

    #[test]
    fn plain_ci() {
        let expected = [
            "cargo fmt --all --check",
            "cargo tree -p ctl-graph -e normal --prefix none | grep candle",
            "cargo tree -p ctl-imaging -e normal --prefix none | grep candle",
            "cargo tree -p ctl-metrics -e normal --prefix none | grep candle",
            "cargo clippy --workspace --all-targets -- -D warnings",
            "cargo nextest run --workspace --lib --bins --tests",
            "cargo test --workspace --doc",
            "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps",
            "cargo xtask generate --check",
            "cargo bench --profile dev --workspace --bench '*' -- --test",
            "CARGO_TARGET_DIR='/some where/target' cargo check --manifest-path \
             examples/add-a-method/Cargo.toml --all-targets",
        ];
        assert_eq!(commands(true, false), expected);
    }

    #[test]
    fn without_nextest_cargo_runs_the_tests() {
        let (with, without) = (commands(true, false), commands(false, false));
        let differing: Vec<_> = with.iter().zip(&without).filter(|(a, b)| a != b).collect();
        let expected = "cargo test --workspace --lib --bins --tests";
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].1, expected);
        assert_eq!(with.len(), without.len());
    }

    #[test]
    fn full_ci_runs_slurm_and_tests_every_crate_alone() {
        let found = commands(true, true);
        for name in ["ctl-metrics", "ctl-nets"] {
            assert!(found.contains(&format!("cargo test -p {name}")));
        }
        assert!(found.contains(&"tests/slurm.sh '/some where/target/debug/ctl'".to_owned()));
        assert!(
            found
                .iter()
                .any(|command| command.ends_with("-- --ignored"))
        );
        assert_eq!(found.len(), commands(true, false).len() + 5);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (word, expected) in [
            ("--all", "--all"),
            ("a b", "'a b'"),
            ("*", "'*'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
