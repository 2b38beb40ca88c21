//! A smooth multiplicative field.

use crate::Result;
use crate::preprocess::check::{count, within};
use crate::preprocess::image::Image;
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// `v ← v exp(Σ c_{abd} x^a y^b z^d)` over all `1 ≤ a + b + d ≤ order`, with coordinates from −1
/// to 1 across the image (0 along an axis of one voxel) and coefficients uniform within ±`strength`.
///
/// # References
/// Van Leemput et al. 1999, "Automated model-based bias field correction of MR images of the
/// brain", for the polynomial in the logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomBias {
    /// Highest degree of the polynomial, 1 to 5.
    pub order: usize,
    /// Largest coefficient, 0 to 5.
    pub strength: f64,
}

impl Apply for RandomBias {
    fn validate(&self) -> Result<()> {
        count("random-bias order", self.order, 1..=5)?;
        within("random-bias strength", self.strength, 0.0..=5.0)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let terms: Vec<([usize; 3], f64)> = exponents(self.order)
            .map(|powers| (powers, stream.at_most(self.strength)))
            .collect();
        if self.strength > 0.0 {
            multiply(image, &terms);
        }
        let coefficients = terms.iter().map(|(_, coefficient)| *coefficient);
        Ok(Measurements::default().with("coefficients", coefficients))
    }
}

/// Exponents of x, y and z of all terms but the constant, of x the slowest.
fn exponents(order: usize) -> impl Iterator<Item = [usize; 3]> {
    let triples = (0..=order).flat_map(move |x| {
        (0..=order - x).flat_map(move |y| (0..=order - x - y).map(move |z| [x, y, z]))
    });
    triples.filter(|powers| powers.iter().sum::<usize>() > 0)
}

fn multiply(image: &mut Image, terms: &[([usize; 3], f64)]) {
    let shape = image.shape;
    let coordinate = |axis: usize, at: usize| {
        let last = (shape[axis] - 1) as f64;
        if last > 0.0 {
            2.0 * at as f64 / last - 1.0
        } else {
            0.0
        }
    };
    for (number, row) in image.values.chunks_exact_mut(shape[0]).enumerate() {
        let y = coordinate(1, number % shape[1]);
        let z = coordinate(2, number / shape[1]);
        for (i, value) in row.iter_mut().enumerate() {
            let x = coordinate(0, i);
            let log: f64 = terms
                .iter()
                .map(|([a, b, d], c)| c * power(x, *a) * power(y, *b) * power(z, *d))
                .sum();
            *value = (f64::from(*value) * log.exp()) as f32;
        }
    }
}

fn power(base: f64, exponent: usize) -> f64 {
    (0..exponent).map(|_| base).product()
}
