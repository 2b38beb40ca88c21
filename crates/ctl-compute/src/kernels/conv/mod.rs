//! Convolution on channels-last slices: forward, input gradient and weight gradient.
#![expect(
    clippy::inline_always,
    reason = "bodies must be inlined into the functions that enable a level's instructions"
)]

mod buffer;
mod depthwise;
mod epilogue;
mod gather;
mod micro;
mod pack;
mod plan;
mod shape;
mod simd;
mod weight;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use epilogue::{channel_sums, relu_gate};
use gather::Problem;
use pack::WeightLayout;
pub use shape::{ConvShape, ConvSizes};
pub use simd::Float;
pub use winograd::set_winograd;

/// What is added to and done with a convolution's sums before they are stored.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a, T> {
    /// `[O]`
    pub bias: Option<&'a [T]>,
    /// Whether negative values become 0.
    pub relu: bool,
}

/// `y[b, q, o] = act(bias[o] + Σ_{u, c} x[b, q·stride + u·dilation − padding, c] · w[o, c, u])`
///
/// # Arguments
/// - `x`: `[B, D, H, W, C]`; `w`: `[O, C / groups, kernel]`
///
/// # Returns
/// `[B, D', H', W', O]`
///
/// # Panics
/// When a slice's length is not its shape's.
pub fn forward<T: Float>(
    shape: &ConvShape,
    x: &[T],
    w: &[T],
    epilogue: &Epilogue<'_, T>,
) -> Vec<T> {
    assert_eq!(x.len(), shape.input_len(), "length of the input");
    assert_eq!(w.len(), shape.weight_len(), "length of the weight");
    let bias = epilogue.bias;
    assert!(
        bias.is_none_or(|b| b.len() == shape.channels_out),
        "length of the bias"
    );
    let shape = &shape.simplified();
    let (taps, group_in) = (shape.taps(), shape.group_in());
    let column = group_in * taps;
    T::dispatch(Problem {
        source: x,
        batch: shape.batch,
        source_size: shape.input,
        source_channels: shape.channels_in,
        destination_size: shape.output,
        destination_channels: shape.channels_out,
        groups: shape.groups,
        kernel: shape.kernel,
        phases: vec![plan::forward_phase(shape)],
        weight: w,
        layout: WeightLayout {
            strides: [shape.group_out() * column, taps, column],
            taps,
            sources: group_in,
            flipped: false,
        },
        bias,
        relu: epilogue.relu,
    })
}

/// The gradient of [`forward`] in its input, which is a transposed convolution of `gradient`.
///
/// # Arguments
/// - `gradient`: `[B, D', H', W', O]`; `w`: `[O, C / groups, kernel]`
/// - `epilogue`: over the input's channels, for transposed convolutions
///
/// # Returns
/// `[B, D, H, W, C]`
///
/// # Panics
/// When a slice's length is not its shape's.
pub fn input_gradient<T: Float>(
    shape: &ConvShape,
    gradient: &[T],
    w: &[T],
    epilogue: &Epilogue<'_, T>,
) -> Vec<T> {
    assert_eq!(gradient.len(), shape.output_len(), "length of the gradient");
    assert_eq!(w.len(), shape.weight_len(), "length of the weight");
    let bias = epilogue.bias;
    assert!(
        bias.is_none_or(|b| b.len() == shape.channels_in),
        "length of the bias"
    );
    let shape = &shape.simplified();
    let (taps, group_out) = (shape.taps(), shape.group_out());
    let column = shape.group_in() * taps;
    T::dispatch(Problem {
        source: gradient,
        batch: shape.batch,
        source_size: shape.output,
        source_channels: shape.channels_out,
        destination_size: shape.input,
        destination_channels: shape.channels_in,
        groups: shape.groups,
        kernel: shape.kernel,
        phases: plan::backward_phases(shape),
        weight: w,
        layout: WeightLayout {
            strides: [group_out * column, column, taps],
            taps,
            sources: group_out,
            flipped: true,
        },
        bias,
        relu: epilogue.relu,
    })
}

/// The gradient of [`forward`] in its weight.
///
/// # Arguments
/// - `x`: `[B, D, H, W, C]`; `gradient`: `[B, D', H', W', O]`
///
/// # Returns
/// `[O, C / groups, kernel]`
///
/// # Panics
/// When a slice's length is not its shape's.
pub fn weight_gradient<T: Float>(shape: &ConvShape, x: &[T], gradient: &[T]) -> Vec<T> {
    assert_eq!(x.len(), shape.input_len(), "length of the input");
    assert_eq!(gradient.len(), shape.output_len(), "length of the gradient");
    T::dispatch(weight::Problem {
        shape: &shape.simplified(),
        x,
        g: gradient,
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tile_error;
