//! The command line of the toolkit.
fn main() {}
