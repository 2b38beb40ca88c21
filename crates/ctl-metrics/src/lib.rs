//! Metrics for transfer across sites: discrimination, calibration, masks, images, worst group,
//! resampling.
//!
//! Every function takes plain slices and answers with a number or a typed [`MetricError`]; no
//! metric returns `NaN`. Positive is `true`, class labels count from zero, matrices `[N, K]` are
//! row-major slices of length `N * K` beside their number of columns.
//!
//! | module | holds |
//! |---|---|
//! | [`discrimination`] | AUROC, average precision, confusion matrices and what follows from them |
//! | [`calibration`] | expected and maximum calibration error, Brier score, log loss, temperature |
//! | [`interval`] | `DeLong` intervals and tests, the bootstrap by sample or by patient |
//! | [`groups`] | tables per site or subgroup, worst group, gaps, fairness differences |
//! | [`rank`] | paired tests, Friedman and Nemenyi, corrections for multiplicity |
//! | [`regression`] | errors and correlations of real-valued predictions |
//! | [`segmentation`] | overlap and surface distances of masks |
//! | [`image_quality`] | errors, PSNR and SSIM of images |
//! | [`anomaly`] | AUROC, best F1 and per-region overlap of anomaly maps |
//! | [`soundness`] | composition, reversibility, minimality and realism of counterfactual images |
//! | [`conformal`] | prediction sets with a chosen coverage |
//! | [`survival`] | concordance of risks with censored times |
//! | [`grid`], [`distance_transform`], [`components`] | lattices with spacing, distances to a mask, its regions |
//! | [`conformance`] | runs published test vectors through this crate |
//!
//! # Examples
//!
//! ```
//! use ctl_metrics::{Direction, discrimination::auroc, gather, groups::GroupTable};
//!
//! let scores = [0.9, 0.8, 0.3, 0.1, 0.6, 0.2, 0.7, 0.4];
//! let labels = [true, true, false, false, true, true, false, false];
//! let sites = ["oslo", "oslo", "oslo", "oslo", "pune", "pune", "pune", "pune"];
//!
//! assert_eq!(auroc(&scores, &labels)?, 0.75);
//! let table = GroupTable::of(&sites, |rows| auroc(&gather(&scores, rows)?, &gather(&labels, rows)?))?;
//! let worst = table.worst(Direction::HigherIsBetter)?;
//! assert_eq!((worst.group, worst.value), (&"pune", 0.25));
//! # Ok::<(), ctl_metrics::MetricError>(())
//! ```

pub mod anomaly;
pub mod calibration;
pub mod components;
pub mod conformal;
pub mod conformance;
mod direction;
pub mod discrimination;
pub mod distance_transform;
mod distribution;
mod error;
pub mod grid;
pub mod groups;
pub mod image_quality;
pub mod interval;
pub mod rank;
pub mod regression;
pub mod segmentation;
pub mod soundness;
pub mod survival;
mod validate;

pub use direction::Direction;
pub use distribution::normal_cdf;
pub use error::MetricError;

/// Copies the values at the given indices, in their order and with their repetitions.
///
/// # Arguments
/// - `values`: `[N]`.
/// - `indices`: positions below `N`.
///
/// # Returns
/// `values[i]` for each `i` of `indices`.
///
/// # Errors
/// [`MetricError::IndexOutOfRange`] for a position that does not exist.
///
/// # Examples
///
/// ```
/// assert_eq!(ctl_metrics::gather(&[3.0, 5.0, 7.0], &[2, 0, 2])?, [7.0, 3.0, 7.0]);
/// assert!(ctl_metrics::gather(&[3.0], &[1]).is_err());
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn gather<T: Copy>(values: &[T], indices: &[usize]) -> Result<Vec<T>, MetricError> {
    validate::indices("indices", indices, values.len())?;
    Ok(indices.iter().map(|&index| values[index]).collect())
}
