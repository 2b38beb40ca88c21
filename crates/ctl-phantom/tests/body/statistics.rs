//! Two-sample statistics, written out so that the tests rest on nothing of the toolkit.

/// The Kolmogorov-Smirnov statistic of two samples.
pub(crate) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let (a, b) = (sorted(a), sorted(b));
    let share = |sample: &[f64], at: f64| {
        sample.partition_point(|&value| value <= at) as f64 / sample.len() as f64
    };
    let points = a.iter().chain(&b);
    points
        .map(|&at| (share(&a, at) - share(&b, at)).abs())
        .fold(0.0, f64::max)
}

/// Its value that chance exceeds with probability `p`, asymptotically:
/// `sqrt(−ln(p / 2) / 2 · (n + m) / (n m))`.
pub(crate) fn critical(n: usize, m: usize, p: f64) -> f64 {
    (-(p / 2.0).ln() / 2.0 * (n + m) as f64 / (n * m) as f64).sqrt()
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Area under the ROC curve: the probability that a positive scores above a negative.
pub(crate) fn auroc(scores: &[f64], labels: &[usize]) -> f64 {
    let of = |label: usize| {
        let pairs = scores.iter().zip(labels);
        pairs.filter(move |(_, l)| **l == label).map(|(s, _)| *s)
    };
    let mut sum = 0.0;
    for positive in of(1) {
        for negative in of(0) {
            sum += match positive.total_cmp(&negative) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    sum / (of(1).count() * of(0).count()) as f64
}

#[test]
fn known_values() {
    assert!((kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[2.5, 3.5, 4.5]) - 2.0 / 3.0).abs() < 1e-12);
    // The upper 5 % point of the Kolmogorov distribution is 1.3581 = critical · sqrt(n m / (n + m)).
    assert!((critical(200, 200, 0.05) * 10.0 - 1.3581).abs() < 1e-3);
    assert!((auroc(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]) - 0.75).abs() < 1e-12);
}
