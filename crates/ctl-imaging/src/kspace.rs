//! Raw magnetic-resonance data: undersampling of Cartesian lines, Fourier transforms,
//! coils.
//!
//! Frequencies are centred: of `n` columns, zero frequency is column `⌊n / 2⌋`.

mod coils;
mod combine;
mod fourier;
mod mask;
mod poisson;

pub use coils::{Coils, parse_coils, read_coils};
pub use combine::{Calibration, combine};
pub(crate) use fourier::LineTransform;
pub use fourier::{Transform, centred_fft, transformed};
pub use mask::{CartesianMask, MaskKind};
pub use num_complex::Complex;
pub use poisson::PoissonMask;
