//! Monotone rational-quadratic splines.

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::{softmax, softplus};

use crate::Result;

/// Least width and height of a bin, as a share of the whole.
const LEAST_BIN: f64 = 1e-3;
/// Least slope at a knot.
const LEAST_SLOPE: f64 = 1e-3;

/// Number of raw values that `bins` bins are made of: widths, heights and inner slopes.
pub(super) fn raw_count(bins: usize) -> usize {
    3 * bins - 1
}

/// What is added before the softplus, so that a raw value of 0 is a slope of 1.
fn slope_offset() -> f64 {
    (1.0 - LEAST_SLOPE).exp_m1().ln()
}

/// A monotone map of the line: a rational quadratic in every bin of `[−tail, tail]`, the identity
/// outside, with a continuous derivative.
///
/// # References
/// Durkan et al. 2019, "Neural spline flows", equations 4 to 8.
#[derive(Clone, Debug)]
pub(super) struct Spline {
    /// Knots on the data's side.
    x: Vec<f64>,
    /// Knots on the noise's side.
    y: Vec<f64>,
    slopes: Vec<f64>,
}

impl Spline {
    /// The spline of raw values: widths, heights, inner slopes; all zero is the identity.
    pub(super) fn new(raw: &[f64], bins: usize, tail: f64) -> Self {
        let (widths, rest) = raw.split_at(bins);
        let (heights, inner) = rest.split_at(bins);
        let slope = |&raw: &f64| LEAST_SLOPE + ln_one_plus_exp(raw + slope_offset());
        let slopes = std::iter::once(1.0)
            .chain(inner.iter().map(slope))
            .chain([1.0])
            .collect();
        Self {
            x: knots(widths, tail),
            y: knots(heights, tail),
            slopes,
        }
    }

    /// Bin of a value along some knots, `None` outside of them.
    fn bin(knots: &[f64], value: f64) -> Option<usize> {
        let inside = value >= knots[0] && value < knots[knots.len() - 1];
        inside.then(|| knots.partition_point(|&knot| knot <= value) - 1)
    }

    /// The image of a value, and the logarithm of the derivative there.
    pub(super) fn forward(&self, value: f64) -> (f64, f64) {
        let Some(k) = Self::bin(&self.x, value) else {
            return (value, 0.0);
        };
        let (width, height) = (self.x[k + 1] - self.x[k], self.y[k + 1] - self.y[k]);
        let (below, above) = (self.slopes[k], self.slopes[k + 1]);
        let (slope, place) = (height / width, (value - self.x[k]) / width);
        let mixed = place * (1.0 - place);
        let denominator = slope + (above + below - 2.0 * slope) * mixed;
        let image = self.y[k] + height * (slope * place * place + below * mixed) / denominator;
        let derivative = slope
            * slope
            * (above * place * place + 2.0 * slope * mixed + below * (1.0 - place).powi(2));
        (image, derivative.ln() - 2.0 * denominator.ln())
    }

    /// The value whose image this is.
    pub(super) fn inverse(&self, image: f64) -> f64 {
        let Some(k) = Self::bin(&self.y, image) else {
            return image;
        };
        let (width, height) = (self.x[k + 1] - self.x[k], self.y[k + 1] - self.y[k]);
        let (below, above) = (self.slopes[k], self.slopes[k + 1]);
        let slope = height / width;
        let rise = image - self.y[k];
        let bend = above + below - 2.0 * slope;
        let a = height * (slope - below) + rise * bend;
        let b = height * below - rise * bend;
        let c = -slope * rise;
        // The root of equation 8 in the form that does not cancel.
        let discriminant = (b * b - 4.0 * a * c).max(0.0);
        self.x[k] + width * 2.0 * c / (-b - discriminant.sqrt())
    }
}

fn ln_one_plus_exp(value: f64) -> f64 {
    value.max(0.0) + (-value.abs()).exp().ln_1p()
}

