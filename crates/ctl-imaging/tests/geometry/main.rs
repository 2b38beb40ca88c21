//! Places in the patient: laws, and numbers of nibabel and `SciPy` (`golden/make_geometry.py`).
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod golden;
mod labels;
mod landmarks;
mod resampling;
