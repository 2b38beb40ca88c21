//! Raw magnetic-resonance data: undersampling along Cartesian columns, and coils.
//!
//! Frequencies are centred: of `n` columns, zero frequency is column `⌊n / 2⌋`.

mod coils;
mod mask;

pub use coils::{Coils, parse_coils, read_coils};
pub use mask::{CartesianMask, MaskKind};
pub use num_complex::Complex;
