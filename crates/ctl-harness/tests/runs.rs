//! Runs from suite to record: determinism, identity, division, divergence.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ctl_harness::Registry;
use ctl_harness::data::{Arrangement, load_phantom, split};
use ctl_harness::plan::plan;
use ctl_harness::record::{Record, Status};
use ctl_harness::spec::{MainMetric, Shares};
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::table::Table;
use ctl_harness::vocabulary::{OracleCheckpoint, Protocol, Selector, TASKS, Task};
use ctl_invariance::LearnsFrom;
use ctl_phantom::{PhantomSpec, simulate};

use crate::support::{contents, run_plan};

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
[tasks.anomaly]
size = 32
[settings.irm]
anneal_steps = 2
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
source_sites = 2
"#
    );
    Suite::parse(&text, "tiny", &Registry::standard()).unwrap()
}

fn run(suite: &Suite, out: &Path, jobs: usize) -> Vec<Record> {
    let registry = Registry::standard();
    let plan = plan(suite, &registry, None).unwrap();
    run_plan(suite, &plan, out, jobs)
}

#[test]
fn one_and_two_workers_leave_the_same_bytes() {
    let mut suite = tiny(&["erm", "dann", "mixup", "group-dro"], 6);
    suite.simulated[0].tasks = TASKS.to_vec();
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

/// Nothing of a run depends on the methods beside it, nor on their order.
#[test]
fn the_order_of_methods_changes_no_byte() {
    let of = |methods: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let records = run(&tiny(methods, 4), out.path(), 2);
        let mut files = BTreeMap::new();
        for record in records {
            let folder = Layout::new(out.path()).run(&record.spec.folder());
            for file in ["record.json", "predictions.csv", "metrics.jsonl"] {
                let key = (record.spec.method.clone(), file);
                files.insert(key, std::fs::read(folder.join(file)).unwrap());
            }
        }
        files
    };
    let methods = ["erm", "dann", "mixup", "fish", "mixstyle", "icp"];
    let forwards = of(&methods);
    let mut reversed = methods;
    reversed.reverse();
    assert_eq!(forwards.len(), 3 * methods.len());
    assert!(forwards == of(&reversed));
    let alone = of(&["mixstyle"]);
    assert!(alone.iter().all(|(key, bytes)| forwards[key] == *bytes));
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

/// Two draws of two methods, and of each the runs without one of the two sources; upper references
/// are not selected by them.
#[test]
fn leaving_sources_out_plans_and_records_a_run_for_each() {
    let registry = Registry::standard();
    let mut suite = tiny(&["erm", "coral-target", "erm-target"], 3);
    suite.draws = 2;
    let plain = plan(&suite, &registry, None).unwrap();
    suite.selectors = Selector::ALL.to_vec();
    let wide = plan(&suite, &registry, None).unwrap();
    let whole = wide.runs.iter().filter(|r| r.spec.held_out.is_none());
    assert_eq!(
        whole.collect::<Vec<_>>(),
        plain.runs.iter().collect::<Vec<_>>()
    );
    let held_out = |method: &str| {
        let runs = wide.runs.iter().filter(|r| r.spec.method == method);
        let sources: Vec<String> = runs.filter_map(|r| r.spec.held_out.clone()).collect();
        sources
    };
    let sources = &plain.runs[0].spec.sources;
    assert_eq!(held_out("erm"), [&sources[..], &sources[..]].concat());
    assert_eq!(held_out("coral-target").len(), 4);
    assert!(held_out("erm-target").is_empty());

    let out = tempfile::tempdir().unwrap();
    let records = run_plan(&suite, &wide, out.path(), 2);
    for record in &records {
        let Some(source) = &record.spec.held_out else {
            continue;
        };
        assert!(!record.counts.train.contains_key(source));
        assert_eq!(record.counts.train.len(), 1);
        assert!(record.counts.target > 0 && record.counts.adaptation > 0);
        assert!(record.spec.cell().ends_with(&format!(" without {source}")));
    }
    let table = Table::of(&records, &registry);
    let lines = |method: &str| table.lines.iter().filter(|l| l.method == method).count();
    assert_eq!(
        [lines("erm"), lines("coral-target"), lines("erm-target")],
        [3, 3, 2]
    );
}

#[test]
fn a_mixture_leaves_no_source_out_and_says_so() {
    let registry = Registry::standard();
    let text = r#"
schema = 1
name = "mixed"
title = "Mixed"
methods = ["erm"]
selectors = ["training-domain", "leave-one-domain-out", "target-oracle"]
[folders]
shift = "combined"
protocols = ["leave-one-site-out", "site-label-mixture"]
min_per_class = 2
tasks = ["classification"]
"#;
    let suite = Suite::parse(text, "mixed", &registry).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("films");
    let spec = PhantomSpec {
        size: 32,
        patients_per_site: 40,
        ..PhantomSpec::default()
    };
    simulate(&spec).unwrap().write(&folder).unwrap();
    let plan = plan(&suite, &registry, Some(&folder)).unwrap();
    let held_out = |protocol| {
        let runs = plan.runs.iter().filter(|r| r.spec.protocol == protocol);
        runs.filter(|r| r.spec.held_out.is_some()).count()
    };
    let whole = plan.runs.iter().filter(|r| r.spec.held_out.is_none());
    let sites = whole.filter(|r| r.spec.protocol == Protocol::LeaveOneSiteOut);
    let sites = sites.count();
    assert_eq!(held_out(Protocol::LeaveOneSiteOut), sites * (sites - 1));
    assert_eq!(held_out(Protocol::SiteLabelMixture), 0);
    let said = |text: &String| text.contains("no source of site-label-mixture can be left out");
    assert!(plan.skipped.iter().any(said), "{:?}", plan.skipped);

    // One site is named, or one that the cohort does not have.
    let target = plan.runs[0].spec.target.clone();
    let only = |name: &str| {
        let key = format!("[folders]\nonly_targets = [{name:?}]");
        let suite = Suite::parse(&text.replace("[folders]", &key), "mixed", &registry).unwrap();
        ctl_harness::plan::plan(&suite, &registry, Some(&folder))
    };
    let one = only(&target).unwrap();
    assert!(!one.runs.is_empty() && one.runs.iter().all(|r| r.spec.target == target));
    let none = only("nowhere").unwrap_err().to_string();
    assert!(
        none.contains("none of its sites is a target: nowhere"),
        "{none}"
    );
}

/// By default the oracle's checkpoint is the best; runs of either rule are different runs, and the
/// other selector does not notice.
#[test]
fn the_oracle_may_be_bound_to_the_last_checkpoint() {
    // Of methods without random numbers of their own, whose streams the rule would move.
    let mut suite = tiny(&["erm", "irm", "coral"], 12);
    let of = |suite: &Suite| {
        let out = tempfile::tempdir().unwrap();
        run(suite, out.path(), 2)
    };
    let best = of(&suite);
    suite.oracle_checkpoint = OracleCheckpoint::Last;
    let last = of(&suite);
    let validated = |record: &Record| record.selections[&Selector::TrainingDomain].clone();
    for (best, last) in best.iter().zip(&last) {
        let chosen = &best.selections[&Selector::TargetOracle];
        let scores = best.evaluations.iter().map(|e| e.oracle);
        assert!((chosen.score - scores.fold(f64::MIN, f64::max)).abs() < 1e-12);
        let bound = &last.selections[&Selector::TargetOracle];
        let end = last.evaluations.last().unwrap();
        assert_eq!(bound.step, 12);
        assert!((bound.score - end.oracle).abs() < 1e-12);
        assert_ne!(best.id, last.id);
        assert_eq!(validated(best), validated(last));
    }
    // Otherwise the rules were not told apart.
    let steps = best
        .iter()
        .map(|r| r.selections[&Selector::TargetOracle].step);
    assert!(
        steps.clone().any(|step| step < 12),
        "{:?}",
        steps.collect::<Vec<_>>()
    );
}

/// A first evaluation of its own, and accuracy in the AUROC's place, where checkpoints are chosen and
/// in the tables.
#[test]
fn accuracy_chooses_and_the_first_step_is_evaluated() {
    let mut suite = tiny(&["erm"], 12);
    suite.training.metric = MainMetric::Accuracy;
    suite.training.evaluate_every = 5;
    suite.training.first_evaluation = Some(1);
    let out = tempfile::tempdir().unwrap();
    let records = run(&suite, out.path(), 2);
    for record in &records {
        let steps: Vec<u64> = record.evaluations.iter().map(|e| e.step).collect();
        assert_eq!(steps, [1, 6, 11, 12]);
        let chosen = &record.selections[&Selector::TrainingDomain];
        let scores = record.evaluations.iter().map(|e| e.validation);
        assert!((chosen.score - scores.fold(f64::MIN, f64::max)).abs() < 1e-12);
        // Both sources have as many patients who validate: the score is a share of them.
        let right = chosen.score * record.counts.validation as f64;
        assert!((right - right.round()).abs() < 1e-9, "{right}");
    }
    let table = Table::of(&records, &Registry::standard());
    assert!(
        table
            .lines
            .iter()
            .all(|line| line.main_metric() == "accuracy")
    );
    let of_seeds = table.lines[0].target["accuracy"].mean;
    let by_seed = &table.lines[0].target_by_seed["accuracy"];
    let mean = by_seed.values().sum::<f64>() / by_seed.len() as f64;
    assert!((of_seeds - mean).abs() < 1e-12);
}

#[test]
fn parts_share_no_patient() {
    let spec = PhantomSpec {
        size: 16,
        patients_per_site: 60,
        ..PhantomSpec::default()
    };
    let cohort = load_phantom(&spec, Task::Classification).unwrap();
    let arranged = |protocol, sources: &[String], target: &str, seed| {
        let arrangement = Arrangement {
            task: Task::Classification,
            protocol,
            sources,
            target,
            held_out: None,
            seed,
            learns_from: LearnsFrom::Sources,
            shares: Shares::default(),
            score_at_most: None,
        };
        split(&cohort, &arrangement).unwrap()
    };
    let names = |sites: &[usize]| {
        sites
            .iter()
            .map(|&s| cohort.sites[s].clone())
            .collect::<Vec<_>>()
    };
    let target = cohort.sites[3].clone();
    for seed in 0..5 {
        let sources = names(&[0, 1, 2]);
        let parts = arranged(Protocol::NamedTarget, &sources, &target, seed);
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
        assert_eq!(used.len(), 4 * spec.patients_per_site);
        let mixed = names(&[0, 1]);
        let parts = arranged(Protocol::SiteLabelMixture, &mixed, &mixed[0], seed);
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
