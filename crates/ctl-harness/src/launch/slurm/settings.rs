//! What a user may ask of Slurm.

use std::path::PathBuf;
use std::time::Duration;

use crate::{HarnessError, Result};

/// Options of `sbatch` that the launcher sets, or that would change what it relies on.
const RESERVED: [&str; 16] = [
    "array",
    "chdir",
    "clusters",
    "error",
    "help",
    "input",
    "job-name",
    "open-mode",
    "output",
    "parsable",
    "partition",
    "quiet",
    "test-only",
    "time",
    "version",
    "wait",
];

/// Settings of the launcher.
#[derive(Clone, Debug)]
pub struct SlurmSettings {
    /// The `ctl` that tasks call, an absolute path on the shared file system.
    pub program: PathBuf,
    /// Runs of a task, at least 1; without it 1, or as many as keep the array as short as the
    /// cluster wants it.
    pub chunk: Option<usize>,
    /// Most tasks of an array at once, at least 1; without it as many as Slurm starts.
    pub at_once: Option<usize>,
    /// Partition, or a comma list of them.
    pub partition: Option<String>,
    /// Time limit of a task, as `sbatch` writes it: minutes, `H:MM:SS`, `D-HH`, …
    pub time: Option<String>,
    /// More options for `sbatch`, each `--name` or `--name=value`.
    pub arguments: Vec<String>,
    /// How many times a run that a task left without a record is submitted again.
    pub retries: u32,
    /// Time between two looks at the queue, above 0.
    pub poll: Duration,
    /// Whether to wait for the jobs.
    pub wait: bool,
}

impl SlurmSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first that is not allowed, its value and what is.
    pub fn check(&self) -> Result<()> {
        let refuse = |key: &str, found: &str, allowed: &str| {
            Err(HarnessError::Config {
                origin: "launcher slurm".into(),
                key: key.to_owned(),
                message: format!("{found:?} is not allowed: it must be {allowed}"),
            })
        };
        for (key, value) in [("chunk", self.chunk), ("jobs", self.at_once)] {
            if value == Some(0) {
                return refuse(key, "0", "at least 1");
            }
        }
        if self.poll.is_zero() {
            return refuse("poll", "0", "above 0");
        }
        if !self.program.is_absolute() || self.program.to_str().is_none() {
            let found = self.program.to_string_lossy();
            return refuse("program", &found, "an absolute path in UTF-8");
        }
        if let Some(name) = self.partition.as_ref().filter(|name| !is_partition(name)) {
            return refuse(
                "partition",
                name,
                "letters, digits and any of _ . - , and begin with a letter or digit",
            );
        }
        if let Some(time) = self.time.as_ref().filter(|time| !is_time(time)) {
            return refuse(
                "time",
                time,
                "minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S in digits",
            );
        }
        match self.arguments.iter().find(|word| !is_option(word)) {
            None => Ok(()),
            Some(word) => refuse(
                "sbatch-arg",
                word,
                &format!(
                    "--name or --name=value, in one line, and none of --{}",
                    RESERVED.join(", --")
                ),
            ),
        }
    }
}

fn is_partition(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-,".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

fn is_time(time: &str) -> bool {
    let (days, clock) = match time.split_once('-') {
        Some((days, clock)) => (Some(days), clock),
        None => (None, time),
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = clock.split(':').count();
    parts <= 3 && days.is_none_or(number) && clock.split(':').all(number)
}

/// A long option that the launcher does not set itself. `sbatch` takes any beginning of a name that
/// fits one option, so beginnings of reserved names are refused too.
fn is_option(word: &str) -> bool {
    let Some(rest) = word.strip_prefix("--") else {
        return false;
    };
    let name = rest.split_once('=').map_or(rest, |(name, _)| name);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.chars().all(plain)
        && !word.chars().any(char::is_control)
        && !RESERVED.iter().any(|reserved| reserved.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_sbatch() {
        for good in ["5", "5:30", "1:05:30", "2-0", "2-12:30", "2-12:30:15"] {
            assert!(is_time(good), "{good}");
        }
        for bad in ["", "5m", "1:2:3:4", "-5", "1-", "1:", "5;ls", "1-2-3"] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn options_of_the_launcher_and_of_a_shell_are_refused() {
        for good in [
            "--mem=4G",
            "--exclusive",
            "--comment=a b; $(c)",
            "--qos=x,y",
        ] {
            assert!(is_option(good), "{good}");
        }
        for bad in [
            "",
            "--",
            "-p",
            "mem=4G",
            "--array=0-9",
            "--arr=0-9",
            "--o=x",
            "--job-name=x",
            "--wrap me",
            "--comment=a\n#SBATCH",
            "--=x",
        ] {
            assert!(!is_option(bad), "{bad}");
        }
        assert!(is_partition("gpu_1,cpu.long"));
        for bad in ["", "-p", "a b", "a;b", ",a"] {
            assert!(!is_partition(bad), "{bad}");
        }
    }
}
