//! The bottleneck block of encoder, prior, posterior and decoder.

use candle_core::Tensor;
use ctl_compute::ops::{Windows, average_pool2d, gelu};

use crate::layers::{Conv, ConvSize};
use crate::{Parameters, Result};

/// Sizes of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSize {
    pub(super) inputs: usize,
    pub(super) middle: usize,
    pub(super) outputs: usize,
    /// Side of the two inner kernels.
    pub(super) kernel: usize,
    /// Factor of the last convolution's first weights.
    pub(super) scale: f64,
}

/// GELU before each of four convolutions: 1×1 to the inner width, two inner ones, 1×1 out.
pub(super) struct Block {
    layers: [Conv; 4],
    residual: Residual,
    down: Option<usize>,
}

/// What is added to a block's output.
enum Residual {
    Nothing,
    Input,
    Projected(Conv),
}

impl Block {
    /// A block without residual.
    pub(super) fn plain(p: &mut Parameters, name: &str, size: BlockSize) -> Result<Self> {
        let BlockSize {
            inputs,
            middle,
            outputs,
            kernel,
            scale,
        } = size;
        let mut layer = |index: usize, from: usize, to: usize, kernel: usize, scale: f64| {
            let size = ConvSize::same(from, to, kernel);
            // Odd places of the published sequence are activations.
            Conv::scaled(p, &format!("{name}.conv.{}", 2 * index + 1), size, scale)
        };
        let layers = [
            layer(0, inputs, middle, 1, 1.0)?,
            layer(1, middle, middle, kernel, 1.0)?,
            layer(2, middle, middle, kernel, 1.0)?,
            layer(3, middle, outputs, 1, scale)?,
        ];
        Ok(Self {
            layers,
            residual: Residual::Nothing,
            down: None,
        })
    }

    /// A block whose input is added to its output, projected where the width changes.
    pub(super) fn residual(p: &mut Parameters, name: &str, size: BlockSize) -> Result<Self> {
        let mut block = Self::plain(p, name, size)?;
        block.residual = if size.inputs == size.outputs {
            Residual::Input
        } else {
            let projection = ConvSize::same(size.inputs, size.outputs, 1);
            Residual::Projected(Conv::biased(p, &format!("{name}.width_proj"), projection)?)
        };
        Ok(block)
    }

    /// The same, followed by mean pooling over windows of this side.
    pub(super) fn down(self, window: Option<usize>) -> Self {
        Self {
            down: window,
            ..self
        }
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let mut hidden = input.clone();
        for layer in &self.layers {
            hidden = layer.forward(&gelu(&hidden)?)?;
        }
        let out = match &self.residual {
            Residual::Nothing => hidden,
            Residual::Input => (input + hidden)?,
            Residual::Projected(conv) => (conv.forward(input)? + hidden)?,
        };
        match self.down {
            Some(window) => Ok(average_pool2d(&out, &Windows::tiles(window), true)?),
            None => Ok(out),
        }
    }
}
