//! What candle lacks for training medical-imaging networks.
//!
//! - [`ops`]: convolution, linear layers, pooling, normalisation, resampling, activations and losses
//!   on `[B, H, W, C]` and `[B, D, H, W, C]`, whose gradients are checked by finite differences
//!   (candle 0.11.1 has wrong ones, see `docs/DESIGN.md`), differentiable twice, the same bytes on
//!   any number of threads.
//! - [`kernels`]: the same on plain slices, without candle.
//! - [`random`]: every use of randomness has its own `ChaCha` stream; tensors are sampled from it.
//! - [`optim`]: Adam, `AdamW` and SGD that update their variables in place, with clipping,
//!   schedules and weight averages.
//! - [`allocator`]: a caching global allocator for binaries that train.
//! - [`runtime`]: one thread per training run, so that results do not depend on the machine.
//!
//! # Examples
//! A convolution over an image of one pixel is a weighted copy:
//! ```
//! use candle_core::{Device, Tensor};
//! use ctl_compute::ops::{Activation, ConvOptions, conv2d};
//!
//! let image = Tensor::new(&[[[[3f32]]]], &Device::Cpu)?;
//! let weight = Tensor::new(&[[[[2f32]]]], &Device::Cpu)?;
//! let options = ConvOptions::default();
//! let out = conv2d(&image, &weight, None, Activation::Identity, &options)?;
//! assert_eq!(out.flatten_all()?.to_vec1::<f32>()?, [6.0]);
//! # Ok::<(), ctl_compute::ComputeError>(())
//! ```

#![warn(clippy::undocumented_unsafe_blocks)]

pub mod allocator;
mod error;
// Vector instructions and disjoint writes from several threads need it; each block says why it holds.
#[expect(unsafe_code, reason = "vector kernels on raw slices")]
pub mod kernels;
pub mod ops;
pub mod optim;
pub mod random;
pub mod runtime;

pub use error::{ComputeError, Result};
