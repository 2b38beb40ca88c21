//! What the command line says of Slurm.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ctl_harness::launch::slurm::{Slurm, SlurmSettings};

use crate::exit;

#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "With --launcher slurm (docs/CLUSTER.md)")]
pub(crate) struct SlurmArguments {
    /// Runs of an array task [default: 1, or more where the array would be too long].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chunk: Option<u32>,
    /// Partition, or a comma list of them.
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
    /// Time limit of an array task, as sbatch writes it, such as 2:00:00.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// How many times a run that ended without a record is submitted again [default: 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) retries: Option<u32>,
    /// Seconds between two looks at the queue [default: 15].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) poll: Option<u64>,
    /// One more option for sbatch, such as --sbatch-arg=--mem=4G; may be repeated.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch_arg: Vec<String>,
    /// Submit and leave; the same command without it waits and reports.
    #[arg(long, conflicts_with = "json")]
    pub(crate) no_wait: bool,
}

const RETRIES: u32 = 2;
const POLL_SECONDS: u64 = 15;

impl SlurmArguments {
    /// The option that was given, where any was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--chunk", self.chunk.is_some()),
            ("--partition", self.partition.is_some()),
            ("--time", self.time.is_some()),
            ("--retries", self.retries.is_some()),
            ("--poll", self.poll.is_some()),
            ("--sbatch-arg", !self.sbatch_arg.is_empty()),
            ("--no-wait", self.no_wait),
        ];
        given.iter().find(|(_, some)| *some).map(|(name, _)| *name)
    }

    /// The options that repeat these, flag and value.
    pub(crate) fn words(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("chunk", self.chunk.map(|n| n.to_string())),
            ("partition", self.partition.clone()),
            ("time", self.time.clone()),
            ("retries", self.retries.map(|n| n.to_string())),
            ("poll", self.poll.map(|n| n.to_string())),
        ];
        let single = single.into_iter();
        let single = single.filter_map(|(flag, value)| Some((flag, value?)));
        let more = self.sbatch_arg.iter();
        single
            .chain(more.map(|value| ("sbatch-arg", value.clone())))
            .collect()
    }

    /// The launcher, which stops waiting once the flag is set.
    pub(crate) fn launcher(
        &self,
        jobs: Option<usize>,
        interrupted: Arc<AtomicBool>,
    ) -> anyhow::Result<Slurm> {
        let settings = SlurmSettings {
            program: program()?,
            chunk: self.chunk.map(|n| n as usize),
            at_once: jobs,
            partition: self.partition.clone(),
            time: self.time.clone(),
            arguments: self.sbatch_arg.clone(),
            retries: self.retries.unwrap_or(RETRIES),
            poll: Duration::from_secs(self.poll.unwrap_or(POLL_SECONDS)),
            wait: !self.no_wait,
        };
        Ok(Slurm::new(settings, interrupted)?)
    }
}

/// This program, where every node sees it.
fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program for the tasks to call")
}

/// A flag that Ctrl-C sets; pressed again, it ends the process.
pub(crate) fn interruption() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            exit::now(exit::INTERRUPTED);
        }
    })
    .context("listening to Ctrl-C")?;
    Ok(flag)
}
