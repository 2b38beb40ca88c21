//! Images with geometry: values and places derived by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod layout;
mod sheet;
mod values;
