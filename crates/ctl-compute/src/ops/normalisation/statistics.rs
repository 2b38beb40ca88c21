//! Statistics per channel: of a batch, running, or gathered over a pass of batches.

use candle_core::{Tensor, Var};

use super::channels_of;
use crate::kernels::normalise::{Grouping, Spread, channel_spreads};
use crate::ops::custom::check_floats;
use crate::ops::storage::with_values;
use crate::{ComputeError, Result};

/// Mean and population variance (1/n) per channel over `count` values each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelStatistics {
    /// Number of values of each channel.
    pub count: usize,
    /// Mean per channel.
    pub mean: Vec<f64>,
    /// Population variance per channel.
    pub variance: Vec<f64>,
}

impl ChannelStatistics {
    /// The statistics of `input`, `[B, …, C]`.
    ///
    /// # Errors
    /// When the rank is below 2 or the values are not floats on a served device.
    pub fn of(input: &Tensor) -> Result<Self> {
        check_floats("channel_statistics", &[input])?;
        let (channels, values) = channels_of("channel_statistics", input)?;
        let grouping = Grouping {
            samples: 1,
            pixels: values,
            groups: channels,
            width: 1,
        };
        let spreads = with_values!(input, |x| channel_spreads(&grouping, x));
        Ok(Self::from_spreads(values, &spreads))
    }

    /// The statistics in two tensors `[C]`, as a checkpoint keeps them.
    ///
    /// # Errors
    /// When they are not vectors of floats.
    pub fn from_tensors(mean: &Tensor, variance: &Tensor) -> Result<Self> {
        let read = |t: &Tensor| t.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>();
        Ok(Self {
            count: 0,
            mean: read(mean)?,
            variance: read(variance)?,
        })
    }

    fn from_spreads(count: usize, spreads: &[Spread]) -> Self {
        Self {
            count,
            mean: spreads.iter().map(|s| s.mean).collect(),
            variance: spreads.iter().map(Spread::variance).collect(),
        }
    }

    fn spreads(&self) -> impl Iterator<Item = Spread> {
        let count = self.count as f64;
        let values = self.mean.iter().zip(&self.variance);
        values.map(move |(&mean, &variance)| Spread {
            count,
            mean,
            squares: variance * count,
        })
    }

    /// The statistics of both sets of values together, exactly: a pass of batches joined in turn
    /// gives the statistics of all of its data, whatever the batches' sizes.
    ///
    /// The empty statistics ([`ChannelStatistics::default`]) change nothing.
    ///
    /// # Errors
    /// When the numbers of channels differ.
    ///
    /// # References
    /// Chan, Golub & `LeVeque` 1983, equation 2.1.
    ///
    /// # Examples
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use ctl_compute::ops::ChannelStatistics;
    ///
    /// let of = |values: &[f64]| {
    ///     ChannelStatistics::of(&Tensor::from_slice(values, (values.len(), 1), &Device::Cpu)?)
    /// };
    /// let joined = of(&[1.0, 2.0])?.join(&of(&[6.0])?)?;
    /// assert_eq!((joined.count, joined.mean[0]), (3, 3.0));
    /// assert!((joined.variance[0] - 14.0 / 3.0).abs() < 1e-12);
    /// # Ok::<(), ctl_compute::ComputeError>(())
    /// ```
    pub fn join(&self, other: &Self) -> Result<Self> {
        if self.mean.is_empty() {
            return Ok(other.clone());
        }
        if other.mean.is_empty() {
            return Ok(self.clone());
        }
        if self.mean.len() != other.mean.len() {
            return Err(ComputeError::State {
                what: "channel statistics",
                expected: format!("{} channels", self.mean.len()),
                found: format!("{} channels", other.mean.len()),
            });
        }
        let joined: Vec<_> = self
            .spreads()
            .zip(other.spreads())
            .map(|(a, b)| a.join(b))
            .collect();
        Ok(Self::from_spreads(self.count + other.count, &joined))
    }

    /// Moves running statistics towards these: `r ← (1 − momentum) · r + momentum · s`, the
    /// variance as its unbiased estimate, as `PyTorch` does.
    ///
    /// # Arguments
    /// - `mean`, `variance`: `[C]`; `momentum` in `[0, 1]`
    ///
    /// # Errors
    /// When the channels differ or the momentum is out of range.
    pub fn move_running(&self, mean: &Var, variance: &Var, momentum: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(ComputeError::Option {
                op: "batch_norm",
                key: "momentum",
                expected: "in [0, 1]",
                found: momentum.to_string(),
            });
        }
        let count = self.count as f64;
        let unbiased = count / (count - 1.0).max(1.0);
        let estimate: Vec<f64> = self.variance.iter().map(|v| v * unbiased).collect();
        for (running, batch) in [(mean, &self.mean), (variance, &estimate)] {
            let batch = Tensor::from_slice(batch, batch.len(), running.device())?;
            let kept = (running.as_tensor() * (1.0 - momentum))?;
            running.set(&(kept + (batch.to_dtype(running.dtype())? * momentum)?)?)?;
        }
        Ok(())
    }
}
