//! How likely features are among those of normal images, place by place.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};

use crate::{HarnessError, Result};

/// Added to the diagonal of every covariance, relative to the mean variance: with few images a
/// covariance has no inverse.
const SHRINKAGE: f64 = 0.05;
/// Smallest addition, where features do not vary at all.
const FLOOR: f64 = 1e-6;

/// A Gaussian at each place of a feature map.
///
/// # References
/// Defard, Setkov, Loesch & Audigier 2021, `PaDiM`, section 3.1; features are the run's own
/// encoder's instead of a pretrained network's, and the covariance is shrunk towards a multiple of
/// the identity.
pub(crate) struct FeatureDensity {
    channels: usize,
    places: [usize; 2],
    gaussians: Vec<Gaussian>,
}

struct Gaussian {
    mean: DVector<f64>,
    /// Inverse of the lower Cholesky factor of the covariance.
    whitening: DMatrix<f64>,
}

impl FeatureDensity {
    /// Fits the density to feature maps `[B, C, h, w]` of normal images.
    ///
    /// # Errors
    /// When there is no map, or maps do not fit each other.
    pub(crate) fn fit(maps: &[Tensor]) -> Result<Self> {
        let Some(first) = maps.first() else {
            return Err(HarnessError::Config {
                origin: "training".into(),
                key: "anomaly_score".into(),
                message: "feature-density needs a network with a map of features; `autoencoder` \
                          and `vae` have one"
                    .into(),
            });
        };
        let (_, channels, height, width) = first.dims4()?;
        let all = Tensor::cat(maps, 0)?;
        let count = all.dim(0)?;
        let values = all.flatten_all()?.to_vec1::<f32>()?;
        let area = height * width;
        let gaussians = (0..area)
            .map(|place| {
                let value =
                    |c: usize, i: usize| f64::from(values[(i * channels + c) * area + place]);
                gaussian(&DMatrix::from_fn(channels, count, value))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            channels,
            places: [height, width],
            gaussians,
        })
    }

    /// Mahalanobis distances of feature maps `[B, C, h, w]`, enlarged bilinearly to images.
    ///
    /// # Errors
    /// When the maps are of another shape.
    pub(crate) fn maps(&self, features: &Tensor, size: [usize; 2]) -> Result<Vec<Vec<f64>>> {
        let values = features.flatten_all()?.to_vec1::<f32>()?;
        let area = self.places[0] * self.places[1];
        Ok(values
            .chunks_exact(self.channels * area)
            .map(|image| {
                let distances: Vec<f64> = self
                    .gaussians
                    .iter()
                    .enumerate()
                    .map(|(place, gaussian)| {
                        let value = |c: usize, _| f64::from(image[c * area + place]);
                        gaussian.distance(&DVector::from_fn(self.channels, value))
                    })
                    .collect();
                enlarged(&distances, self.places, size)
            })
            .collect())
    }
}

impl Gaussian {
    fn distance(&self, value: &DVector<f64>) -> f64 {
        (&self.whitening * (value - &self.mean)).norm()
    }
}

/// The Gaussian of samples in columns.
fn gaussian(samples: &DMatrix<f64>) -> Result<Gaussian> {
    let (channels, count) = samples.shape();
    let mean = samples.column_mean();
    let centred = DMatrix::from_fn(channels, count, |c, i| samples[(c, i)] - mean[c]);
    let mut covariance = &centred * centred.transpose() / count.max(1) as f64;
    let ridge = (SHRINKAGE * covariance.trace() / channels as f64).max(FLOOR);
    for c in 0..channels {
        covariance[(c, c)] += ridge;
    }
    let inverse = covariance
        .cholesky()
        .and_then(|factor| factor.l().try_inverse());
    match inverse {
        Some(whitening) => Ok(Gaussian { mean, whitening }),
        None => Err(HarnessError::Diverged {
            what: "feature density".into(),
        }),
    }
}

/// Bilinear enlargement with aligned centres, `[h, w] -> [H, W]`.
fn enlarged(map: &[f64], [h, w]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f64> {
    let place = |index: usize, from: usize, to: usize| -> (usize, usize, f64) {
        let at =
            ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
        let low = at.floor() as usize;
        (low, (low + 1).min(from - 1), at - low as f64)
    };
    let mut out = Vec::with_capacity(height * width);
    for y in 0..height {
        let (above, below, down) = place(y, h, height);
        for x in 0..width {
            let (left, right, across) = place(x, w, width);
            let row = |r: usize| map[r * w + left] * (1.0 - across) + map[r * w + right] * across;
            out.push(row(above) * (1.0 - down) + row(below) * down);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features ±1 around 0 and ±2 around 5: variances 1 and 4 with a shrinkage of 0.05 · 2.5.
    #[test]
    fn distance_by_hand() {
        let samples = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, -1.0, 7.0, 3.0, 7.0, 3.0]);
        let found = gaussian(&samples).unwrap();
        let distance = found.distance(&DVector::from_vec(vec![1.0, 7.0]));
        let expected = (1.0 / 1.125 + 4.0 / 4.125f64).sqrt();
        assert!((distance - expected).abs() < 1e-12, "{distance}");
    }

    #[test]
    fn enlargement_keeps_constants_and_interpolates() {
        assert_eq!(enlarged(&[3.0; 4], [2, 2], [4, 4]), [3.0; 16]);
        let row = enlarged(&[0.0, 1.0], [1, 2], [1, 4]);
        assert_eq!(row, [0.0, 0.25, 0.75, 1.0]);
    }
}
