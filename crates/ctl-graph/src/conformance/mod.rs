//! Runs test vectors, computed by other programs, through this crate.
