//! Operators over images and volumes with channels last, `[B, H, W, C]` and `[B, D, H, W, C]`.

pub use crate::ops::convolution::{
    ConvOptions, ConvTransposeOptions, conv_transpose2d, conv_transpose3d, conv2d, conv3d,
};
pub use crate::ops::dense::linear;
pub use crate::ops::dropout::dropout;
pub use crate::ops::loss::{Reduction, binary_cross_entropy, cross_entropy};
pub use crate::ops::normalisation::{
    ChannelStatistics, NormParams, Rectifier, batch_norm, batch_norm_with, channel_bias,
    group_norm, instance_norm, layer_norm,
};
pub use crate::ops::pointwise::{
    Function, activate, add_activated, concat_channels, erf, gelu, gelu_tanh, leaky_relu, relu,
    sigmoid, silu, softplus, tanh,
};
pub use crate::ops::pooling::{
    Windows, average_pool2d, average_pool3d, global_average_pool, global_max_pool, max_pool2d,
    max_pool3d,
};
pub use crate::ops::resampling::{Interpolation, rescale, resize};
pub use crate::ops::softmax::{log_softmax, softmax};
