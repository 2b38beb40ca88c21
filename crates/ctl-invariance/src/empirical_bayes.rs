//! Location and scale of a site's features against a reference, shrunk towards what they have in
//! common.

/// Count, mean and squares of the values of each feature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    /// Images that the values are of.
    pub(crate) images: f64,
    /// Values of a feature.
    values: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Takes in the values of some images, feature fastest, `[N, F]`.
    pub(crate) fn add(&mut self, images: usize, values: &[f32], features: usize) {
        self.images += images as f64;
        self.values += (values.len() / features) as f64;
        self.sums.resize(features, 0.0);
        self.squares.resize(features, 0.0);
        for row in values.chunks_exact(features) {
            for (feature, &value) in row.iter().enumerate() {
                let value = f64::from(value);
                self.sums[feature] += value;
                self.squares[feature] += value * value;
            }
        }
    }

    fn mean(&self, feature: usize) -> f64 {
        self.sums[feature] / self.values
    }

    /// Sum of squared deviations from the mean.
    fn deviations(&self, feature: usize) -> f64 {
        let squares = self.squares[feature] - self.values * self.mean(feature).powi(2);
        squares.max(0.0)
    }
}

/// `x ← scale · x + shift` for each feature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Adjustment {
    pub(crate) scale: Vec<f64>,
    pub(crate) shift: Vec<f64>,
}

/// A feature whose variance over that of its squares is less does not vary but for rounding.
const LEAST_VARIANCE: f64 = 1e-10;
/// Relative change at which estimates have converged.
const CONVERGED: f64 = 1e-10;
const ROUNDS: usize = 1000;

/// What a site did to one feature: `γ` and `δ²` in units of the reference.
#[derive(Clone, Copy, Debug)]
struct Effect {
    location: f64,
    variance: f64,
}

/// Hyperparameters over features: normal for locations, inverse gamma for variances.
struct Prior {
    location: Effect,
    shape: f64,
    scale: f64,
}

/// Mean and unbiased variance.
fn spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (
        mean,
        values.map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0),
    )
}

impl Prior {
    /// By the method of moments; none where features are fewer than two or all have one variance.
    fn of(effects: &[Effect]) -> Option<Self> {
        if effects.len() < 2 {
            return None;
        }
        let (location, spread_of_locations) = spread(effects.iter().map(|e| e.location));
        let (mean, variance) = spread(effects.iter().map(|e| e.variance));
        (variance > 0.0).then_some(Self {
            location: Effect {
                location,
                variance: spread_of_locations,
            },
            shape: (2.0 * variance + mean * mean) / variance,
            scale: (mean * variance + mean.powi(3)) / variance,
        })
    }

    /// Posterior means of a feature's location and variance, each given the other, in turn.
    fn shrunk(&self, raw: Effect, count: f64) -> Effect {
        let Effect { location, variance } = self.location;
        let mut found = raw;
        for _ in 0..ROUNDS {
            let weight = count * variance;
            let mean =
                (weight * raw.location + found.variance * location) / (weight + found.variance);
            let squares = (count - 1.0) * raw.variance + count * (raw.location - mean).powi(2);
            let next = Effect {
                location: mean,
                variance: (0.5 * squares + self.scale) / (0.5 * count + self.shape - 1.0),
            };
            let gap = |a: f64, b: f64| (a - b).abs() <= CONVERGED * a.abs().max(CONVERGED);
            let done = gap(next.location, found.location) && gap(next.variance, found.variance);
            found = next;
            if done {
                break;
            }
        }
        found
    }
}

