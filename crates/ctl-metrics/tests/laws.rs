//! Laws that hold for all samples.

use ctl_metrics::calibration::{Binning, ReliabilityTable, TopPrediction, brier, log_loss};
use ctl_metrics::discrimination::{auroc, average_precision};
use ctl_metrics::interval::{Resampler, bootstrap, clustered_auroc, delong, paired_delong};
use ctl_metrics::rank::{friedman, holm, mid_ranks, sign_flip_exact, wilcoxon_signed_rank};
use ctl_metrics::regression::kendall_tau_b;
use ctl_metrics::{Direction, gather};
use proptest::prelude::*;

const CLOSE: f64 = 1e-12;

/// Scores on a coarse grid, so that ties are frequent, with at least two labels of each class.
fn scored() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    let sample = (0_u8..=20, any::<bool>());
    prop::collection::vec(sample, 0..40).prop_map(|mut samples| {
        samples.extend([(3, true), (11, true), (7, false), (15, false)]);
        samples
            .into_iter()
            .map(|(score, label)| (f64::from(score) / 20.0, label))
            .unzip()
    })
}

fn tops() -> impl Strategy<Value = Vec<TopPrediction>> {
    let one = (0.0_f64..=1.0, any::<bool>());
    prop::collection::vec(
        one.prop_map(|(confidence, correct)| TopPrediction {
            confidence,
            correct,
        }),
        1..60,
    )
}

