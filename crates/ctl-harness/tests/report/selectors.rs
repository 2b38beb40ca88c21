//! Leave-one-domain-out selection beside the others, and the budgets of all.

use std::collections::BTreeMap;

use ctl_harness::Registry;
use ctl_harness::record::{Record, Selection, Status};
use ctl_harness::report::Format;
use ctl_harness::spec::RunSpec;
use ctl_harness::table::{Line, Table};
use ctl_harness::vocabulary::Selector;

use crate::made::*;

/// A run of ERM with draws that differ in what each selector says of them.
fn of_draw(draw: u64, held_out: Option<&str>) -> RunSpec {
    RunSpec {
        draw,
        held_out: held_out.map(str::to_owned),
        ..spec("erm", "films", "c", 0)
    }
}

/// Scores and target figures under training-domain and target-oracle selection.
fn chosen(spec: RunSpec, [validated, oracle]: [(f64, f64); 2]) -> Record {
    let selection = |(score, target): (f64, f64)| Selection {
        score,
        ..selection(target)
    };
    let selections = [
        (Selector::TrainingDomain, selection(validated)),
        (Selector::TargetOracle, selection(oracle)),
    ];
    Record {
        selections: selections.into(),
        ..record(spec, Status::Finished)
    }
}

/// What a run without a source scores on it.
fn left_out(draw: u64, source: &str, score: f64) -> Record {
    chosen(of_draw(draw, Some(source)), [(0.9, score), (0.9, 0.1)])
}

/// Validation prefers draw 0, the sources left out draw 1 (0.75 over 0.7), the oracle draw 1; draw
/// 2 lacks the run without b.
fn draws() -> Vec<Record> {
    vec![
        chosen(of_draw(0, None), [(0.9, 0.70), (0.7, 0.71)]),
        left_out(0, "a", 0.5),
        left_out(0, "b", 0.9),
        chosen(of_draw(1, None), [(0.8, 0.80), (0.9, 0.82)]),
        left_out(1, "a", 0.8),
        left_out(1, "b", 0.7),
        chosen(of_draw(2, None), [(0.7, 0.60), (0.6, 0.61)]),
        left_out(2, "a", 0.99),
    ]
}

fn lines(records: &[Record]) -> BTreeMap<Selector, Line> {
    let table = Table::of(records, &Registry::standard());
    let lines = table.lines.into_iter();
    lines.map(|line| (line.selector, line)).collect()
}

fn assert_line(line: &Line, target: f64, regret: f64, runs: usize) {
    let found = line.target["auroc"].mean;
    assert!((found - target).abs() < 1e-12, "{found}");
    let found = line.regret.unwrap();
    assert!((found - regret).abs() < 1e-12, "{found}");
    assert_eq!(line.runs, runs, "{}", line.selector);
}

#[test]
fn the_draw_with_the_best_mean_over_left_out_sources_stands() {
    let lines = lines(&draws());
    assert_line(&lines[&Selector::TrainingDomain], 0.70, 0.12, 3);
    assert_line(&lines[&Selector::LeaveOneDomainOut], 0.80, 0.02, 8);
    assert_line(&lines[&Selector::TargetOracle], 0.82, 0.0, 3);
}

/// Chance, 0.5, stands for the run: draw 1 falls to 0.65.
#[test]
fn a_left_out_run_that_diverged_counts_as_chance() {
    let mut records = draws();
    records[5] = record(of_draw(1, Some("b")), Status::Diverged);
    let lines = lines(&records);
    assert_line(&lines[&Selector::LeaveOneDomainOut], 0.70, 0.12, 8);
    let diverged = |selector| lines[&selector].diverged;
    assert_eq!(diverged(Selector::LeaveOneDomainOut), 1);
    assert_eq!(diverged(Selector::TrainingDomain), 0);
}

#[test]
fn without_left_out_runs_nothing_is_said_of_them() {
    let whole = draws().into_iter().filter(|r| r.spec.held_out.is_none());
    let whole: Vec<Record> = whole.collect();
    let lines = lines(&whole);
    assert!(!lines.contains_key(&Selector::LeaveOneDomainOut));
    // The runs without a source alone make no line.
    let held_out = draws().into_iter().filter(|r| r.spec.held_out.is_some());
    let held_out: Vec<Record> = held_out.collect();
    assert!(Table::of(&held_out, &Registry::standard()).lines.is_empty());
}

#[test]
fn the_report_has_every_selector_with_its_regret_and_its_runs() {
    let mut made = Made::new();
    for record in draws() {
        made.keep(&record);
    }
    let markdown = made.write(Format::Markdown);
    let row = "| ERM (`erm`) | baseline |  | 0.700 | 0.800 | 0.820 | +0.120 | +0.020 | 3 | 8 |";
    assert!(markdown.contains(row), "{markdown}");
    assert!(markdown.contains("8 runs planned, 8 recorded, 0 missing, 0 diverged."));
    let html = made.write(Format::Html);
    assert!(html.contains("What each way of choosing costs"));
    let csv = made.write(Format::Csv);
    let own = csv.lines().filter(|l| l.contains(",leave-one-domain-out,"));
    assert_eq!(own.count(), 8, "two parts of four metrics");
    assert!(
        !winner()
            .write(Format::Html)
            .contains("What each way of choosing costs")
    );
}

#[test]
fn unequal_budgets_are_said() {
    let mut made = Made::new().with_runs(&CELLS[..1], &[("erm", 0.0, 0.0), ("irm", 0.1, 0.1)]);
    assert!(!made.write(Format::Markdown).contains("Unequal budgets"));
    made.info.runs.pop();
    let text = made.write(Format::Markdown);
    let said = "Unequal budgets for training-domain selection in";
    assert_eq!(text.matches(said).count(), 1, "{text}");
    assert!(text.contains("2 runs of IRM and 3 runs of ERM"), "{text}");
}
