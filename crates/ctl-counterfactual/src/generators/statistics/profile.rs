//! The statistics of one channel of an image, and the map from one's to another's.

use ctl_invariance::methods::nyul::Foreground;

use super::{Statistics, StatisticsExchangeConfig};

/// What stays of a deviation, as a share of the smaller of two, however far the way leads beyond.
const LEAST_SHARE: f64 = 0.1;

/// Intensities of one channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    Moments {
        mean: f64,
        deviation: f64,
    },
    /// At the shares `(k + ½) / levels`.
    Quantiles(Vec<f64>),
}

/// What the scanner left in one channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    pub(super) scale: Scale,
    /// Deviation of the fine detail over that of the channel.
    pub(super) detail: f64,
}

/// Which pixels of a plane its statistics are of.
pub(super) fn foreground(plane: &[f64], foreground: Foreground) -> Vec<bool> {
    let bound = match foreground {
        Foreground::AboveMean => plane.iter().sum::<f64>() / plane.len().max(1) as f64,
        Foreground::All => f64::NEG_INFINITY,
    };
    plane.iter().map(|&value| value > bound).collect()
}

fn inside<'a>(plane: &'a [f64], region: &'a [bool]) -> impl Iterator<Item = f64> + 'a {
    let pixels = plane.iter().zip(region);
    pixels
        .filter(|(_, inside)| **inside)
        .map(|(value, _)| *value)
}

/// Mean and deviation over a region that is not empty.
pub(super) fn moments(plane: &[f64], region: &[bool]) -> (f64, f64) {
    let count = inside(plane, region).count().max(1) as f64;
    let mean = inside(plane, region).sum::<f64>() / count;
    let squares = inside(plane, region).map(|value| (value - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}

/// What a plane differs by from its mean over 3 × 3 pixels with weights 1, 2, 1 along each axis;
/// beyond the border the last pixel goes on.
pub(super) fn detail(plane: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let around = |index: usize, side: usize| [index.saturating_sub(1), (index + 1).min(side - 1)];
    let along_rows = |y: usize, x: usize| {
        let [before, after] = around(x, width).map(|x| plane[y * width + x]);
        0.25 * before + 0.5 * plane[y * width + x] + 0.25 * after
    };
    let value = |index: usize| {
        let (y, x) = (index / width, index % width);
        let [above, below] = around(y, height).map(|y| along_rows(y, x));
        plane[index] - (0.25 * above + 0.5 * along_rows(y, x) + 0.25 * below)
    };
    (0..plane.len()).map(value).collect()
}

impl Profile {
    /// The statistics of a plane over a region; none where all of it has one value.
    pub(super) fn of(
        plane: &[f64],
        size: [usize; 2],
        region: &[bool],
        config: &StatisticsExchangeConfig,
    ) -> Option<Self> {
        let (mean, deviation) = moments(plane, region);
        // Rounding alone gives a flat region a deviation of this order.
        if deviation <= 1e-9 * mean.abs().max(f64::MIN_POSITIVE) {
            return None;
        }
        let scale = match config.statistics {
            Statistics::Moments => Scale::Moments { mean, deviation },
            Statistics::Quantiles => {
                let mut sorted: Vec<f64> = inside(plane, region).collect();
                sorted.sort_by(f64::total_cmp);
                let share = |level: usize| (level as f64 + 0.5) / config.levels as f64;
                let levels = 0..config.levels;
                Scale::Quantiles(
                    levels
                        .map(|level| quantile(&sorted, share(level)))
                        .collect(),
                )
            }
        };
        let fine = moments(&detail(plane, size), region).1;
        Some(Self {
            scale,
            detail: fine / deviation,
        })
    }

    /// The factor on fine detail that leads from this profile to another.
    pub(super) fn gain_to(&self, other: &Self, limit: f64) -> f64 {
        if self.detail > 0.0 {
            (other.detail / self.detail).clamp(1.0 / limit, limit)
        } else {
            1.0
        }
    }

    /// The mean of profiles of one kind: of means and deviations, or of quantile functions.
    pub(super) fn mean(profiles: &[Self]) -> Option<Self> {
        let count = profiles.len() as f64;
        let average = |of: &dyn Fn(&Self) -> f64| profiles.iter().map(of).sum::<f64>() / count;
        let moment = |which: usize| {
            move |profile: &Self| match &profile.scale {
                Scale::Moments { mean, deviation } => [*mean, *deviation][which],
                Scale::Quantiles(values) => values[which],
            }
        };
        let scale = match &profiles.first()?.scale {
            Scale::Moments { .. } => Scale::Moments {
                mean: average(&moment(0)),
                deviation: average(&moment(1)),
            },
            Scale::Quantiles(values) => {
                let levels = 0..values.len();
                Scale::Quantiles(levels.map(|level| average(&moment(level))).collect())
            }
        };
        Some(Self {
            scale,
            detail: average(&|profile: &Self| profile.detail),
        })
    }

    /// The profile at a share of the way to another, which is beyond it above 1 and itself at 1.
    pub(super) fn towards(&self, other: &Self, extent: f64) -> Self {
        if extent.to_bits() == 1f64.to_bits() || self == other {
            return other.clone();
        }
        let between = |own: f64, other: f64| own + extent * (other - own);
        let positive = |own: f64, other: f64| between(own, other).max(LEAST_SHARE * own.min(other));
        let scale = match (&self.scale, &other.scale) {
            (
                Scale::Moments { mean, deviation },
                Scale::Moments {
                    mean: new,
                    deviation: spread,
                },
            ) => Scale::Moments {
                mean: between(*mean, *new),
                deviation: positive(*deviation, *spread),
            },
            (Scale::Quantiles(from), Scale::Quantiles(to)) => {
                let mut highest = f64::NEG_INFINITY;
                let levels = from.iter().zip(to).map(|(&from, &to)| {
                    highest = highest.max(between(from, to));
                    highest
                });
                Scale::Quantiles(levels.collect())
            }
            // Profiles of one configuration are of one kind.
            _ => other.scale.clone(),
        };
        Self {
            scale,
            detail: positive(self.detail, other.detail),
        }
    }

    /// A value of a channel with this profile as it is in one with another.
    pub(super) fn map_to<'a>(&'a self, other: &'a Self) -> Box<dyn Fn(f64) -> f64 + 'a> {
        match (&self.scale, &other.scale) {
            (
                Scale::Moments { mean, deviation },
                Scale::Moments {
                    mean: new,
                    deviation: spread,
                },
            ) => Box::new(move |value| (value - mean) / deviation * spread + new),
            (Scale::Quantiles(from), Scale::Quantiles(to)) => {
                let knots = knots(from, to);
                Box::new(move |value| piecewise(value, &knots))
            }
            // Profiles of one configuration are of one kind.
            _ => Box::new(|value| value),
        }
    }
}

/// The quantile at `share` of sorted values, of which the i-th of n stands at `(i + ½) / n`: linear
/// between them, constant beyond the first and the last.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let place = (share * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let below = place.floor() as usize;
    let value = |index: usize| sorted[index.min(last)];
    value(below) + place.fract() * (value(below + 1) - value(below))
}

/// Corners of the increasing map that takes one's quantiles to another's, and 0 to 0 and 1 to 1
/// where those lie outside both. Quantiles that coincide go to the mean of their images.
fn knots(from: &[f64], to: &[f64]) -> Vec<(f64, f64)> {
    let mut knots: Vec<(f64, f64)> = Vec::with_capacity(from.len() + 2);
    let (first, last) = (0, from.len() - 1);
    if from[first] > 0.0 && to[first] >= 0.0 {
        knots.push((0.0, 0.0));
    }
    let mut start = 0;
    for equal in from.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
        let images = &to[start..start + equal.len()];
        knots.push((equal[0], images.iter().sum::<f64>() / images.len() as f64));
        start += equal.len();
    }
    if from[last] < 1.0 && to[last] <= 1.0 {
        knots.push((1.0, 1.0));
    }
    knots
}