proptest! {
    #[test]
    fn auroc_ignores_monotone_maps((scores, labels) in scored()) {
        let mapped: Vec<f64> = scores.iter().map(|s| (3.0 * s).exp() - 5.0).collect();
        prop_assert_eq!(auroc(&scores, &labels), auroc(&mapped, &labels));
        prop_assert_eq!(average_precision(&scores, &labels), average_precision(&mapped, &labels));
    }

    #[test]
    fn auroc_of_negated_scores_is_the_complement((scores, labels) in scored()) {
        let negated: Vec<f64> = scores.iter().map(|s| -s).collect();
        let sum = auroc(&scores, &labels).unwrap() + auroc(&negated, &labels).unwrap();
        prop_assert!((sum - 1.0).abs() < CLOSE);
    }

    #[test]
    fn names_and_order_of_clusters_do_not_matter((scores, labels) in scored(), every in 2_usize..5) {
        let n = scores.len();
        let clusters: Vec<usize> = (0..n).map(|i| i % every.min(n / 2)).collect();
        let renamed: Vec<String> = clusters.iter().rev().map(|c| format!("p{}", 9 - c)).collect();
        let (mut back, mut back_labels) = (scores.clone(), labels.clone());
        back.reverse();
        back_labels.reverse();
        let one = clustered_auroc(&scores, &labels, &clusters, 0.95);
        let other = clustered_auroc(&back, &back_labels, &renamed, 0.95);
        prop_assert_eq!(one.is_ok(), other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert!((one.variance - other.variance).abs() < CLOSE);
            prop_assert!(one.interval.lower <= one.auroc && one.auroc <= one.interval.upper);
        }
    }

    #[test]
    fn auroc_is_the_fraction_of_ordered_pairs((scores, labels) in scored()) {
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (s, _) in scores.iter().zip(&labels).filter(|(_, y)| **y) {
            for (t, _) in scores.iter().zip(&labels).filter(|(_, y)| !**y) {
                pairs += 1.0;
                wins += if s > t { 1.0 } else if s < t { 0.0 } else { 0.5 };
            }
        }
        prop_assert!((auroc(&scores, &labels).unwrap() - wins / pairs).abs() < CLOSE);
    }

    #[test]
    fn order_of_samples_does_not_matter((scores, labels) in scored(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by_key(|&index| (index as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let (moved, moved_labels) = (gather(&scores, &order).unwrap(), gather(&labels, &order).unwrap());
        prop_assert_eq!(auroc(&scores, &labels), auroc(&moved, &moved_labels));
        prop_assert_eq!(
            average_precision(&scores, &labels),
            average_precision(&moved, &moved_labels)
        );
        for metric in [brier, log_loss] {
            let apart = metric(&scores, &labels).unwrap() - metric(&moved, &moved_labels).unwrap();
            prop_assert!(apart.abs() < CLOSE);
        }
    }

    #[test]
    fn delong_is_centred_and_antisymmetric((scores, labels) in scored()) {
        let estimate = delong(&scores, &labels, 0.9).unwrap();
        prop_assert_eq!(Ok(estimate.auroc), auroc(&scores, &labels));
        prop_assert!(estimate.variance >= 0.0);
        prop_assert!(estimate.interval.lower <= estimate.auroc);
        prop_assert!(estimate.interval.upper >= estimate.auroc);
        let squared: Vec<f64> = scores.iter().map(|s| (s - 0.4).powi(2)).collect();
        if let (Ok(ab), Ok(ba)) = (
            paired_delong(&scores, &squared, &labels, 0.9),
            paired_delong(&squared, &scores, &labels, 0.9),
        ) {
            prop_assert!((ab.z + ba.z).abs() < CLOSE * ab.z.abs().max(1.0));
            prop_assert!((ab.p_two_sided - ba.p_two_sided).abs() < CLOSE);
        }
    }

    #[test]
    fn calibration_errors_are_fractions(top in tops(), bins in 1_usize..30) {
        for binning in [Binning::EqualWidth, Binning::EqualMass] {
            let table = ReliabilityTable::of(&top, binning, bins).unwrap();
            prop_assert!((0.0..=1.0).contains(&table.expected_error()));
            prop_assert!(table.expected_error() <= table.maximum_error() + CLOSE);
            prop_assert!(table.maximum_error() <= 1.0);
            let counted: usize = table.bins().iter().map(|bin| bin.count).sum();
            prop_assert_eq!(counted, top.len());
        }
    }

    #[test]
    fn bootstrap_repeats_with_its_seed((scores, labels) in scored(), seed in any::<u64>()) {
        let run = || {
            let resamples = Resampler::samples(scores.len(), 40, seed, 2).unwrap();
            bootstrap(resamples, 0.9, |rows| auroc(&gather(&scores, rows)?, &gather(&labels, rows)?))
        };
        let summary = run().unwrap();
        prop_assert_eq!(summary, run().unwrap());
        prop_assert_eq!(summary.used + summary.skipped, 40);
        prop_assert!(summary.interval.lower <= summary.interval.upper);
    }

    #[test]
    fn clusters_stay_whole(patients in prop::collection::vec(0_u8..6, 1..30), seed in any::<u64>()) {
        for rows in Resampler::clusters(&patients, 5, seed, 0).unwrap() {
            let times = |row: usize| rows.iter().filter(|&&drawn| drawn == row).count();
            for (a, p) in patients.iter().enumerate() {
                for (b, q) in patients.iter().enumerate() {
                    prop_assert!(p != q || times(a) == times(b));
                }
            }
        }
    }

    #[test]
    fn ranks_have_a_fixed_sum(values in prop::collection::vec(-5_i8..5, 1..50)) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let n = values.len() as f64;
        let sum: f64 = mid_ranks(&values).unwrap().iter().sum();
        prop_assert!((sum - n * (n + 1.0) / 2.0).abs() < CLOSE);
    }

    #[test]
    fn kendall_counts_pairs(pairs in prop::collection::vec((0_i8..6, 0_i8..6), 2..30)) {
        let (a, b): (Vec<f64>, Vec<f64>) =
            pairs.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
        let (mut agreement, mut untied_a, mut untied_b) = (0.0, 0.0, 0.0);
        for i in 0..a.len() {
            for j in 0..i {
                let sign = |v: &[f64]| f64::from(v[i].total_cmp(&v[j]) as i8);
                agreement += sign(&a) * sign(&b);
                untied_a += sign(&a).abs();
                untied_b += sign(&b).abs();
            }
        }
        match kendall_tau_b(&a, &b) {
            Ok(tau) => prop_assert!((tau - agreement / (untied_a * untied_b).sqrt()).abs() < CLOSE),
            Err(error) => prop_assert!(error.is_undefined() && untied_a * untied_b < 0.5),
        }
    }

    #[test]
    fn two_sided_tests_ignore_the_sign(differences in prop::collection::vec(-9_i8..=9, 2..14)) {
        let there: Vec<f64> = differences.iter().map(|&d| f64::from(d)).collect();
        let back: Vec<f64> = there.iter().map(|d| -d).collect();
        let flips = (sign_flip_exact(&there).unwrap(), sign_flip_exact(&back).unwrap());
        prop_assert!((flips.0.p_two_sided - flips.1.p_two_sided).abs() < CLOSE);
        if let (Ok(a), Ok(b)) = (wilcoxon_signed_rank(&there), wilcoxon_signed_rank(&back)) {
            prop_assert!((a.w_plus - b.w_minus).abs() < CLOSE);
            prop_assert!((a.p_normal - b.p_normal).abs() < CLOSE);
        }
    }

    #[test]
    fn friedman_depends_on_order_alone(scores in prop::collection::vec(0_i16..30, 12..=12)) {
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let mapped: Vec<f64> = scores.iter().map(|s| (s / 7.0).exp()).collect();
        let direction = Direction::HigherIsBetter;
        prop_assert_eq!(friedman(&scores, 3, direction), friedman(&mapped, 3, direction));
    }

    #[test]
    fn holm_keeps_the_order(p_values in prop::collection::vec(0.0_f64..=1.0, 1..20)) {
        let adjusted = holm(&p_values).unwrap();
        for i in 0..p_values.len() {
            prop_assert!(adjusted[i] >= p_values[i] && adjusted[i] <= 1.0);
            for j in 0..p_values.len() {
                prop_assert!(p_values[i] > p_values[j] || adjusted[i] <= adjusted[j]);
            }
        }
    }
}

/// Pins the drawn indices: a new version of the generator must not move published intervals.
#[test]
fn the_stream_of_a_seed_is_fixed() {
    let drawn: Vec<_> = Resampler::samples(5, 2, 42, 1).unwrap().collect();
    assert_eq!(drawn, [[2, 3, 3, 0, 0], [2, 2, 4, 0, 0]]);
}
