//! Multi-layer perceptrons on flattened images.

use candle_core::Tensor;

use crate::{
    Initialiser, Linear, Mode, NetError, Network, NetworkInput, NetworkOutput, Parameters, Result,
};

/// Sizes of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpSpec {
    /// Number of values of an image (channels × height × width).
    pub inputs: usize,
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Number of outputs.
    pub outputs: usize,
}

/// Two hidden `ReLU` layers and a linear head, weights Xavier-uniform, biases zero: the network of
/// the IRM paper's `ColoredMNIST` (Arjovsky et al. 2019, their published code).
pub struct Mlp {
    parameters: Parameters,
    hidden: [Linear; 2],
    head: Linear,
    inputs: usize,
    width: usize,
}

impl Mlp {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: MlpSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(mut p: Parameters, spec: MlpSpec) -> Result<Self> {
        for (key, size) in [
            ("inputs", spec.inputs),
            ("hidden", spec.hidden),
            ("outputs", spec.outputs),
        ] {
            if size == 0 {
                return Err(NetError::Size {
                    architecture: "mlp",
                    key,
                    expected: "at least 1",
                    found: "0".into(),
                });
            }
        }
        let mut layer = |name: &str, inputs: usize, outputs: usize| {
            let weight = Initialiser::xavier_uniform(inputs, outputs);
            Linear::with(
                &mut p,
                name,
                [inputs, outputs],
                [weight, Initialiser::Constant(0.0)],
            )
        };
        let hidden = [
            layer("hidden1", spec.inputs, spec.hidden)?,
            layer("hidden2", spec.hidden, spec.hidden)?,
        ];
        let head = layer("head", spec.hidden, spec.outputs)?;
        Ok(Self {
            parameters: p,
            hidden,
            head,
            inputs: spec.inputs,
            width: spec.hidden,
        })
    }
}

impl Mlp {
    fn flattened(&self, images: &Tensor) -> Result<Tensor> {
        let batch = images.dims().first().copied().unwrap_or(0);
        if images.elem_count() == batch * self.inputs {
            return Ok(images.reshape((batch, self.inputs))?);
        }
        Err(NetError::Size {
            architecture: "mlp",
            key: "images",
            expected: "as many values as the network has inputs",
            found: format!("{:?} for {} inputs", images.dims(), self.inputs),
        })
    }
}

impl Network for Mlp {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        let flat = self.flattened(input.images)?;
        let first = self.hidden[0].forward_relu(&flat)?;
        let features = self.hidden[1].forward_relu(&first)?;
        NetworkOutput::classified(features, &self.head)
    }

    fn feature_width(&self) -> usize {
        self.width
    }

    fn head(&self) -> Option<&Linear> {
        Some(&self.head)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
