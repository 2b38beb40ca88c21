//! What must come out where the truth is known: simulated shifts with one answer each.
//!
//! Bounds are generous and seeds fixed: a failure means that the machinery is wrong, not that a
//! method had a bad day.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use std::collections::BTreeMap;

use ctl_harness::launch::{LaunchOptions, launch, sweep_info};
use ctl_harness::plan::plan;
use ctl_harness::record::Record;
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::vocabulary::Selector;
use ctl_harness::{Registry, Silent};

const SEEDS: u64 = 3;

/// Target metrics by method and strength, mean over seeds.
struct Outcome(Vec<Record>);

fn run(methods: &[&str], block: &str) -> Outcome {
    let block = format!("tasks = [\"classification\"]\npatients_per_site = 200\n{block}");
    run_with(methods, "", &block)
}

/// Methods on a block of simulated cohorts; `tasks` is what a task does otherwise.
fn run_with(methods: &[&str], tasks: &str, block: &str) -> Outcome {
    let text = format!(
        r#"
schema = 1
name = "known"
title = "Known answers"
methods = {methods:?}
seeds = {SEEDS}
[training]
network = "small-cnn"
size = 32
steps = 160
batch_size = 16
learning_rate = 3e-3
evaluate_every = 80
[settings.irm]
anneal_steps = 40
penalty_weight = 1.0
[settings.coral-target]
penalty_weight = 1.0
{tasks}
[[simulated]]
{block}
"#
    );
    let registry = Registry::standard();
    let suite = Suite::parse(&text, "known", &registry).unwrap();
    let plan = plan(&suite, &registry, None).unwrap();
    let out = tempfile::tempdir().unwrap();
    let info = sweep_info(&suite, &plan, "test");
    let options = LaunchOptions {
        out: out.path(),
        jobs: 2,
        save_models: false,
        records: None,
        provenance: BTreeMap::new(),
    };
    let outcome = launch(&info, &plan, &registry, &options, &Silent).unwrap();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    Outcome(Layout::new(out.path()).read_records(&info).unwrap())
}

impl Outcome {
    /// Values of a target metric by seed, of a method in the cohorts whose name ends so.
    fn values(&self, method: &str, ending: &str, metric: &str) -> Vec<f64> {
        let of =
            |record: &&Record| record.spec.method == method && record.spec.cohort.ends_with(ending);
        let values: Vec<f64> = self
            .0
            .iter()
            .filter(of)
            .map(|r| r.selections[&Selector::TrainingDomain].target[metric])
            .collect();
        assert_eq!(values.len() as u64, SEEDS, "{method} {ending}");
        values
    }

    fn mean(&self, method: &str, ending: &str, metric: &str) -> f64 {
        let values = self.values(method, ending, metric);
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// Only P(label) moves: correcting it is enough, in log-loss and in accuracy.
#[test]
#[ignore = "a minute: `cargo xtask ci --full` runs it"]
fn under_prevalence_shift_label_shift_correction_reaches_the_target_trained_reference() {
    let found = run(
        &["erm", "bbse", "em", "erm-target"],
        r#"shifts = ["prevalence"]"#,
    );
    let loss = |method| found.mean(method, "", "log_loss");
    let accuracy = |method| found.mean(method, "", "accuracy");
    for method in ["bbse", "em"] {
        assert!(
            loss(method) < loss("erm"),
            "{method}: {} against {}",
            loss(method),
            loss("erm")
        );
        assert!(
            loss(method) < loss("erm-target") + 0.05,
            "{method}: {} against {}",
            loss(method),
            loss("erm-target")
        );
        assert!(
            accuracy(method) > accuracy("erm-target") - 0.03,
            "{method}: {} against {}",
            accuracy(method),
            accuracy("erm-target")
        );
    }
    // A correction of the prior keeps the order of the images.
    let areas = |method| found.values(method, "", "auroc");
    for (em, erm) in areas("em").into_iter().zip(areas("erm")) {
        assert!((em - erm).abs() < 1e-9, "{em} and {erm}");
    }
}

/// The more site and label go together, the more plain training reads the site; cutting the tie
/// by an intervention removes that.
#[test]
#[ignore = "a minute and more: `cargo xtask ci --full` runs it"]
fn under_confounding_plain_training_falls_and_the_interventional_reference_does_not() {
    let found = run(&["erm"], "shifts = [\"combined\"]\nstrengths = [0.0]");
    let still = found.mean("erm", "-0", "auroc");
    let confounded = |strength: f64| {
        run(
            &["erm", "erm-unconfounded"],
            &format!("shifts = [\"combined\"]\ndials = {{ confounding = {strength} }}"),
        )
    };
    let (half, full) = (confounded(0.5), confounded(1.0));
    let erm = [
        still,
        half.mean("erm", "", "auroc"),
        full.mean("erm", "", "auroc"),
    ];
    assert!(erm[2] < erm[0] - 0.1, "{erm:?}");
    assert!(erm[2] < erm[1] + 0.02 && erm[1] < erm[0] + 0.02, "{erm:?}");
    let cut = full.mean("erm-unconfounded", "", "auroc");
    assert!(cut > still - 0.06, "{cut} against {still}");
    assert!(cut > erm[2] + 0.1, "{cut} against {erm:?}");
}

/// Images say nothing of who labels them.
#[test]
#[ignore = "a minute and more: `cargo xtask ci --full` runs it"]
fn under_annotation_shift_no_unsupervised_method_finds_the_policy_of_the_target() {
    let methods = ["erm", "coral-target", "irm", "em", "erm-target"];
    let found = run(
        &methods,
        "shifts = [\"annotation\"]\ndirections = [\"causal\"]",
    );
    let accuracy = |method: &str| found.mean(method, "", "accuracy");
    for method in &methods[..4] {
        assert!(
            accuracy(method) < accuracy("erm-target") - 0.03,
            "{method}: {} against {}",
            accuracy(method),
            accuracy("erm-target")
        );
    }
}

/// Images say nothing of how wide somebody draws a lesion.
#[test]
#[ignore = "a minute and more: `cargo xtask ci --full` runs it"]
fn under_annotation_shift_no_unsupervised_method_draws_as_the_target_does() {
    let methods = ["erm", "coral-target", "erm-target"];
    let found = run_with(
        &methods,
        "[tasks.segmentation]\nsize = 40\nsteps = 100\nbatch_size = 4",
        "tasks = [\"segmentation\"]\npatients_per_site = 60\nshifts = [\"annotation\"]",
    );
    let dice = |method: &str| found.mean(method, "", "dice");
    let drawn_like_the_target = dice("erm-target");
    assert!(drawn_like_the_target > 0.5, "{drawn_like_the_target}");
    for method in &methods[..2] {
        let own = dice(method);
        assert!(
            own < drawn_like_the_target - 0.05,
            "{method}: {own} against {drawn_like_the_target}"
        );
    }
}

/// Nothing moves, so nothing helps.
#[test]
#[ignore = "a minute and more: `cargo xtask ci --full` runs it"]
fn without_a_shift_no_method_beats_plain_training() {
    let methods = ["erm", "coral-target", "irm", "em", "group-dro"];
    let found = run(&methods, "shifts = [\"acquisition\"]\nstrengths = [0.0]");
    let erm = found.values("erm", "-0", "auroc");
    for method in &methods[1..] {
        let own = found.values(method, "-0", "auroc");
        let gains: Vec<f64> = own.iter().zip(&erm).map(|(a, b)| a - b).collect();
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        // Under so short a schedule a penalty also regularises; real shifts move areas by far more.
        assert!(mean < 0.05, "{method}: {gains:?}");
    }
}
