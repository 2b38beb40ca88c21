//! Quantiles and interpolation in tables.

/// A quantile of ascending values, linear between neighbours (`NumPy`'s default, type 7 of
/// Hyndman & Fan 1996).
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let rest = place - below as f64;
    sorted[below] + (sorted[above] - sorted[below]) * rest
}

pub(crate) fn ascending(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The value at `x` on the line through points with strictly ascending abscissae; beyond the ends
/// the first or last ordinate.
pub(crate) fn interpolate(x: f64, abscissae: &[f64], ordinates: &[f64]) -> f64 {
    let above = abscissae.partition_point(|&at| at <= x);
    if above == 0 {
        return ordinates[0];
    }
    if above == abscissae.len() {
        return ordinates[above - 1];
    }
    let (left, right) = (abscissae[above - 1], abscissae[above]);
    let rest = (x - left) / (right - left);
    ordinates[above - 1] + (ordinates[above] - ordinates[above - 1]) * rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_the_line_between_neighbours() {
        let values = ascending(vec![4.0, 1.0, 3.0, 2.0]);
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (0.9, 3.7), (1.0, 4.0)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-12);
        }
        assert!((quantile(&[7.0], 0.3) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn tables_hold_their_ends() {
        let (x, y) = ([0.0, 1.0, 3.0], [10.0, 20.0, 0.0]);
        for (at, expected) in [
            (-1.0, 10.0),
            (0.5, 15.0),
            (1.0, 20.0),
            (2.0, 10.0),
            (9.0, 0.0),
        ] {
            assert!((interpolate(at, &x, &y) - expected).abs() < 1e-12);
        }
    }
}
