//! What the `quick` suite promises.

use std::collections::BTreeMap;

use ctl_harness::launch::{LaunchOptions, launch, sweep_info};
use ctl_harness::plan::plan;
use ctl_harness::suite::shipped;
use ctl_harness::sweep::Layout;
use ctl_harness::vocabulary::{Selector, Task};
use ctl_harness::{Registry, Silent};

/// Least area under the curve of plain training on unseen patients of the sources.
const PROMISED: f64 = 0.85;

#[test]
fn plain_training_reads_the_films_of_its_own_hospitals() {
    let registry = Registry::standard();
    let mut suites = shipped(&registry).unwrap();
    let suite = suites
        .iter_mut()
        .find(|suite| suite.name == "quick")
        .unwrap();
    for own in suite.tasks.values_mut() {
        own.methods = None;
    }
    suite
        .simulated
        .retain(|entry| entry.tasks.contains(&Task::Classification));
    suite.simulated[0].tasks = vec![Task::Classification];
    suite.methods = vec!["erm".into()];
    suite.seeds = 1;
    let plan = plan(suite, &registry, None).unwrap();
    assert!(plan.runs.len() >= 2);
    let out = tempfile::tempdir().unwrap();
    let info = sweep_info(suite, &plan, "test");
    let options = LaunchOptions {
        out: out.path(),
        jobs: 2,
        save_models: false,
        records: None,
        provenance: BTreeMap::new(),
    };
    let outcome = launch(&info, &plan, &registry, &options, &Silent).unwrap();
    assert!(outcome.failures.is_empty());
    for record in Layout::new(out.path()).read_records(&info).unwrap() {
        let chosen = &record.selections[&Selector::TrainingDomain];
        let area = chosen.in_distribution["auroc"];
        assert!(area >= PROMISED, "{}: {area}", record.spec.cell());
    }
}
