//! The style of a map: the mean and the deviation of each of its channels.

use candle_core::Tensor;

/// Style of some maps, both `[B, 1, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) mean: Tensor,
    /// `√(variance + ε)` with the variance over all pixels.
    pub(crate) deviation: Tensor,
}

/// Maps with channels last as `[B, P, C]`.
pub(crate) fn flattened(map: &Tensor) -> candle_core::Result<Tensor> {
    let (batch, channels) = (map.dim(0)?, map.dim(map.rank() - 1)?);
    map.reshape((batch, (), channels))
}

impl Style {
    /// The style of maps `[B, P, C]`.
    pub(crate) fn of(maps: &Tensor, epsilon: f64) -> candle_core::Result<Self> {
        let mean = maps.mean_keepdim(1)?;
        let variance = maps.broadcast_sub(&mean)?.sqr()?.mean_keepdim(1)?;
        Ok(Self {
            mean,
            deviation: (variance + epsilon)?.sqrt()?,
        })
    }

    /// The same as constants.
    pub(crate) fn detach(&self) -> Self {
        Self {
            mean: self.mean.detach(),
            deviation: self.deviation.detach(),
        }
    }

    /// Between this style and that of other rows: `share` of the own one, `[B, 1, 1]`.
    pub(crate) fn mixed(&self, partners: &Tensor, share: &Tensor) -> candle_core::Result<Self> {
        let between = |own: &Tensor| {
            let other = own.index_select(partners, 0)?;
            let difference = (own - &other)?;
            &other + difference.broadcast_mul(share)?
        };
        Ok(Self {
            mean: between(&self.mean)?,
            deviation: between(&self.deviation)?,
        })
    }

    /// Maps `[B, P, C]` of this style in another: `σ′ (z − μ) / σ + μ′`.
    pub(crate) fn exchanged(&self, maps: &Tensor, new: &Self) -> candle_core::Result<Tensor> {
        let factor = new.deviation.div(&self.deviation)?;
        maps.broadcast_sub(&self.mean)?
            .broadcast_mul(&factor)?
            .broadcast_add(&new.mean)
    }

    /// Means, then deviations, `[B, 2C]`.
    pub(crate) fn statistics(&self) -> candle_core::Result<Tensor> {
        Tensor::cat(&[&self.mean, &self.deviation], 2)?.squeeze(1)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_compute::random::{normal, stream};

    use super::*;

    /// Two maps of two pixels and one channel: means 1 and 12, deviations 1 and 2.
    fn maps() -> Tensor {
        Tensor::new(&[[[0.0], [2.0]], [[10.0], [14.0f64]]], &Device::Cpu).unwrap()
    }

    #[test]
    fn styles_by_hand() {
        let style = Style::of(&maps(), 0.0).unwrap();
        let statistics = style.statistics().unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(statistics, [[1.0, 1.0], [12.0, 2.0]]);
        let partners = Tensor::new(&[1u32, 0], &Device::Cpu).unwrap();
        let share = Tensor::new(&[[[0.25]], [[1.0f64]]], &Device::Cpu).unwrap();
        let mixed = style.mixed(&partners, &share).unwrap();
        let found = style.exchanged(&maps(), &mixed).unwrap();
        // Mean ¼·1 + ¾·12 = 9.25, deviation ¼·1 + ¾·2 = 1.75; the second keeps its own style.
        let expected = [[[7.5], [11.0]], [[10.0], [14.0]]];
        assert_eq!(found.to_vec3::<f64>().unwrap(), expected);
    }

    /// The derivative of a random function of re-styled maps, styles not held constant.
    #[test]
    fn the_gradient_by_finite_differences() {
        let drawn = |purpose: &str| -> Tensor {
            let mut rng = stream(3, "tests", purpose);
            let drawn = normal(&mut rng, (3, 4, 2), 0.0, 1.0).unwrap();
            drawn.to_dtype(candle_core::DType::F64).unwrap()
        };
        let partners = Tensor::new(&[1u32, 2, 0], &Device::Cpu).unwrap();
        let share = Tensor::new(&[[[0.3]], [[0.8]], [[0.5f64]]], &Device::Cpu).unwrap();
        let weights = drawn("weights");
        let value = |maps: &Tensor| {
            let style = Style::of(maps, 1e-5).unwrap();
            let mixed = style.mixed(&partners, &share).unwrap();
            let maps = style.exchanged(maps, &mixed).unwrap();
            let maps = maps.mul(&weights).unwrap().sum_all().unwrap();
            (maps
                + style
                    .statistics()
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap())
            .unwrap()
        };
        let maps = Var::from_tensor(&drawn("maps")).unwrap();
        let gradient = value(&maps).backward().unwrap();
        let gradient = gradient.get(&maps).unwrap().flatten_all().unwrap();
        let gradient = gradient.to_vec1::<f64>().unwrap();
        let flat = maps.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let step = 1e-5;
        for (index, found) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut flat = flat.clone();
                flat[index] += by;
                let maps = Tensor::from_vec(flat, (3, 4, 2), &Device::Cpu).unwrap();
                value(&maps).to_scalar::<f64>().unwrap()
            };
            let expected = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((found - expected).abs() < 1e-7, "{found} and {expected}");
        }
    }
}
