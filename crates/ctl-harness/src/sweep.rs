//! The folder of a sweep.
//!
//! ```text
//! sweep.json                what was asked for
//! runs/<first 16 digits of the id>/
//!     spec.json             the fully resolved specification
//!     env.json              machine, versions, wall-clock time
//!     metrics.jsonl         one line per evaluation
//!     predictions.csv       every scored sample under every selector
//!     panels/               pictures of what the network made of target images
//!     counterfactuals/strip.png  what the method's generator made of images of the sources
//!     record.json           the result, written last
//!     checkpoint.safetensors  while the run trains
//!     .lock                 locked by the process that executes the run
//!     error.txt             why it failed on a cluster, until it succeeds
//! examples/                 pictures of the cohorts, and examples.json
//! figures/                 figures of report.md
//! slurm/                   job arrays, their runs and logs, see [`crate::launch::slurm`]
//! report.html, report.md, results.csv, records.jsonl.gz
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::store::read_json;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// Version of the layout of `sweep.json` and `examples.json`.
pub const SWEEP_SCHEMA: u32 = 1;

/// What a sweep was asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepInfo {
    /// Version of this layout.
    pub schema: u32,
    /// Name of the suite.
    pub suite: String,
    /// Its title.
    pub title: String,
    /// What it is for, one or two sentences.
    pub description: String,
    /// The suite file as TOML, fully resolved.
    pub resolved: String,
    /// The command that runs it again.
    pub command: String,
    /// Cells or methods that were left out, and why.
    pub skipped: Vec<String>,
    /// Folder names of all planned runs, in plan order.
    pub runs: Vec<String>,
}

/// A picture of a cohort for the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// File in `examples/`, a PNG.
    pub file: String,
    /// Name of the cohort.
    pub cohort: String,
    /// Site.
    pub site: String,
    /// Class name, or what the picture shows.
    pub caption: String,
}

/// The list of pictures, `examples/examples.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Version of this layout.
    pub schema: u32,
    /// The pictures, by cohort, site and class.
    pub examples: Vec<Example>,
    /// By cohort, the hash of what the pictures were made from.
    #[serde(default)]
    pub contents: BTreeMap<String, String>,
}

/// Paths inside the folder of a sweep.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The folder.
    pub root: PathBuf,
}

impl Layout {
    /// The layout of a folder.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// `sweep.json`
    pub fn sweep(&self) -> PathBuf {
        self.root.join("sweep.json")
    }

    /// Folder of a run.
    pub fn run(&self, folder: &str) -> PathBuf {
        self.root.join("runs").join(folder)
    }

    /// Record of a run.
    pub fn record(&self, folder: &str) -> PathBuf {
        self.run(folder).join("record.json")
    }

    /// Description of a run's model under a selector.
    pub fn model(&self, folder: &str, selector: Selector) -> PathBuf {
        self.run(folder)
            .join(format!("model-{selector}"))
            .join("model.json")
    }

    /// The file that is locked while a process works here.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Folder of what a cluster is asked to do.
    pub fn slurm(&self) -> PathBuf {
        self.root.join("slurm")
    }

    /// Folder of pictures.
    pub fn examples(&self) -> PathBuf {
        self.root.join("examples")
    }

    /// Reads `sweep.json`.
    ///
    /// # Errors
    /// When the folder holds no sweep, or one of another schema.
    pub fn read_info(&self) -> Result<SweepInfo> {
        let path = self.sweep();
        if !path.exists() {
            return Err(HarnessError::Data {
                path: self.root.clone(),
                message: "holds no sweep: expected a file sweep.json, which `benchmark` writes"
                    .into(),
            });
        }
        let info: SweepInfo = read_json(&path)?;
        if info.schema != SWEEP_SCHEMA {
            return Err(HarnessError::Stored {
                path,
                message: format!("expected schema {SWEEP_SCHEMA}, found {}", info.schema),
            });
        }
        let plain = |name: &String| name.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(found) = info.runs.iter().find(|name| !plain(name)) {
            return Err(HarnessError::Stored {
                path,
                message: format!("runs: expected hexadecimal names, found {found:?}"),
            });
        }
        Ok(info)
    }

    /// Records of the planned runs that are finished, in plan order.
    ///
    /// # Errors
    /// When a record is there and cannot be read.
    pub fn read_records(&self, info: &SweepInfo) -> Result<Vec<Record>> {
        info.runs
            .iter()
            .map(|folder| self.record(folder))
            .filter(|path| path.exists())
            .map(|path| Record::read(&path))
            .collect()
    }

    /// Reads the list of pictures; empty where there is none.
    ///
    /// # Errors
    /// When the list is there and cannot be read.
    pub fn read_examples(&self) -> Result<Examples> {
        let path = self.examples().join("examples.json");
        if path.exists() {
            read_json(&path)
        } else {
            Ok(Examples::default())
        }
    }
}
