//! Operators over candle tensors, each with a gradient that a test compares with finite
//! differences.
//!
//! Layout is `[B, C, H, W]`; values may be `f32` or `f64`.

mod activation;
mod conv;
mod kernels;
mod linear;
mod norm;
mod pool;
mod storage;

pub use activation::{log_softmax, softmax};
pub use conv::{Conv2dParams, conv2d};
pub use linear::{Activation, linear, relu};
pub use norm::{BatchStatistics, batch_norm, batch_norm_with, group_norm};
pub use pool::{global_average_pool, max_pool2d};
