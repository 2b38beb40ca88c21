//! Operators over candle tensors, each with a gradient that a test compares with finite
//! differences.
//!
//! Images and volumes have their channels last: `[B, H, W, C]` and `[B, D, H, W, C]`; values may
//! be `f32` or `f64`. Backward passes are made of operators that have one themselves, and every
//! result is the same bytes on any number of threads.
//!
//! The CPU is served, and CUDA devices with the feature `cuda`: operators are made of candle's own
//! there ([`without_kernels`] does the same on the CPU).

mod activation;
mod channels;
mod composite;
mod convolution;
mod custom;
mod dense;
mod dropout;
pub mod fourier;
mod gaussian;
mod loss;
mod normalisation;
mod pointwise;
mod pooling;
mod resampling;
mod softmax;
mod storage;

pub use activation::Activation;
pub use channels::{channels_from, concat_channels};
pub(crate) use composite::has_kernels;
pub use composite::without_kernels;
pub use convolution::{
    ConvOptions, ConvTransposeOptions, conv_transpose2d, conv_transpose3d, conv2d, conv2d_after,
    conv3d,
};
pub use dense::linear;
pub use dropout::dropout;
pub use gaussian::{gaussian_divergence, gaussian_draw};
pub use loss::{Reduction, binary_cross_entropy, cross_entropy};
pub use normalisation::{
    ChannelStatistics, NormParams, Rectifier, batch_norm, batch_norm_with, channel_bias,
    group_norm, instance_norm, layer_norm,
};
pub use pointwise::{
    Function, activate, add_activated, add_all, erf, gelu, gelu_tanh, leaky_relu, relu, sigmoid,
    silu, softplus, tanh,
};
pub use pooling::{
    Windows, average_pool2d, average_pool3d, global_average_pool, global_max_pool, max_pool2d,
    max_pool3d,
};
pub use resampling::{Interpolation, rescale, resize};
pub use softmax::{log_softmax, softmax};
pub(crate) use storage::values;
