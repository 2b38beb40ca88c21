//! Normalisation of `[samples, pixels, groups, width]` by mean and variance over pixels and width,
//! with an affine map per channel, an optional residual and an activation in the same pass.
//!
//! Batch, instance, group and layer normalisation are this with other sizes. With `x̂` the
//! normalised input, `z = x̂ · weight + bias + residual` and `y = z` where `z > 0`, else
//! `slope · z`.

use std::mem::MaybeUninit;

use super::buffer::written;
use super::float::Float;

mod backward;
mod columns;
mod rows;

pub(crate) use backward::Gradients;
pub(crate) use columns::spreads as channel_spreads;
pub(crate) use rows::lane_sum;

/// Which values share a mean and a variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grouping {
    pub(crate) samples: usize,
    pub(crate) pixels: usize,
    pub(crate) groups: usize,
    pub(crate) width: usize,
}

impl Grouping {
    pub(crate) fn channels(&self) -> usize {
        self.groups * self.width
    }

    /// Values of one sample.
    pub(crate) fn sample_len(&self) -> usize {
        self.pixels * self.channels()
    }

    pub(crate) fn len(&self) -> usize {
        self.samples * self.sample_len()
    }

    /// Number of values behind each mean.
    pub(crate) fn count(&self) -> usize {
        self.pixels * self.width
    }
}

/// Mean and population variance of every group, sample after sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
}

/// One normalisation.
#[derive(Clone, Debug)]
pub(crate) struct Normalisation {
    pub(crate) grouping: Grouping,
    pub(crate) epsilon: f64,
    /// Factor on values that are not positive: 1 leaves them, 0 is the rectifier.
    pub(crate) slope: f64,
    /// Moments that are constants; otherwise they are the input's own, and its gradient passes
    /// through them.
    pub(crate) given: Option<Moments>,
}

/// Weight and bias per channel.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a, T> {
    pub(crate) weight: &'a [T],
    pub(crate) bias: &'a [T],
}

impl<T> Affine<'_, T> {
    /// The part of the channels `first .. first + len`.
    fn part(&self, first: usize, len: usize) -> Self {
        Self {
            weight: &self.weight[first..][..len],
            bias: &self.bias[first..][..len],
        }
    }
}

impl Normalisation {
    /// `1 / √(variance + ε)`
    fn inverse(&self, variance: f64) -> f64 {
        1.0 / (variance + self.epsilon).sqrt()
    }

    /// Whether the values of a group lie one after the other.
    fn is_by_rows(&self) -> bool {
        self.grouping.pixels == 1 && self.given.is_none()
    }

    /// `y` and the moments behind it.
    pub(crate) fn forward<T: Float>(
        &self,
        x: &[T],
        affine: Affine<'_, T>,
        residual: Option<&[T]>,
    ) -> (Vec<T>, Moments) {
        let mut moments = Moments::default();
        // SAFETY: both ways write every element.
        let out = unsafe {
            written(x.len(), |out| {
                moments = self.write(x, affine, residual, out);
            })
        };
        (out, moments)
    }

    fn write<T: Float>(
        &self,
        x: &[T],
        affine: Affine<'_, T>,
        residual: Option<&[T]>,
        out: &mut [MaybeUninit<T>],
    ) -> Moments {
        let (len, channels) = (self.grouping.len(), self.grouping.channels());
        assert_eq!([x.len(), out.len()], [len; 2]);
        assert_eq!([affine.weight.len(), affine.bias.len()], [channels; 2]);
        assert!(residual.is_none_or(|r| r.len() == len));
        if self.is_by_rows() {
            rows::forward(self, x, affine, residual, out)
        } else {
            columns::forward(self, x, affine, residual, out)
        }
    }
}

/// Mean and sum of squared deviations of `count` values, to be joined with others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) count: f64,
    pub(crate) mean: f64,
    pub(crate) squares: f64,
}

impl Spread {
    /// Joins two sets of values (Chan, Golub & `LeVeque` 1983, equation 2.1).
    pub(crate) fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let gap = other.mean - self.mean;
        let share = other.count / count;
        Self {
            count,
            mean: self.mean + gap * share,
            squares: self.squares + other.squares + gap * gap * self.count * share,
        }
    }

    /// Population variance.
    pub(crate) fn variance(&self) -> f64 {
        self.squares / self.count.max(1.0)
    }
}
