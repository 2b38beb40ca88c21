//! Getting the runs of a sweep through a queue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Slurm;
use super::batch::{Batch, Ledger};
use super::scheduler::{Answer, Fault, Submission, Task};
use crate::claim::{self, ERROR};
use crate::launch::{failed, name_of, summary_of};
use crate::plan::PlannedRun;
use crate::sweep::Layout;
use crate::{Event, HarnessError, Observer, Result};

/// Longest pause between two attempts to reach the controller.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// How long a submission is tried while the controller does not answer, and the queue is asked while
/// it does not answer and no run is finished.
const PATIENCE: Duration = Duration::from_hours(1);
/// The state of the queue is said no more often.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// A run without a record.
struct Open<'a> {
    run: &'a PlannedRun,
    /// How often this launcher submitted it; a job found in the queue counts.
    submissions: u32,
    /// Batch and index of the task that is to execute it.
    task: Option<(u32, usize)>,
    /// At the last look its task was gone. Files may be seen later than the queue, so a run is
    /// lost at the second look only.
    missed: bool,
}

/// The runs that are left and where they are.
pub(super) struct Campaign<'a> {
    slurm: &'a Slurm,
    layout: &'a Layout,
    suite: &'a str,
    models: bool,
    observer: &'a dyn Observer,
    ledger: Ledger,
    open: Vec<Open<'a>>,
    finished: usize,
    failures: Vec<HarnessError>,
    said: Option<(Instant, String)>,
}

impl<'a> Campaign<'a> {
    /// Nothing is submitted yet.
    pub(super) fn new(
        slurm: &'a Slurm,
        (layout, suite, models): (&'a Layout, &'a str, bool),
        open: &[&'a PlannedRun],
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let open = open.iter().map(|&run| Open {
            run,
            submissions: 0,
            task: None,
            missed: false,
        });
        Ok(Self {
            slurm,
            layout,
            suite,
            models,
            observer,
            ledger: Ledger::open(layout)?,
            open: open.collect(),
            finished: 0,
            failures: Vec::new(),
            said: None,
        })
    }

    /// Runs finished, runs failed, and how many are neither.
    pub(super) fn end(self) -> (usize, Vec<HarnessError>, usize) {
        (self.finished, self.failures, self.open.len())
    }

    /// Takes over what earlier launchers left in the queue, and submits the rest.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.adopt()?;
        let rest = self.indices(|open| open.task.is_none());
        self.submit(&rest)
    }

