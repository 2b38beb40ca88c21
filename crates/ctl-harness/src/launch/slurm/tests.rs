//! The launcher with a cluster of this process: its tasks are real, its queue is scripted.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::scheduler::{Answer, Fault, Submission, Task};
use super::*;
use crate::launch::{Local, sweep_info};
use crate::plan::{Plan, plan};
use crate::suite::Suite;
use crate::{Registry, Silent};

const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = ["erm", "irm"]
seeds = 2
[training]
size = 20
steps = 4
batch_size = 4
evaluate_every = 2
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
source_sites = 2
"#;

/// What becomes of a submission.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// All tasks run to their end.
    Run,
    /// All tasks end in a state without having done anything.
    End(&'static str),
    /// All tasks wait until they are let go.
    Wait,
    /// The job is there, and the controller is gone before it says so.
    Unheard,
    /// The controller is not there.
    Away,
    /// It is not wanted.
    Refused,
}

#[derive(Default)]
struct State {
    fates: VecDeque<Fate>,
    tasks: Vec<Task>,
    submitted: Vec<Submission>,
    /// How many times the queue does not answer.
    silent: u32,
    /// The queue cannot be asked.
    mute: bool,
}

/// A cluster; submissions without a fate run.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<State>>);

impl Cluster {
    fn with(fates: &[Fate]) -> Self {
        let cluster = Self::default();
        cluster.state().fates.extend(fates);
        cluster
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, submission: &Submission, state: &str) {
        let tasks = (0..submission.tasks).map(|index| Task {
            name: submission.name.clone(),
            job: submission.batch.to_string(),
            index,
            state: state.to_owned(),
            reason: "None".into(),
        });
        self.state().tasks.extend(tasks);
    }

    /// Executes the waiting tasks.
    fn let_go(&self) {
        let submitted = self.state().submitted.clone();
        for submission in &submitted {
            execute(submission);
        }
        for task in &mut self.state().tasks {
            task.state = "COMPLETED".into();
        }
    }

    fn batches(&self) -> Vec<(u32, usize)> {
        let state = self.state();
        let submitted = state.submitted.iter();
        submitted.map(|s| (s.batch, s.tasks)).collect()
    }
}

fn execute(submission: &Submission) {
    let (root, registry) = (Path::new(&submission.root), Registry::standard());
    for index in 0..submission.tasks {
        let task = (submission.batch, index);
        let outcome = run_chunk(root, task, &registry, BTreeMap::new(), &Silent).unwrap();
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    }
}

impl Scheduler for Cluster {
    fn submit(&self, submission: &Submission) -> Answer<String> {
        let fate = self.state().fates.pop_front().unwrap_or(Fate::Run);
        let away = || Err(Fault::Passing("nobody is there".into()));
        match fate {
            Fate::Away => return away(),
            Fate::Refused => return Err(Fault::Lasting("invalid partition".into())),
            _ => self.state().submitted.push(submission.clone()),
        }
        match fate {
            Fate::End(state) => self.enqueue(submission, state),
            Fate::Wait => self.enqueue(submission, "PENDING"),
            _ => {
                execute(submission);
                self.enqueue(submission, "COMPLETED");
            }
        }
        if fate == Fate::Unheard {
            return away();
        }
        Ok(submission.batch.to_string())
    }

    fn tasks(&self, names: &[String]) -> Answer<Vec<Task>> {
        let mut state = self.state();
        if state.mute {
            return Err(Fault::Lasting("no squeue".into()));
        }
        if state.silent > 0 {
            state.silent -= 1;
            return Err(Fault::Passing("nobody is there".into()));
        }
        let named = state.tasks.iter().filter(|t| names.contains(&t.name));
        Ok(named.cloned().collect())
    }

    fn end_of(&self, _job: &str, _index: usize) -> Option<String> {
        None
    }

    fn longest_array(&self) -> usize {
        3
    }
}

fn settings(chunk: Option<usize>) -> SlurmSettings {
    SlurmSettings {
        program: "/bin/ctl".into(),
        chunk,
        at_once: None,
        partition: None,
        time: None,
        arguments: Vec::new(),
        retries: 1,
        poll: Duration::from_millis(1),
        wait: true,
    }
}

