//! Cells that are no transfer, or hold too few samples.

use ctl_harness::report::Format;
use ctl_harness::vocabulary::Protocol;

use crate::made::*;

#[test]
fn mixtures_are_averaged_by_themselves_and_labelled() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .of_protocol(Protocol::SiteLabelMixture)
        .with_runs(&CELLS[..1], &[("erm", -0.3, -0.3), ("irm", 0.0, 0.0)]);
    let (html, markdown) = (made.write(Format::Html), made.write(Format::Markdown));
    // 0.71 and 0.67 on unseen sites; 0.41 on the mixture.
    assert!(html.contains("0.690 on the target; the move costs 0.220"));
    assert!(html.contains("Kept apart: in 1 cell where site and label coincide in training"));
    assert!(html.contains("where telling the sites apart is enough, and 0.410 on both classes"));
    assert!(html.contains("<em class=\"mark\">mixture</em>"));
    assert!(html.contains("<dt>mixture</dt>"));
    let erm = "| ERM (`erm`) | baseline |  | 0.910 ± 0.000 | ";
    let rows: Vec<&str> = markdown.lines().filter(|l| l.starts_with(erm)).collect();
    assert_eq!(rows.len(), 2, "one row on either ground");
    assert!(rows[0].contains("| 0.690 ±") && rows[1].contains("| 0.410 ±"));
    assert!(markdown.contains("| classification | AUROC | acquisition | 2 |"));
    assert!(markdown.contains("| classification | AUROC | acquisition, mixture | 1 |"));
}

#[test]
fn a_sweep_of_mixtures_does_not_speak_of_a_move() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new().of_protocol(Protocol::SiteLabelMixture);
    let html = made.with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains(
        "in 3 cells where site and label coincide in training (mixture), plain training (ERM) has"
    ));
    assert!(!html.contains("the move costs") && !html.contains("Kept apart:"));
    assert!(html.contains("ERM on the mixture"));
}

#[test]
fn other_patients_of_one_site_are_a_reference_and_no_transfer() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new()
        .of_protocol(Protocol::SingleSite)
        .with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("other patients of the same site"));
    assert!(html.contains("Nothing moves, so these figures are a reference"));
    assert!(html.contains("acquisition, same site"));
    assert!(!html.contains("the move costs"));
}

#[test]
fn cells_with_few_samples_are_marked_and_enter_no_mean() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1), ("coral", 0.0, 0.0)];
    let made = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .with_counts([31, 9])
        .with_runs(
            &[("slides", "z")],
            &[("erm", -0.3, -0.3), ("irm", 0.3, 0.3)],
        );
    let html = made.write(Format::Html);
    assert!(html.contains("0.690 on the target"));
    assert!(
        html.contains("fewer than 10 target samples of a class, or 5 where there are no classes: slides &#x2f; leave-one-site-out")
    );
    assert!(html.contains("<em class=\"mark\">few samples</em>"));
    assert!(
        html.contains("31 of class 0 and 9 of class 1"),
        "the cell is still shown"
    );
    assert!(html.contains("not tested: 2 independent units (target sites)"));
    assert!(
        html.contains("here are 2 target sites and 3 such methods"),
        "ranks leave it out"
    );
    let csv = made.write(Format::Csv);
    let marked = csv.lines().filter(|line| line.ends_with(",true")).count();
    assert_eq!(marked, 2 * 2 * 2 * 4, "every line of the cell and no other");
}

#[test]
fn a_sweep_of_cells_with_few_samples_compares_nothing() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new().with_counts([9, 31]).with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("every cell scores too few target samples of a class"));
    assert!(!html.contains("NaN"));
}
