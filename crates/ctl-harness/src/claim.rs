//! One process at a time works in the folder of a sweep, and only on runs that belong together.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::Path;

use crate::plan::{Plan, PlannedRun};
use crate::record::Record;
use crate::spec::{CohortSpec, RunSpec};
use crate::store::{PARTIAL_PREFIX, read_json, write_json_atomically};
use crate::sweep::{Layout, SweepInfo};
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// Locks the folder until the returned file is dropped or the process ends, however it ends.
///
/// # Errors
/// When the folder cannot be written, or another process holds it.
pub(crate) fn lock(layout: &Layout) -> Result<File> {
    let fault = |path: &Path, action: &'static str| {
        let path = path.to_path_buf();
        move |source| HarnessError::File {
            path,
            action,
            source,
        }
    };
    std::fs::create_dir_all(&layout.root).map_err(fault(&layout.root, "make the folder"))?;
    let path = layout.lock();
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fault(&path, "write"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HarnessError::Data {
            path: layout.root.clone(),
            message: "another process is working on this sweep; wait for it, or give another --out"
                .into(),
        }),
        Err(TryLockError::Error(source)) => Err(fault(&path, "lock")(source)),
    }
}

/// Writes what the sweep is: the runs planned now, and those that the folder holds already.
///
/// # Errors
/// When the folder holds a sweep whose runs do not belong into one table with the planned ones.
pub(crate) fn announce(layout: &Layout, info: &SweepInfo, plan: &Plan) -> Result<()> {
    let mut info = info.clone();
    if layout.sweep().exists() {
        let stored = layout.read_info()?;
        refuse_foreign(layout, &stored, &info, plan)?;
        info.runs = united(stored.runs, info.runs);
    }
    write_json_atomically(&layout.sweep(), &info)
}

/// Planned order where nothing else is stored, so that repeating a command changes no byte.
fn united(stored: Vec<String>, planned: Vec<String>) -> Vec<String> {
    let known: BTreeSet<&String> = planned.iter().collect();
    if stored.iter().all(|run| known.contains(run)) {
        return planned;
    }
    let mut all = stored;
    for run in planned {
        if !all.contains(&run) {
            all.push(run);
        }
    }
    all
}

fn refuse_foreign(
    layout: &Layout,
    stored: &SweepInfo,
    info: &SweepInfo,
    plan: &Plan,
) -> Result<()> {
    let refuse = |what: String| {
        Err(HarnessError::Data {
            path: layout.root.clone(),
            message: format!(
                "holds a sweep of suite {}, which {what}; give another --out",
                stored.suite
            ),
        })
    };
    if stored.suite != info.suite {
        return refuse(format!("is not suite {}", info.suite));
    }
    for folder in stored.runs.iter().filter(|run| !info.runs.contains(run)) {
        let path = layout.run(folder).join("spec.json");
        // A run that was planned and never begun has nothing to lose.
        if !path.exists() {
            continue;
        }
        let spec: RunSpec = read_json(&path)?;
        let other = plan
            .runs
            .iter()
            .find_map(|run| difference(&spec, &run.spec));
        if let Some(what) = other {
            return refuse(format!("has {what} than the runs asked for now"));
        }
    }
    Ok(())
}

/// Why two different runs cannot stand in one table.
fn difference(stored: &RunSpec, planned: &RunSpec) -> Option<String> {
    if stored.task != planned.task {
        return None;
    }
    let same_cohort = stored.cohort == planned.cohort;
    let same_data = match (&stored.data, &planned.data) {
        (CohortSpec::Phantom { spec: a }, CohortSpec::Phantom { spec: b }) => {
            stored.seed != planned.seed || a == b
        }
        (a, b) => a == b,
    };
    if same_cohort && !same_data {
        return Some(format!("other images under the name {}", stored.cohort));
    }
    let defaults = stored.draw == 0 && planned.draw == 0;
    if defaults && stored.training != planned.training {
        return Some("another way of training".into());
    }
    let same_method = defaults && stored.method == planned.method;
    if same_method && stored.settings != planned.settings {
        return Some(format!("other settings of {}", stored.method));
    }
    None
}

/// Whether a run is finished; with `models`, also whether its models are there.
///
/// # Errors
/// When there is a record that cannot be read, is of another version or of another run: it is left
/// alone.
pub(crate) fn is_done(layout: &Layout, run: &PlannedRun, models: bool) -> Result<bool> {
    let folder = run.spec.folder();
    let path = layout.record(&folder);
    if !path.exists() {
        return Ok(false);
    }
    let damaged = |message: String| HarnessError::Stored {
        path: path.clone(),
        message: format!("{message}; move it away to have the run repeated"),
    };
    let record = Record::read(&path).map_err(|error| match error {
        HarnessError::Stored { message, .. } => damaged(message),
        other => other,
    })?;
    if record.spec != run.spec {
        return Err(damaged("belongs to another run".into()));
    }
    let has_model = |selector: &Selector| layout.model(&folder, *selector).exists();
    Ok(!models || record.selections.keys().all(has_model))
}

/// Removes what a killed process left: half-written files, and checkpoints of finished runs.
///
/// # Errors
/// When a file cannot be removed.
pub(crate) fn tidy(layout: &Layout) -> Result<()> {
    let runs = folders_in(&layout.root.join("runs"));
    for folder in runs.iter().chain([&layout.root, &layout.examples()]) {
        for file in files_in(folder) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let stale = name == "checkpoint.safetensors" && folder.join("record.json").exists();
            if name.starts_with(PARTIAL_PREFIX) || name.ends_with(".tmp") || stale {
                remove(&file)?;
            }
        }
        for model in folders_in(folder) {
            for file in files_in(&model) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with(PARTIAL_PREFIX) {
                    remove(&file)?;
                }
            }
        }
    }
    Ok(())
}

/// Removes a file; one that is gone already is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(HarnessError::File {
            path: path.to_path_buf(),
            action: "remove",
            source,
        }),
        _ => Ok(()),
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    // A folder that is not there holds nothing.
    let entries = std::fs::read_dir(folder).ok().into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|e| e.path()))
}

fn folders_in(folder: &Path) -> Vec<std::path::PathBuf> {
    entries(folder).filter(|path| path.is_dir()).collect()
}

fn files_in(folder: &Path) -> Vec<std::path::PathBuf> {
    entries(folder).filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_wider_plan_replaces_and_a_narrower_one_keeps() {
        for (stored, planned, expected) in [
            ("a b", "a b", "a b"),
            ("b", "a b", "a b"),
            ("a b c", "b", "a b c"),
            ("a", "b", "a b"),
        ] {
            assert_eq!(united(words(stored), words(planned)), words(expected));
        }
    }

    #[test]
    fn a_second_process_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let held = lock(&layout).unwrap();
        let error = lock(&layout).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(held);
        lock(&layout).unwrap();
    }
}
