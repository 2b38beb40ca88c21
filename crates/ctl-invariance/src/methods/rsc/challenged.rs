//! Self-challenging autoencoders.

use std::cell::RefCell;

use candle_core::{D, DType, Tensor, Var};
use ctl_nets::{
    HOOKED_STAGES, Linear, MapHook, Mode, Network, NetworkInput, NetworkOutput, Parameters, Result,
};

use super::{RscConfig, largest, mask, muted};

/// An autoencoder that restores its image, in training, from an encoder's map of which channels are
/// muted: for the `batch_share` of the images whose error grows most by it, the `feature_share` of
/// the channels with the largest mean over pixels of `∂s/∂z`, where `s` is the negative mean squared
/// error against the network's input, the target of training.
///
/// The gradient is found by back-propagation from the outputs to the map, for which the network
/// runs three times in a step.
pub struct ChallengedAutoencoder {
    inner: Box<dyn Network>,
    config: RscConfig,
}

/// The latest stage whose map can be changed.
const STAGE: usize = HOOKED_STAGES - 1;

/// Makes a map a variable, so that the gradient that reaches it is known.
#[derive(Default)]
struct Leaf {
    variable: RefCell<Option<Var>>,
}

impl MapHook for Leaf {
    fn at(&self, stage: usize, map: &Tensor) -> Result<Tensor> {
        if stage != STAGE {
            return Ok(map.clone());
        }
        let variable = Var::from_tensor(&map.detach())?;
        let tensor = variable.as_tensor().clone();
        self.variable.replace(Some(variable));
        Ok(tensor)
    }
}

/// Mutes channels of a map.
struct Muting {
    /// `[B, C]`
    mask: Tensor,
}

impl MapHook for Muting {
    fn at(&self, stage: usize, map: &Tensor) -> Result<Tensor> {
        if stage != STAGE {
            return Ok(map.clone());
        }
        Ok(muted(map, &self.mask)?)
    }
}

impl ChallengedAutoencoder {
    /// The network around an autoencoder.
    pub fn new(inner: Box<dyn Network>, config: RscConfig) -> Self {
        Self { inner, config }
    }

    /// What the network makes of a step, and the error of every image `[B]`.
    fn run(&self, input: NetworkInput<'_>, hook: &dyn MapHook) -> Result<(NetworkOutput, Tensor)> {
        let input = NetworkInput {
            hook: Some(hook),
            ..input
        };
        let out = self.inner.forward(input, Mode::Train)?;
        let errors = (&out.outputs - input.images)?.sqr()?;
        Ok((out, errors.flatten_from(1)?.mean(1)?))
    }

    fn challenged(&self, input: NetworkInput<'_>) -> Result<NetworkOutput> {
        let leaf = Leaf::default();
        let before = self.run(input, &leaf)?.1;
        let gradients = before.sum_all()?.neg()?.backward()?;
        let variable = leaf.variable.into_inner();
        let Some(gradient) = variable.and_then(|variable| gradients.get(&variable).cloned()) else {
            return self.inner.forward(input, Mode::Train);
        };
        let gradient = gradient.flatten(1, D::Minus2)?.mean(1)?;
        let muting = |is_chosen: &dyn Fn(usize) -> bool| -> candle_core::Result<Muting> {
            let mask = mask(&gradient, self.config.feature_share, is_chosen)?;
            Ok(Muting { mask })
        };
        let after = self.run(input, &muting(&|_| true)?)?.1;
        let growth = (after - before)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let chosen = largest(&growth, self.config.batch_share);
        Ok(self.run(input, &muting(&|row| chosen[row])?)?.0)
    }
}

impl Network for ChallengedAutoencoder {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        if mode == Mode::Evaluate {
            return self.inner.forward(input, mode);
        }
        self.challenged(input)
    }

    fn feature_width(&self) -> usize {
        self.inner.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        self.inner.head()
    }

    fn parameters(&self) -> &Parameters {
        self.inner.parameters()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ctl_compute::random::{normal, stream};
    use ctl_nets::{Architecture, NetworkSpec};

    use super::*;

    /// Adds a number to a channel of the map that is muted.
    struct Shift {
        channel: usize,
        by: f64,
    }

    impl MapHook for Shift {
        fn at(&self, stage: usize, map: &Tensor) -> Result<Tensor> {
            let mut by = vec![0.0; map.dim(3)?];
            if stage == STAGE {
                by[self.channel] = self.by;
            }
            Ok(map.broadcast_add(&Tensor::new(by, &Device::Cpu)?)?)
        }
    }

    /// Outputs are those of muting, in the image whose error grows most by it, the channels with
    /// the largest derivative of the negative error by finite differences.
    #[test]
    fn autoencoders_restore_from_a_muted_map() {
        const CHANNELS: usize = 32;
        let spec = NetworkSpec {
            architecture: Architecture::Autoencoder,
            channels: 1,
            height: 16,
            width: 16,
            outputs: 1,
            attributes: 0,
            hidden: None,
        };
        let double = Parameters::new(0, "tests").in_double_precision();
        let network = ChallengedAutoencoder {
            inner: spec.build_from(double).unwrap(),
            config: RscConfig {
                feature_share: 0.25,
                batch_share: 0.5,
            },
        };
        let images = normal(&mut stream(0, "tests", "images"), (2, 1, 16, 16), 0.0, 1.0).unwrap();
        let images = images.to_dtype(DType::F64).unwrap();
        let input = NetworkInput::from(&images);
        let errors = |hook: &dyn MapHook| {
            let errors = network.run(input, hook).unwrap().1;
            errors.to_vec1::<f64>().unwrap()
        };
        let by_channel = (0..CHANNELS).flat_map(|channel| {
            let [up, down] = [1e-5, -1e-5].map(|by| errors(&Shift { channel, by }));
            [down[0] - up[0], down[1] - up[1]]
        });
        let by_channel: Vec<f64> = by_channel.collect();
        let slopes = Tensor::from_vec(by_channel, (CHANNELS, 2), &Device::Cpu).unwrap();
        let slopes = slopes.t().unwrap().contiguous().unwrap();
        let muting = |rows: [bool; 2]| Muting {
            mask: mask(&slopes, 0.25, |row| rows[row]).unwrap(),
        };
        let (before, after) = (errors(&muting([false; 2])), errors(&muting([true; 2])));
        let most = usize::from(after[1] - before[1] > after[0] - before[0]);
        let expected = network
            .run(input, &muting([most == 0, most == 1]))
            .unwrap()
            .0
            .outputs;
        let found = network.forward(input, Mode::Train).unwrap().outputs;
        let plain = network.forward(input, Mode::Evaluate).unwrap().outputs;
        let gap = |from: &Tensor| {
            let gap = (&found - from).unwrap().abs().unwrap().max_all().unwrap();
            gap.to_scalar::<f64>().unwrap()
        };
        assert!(gap(&expected) < 1e-12, "{}", gap(&expected));
        assert!(gap(&plain) > 1e-6, "{}", gap(&plain));
    }
}
