//! What a report says of one method against another.

use ctl_harness::Registry;
use ctl_harness::record::Status;
use ctl_harness::report::Format;
use ctl_harness::sweep::Layout;
use ctl_harness::table::Table;

use crate::made::*;

#[test]
fn a_winner_is_named_with_its_difference() {
    let html = winner().write(Format::Html);
    assert!(
        html.contains("IRM does better than ERM on the target beyond noise: +0.1"),
        "no headline"
    );
    assert!(html.contains("What helps: IRM is better than ERM on the target by +0.1"));
    assert!(html.contains("(paired difference ± s.e. over 3 target sites; p "));
    assert!(html.contains(" after Holm&#x27;s correction for 5 methods)"));
    // CORAL has a higher mean than Mixup; DANN with target images would have the highest of all.
    let families = "Among methods that see sources only, the causal-family method with the highest \
                    mean, IRM, beats the correlation-based one, CORAL: +0.1";
    assert!(html.contains(families));
    assert!(html.contains("correction for 3 pairs). Both were picked by these very"));
    assert!(html.contains("Of the other pairs, IRM beats "));
    assert!(html.contains("Worse than ERM beyond noise: DANN"));
    assert!(html.contains(
        "Only with the oracle: when labelled target images choose the checkpoint, CORAL"
    ));
    assert!(
        html.contains("What breaks: plain training (ERM) has an AUROC of 0.910 on unseen patients")
    );
    assert!(html.contains("sees unlabelled target images"));
}

#[test]
fn a_tie_is_called_a_tie() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.001, 0.0),
        ("coral", -0.001, 0.0),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains("No method is better than ERM beyond noise over 3 target sites."));
    assert!(html.contains("under training-domain selection nothing does for certain"));
    assert!(html.contains("IRM, cannot be told apart from the correlation-based one, CORAL"));
    assert!(!html.contains("Only with the oracle:"));
    assert!(html.contains("The sweep kept no example images."));
}

#[test]
fn a_method_that_lacks_cells_is_marked_and_not_compared() {
    let made = Made::new()
        .with_runs(&CELLS, &[("erm", 0.0, 0.0), ("irm", 0.0, 0.0)])
        .with_runs(&CELLS[..1], &[("mixup", 0.2, 0.2)]);
    let html = made.write(Format::Html);
    assert!(html.contains("Mixup, best of 1 method by this figure, 1 of 2 cells"));
    assert!(html.contains("No method is better than ERM beyond noise over 3 target sites."));
    assert!(html.contains("ERM has figures in more cells: Mixup (1 of 3 cells)."));
}

#[test]
fn too_few_cells_for_ranks_are_explained() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1), ("coral", 0.0, 0.0)];
    let html = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .write(Format::Html);
    assert!(html.contains("Ranks need at least 3 independent units and 3 methods"));
    assert!(html.contains("here are 2 target sites and 3 such methods."));
}

#[test]
fn a_winner_that_sees_target_images_is_not_left_to_stand_alone() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.06, 0.06),
        ("dann-target", 0.14, 0.14),
    ];
    let made = Made::new().with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    let sentence = "It sees unlabelled target images, which ERM does not; of the methods that see \
                    sources only, IRM has the highest mean (+0.0";
    assert!(html.contains(sentence));
}

#[test]
fn methods_that_see_target_images_are_compared_among_themselves() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.1, 0.1),
        ("coral-target", -0.1, -0.1),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(!html.contains("Causal or correlation-based?"));
}

/// Three cells at two seeds have six pairs of cell and seed, and two independent units.
#[test]
fn two_seeds_of_a_simulation_are_not_tested() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.2, 0.2), ("coral", 0.1, 0.1)];
    let mut made = Made::new().simulated().with_runs(&CELLS, &gains);
    made.keep_seeds(2);
    let html = made.write(Format::Html);
    assert!(html.contains(
        "Whether any method is better than ERM is open. Not tested: 2 independent units (seeds), \
         3 are needed."
    ));
    assert!(html.contains("What helps: this sweep cannot tell."));
    assert!(
        html.contains("Causal or correlation-based? Not tested. Among methods that see sources")
    );
    assert!(!html.contains("p = 0.") && !html.contains("p &lt; 0."));
}

#[test]
fn three_seeds_of_a_simulation_are_three_units() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.2, 0.2)];
    let made = Made::new().simulated().with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("IRM does better than ERM on the target beyond noise: +0."));
    assert!(html.contains("(paired difference ± s.e. over 3 seeds; p"));
}

#[test]
fn a_best_method_says_that_it_was_picked_by_the_figure_shown() {
    let html = winner().write(Format::Html);
    let detail = "AUROC, best of 5 methods, picked by this very figure, which flatters it";
    assert!(html.contains(detail));
    assert!(html.contains("IRM, best of 1 method by this figure"));
}

#[test]
fn a_method_that_diverges_everywhere_scores_chance() {
    let mut made = Made::new().with_runs(&CELLS, &[("erm", 0.0, 0.0)]);
    for (cohort, target) in CELLS {
        for seed in 0..SEEDS {
            made.keep(&record(spec("mmd", cohort, target, seed), Status::Diverged));
        }
    }
    let html = made.write(Format::Html);
    // ERM scores 0.71, 0.67 and 0.63.
    assert!(html.contains("MMD (picked by that very figure), differs from ERM by −0.170"));
    assert!(html.contains("Scored as chance (0.5)"));
    assert!(html.contains("before its first evaluation: MMD (9)."));
    assert!(html.contains("9 (9 scored as 0.5)"));
}

#[test]
fn a_diverged_draw_gives_way_to_one_that_did_not() {
    let mut made = Made::new();
    let mut failed = spec("erm", "films", "c", 0);
    made.add(failed.clone(), [0.7, 0.7]);
    failed.draw = 1;
    made.keep(&record(failed, Status::Diverged));
    let layout = Layout::new(made.root());
    let records = layout.read_records(&made.info).unwrap();
    let table = Table::of(&records, &Registry::standard());
    let by_seed = &table.lines[0].target_by_seed["auroc"];
    assert!(by_seed.len() == 1 && (by_seed[&0] - 0.7).abs() < 1e-12);
    assert_eq!((table.lines[0].diverged, table.lines[0].at_chance), (1, 0));
}

#[test]
fn group_dro_is_a_baseline_and_no_causal_method() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("group-dro", 0.2, 0.2),
        ("coral", 0.1, 0.1),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains("GroupDRO does better than ERM on the target beyond noise"));
    assert!(!html.contains("Causal or correlation-based?"));
    assert!(html.contains("ERM itself; GroupDRO +0."));
}