/// Knots from `−tail` to `tail` whose distances are a softmax of raw values.
fn knots(raw: &[f64], tail: f64) -> Vec<f64> {
    let largest = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = raw.iter().map(|&value| (value - largest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    let share = 1.0 - LEAST_BIN * raw.len() as f64;
    let mut knots = vec![-tail];
    let mut sum = 0.0;
    for value in exponentials {
        sum += LEAST_BIN + share * value / total;
        knots.push(2.0 * tail * sum - tail);
    }
    // The last knot is the tail itself, whatever rounding made of the sum.
    let last = knots.len() - 1;
    knots[last] = tail;
    knots
}

/// The same map with gradients: values `[B]` and raw values `[B, 3 K − 1]` to images and logarithms
/// of the derivative, each `[B]`.
pub(super) fn forward(
    values: &Tensor,
    raw: &Tensor,
    bins: usize,
    tail: f64,
) -> Result<(Tensor, Tensor)> {
    let x = knots_of(&raw.narrow(1, 0, bins)?, tail)?;
    let y = knots_of(&raw.narrow(1, bins, bins)?, tail)?;
    let slopes = slopes_of(&raw.narrow(1, 2 * bins, bins - 1)?)?;
    let (left, right, inside) = bins_of(values, &x, bins)?;
    let at = |knots: &Tensor, which: &Tensor| knots.mul(which)?.sum(1);
    let (x0, x1) = (at(&x, &left)?, at(&x, &right)?);
    let (y0, y1) = (at(&y, &left)?, at(&y, &right)?);
    let (below, above) = (at(&slopes, &left)?, at(&slopes, &right)?);
    // Outside, the first bin's formula is evaluated at its left knot and not used.
    let place = inside.where_cond(values, &x0)?;
    let (width, height) = ((&x1 - &x0)?, (&y1 - &y0)?);
    let slope = height.div(&width)?;
    let place = (place - &x0)?.div(&width)?;
    let rest = place.affine(-1.0, 1.0)?;
    let mixed = place.mul(&rest)?;
    let bend = ((&above + &below)? - (&slope * 2.0)?)?;
    let denominator = (&slope + bend.mul(&mixed)?)?;
    let numerator = (slope.mul(&place.sqr()?)? + below.mul(&mixed)?)?;
    let image = (y0 + height.mul(&numerator)?.div(&denominator)?)?;
    let sides = (above.mul(&place.sqr()?)? + below.mul(&rest.sqr()?)?)?;
    let curve = (sides + (slope.mul(&mixed)? * 2.0)?)?;
    let log_slope = ((curve.log()? + (slope.log()? * 2.0)?)? - (denominator.log()? * 2.0)?)?;
    let zero = log_slope.zeros_like()?;
    Ok((
        inside.where_cond(&image, values)?,
        inside.where_cond(&log_slope, &zero)?,
    ))
}

/// `[B, K]` to knots `[B, K + 1]`.
fn knots_of(raw: &Tensor, tail: f64) -> Result<Tensor> {
    let (batch, bins) = raw.dims2()?;
    let shares = softmax(&raw.contiguous()?, 1)?;
    let shares = shares.affine(1.0 - LEAST_BIN * bins as f64, LEAST_BIN)?;
    // Column `j` sums the first `j + 1` shares.
    let sums: Vec<f32> = (0..bins * bins)
        .map(|index| f32::from(u8::from(index / bins <= index % bins)))
        .collect();
    let sums = Tensor::from_vec(sums, (bins, bins), raw.device())?.to_dtype(raw.dtype())?;
    let inner = shares.matmul(&sums)?.affine(2.0 * tail, -tail)?;
    let first = Tensor::full(-tail as f32, (batch, 1), raw.device())?.to_dtype(raw.dtype())?;
    Ok(Tensor::cat(&[&first, &inner], 1)?)
}

/// `[B, K − 1]` to slopes `[B, K + 1]`.
fn slopes_of(raw: &Tensor) -> Result<Tensor> {
    let batch = raw.dims()[0];
    let one = Tensor::ones((batch, 1), raw.dtype(), raw.device())?;
    if raw.dims()[1] == 0 {
        return Ok(Tensor::cat(&[&one, &one], 1)?);
    }
    let inner = softplus(&(raw.contiguous()? + slope_offset())?)?;
    Ok(Tensor::cat(&[&one, &(inner + LEAST_SLOPE)?, &one], 1)?)
}

/// Which knots are left and right of every value, `[B, K + 1]` of 0 and 1, and which values lie
/// between knots at all.
fn bins_of(values: &Tensor, knots: &Tensor, bins: usize) -> Result<(Tensor, Tensor, Tensor)> {
    let positions = values.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let knots_read = knots.detach().to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let (count, width) = (positions.len(), bins + 1);
    let mut left = vec![0f32; count * width];
    let mut right = vec![0f32; count * width];
    let mut inside = vec![0u8; count];
    for (row, (&value, knots)) in positions.iter().zip(&knots_read).enumerate() {
        let bin = Spline::bin(knots, value);
        inside[row] = u8::from(bin.is_some());
        let bin = bin.unwrap_or(0);
        left[row * width + bin] = 1.0;
        right[row * width + bin + 1] = 1.0;
    }
    let tensor = |values: Vec<f32>| -> Result<Tensor> {
        let tensor = Tensor::from_vec(values, (count, width), &Device::Cpu)?;
        Ok(tensor.to_dtype(knots.dtype())?)
    };
    let inside = Tensor::from_vec(inside, count, &Device::Cpu)?;
    Ok((tensor(left)?, tensor(right)?, inside))
}

#[cfg(test)]
mod tests {
    use candle_core::Var;
    use proptest::prelude::*;

    use super::*;

    const BINS: usize = 5;
    const TAIL: f64 = 4.0;

    fn row_of(raw: &[f64]) -> Tensor {
        Tensor::from_vec(raw.to_vec(), (1, raw.len()), &Device::Cpu).unwrap()
    }

    fn raw() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-4.0..4.0f64, raw_count(BINS))
    }

    proptest! {
        #[test]
        fn inverts_and_rises(raw in raw(), value in -6.0..6.0f64) {
            let spline = Spline::new(&raw, BINS, TAIL);
            let (image, log_slope) = spline.forward(value);
            prop_assert!((spline.inverse(image) - value).abs() < 1e-9);
            let step = 1e-6;
            let rise = (spline.forward(value + step).0 - spline.forward(value - step).0)
                / (2.0 * step);
            // A knot between the two points bends the slope by as much as the points are apart.
            prop_assert!((rise.ln() - log_slope).abs() < 1e-2, "{} {}", rise.ln(), log_slope);
        }

        #[test]
        fn tensors_agree(raw in raw(), value in -6.0..6.0f64) {
            let (image, log_slope) = Spline::new(&raw, BINS, TAIL).forward(value);
            let raw = row_of(&raw);
            let value = Tensor::new(&[value], &Device::Cpu).unwrap();
            let (images, slopes) = forward(&value, &raw, BINS, TAIL).unwrap();
            prop_assert!((images.to_vec1::<f64>().unwrap()[0] - image).abs() < 1e-5);
            prop_assert!((slopes.to_vec1::<f64>().unwrap()[0] - log_slope).abs() < 1e-4);
        }
    }

    #[test]
    fn zeros_are_the_identity() {
        let spline = Spline::new(&vec![0.0; raw_count(8)], 8, 5.0);
        for value in [-7.0, -5.0, -0.3, 0.0, 2.5, 4.999, 5.0, 9.0] {
            let (image, log_slope) = spline.forward(value);
            assert!((image - value).abs() < 1e-12, "{value}");
            assert!(log_slope.abs() < 1e-12, "{value}");
        }
    }

    /// One bin of the line through (−1, −1) and (1, 1) with slopes 1: the identity; a middle knot at
    /// (0, 0.5) with slope 1 has `g(ξ)` by hand at ξ = ½ of the left bin: s = 1.5, so
    /// `−1 + 1.5 (1.5/4 + 1/4) / (1.5 + (2 − 3)/4) = −1 + 0.9375 / 1.25 = −0.25`.
    #[test]
    fn by_hand() {
        let spline = Spline {
            x: vec![-1.0, 0.0, 1.0],
            y: vec![-1.0, 0.5, 1.0],
            slopes: vec![1.0, 1.0, 1.0],
        };
        let (image, log_slope) = spline.forward(-0.5);
        assert!((image + 0.25).abs() < 1e-12, "{image}");
        // s² (1/4 + 2·1.5/4 + 1/4) / 1.25² = 2.25 · 1.25 / 1.5625 = 1.8
        assert!((log_slope - 1.8f64.ln()).abs() < 1e-12);
        assert!((spline.inverse(-0.25) + 0.5).abs() < 1e-12);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let start: Vec<f64> = (0..raw_count(BINS))
            .map(|i| ((i * 7 % 5) as f64 - 2.0) / 3.0)
            .collect();
        let values = Tensor::new(&[-4.5, -2.2, 0.1, 1.7, 3.9], &Device::Cpu).unwrap();
        let loss = |raw: &Tensor| {
            let raw = raw.broadcast_as((5, raw_count(BINS))).unwrap();
            let (images, slopes) = forward(&values, &raw, BINS, TAIL).unwrap();
            let both = ((images.sqr().unwrap() * 0.5).unwrap() - slopes).unwrap();
            both.sum_all().unwrap()
        };
        let var = Var::from_tensor(&row_of(&start)).unwrap();
        let gradients = loss(&var).backward().unwrap();
        let gradient = gradients.get(&var).unwrap().to_vec2::<f64>().unwrap();
        let at = |raw: &[f64]| {
            let raw = row_of(raw);
            loss(&raw).to_scalar::<f64>().unwrap()
        };
        for (index, &found) in gradient[0].iter().enumerate() {
            let (mut up, mut down) = (start.clone(), start.clone());
            up[index] += 1e-5;
            down[index] -= 1e-5;
            let expected = (at(&up) - at(&down)) / 2e-5;
            assert!(
                (found - expected).abs() < 1e-6,
                "{index}: {found} {expected}"
            );
        }
    }
}
