//! Cohorts on disk whose masks, columns and normal images are put to use.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ctl_harness::data::load_folder;
use ctl_harness::launch::{DryRun, LaunchOptions, Launcher, Local, Sweep, launch, sweep_info};
use ctl_harness::plan::plan;
use ctl_harness::record::{Record, Status};
use ctl_harness::report::{Format, write};
use ctl_harness::spec::Training;
use ctl_harness::suite::{Filter, Suite};
use ctl_harness::sweep::Layout;
use ctl_harness::vocabulary::{Protocol, Selector, Shift, Task};
use ctl_harness::{Registry, Silent};
use ctl_imaging::{Colour, Raster, read_raster};
use ctl_phantom::{Anatomy, PhantomSpec, simulate};

const SUITE: &str = r#"
schema = 1
name = "disk"
title = "Disk"
methods = METHODS
[training]
size = 32
steps = 12
batch_size = 4
evaluate_every = 6
[folders]
shift = "combined"
protocols = [PROTOCOL]
tasks = [TASK]
environment_columns = ["unit"]
"#;

fn suite(task: &str, protocol: &str, methods: &str) -> String {
    let text = SUITE.replace("[TASK]", &format!("[{task:?}]"));
    let text = text.replace("[PROTOCOL]", &format!("[{protocol:?}]"));
    text.replace("METHODS", methods)
}

/// Heads of 32 pixels from two sites and a target.
fn heads(folder: &Path) {
    let spec = PhantomSpec {
        anatomy: Anatomy::Brain,
        size: 32,
        patients_per_site: 24,
        source_sites: 2,
        ..PhantomSpec::default()
    };
    simulate(&spec).unwrap().write(folder).unwrap();
}

fn records(text: &str, data: &Path) -> Vec<Record> {
    let registry = Registry::standard();
    let suite = Suite::parse(text, "disk", &registry).unwrap();
    let plan = plan(&suite, &registry, Some(data)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let options = LaunchOptions {
        out: out.path(),
        jobs: 1,
        save_models: false,
        records: None,
        provenance: BTreeMap::new(),
    };
    let info = sweep_info(&suite, &plan, "test");
    drop(launch(&info, &plan, &registry, &options, &Silent).unwrap());
    let layout = Layout::new(out.path());
    layout.read_records(&layout.read_info().unwrap()).unwrap()
}

/// A second observer who draws everything that the first one did not.
fn add_second_observer(folder: &Path) {
    let path = folder.join("manifest.csv");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let mut lines = manifest.lines();
    let mut written = vec![format!("{},other", lines.next().unwrap())];
    for line in lines {
        let first = line.split(',').nth(1).unwrap();
        let second = first.replace(".png", "-second.png");
        let mask = read_raster(&folder.join(first), Colour::Grey).unwrap();
        let opposite = mask.samples().iter().map(|value| 1.0 - value).collect();
        let raster = Raster::new(1, mask.height(), mask.width(), opposite).unwrap();
        raster.write_png(&folder.join(&second)).unwrap();
        written.push(format!("{line},{second}"));
    }
    std::fs::write(&path, written.join("\n")).unwrap();
    let path = folder.join("cohort.toml");
    let description = std::fs::read_to_string(&path).unwrap();
    let named = description.replace("[mask]\n", "[mask]\nsecond_observer = \"other\"\n");
    std::fs::write(&path, named).unwrap();
}

#[test]
fn the_second_observer_scores_and_teaches_the_target_reference_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    add_second_observer(&data);
    let text = suite(
        "segmentation",
        "second-observer",
        r#"["erm", "erm-target"]"#,
    );
    let text = text.replace("steps = 12", "steps = 40");
    let text = text.replace(
        "[training]",
        "[training]\nnetwork = \"small-unet\"\nlearning_rate = 1e-2",
    );
    let text = text.replace("environment_columns = [\"unit\"]", "");
    let records = records(&text, &data);
    assert_eq!(records.len(), 6);
    for record in &records {
        assert_eq!(record.spec.protocol, Protocol::SecondObserver);
        assert_eq!(record.spec.shift, Shift::Annotation);
        let chosen = &record.selections[&Selector::TrainingDomain];
        let (first, second) = (chosen.in_distribution["dice"], chosen.target["dice"]);
        // Hardly anything of a head is a lesion, so that the second observer draws nearly all.
        match record.spec.method.as_str() {
            "erm" => assert!(second < 0.5, "{first} and {second}"),
            _ => assert!(second > 0.9 && first < 0.5, "{first} and {second}"),
        }
    }
}

