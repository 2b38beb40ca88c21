//! What the launcher needs of a scheduler.

/// An answer, or why there is none.
pub(super) type Answer<T> = std::result::Result<T, Fault>;

/// Why a scheduler did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It cannot be reached now: asking again may help.
    Passing(String),
    /// It refused.
    Lasting(String),
}

impl Fault {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Passing(message) | Self::Lasting(message) => message,
        }
    }
}

/// A job array to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submission {
    /// Name that no other job has.
    pub(super) name: String,
    /// Number of the batch, from 1.
    pub(super) batch: u32,
    /// Number of tasks, at least 1.
    pub(super) tasks: usize,
    /// Absolute path of the sweep.
    pub(super) root: String,
}

/// An array task that the scheduler knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Name of its job.
    pub(super) name: String,
    /// Number of its job.
    pub(super) job: String,
    /// Its index in the array.
    pub(super) index: usize,
    /// State in capital letters, such as `PENDING`.
    pub(super) state: String,
    /// Why it waits.
    pub(super) reason: String,
}

/// States of tasks that will do nothing more (`squeue(1)`, JOB STATE CODES).
const ENDED: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];

impl Task {
    /// Whether it runs or will run.
    pub(super) fn is_live(&self) -> bool {
        !ENDED.contains(&self.state.as_str())
    }

    pub(super) fn is_pending(&self) -> bool {
        self.state == "PENDING"
    }
}

/// A scheduler of job arrays.
pub(super) trait Scheduler {
    /// Submits an array and gives the number of its job.
    fn submit(&self, submission: &Submission) -> Answer<String>;

    /// The tasks of the jobs of some names that it knows, ended ones among them for a while.
    fn tasks(&self, names: &[String]) -> Answer<Vec<Task>>;

    /// The state in which a task ended that [`Scheduler::tasks`] has forgotten, where anything
    /// knows it.
    fn end_of(&self, job: &str, index: usize) -> Option<String>;

    /// Most tasks of an array.
    fn longest_array(&self) -> usize;
}