fn sweep(text: &str) -> (Suite, Plan, Registry) {
    let registry = Registry::standard();
    let suite = Suite::parse(text, "tiny", &registry).unwrap();
    let plan = plan(&suite, &registry, None).unwrap();
    (suite, plan, registry)
}

fn launched(launcher: &dyn Launcher, text: &str, out: &Path) -> Result<Outcome> {
    let (suite, plan, registry) = sweep(text);
    let sweep = Sweep {
        info: &sweep_info(&suite, &plan, "test"),
        plan: &plan,
        registry: &registry,
    };
    let options = LaunchOptions {
        out,
        jobs: 1,
        save_models: false,
        records: None,
        provenance: BTreeMap::new(),
    };
    launcher.launch(&sweep, &options, &Silent)
}

fn slurm(cluster: &Cluster, settings: SlurmSettings) -> Slurm {
    Slurm {
        settings,
        interrupted: Arc::default(),
        scheduler: Box::new(cluster.clone()),
    }
}

/// Record and predictions of every run.
fn results(out: &Path) -> BTreeMap<String, [Vec<u8>; 2]> {
    let layout = Layout::new(out);
    let runs = layout.read_info().unwrap().runs;
    let files = |run: &String| {
        let read = |name: &str| std::fs::read(layout.run(run).join(name)).unwrap();
        ["record.json", "predictions.csv"].map(read)
    };
    runs.iter().map(|run| (run.clone(), files(run))).collect()
}

#[test]
fn a_cluster_leaves_what_this_machine_leaves() {
    let [here, there] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    launched(&Local, SUITE, here.path()).unwrap();
    let cluster = Cluster::default();
    let launcher = slurm(&cluster, settings(Some(3)));
    let outcome = launched(&launcher, SUITE, there.path()).unwrap();
    assert_eq!((outcome.finished, outcome.open), (4, 0));
    assert_eq!(cluster.batches(), [(1, 2)], "three runs and one");
    assert_eq!(results(here.path()), results(there.path()));
    drop(outcome);
    let again = launched(&launcher, SUITE, there.path()).unwrap();
    assert_eq!((again.reused, again.finished), (4, 0));
    assert_eq!(cluster.batches().len(), 1);
}

#[test]
fn without_a_chunk_the_array_is_as_long_as_the_cluster_wants_it() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::default();
    let error = launched(&slurm(&cluster, settings(Some(1))), SUITE, out.path());
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("chunk: 1") && text.contains("at least 2"),
        "{text}"
    );
    drop(launched(&slurm(&cluster, settings(None)), SUITE, out.path()).unwrap());
    assert_eq!(cluster.batches(), [(1, 2)]);
}

#[test]
fn a_run_that_ends_without_a_record_is_submitted_again_a_stated_number_of_times() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::End("NODE_FAIL"), Fate::Run]);
    let outcome = launched(&slurm(&cluster, settings(None)), SUITE, out.path()).unwrap();
    assert_eq!((outcome.finished, outcome.failures.len()), (4, 0));
    assert_eq!(cluster.batches(), [(1, 2), (2, 2)]);

    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::End("TIMEOUT"); 3]);
    let launcher = slurm(&cluster, settings(None));
    let outcome = launched(&launcher, SUITE, out.path()).unwrap();
    assert_eq!((outcome.failures.len(), outcome.open), (4, 0));
    assert_eq!(cluster.batches().len(), 2, "one retry");
    let text = super::super::chain(&outcome.failures[0]);
    for part in ["TIMEOUT", "submitted 2 times", "task-2-0.txt"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_cancelled_job_stays_cancelled_until_the_next_command() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::End("CANCELLED")]);
    let launcher = slurm(&cluster, settings(None));
    let outcome = launched(&launcher, SUITE, out.path()).unwrap();
    assert_eq!(outcome.failures.len(), 4);
    assert_eq!(cluster.batches().len(), 1);
    drop(outcome);
    assert_eq!(launched(&launcher, SUITE, out.path()).unwrap().finished, 4);
}

