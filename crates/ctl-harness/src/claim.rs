//! Who may work on what: one launcher at a time in the folder of a sweep, one process at a time on a
//! run, and only on runs that belong together.

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

/// The file in a run's folder that is locked while a process executes it.
const RUN_LOCK: &str = ".lock";
/// The file in a run's folder that says why it failed on a cluster.
pub(crate) const ERROR: &str = "error.txt";

/// Locks the folder until the returned file is dropped or the process ends, however it ends.
///
/// # Errors
/// When the folder cannot be written, or another process holds it.
pub(crate) fn lock(layout: &Layout) -> Result<File> {
    std::fs::create_dir_all(&layout.root).map_err(fault(&layout.root, "make the folder"))?;
    let path = layout.lock();
    let file = open(&path)?;
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

/// Locks a run as [`lock`] does the folder, waiting while another process has it; `waiting` is
/// called before that.
///
/// # Errors
/// When the run's folder cannot be written, or its file system has no locks.
pub(crate) fn lock_run(layout: &Layout, folder: &str, waiting: impl FnOnce()) -> Result<File> {
    let run = layout.run(folder);
    std::fs::create_dir_all(&run).map_err(fault(&run, "make the folder"))?;
    let path = run.join(RUN_LOCK);
    let file = open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().map_err(fault(&path, "lock"))?;
        }
        Err(TryLockError::Error(source)) => return Err(fault(&path, "lock")(source)),
    }
    Ok(file)
}

fn open(path: &Path) -> Result<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    options.open(path).map_err(fault(path, "write"))
}

fn fault(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> HarnessError {
    let path = path.to_path_buf();
    move |source| HarnessError::File {
        path,
        action,
        source,
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

/// The record of a run that is finished; with `models`, only where its models are there.
///
/// # Errors
/// When there is a record that cannot be read, is of another version or of another run: it is left
/// alone.
pub(crate) fn finished(layout: &Layout, run: &PlannedRun, models: bool) -> Result<Option<Record>> {
    let folder = run.spec.folder();
    let path = layout.record(&folder);
    if !path.exists() {
        return Ok(None);
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
    let complete = !models || record.selections.keys().all(has_model);
    Ok(complete.then_some(record))
}

/// Removes what a killed process left: half-written files, and checkpoints and errors of finished
/// runs. What another process is at is left alone.
///
/// # Errors
/// When a file cannot be removed.
pub(crate) fn tidy(layout: &Layout) -> Result<()> {
    for folder in [&layout.root, &layout.examples(), &layout.slurm()] {
        clear(folder)?;
    }
    for folder in folders_in(&layout.root.join("runs")) {
        let lock = folder.join(RUN_LOCK);
        // Held until the folder is clear.
        let held = lock.exists().then(|| open(&lock)).transpose()?;
        if held.as_ref().is_some_and(|file| file.try_lock().is_err()) {
            continue;
        }
        clear(&folder)?;
        for model in folders_in(&folder) {
            clear(&model)?;
        }
        if folder.join("record.json").exists() {
            remove(&folder.join("checkpoint.safetensors"))?;
            remove(&folder.join(ERROR))?;
        }
    }
    Ok(())
}

/// Removes the half-written files of a folder.
fn clear(folder: &Path) -> Result<()> {
    for file in files_in(folder) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PARTIAL_PREFIX) || name.ends_with(".tmp") {
            remove(&file)?;
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
    use std::sync::atomic::Ordering;

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
    fn a_run_is_waited_for_and_what_is_at_work_is_not_tidied() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let held = lock_run(&layout, "a", || panic!("nobody has it")).unwrap();
        let half = layout.run("a").join(".partial-x");
        std::fs::write(&half, "half").unwrap();
        tidy(&layout).unwrap();
        assert!(half.exists());
        let waited = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = || {
                lock_run(&layout, "a", || waited.store(true, Ordering::SeqCst)).unwrap();
            };
            let second = scope.spawn(second);
            while !waited.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            assert!(!second.is_finished());
            drop(held);
            second.join().unwrap();
        });
        tidy(&layout).unwrap();
        assert!(!half.exists());
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
