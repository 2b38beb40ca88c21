//! Processes that answer `step N` lines with the times of their steps.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// What a process says when it is ready.
#[derive(Serialize, Deserialize)]
pub(super) struct Facts {
    /// Name and version.
    pub(super) software: String,
    /// Form of the optimiser, where there are several.
    pub(super) optimiser: Option<String>,
    /// Resident memory before the model was built.
    pub(super) base_rss_bytes: Option<u64>,
    /// What came out of work that has an outcome.
    pub(super) answer: Option<u64>,
}

/// The answer to `step N`.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    /// Time of each step.
    pub(super) seconds: Vec<f64>,
    /// Time that all threads spent on all of the steps, where it is told.
    #[serde(default)]
    pub(super) cpu_seconds: Option<f64>,
    /// Largest resident memory of the process so far.
    pub(super) peak_rss_bytes: Option<u64>,
}

/// A Python, which may have peers.
#[derive(Clone)]
pub(super) struct Python(OsString);

impl Python {
    pub(super) fn new(path: &OsStr) -> Self {
        Self(path.to_owned())
    }

    /// What it prints.
    ///
    /// # Errors
    /// When it cannot be run or fails, with the last line of what it says.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let name = self.0.display();
        let output = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {name}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it failed in silence").trim();
            bail!("{name}: {last}");
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a script and waits until it is ready.
    pub(super) fn start(&self, script: &str, arguments: &[&str]) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.0);
        command.args(["-c", script]).args(arguments);
        Child::start(command)
    }
}

/// A process that takes turns.
pub(super) struct Child {
    process: std::process::Child,
    /// `None` once it was told to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    facts: Facts,
}

impl Child {
    /// This program as a worker.
    pub(super) fn ours(work: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("perf-worker").args(work);
        Self::start(command)
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the process")?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the process has no pipes");
        };
        let mut answers = BufReader::new(answers);
        let facts = read(&mut answers)?;
        Ok(Self {
            process,
            requests: Some(requests),
            answers,
            facts,
        })
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Has it make some steps.
    pub(super) fn step(&mut self, count: usize) -> anyhow::Result<Answer> {
        if let Some(requests) = &mut self.requests {
            writeln!(requests, "step {count}").context("the process has ended")?;
        }
        read(&mut self.answers)
    }
}

fn read<T: for<'a> Deserialize<'a>>(answers: &mut impl BufRead) -> anyhow::Result<T> {
    let mut line = String::new();
    answers.read_line(&mut line).context("cannot read")?;
    if line.is_empty() {
        bail!("the process ended without an answer");
    }
    serde_json::from_str(&line).with_context(|| format!("not an answer: {}", line.trim()))
}

impl Drop for Child {
    fn drop(&mut self) {
        // The end of its input tells it to stop; a process that is gone already is no fault.
        self.requests = None;
        let _ = self.process.wait();
    }
}
