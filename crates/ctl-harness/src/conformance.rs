//! Conformance vectors: every file of a folder, dispatched by its schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::store::read_json;
use crate::{HarnessError, Result};

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileOutcome {
    /// Path below the folder.
    pub file: String,
    /// Its schema, where it names one.
    pub schema: Option<String>,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that nothing here computes yet, by family.
    pub not_implemented: BTreeMap<String, usize>,
    /// Differences found, case by case.
    pub differences: Vec<String>,
    /// Why the file was not run at all.
    pub not_run: Option<String>,
}

impl FileOutcome {
    /// Cases found, run or not; a file that cannot be read counts as one that failed.
    fn cases(&self) -> usize {
        self.passed + self.failed + self.not_implemented.values().sum::<usize>()
    }
}

/// The outcome of one case.
enum Outcome {
    Passed,
    Failed(Vec<String>),
    NotImplemented,
}

type RunCase = fn(&Value) -> Outcome;

fn objective(case: &Value) -> Outcome {
    match ctl_invariance::conformance::run_case(case) {
        ctl_invariance::conformance::Outcome::Passed => Outcome::Passed,
        ctl_invariance::conformance::Outcome::Failed(why) => Outcome::Failed(why),
        ctl_invariance::conformance::Outcome::NotImplemented => Outcome::NotImplemented,
    }
}

fn metric(case: &Value) -> Outcome {
    match ctl_metrics::conformance::run_case(case) {
        ctl_metrics::conformance::Outcome::Passed => Outcome::Passed,
        ctl_metrics::conformance::Outcome::Failed(why) => Outcome::Failed(why),
        ctl_metrics::conformance::Outcome::NotImplemented => Outcome::NotImplemented,
    }
}

/// Schemas that can be run, the function for a case, and the key of a case's family.
const SCHEMAS: [(&str, RunCase, &str); 3] = [
    ("objectives/1", objective, "objective"),
    ("metrics/1", metric, "metric"),
    ("counterfactual/1", metric, "metric"),
];

/// Runs every JSON file below a folder, in path order.
///
/// # Errors
/// When the folder cannot be read, or holds no JSON file.
pub fn run_folder(folder: &Path) -> Result<Vec<FileOutcome>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(HarnessError::Data {
            path: folder.to_path_buf(),
            message: "holds no .json file with conformance vectors".into(),
        });
    }
    let outcomes: Vec<FileOutcome> = files.iter().map(|path| run_file(folder, path)).collect();
    if outcomes.iter().all(|outcome| outcome.cases() == 0) {
        return Err(HarnessError::Data {
            path: folder.to_path_buf(),
            message: "holds no conformance case".into(),
        });
    }
    Ok(outcomes)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let fault = |source| HarnessError::File {
        path: folder.to_path_buf(),
        action: "list",
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads a vector file; where a plain reader refuses it, bare `NaN` and `Infinity` are allowed for.
fn read(path: &Path) -> Result<Value> {
    read_json(path).or_else(|fault| {
        let text = std::fs::read_to_string(path).ok();
        let content = text.and_then(|text| ctl_graph::conformance::parse(&text).ok());
        content.ok_or(fault)
    })
}

fn run_file(folder: &Path, path: &Path) -> FileOutcome {
    let file = path
        .strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string();
    let mut outcome = FileOutcome {
        file,
        ..FileOutcome::default()
    };
    let content = match read(path) {
        Ok(content) => content,
        Err(error) => {
            outcome.failed = 1;
            outcome.differences.push(error.to_string());
            return outcome;
        }
    };
    outcome.schema = content["schema"].as_str().map(str::to_owned);
    let known = SCHEMAS
        .iter()
        .find(|(name, ..)| Some(*name) == outcome.schema.as_deref());
    match (known, content["cases"].as_array()) {
        (Some((_, run, key)), Some(cases)) => {
            for case in cases {
                count(&mut outcome, case, run(case), key);
            }
        }
        (Some(_), None) => {
            outcome.failed = 1;
            outcome.differences.push("no list of cases".into());
        }
        (None, _) => run_graph(&mut outcome, &content, path),
    }
    outcome
}

/// Files about causal diagrams, or a word on why a file is not run.
fn run_graph(outcome: &mut FileOutcome, content: &Value, path: &Path) {
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(found) = ctl_graph::conformance::run_file(content, folder) else {
        let schema = outcome.schema.clone().unwrap_or_else(|| "none".into());
        outcome.not_run = Some(format!("schema {schema} is not implemented"));
        return;
    };
    (outcome.passed, outcome.failed) = (found.passed(), found.failed());
    let failed = found.cases.iter().filter(|c| !c.differences.is_empty());
    let lines = failed.map(|c| format!("{}: {}", c.id, c.differences.join("; ")));
    outcome.differences.extend(lines);
}

fn count(outcome: &mut FileOutcome, case: &Value, result: Outcome, key: &str) {
    match result {
        Outcome::Passed => outcome.passed += 1,
        Outcome::NotImplemented => {
            let family = case[key].as_str().unwrap_or("unnamed").to_owned();
            *outcome.not_implemented.entry(family).or_default() += 1;
        }
        Outcome::Failed(why) => {
            outcome.failed += 1;
            let id = case["id"].as_str().unwrap_or("unnamed");
            outcome
                .differences
                .push(format!("{id}: {}", why.join("; ")));
        }
    }
}