/// A pixel of an image that is shown at half its size is twice as large; volumes have one range.
#[test]
fn pixels_keep_their_millimetres_when_images_are_resized() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    let side = |size: usize| {
        let training = Training {
            size,
            ..Training::default()
        };
        let cohort = load_folder(&data, Task::Segmentation, (&training, None)).unwrap();
        cohort.images.pixel_mm(0).unwrap()
    };
    let [full, half] = [32, 16].map(|size| side(size).unwrap());
    assert!(full[0] > 1.0 && (full[0] - full[1]).abs() < 1e-12);
    assert!(
        half.iter()
            .zip(full)
            .all(|(h, f)| (h - 2.0 * f).abs() < 1e-12)
    );
    let path = data.join("cohort.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let stated = text
        .lines()
        .find(|line| line.starts_with("pixel_mm"))
        .unwrap();
    std::fs::write(&path, text.replace(stated, "")).unwrap();
    assert_eq!(side(32), None);
    std::fs::write(&path, text.replace(stated, "pixel_mm = 0.0")).unwrap();
    let training = Training::default();
    let error = load_folder(&data, Task::Segmentation, (&training, None))
        .err()
        .unwrap();
    assert!(error.to_string().contains("pixel_mm"), "{error}");
}

#[test]
fn a_column_makes_environments_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    let text = suite("classification", "leave-one-site-out", r#"["erm"]"#);
    let text = text.replace("tasks =", "min_per_class = 2\ntasks =");
    let records = records(&text, &data);
    let by_unit: Vec<&Record> = (records.iter())
        .filter(|record| record.spec.cohort == "simulated-brain by unit")
        .collect();
    let targets: BTreeSet<&str> = by_unit.iter().map(|r| r.spec.target.as_str()).collect();
    assert_eq!(targets, BTreeSet::from(["0", "1"]));
    assert!(by_unit.iter().all(|r| r.spec.shift == Shift::Acquisition));
    let by_site = records
        .iter()
        .filter(|r| r.spec.cohort == "simulated-brain");
    assert_eq!(by_site.count(), 3);
}

/// What a cell's shift is follows from protocol and column, and so does what `--shift` keeps.
#[test]
fn a_shift_is_kept_by_what_protocols_and_columns_make() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    add_second_observer(&data);
    let registry = Registry::standard();
    let text = suite("segmentation", "leave-one-site-out", r#"["erm"]"#);
    let text = text.replace(
        r#"["leave-one-site-out"]"#,
        r#"["leave-one-site-out", "second-observer"]"#,
    );
    let text = text.replace("[training]", "[training]\nnetwork = \"small-unet\"");
    let planned = |shifts: Vec<Shift>| {
        let filter = Filter {
            shifts,
            ..Filter::default()
        };
        let whole = Suite::parse(&text, "disk", &registry).unwrap();
        let suite = filter.apply(whole, &registry).unwrap();
        let runs = plan(&suite, &registry, Some(&data)).unwrap().runs;
        runs.iter().map(|run| run.spec.shift).collect::<Vec<_>>()
    };
    let all = planned(Vec::new());
    for shift in [Shift::Annotation, Shift::Acquisition, Shift::Combined] {
        let kept: Vec<Shift> = all.iter().copied().filter(|&own| own == shift).collect();
        assert!(!kept.is_empty(), "{shift}");
        assert_eq!(planned(vec![shift]), kept);
    }
}

