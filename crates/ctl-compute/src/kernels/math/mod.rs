//! Elementary functions without calls, so that loops over them become vector instructions.

pub mod double;
pub mod single;
