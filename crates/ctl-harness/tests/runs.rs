//! Runs from suite to record: every method, determinism, resuming, selection.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ctl_harness::data::{load_chest, split};
use ctl_harness::launch::{LaunchOptions, launch, sweep_info};
use ctl_harness::plan::{Plan, plan};
use ctl_harness::record::{Record, Status};
use ctl_harness::run::{load_model, predict, read_predictions};
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::vocabulary::{Protocol, Selector};
use ctl_harness::{Event, Observer, Registry, Silent};
use ctl_phantom::{ChestSpec, simulate_chest};

fn tiny(methods: &[&str], steps: u64) -> Suite {
    let text = format!(
        r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = {methods:?}
[training]
size = 20
steps = {steps}
batch_size = 4
evaluate_every = 3
translate = 1
flip = true
[settings.irm]
anneal_steps = 2
[settings.v-rex]
anneal_steps = 2
[settings.mm-rex]
anneal_steps = 2
[[chest]]
name = "chest"
shift = "combined"
images_per_site = 24
source_sites = 2
confounding = 0.5
"#
    );
    Suite::parse(&text, "tiny", &Registry::standard()).unwrap()
}

fn run(suite: &Suite, out: &Path, jobs: usize) -> Vec<Record> {
    let registry = Registry::standard();
    let plan = plan(suite, &registry, None).unwrap();
    run_plan(suite, &plan, out, jobs)
}

fn run_plan(suite: &Suite, plan: &Plan, out: &Path, jobs: usize) -> Vec<Record> {
    let options = LaunchOptions {
        out,
        jobs,
        save_models: true,
        provenance: std::collections::BTreeMap::new(),
    };
    let info = sweep_info(suite, plan, "test");
    let outcome = launch(&info, plan, &Registry::standard(), &options, &Silent).unwrap();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    Layout::new(out).read_records(&info).unwrap()
}

/// Every file of a sweep but those that hold wall-clock time.
fn contents(out: &Path) -> BTreeMap<String, Vec<u8>> {
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

#[test]
fn every_method_trains_predicts_saves_and_loads() {
    let registry = Registry::standard();
    let ids: Vec<&str> = registry.iter().map(|m| m.info().id).collect();
    let out = tempfile::tempdir().unwrap();
    let suite = tiny(&ids, 6);
    let records = run(&suite, out.path(), 2);
    assert_eq!(records.len(), ids.len());
    let cohort = tempfile::tempdir().unwrap();
    let folder = cohort.path().join("new");
    let spec = ChestSpec {
        size: 32,
        images_per_site: 2,
        ..ChestSpec::default()
    };
    simulate_chest(&spec).unwrap().write(&folder).unwrap();
    let mut outputs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in &records {
        assert_eq!(record.status, Status::Finished);
        assert_eq!(record.evaluations.len(), 2);
        assert_eq!(record.selections.len(), 2);
        let run = Layout::new(out.path()).run(&record.spec.folder());
        let path = run.join("predictions.csv");
        let scored = read_predictions(&path, Selector::TrainingDomain, "target").unwrap();
        assert_eq!(scored.len(), record.counts.target);
        assert!(scored.iter().all(|prediction| prediction.patient.is_some()));
        let hash = blake3::hash(&std::fs::read(&path).unwrap())
            .to_hex()
            .to_string();
        assert_eq!(record.predictions, Some(hash));
        let (card, network) = load_model(&run).unwrap();
        let predicted = predict(&card, network.as_ref(), &folder).unwrap();
        assert_eq!(predicted.len(), 8);
        for p in &predicted {
            assert!((p.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let firsts = predicted.iter().map(|p| p.probabilities[0]).collect();
        outputs.insert(record.spec.method.clone(), firsts);
    }
    // No method is another one under a different name.
    for (a, of_a) in &outputs {
        for (b, of_b) in &outputs {
            assert!(a == b || of_a != of_b, "{a} equals {b}");
        }
    }
}

#[test]
fn one_and_two_workers_leave_the_same_bytes() {
    let suite = tiny(&["erm", "dann", "mixup", "group-dro"], 6);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (folder, jobs) in folders.iter().zip([1, 2]) {
        run(&suite, folder.path(), jobs);
    }
    let [one, two] = folders.each_ref().map(|folder| contents(folder.path()));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        two.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        assert!(*bytes == two[name], "{name} differs");
    }
}

/// Stops the process' work after some steps by panicking in the observer.
struct StopAfter(std::sync::atomic::AtomicU64);

impl Observer for StopAfter {
    fn event(&self, event: &Event<'_>) {
        if let Event::Advanced { units: 1, .. } = event {
            let left = self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            assert!(left > 1, "stopped on purpose");
        }
    }
}

#[test]
fn an_interrupted_run_continues_from_its_checkpoint_to_the_same_bytes() {
    let suite = tiny(
        &["erm", "irm", "dann", "dann-target", "group-dro", "mixup"],
        8,
    );
    let registry = Registry::standard();
    let plan = plan(&suite, &registry, None).unwrap();
    let whole = tempfile::tempdir().unwrap();
    run_plan(&suite, &plan, whole.path(), 1);
    let cut = tempfile::tempdir().unwrap();
    let info = sweep_info(&suite, &plan, "test");
    // Each invocation dies after 5 steps of some run: past its first checkpoint.
    for _ in 0..plan.runs.len() {
        let observer = StopAfter(5.into());
        let options = LaunchOptions {
            out: cut.path(),
            jobs: 1,
            save_models: true,
            provenance: std::collections::BTreeMap::new(),
        };
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            launch(&info, &plan, &Registry::standard(), &options, &observer)
        }));
        assert!(died.is_err());
    }
    run_plan(&suite, &plan, cut.path(), 1);
    let (one, two) = (contents(whole.path()), contents(cut.path()));
    for (name, bytes) in &one {
        assert!(*bytes == two[name], "{name} differs after resuming");
    }
}

