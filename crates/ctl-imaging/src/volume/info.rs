//! What a listing shows of an image.

use super::{SampleType, Scaling, Volume, VolumeFormat};
use crate::json::{json_matrix, json_number, json_numbers};
use serde::Serialize;

/// Shape, place and numbers of an image.
///
/// In JSON numbers that are not finite are the strings `"nan"`, `"inf"` and `"-inf"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// The format.
    pub format: VolumeFormat,
    /// Voxels along each axis.
    pub shape: Vec<usize>,
    /// Values a voxel.
    pub components: usize,
    /// Type of the stored values.
    pub dtype: SampleType,
    /// Millimetres between voxel centres along the axes of space.
    #[serde(serialize_with = "json_numbers")]
    pub zooms: Vec<f64>,
    /// From voxel indices to mm, RAS+.
    #[serde(serialize_with = "json_matrix")]
    pub affine: [[f64; 4]; 4],
    /// Letters of the ends towards which axes run, such as `RAS`.
    pub orientation: String,
    /// What makes numbers of stored values.
    pub scaling: Scaling,
    /// Smallest number, NaN where one is; of complex values the real part.
    #[serde(serialize_with = "json_number")]
    pub scaled_min: f64,
    /// Largest number.
    #[serde(serialize_with = "json_number")]
    pub scaled_max: f64,
    /// Mean of the numbers.
    #[serde(serialize_with = "json_number")]
    pub scaled_mean: f64,
    /// Sum of the numbers.
    #[serde(serialize_with = "json_number")]
    pub scaled_sum: f64,
}

impl VolumeInfo {
    /// What a listing shows of an image that was read from a file of `format`.
    pub fn of(volume: &Volume, format: VolumeFormat) -> Self {
        let numbers = volume.to_f64();
        let sum: f64 = numbers.iter().sum();
        let extreme = |pick: fn(f64, f64) -> f64| {
            // `f64::min` and `max` ignore NaN, which would hide it.
            let all = numbers.iter().copied().reduce(|a, b| {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    pick(a, b)
                }
            });
            all.unwrap_or(f64::NAN)
        };
        Self {
            format,
            shape: volume.shape().to_vec(),
            components: volume.components(),
            dtype: volume.sample_type(),
            zooms: volume.affine().spacing().to_vec(),
            affine: volume.affine().matrix(),
            orientation: volume.affine().axis_codes(),
            scaling: volume.scaling(),
            scaled_min: extreme(f64::min),
            scaled_max: extreme(f64::max),
            scaled_mean: sum / numbers.len() as f64,
            scaled_sum: sum,
        }
    }
}
