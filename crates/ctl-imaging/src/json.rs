//! Numbers in JSON, which has no names for those that are not finite.

use serde::{Serialize, Serializer};

/// A number, or the name of one that JSON does not have.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("nan"),
            value if value > 0.0 => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference to the field"
)]
pub(crate) fn json_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

pub(crate) fn json_numbers<S: Serializer>(
    values: &[f64],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|&value| Number(value)))
}

pub(crate) fn json_matrix<S: Serializer>(
    rows: &[[f64; 4]; 4],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|row| row.map(Number)))
}

#[expect(
    clippy::ref_option,
    reason = "serde hands out a reference to the field"
)]
pub(crate) fn json_option<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.map(Number).serialize(serializer)
}

#[expect(
    clippy::ref_option,
    reason = "serde hands out a reference to the field"
)]
pub(crate) fn json_pair<S: Serializer>(
    values: &Option<[f64; 2]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    values
        .map(|values| values.map(Number))
        .serialize(serializer)
}
