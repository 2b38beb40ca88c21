//! The report of a sweep that was made up, so that what it must say is known.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod cells;
mod comparison;
mod forms;
mod generators;
mod made;
mod predictions;
mod selectors;
