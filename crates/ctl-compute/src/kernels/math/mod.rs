//! Elementary functions without calls, so that loops over them become vector instructions.

pub(crate) mod double;
pub(crate) mod single;
