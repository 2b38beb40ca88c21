//! Pictures between the resolution of MNIST and the finer one of the morphology.
//!
//! Both directions are those of an image pyramid: a cubic spline interpolates, and a Gaussian of
//! standard deviation `scale / 3` fine pixels smooths after enlarging and before reducing.

use super::super::Plane;

/// Standard deviation of the smoothing in fine pixels, per unit of scale.
const SIGMA_PER_SCALE: f64 = 1.0 / 3.0;
/// Half width of the smoothing kernel in standard deviations.
const TRUNCATION: f64 = 4.0;
/// Pole of the recursive filter that turns samples into coefficients of a cubic B-spline.
const SPLINE_POLE: f64 = -0.267_949_192_431_122_7;
/// Gain of that filter, `(1 - z)(1 - 1/z)`.
const SPLINE_GAIN: f64 = 6.0;
/// Grey level of white.
const WHITE: f64 = 255.0;

/// Enlarges a picture `scale` times.
///
/// Grey levels are cut to whole numbers as the published pipeline does.
pub(super) fn enlarge(image: &Plane<u8>, scale: usize) -> Plane<u8> {
    if scale == 1 {
        return image.clone();
    }
    let [height, width] = image.shape();
    let unit = image.map(|value| f64::from(value) * (1.0 / WHITE));
    let resized = resize(&unit, [height * scale, width * scale]);
    let kernel = Gaussian::new(scale as f64 * SIGMA_PER_SCALE);
    kernel
        .smooth(&resized, |value| value)
        .map(|value| (WHITE * value) as u8)
}

/// Reduces a mask `scale` times, to grey levels that say how much of a pixel is covered.
pub(super) fn reduce(mask: &Plane<bool>, scale: usize) -> Plane<u8> {
    // The published pipeline works in single precision here, and the cut to whole numbers shows
    // the difference: a sum that misses 1 by 1e-16 would make 254 of 255.
    let single = |value: f64| f64::from(value as f32);
    let unit = mask.map(|set| f64::from(u8::from(set)));
    if scale == 1 {
        return unit.map(|value| (WHITE * value) as u8);
    }
    let [height, width] = mask.shape();
    let kernel = Gaussian::new(scale as f64 * SIGMA_PER_SCALE);
    let smooth = kernel.smooth(&unit, single);
    let shape = [height.div_ceil(scale), width.div_ceil(scale)];
    resize(&smooth, shape).map(|value| (WHITE as f32 * value as f32) as u8)
}

/// Samples the cubic spline through a picture at the centres of another grid over the same area.
///
/// The spline overshoots at edges, so that values are held within the range of the picture.
fn resize(image: &Plane<f64>, [height, width]: [usize; 2]) -> Plane<f64> {
    // The axis that is resized runs across rows, and only small pictures are transposed.
    let mut resized = if height < image.shape()[0] {
        let tall = resize_columns(image, height).transposed();
        resize_columns(&tall, width).transposed()
    } else {
        let wide = resize_columns(&image.transposed(), width).transposed();
        resize_columns(&wide, height)
    };
    let values = || image.values().iter().copied();
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    for value in resized.values_mut() {
        *value = value.clamp(low, high);
    }
    resized
}

fn resize_columns(image: &Plane<f64>, height: usize) -> Plane<f64> {
    let [old_height, width] = image.shape();
    let mut coefficients = image.clone();
    spline_coefficients(&mut coefficients);
    let mut resized = Plane::filled([height, width], 0.0);
    for y in 0..height {
        let position = (y as f64 + 0.5) * old_height as f64 / height as f64 - 0.5;
        for (row, weight) in taps(position, old_height) {
            add_scaled(resized.row_mut(y), weight, coefficients.row(row));
        }
    }
    resized
}

fn add_scaled(target: &mut [f64], weight: f64, source: &[f64]) {
    for (value, &other) in target.iter_mut().zip(source) {
        *value += weight * other;
    }
}

