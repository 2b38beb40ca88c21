//! Minimality: a counterfactual should be nearer to its image than other images with its attributes
//! are.

use crate::{MetricError, validate};

/// What the two probabilities of a [`LatentDivergence`] count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinimalityWeights {
    /// Of images with the counterfactual's attribute that are nearer than the counterfactual.
    pub target: f64,
    /// Of images with the image's own attribute that are farther than the counterfactual.
    pub same: f64,
}

impl Default for MinimalityWeights {
    /// 0.8 and 0.2, as Sanchez & Tsaftaris 2022 have it.
    fn default() -> Self {
        Self {
            target: 0.8,
            same: 0.2,
        }
    }
}

impl MinimalityWeights {
    fn check(self) -> Result<(), MetricError> {
        for (subject, found) in [("weights.target", self.target), ("weights.same", self.same)] {
            if !(found.is_finite() && found > 0.0) {
                return Err(MetricError::InvalidParameter {
                    subject,
                    expected: "positive and finite",
                    found,
                });
            }
        }
        Ok(())
    }
}

/// How far a counterfactual went, beside other images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentDivergence {
    /// Fraction of images with the counterfactual's attribute that are at most as far from the image
    /// as the counterfactual is.
    pub target_at_most: f64,
    /// Fraction of images with the image's own attribute that are at least as far from it as the
    /// counterfactual is.
    pub same_at_least: f64,
    /// `ln(w₁ exp target_at_most + w₂ exp same_at_least)`; lower is better, between
    /// `ln(w₁ + w₂)` and one more.
    pub value: f64,
}

/// The counterfactual latent divergence of one image.
///
/// # Arguments
/// - `divergence`: distance of the counterfactual from the image.
/// - `same`, `target`: distances of the images with its own and with the counterfactual's attribute.
///
/// # Errors
/// [`MetricError::TooFew`] where no image has one of the attributes, [`MetricError::InvalidValue`]
/// for distances that are not finite, [`MetricError::InvalidParameter`] for weights.
///
/// # References
/// Sanchez & Tsaftaris 2022, section 4.4.
///
/// # Examples
/// ```
/// use ctl_metrics::soundness::latent_divergence;
///
/// // All images with the new attribute are farther away, and so is half of those with the old one.
/// let found = latent_divergence(1.0, &[0.0, 2.0], &[3.0, 4.0], Default::default())?;
/// assert_eq!((found.target_at_most, found.same_at_least), (0.0, 0.5));
/// assert!((found.value - (0.8 + 0.2 * 0.5_f64.exp()).ln()).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn latent_divergence(
    divergence: f64,
    same: &[f64],
    target: &[f64],
    weights: MinimalityWeights,
) -> Result<LatentDivergence, MetricError> {
    weights.check()?;
    validate::finite("divergence", &[divergence])?;
    for (subject, distances) in [("same", same), ("target", target)] {
        validate::at_least(subject, 1, distances.len())?;
        validate::finite(subject, distances)?;
    }
    let fraction = |distances: &[f64], counts: &dyn Fn(f64) -> bool| {
        let counted = distances.iter().filter(|&&d| counts(d)).count();
        counted as f64 / distances.len() as f64
    };
    let target_at_most = fraction(target, &|d| d <= divergence);
    let same_at_least = fraction(same, &|d| d >= divergence);
    let sum = weights.target * target_at_most.exp() + weights.same * same_at_least.exp();
    Ok(LatentDivergence {
        target_at_most,
        same_at_least,
        value: sum.ln(),
    })
}

/// Diagonal normal distributions over latent variables, one for each image.
#[derive(Debug, Clone, Copy)]
pub struct Gaussians<'a> {
    /// Means `[N, dimensions]`, row-major.
    pub mean: &'a [f64],
    /// Logarithms of the standard deviations, `[N, dimensions]`.
    pub log_scale: &'a [f64],
    /// Number of latent variables.
    pub dimensions: usize,
}

impl Gaussians<'_> {
    /// Number of images.
    fn count(&self) -> usize {
        self.mean.len() / self.dimensions.max(1)
    }

    fn check(&self, subject: &'static str) -> Result<(), MetricError> {
        validate::non_empty(subject, self.mean.len().min(self.dimensions))?;
        validate::same_len(subject, self.count() * self.dimensions, self.mean.len())?;
        validate::same_len(subject, self.mean.len(), self.log_scale.len())?;
        validate::finite(subject, self.mean)?;
        // Beyond it the variance or its inverse is no number of double precision.
        validate::all_values(
            subject,
            self.log_scale,
            "a log scale within ±300",
            |value| value.abs() <= 300.0,
        )
    }

    fn of(&self, image: usize) -> (&[f64], &[f64]) {
        let range = image * self.dimensions..(image + 1) * self.dimensions;
        (&self.mean[range.clone()], &self.log_scale[range])
    }
}

/// `KL(N(first) ‖ N(second))` of diagonal normal distributions, mean over the dimensions, in nats.
fn divergence((mean, log_scale): (&[f64], &[f64]), (other, other_scale): (&[f64], &[f64])) -> f64 {
    let terms = mean
        .iter()
        .zip(log_scale)
        .zip(other.iter().zip(other_scale));
    let sum: f64 = terms
        .map(|((a, log_a), (b, log_b))| {
            let ratio = (2.0 * (log_a - log_b)).exp();
            let shift = (a - b) * (-log_b).exp();
            0.5 * (ratio + shift * shift - 1.0) - (log_a - log_b)
        })
        .sum();
    sum / mean.len() as f64
}

