//! Checks shared by the metrics, so that each kind of bad input has one wording.

use crate::{MetricError, rank::tied};

type Checked = Result<(), MetricError>;

/// Values and ranges beyond this bound would overflow products of squares.
pub(crate) const LARGEST_VALUE: f64 = 1e60;

pub(crate) fn non_empty(subject: &'static str, len: usize) -> Checked {
    if len == 0 {
        Err(MetricError::Empty { subject })
    } else {
        Ok(())
    }
}

pub(crate) fn same_len(subject: &'static str, expected: usize, found: usize) -> Checked {
    if expected == found {
        Ok(())
    } else {
        Err(MetricError::LengthMismatch {
            subject,
            expected,
            found,
        })
    }
}

pub(crate) fn at_least(subject: &'static str, expected: usize, found: usize) -> Checked {
    if found < expected {
        Err(MetricError::TooFew {
            subject,
            expected,
            found,
        })
    } else {
        Ok(())
    }
}

/// Values of any real type, each of which must be allowed.
pub(crate) fn all_values<T: Copy + Into<f64>>(
    subject: &'static str,
    values: &[T],
    expected: &'static str,
    allowed: impl Fn(f64) -> bool,
) -> Checked {
    match values.iter().position(|&value| !allowed(value.into())) {
        Some(index) => Err(MetricError::InvalidValue {
            subject,
            index,
            expected,
            found: values[index].into(),
        }),
        None => Ok(()),
    }
}

/// Infinities are allowed where only the order of the values matters.
pub(crate) fn not_nan<T: Copy + Into<f64>>(subject: &'static str, values: &[T]) -> Checked {
    all_values(subject, values, "a number", |value| !value.is_nan())
}

pub(crate) fn finite(subject: &'static str, values: &[f64]) -> Checked {
    all_values(subject, values, "a finite number", f64::is_finite)
}

pub(crate) fn probabilities(subject: &'static str, values: &[f64]) -> Checked {
    all_values(subject, values, "a probability in [0, 1]", |value| {
        (0.0..=1.0).contains(&value)
    })
}

pub(crate) fn indices(subject: &'static str, indices: &[usize], expected: usize) -> Checked {
    match indices.iter().position(|&found| found >= expected) {
        Some(index) => Err(MetricError::IndexOutOfRange {
            subject,
            index,
            expected,
            found: indices[index],
        }),
        None => Ok(()),
    }
}

pub(crate) fn parameter(
    subject: &'static str,
    found: f64,
    expected: &'static str,
    allowed: bool,
) -> Checked {
    if allowed {
        Ok(())
    } else {
        Err(MetricError::InvalidParameter {
            subject,
            expected,
            found,
        })
    }
}

/// A confidence level: strictly between zero and one.
pub(crate) fn level(value: f64) -> Checked {
    parameter(
        "level",
        value,
        "a number in (0, 1)",
        value > 0.0 && value < 1.0,
    )
}

/// Counts positives and negatives, both of which must occur.
pub(crate) fn both_classes(labels: &[bool]) -> Result<(usize, usize), MetricError> {
    let positives = labels.iter().filter(|&&label| label).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(MetricError::SingleClass {
            found: positives > 0,
        });
    }
    Ok((positives, negatives))
}

/// Scores that order samples with binary labels of both classes; returns the class counts.
pub(crate) fn ranked_labels(
    scores: &[f64],
    labels: &[bool],
) -> Result<(usize, usize), MetricError> {
    non_empty("scores", scores.len())?;
    same_len("labels", scores.len(), labels.len())?;
    not_nan("scores", scores)?;
    both_classes(labels)
}

/// A row-major matrix `[N, classes]` beside `N` class labels.
pub(crate) fn class_rows(
    subject: &'static str,
    values: &[f64],
    classes: usize,
    labels: &[usize],
) -> Checked {
    parameter("classes", classes as f64, "at least 2", classes >= 2)?;
    non_empty("labels", labels.len())?;
    same_len(subject, labels.len() * classes, values.len())?;
    indices("labels", labels, classes)
}

/// Tells whether all values are equal, so that none of them varies.
pub(crate) fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|&value| tied(value, values[0]))
}

/// Class labels of any unsigned type.
pub(crate) fn labels<L: Copy + Into<usize>>(
    subject: &'static str,
    labels: &[L],
    expected: usize,
) -> Checked {
    match labels.iter().position(|&label| label.into() >= expected) {
        Some(index) => Err(MetricError::IndexOutOfRange {
            subject,
            index,
            expected,
            found: labels[index].into(),
        }),
        None => Ok(()),
    }
}

/// Values of any real type whose magnitude does not exceed `1e60`.
pub(crate) fn within_magnitude<T: Copy + Into<f64>>(
    subject: &'static str,
    values: &[T],
) -> Checked {
    all_values(subject, values, "a magnitude of at most 1e60", |value| {
        value.abs() <= LARGEST_VALUE
    })
}

/// Weights: finite and not negative.
pub(crate) fn weights(subject: &'static str, values: &[f64]) -> Checked {
    all_values(subject, values, "a finite number from 0 on", |value| {
        value >= 0.0 && value.is_finite()
    })
}
