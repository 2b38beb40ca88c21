//! Every method of the registry on every task: trained, scored, killed and continued, saved, loaded
//! and applied to a cohort on disk.
//!
//! A method that is registered is in the table; nothing is listed here by name.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use ctl_harness::launch::{launch, sweep_info};
use ctl_harness::plan::{Plan, plan};
use ctl_harness::record::{Record, Status};
use ctl_harness::run::{Model, Predicted, read_predictions};
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::task::main_metric;
use ctl_harness::vocabulary::{Selector, TASKS, Task, parse_task};
use ctl_harness::{Event, Observer, Registry};
use ctl_invariance::{LearnsFrom, Role};
use ctl_phantom::simulate;

use crate::support::{contents, options, run_plan};

/// Runs at once.
const JOBS: usize = 2;
const STEPS: u64 = 3;
/// Steps between evaluations. The last step is evaluated as well; the first evaluation is a
/// checkpoint, after which runs are killed.
const EVERY: u64 = 2;
/// Runs that are alive when they are killed.
const KILLED_AT_ONCE: usize = 40;
/// A task is excepted by so many methods at most: beyond that the table is no table.
const EXCEPTIONS: usize = 10;
/// Pixels on disk have 8 bits, and attributes three decimals; a network whose weights were lost
/// differs by more.
const ROUNDING: f64 = 0.01;
/// Methods that answer to rounding, or to the images that are predicted together, by more.
const SENSITIVE: [&str; 3] = [
    // Twice sixteen images are fitted to the last digit by 64 features.
    "anchor-regression",
    // The support is whatever images of a site are predicted together, here all of them.
    "arm",
    // Landmarks of a few hundred pixels stretch the darkest tenth.
    "nyul",
];
const SENSITIVE_ROUNDING: f64 = 0.08;

/// Methods that are equal on two sites in three steps, and why.
const EQUAL_HERE: [(&str, &str); 4] = [
    // Two gradients of one sign and about one size pass either mask whole.
    ("and-mask", "sand-mask"),
    // Both sites have the same share of each class in so few patients.
    ("back-door", "class-balanced"),
    // No feature of so few samples is called a cause: the network stays.
    ("erm", "icp"),
    // Both average the last steps.
    ("swa", "swad"),
];

/// Settings by which what would set in later is seen in so few steps, of every method that has them.
const EARLY: [(&str, &str); 5] = [
    ("anneal_steps", "1"),
    ("burn_in_steps", "1"),
    ("ib_anneal_steps", "1"),
    ("optimum_patience", "1"),
    ("start", "0.0"),
];