#[test]
fn a_silent_controller_is_asked_again_and_no_job_is_made_twice() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::Away, Fate::Away, Fate::Unheard]);
    cluster.state().silent = 3;
    let outcome = launched(&slurm(&cluster, settings(None)), SUITE, out.path()).unwrap();
    assert_eq!(outcome.finished, 4);
    assert_eq!(cluster.batches(), [(1, 2)]);
}

/// Nobody waits for a queue that cannot be asked; its jobs are found again by the same command.
#[test]
fn a_queue_that_cannot_be_asked_ends_the_wait_and_not_the_jobs() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::Wait]);
    cluster.state().mute = true;
    let launcher = slurm(&cluster, settings(None));
    let error = launched(&launcher, SUITE, out.path()).unwrap_err();
    assert!(error.to_string().contains("no squeue"), "{error}");
    cluster.state().mute = false;
    cluster.let_go();
    assert_eq!(launched(&launcher, SUITE, out.path()).unwrap().reused, 4);
    assert_eq!(cluster.batches(), [(1, 2)]);
}

#[test]
fn a_refusal_is_an_error_and_leaves_nothing_to_wait_for() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::Refused]);
    let launcher = slurm(&cluster, settings(None));
    let error = launched(&launcher, SUITE, out.path()).unwrap_err();
    assert!(error.to_string().contains("invalid partition"), "{error}");
    assert_eq!(launched(&launcher, SUITE, out.path()).unwrap().finished, 4);
}

#[test]
fn jobs_in_the_queue_are_taken_over_and_only_the_rest_is_submitted() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::Wait, Fate::Wait]);
    let unwaiting = SlurmSettings {
        wait: false,
        ..settings(None)
    };
    let launcher = slurm(&cluster, unwaiting);
    let one_seed = SUITE.replace("seeds = 2", "seeds = 1");
    let outcome = launched(&launcher, &one_seed, out.path()).unwrap();
    assert_eq!((outcome.finished, outcome.open), (0, 2));
    drop(outcome);
    assert_eq!(launched(&launcher, &one_seed, out.path()).unwrap().open, 2);
    assert_eq!(cluster.batches(), [(1, 2)], "nothing is doubled");
    assert_eq!(launched(&launcher, SUITE, out.path()).unwrap().open, 4);
    assert_eq!(cluster.batches(), [(1, 2), (2, 2)]);
    cluster.let_go();
    let outcome = launched(&slurm(&cluster, settings(None)), SUITE, out.path()).unwrap();
    assert_eq!((outcome.reused, outcome.open), (4, 0));
    assert_eq!(cluster.batches().len(), 2);
}

#[test]
fn an_interrupted_launcher_leaves_its_jobs_to_the_next() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(&[Fate::Wait]);
    let launcher = slurm(&cluster, settings(None));
    let flag = launcher.interrupted.clone();
    let stop = std::thread::spawn({
        let cluster = cluster.clone();
        move || {
            while cluster.state().submitted.is_empty() {
                std::thread::yield_now();
            }
            flag.store(true, Ordering::Relaxed);
        }
    });
    let outcome = launched(&launcher, SUITE, out.path()).unwrap();
    stop.join().unwrap();
    assert_eq!((outcome.finished, outcome.open), (0, 4));
    drop(outcome);
    let next = slurm(&cluster, settings(None));
    let waiting = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            cluster.let_go();
        });
        launched(&next, SUITE, out.path()).unwrap()
    });
    assert_eq!((waiting.finished + waiting.reused, waiting.open), (4, 0));
    assert_eq!(cluster.batches().len(), 1);
}

#[test]
fn a_task_of_no_batch_is_named() {
    let out = tempfile::tempdir().unwrap();
    let cluster = Cluster::default();
    drop(launched(&slurm(&cluster, settings(None)), SUITE, out.path()).unwrap());
    let registry = Registry::standard();
    let chunk = |task| run_chunk(out.path(), task, &registry, BTreeMap::new(), &Silent);
    let text = chunk((1, 2)).unwrap_err().to_string();
    assert!(text.contains("from 0 to 1, found 2"), "{text}");
    assert!(chunk((9, 0)).unwrap_err().to_string().contains("batch-9"));
}
