//! Operators over candle tensors, each with a gradient that a test compares with finite
//! differences.
//!
//! Layout is `[B, C, H, W]`; values may be `f32` or `f64`.

mod activation;
mod channel;
mod conv;
pub(crate) mod convolution;
mod custom;
pub(crate) mod dense;
pub(crate) mod dropout;
mod group_norm;
mod kernels;
mod linear;
pub(crate) mod loss;
mod norm;
pub(crate) mod normalisation;
pub(crate) mod pointwise;
mod pool;
pub(crate) mod pooling;
pub(crate) mod resampling;
pub(crate) mod softmax;
mod storage;

pub use activation::{log_softmax, softmax};
pub use channel::channel_bias;
pub use conv::{Conv2dParams, conv2d};
pub use group_norm::group_norm;
pub use linear::{Activation, linear, relu};
pub use norm::{BatchStatistics, batch_norm, batch_norm_with};
pub use pool::{global_average_pool, max_pool2d};
pub(crate) use storage::values;
