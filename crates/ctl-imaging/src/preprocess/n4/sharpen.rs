//! Sharpening the histogram of logarithms.

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

type Number = Complex<f64>;

/// Moves every value to the expectation of the true one, given that a Gaussian blurred the
/// histogram.
///
/// # References
/// Sled, Zijdenbos & Evans 1998, "A nonparametric method for automatic correction of intensity
/// nonuniformity in MRI data", eq. 8 to 12.
pub(crate) struct Sharpener {
    bins: usize,
    fwhm: f64,
    noise: f64,
    padded: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl Sharpener {
    pub(crate) fn new(bins: usize, fwhm: f64, noise: f64) -> Self {
        // At least twice as long as the histogram, so that the blur does not wrap around.
        let padded = 2 * bins.next_power_of_two();
        let mut planner = FftPlanner::new();
        Self {
            bins,
            fwhm,
            noise,
            padded,
            forward: planner.plan_fft_forward(padded),
            inverse: planner.plan_fft_inverse(padded),
        }
    }

    /// For each value that counts what is left of it after its expectation is taken off; 0 for the
    /// others.
    pub(crate) fn residual(&self, values: &[f64], counts: &[bool]) -> Vec<f64> {
        let counted = || values.iter().zip(counts).filter(|(_, counts)| **counts);
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = counted().fold(start, |(low, high), (value, _)| {
            (low.min(*value), high.max(*value))
        });
        let slope = (high - low) / (self.bins - 1) as f64;
        if slope.is_nan() || slope <= 0.0 {
            return vec![0.0; values.len()];
        }
        let histogram = self.histogram(counted().map(|(value, _)| (value - low) / slope));
        let expected = self.expectations(&histogram, low, slope);
        let residual = |value: f64| value - at(&expected, (value - low) / slope);
        let each = values.iter().zip(counts);
        each.map(|(value, counts)| if *counts { residual(*value) } else { 0.0 })
            .collect()
    }

    /// Each value shared out linearly between the two bins around it.
    fn histogram(&self, places: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut bins = vec![0.0; self.bins];
        for place in places {
            let bin = (place as usize).min(self.bins - 1);
            let rest = place - bin as f64;
            if bin + 1 < self.bins {
                bins[bin] += 1.0 - rest;
                bins[bin + 1] += rest;
            } else {
                bins[bin] += 1.0;
            }
        }
        bins
    }

    /// The expectation of the true value in every bin.
    fn expectations(&self, histogram: &[f64], low: f64, slope: f64) -> Vec<f64> {
        let offset = (self.padded - self.bins) / 2;
        let mut seen = vec![Number::default(); self.padded];
        for (padded, bin) in seen[offset..].iter_mut().zip(histogram) {
            padded.re = *bin;
        }
        let blur = self.blur(slope);
        self.forward.process(&mut seen);
        for (seen, blur) in seen.iter_mut().zip(&blur) {
            *seen *= blur.conj() / (blur.norm_sqr() + self.noise);
        }
        self.inverse.process(&mut seen);
        // The sharpened histogram; a deconvolution rings below 0.
        let sharp: Vec<f64> = seen.iter().map(|value| value.re.max(0.0)).collect();
        let place = |bin: usize| low + (bin as f64 - offset as f64) * slope;
        let weighted = sharp
            .iter()
            .enumerate()
            .map(|(bin, count)| count * place(bin));
        let above = self.blurred(weighted, &blur);
        let below = self.blurred(sharp.iter().copied(), &blur);
        let ratio = |(above, below): (&Number, &Number)| {
            if below.re.abs() > 0.0 {
                above.re / below.re
            } else {
                0.0
            }
        };
        let all = above.iter().zip(&below).map(ratio);
        all.skip(offset).take(self.bins).collect()
    }

    /// The transform of the Gaussian, around bin 0.
    fn blur(&self, slope: f64) -> Vec<Number> {
        let width = self.fwhm / slope;
        let decay = 4.0 * std::f64::consts::LN_2 / (width * width);
        let height = 2.0 * (std::f64::consts::LN_2 / std::f64::consts::PI).sqrt() / width;
        let mut blur: Vec<Number> = (0..self.padded)
            .map(|bin| {
                let distance = bin.min(self.padded - bin) as f64;
                Number::from(height * (-distance * distance * decay).exp())
            })
            .collect();
        self.forward.process(&mut blur);
        blur
    }

    fn blurred(&self, values: impl Iterator<Item = f64>, blur: &[Number]) -> Vec<Number> {
        let mut values: Vec<Number> = values.map(Number::from).collect();
        self.forward.process(&mut values);
        for (value, blur) in values.iter_mut().zip(blur) {
            *value *= blur;
        }
        self.inverse.process(&mut values);
        values
    }
}

/// A table at a place between bins; beyond the last bin its own entry.
fn at(table: &[f64], place: f64) -> f64 {
    let bin = place as usize;
    match (table.get(bin), table.get(bin + 1)) {
        (Some(here), Some(next)) => here + (next - here) * (place - bin as f64),
        _ => table[table.len() - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blurred_peaks_become_narrower() {
        // Values of two classes, each blurred by a triangle of half width 0.1.
        let spread = |centre: f64| (0..200).map(move |n| centre + 0.1 * triangle(n));
        let values: Vec<f64> = spread(4.0).chain(spread(5.0)).collect();
        let counts = vec![true; values.len()];
        let residual = Sharpener::new(200, 0.15, 0.01).residual(&values, &counts);
        let sharpened: Vec<f64> = values.iter().zip(&residual).map(|(v, r)| v - r).collect();
        let deviation = |part: &[f64]| {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            (part.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / part.len() as f64).sqrt()
        };
        for (before, after) in values.chunks(200).zip(sharpened.chunks(200)) {
            assert!(deviation(after) < 0.7 * deviation(before));
        }
    }

    /// Quantiles of the triangle on −1 to 1.
    fn triangle(number: usize) -> f64 {
        let share = (number as f64 + 0.5) / 200.0;
        if share < 0.5 {
            (2.0 * share).sqrt() - 1.0
        } else {
            1.0 - (2.0 * (1.0 - share)).sqrt()
        }
    }

    #[test]
    fn the_transform_of_the_gaussian_is_a_gaussian() {
        let sharpener = Sharpener::new(200, 0.15, 0.01);
        let blur = sharpener.blur(0.01);
        // exp(−π² f² w² / (4 ln 2)) for width w = 15 bins at f = n / 512.
        for n in [0, 3, 10] {
            let phase = std::f64::consts::PI * n as f64 / 512.0 * 15.0;
            let expected = (-phase * phase / (4.0 * std::f64::consts::LN_2)).exp();
            assert!((blur[n].re - expected).abs() < 1e-9 && blur[n].im.abs() < 1e-12);
        }
    }
}