/// The four spline coefficients that make one sample, and their weights.
fn taps(position: f64, length: usize) -> [(usize, f64); 4] {
    let base = position.floor();
    let t = position - base;
    let s = 1.0 - t;
    let weights = [
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    ];
    std::array::from_fn(|i| {
        (
            mirrored(base as isize + i.cast_signed() - 1, length),
            weights[i],
        )
    })
}

/// An index reflected about the centres of the first and the last pixel.
fn mirrored(index: isize, length: usize) -> usize {
    let last = length.cast_signed() - 1;
    if last == 0 {
        return 0;
    }
    let folded = index.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

/// An index reflected about the outer edges of the first and the last pixel.
fn reflected(index: isize, length: usize) -> usize {
    let length = length.cast_signed();
    let folded = index.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}

/// Turns every column of samples into the coefficients of the cubic B-spline that interpolates it,
/// with the signal continued by reflection about its ends.
///
/// # References
/// Unser, Aldroubi & Eden (1993), "B-spline signal processing: part II", section II-C.
fn spline_coefficients(samples: &mut Plane<f64>) {
    let [count, width] = samples.shape();
    if count < 2 {
        return;
    }
    let z = SPLINE_POLE;
    for value in samples.values_mut() {
        *value *= SPLINE_GAIN;
    }
    let first = first_coefficients(samples);
    samples.row_mut(0).copy_from_slice(&first);
    let rows = samples.values_mut();
    for i in 1..count {
        let (before, from) = rows.split_at_mut(i * width);
        add_scaled(&mut from[..width], z, &before[(i - 1) * width..]);
    }
    let (before, last) = rows.split_at_mut((count - 1) * width);
    for (value, &neighbour) in last.iter_mut().zip(&before[(count - 2) * width..]) {
        *value = (z * neighbour + *value) * z / (z * z - 1.0);
    }
    for i in (0..count - 1).rev() {
        let (upto, after) = rows.split_at_mut((i + 1) * width);
        for (value, &next) in upto[i * width..].iter_mut().zip(after.iter()) {
            *value = z * (next - *value);
        }
    }
}

/// Where the causal half of the filter starts: a geometric sum over the reflected signal.
fn first_coefficients(samples: &Plane<f64>) -> Vec<f64> {
    let count = samples.shape()[0];
    let z = SPLINE_POLE;
    let far = (1..count).fold(1.0, |power, _| power * z);
    let mut first = samples.row(0).to_vec();
    add_scaled(&mut first, far, samples.row(count - 1));
    let mut power = z;
    for i in 1..count - 1 {
        add_scaled(&mut first, power, samples.row(i));
        add_scaled(&mut first, power * far, samples.row(count - 1 - i));
        power *= z;
    }
    for value in &mut first {
        *value /= 1.0 - far * far;
    }
    first
}

/// A truncated Gaussian kernel: its centre, then one side.
struct Gaussian {
    weights: Vec<f64>,
}

impl Gaussian {
    fn new(sigma: f64) -> Self {
        let radius = (TRUNCATION * sigma + 0.5) as usize;
        let bell = |i: usize| (-0.5 * (i as f64 / sigma).powi(2)).exp();
        let total = bell(0) + 2.0 * (1..=radius).map(bell).sum::<f64>();
        Self {
            weights: (0..=radius).map(|i| bell(i) / total).collect(),
        }
    }

    /// Smooths along columns, then along rows; `round` follows each pass.
    fn smooth(&self, image: &Plane<f64>, round: impl Fn(f64) -> f64) -> Plane<f64> {
        let columns = self.along_columns(image).map(&round);
        self.along_rows(&columns).map(round)
    }

    /// The kernel's outer weights come first, so that small terms are summed before large ones.
    fn outer(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let weights = self.weights.iter().copied().enumerate();
        weights.skip(1).rev()
    }

    fn along_columns(&self, image: &Plane<f64>) -> Plane<f64> {
        let [height, _] = image.shape();
        let drawn: Vec<bool> = image
            .rows()
            .map(|row| row.iter().any(|&v| v != 0.0))
            .collect();
        let mut smooth = Plane::filled(image.shape(), 0.0);
        for y in 0..height {
            let target = smooth.row_mut(y);
            add_scaled(target, self.weights[0], image.row(y));
            for (offset, weight) in self.outer() {
                let [above, below] = [-offset.cast_signed(), offset.cast_signed()]
                    .map(|offset| reflected(y.cast_signed() + offset, height));
                // Most of a digit's picture is empty, and adding zeros changes nothing.
                if drawn[above] || drawn[below] {
                    add_pair(target, weight, image.row(above), image.row(below));
                }
            }
        }
        smooth
    }

    fn along_rows(&self, image: &Plane<f64>) -> Plane<f64> {
        let [height, width] = image.shape();
        let radius = self.weights.len() - 1;
        let mut smooth = Plane::filled(image.shape(), 0.0);
        let mut padded = vec![0.0; width + 2 * radius];
        for y in 0..height {
            let row = image.row(y);
            if row.iter().all(|&value| value == 0.0) {
                continue;
            }
            for (x, value) in padded.iter_mut().enumerate() {
                *value = row[reflected(x.cast_signed() - radius.cast_signed(), width)];
            }
            let target = smooth.row_mut(y);
            add_scaled(target, self.weights[0], row);
            for (offset, weight) in self.outer() {
                let (left, right) = (&padded[radius - offset..], &padded[radius + offset..]);
                add_pair(target, weight, left, right);
            }
        }
        smooth
    }
}

fn add_pair(target: &mut [f64], weight: f64, one: &[f64], other: &[f64]) {
    for ((value, a), b) in target.iter_mut().zip(one).zip(other) {
        *value += weight * (a + b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spline_passes_through_its_samples() {
        let samples = vec![3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0];
        let mut coefficients = Plane::new([7, 1], samples.clone()).unwrap();
        spline_coefficients(&mut coefficients);
        for (y, sample) in samples.into_iter().enumerate() {
            let terms = taps(y as f64, 7).map(|(row, weight)| weight * coefficients.row(row)[0]);
            let value: f64 = terms.into_iter().sum();
            assert!((value - sample).abs() < 1e-12, "{y}: {value} and {sample}");
        }
    }

    #[test]
    fn reflections_are_about_centres_and_about_edges() {
        let around =
            |fold: fn(isize, usize) -> usize| (-4..8).map(|i| fold(i, 4)).collect::<Vec<_>>();
        assert_eq!(around(mirrored), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(around(reflected), [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]);
    }

    #[test]
    fn smoothing_keeps_constants_and_sums() {
        let kernel = Gaussian::new(4.0 / 3.0);
        assert_eq!(kernel.weights.len(), 6);
        let mut point = Plane::filled([24, 20], 0.0);
        point.row_mut(11)[9] = 1.0;
        let smooth = kernel.smooth(&point, |value| value);
        assert!((smooth.values().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((smooth.row(11)[9] - kernel.weights[0].powi(2)).abs() < 1e-15);
        let constant = kernel.smooth(&Plane::filled([3, 5], 0.25), |value| value);
        assert!(
            constant
                .values()
                .iter()
                .all(|value| (value - 0.25).abs() < 1e-15)
        );
    }

    #[test]
    fn a_wide_block_survives_both_ways() {
        let mut block = Plane::filled([12, 12], 0_u8);
        for y in 3..9 {
            block.row_mut(y)[3..9].fill(200);
        }
        let fine = enlarge(&block, 8);
        assert_eq!(fine.shape(), [96, 96]);
        // 200 misses a whole number by a rounding error at times, and is then cut to 199.
        assert!(fine.row(48)[48] >= 199 && fine.row(4)[4] == 0);
        let mask = fine.map(|value| value >= 100);
        let coarse = reduce(&mask, 8);
        assert_eq!(coarse.shape(), [12, 12]);
        assert_eq!((coarse.row(6)[6], coarse.row(0)[0]), (255, 0));
    }
}
