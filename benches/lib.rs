//! Workloads that several benches share, the same in every run.

pub mod graph;
pub mod imaging;
pub mod train_step;

use ctl_compute::random::stream;
use rand::RngExt;

/// Master seed of all workloads; benches name it in their ids.
pub const SEED: u64 = 7;

/// Uniform numbers on `[0, 1)`, from a stream of their own for each purpose.
pub fn uniform(count: usize, purpose: &str) -> Vec<f64> {
    let mut rng = stream(SEED, "benches", purpose);
    (0..count).map(|_| rng.random()).collect()
}

/// Scores rounded to four digits, so that some tie, and labels that depend on them.
///
/// # Returns
/// `count` scores on `[0, 1]` and as many labels, positive with the probability of their score.
pub fn scored_labels(count: usize) -> (Vec<f64>, Vec<bool>) {
    const DIGITS: f64 = 1e4;
    let scores = uniform(count, "scores");
    let scores: Vec<f64> = scores
        .iter()
        .map(|s| (s * DIGITS).round() / DIGITS)
        .collect();
    let thresholds = uniform(count, "labels");
    let labels = scores.iter().zip(&thresholds).map(|(s, t)| s > t).collect();
    (scores, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_tie_and_both_labels_occur() {
        let (scores, labels) = scored_labels(10_000);
        let mut distinct = scores.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        assert!(distinct.len() < scores.len());
        let positives = labels.iter().filter(|&&y| y).count();
        assert!((4_000..6_000).contains(&positives), "{positives}");
        assert_eq!(scored_labels(10), scored_labels(10));
    }
}
