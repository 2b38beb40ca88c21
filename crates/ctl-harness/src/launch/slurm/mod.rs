//! Running a plan as job arrays of Slurm, on a shared file system.
//!
//! The runs that a sweep lacks are cut into chunks, and each chunk is a task of an array whose
//! script calls `ctl run-chunk`; what a task is to do stands in the folder of the sweep:
//!
//! ```text
//! slurm/jobs.json           every array that was submitted, with the number of its job
//! slurm/batch-N.json        its runs, fully resolved, chunk by chunk
//! slurm/task-N-INDEX.txt    what a task wrote
//! ```
//!
//! The launcher then watches the queue and the records.
//! A run that is in no living task and has no record is submitted again, a stated number of times;
//! its checkpoint is continued.
//! A controller that does not answer is asked again later, and nothing is submitted meanwhile.
//! A launcher that is killed loses nothing: the next one finds its jobs by name, waits for those in
//! the queue and submits the rest.
//!
//! # References
//! Commands and states as documented by `SchedMD` for Slurm 22.05 and later: `sbatch(1)`,
//! `squeue(1)`, `sacct(1)`.

mod batch;
mod campaign;
mod chunk;
mod commands;
mod scheduler;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use chunk::run_chunk;
pub use settings::SlurmSettings;

use self::campaign::Campaign;
use self::commands::Commands;
use self::scheduler::Scheduler;
use super::cohorts::{CohortCache, write_pictures};
use super::{LaunchOptions, Launcher, Outcome, Sweep, prepare};
use crate::sweep::Layout;
use crate::{Event, HarnessError, Observer, Result, claim};

/// How often the flag of [`Slurm::new`] is looked at while the launcher waits.
const TICK: Duration = Duration::from_millis(100);

/// Executes runs as array tasks of Slurm, see [the module](self).
pub struct Slurm {
    settings: SlurmSettings,
    interrupted: Arc<AtomicBool>,
    scheduler: Box<dyn Scheduler>,
}

impl Slurm {
    /// A launcher that stops waiting, and leaves its jobs, once `interrupted` is set.
    ///
    /// # Errors
    /// Names the first setting that is not allowed.
    pub fn new(settings: SlurmSettings, interrupted: Arc<AtomicBool>) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            scheduler: Box::new(Commands::new(&settings)),
            settings,
            interrupted,
        })
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Waits, or not to the end when the launcher is interrupted.
    fn pause(&self, time: Duration) {
        let begun = Instant::now();
        while !self.is_interrupted() && begun.elapsed() < time {
            std::thread::sleep(TICK.min(time));
        }
    }
}

impl Launcher for Slurm {
    fn launch(
        &self,
        sweep: &Sweep<'_>,
        options: &LaunchOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Outcome> {
        let prepared = prepare(sweep, options, observer)?;
        // Tasks run elsewhere: they are given no relative path.
        let root = &prepared.layout.root;
        let root = root.canonicalize().map_err(|source| HarnessError::File {
            path: root.clone(),
            action: "find",
            source,
        })?;
        let layout = Layout::new(&root);
        observer.event(&Event::Planned {
            what: "runs",
            total: sweep.plan.runs.len() as u64,
            finished: prepared.reused as u64,
        });
        // Data that cannot be read are found here and not by every task.
        write_pictures(&layout, sweep.plan, &CohortCache::default())?;
        let place = (&layout, sweep.info.suite.as_str(), options.save_models);
        let mut campaign = Campaign::new(self, place, &prepared.open, observer)?;
        campaign.begin()?;
        if self.settings.wait {
            campaign.watch()?;
            claim::tidy(&layout)?;
        }
        let (finished, failures, open) = campaign.end();
        Ok(Outcome {
            reused: prepared.reused,
            finished,
            failures,
            open,
            _lock: Some(prepared.lock),
        })
    }
}
