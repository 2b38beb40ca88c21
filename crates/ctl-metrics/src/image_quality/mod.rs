//! How near an image comes to its reference: errors, PSNR and structural similarity.
//!
//! [`ImagePair`] holds a predicted and a reference volume `[slices, H, W]` and answers all of them.
//! A single image has one slice.
//!
//! With [`SsimConfig::fast_mri`] and the maximum of the reference volume as data range
//! ([`ImagePair::data_range`]) the numbers are those of the fastMRI challenge.

mod pair;
mod ssim;
mod window;

pub use pair::ImagePair;
pub use ssim::{SsimBorder, SsimConfig, SsimCovariance};
pub use window::SsimWindow;
