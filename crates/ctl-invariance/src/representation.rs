//! What the linear head of a network sees.

use ctl_nets::{Linear, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec, Parameters};

use crate::Result;
use crate::wrapping::Sizes;

/// A network whose features are what its linear head takes, the mean over pixels where each pixel
/// has an output; the features stay where the network has no such head.
pub(crate) struct HeadFeatures {
    inner: Box<dyn Network>,
    width: usize,
}

impl HeadFeatures {
    /// The network of a specification, with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is out of range.
    pub(crate) fn new(spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Self> {
        let inner = spec.build(seed, run)?;
        let width = Sizes::of(spec, inner.as_ref())?.head;
        Ok(Self {
            width: width.unwrap_or(inner.feature_width()),
            inner,
        })
    }
}

impl Network for HeadFeatures {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let mut out = self.inner.forward(input, mode)?;
        if let Some(head) = &out.head {
            out.features = match head.input.rank() {
                2 => head.input.clone(),
                _ => head.input.flatten(1, head.input.rank() - 2)?.mean(1)?,
            };
        }
        Ok(out)
    }

    fn feature_width(&self) -> usize {
        self.width
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
    use candle_core::{DType, Device, Tensor};
    use ctl_nets::Architecture;

    use super::*;

    /// The features that are told are those that come, and a head on pixels gives the mean output
    /// for them.
    #[test]
    fn every_architecture_has_the_width_that_it_tells() {
        for architecture in Architecture::ALL {
            let complex = matches!(
                architecture,
                Architecture::ReconUNet
                    | Architecture::ReconUNetConsistent
                    | Architecture::Unrolled
            );
            let outputs = if architecture.outputs_images() { 1 } else { 3 };
            let spec = NetworkSpec {
                architecture,
                channels: if complex { 2 } else { 1 },
                height: 16,
                width: 16,
                outputs: if complex { 2 } else { outputs },
                attributes: 2,
                hidden: None,
            };
            let network = HeadFeatures::new(&spec, (0, "t")).unwrap();
            let images =
                Tensor::ones((2, spec.channels, 16, 16), DType::F32, &Device::Cpu).unwrap();
            let columns = if complex { 16 } else { 4 };
            let context = Tensor::ones((2, columns), DType::F32, &Device::Cpu).unwrap();
            let input = NetworkInput::new(&images, Some(&context));
            let out = network.forward(input, Mode::Evaluate).unwrap();
            let expected = [2, network.feature_width()];
            assert_eq!(out.features.dims(), expected, "{architecture:?}");
            let (Some(head), 4) = (&out.head, out.outputs.rank()) else {
                continue;
            };
            let mean = out.features.matmul(&head.weight.t().unwrap()).unwrap();
            let mean = mean.broadcast_add(&head.bias).unwrap();
            let plain = match &head.base {
                Some(base) => (&out.outputs - base).unwrap(),
                None => out.outputs.clone(),
            };
            let plain = plain.flatten_from(2).unwrap().mean(2).unwrap();
            let gap = (mean - plain).unwrap().abs().unwrap().max_all().unwrap();
            assert!(gap.to_scalar::<f32>().unwrap() < 1e-4, "{architecture:?}");
        }
    }
}
