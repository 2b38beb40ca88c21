//! Ranges of settings.

use crate::Result;
use crate::error::ImagingError;
use std::ops::RangeInclusive;

/// Refuses a number outside its range, and NaN.
pub(crate) fn within(subject: &'static str, value: f64, range: RangeInclusive<f64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("a number from {} to {}", range.start(), range.end());
    Err(ImagingError::argument(subject, expected, value.to_string()))
}

/// Refuses a count outside its range.
pub(crate) fn count(
    subject: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("a count from {} to {}", range.start(), range.end());
    Err(ImagingError::argument(subject, expected, value.to_string()))
}

/// Refuses an interval whose ends are out of range or exchanged.
pub(crate) fn interval(
    subject: &'static str,
    [low, high]: [f64; 2],
    range: RangeInclusive<f64>,
) -> Result<()> {
    if range.contains(&low) && range.contains(&high) && low <= high {
        return Ok(());
    }
    let expected = format!(
        "two ascending numbers from {} to {}",
        range.start(),
        range.end()
    );
    Err(ImagingError::argument(
        subject,
        expected,
        format!("[{low}, {high}]"),
    ))
}
