//! `ctl run-chunk`

use std::process::ExitCode;

use ctl_harness::Registry;
use ctl_harness::launch::slurm::run_chunk;

use super::benchmark::{provenance, report_failures};
use crate::arguments::RunChunk;
use crate::exit;
use crate::output::note;
use crate::progress::Progress;

pub(crate) fn run(options: &RunChunk) -> anyhow::Result<ExitCode> {
    let mut provenance = provenance();
    for (key, variable) in [
        ("slurm_job", "SLURM_ARRAY_JOB_ID"),
        ("slurm_task", "SLURM_ARRAY_TASK_ID"),
    ] {
        if let Ok(value) = std::env::var(variable) {
            provenance.insert(key.to_owned(), value);
        }
    }
    let task = (options.batch, options.index);
    let progress = Progress::new();
    let registry = Registry::standard();
    let outcome = run_chunk(&options.folder, task, &registry, provenance, &progress)?;
    progress.finish();
    report_failures(&outcome.failures);
    note(format_args!("{} runs are done", outcome.finished));
    Ok(outcome
        .failures
        .first()
        .map_or(ExitCode::SUCCESS, exit::code_of_failure))
}
