//! Running a plan on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ctl_compute::runtime::join_threads;

use super::cohorts::{CohortCache, write_pictures};
use super::{LaunchOptions, Launcher, Outcome, Sweep, failed, name_of, prepare, summary_of};
use crate::claim;
use crate::plan::PlannedRun;
use crate::run::{RunContext, execute};
use crate::sweep::Layout;
use crate::{Event, HarnessError, Observer, Registry, Result};

/// Executes runs on this machine, as many at once as [`LaunchOptions::jobs`] says.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Launcher for Local {
    fn launch(
        &self,
        sweep: &Sweep<'_>,
        options: &LaunchOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Outcome> {
        let prepared = prepare(sweep, options, observer)?;
        let (plan, open) = (sweep.plan, &prepared.open);
        let total: u64 = plan.runs.iter().map(|run| run.spec.training.steps).sum();
        let left: u64 = open.iter().map(|run| run.spec.training.steps).sum();
        observer.event(&Event::Planned {
            what: "training steps",
            total,
            finished: total - left,
        });
        let cohorts = CohortCache::default();
        write_pictures(&prepared.layout, plan, &cohorts)?;
        let workshop = Workshop {
            layout: &prepared.layout,
            cohorts: &cohorts,
            registry: sweep.registry,
            options,
            observer,
        };
        let (finished, failures) = workshop.execute_all(open);
        Ok(Outcome {
            reused: prepared.reused,
            finished,
            failures,
            open: 0,
            _lock: Some(prepared.lock),
        })
    }
}

/// What all runs of a process share.
pub(super) struct Workshop<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cohorts: &'a CohortCache,
    pub(super) registry: &'a Registry,
    pub(super) options: &'a LaunchOptions<'a>,
    pub(super) observer: &'a dyn Observer,
}

impl Workshop<'_> {
    /// Executes runs side by side: how many are finished, and what went wrong with the others.
    pub(super) fn execute_all(&self, runs: &[&PlannedRun]) -> (usize, Vec<HarnessError>) {
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new((0, Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..self.options.jobs.max(1).min(runs.len()) {
                scope.spawn(|| {
                    // A run decodes its images on its own thread; otherwise all runs would wait
                    // for the one thread that the environment allows rayon.
                    let _alone = join_threads(1);
                    while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.execute_one(run);
                        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                        match result {
                            Ok(()) => outcome.0 += 1,
                            Err(error) => outcome.1.push(failed(run, error)),
                        }
                    }
                });
            }
        });
        outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute_one(&self, run: &PlannedRun) -> Result<()> {
        let (folder, name) = (run.spec.folder(), name_of(run));
        let _held = claim::lock_run(self.layout, &folder, || {
            let text = format!("{name}: another process is at it, waiting");
            self.observer.event(&Event::Notice { text: &text });
        })?;
        if claim::finished(self.layout, run, self.options.save_models)?.is_some() {
            self.observer.event(&Event::Advanced {
                units: run.spec.training.steps,
                work: 0.0,
            });
            return Ok(());
        }
        self.observer.event(&Event::Started { name: &name });
        let cohort = self.cohorts.get(run)?;
        let context = RunContext {
            method: self.registry.get(&run.spec.method)?,
            cohort: &cohort,
            folder: &self.layout.run(&folder),
            save_models: self.options.save_models,
            jobs: self.options.jobs,
            provenance: &self.options.provenance,
            observer: self.observer,
        };
        let record = execute(&run.spec, &context)?;
        self.observer.event(&Event::Finished {
            name: &name,
            summary: &summary_of(&record),
        });
        Ok(())
    }
}
