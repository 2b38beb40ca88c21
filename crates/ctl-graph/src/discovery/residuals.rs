//! Whether residuals are distributed alike in two groups.

use crate::stats::distribution::{f_two_sided, f_upper, normal_two_sided, student_two_sided};

/// How a regression is compared between environments.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{IcpOptions, ResidualTest, SubsetOptions};
/// assert_eq!(IcpOptions::default().test, ResidualTest::Moments);
/// assert_eq!(SubsetOptions::default().test, ResidualTest::Ranks);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResidualTest {
    /// Welch's t test of the means and the F test of the variances: for Gaussian noise.
    #[default]
    Moments,
    /// The rank-sum test of the locations and the Brown-Forsythe test of the spreads: for any
    /// noise.
    Ranks,
    /// Chow's test: whether the regression on all other environments predicts each one within its
    /// noise. Exact for Gaussian noise, and sensitive to coefficients, while the others look at
    /// the residuals of one regression on all rows.
    Chow,
}

/// Rows, mean and sum of squared deviations of one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Group {
    pub(super) rows: f64,
    pub(super) mean: f64,
    pub(super) squares: f64,
}

impl Group {
    pub(super) fn of(values: &[f64]) -> Self {
        let rows = values.len() as f64;
        let mean = values.iter().sum::<f64>() / rows;
        Self {
            rows,
            mean,
            squares: values.iter().map(|v| (v - mean).powi(2)).sum(),
        }
    }

    /// The union of two groups.
    pub(super) fn with(self, other: Self) -> Self {
        let rows = self.rows + other.rows;
        if rows <= 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            rows,
            mean: self.mean + apart * other.rows / rows,
            squares: self.squares + other.squares + apart * apart * self.rows * other.rows / rows,
        }
    }

    fn variance(self) -> f64 {
        self.squares / (self.rows - 1.0)
    }
}

/// Each group beside the union of the others.
pub(super) fn against_the_rest(groups: &[Group]) -> impl Iterator<Item = (Group, Group)> + '_ {
    groups.iter().enumerate().filter_map(|(index, group)| {
        let others = groups.iter().enumerate().filter(|(i, _)| *i != index);
        let rest = others.map(|(_, other)| *other).reduce(Group::with)?;
        Some((*group, rest))
    })
}

/// p-value of Welch's t test.
pub(super) fn means_differ(a: Group, b: Group) -> f64 {
    let (per_a, per_b) = (a.variance() / a.rows, b.variance() / b.rows);
    let error = per_a + per_b;
    if error <= 0.0 {
        // No residual anywhere: equal means are certain, and so are different ones.
        return f64::from(u8::from(a.mean.to_bits() == b.mean.to_bits()));
    }
    let freedom = error * error / (per_a * per_a / (a.rows - 1.0) + per_b * per_b / (b.rows - 1.0));
    student_two_sided((a.mean - b.mean) / error.sqrt(), freedom)
}

/// p-values of Welch's t test and of the two-sided F test.
pub(super) fn moments_differ(a: Group, b: Group) -> (f64, f64) {
    if a.squares + b.squares <= 0.0 {
        return (means_differ(a, b), 1.0);
    }
    let spread = f_two_sided(a.variance() / b.variance(), a.rows - 1.0, b.rows - 1.0);
    (means_differ(a, b), spread)
}

/// p-values of the rank-sum test, by its normal limit with ties and continuity correction, and
/// of the Brown-Forsythe test.
///
/// # References
/// Mann and Whitney (1947); Brown and Forsythe (1974).
pub(super) fn ranks_differ(a: &[f64], b: &[f64]) -> (f64, f64) {
    (rank_sum(a, b), brown_forsythe(a, b))
}

fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    let (m, n) = (a.len() as f64, b.len() as f64);
    let mut all: Vec<(f64, bool)> = a.iter().map(|&v| (v, true)).collect();
    all.extend(b.iter().map(|&v| (v, false)));
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut before, mut sum, mut ties) = (0.0, 0.0, 0.0);
    for tied in all.chunk_by(|x, y| x.0.total_cmp(&y.0).is_eq()) {
        let size = tied.len() as f64;
        let rank = before + f64::midpoint(1.0, size);
        sum += rank * tied.iter().filter(|value| value.1).count() as f64;
        ties += size * (size * size - 1.0);
        before += size;
    }
    let total = m + n;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let deviation = (sum - m * (total + 1.0) / 2.0).abs();
    normal_two_sided((deviation - 0.5).max(0.0) / variance.sqrt())
}

fn brown_forsythe(a: &[f64], b: &[f64]) -> f64 {
    let spread = |values: &[f64]| {
        let middle = median(values);
        let apart: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
        Group::of(&apart)
    };
    let (a, b) = (spread(a), spread(b));
    let within = a.squares + b.squares;
    let between = a.with(b).squares - within;
    let freedom = a.rows + b.rows - 2.0;
    if within <= 0.0 {
        return f64::from(u8::from(between <= 0.0));
    }
    f_upper(between * freedom / within, 1.0, freedom)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[upper],
        _ => f64::midpoint(sorted[upper - 1], sorted[upper]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f64; 6] = [1.0, 2.5, 3.1, 4.0, 2.2, 0.3];
    const B: [f64; 5] = [2.0, 5.5, 9.0, 4.4, 7.1];

    // Reference values: scipy.stats ttest_ind(equal_var=False), f, mannwhitneyu(method=
    // "asymptotic"), levene(center="median").
    #[test]
    fn tests_agree_with_scipy() {
        let (location, spread) = moments_differ(Group::of(&A), Group::of(&B));
        assert!(
            (location - 0.042_163_976_933_623_73).abs() < 1e-12,
            "{location}"
        );
        assert!((spread - 0.172_579_324_369_662_7).abs() < 1e-12, "{spread}");
        let (location, spread) = ranks_differ(&A, &B);
        assert!(
            (location - 0.055_234_253_718_063_83).abs() < 1e-12,
            "{location}"
        );
        assert!((spread - 0.229_725_207_910_911_1).abs() < 1e-12, "{spread}");
    }

    #[test]
    fn unions_of_groups_agree_with_the_whole() {
        let whole: Vec<f64> = A.iter().chain(&B).copied().collect();
        let (joined, direct) = (Group::of(&A).with(Group::of(&B)), Group::of(&whole));
        assert!((joined.mean - direct.mean).abs() < 1e-12);
        assert!((joined.squares - direct.squares).abs() < 1e-12);
    }

    #[test]
    fn constants_do_not_differ() {
        let constant = Group::of(&[0.0; 4]);
        assert_eq!(moments_differ(constant, constant), (1.0, 1.0));
        assert_eq!(ranks_differ(&[0.0; 4], &[0.0; 3]), (1.0, 1.0));
    }
}
