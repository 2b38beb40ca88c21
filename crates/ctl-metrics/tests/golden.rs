//! Golden numbers from `SciPy` and scikit-learn; `golden/make_metrics.py` made them, and
//! `golden/make_clustered_auroc.py` those of the clustered AUROC, from its definition in fractions.
//! `golden/make_images.py` made those of masks, images and anomaly maps, in the form of vectors.

use std::collections::BTreeMap;

use ctl_metrics::calibration::{
    Binning, ReliabilityTable, binary_top_predictions, brier, log_loss, log_loss_multiclass,
    softmax_rows,
};
use ctl_metrics::conformance::{Outcome, run_case};
use ctl_metrics::discrimination::{
    BinaryConfusion, ConfusionMatrix, KappaWeights, auroc, auroc_ovr_macro, average_precision,
    predicted_classes, top_k_accuracy,
};
use ctl_metrics::groups::GroupTable;
use ctl_metrics::interval::clustered_auroc;
use ctl_metrics::rank::{
    friedman, paired_differences, paired_t, sign_flip_exact, studentized_range_cdf,
    wilcoxon_signed_rank,
};
use ctl_metrics::regression::{kendall_tau_b, pearson, spearman};
use ctl_metrics::{Direction, MetricError, gather};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-11;

#[derive(Deserialize)]
struct Golden {
    binary: Vec<BinaryCase>,
    multiclass: Vec<MulticlassCase>,
    friedman: Vec<FriedmanCase>,
    paired: Vec<PairedCase>,
    tails: Tails,
}

#[derive(Deserialize)]
struct BinaryCase {
    labels: Vec<u8>,
    probabilities: Vec<f64>,
    sites: Vec<usize>,
    expected: serde_json::Value,
}

#[derive(Deserialize)]
struct MulticlassCase {
    labels: Vec<usize>,
    classes: usize,
    logits: Vec<f64>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct FriedmanCase {
    methods: usize,
    scores: Vec<f64>,
    expected: serde_json::Value,
}

#[derive(Deserialize)]
struct PairedCase {
    a: Vec<f64>,
    b: Vec<f64>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Tails {
    studentized_range: Vec<(f64, usize, f64)>,
}

fn golden() -> Golden {
    let text = include_str!("golden/metrics.json");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("golden/metrics.json: {error}"))
}

#[track_caller]
fn assert_near(name: &str, found: f64, expected: f64) {
    let allowed = TOLERANCE * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= allowed,
        "{name}: expected {expected}, found {found}"
    );
}

fn binary_values(case: &BinaryCase) -> Result<Vec<(&'static str, f64)>, MetricError> {
    let scores = &case.probabilities;
    let labels: Vec<bool> = case.labels.iter().map(|&label| label == 1).collect();
    let confusion = BinaryConfusion::from_scores(scores, &labels, 0.5)?;
    let top = binary_top_predictions(scores, &labels)?;
    let reliability = ReliabilityTable::of(&top, Binning::EqualWidth, 10)?;
    let sites = GroupTable::of(&case.sites, |rows| {
        auroc(&gather(scores, rows)?, &gather(&labels, rows)?)
    })?;
    Ok(vec![
        ("auroc", auroc(scores, &labels)?),
        ("average_precision", average_precision(scores, &labels)?),
        ("accuracy", confusion.accuracy()),
        ("balanced_accuracy", confusion.balanced_accuracy()?),
        ("f1", confusion.f1()),
        ("mcc", confusion.mcc()),
        ("kappa", confusion.kappa()),
        ("brier", brier(scores, &labels)?),
        ("log_loss", log_loss(scores, &labels)?),
        ("ece", reliability.expected_error()),
        ("mce", reliability.maximum_error()),
        (
            "worst_site_auroc",
            sites.worst(Direction::HigherIsBetter)?.value,
        ),
    ])
}

#[test]
fn binary_metrics_agree_with_scikit_learn() {
    for case in golden().binary {
        for (name, value) in binary_values(&case).unwrap() {
            assert_near(name, value, case.expected[name].as_f64().unwrap());
        }
    }
}

#[test]
fn every_site_has_scikit_learn_s_auroc() {
    for case in golden().binary {
        let labels: Vec<bool> = case.labels.iter().map(|&label| label == 1).collect();
        let metric =
            |rows: &[usize]| auroc(&gather(&case.probabilities, rows)?, &gather(&labels, rows)?);
        let table = GroupTable::of(&case.sites, metric).unwrap();
        assert_eq!(table.values().len(), 3);
        for row in table.values() {
            let expected = case.expected["auroc_by_site"][row.group.to_string()].as_f64();
            assert_near("auroc", row.value, expected.unwrap());
        }
    }
}

