//! Discrimination of times to an event that may be censored.

use serde::Serialize;

use crate::rank::{ascending_order, tied};
use crate::{MetricError, validate};

/// Counts of comparable pairs by how the risks order them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Concordance {
    /// Pairs in which the earlier event has the higher risk.
    pub concordant: u64,
    /// Pairs of equal risk.
    pub tied_risk: u64,
    /// All pairs of which it is known who had the event first.
    pub comparable: u64,
}

impl Concordance {
    /// Counts the pairs for Harrell's concordance index.
    ///
    /// A pair is comparable when `i` has an event and either `t_i < t_j`, or `t_i = t_j` and `j` is
    /// censored.
    ///
    /// # Arguments
    /// - `times`: `[N]`, time of the event or of censoring in any unit, finite.
    /// - `events`: `[N]`, `true` when the event was observed, `false` when censored.
    /// - `risks`: `[N]`, higher means an earlier event; infinities allowed.
    ///
    /// # Errors
    /// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`],
    /// [`MetricError::Undefined`] when no pair is comparable.
    ///
    /// # Complexity
    /// O(N log N), by counting risks in a binary indexed tree from the latest time on.
    ///
    /// # References
    /// Harrell, Lee & Mark, "Multivariable prognostic models", 1996, section 5.5.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::survival::Concordance;
    /// let times = [2.0, 4.0, 5.0, 7.0];
    /// let events = [true, false, true, true];
    /// let found = Concordance::of(&times, &events, &[0.9, 0.1, 0.5, 0.5])?;
    /// // The first against all three, the third against the last, which is tied.
    /// assert_eq!((found.comparable, found.concordant, found.tied_risk), (4, 3, 1));
    /// assert_eq!(found.index(), 0.875);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn of(times: &[f64], events: &[bool], risks: &[f64]) -> Result<Self, MetricError> {
        validate::non_empty("times", times.len())?;
        validate::same_len("events", times.len(), events.len())?;
        validate::same_len("risks", times.len(), risks.len())?;
        validate::finite("times", times)?;
        validate::not_nan("risks", risks)?;
        let counts = count_pairs(times, events, risks);
        if counts.comparable == 0 {
            return Err(MetricError::Undefined {
                subject: "concordance index",
                expected: "a pair of which one event came first",
                found: "no comparable pair",
            });
        }
        Ok(counts)
    }

    /// The concordance index: the fraction of comparable pairs ordered rightly, ties counting one
    /// half.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::survival::Concordance;
    /// let counts = Concordance { concordant: 5, tied_risk: 2, comparable: 8 };
    /// assert_eq!(counts.index(), 0.75);
    /// ```
    pub fn index(&self) -> f64 {
        let half_ties = 0.5 * self.tied_risk as f64;
        (self.concordant as f64 + half_ties) / self.comparable as f64
    }
}

fn count_pairs(times: &[f64], events: &[bool], risks: &[f64]) -> Concordance {
    let levels = dense_ranks(risks);
    let mut later = RiskCounts::new(risks.len());
    let mut counts = Concordance {
        concordant: 0,
        tied_risk: 0,
        comparable: 0,
    };
    let order = ascending_order(times);
    for group in order.chunk_by(|&a, &b| tied(times[a], times[b])).rev() {
        let (observed, censored): (Vec<usize>, Vec<usize>) =
            group.iter().partition(|&&index| events[index]);
        // Who is censored at this very time had the event later.
        for index in censored {
            later.add(levels[index]);
        }
        for &index in &observed {
            let lower = later.below(levels[index]);
            let not_higher = later.below(levels[index] + 1);
            counts.concordant += lower;
            counts.tied_risk += not_higher - lower;
            counts.comparable += later.total;
        }
        for index in observed {
            later.add(levels[index]);
        }
    }
    counts
}

/// Ranks from 0 without gaps; equal values share one.
fn dense_ranks(values: &[f64]) -> Vec<usize> {
    let order = ascending_order(values);
    let mut ranks = vec![0; values.len()];
    let groups = order.chunk_by(|&a, &b| tied(values[a], values[b]));
    for (rank, group) in groups.enumerate() {
        for &index in group {
            ranks[index] = rank;
        }
    }
    ranks
}

/// A binary indexed tree of how many samples have each risk.
struct RiskCounts {
    sums: Vec<u64>,
    total: u64,
}

impl RiskCounts {
    fn new(levels: usize) -> Self {
        Self {
            sums: vec![0; levels + 1],
            total: 0,
        }
    }

    fn add(&mut self, level: usize) {
        self.total += 1;
        let mut node = level + 1;
        while let Some(sum) = self.sums.get_mut(node) {
            *sum += 1;
            node += node & node.wrapping_neg();
        }
    }

    /// Samples whose level is below the given one.
    fn below(&self, level: usize) -> u64 {
        let mut node = level;
        let mut count = 0;
        while node > 0 {
            count += self.sums[node];
            node &= node - 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty(&[], &[], &[], "times: expected at least one value, found none")]
    #[case::events(&[1.0], &[], &[1.0], "events: expected length 1, found 0")]
    #[case::risks(&[1.0], &[true], &[], "risks: expected length 1, found 0")]
    #[case::nan(&[1.0], &[true], &[f64::NAN], "risks[0]: expected a number, found NaN")]
    #[case::infinite(&[f64::INFINITY], &[true], &[1.0], "times[0]: expected a finite number, found inf")]
    fn ill_input_is_typed(
        #[case] times: &[f64],
        #[case] events: &[bool],
        #[case] risks: &[f64],
        #[case] message: &str,
    ) {
        let error = Concordance::of(times, events, risks).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn without_events_nothing_is_comparable() {
        let error = Concordance::of(&[1.0, 2.0], &[false, false], &[0.1, 0.2]).unwrap_err();
        assert!(error.is_undefined());
        // Two events at the same time say nothing about each other either.
        assert!(Concordance::of(&[1.0, 1.0], &[true, true], &[0.1, 0.2]).is_err());
    }

    fn by_definition(times: &[f64], events: &[bool], risks: &[f64]) -> Concordance {
        let mut counts = Concordance {
            concordant: 0,
            tied_risk: 0,
            comparable: 0,
        };
        for i in (0..times.len()).filter(|&i| events[i]) {
            for j in (0..times.len()).filter(|&j| j != i) {
                if times[i] < times[j] || (tied(times[i], times[j]) && !events[j]) {
                    counts.comparable += 1;
                    counts.concordant += u64::from(risks[i] > risks[j]);
                    counts.tied_risk += u64::from(tied(risks[i], risks[j]));
                }
            }
        }
        counts
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            samples in prop::collection::vec((0_u8..8, any::<bool>(), 0_u8..6), 1..40)
        ) {
            let times: Vec<f64> = samples.iter().map(|s| f64::from(s.0)).collect();
            let events: Vec<bool> = samples.iter().map(|s| s.1).collect();
            let risks: Vec<f64> = samples.iter().map(|s| f64::from(s.2)).collect();
            let expected = by_definition(&times, &events, &risks);
            let found = Concordance::of(&times, &events, &risks).ok();
            prop_assert_eq!(found, (expected.comparable > 0).then_some(expected));
        }
    }
}
