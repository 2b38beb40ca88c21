//! Processes that answer `step N` lines with the times of their steps.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use ctl_benches::train_step::{Model, PEER};
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
}

/// The answer to `step N`.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    /// Time of each step.
    pub(super) seconds: Vec<f64>,
    /// Largest resident memory of the process so far.
    pub(super) peak_rss_bytes: Option<u64>,
}

/// Order of a tensor's axes in memory in `PyTorch`.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    Default,
    ChannelsLast,
}

impl Layout {
    pub(super) const ALL: [Self; 2] = [Self::Default, Self::ChannelsLast];

    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ChannelsLast => "channels-last",
        }
    }
}

/// A Python that has torch.
pub(super) struct Peer {
    python: OsString,
}

impl Peer {
    /// Looks whether `python` runs and has torch.
    ///
    /// # Errors
    /// With the reason where one of them is missing.
    pub(super) fn find(python: &OsStr) -> anyhow::Result<Self> {
        let name = python.display();
        let output = Command::new(python)
            .args(["-c", "import torch"])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {name}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("import torch failed").trim();
            bail!("{name}: {last}");
        }
        Ok(Self {
            python: python.to_owned(),
        })
    }

    /// Starts the script on a model and waits until it is ready.
    pub(super) fn start(
        &self,
        model: Model,
        threads: usize,
        layout: Layout,
    ) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.python);
        command.args(["-c", PEER, "--serve", "--layout", layout.name()]);
        Child::start(command, model, threads)
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
    pub(super) fn ours(model: Model, threads: usize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("perf-worker");
        Self::start(command, model, threads)
    }

    fn start(mut command: Command, model: Model, threads: usize) -> anyhow::Result<Self> {
        let mut process = command
            .args(["--model", model.name(), "--threads", &threads.to_string()])
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
