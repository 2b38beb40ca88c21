//! The error type of every function in this crate.

/// Why a metric could not be computed.
///
/// A metric never answers with `NaN`: a quantity that does not exist on the given samples is one
/// of the variants for which [`MetricError::is_undefined`] holds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// There is nothing to average over.
    #[error("{subject}: expected at least one value, found none")]
    Empty {
        /// The argument that is empty.
        subject: &'static str,
    },
    /// Two arguments describe different numbers of samples.
    #[error("{subject}: expected length {expected}, found {found}")]
    LengthMismatch {
        /// The argument whose length does not fit.
        subject: &'static str,
        /// The length the other arguments call for.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// A value is `NaN`, infinite or outside its range.
    #[error("{subject}[{index}]: expected {expected}, found {found}")]
    InvalidValue {
        /// The argument that holds the value.
        subject: &'static str,
        /// Position of the first offending value.
        index: usize,
        /// The allowed range in words.
        expected: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// A parameter such as a level or a number of bins is out of range.
    #[error("{subject}: expected {expected}, found {found}")]
    InvalidParameter {
        /// The parameter.
        subject: &'static str,
        /// The allowed range in words.
        expected: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// A class label or a resample index points outside its range.
    #[error("{subject}[{index}]: expected an index below {expected}, found {found}")]
    IndexOutOfRange {
        /// The argument that holds the index.
        subject: &'static str,
        /// Position of the first offending index.
        index: usize,
        /// One more than the largest allowed index.
        expected: usize,
        /// The index that was given.
        found: usize,
    },
    /// The samples suffice for no estimate, for instance one positive for a variance.
    #[error("{subject}: expected at least {expected}, found {found}")]
    TooFew {
        /// What there is too little of.
        subject: &'static str,
        /// The smallest number that suffices.
        expected: usize,
        /// The number that was given.
        found: usize,
    },
    /// Only one of the two classes occurs.
    #[error("labels: expected both classes, found only {}", if *.found { "positives" } else { "negatives" })]
    SingleClass {
        /// The class that does occur.
        found: bool,
    },
    /// A class of a multi-class problem does not occur.
    #[error("labels: expected samples of all {classes} classes, found none of class {class}")]
    MissingClass {
        /// Number of classes.
        classes: usize,
        /// The first class without a sample.
        class: usize,
    },
    /// The quantity does not exist for these values, for instance a correlation with a constant.
    #[error("{subject}: expected {expected}, found {found}")]
    Undefined {
        /// The quantity that was asked for.
        subject: &'static str,
        /// What its definition needs.
        expected: &'static str,
        /// What the samples offer.
        found: &'static str,
    },
}

impl MetricError {
    /// Tells whether the quantity does not exist on these samples, as opposed to ill-formed input.
    ///
    /// The bootstrap skips resamples on which this holds and passes every other error on.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{MetricError, discrimination::auroc};
    ///
    /// let one_class = auroc(&[0.2, 0.7], &[true, true]).unwrap_err();
    /// assert_eq!(one_class, MetricError::SingleClass { found: true });
    /// assert!(one_class.is_undefined());
    /// assert!(!auroc(&[], &[]).unwrap_err().is_undefined());
    /// ```
    pub fn is_undefined(&self) -> bool {
        matches!(
            self,
            Self::TooFew { .. }
                | Self::SingleClass { .. }
                | Self::MissingClass { .. }
                | Self::Undefined { .. }
        )
    }
}