#[test]
fn a_finished_run_is_not_repeated_and_a_changed_one_is_another_run() {
    let out = tempfile::tempdir().unwrap();
    let suite = tiny(&["erm"], 3);
    let first = run(&suite, out.path(), 1);
    let path = Layout::new(out.path()).record(&first[0].spec.folder());
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    run(&suite, out.path(), 1);
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        written
    );
    let mut longer = suite.clone();
    longer.training.steps = 4;
    let other = tempfile::tempdir().unwrap();
    let second = run(&longer, other.path(), 1);
    assert_ne!(first[0].id, second[0].id);
}

#[test]
fn seeds_and_draws_change_the_result_and_nothing_else_moves() {
    let registry = Registry::standard();
    let mut suite = tiny(&["irm"], 3);
    suite.seeds = 2;
    suite.draws = 3;
    let plan = plan(&suite, &registry, None).unwrap();
    assert_eq!(plan.runs.len(), 6);
    let settings: Vec<_> = plan
        .runs
        .iter()
        .map(|r| r.spec.settings.to_string())
        .collect();
    assert_ne!(settings[0], settings[1]);
    assert_ne!(settings[1], settings[2]);
    // What the suite fixes is not searched.
    for run in &plan.runs {
        assert_eq!(run.spec.settings["anneal_steps"], 2);
    }
    let out = tempfile::tempdir().unwrap();
    let records = run_plan(&suite, &plan, out.path(), 2);
    let mut validations: Vec<String> = records
        .iter()
        .map(|r| format!("{:?}", r.evaluations))
        .collect();
    validations.sort();
    validations.dedup();
    assert_eq!(validations.len(), 6);
}

#[test]
fn parts_share_no_patient() {
    let spec = ChestSpec {
        size: 16,
        images_per_site: 60,
        ..ChestSpec::default()
    };
    let cohort = load_chest(&spec).unwrap();
    let names = |sites: &[usize]| {
        sites
            .iter()
            .map(|&s| cohort.sites[s].clone())
            .collect::<Vec<_>>()
    };
    let target = cohort.sites[3].clone();
    for seed in 0..5 {
        let sources = names(&[0, 1, 2]);
        let parts = split(&cohort, Protocol::NamedTarget, &sources, &target, seed).unwrap();
        let mut used = BTreeSet::new();
        let all = parts
            .train
            .iter()
            .chain(&parts.validation)
            .chain(&parts.in_distribution);
        for part in all.chain([&parts.adaptation, &parts.target]) {
            for &sample in &part.samples {
                let patient = &cohort.samples[sample].patient;
                assert!(used.insert((cohort.samples[sample].site, patient)));
            }
        }
        assert_eq!(used.len(), cohort.samples.len());
        let mixed = names(&[0, 1]);
        let parts = split(&cohort, Protocol::SiteLabelMixture, &mixed, &mixed[0], seed).unwrap();
        for (label, part) in parts.train.iter().enumerate() {
            for &sample in &part.samples {
                assert_eq!(cohort.samples[sample].label, label);
                assert_eq!(cohort.samples[sample].site, label);
            }
        }
        let target: Vec<_> = parts.target.samples.iter().collect();
        let train = parts
            .train
            .iter()
            .chain(&parts.validation)
            .chain([&parts.adaptation]);
        assert!(train.flat_map(|p| &p.samples).all(|s| !target.contains(&s)));
    }
}

#[test]
fn an_exploding_run_is_recorded_as_diverged_and_the_others_go_on() {
    let mut suite = tiny(&["erm", "irm"], 6);
    suite.training.learning_rate = 1e30;
    suite.methods = vec!["erm".into()];
    let out = tempfile::tempdir().unwrap();
    let records = run(&suite, out.path(), 1);
    assert_eq!(records[0].status, Status::Diverged);
    let other = tempfile::tempdir().unwrap();
    suite.training.learning_rate = 1e-3;
    assert_eq!(run(&suite, other.path(), 1)[0].status, Status::Finished);
}
