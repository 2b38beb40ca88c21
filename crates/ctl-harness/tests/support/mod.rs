//! Sweeps in temporary folders.

use std::collections::BTreeMap;
use std::path::Path;

use ctl_harness::launch::{LaunchOptions, launch, sweep_info};
use ctl_harness::plan::Plan;
use ctl_harness::record::Record;
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::{Registry, Silent};

pub(crate) fn options(out: &Path, jobs: usize) -> LaunchOptions<'_> {
    LaunchOptions {
        out,
        jobs,
        save_models: true,
        records: None,
        provenance: BTreeMap::new(),
    }
}

/// The records of a plan, whose runs must all end well.
pub(crate) fn run_plan(suite: &Suite, plan: &Plan, out: &Path, jobs: usize) -> Vec<Record> {
    let info = sweep_info(suite, plan, "test");
    let registry = Registry::standard();
    let outcome = launch(&info, plan, &registry, &options(out, jobs), &Silent).unwrap();
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    Layout::new(out).read_records(&info).unwrap()
}

/// Every file below a folder by name, but those that hold wall-clock time.
pub(crate) fn contents(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![out.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("env.json") {
                let name = path.strip_prefix(out).unwrap().display().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}
