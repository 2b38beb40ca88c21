//! Masks: numbers of `SciPy` and scikit-image (`golden/make_morphology.py`), and laws.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod foreground;
mod golden;
mod laws;
