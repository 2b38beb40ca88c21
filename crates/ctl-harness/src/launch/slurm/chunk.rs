//! What an array task does.

use std::collections::BTreeMap;
use std::path::Path;

use super::batch::Batch;
use crate::claim::{ERROR, remove};
use crate::launch::cohorts::CohortCache;
use crate::launch::local::Workshop;
use crate::launch::{LaunchOptions, Outcome, chain};
use crate::plan::PlannedRun;
use crate::store::write_atomically;
use crate::sweep::Layout;
use crate::{Event, HarnessError, Observer, Registry, Result};

/// Executes the runs of an array task, one after the other; finished runs are not repeated, and one
/// that another process executes is waited for.
///
/// # Arguments
/// - `out`: folder of the sweep.
/// - `task`: number of the batch, from 1, and index of the task, from 0.
/// - `provenance`: what else `env.json` says.
///
/// # Errors
/// When there is no such batch or task. A run that fails is reported in the outcome, and in
/// `error.txt` in its folder for whoever watches.
pub fn run_chunk(
    out: &Path,
    (number, index): (u32, usize),
    registry: &Registry,
    provenance: BTreeMap<String, String>,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let layout = Layout::new(out);
    let batch = Batch::read(&layout, number)?;
    let runs = batch
        .chunks
        .get(index)
        .ok_or_else(|| HarnessError::Stored {
            path: Batch::path(&layout, number),
            message: format!(
                "expected a task from 0 to {}, found {index}",
                batch.chunks.len().saturating_sub(1)
            ),
        })?;
    let options = LaunchOptions {
        out,
        jobs: 1,
        save_models: batch.save_models,
        records: None,
        provenance,
    };
    let workshop = Workshop {
        layout: &layout,
        cohorts: &CohortCache::default(),
        registry,
        options: &options,
        observer,
    };
    observer.event(&Event::Planned {
        what: "training steps",
        total: runs.iter().map(|run| run.spec.training.steps).sum(),
        finished: 0,
    });
    let mut outcome = Outcome::default();
    for run in runs {
        outcome.finished += execute(&workshop, run, &mut outcome.failures)?;
    }
    Ok(outcome)
}

/// Executes one run and leaves a word where it fails.
fn execute(
    workshop: &Workshop<'_>,
    run: &PlannedRun,
    failures: &mut Vec<HarnessError>,
) -> Result<usize> {
    let error = workshop.layout.run(&run.spec.folder()).join(ERROR);
    remove(&error)?;
    let (finished, failed) = workshop.execute_all(&[run]);
    for failure in failed {
        let cause = std::error::Error::source(&failure).map_or_else(|| chain(&failure), chain);
        // Where the disk is full there is the task's output.
        let _ = write_atomically(&error, cause.as_bytes());
        failures.push(failure);
    }
    Ok(finished)
}