/// What brings the features of a site to those of the sources.
///
/// With `α` the mean of the sources' values and `σ²` the mean square about their own site's mean,
/// a feature of the site is `α + σ (γ + δ ε)`; `γ` and `δ²` are estimated by empirical Bayes over
/// the features and taken out, `(x − α − σ γ) / δ + α`. A feature that does not vary in the sources
/// or at the site stays as it is.
///
/// An image counts once, however many values it has.
///
/// # References
/// Johnson, Li & Rabinovic 2007, section 3.2, parametric; Fortin et al. 2017. The sources are the
/// reference, as `ref.batch` has it in the authors' code: they stay as they are.
pub(crate) fn harmonise(sources: &[Moments], site: &Moments) -> Adjustment {
    let features = site.sums.len();
    let total: f64 = sources.iter().map(|m| m.values).sum();
    let pooled = |of: &dyn Fn(&Moments) -> f64| sources.iter().map(of).sum::<f64>() / total;
    let alpha = |f: usize| pooled(&|m| m.sums[f]);
    let sigma2 = |f: usize| pooled(&|m| m.deviations(f));
    let varies = |variance: f64, square: f64| variance > LEAST_VARIANCE * square;
    let live = |&f: &usize| {
        let at_site = site.deviations(f) / site.values;
        varies(sigma2(f), pooled(&|m| m.squares[f]))
            && varies(at_site, site.squares[f] / site.values)
    };
    let live: Vec<usize> = (0..features).filter(live).collect();
    let raw = |&f: &usize| Effect {
        location: (site.mean(f) - alpha(f)) / sigma2(f).sqrt(),
        variance: site.deviations(f) / (site.values - 1.0).max(1.0) / sigma2(f),
    };
    let effects: Vec<Effect> = live.iter().map(raw).collect();
    let prior = Prior::of(&effects);
    let mut adjustment = Adjustment {
        scale: vec![1.0; features],
        shift: vec![0.0; features],
    };
    for (&f, &raw) in live.iter().zip(&effects) {
        let effect = prior
            .as_ref()
            .map_or(raw, |prior| prior.shrunk(raw, site.images));
        let scale = 1.0 / effect.variance.sqrt();
        adjustment.scale[f] = scale;
        adjustment.shift[f] = alpha(f) - scale * (alpha(f) + sigma2(f).sqrt() * effect.location);
    }
    adjustment
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: [[f32; 3]; 5] = [
        [1.0, 0.5, 10.0],
        [2.0, 0.75, 12.0],
        [4.0, 0.25, 9.0],
        [3.0, 1.0, 11.0],
        [2.5, 0.5, 14.0],
    ];
    const SITE: [[f32; 3]; 4] = [
        [5.0, 1.5, 20.0],
        [9.0, 1.0, 26.0],
        [6.0, 2.0, 23.0],
        [8.0, 1.25, 18.0],
    ];

    const GOLDEN_SCALE: [f64; 3] = [0.545_403_730_65, 0.546_770_492_28, 0.541_003_059_406];
    const GOLDEN_SHIFT: [f64; 3] = [-1.339_938_461_997, -0.240_842_009_093, -0.156_811_841_183];

    fn moments(rows: &[[f32; 3]]) -> Moments {
        let mut moments = Moments::default();
        moments.add(rows.len(), &rows.concat(), 3);
        moments
    }

    fn near(found: &[f64], expected: &[f64]) {
        let far = found
            .iter()
            .zip(expected)
            .any(|(a, b)| (a - b).abs() > 1e-6);
        assert!(
            !far && found.len() == expected.len(),
            "{found:?} is not near {expected:?}"
        );
    }

    /// `tests/golden/make_combat.py`: neuroCombat's formulas, with the source as reference batch; its
    /// Python package, version 0.2.12, agrees to its own convergence of 1e-4.
    #[test]
    fn agrees_with_another_implementation() {
        let found = harmonise(&[moments(&SOURCE)], &moments(&SITE));
        near(&found.scale, &GOLDEN_SCALE);
        near(&found.shift, &GOLDEN_SHIFT);
    }

    /// With one feature nothing is shrunk: the site's mean and unbiased variance become the mean
    /// and the population variance of the sources about their own means.
    #[test]
    fn one_feature_by_hand() {
        let of = |values: &[f32]| {
            let mut moments = Moments::default();
            moments.add(values.len(), values, 1);
            moments
        };
        // Means 1 and 4, of all 2.5; deviations 1 each.
        let sources = [of(&[0.0, 2.0]), of(&[3.0, 5.0])];
        // Mean 10, unbiased variance 4.
        let found = harmonise(&sources, &of(&[8.0, 10.0, 12.0]));
        near(&found.scale, &[0.5]);
        near(&found.shift, &[2.5 - 5.0]);
    }

    #[test]
    fn features_that_do_not_vary_stay() {
        let source = SOURCE.map(|[a, b, _]| [a, b, 7.1]);
        let found = harmonise(&[moments(&source)], &moments(&SITE));
        assert_eq!((found.scale[2], found.shift[2]), (1.0, 0.0));
        assert!(found.scale[0] < 1.0);
        let site = SITE.map(|[a, _, c]| [a, 0.3, c]);
        let found = harmonise(&[moments(&SOURCE)], &moments(&site));
        assert_eq!((found.scale[1], found.shift[1]), (1.0, 0.0));
    }
}