/// Every method on every task, on two tiny sites and a target.
fn table(registry: &Registry) -> Suite {
    let ids: Vec<&str> = registry.iter().map(|method| method.info().id).collect();
    let tasks = TASKS.map(Task::as_str);
    let mut text = format!(
        r#"
schema = 1
name = "table"
title = "Every method on every task"
methods = {ids:?}
[training]
size = 16
steps = {STEPS}
batch_size = 4
learning_rate = 3e-3
evaluate_every = {EVERY}
translate = 1
flip = true
[[simulated]]
tasks = {tasks:?}
shifts = ["combined"]
patients_per_site = 16
source_sites = 2
"#
    );
    for method in registry.iter() {
        let defaults = method.defaults();
        writeln!(text, "[settings.{}]", method.info().id).unwrap();
        for (key, value) in EARLY.iter().filter(|(key, _)| defaults.get(key).is_some()) {
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    Suite::parse(&text, "table", registry).unwrap()
}

#[test]
fn every_method_does_every_task_that_it_is_defined_for() {
    let registry = Registry::standard();
    let suite = table(&registry);
    let plan = plan(&suite, &registry, None).unwrap();
    let mut faults = planned_or_left_out(&registry, &plan);

    let whole = tempfile::tempdir().unwrap();
    let records = run_plan(&suite, &plan, whole.path(), JOBS);
    assert_eq!(records.len(), plan.runs.len());
    let layout = Layout::new(whole.path());
    let cohorts = tempfile::tempdir().unwrap();
    for record in &records {
        let run = layout.run(&record.spec.folder());
        let said = scored(record, &run).and_then(|()| applied(record, &run, cohorts.path()));
        let (method, cell) = (&record.spec.method, record.spec.cell());
        faults.extend(
            said.err()
                .map(|fault| format!("{method} in {cell}: {fault}")),
        );
    }
    faults.extend(indistinct(&records, &layout));
    faults.extend(changed_by_a_kill(&suite, &plan, &layout));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A method runs on a task once, or is left out for the reason that it gives; an upper reference
/// may be left out for want of what it is given.
fn planned_or_left_out(registry: &Registry, plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for method in registry.iter() {
        let info = method.info();
        for task in TASKS {
            let of = |method: &str, other: Task| method == info.id && other == task;
            let runs = plan.runs.iter().map(|run| &run.spec);
            let runs = runs.filter(|spec| of(&spec.method, spec.task)).count();
            let (id, task) = (info.id, task.as_str());
            let left_out = plan.skipped.iter().find(|line| {
                line.starts_with(&format!("{id} on ")) && line.contains(&format!("-{task}-"))
            });
            let reason = info.exceptions.iter().find(|e| e.task == task);
            let ok = match (reason, left_out) {
                (Some(exception), Some(line)) => runs == 0 && line.ends_with(exception.reason),
                (Some(_), None) => false,
                (None, Some(_)) => runs == 0 && info.role == Role::Oracle,
                (None, None) => runs == 1,
            };
            if !ok {
                faults.push(format!(
                    "{id} on {task}: {runs} runs, left out: {left_out:?}"
                ));
            }
        }
    }
    faults
}

/// Whether a method trains a network, which one that is given the true factors does not.
fn is_trained(id: &str) -> bool {
    let registry = Registry::standard();
    let needs = registry.get(id).unwrap().info().needs;
    needs.learns_from != LearnsFrom::TrueFactors
}

/// What a run leaves is whole and finite.
fn scored(record: &Record, run: &Path) -> Result<(), String> {
    let hold = |ok: bool, what: String| if ok { Ok(()) } else { Err(what) };
    hold(record.status == Status::Finished, "diverged".into())?;
    let trained = is_trained(&record.spec.method);
    let evaluations = if trained { STEPS.div_ceil(EVERY) } else { 0 };
    let found = record.evaluations.len() as u64;
    hold(found == evaluations, format!("{found} evaluations"))?;
    let metric = main_metric(record.spec.task);
    for selection in record.selections.values() {
        let value = selection.target.get(metric);
        hold(
            value.is_some_and(|v| v.is_finite()),
            format!("{metric} is {value:?}"),
        )?;
    }
    let path = run.join("predictions.csv");
    for selector in record.selections.keys() {
        let rows = read_predictions(&path, *selector, "target").map_err(|e| e.to_string())?;
        let whole = rows.len() == record.counts.target && rows.iter().all(|r| r.patient.is_some());
        hold(whole, format!("{} rows by {selector}", rows.len()))?;
    }
    let hash = blake3::hash(&std::fs::read(&path).unwrap()).to_hex();
    let stored = record.predictions.as_deref() == Some(hash.as_str());
    let selectors = record.selections.len();
    hold(
        stored && (selectors == 2 || !trained),
        format!("{selectors} selections, hash {stored}"),
    )
}

/// The saved model says on the cohort's files what the run said on its pixels.
fn applied(record: &Record, run: &Path, cohorts: &Path) -> Result<(), String> {
    let spec = &record.spec;
    if !is_trained(&spec.method) {
        return Ok(());
    }
    let registry = Registry::standard();
    let model = Model::load(run, &registry).map_err(|e| e.to_string())?;
    let folder = cohort_of(record, cohorts);
    let predicted = model.predict(&folder).map_err(|e| e.to_string())?.images;
    let labels = matches!(spec.task, Task::Classification | Task::Multimodal);
    for image in &predicted {
        let finite = image.values.iter().all(|v| v.is_finite());
        if !finite || image.picture.is_some() == labels {
            return Err(format!("{image:?}"));
        }
    }
    let method = registry.get(&spec.method).unwrap();
    if labels && !method.info().needs.oracle_view {
        let part = if model.card.adapted_to.is_some() {
            "target"
        } else {
            "in-distribution"
        };
        let sensitive = SENSITIVE.contains(&spec.method.as_str());
        let bound = if sensitive {
            SENSITIVE_ROUNDING
        } else {
            ROUNDING
        };
        return same_as_scored(&predicted, run, (part, bound));
    }
    Ok(())
}

fn same_as_scored(
    predicted: &[Predicted],
    run: &Path,
    (part, bound): (&str, f64),
) -> Result<(), String> {
    let path = run.join("predictions.csv");
    let scored = read_predictions(&path, Selector::TrainingDomain, part).unwrap();
    assert!(!scored.is_empty());
    for row in scored {
        let path = format!("img/{}.png", row.id);
        let image = predicted.iter().find(|image| image.path == path).unwrap();
        let pairs = image.values.iter().zip(&row.outputs);
        let distance = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if distance > bound {
            let (found, expected) = (&image.values, &row.outputs);
            return Err(format!("{path}: {found:?} is not {expected:?}"));
        }
    }
    Ok(())
}

/// The cohort of a run as a folder, written once; sex is the number that the simulator gives.
fn cohort_of(record: &Record, cohorts: &Path) -> PathBuf {
    let folder = cohorts.join(record.spec.task.as_str());
    if !folder.exists() {
        let spec = record.spec.data.phantom().unwrap();
        simulate(spec).unwrap().write(&folder).unwrap();
        rewrite(
            &folder.join("manifest.csv"),
            &[(",M,", ",1,"), (",F,", ",0,")],
        );
        let numeric = [(r#"numeric = ["age""#, r#"numeric = ["age", "sex""#)];
        rewrite(&folder.join("cohort.toml"), &numeric);
    }
    folder
}

fn rewrite(path: &Path, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        text = text.replace(from, to);
    }
    std::fs::write(path, text).unwrap();
}

/// No method is another one under a different name: from the same first weights and on the same
/// batches, target predictions differ, of labels or of masks, whose network has batch statistics.
fn indistinct(records: &[Record], layout: &Layout) -> Vec<String> {
    let mut outputs: BTreeMap<&str, BTreeMap<Task, Vec<u64>>> = BTreeMap::new();
    for record in records {
        let spec = &record.spec;
        if !matches!(spec.task, Task::Classification | Task::Segmentation) {
            continue;
        }
        let path = layout.run(&spec.folder()).join("predictions.csv");
        let selectors = record.selections.keys();
        let rows = selectors.flat_map(|&s| read_predictions(&path, s, "target").unwrap());
        let bits = rows.flat_map(|row| row.outputs).map(f64::to_bits);
        let of_method = outputs.entry(&spec.method).or_default();
        of_method.insert(spec.task, bits.collect());
    }
    let mut faults = Vec::new();
    for (one, of_one) in &outputs {
        for (other, of_other) in outputs.range(*one..).skip(1) {
            let mut common = of_one
                .iter()
                .filter(|(task, _)| of_other.contains_key(task));
            let expected = EQUAL_HERE.contains(&(*one, *other));
            if common.all(|(task, bits)| of_other[task] == *bits) && !expected {
                faults.push(format!("{one} equals {other}"));
            }
        }
    }
    faults
}

/// Kills the thread of a run after some steps, as a crash would, without a word on the console.
struct Killer;

thread_local! {
    static STEPS_SEEN: Cell<u64> = const { Cell::new(0) };
}

impl Observer for Killer {
    fn event(&self, event: &Event<'_>) {
        if let Event::Advanced { units: 1, .. } = event {
            STEPS_SEEN.set(STEPS_SEEN.get() + 1);
            if STEPS_SEEN.get() == EVERY {
                resume_unwind(Box::new("killed on purpose"));
            }
        }
    }
}

/// Runs that were killed continue from their checkpoint to the same bytes.
fn changed_by_a_kill(suite: &Suite, plan: &Plan, whole: &Layout) -> Vec<String> {
    let cut = tempfile::tempdir().unwrap();
    let layout = Layout::new(cut.path());
    let registry = Registry::standard();
    // A thread dies with its run, so that every run of a chunk has its own.
    for chunk in plan.runs.chunks(KILLED_AT_ONCE) {
        let chunk = Plan {
            runs: chunk.to_vec(),
            skipped: plan.skipped.clone(),
        };
        let info = sweep_info(suite, &chunk, "test");
        let options = options(cut.path(), chunk.runs.len());
        let run = || launch(&info, &chunk, &registry, &options, &Killer).is_ok();
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
    let specs = plan.runs.iter().map(|run| &run.spec);
    let trained = specs.filter(|spec| is_trained(&spec.method));
    for spec in trained.clone() {
        let run = layout.run(&spec.folder());
        assert!(run.join("checkpoint.safetensors").exists() && !run.join("record.json").exists());
    }
    run_plan(suite, plan, cut.path(), JOBS);
    let mut faults = Vec::new();
    for spec in trained {
        let run = layout.run(&spec.folder());
        let environment = std::fs::read(run.join("env.json")).unwrap();
        let environment: serde_json::Value = serde_json::from_slice(&environment).unwrap();
        let (method, cell) = (&spec.method, spec.cell());
        if environment["steps_taken_here"] != STEPS - EVERY {
            faults.push(format!("{method} in {cell} began anew after a kill"));
        }
        let (one, two) = (contents(&whole.run(&spec.folder())), contents(&run));
        let differs = |name: &&String| one.get(*name) != two.get(*name);
        for name in one.keys().chain(two.keys()).filter(differs) {
            faults.push(format!("{method} in {cell}: {name} differs after a kill"));
        }
    }
    faults
}

#[test]
fn a_task_is_excepted_by_few_methods_and_each_says_why() {
    let registry = Registry::standard();
    for task in TASKS.map(Task::as_str) {
        let methods = registry.iter().map(ctl_invariance::Method::info);
        let excepted = methods.filter(|info| info.exceptions.iter().any(|e| e.task == task));
        let excepted: Vec<&str> = excepted.map(|info| info.id).collect();
        assert!(excepted.len() <= EXCEPTIONS, "{task}: {excepted:?}");
    }
    for method in registry.iter() {
        for exception in method.info().exceptions {
            assert!(parse_task(exception.task).is_ok(), "{exception:?}");
            assert!(exception.reason.len() > 20, "{exception:?}");
        }
    }
}
