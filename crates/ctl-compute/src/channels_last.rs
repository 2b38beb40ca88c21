//! Operators over channels-last tensors: `[B, H, W, C]` and `[B, D, H, W, C]`.

pub use crate::ops::convolution::{
    ConvOptions, ConvTransposeOptions, conv_transpose2d, conv_transpose3d, conv2d, conv3d,
};
pub use crate::ops::dense::linear;
