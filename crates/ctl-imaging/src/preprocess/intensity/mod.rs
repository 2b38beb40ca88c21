//! Steps that change values and leave voxels where they are.

mod clahe;
mod clip_limit;
mod histogram_match;
mod linear;
mod nyul;

pub use clahe::Clahe;
pub use histogram_match::HistogramMatch;
pub use linear::{Gamma, MinMax, PercentileRescale, Window, ZScore};
pub use nyul::{Nyul, NyulTraining};

pub(crate) use linear::{MOST_GAMMA, powered};