    fn indices(&self, which: impl Fn(&Open<'_>) -> bool) -> Vec<usize> {
        let all = self.open.iter().enumerate();
        all.filter(|(_, open)| which(open))
            .map(|(at, _)| at)
            .collect()
    }

    fn adopt(&mut self) -> Result<()> {
        let names = self.names();
        if names.is_empty() {
            return Ok(());
        }
        let Some(tasks) = self.patiently(|slurm| slurm.scheduler.tasks(&names))? else {
            // Interrupted: what is not known to be gone is in the queue.
            return Ok(());
        };
        let live = live(&tasks);
        let folders = self.open.iter().enumerate();
        let places: BTreeMap<String, usize> = folders
            .map(|(at, open)| (open.run.spec.folder(), at))
            .collect();
        for entry in self.ledger.entries.iter_mut().filter(|entry| !entry.over) {
            let own = |((name, _), _): &(&(&str, usize), &&Task)| *name == entry.name;
            let Some((_, task)) = live.iter().find(own) else {
                entry.over = true;
                continue;
            };
            entry.job.get_or_insert_with(|| task.job.clone());
            let batch = Batch::read(self.layout, entry.batch)?;
            for (index, chunk) in batch.chunks.iter().enumerate() {
                if !live.contains_key(&(entry.name.as_str(), index)) {
                    continue;
                }
                for run in chunk {
                    if let Some(&at) = places.get(&run.spec.folder()) {
                        let open = &mut self.open[at];
                        (open.task, open.submissions) = (Some((entry.batch, index)), 1);
                    }
                }
            }
        }
        let adopted = self.open.iter().filter(|open| open.task.is_some()).count();
        if adopted > 0 {
            self.say(&format!("{adopted} runs are in the queue already"));
        }
        self.ledger.write(self.layout)
    }

    /// Names of the jobs that may have tasks in the queue.
    fn names(&self) -> Vec<String> {
        self.ledger
            .current()
            .map(|entry| entry.name.clone())
            .collect()
    }

    /// Waits until every run is finished or has failed, or the launcher is interrupted.
    ///
    /// # Errors
    /// When the queue cannot be asked at all, or is silent for [`PATIENCE`] while no run is
    /// finished: the jobs are left as they are.
    pub(super) fn watch(&mut self) -> Result<()> {
        let mut pause = self.slurm.settings.poll;
        let mut news = Instant::now();
        while !self.open.is_empty() && !self.slurm.is_interrupted() {
            // The queue first: a task that ends between the two looks has written its records.
            let tasks = self.slurm.scheduler.tasks(&self.names());
            let left = self.open.len();
            self.collect()?;
            if tasks.is_ok() || self.open.len() < left {
                news = Instant::now();
            }
            match tasks {
                Ok(tasks) => {
                    pause = self.slurm.settings.poll;
                    let lost = self.lost(&tasks);
                    self.again(&lost, &tasks)?;
                    self.say_where(&tasks);
                }
                Err(fault @ Fault::Lasting(_)) => return Err(silent(&fault)),
                Err(fault) if news.elapsed() >= PATIENCE => return Err(silent(&fault)),
                Err(fault) => {
                    self.say_later(&fault, pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if !self.open.is_empty() {
                self.slurm.pause(pause);
            }
        }
        Ok(())
    }

    /// Strikes off what has a record now.
    fn collect(&mut self) -> Result<()> {
        let mut left = Vec::new();
        for open in std::mem::take(&mut self.open) {
            let Some(record) = claim::finished(self.layout, open.run, self.models)? else {
                left.push(open);
                continue;
            };
            self.finished += 1;
            self.observer.event(&Event::Advanced {
                units: 1,
                work: 1.0,
            });
            self.observer.event(&Event::Finished {
                name: &name_of(open.run),
                summary: &summary_of(&record),
            });
        }
        self.open = left;
        Ok(())
    }

    /// Runs whose task was gone at this look and the one before.
    fn lost(&mut self, tasks: &[Task]) -> Vec<usize> {
        let live = live(tasks);
        let mut lost = Vec::new();
        for (at, open) in self.open.iter_mut().enumerate() {
            let is_there = open.task.is_some_and(|(batch, index)| {
                let entry = self.ledger.get(batch);
                entry.is_some_and(|entry| live.contains_key(&(entry.name.as_str(), index)))
            });
            if !is_there && open.missed {
                lost.push(at);
            }
            open.missed = !is_there;
        }
        lost
    }

    /// Submits lost runs again, but for those that failed too often or were cancelled.
    fn again(&mut self, lost: &[usize], tasks: &[Task]) -> Result<()> {
        let mut retried = Vec::new();
        let mut given_up = Vec::new();
        for &at in lost {
            let open = &self.open[at];
            let end = self.end_of(open, tasks);
            let cancelled = end.as_deref() == Some("CANCELLED");
            if cancelled || open.submissions > self.slurm.settings.retries {
                self.failures.push(self.failure(open, end.as_deref()));
                given_up.push(at);
            } else {
                retried.push(at);
            }
        }
        if !retried.is_empty() {
            let text = format!("{} runs ended without a record", retried.len());
            self.say(&text);
            self.submit(&retried)?;
        }
        for at in given_up.into_iter().rev() {
            self.open.remove(at);
            self.observer.event(&Event::Advanced {
                units: 1,
                work: 0.0,
            });
        }
        Ok(())
    }

    /// The state in which the task of a run ended, where it is known.
    fn end_of(&self, open: &Open<'_>, tasks: &[Task]) -> Option<String> {
        let (batch, index) = open.task?;
        let entry = self.ledger.get(batch)?;
        let same = |task: &&Task| task.name == entry.name && task.index == index;
        match tasks.iter().find(same) {
            Some(task) => Some(task.state.clone()),
            None => self.slurm.scheduler.end_of(entry.job.as_ref()?, index),
        }
    }

    fn failure(&self, open: &Open<'_>, end: Option<&str>) -> HarnessError {
        let folder = self.layout.run(&open.run.spec.folder());
        let said = std::fs::read_to_string(folder.join(ERROR)).ok();
        let (batch, index) = open.task.unwrap_or_default();
        let ended = match end {
            Some("CANCELLED") => "its task was cancelled; the same command submits it again".into(),
            Some(state) => format!("its task ended as {state} without a record"),
            None => "its task left the queue without a record".to_owned(),
        };
        let log = format!("task-{batch}-{index}.txt");
        let task = HarnessError::Task {
            message: format!(
                "{}, submitted {} times",
                said.unwrap_or(ended),
                open.submissions
            ),
            log: self.layout.slurm().join(log),
        };
        failed(open.run, task)
    }

    /// Submits runs as one array.
    fn submit(&mut self, which: &[usize]) -> Result<()> {
        if which.is_empty() || self.slurm.is_interrupted() {
            return Ok(());
        }
        let runs: Vec<&PlannedRun> = which.iter().map(|&at| self.open[at].run).collect();
        let chunk = self.chunk(runs.len())?;
        let batch = Batch::new(&runs, chunk, self.models)?;
        let entry = self.ledger.announce(self.suite);
        batch.write(self.layout, entry.batch)?;
        // Before the job exists, so that a launcher that is killed now leaves its name.
        self.ledger.write(self.layout)?;
        let submission = Submission {
            name: entry.name,
            batch: entry.batch,
            tasks: batch.chunks.len(),
            root: self.root()?,
        };
        let job = self.job_of(&submission);
        if let Some(entry) = self.ledger.get_mut(submission.batch) {
            entry.over = job.is_err();
            entry.job = job.as_ref().ok().cloned().flatten();
        }
        self.ledger.write(self.layout)?;
        let Some(job) = job? else { return Ok(()) };
        for (place, &at) in which.iter().enumerate() {
            let open = &mut self.open[at];
            open.task = Some((submission.batch, place / chunk));
            open.submissions += 1;
            open.missed = false;
        }
        self.say(&format!(
            "job {job}: {} runs in {} array tasks; `scancel {job}` drops it",
            which.len(),
            submission.tasks
        ));
        Ok(())
    }

    fn root(&self) -> Result<String> {
        let root = self.layout.root.to_str().map(str::to_owned);
        root.ok_or_else(|| HarnessError::Data {
            path: self.layout.root.clone(),
            message: "is not UTF-8, as paths given to Slurm must be".into(),
        })
    }

    /// Runs of a task, so that no array is longer than the cluster wants it.
    fn chunk(&self, runs: usize) -> Result<usize> {
        let longest = self.slurm.scheduler.longest_array();
        let least = runs.div_ceil(longest).max(1);
        match self.slurm.settings.chunk {
            Some(chunk) if chunk < least => Err(HarnessError::Config {
                origin: "launcher slurm".into(),
                key: "chunk".into(),
                message: format!(
                    "{chunk} is not allowed: {runs} runs would be more than {longest} tasks, the \
                     most of an array here; it must be at least {least}"
                ),
            }),
            chosen => Ok(chosen.unwrap_or(least)),
        }
    }

    /// The job of a submission, made once whatever happens between: where the answer is lost, the
    /// job is found by its name. `None` when the launcher is interrupted.
    fn job_of(&self, submission: &Submission) -> Result<Option<String>> {
        let name = [submission.name.clone()];
        let mut first = true;
        self.patiently(|slurm| {
            if !std::mem::take(&mut first) {
                let known = slurm.scheduler.tasks(&name)?;
                if let Some(task) = known.first() {
                    return Ok(task.job.clone());
                }
            }
            slurm.scheduler.submit(submission)
        })
    }

    /// Asks until there is an answer; `None` when the launcher is interrupted.
    fn patiently<T>(&self, mut ask: impl FnMut(&Slurm) -> Answer<T>) -> Result<Option<T>> {
        let begun = Instant::now();
        let mut pause = self.slurm.settings.poll;
        while !self.slurm.is_interrupted() {
            match ask(self.slurm) {
                Ok(answer) => return Ok(Some(answer)),
                Err(fault @ Fault::Passing(_)) if begun.elapsed() < PATIENCE => {
                    self.say_later(&fault, pause);
                    self.slurm.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                // A controller that answers on the way out has refused nothing.
                Err(_) if self.slurm.is_interrupted() => break,
                Err(fault) => {
                    return Err(HarnessError::Config {
                        origin: "launcher slurm".into(),
                        key: "sbatch".into(),
                        message: fault.message().to_owned(),
                    });
                }
            }
        }
        Ok(None)
    }

    fn say(&self, text: &str) {
        self.observer.event(&Event::Notice { text });
    }

    fn say_later(&self, fault: &Fault, pause: Duration) {
        let seconds = pause.as_secs_f64();
        let text = format!("{}; asking again in {seconds:.0} s", fault.message());
        self.say(&text);
    }

    /// How many tasks run and wait, and what for, when it has changed.
    fn say_where(&mut self, tasks: &[Task]) {
        let live = tasks.iter().filter(|task| task.is_live());
        let (waiting, running): (Vec<&Task>, Vec<&Task>) = live.partition(|t| t.is_pending());
        let reason = waiting
            .first()
            .map_or(String::new(), |task| format!(" ({})", task.reason));
        let text = format!(
            "{} array tasks run, {} wait{reason}",
            running.len(),
            waiting.len()
        );
        let fresh = match &self.said {
            Some((when, said)) => *said != text && when.elapsed() >= SAID_EVERY,
            None => true,
        };
        if fresh && !self.open.is_empty() {
            self.say(&text);
            self.said = Some((Instant::now(), text));
        }
    }
}

/// The tasks that run or will run, by name of the job and index.
fn live(tasks: &[Task]) -> BTreeMap<(&str, usize), &Task> {
    let live = tasks.iter().filter(|task| task.is_live());
    live.map(|task| ((task.name.as_str(), task.index), task))
        .collect()
}

/// What is said when the queue cannot be asked any more.
fn silent(fault: &Fault) -> HarnessError {
    HarnessError::Config {
        origin: "launcher slurm".into(),
        key: "squeue".into(),
        message: format!(
            "{}; jobs that were submitted go on, and the same command waits for them again",
            fault.message()
        ),
    }
}
