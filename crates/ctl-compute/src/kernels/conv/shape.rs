//! The geometry of a convolution, checked once.

use crate::{ComputeError, Result};

/// Sizes of a convolution over `[B, D, H, W, C]`; images of two dimensions have depth 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    pub(crate) batch: usize,
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    pub(crate) groups: usize,
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) padding: [usize; 3],
    pub(crate) dilation: [usize; 3],
}

/// What a [`ConvShape`] is made of, by name.
#[derive(Clone, Copy, Debug)]
pub struct ConvSizes {
    /// Images.
    pub batch: usize,
    /// Channels of input and output.
    pub channels: [usize; 2],
    /// Groups that channels fall into.
    pub groups: usize,
    /// Depth, height and width of the input.
    pub input: [usize; 3],
    /// Depth, height and width of the kernel.
    pub kernel: [usize; 3],
    /// Step between output pixels.
    pub stride: [usize; 3],
    /// Zeros on either side.
    pub padding: [usize; 3],
    /// Step between kernel taps.
    pub dilation: [usize; 3],
}

impl ConvShape {
    /// Checks the sizes.
    ///
    /// # Errors
    /// When a stride, dilation, kernel or group count is 0, groups do not divide the channels, the
    /// padded input is smaller than the kernel, or a size overflows; the error names `op`.
    pub fn new(op: &'static str, sizes: &ConvSizes) -> Result<Self> {
        check_options(op, sizes)?;
        let mut output = [0; 3];
        for (axis, len) in output.iter_mut().enumerate() {
            *len = output_len(op, sizes, axis)?;
        }
        let [channels_in, channels_out] = sizes.channels;
        let shape = Self {
            batch: sizes.batch,
            channels_in,
            channels_out,
            groups: sizes.groups,
            input: sizes.input,
            output,
            kernel: sizes.kernel,
            stride: sizes.stride,
            padding: sizes.padding,
            dilation: sizes.dilation,
        };
        shape.check_overflow(op)?;
        Ok(shape)
    }

    /// The convolution that a product `[rows, inputs] × [inputs, outputs]` is.
    pub(crate) fn linear(rows: usize, inputs: usize, outputs: usize) -> Self {
        Self {
            batch: rows,
            channels_in: inputs,
            channels_out: outputs,
            groups: 1,
            input: [1; 3],
            output: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
            dilation: [1; 3],
        }
    }

    /// Depth, height and width of the output.
    pub fn output(&self) -> [usize; 3] {
        self.output
    }

    /// The same convolution seen from an output that lacks its last pixels, as a transposed
    /// convolution with output padding and dilation needs it.
    pub(crate) fn with_output(mut self, output: [usize; 3]) -> Self {
        for (own, wanted) in self.output.iter_mut().zip(output) {
            *own = wanted.min(*own);
        }
        self
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    pub(crate) fn group_in(&self) -> usize {
        self.channels_in / self.groups
    }

    pub(crate) fn group_out(&self) -> usize {
        self.channels_out / self.groups
    }

    pub(crate) fn input_len(&self) -> usize {
        self.batch * self.input.iter().product::<usize>() * self.channels_in
    }

    pub(crate) fn output_len(&self) -> usize {
        self.batch * self.output.iter().product::<usize>() * self.channels_out
    }

    pub(crate) fn weight_len(&self) -> usize {
        self.channels_out * self.group_in() * self.taps()
    }

    /// Whether every pixel is mapped by itself: the image's shape then does not matter.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3]
    }

    /// Whether it is a product of two matrices: every image is one pixel under one tap.
    pub(crate) fn is_product(&self) -> bool {
        self.is_pointwise() && self.groups == 1 && self.input == [1; 3] && self.output == [1; 3]
    }

    /// The equivalent shape that the kernels handle best.
    pub(crate) fn simplified(mut self) -> Self {
        if self.is_pointwise() && self.output == self.input {
            self.batch *= self.input.iter().product::<usize>();
            self.input = [1; 3];
            self.output = [1; 3];
        }
        self
    }

    fn check_overflow(&self, op: &'static str) -> Result<()> {
        let fits = |factors: &[usize]| {
            let bytes = factors
                .iter()
                .try_fold(size_of::<f64>(), |product, &f| product.checked_mul(f));
            bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok())
        };
        let [d, h, w] = self.input;
        let [e, i, j] = self.output;
        let [t, u, v] = self.kernel;
        let whole = fits(&[self.batch, d, h, w, self.channels_in])
            && fits(&[self.batch, e, i, j, self.channels_out])
            && fits(&[self.channels_out, self.channels_in, t, u, v]);
        if whole {
            return Ok(());
        }
        Err(ComputeError::Shape {
            op,
            expected: "tensors of at most isize::MAX bytes".into(),
            found: format!("{self:?}"),
        })
    }
}

fn check_options(op: &'static str, sizes: &ConvSizes) -> Result<()> {
    let option = |key, expected, found: String| {
        Err(ComputeError::Option {
            op,
            key,
            expected,
            found,
        })
    };
    for (key, values) in [("stride", sizes.stride), ("dilation", sizes.dilation)] {
        if values.contains(&0) {
            return option(key, "at least 1", format!("{values:?}"));
        }
    }
    let [channels_in, channels_out] = sizes.channels;
    let divides = sizes.groups > 0
        && channels_in.is_multiple_of(sizes.groups)
        && channels_out.is_multiple_of(sizes.groups);
    if !divides {
        let found = format!(
            "{} for {channels_in} and {channels_out} channels",
            sizes.groups
        );
        return option("groups", "a divisor of both channel counts", found);
    }
    Ok(())
}

fn output_len(op: &'static str, sizes: &ConvSizes, axis: usize) -> Result<usize> {
    let extent = sizes.kernel[axis]
        .checked_sub(1)
        .and_then(|k| k.checked_mul(sizes.dilation[axis]))
        .and_then(|reach| reach.checked_add(1));
    let padded = sizes.padding[axis]
        .checked_mul(2)
        .and_then(|p| p.checked_add(sizes.input[axis]));
    match (extent, padded) {
        (Some(extent), Some(padded)) if extent <= padded => {
            Ok((padded - extent) / sizes.stride[axis] + 1)
        }
        _ => Err(ComputeError::Shape {
            op,
            expected: format!(
                "a dilated kernel of 1 to the padded input's size along axis {axis} of {:?}",
                sizes.input
            ),
            found: format!(
                "kernel {:?}, dilation {:?}, padding {:?}",
                sizes.kernel, sizes.dilation, sizes.padding
            ),
        }),
    }
}
