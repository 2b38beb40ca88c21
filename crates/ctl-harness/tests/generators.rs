//! What methods train on is asked what held-out patients would look like elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod support;

use ctl_harness::Registry;
use ctl_harness::plan::plan;
use ctl_harness::record::{GeneratorScore, Record};
use ctl_harness::report::{Format, write};
use ctl_harness::suite::Suite;

use crate::support::{contents, run_plan};

fn suite(shift: &str, tasks: &str) -> Suite {
    let text = format!(
        r#"
schema = 1
name = "generators"
title = "Generators"
methods = ["erm", "counterfactual-scanner", "counterfactual-consistency"]
[training]
size = 32
steps = 40
batch_size = 4
evaluate_every = 40
[tasks.segmentation]
steps = 2
evaluate_every = 2
[[simulated]]
tasks = [{tasks}]
shifts = ["{shift}"]
patients_per_site = 40
source_sites = 2
"#
    );
    Suite::parse(&text, "generators", &Registry::standard()).unwrap()
}

fn records(suite: &Suite, out: &std::path::Path, jobs: usize) -> Vec<Record> {
    let plan = plan(suite, &Registry::standard(), None).unwrap();
    run_plan(suite, &plan, out, jobs)
}

fn score<'a>(records: &'a [Record], method: &str) -> Option<&'a GeneratorScore> {
    let own = records.iter().find(|r| r.spec.method == method).unwrap();
    own.generator.as_ref()
}

/// Under a moved scanner the answers are nearer to the truth than the facts, and the report shows them
/// to the reader.
#[test]
fn counterfactuals_of_a_moved_scanner_are_scored_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let suite = suite("acquisition", r#""classification""#);
    let records = records(&suite, folder.path(), 2);
    assert!(score(&records, "erm").is_none());
    let found = score(&records, "counterfactual-consistency").unwrap();
    // The same sources and the same seed: both methods learn the same generator.
    assert_eq!(Some(found), score(&records, "counterfactual-scanner"));
    assert!(found.composition < 0.01, "{found:?}");
    let ways: Vec<(&str, &str)> = found.ways.iter().map(|w| (&*w.from, &*w.to)).collect();
    let [a, b] = [("source-1", "source-2"), ("source-2", "source-1")];
    assert_eq!(ways, [a, b]);
    for way in &found.ways {
        let truth = way.truth.as_ref().unwrap();
        assert!(way.frechet.is_some() && way.frechet_unchanged.is_some());
        assert!(truth.mae < 0.8 * truth.unchanged, "{way:?}");
        assert!(truth.carried_out.unwrap() > 0.3, "{way:?}");
        assert_eq!(
            way.misread.keys().collect::<Vec<_>>(),
            ["class", "environment"]
        );
    }
    let page = write(folder.path(), Format::Html, &Registry::standard()).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("Are the counterfactuals sound?").count(), 1);
    // One strip for the two methods, whose gains stand in a row each.
    assert_eq!(page.matches(r#"class="answers""#).count(), 1);
    assert_eq!(page.matches("minus GIN-IPA").count(), 1);
    let text = write(folder.path(), Format::Markdown, &Registry::standard()).unwrap();
    let text = std::fs::read_to_string(text).unwrap();
    let mae = format!("| {:.2} |", found.ways[0].truth.as_ref().unwrap().mae);
    assert!(text.contains(&mae), "{mae}");
}

/// Where images have no class, only their site is read; with one and with two workers all files are
/// the same, and without counterfactuals there is no section.
#[test]
fn a_task_without_classes_of_images_has_a_site_to_read() {
    let mut suite = suite("acquisition", r#""segmentation""#);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [found, _] = [1, 2].map(|jobs| records(&suite, folders[jobs - 1].path(), jobs));
    let found = score(&found, "counterfactual-scanner").unwrap();
    assert_eq!(
        found.ways[0].misread.keys().collect::<Vec<_>>(),
        ["environment"]
    );
    assert!(found.ways.iter().all(|way| way.truth.is_some()));
    let [one, two] = folders.each_ref().map(|folder| contents(folder.path()));
    assert!(one.keys().any(|name| name.ends_with("strip.png")));
    assert!(one == two);

    suite.methods.retain(|method| method == "erm");
    let plain = tempfile::tempdir().unwrap();
    assert!(score(&records(&suite, plain.path(), 1), "erm").is_none());
    let page = write(plain.path(), Format::Html, &Registry::standard()).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(!page.contains("Are the counterfactuals sound?"));
}

/// Images of odd sides have no predictors, a single held-out image no crowd: the run says so, or
/// leaves the figure out, and ends as it would without.
#[test]
fn what_cannot_be_measured_does_not_end_a_run() {
    let mut odd = suite("acquisition", r#""classification""#);
    odd.methods
        .retain(|method| method == "counterfactual-scanner");
    odd.training.steps = 2;
    odd.training.evaluate_every = 2;
    let mut single = odd.clone();
    odd.training.size = 21;
    let folder = tempfile::tempdir().unwrap();
    let [record] = &records(&odd, folder.path(), 1)[..] else {
        panic!("one run");
    };
    let found = record.generator.as_ref().unwrap();
    assert!(found.ways.iter().all(|way| way.misread.is_empty()));
    assert!(found.ways.iter().all(|way| way.truth.is_some()));
    let says = |part: &str| record.notes.iter().any(|note| note.contains(part));
    assert!(says("even sides"), "{:?}", record.notes);

    single.training.score_at_most = Some(1);
    let folder = tempfile::tempdir().unwrap();
    let [record] = &records(&single, folder.path(), 1)[..] else {
        panic!("one run");
    };
    let found = record.generator.as_ref().unwrap();
    assert_eq!(found.images, 2);
    assert!(found.ways.iter().all(|way| way.frechet.is_none()));
}
