//! The words that repeat a command.

use std::path::PathBuf;

use crate::arguments::{Benchmark, Launcher};

/// The command that repeats this invocation from the same folder: options as they were typed, so
/// that a sweep with relative paths can be repeated in another checkout.
pub(crate) fn command_line(options: &Benchmark) -> String {
    let mut words = vec!["cargo".to_owned(), "xtask".into(), "benchmark".into()];
    let add = |words: &mut Vec<String>, flag: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([format!("--{flag}"), quoted(&value)]);
        }
    };
    let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
    add(&mut words, "suite", Some(options.suite.clone()));
    add(&mut words, "task", list(&options.task));
    add(&mut words, "shift", list(&options.shift));
    add(&mut words, "method", list(&options.method));
    add(&mut words, "seeds", options.seeds.map(|n| n.to_string()));
    add(&mut words, "data", path(&options.data));
    add(&mut words, "jobs", options.jobs.map(|n| n.to_string()));
    add(&mut words, "out", path(&options.out));
    add(&mut words, "records", path(&options.records));
    if options.launcher == Launcher::Slurm {
        add(&mut words, "launcher", Some("slurm".into()));
    }
    for (flag, value) in options.slurm.words() {
        // With `=`, since values begin with hyphens.
        words.push(format!("--{flag}={}", quoted(&value)));
    }
    if options.save_models {
        words.push("--save-models".into());
    }
    words.join(" ")
}

/// A word that a POSIX shell reads back as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn command_of(words: &[&str]) -> String {
        let words = ["ctl", "benchmark"].iter().chain(words);
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Benchmark(options) => command_line(&options),
            _ => unreachable!("the words say benchmark"),
        }
    }

    #[test]
    fn the_command_has_every_option_as_it_was_typed() {
        let words = "--suite my.toml --task classification --shift combined --method erm,irm \
                     --seeds 2 --data ../data/films --jobs 3 --out out/x --records r.gz --save-models";
        let words: Vec<&str> = words.split_whitespace().collect();
        let expected = format!("cargo xtask benchmark {}", words.join(" "));
        assert_eq!(command_of(&words), expected);
    }

    /// But for `--no-wait`: the command is the one that waits.
    #[test]
    fn the_command_of_a_cluster_has_its_options() {
        let words = "--suite quick --jobs 3 --launcher slurm --chunk=4 --partition=a,b \
                     --time=1:00:00 --retries=0 --poll=5 --sbatch-arg=--mem=4G";
        let words: Vec<&str> = words.split_whitespace().collect();
        let expected = format!("cargo xtask benchmark {}", words.join(" "));
        assert_eq!(command_of(&words), expected);
        assert_eq!(command_of(&[&words[..], &["--no-wait"]].concat()), expected);
    }

    #[test]
    fn words_with_other_characters_are_quoted() {
        let found = command_of(&["--data", "my films/it's; $x"]);
        assert_eq!(
            found,
            r"cargo xtask benchmark --suite quick --data 'my films/it'\''s; $x'"
        );
        assert_eq!(quoted(""), "''");
    }
}
