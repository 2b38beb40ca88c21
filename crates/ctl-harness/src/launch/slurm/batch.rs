//! What was submitted, as files.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::plan::{Origin, PlannedRun};
use crate::store::{read_json, write_json_atomically};
use crate::sweep::Layout;
use crate::{HarnessError, Result};

const SCHEMA: u32 = 1;
/// Characters of a sweep's token: enough that two sweeps on one cluster have different ones.
const TOKEN: usize = 8;

/// The runs of a job array, by task.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    schema: u32,
    /// Keep the weights of the selected checkpoints.
    pub(super) save_models: bool,
    /// The runs of each task.
    pub(super) chunks: Vec<Vec<PlannedRun>>,
}

impl Batch {
    /// Cuts runs into chunks; folders of cohorts become absolute.
    ///
    /// # Errors
    /// When the folder of a cohort is not there.
    pub(super) fn new(runs: &[&PlannedRun], chunk: usize, save_models: bool) -> Result<Self> {
        let runs: Vec<PlannedRun> = runs.iter().map(|run| at_home(run)).collect::<Result<_>>()?;
        Ok(Self {
            schema: SCHEMA,
            save_models,
            chunks: runs.chunks(chunk).map(<[PlannedRun]>::to_vec).collect(),
        })
    }

    pub(super) fn path(layout: &Layout, number: u32) -> PathBuf {
        layout.slurm().join(format!("batch-{number}.json"))
    }

    pub(super) fn write(&self, layout: &Layout, number: u32) -> Result<()> {
        write_json_atomically(&Self::path(layout, number), self)
    }

    pub(super) fn read(layout: &Layout, number: u32) -> Result<Self> {
        let path = Self::path(layout, number);
        let batch: Self = read_json(&path)?;
        check(&path, batch.schema)?;
        Ok(batch)
    }
}

fn at_home(run: &PlannedRun) -> Result<PlannedRun> {
    let mut run = run.clone();
    if let Origin::Folder(folder) = &mut run.origin {
        *folder = folder.canonicalize().map_err(|source| HarnessError::File {
            path: folder.clone(),
            action: "find",
            source,
        })?;
    }
    Ok(run)
}

fn check(path: &Path, schema: u32) -> Result<()> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(HarnessError::Stored {
        path: path.to_path_buf(),
        message: format!("expected schema {SCHEMA}, found {schema}"),
    })
}

/// Every job array of a sweep, `slurm/jobs.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    schema: u32,
    /// Part of the names of the sweep's jobs that no other sweep has.
    token: String,
    pub(super) entries: Vec<Entry>,
}

/// A job array.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Number of the batch, from 1.
    pub(super) batch: u32,
    /// Name of the job.
    pub(super) name: String,
    /// Number of the job; `None` where a launcher ended before it heard of it.
    pub(super) job: Option<String>,
    /// Whether all its tasks have left the queue.
    pub(super) over: bool,
}

impl Ledger {
    fn path(layout: &Layout) -> PathBuf {
        layout.slurm().join("jobs.json")
    }

    /// The ledger of a sweep; an empty one where nothing was submitted.
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        let path = Self::path(layout);
        if !path.exists() {
            return Ok(Self {
                schema: SCHEMA,
                token: token(&layout.root),
                entries: Vec::new(),
            });
        }
        let ledger: Self = read_json(&path)?;
        check(&path, ledger.schema)?;
        Ok(ledger)
    }

    pub(super) fn write(&self, layout: &Layout) -> Result<()> {
        write_json_atomically(&Self::path(layout), self)
    }

    /// An entry for the next batch, which no job has yet.
    pub(super) fn announce(&mut self, suite: &str) -> Entry {
        let batch = self.entries.last().map_or(1, |entry| entry.batch + 1);
        let entry = Entry {
            batch,
            name: format!("ctl-{suite}-{}-{batch}", self.token),
            job: None,
            over: false,
        };
        self.entries.push(entry.clone());
        entry
    }

    /// Arrays that may have tasks in the queue.
    pub(super) fn current(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.over)
    }

    pub(super) fn get(&self, batch: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.batch == batch)
    }

    pub(super) fn get_mut(&mut self, batch: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.batch == batch)
    }
}

/// Another one whenever a sweep is begun, even in the same folder.
fn token(root: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_nanos());
    let key = format!("{} {now} {}", root.display(), std::process::id());
    blake3::hash(key.as_bytes()).to_hex()[..TOKEN].to_owned()
}
