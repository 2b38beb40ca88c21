//! What happens to a sweep's folder when commands that differ work in it.

use std::path::Path;

use ctl_harness::launch::{LaunchOptions, Outcome, launch, sweep_info};
use ctl_harness::plan::plan;
use ctl_harness::run::{Model, Predicted};
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::vocabulary::Selector;
use ctl_harness::{Registry, Result, Silent};
use ctl_imaging::{Colour, read_raster};
use ctl_phantom::{PhantomSpec, simulate};
use rstest::rstest;

const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = ["erm", "irm"]
[training]
size = 20
steps = 4
batch_size = 4
evaluate_every = 2
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
source_sites = 2
"#;

fn run(text: &str, out: &Path, save_models: bool) -> Result<Outcome> {
    let registry = Registry::standard();
    let suite = Suite::parse(text, "tiny", &registry)?;
    let plan = plan(&suite, &registry, None)?;
    let options = LaunchOptions {
        out,
        jobs: 1,
        save_models,
        records: None,
        provenance: std::collections::BTreeMap::new(),
    };
    launch(
        &sweep_info(&suite, &plan, "test"),
        &plan,
        &registry,
        &options,
        &Silent,
    )
}

fn only(method: &str) -> String {
    SUITE.replace(r#"["erm", "irm"]"#, &format!("[{method:?}]"))
}

#[test]
fn a_narrower_command_keeps_what_a_wider_one_left() {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let layout = Layout::new(out.path());
    let before = layout.read_info().unwrap();
    let outcome = run(&only("irm"), out.path(), false).unwrap();
    assert_eq!((outcome.reused, outcome.finished), (1, 0));
    let after = layout.read_info().unwrap();
    assert_eq!(after.runs, before.runs);
    drop(outcome);
    drop(run(&only("coral"), out.path(), false).unwrap());
    assert_eq!(layout.read_info().unwrap().runs.len(), 3);
}

#[rstest]
#[case::training("steps = 4", "steps = 6", "training")]
#[case::images("patients_per_site = 24", "patients_per_site = 30", "images")]
#[case::settings(
    "[[simulated]]",
    "[settings.irm]\nanneal_steps = 1\n[[simulated]]",
    "irm"
)]
#[case::suite("name = \"tiny\"", "name = \"other\"", "other")]
fn another_sweep_is_refused_and_nothing_changes(
    #[case] old: &str,
    #[case] new: &str,
    #[case] says: &str,
) {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let sweep = Layout::new(out.path()).sweep();
    let before = std::fs::read(&sweep).unwrap();
    let error = run(&SUITE.replace(old, new), out.path(), false).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(says) && text.contains("--out"), "{text}");
    assert_eq!(std::fs::read(&sweep).unwrap(), before);
}

#[test]
fn models_are_made_for_runs_that_finished_without() {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let layout = Layout::new(out.path());
    let runs = layout.read_info().unwrap().runs;
    let record = |run: &String| std::fs::read(layout.record(run)).unwrap();
    let before: Vec<_> = runs.iter().map(record).collect();
    assert_eq!(run(SUITE, out.path(), true).unwrap().finished, 2);
    for folder in &runs {
        assert!(layout.model(folder, Selector::TrainingDomain).exists());
    }
    assert_eq!(runs.iter().map(record).collect::<Vec<_>>(), before);
    assert_eq!(run(SUITE, out.path(), true).unwrap().reused, 2);
}

#[rstest]
#[case::truncated(|text: String| text[..text.len() / 2].to_owned())]
#[case::newer(|text: String| text.replacen("\"schema\": 1", "\"schema\": 2", 1))]
fn a_record_that_cannot_be_read_is_left_alone(#[case] damage: fn(String) -> String) {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let layout = Layout::new(out.path());
    let path = layout.record(&layout.read_info().unwrap().runs[0]);
    let damaged = damage(std::fs::read_to_string(&path).unwrap());
    std::fs::write(&path, &damaged).unwrap();
    let text = run(SUITE, out.path(), false).unwrap_err().to_string();
    assert!(
        text.contains("record.json") && text.contains("move it away"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn what_a_killed_process_left_is_cleared_away() {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let layout = Layout::new(out.path());
    let run_folder = layout.run(&layout.read_info().unwrap().runs[0]);
    let left = [
        out.path().join(".partial-1"),
        run_folder.join(".partial-2"),
        run_folder.join("checkpoint.safetensors"),
    ];
    for file in &left {
        std::fs::write(file, "half").unwrap();
    }
    drop(run(SUITE, out.path(), false).unwrap());
    assert!(left.iter().all(|file| !file.exists()));
}

#[test]
fn pictures_follow_the_images() {
    let out = tempfile::tempdir().unwrap();
    drop(run(SUITE, out.path(), false).unwrap());
    let layout = Layout::new(out.path());
    let before = layout.read_examples().unwrap();
    // The folder is emptied of runs, as after deleting them to change the suite.
    std::fs::remove_dir_all(out.path().join("runs")).unwrap();
    let larger = SUITE.replace("size = 20", "size = 24");
    drop(run(&larger, out.path(), false).unwrap());
    let after = layout.read_examples().unwrap();
    assert_ne!(before.contents, after.contents);
    assert_eq!(before.examples.len(), after.examples.len());
    let picture = layout.examples().join(&after.examples[0].file);
    assert_eq!(read_raster(&picture, Colour::Grey).unwrap().width(), 24);
}

/// A network that looks at the images of a site together says the same of each, whatever rows stand
/// between them in the manifest.
#[test]
fn predictions_do_not_depend_on_how_sites_are_mixed_in_the_manifest() {
    let out = tempfile::tempdir().unwrap();
    drop(run(&only("arm"), out.path(), true).unwrap());
    let layout = Layout::new(out.path());
    let info = layout.read_info().unwrap();
    let model = Model::load(&layout.run(&info.runs[0]), &Registry::standard()).unwrap();

    let cohorts = tempfile::tempdir().unwrap();
    let data = cohorts.path().join("cohort");
    let spec = PhantomSpec {
        size: 20,
        patients_per_site: 5,
        source_sites: 2,
        ..PhantomSpec::default()
    };
    simulate(&spec).unwrap().write(&data).unwrap();
    let sorted = model.predict(&data).unwrap();
    let path = data.join("manifest.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows.len(), 15);
    // One row of each site in turn.
    let mixed: Vec<&str> = (0..15).map(|at| rows[at % 3 * 5 + at / 3]).collect();
    std::fs::write(&path, format!("{header}\n{}\n", mixed.join("\n"))).unwrap();
    let mixed = model.predict(&data).unwrap();

    let order = |images: &[Predicted]| -> Vec<String> {
        images.iter().map(|image| image.path.clone()).collect()
    };
    assert_ne!(order(&sorted.images), order(&mixed.images));
    for image in &mixed.images {
        let same = sorted.images.iter().find(|other| other.path == image.path);
        assert_eq!(same.unwrap().values, image.values);
    }
}
