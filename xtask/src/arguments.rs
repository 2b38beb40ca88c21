//! What can be asked of `cargo xtask`.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::new_method::Name;

/// Commands that `ctl` answers, with one line each.
const FORWARDED: [(&str, &str); 11] = [
    (
        "benchmark",
        "Compare methods on a suite and write a report; resumes by itself",
    ),
    (
        "reproduce",
        "Measure a published table again and set ours beside it",
    ),
    ("report", "Write the report of a sweep once more"),
    ("methods", "List the methods"),
    ("suites", "List the suites"),
    ("data", "List, check or make cohorts on disk"),
    ("conformance", "Run conformance vectors"),
    (
        "advise",
        "Say what a causal diagram licenses for a transfer, and why",
    ),
    (
        "counterfactual",
        "Train a causal model of images, and ask what an image would have been",
    ),
    ("predict", "Apply a trained model to a cohort"),
    (
        "perf",
        "Time training steps, causal diagrams and images, beside peers where Python has them",
    ),
];

const AFTER_HELP: &str = "\
The commands of the toolkit are passed on to the release build of `ctl`, which is built first;
`cargo xtask COMMAND --help` shows their options.

Exit codes: 0 done, 1 a check found something, 2 usage, 3 bad input data, 4 internal error.";

/// Minutes of fuzzing unless told otherwise.
const MINUTES: u64 = 30;

/// One invocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Words for `ctl`, unchanged.
    Forward(Vec<OsString>),
    /// Run what CI checks.
    Ci {
        /// Test every crate alone as well.
        full: bool,
    },
    /// Write the generated files.
    Generate {
        /// Only compare them.
        check: bool,
    },
    /// Write a new method of the workspace.
    NewMethod(Name),
    /// Fuzz the parsers.
    Fuzz {
        /// Minutes of all targets together.
        minutes: u64,
        /// Names of targets; none for all.
        targets: Vec<String>,
    },
}

/// Reads the words after `cargo xtask`.
///
/// # Errors
/// On help and on mistakes, both as clap shows them.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Request, clap::Error> {
    // Forwarded words never meet clap: it would swallow `--` and `--help`.
    if is_forwarded(words.first()) {
        return Ok(Request::Forward(words));
    }
    if words.first().is_some_and(|word| word == "help") && is_forwarded(words.get(1)) {
        return Ok(Request::Forward(vec![words[1].clone(), "--help".into()]));
    }
    let name = OsString::from("cargo xtask");
    let matches = command().try_get_matches_from(std::iter::once(name).chain(words))?;
    Ok(own(&matches))
}

fn is_forwarded(word: Option<&OsString>) -> bool {
    word.is_some_and(|word| FORWARDED.iter().any(|(name, _)| word == OsStr::new(name)))
}

fn own(matches: &ArgMatches) -> Request {
    match matches.subcommand() {
        Some(("ci", options)) => Request::Ci {
            full: options.get_flag("full"),
        },
        Some(("generate", options)) => Request::Generate {
            check: options.get_flag("check"),
        },
        Some(("new-method", options)) => match options.get_one::<Name>("NAME") {
            Some(name) => Request::NewMethod(name.clone()),
            None => unreachable!("clap asks for the name"),
        },
        Some(("fuzz", options)) => Request::Fuzz {
            minutes: options.get_one("minutes").copied().unwrap_or(MINUTES),
            targets: options
                .get_many("TARGET")
                .unwrap_or_default()
                .cloned()
                .collect(),
        },
        // clap refuses a missing or unknown command, and the forwarded ones never get here.
        other => unreachable!("no such command: {other:?}"),
    }
}

