//! A small network that keeps the size of its images.

use candle_core::Tensor;

use crate::layers::{ConvNorm, ConvSize, to_channels_last};
use crate::{Conv, Mode, NetError, Parameters, Result};

const SIDE: usize = 5;

/// Three 5×5 convolutions that keep the size, the first two with batch normalisation and `ReLU`:
/// what an image says of where it comes from, pixel by pixel.
///
/// # References
/// The context network of `DomainBed`'s ARM (Zhang et al. 2021), there with 64 hidden channels.
/// Deviation: convolutions before a normalisation have no bias, which it would take out again.
pub struct ContextNet {
    hidden: [ConvNorm; 2],
    last: Conv,
}

impl ContextNet {
    /// A network whose weights are added to `p` under names that begin with `prefix`.
    ///
    /// # Arguments
    /// - channels of the images, of the hidden maps and of the output, each at least 1
    ///
    /// # Errors
    /// When a number of channels is 0.
    pub fn new(
        p: &mut Parameters,
        prefix: &str,
        [inputs, width, outputs]: [usize; 3],
    ) -> Result<Self> {
        for (key, size) in [("inputs", inputs), ("width", width), ("outputs", outputs)] {
            if size == 0 {
                return Err(NetError::Size {
                    architecture: "context network",
                    key,
                    expected: "at least 1",
                    found: "0".into(),
                });
            }
        }
        let mut unit = |index: usize, inputs: usize| {
            let size = ConvSize::same(inputs, width, SIDE);
            let name = format!("{prefix}hidden{index}");
            ConvNorm::new(p, &name, size, size.default_initialiser())
        };
        let hidden = [unit(0, inputs)?, unit(1, width)?];
        let size = ConvSize::same(width, outputs, SIDE);
        let last = Conv::biased(p, &format!("{prefix}last"), size)?;
        Ok(Self { hidden, last })
    }

    /// `[B, C, H, W] -> [B, H, W, outputs]`
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut hidden = to_channels_last(images)?;
        for unit in &self.hidden {
            hidden = unit.forward_relu(&hidden, None, mode)?;
        }
        self.last.forward(&hidden)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// 5·5 taps: 1·3 and 3·3 weights with two of a normalisation a channel, 3·2 with bias.
    #[test]
    fn sizes_and_weights() {
        let mut p = Parameters::new(0, "context");
        let network = ContextNet::new(&mut p, "context.", [1, 3, 2]).unwrap();
        assert_eq!(p.count(), 25 * (3 + 9 + 6) + 4 * 3 + 2);
        assert_eq!(p.shapes()[0].0, "context.hidden0.conv.weight");
        let images = Tensor::ones((2, 1, 7, 4), DType::F32, &Device::Cpu).unwrap();
        let map = network.forward(&images, Mode::Train).unwrap();
        assert_eq!(map.dims(), [2, 7, 4, 2]);
        let refused = ContextNet::new(&mut p, "other.", [1, 0, 2]).err().unwrap();
        assert!(refused.to_string().contains("width"), "{refused}");
    }

    /// A pixel is seen 6 pixels away, three times two, and no further.
    #[test]
    fn the_reach_of_a_pixel() {
        let mut p = Parameters::new(0, "context");
        let network = ContextNet::new(&mut p, "", [1, 16, 1]).unwrap();
        let images = |value: f32| {
            let mut pixels = vec![0.0; 20];
            pixels[0] = value;
            Tensor::from_vec(pixels, (1, 1, 1, 20), &Device::Cpu).unwrap()
        };
        let of = |value: f32| {
            let map = network.forward(&images(value), Mode::Evaluate).unwrap();
            map.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let (one, other) = (of(0.0), of(50.0));
        let differs: Vec<bool> = one
            .iter()
            .zip(&other)
            .map(|(a, b)| a.to_bits() != b.to_bits())
            .collect();
        assert!(
            differs[6] && differs[7..].iter().all(|&d| !d),
            "{differs:?}"
        );
    }
}