#[test]
fn multiclass_metrics_agree_with_scikit_learn() {
    for MulticlassCase {
        labels,
        classes,
        logits,
        expected,
    } in golden().multiclass
    {
        let probabilities = softmax_rows(&logits, classes).unwrap();
        let predicted = predicted_classes(&logits, classes).unwrap();
        let matrix = ConfusionMatrix::from_predictions(&predicted, &labels, classes).unwrap();
        let found = [
            (
                "auroc_ovr_macro",
                auroc_ovr_macro(&probabilities, classes, &labels).unwrap(),
            ),
            ("balanced_accuracy", matrix.balanced_accuracy().unwrap()),
            ("f1_macro", matrix.f1_macro()),
            ("mcc", matrix.mcc()),
            ("kappa_quadratic", matrix.kappa(KappaWeights::Quadratic)),
            (
                "log_loss",
                log_loss_multiclass(&probabilities, classes, &labels).unwrap(),
            ),
            (
                "top_2_accuracy",
                top_k_accuracy(&logits, classes, &labels, 2).unwrap(),
            ),
        ];
        for (name, value) in found {
            assert_near(name, value, expected[name]);
        }
    }
}

#[test]
fn friedman_agrees_with_scipy() {
    for case in golden().friedman {
        let test = friedman(&case.scores, case.methods, Direction::HigherIsBetter).unwrap();
        let found = [
            ("chi2", test.chi2),
            ("p_chi2", test.p_chi2),
            ("iman_davenport_f", test.iman_davenport_f),
            ("p_iman_davenport", test.p_iman_davenport),
        ];
        for (name, value) in found {
            assert_near(name, value, case.expected[name].as_f64().unwrap());
        }
        // SciPy integrates the studentised range numerically to about 1e-9.
        let critical = case.expected["critical_difference"].as_f64().unwrap();
        assert!((test.critical_difference(0.05).unwrap() - critical).abs() < 1e-8);
        let ranks = case.expected["average_ranks"].as_array().unwrap();
        for (rank, expected) in test.average_ranks.iter().zip(ranks) {
            assert_near("average_ranks", *rank, expected.as_f64().unwrap());
        }
    }
}

#[test]
fn paired_tests_agree_with_scipy() {
    let coarse = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .map(|value| (value * 10.0).round_ties_even() / 10.0)
            .collect()
    };
    for PairedCase { a, b, expected } in golden().paired {
        let differences = paired_differences(&a, &b, Some(6)).unwrap();
        let wilcoxon = wilcoxon_signed_rank(&differences).unwrap();
        let t = paired_t(&differences).unwrap();
        let found = [
            ("w_smaller", wilcoxon.w_plus.min(wilcoxon.w_minus)),
            ("p_wilcoxon_exact", wilcoxon.p_exact.unwrap()),
            ("p_wilcoxon_corrected", wilcoxon.p_normal_corrected),
            ("t", t.t),
            ("p_t", t.p_two_sided),
            (
                "p_sign_flip",
                sign_flip_exact(&differences).unwrap().p_two_sided,
            ),
            ("pearson", pearson(&a, &b).unwrap()),
            ("spearman", spearman(&a, &b).unwrap()),
            (
                "kendall_tau_b",
                kendall_tau_b(&coarse(&a), &coarse(&b)).unwrap(),
            ),
        ];
        for (name, value) in found {
            assert_near(name, value, expected[name]);
        }
    }
}

#[test]
fn studentized_range_agrees_with_scipy() {
    for (q, k, expected) in golden().tails.studentized_range {
        assert!(
            (studentized_range_cdf(q, k).unwrap() - expected).abs() < 1e-8,
            "{q} {k}"
        );
    }
}

#[derive(Deserialize)]
struct ClusteredCase {
    scores: Vec<f64>,
    labels: Vec<u8>,
    clusters: Vec<usize>,
    expected: BTreeMap<String, f64>,
}

#[test]
fn clustered_auroc_agrees_with_its_definition() {
    let text = include_str!("golden/clustered_auroc.json");
    let cases: Vec<ClusteredCase> = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let labels: Vec<bool> = case.labels.iter().map(|&label| label == 1).collect();
        let found = clustered_auroc(&case.scores, &labels, &case.clusters, 0.95).unwrap();
        assert_near("auroc", found.auroc, case.expected["auroc"]);
        assert_near("variance", found.variance, case.expected["variance"]);
        assert_near("clusters", found.clusters as f64, case.expected["clusters"]);
        let reach = 1.959_963_984_540_054 * found.variance.sqrt();
        assert_near(
            "lower",
            found.interval.lower,
            (found.auroc - reach).max(0.0),
        );
    }
}

#[test]
fn masks_images_and_anomaly_maps_agree_with_other_programs() {
    let text = include_str!("golden/images.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        assert_eq!(run_case(case), Outcome::Passed, "{}", case["id"]);
    }
    assert!(cases.len() >= 10, "only {} cases", cases.len());
}