fn command() -> Command {
    let forwarded = FORWARDED.map(|(name, about)| Command::new(name).about(about));
    Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Developer entry point of the causal transfer toolkit")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(forwarded)
        .subcommand(
            Command::new("ci")
                .about("Everything that CI checks")
                .arg(flag(
                    "full",
                    "Also run a sweep on Slurm and the tests of every crate alone and of the example",
                )),
        )
        .subcommand(
            Command::new("generate")
                .about("Write the files that are generated from the registry")
                .arg(flag("check", "Only check that they are up to date")),
        )
        .subcommand(
            Command::new("new-method")
                .about("Write a method that works, its tests and the lines that name it")
                .arg(
                    Arg::new("NAME")
                        .help("Id: lower-case words with hyphens between them")
                        .required(true)
                        .value_parser(Name::parse),
                ),
        )
        .subcommand(fuzz())
}

fn fuzz() -> Command {
    Command::new("fuzz")
        .about("Look for inputs that break a parser; needs a nightly toolchain and cargo-fuzz")
        .arg(
            Arg::new("minutes")
                .long("minutes")
                .value_name("N")
                .help("Minutes of all targets together, without the build [default: 30]")
                .value_parser(clap::value_parser!(u64).range(1..=10_000)),
        )
        .arg(
            Arg::new("TARGET")
                .help("Targets (see fuzz/README.md) [default: all]")
                .num_args(0..),
        )
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn toolkit_commands_are_passed_on_word_for_word() {
        for line in [
            "benchmark",
            "benchmark --help",
            "benchmark --suite real --data some/dir --json",
            "reproduce irm-colored-mnist -- --all -- x",
            "data verify --decode dir",
            "methods --no-such-option",
        ] {
            let expected = Request::Forward(words(line));
            assert_eq!(parse(words(line)).unwrap(), expected, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn words_that_are_not_unicode_survive() {
        use std::os::unix::ffi::OsStringExt;

        let line = vec!["report".into(), OsString::from_vec(vec![b'a', 0xff])];
        assert_eq!(parse(line.clone()).unwrap(), Request::Forward(line));
    }

    #[test]
    fn help_of_a_toolkit_command_is_its_own() {
        let expected = Request::Forward(words("suites --help"));
        assert_eq!(parse(words("help suites")).unwrap(), expected);
    }

    #[test]
    fn developer_commands_take_their_flags() {
        for (line, expected) in [
            ("ci", Request::Ci { full: false }),
            ("ci --full", Request::Ci { full: true }),
            ("generate", Request::Generate { check: false }),
            ("generate --check", Request::Generate { check: true }),
            (
                "new-method worst-case",
                Request::NewMethod(Name::parse("worst-case").unwrap()),
            ),
            (
                "fuzz",
                Request::Fuzz {
                    minutes: MINUTES,
                    targets: Vec::new(),
                },
            ),
            (
                "fuzz --minutes 5 nifti nrrd",
                Request::Fuzz {
                    minutes: 5,
                    targets: vec!["nifti".to_owned(), "nrrd".to_owned()],
                },
            ),
        ] {
            assert_eq!(parse(words(line)).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn mistakes_and_help_have_their_exit_codes() {
        for (line, kind, code) in [
            ("bench", ErrorKind::InvalidSubcommand, 2),
            ("ci --fast", ErrorKind::UnknownArgument, 2),
            ("fuzz --minutes 0", ErrorKind::ValueValidation, 2),
            ("new-method", ErrorKind::MissingRequiredArgument, 2),
            ("new-method Worst_Case", ErrorKind::ValueValidation, 2),
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, 2),
            ("--help", ErrorKind::DisplayHelp, 0),
        ] {
            let error = parse(words(line)).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (kind, code), "{line:?}");
        }
    }

    #[test]
    fn help_lists_every_command_with_a_line() {
        let help = command().render_help().to_string();
        let names = FORWARDED.map(|(name, _)| name);
        for name in names
            .into_iter()
            .chain(["ci", "fuzz", "generate", "new-method"])
        {
            let line = help.lines().find(|line| line.trim().starts_with(name));
            let said = line.unwrap().trim().len() - name.len();
            assert!(said > 10, "{name} has no description:\n{help}");
        }
    }
}