/// Minimality of every image.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimality {
    /// `KL(counterfactual ‖ image)`, mean over the latent variables, in nats.
    pub divergence: Vec<f64>,
    /// The counterfactual latent divergence of each.
    pub values: Vec<f64>,
}

impl Minimality {
    /// Mean over the images.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }
}

/// The counterfactual latent divergence of images from the latent distributions that an encoder gives
/// them and their counterfactuals.
///
/// Distances are `KL(N(other) ‖ N(image))`, mean over the latent variables; the images with an
/// attribute are those of `factual` that have it, the image itself among them.
/// Real-valued attributes come as intervals, numbered by the caller.
///
/// The second argument of each distribution is the logarithm of its scale; the code that was
/// published with the counterfactual benchmark passes the mean in its place.
///
/// # Arguments
/// - `factual`, `counterfactual`: latent distributions of `N` images each.
/// - `attributes`: by image, its attribute before and after the intervention.
///
/// # Errors
/// As [`latent_divergence`]; [`MetricError::LengthMismatch`] where sizes differ.
///
/// # References
/// Sanchez & Tsaftaris 2022, section 4.4; Melistas et al. 2024, section 3.
pub fn minimality(
    factual: &Gaussians<'_>,
    counterfactual: &Gaussians<'_>,
    attributes: &[(usize, usize)],
    weights: MinimalityWeights,
) -> Result<Minimality, MetricError> {
    factual.check("factual")?;
    counterfactual.check("counterfactual")?;
    validate::same_len("dimensions", factual.dimensions, counterfactual.dimensions)?;
    validate::same_len("counterfactual", factual.count(), counterfactual.count())?;
    validate::same_len("attributes", factual.count(), attributes.len())?;
    let mut found = Minimality {
        divergence: Vec::new(),
        values: Vec::new(),
    };
    for (image, &(own, target)) in attributes.iter().enumerate() {
        let here = factual.of(image);
        let with = |attribute: usize| -> Vec<f64> {
            let images = attributes.iter().enumerate();
            let images = images.filter(|(_, of)| of.0 == attribute);
            images
                .map(|(other, _)| divergence(factual.of(other), here))
                .collect()
        };
        let moved = divergence(counterfactual.of(image), here);
        let latent = latent_divergence(moved, &with(own), &with(target), weights)?;
        found.divergence.push(moved);
        found.values.push(latent.value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: `KL(N(1, e²) ‖ N(0, 1)) = ½ (e² + 1 − 1) − 1`, and 0 of a distribution from itself.
    #[test]
    fn the_divergence_of_two_normal_distributions() {
        let found = divergence((&[1.0, 0.0], &[1.0, 0.5]), (&[0.0, 0.0], &[0.0, 0.5]));
        let expected = (1.0_f64.exp().powi(2) / 2.0 - 1.0) / 2.0;
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    /// An image that stays where it is has moved by nothing: nobody with the new attribute is nearer,
    /// and everybody with the old one, itself included, is at least as far.
    #[test]
    fn a_counterfactual_that_is_the_image() {
        let means = [0.0, 1.0, 2.0, 3.0];
        let latents = Gaussians {
            mean: &means,
            log_scale: &[0.0; 4],
            dimensions: 1,
        };
        let attributes = [(0, 1), (0, 1), (1, 0), (1, 0)];
        let weights = MinimalityWeights::default();
        let found = minimality(&latents, &latents, &attributes, weights).unwrap();
        let expected = (0.8 + 0.2 * 1.0_f64.exp()).ln();
        assert_eq!(found.divergence, [0.0; 4]);
        assert!((found.mean() - expected).abs() < 1e-15);
        // One that no image has.
        let error = minimality(&latents, &latents, &[(0, 2); 4], weights).unwrap_err();
        assert!(
            error.is_undefined() && error.to_string().starts_with("target"),
            "{error}"
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let of = |mean, log_scale, dimensions| Gaussians {
            mean,
            log_scale,
            dimensions,
        };
        let good = of(&[0.0; 4], &[0.0; 4], 2);
        let attributes = [(0, 0); 2];
        let weights = MinimalityWeights::default();
        let refused = |a: &Gaussians<'_>, b: &Gaussians<'_>, attributes: &[(usize, usize)], w| {
            minimality(a, b, attributes, w).unwrap_err().to_string()
        };
        for (bad, word) in [
            (
                of(&[0.0; 4], &[0.0; 3], 2),
                "counterfactual: expected length 4",
            ),
            (
                of(&[0.0; 4], &[0.0; 4], 0),
                "counterfactual: expected at least",
            ),
            (of(&[0.0; 4], &[0.0; 4], 1), "dimensions"),
            (
                of(&[0.0; 2], &[0.0; 2], 2),
                "counterfactual: expected length 2",
            ),
            (of(&[f64::NAN; 4], &[0.0; 4], 2), "counterfactual[0]"),
            (of(&[0.0; 4], &[400.0; 4], 2), "counterfactual[0]"),
        ] {
            let error = refused(&good, &bad, &attributes, weights);
            assert!(error.starts_with(word), "{error}");
        }
        let error = refused(&good, &good, &attributes[..1], weights);
        assert!(error.starts_with("attributes"), "{error}");
        let zero = MinimalityWeights {
            same: 0.0,
            ..weights
        };
        let error = refused(&good, &good, &attributes, zero);
        assert!(error.starts_with("weights.same"), "{error}");
    }
}