#[test]
fn features_of_normal_images_have_a_density() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    let text = suite("anomaly", "leave-one-site-out", r#"["erm"]"#);
    let text = text.replace("environment_columns = [\"unit\"]", "");
    let text = text.replace("[training]", "[training]\nnetwork = \"autoencoder\"");
    let density = text.replace(
        "[training]",
        "[training]\nanomaly_score = \"feature-density\"",
    );
    let found = [text, density].map(|text| {
        let records = records(&text, &data);
        assert_eq!(records.len(), 3);
        let figures = records.iter().map(|record| {
            assert_eq!(record.status, Status::Finished);
            let target = &record.selections[&Selector::TrainingDomain].target;
            for metric in ["auroc", "pixel_auroc", "aupro"] {
                assert!(
                    (0.0..=1.0).contains(&target[metric]),
                    "{metric}: {target:?}"
                );
            }
            target["auroc"]
        });
        figures.collect::<Vec<f64>>()
    });
    assert_ne!(found[0], found[1]);
}

/// Half of a sweep that was finished elsewhere is not repeated, the whole has the same bytes as if
/// it had been made in one place, and a damaged file ends the sweep before anything is run.
#[test]
fn records_of_elsewhere_stand_for_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    heads(&data);
    let registry = Registry::standard();
    let plan_of = |methods: &str| {
        let text = suite("anomaly", "leave-one-site-out", methods);
        let suite = Suite::parse(&text, "disk", &registry).unwrap();
        let plan = plan(&suite, &registry, Some(&data)).unwrap();
        (suite, plan)
    };
    let file_of = |out: &Path| write(out, Format::Records, &registry).unwrap();
    let run = |methods: &str, out: &Path, given: Option<&Path>, launcher: &dyn Launcher| {
        let (suite, plan) = plan_of(methods);
        let info = sweep_info(&suite, &plan, "test");
        let options = LaunchOptions {
            out,
            jobs: 1,
            save_models: false,
            records: given,
            provenance: BTreeMap::new(),
        };
        let sweep = Sweep {
            info: &info,
            plan: &plan,
            registry: &registry,
        };
        launcher.launch(&sweep, &options, &Silent)
    };
    let [first, second, whole] = ["first", "second", "whole"].map(|name| folder.path().join(name));
    let half = run(r#"["erm"]"#, &first, None, &Local).unwrap();
    assert!(half.finished > 0);
    let both = r#"["erm", "coral"]"#;
    let archive = file_of(&first);
    let planned = run(both, &second, Some(&archive), &DryRun).unwrap();
    assert_eq!(
        (planned.reused, planned.open),
        (half.finished, half.finished)
    );
    assert!(!second.exists());
    let rest = run(both, &second, Some(&archive), &Local).unwrap();
    assert_eq!((rest.reused, rest.finished), (half.finished, half.finished));
    drop(run(both, &whole, None, &Local).unwrap());
    let (joined, made) = (file_of(&second), file_of(&whole));
    assert_eq!(
        std::fs::read(&joined).unwrap(),
        std::fs::read(&made).unwrap()
    );
    // The report says what it could not read, and is written.
    write(&second, Format::Html, &registry).unwrap();

    let bytes = std::fs::read(&made).unwrap();
    let third = folder.path().join("third");
    for damaged in [&bytes[..bytes.len() / 2], b"no gzip", &bytes[..0]] {
        std::fs::write(&archive, damaged).unwrap();
        let outcome = run(both, &third, Some(&archive), &Local);
        let error = outcome.unwrap_err().to_string();
        let named = error.contains("records.jsonl.gz") && error.contains("line");
        assert!(named, "{error}");
        assert!(
            !third.join("runs").exists(),
            "half of the records were taken"
        );
    }
}