/// On the line through the two corners around a value; beyond the first or last with slope 1.
fn piecewise(value: f64, knots: &[(f64, f64)]) -> f64 {
    let above = knots.partition_point(|knot| knot.0 <= value);
    let Some(&(right, image)) = knots.get(above) else {
        let (last, image) = knots[knots.len() - 1];
        return value - last + image;
    };
    if above == 0 {
        return value - right + image;
    }
    let (left, low) = knots[above - 1];
    low + (value - left) * ((image - low) / (right - left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_maps_by_hand() {
        let knots = knots(&[0.2, 0.4, 0.4, 0.8], &[0.1, 0.3, 0.5, 0.6]);
        let expected = [(0.0, 0.0), (0.2, 0.1), (0.4, 0.4), (0.8, 0.6), (1.0, 1.0)];
        for (found, expected) in knots.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() + (found.1 - expected.1).abs() < 1e-12);
        }
        assert_eq!(knots.len(), 5);
        for (value, expected) in [(0.1, 0.05), (0.3, 0.25), (0.6, 0.5), (0.9, 0.8), (1.2, 1.2)] {
            assert!(
                (piecewise(value, &knots) - expected).abs() < 1e-12,
                "{value}"
            );
        }
        assert!((piecewise(-0.5, &knots) + 0.5).abs() < 1e-12);
        // Three values stand at 1/6, 1/2 and 5/6.
        assert!((quantile(&[1.0, 2.0, 4.0], 2.0 / 3.0) - 3.0).abs() < 1e-12);
    }

    /// The weights of the neighbourhood sum to 1 and are even: no detail in a ramp away from the
    /// border, three quarters of a point in a point.
    #[test]
    fn detail_by_hand() {
        let ramp: Vec<f64> = (0..25).map(|i| f64::from(i % 5 + 2 * (i / 5))).collect();
        let found = detail(&ramp, [5, 5]);
        assert!(found[12].abs() < 1e-12 && found[6].abs() < 1e-12);
        // On the left border: 0.25 of the step to the right neighbour.
        assert!((found[10] + 0.25).abs() < 1e-12);
        let mut point = vec![0.0; 25];
        point[12] = 1.0;
        let found = detail(&point, [5, 5]);
        assert!((found[12] - 0.75).abs() < 1e-12);
        assert!((found[11] + 0.125).abs() < 1e-12 && (found[6] + 0.0625).abs() < 1e-12);
    }
}
