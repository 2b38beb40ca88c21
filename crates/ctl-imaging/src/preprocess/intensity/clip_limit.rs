//! Histograms without peaks.

/// Bins cut at `limit`, what was cut off shared out evenly among the others until they reach it.
///
/// Exactly: `h ← min(h + r, limit)` with the one r ≥ 0 that keeps the sum; where even full bins
/// could not hold it, all bins become equal.
pub(crate) fn limited(bins: &mut [f64], limit: f64) {
    let total: f64 = bins.iter().sum();
    let count = bins.len() as f64;
    if limit * count <= total {
        bins.fill(total / count);
        return;
    }
    let mut excess: f64 = bins.iter().map(|bin| (bin - limit).max(0.0)).sum();
    let mut room: Vec<f64> = bins.iter().map(|bin| (limit - bin).max(0.0)).collect();
    room.sort_unstable_by(f64::total_cmp);
    let mut raise = 0.0;
    for (number, &space) in room.iter().enumerate() {
        let open = (room.len() - number) as f64;
        // Raising all open bins to where the tightest of them is full.
        let wanted = (space - raise) * open;
        if wanted >= excess {
            raise += excess / open;
            break;
        }
        excess -= wanted;
        raise = space;
    }
    for bin in bins {
        *bin = (*bin + raise).min(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_off_is_shared_out() {
        let mut bins = [10.0, 1.0, 3.0, 2.0];
        // 6 above the limit of 4; the third bin takes 1, the other two (6 − 1) / 2 each, 2.5
        // would fill the fourth beyond 4, so it takes 2 and the second the remaining 3.
        limited(&mut bins, 4.0);
        assert_eq!(bins.to_vec(), [4.0, 4.0, 4.0, 4.0]);
        let mut bins = [7.0, 0.0, 3.0, 2.0];
        limited(&mut bins, 4.0);
        assert_eq!(bins.to_vec(), [4.0, 1.0, 4.0, 3.0]);
    }

    #[test]
    fn a_limit_that_cannot_hold_all_makes_bins_equal() {
        let mut bins = [9.0, 0.0, 0.0];
        limited(&mut bins, 1.0);
        assert_eq!(bins.to_vec(), [3.0; 3]);
    }

    proptest! {
        #[test]
        fn sums_stay_and_no_bin_passes_the_limit(
            counts in prop::collection::vec(0_u32..1000, 1..60),
            share in 0.01_f64..3.0,
        ) {
            let mut bins: Vec<f64> = counts.iter().map(|&count| f64::from(count)).collect();
            let total: f64 = bins.iter().sum();
            let limit = share * total;
            limited(&mut bins, limit);
            let highest = bins.iter().copied().fold(0.0, f64::max);
            let equal = total / bins.len() as f64;
            prop_assert!((bins.iter().sum::<f64>() - total).abs() <= 1e-9 * (1.0 + total));
            prop_assert!(highest <= limit.max(equal) * (1.0 + 1e-12));
            // Order is kept: a higher bin never ends below a lower one.
            for (a, was_a) in bins.iter().zip(&counts) {
                for (b, was_b) in bins.iter().zip(&counts) {
                    prop_assert!(was_a > was_b || a <= &(b + 1e-9));
                }
            }
        }
    }
}
