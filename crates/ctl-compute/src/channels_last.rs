//! Operators over images and volumes with channels last, `[B, H, W, C]` and `[B, D, H, W, C]`.

pub use crate::ops::pooling::{
    Windows, average_pool2d, average_pool3d, global_average_pool, global_max_pool, max_pool2d,
    max_pool3d,
};
