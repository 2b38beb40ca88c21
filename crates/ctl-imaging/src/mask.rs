//! From the pixels of a mask to classes.

use crate::cohort::{MaskRule, MaskSpec};
use crate::decode::{Decoded, Scale};
use crate::preprocess::Mask;
use crate::raster::Raster;
use crate::volume::Volume;
use std::ops::RangeInclusive;

/// Which of a record's masks is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MaskRole {
    /// The annotation that models are trained on.
    Annotation,
    /// The same image, annotated by a second observer.
    SecondObserver,
    /// The region within which results are evaluated (a field of view); always binary.
    EvaluateWithin,
}

impl MaskRole {
    /// All roles, the annotation first.
    pub const ALL: [Self; 3] = [Self::Annotation, Self::SecondObserver, Self::EvaluateWithin];

    /// Its name in file names.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Annotation => "annotation",
            Self::SecondObserver => "second-observer",
            Self::EvaluateWithin => "evaluate-within",
        }
    }

    /// How masks of this role are read in a cohort.
    pub(crate) fn rule(self, spec: Option<&MaskSpec>) -> &MaskRule {
        spec.map_or(&REGION_RULE, |spec| spec.rule_of(self))
    }
}

/// Why a mask has no classes: fragments for "expected …, found …".
#[derive(Debug)]
pub(crate) struct MaskFault {
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl MaskFault {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// What a region to evaluate within is cut at.
pub(crate) const REGION_RULE: MaskRule = MaskRule::Threshold(0.5);

/// Ranges of grey values that a binary mask may use only in part without being taken for one that
/// stores 0 and 1: up to 4 bits nobody stores 1 by mistake.
const SMALL_RANGES: RangeInclusive<f64> = 0.0..=15.0;

/// The class of each pixel, `[1, H, W]`, as a whole number from 0.
pub(crate) fn classify(mask: &Decoded, rule: &MaskRule) -> Result<Raster, MaskFault> {
    let plane = single_plane(&mask.raster)?;
    let classes = match rule {
        MaskRule::Threshold(threshold) => above(plane, *threshold, mask.scale)?,
        MaskRule::Values(values) => indices(&mask.raster, values, mask.scale)?,
    };
    Raster::new(1, mask.raster.height(), mask.raster.width(), classes)
        .map_err(|error| MaskFault::new("a mask", error.to_string()))
}

/// The one channel of a grey mask, or the first of a coloured one whose channels are equal.
fn single_plane(raster: &Raster) -> Result<&[f32], MaskFault> {
    let mut planes = raster
        .samples()
        .chunks_exact(raster.height() * raster.width());
    let first = planes.next().unwrap_or_default();
    if planes.all(|plane| plane == first) {
        return Ok(first);
    }
    let found = format!("{} channels that differ", raster.channels());
    Err(MaskFault::new(
        "a mask of one channel, or of equal channels",
        found,
    ))
}

/// The class of each voxel of a label map.
///
/// Numbers of label maps are labels and have no range that a threshold could be a share of: under
/// [`MaskRule::Threshold`] 0 is the background, and 1, or 255, the foreground.
pub(crate) fn classify_volume(labels: &Volume, rule: &MaskRule) -> Result<Mask, MaskFault> {
    let numbers = labels.to_f64();
    let class_of: Box<dyn Fn(f64) -> Option<u8>> = match rule {
        MaskRule::Values(values) => Box::new(move |number| {
            let class = values.iter().position(|&value| same(value, number))?;
            u8::try_from(class).ok()
        }),
        MaskRule::Threshold(_) => {
            let highest = numbers
                .iter()
                .fold(0.0_f64, |high, &number| high.max(number));
            let foreground = if same(highest, 255.0) { 255.0 } else { 1.0 };
            Box::new(move |number| {
                let is_foreground = same(number, foreground);
                (is_foreground || same(number, 0.0)).then_some(u8::from(is_foreground))
            })
        }
    };
    let shape = labels.spatial_shape();
    let mut classes = Vec::with_capacity(numbers.len());
    for (voxel, &number) in numbers.iter().enumerate() {
        let class = class_of(number).ok_or_else(|| {
            let [columns, rows, _] = shape;
            let at = [
                voxel % columns,
                voxel / columns % rows,
                voxel / (columns * rows),
            ];
            MaskFault::new(expected_labels(rule), format!("{number} at voxel {at:?}"))
        })?;
        classes.push(class);
    }
    Mask::new(shape, classes).map_err(|error| MaskFault::new("a mask", error.to_string()))
}

/// Whether two numbers are one; −0 is 0.
fn same(a: f64, b: f64) -> bool {
    (a + 0.0).total_cmp(&(b + 0.0)).is_eq()
}

fn expected_labels(rule: &MaskRule) -> String {
    match rule {
        MaskRule::Values(values) => format!("one of the mask values {values:?}"),
        MaskRule::Threshold(_) => {
            "a label map of 0 and 1, or 0 and 255 (say which labels are the classes by `values` in \
             cohort.toml)"
                .to_owned()
        }
    }
}

fn above(plane: &[f32], threshold: f64, scale: Scale) -> Result<Vec<f32>, MaskFault> {
    check_range(plane, scale)?;
    Ok(plane
        .iter()
        .map(|&sample| f32::from(f64::from(sample) >= threshold))
        .collect())
}

/// Refuses masks of which a part of the full range cannot be meant.
fn check_range(plane: &[f32], scale: Scale) -> Result<(), MaskFault> {
    let range = match scale {
        Scale::Float if plane.iter().any(|sample| !sample.is_finite()) => {
            return Err(MaskFault::new("finite mask values", "NaN or infinity"));
        }
        Scale::Float => return Ok(()),
        Scale::Wide(_) => {
            let expected = "`values` in cohort.toml for a mask of 32- or 64-bit integers";
            return Err(MaskFault::new(expected, "a threshold"));
        }
        Scale::Range(range) => range,
    };
    let highest = plane
        .iter()
        .fold(0.0_f32, |highest, &sample| highest.max(sample));
    if !SMALL_RANGES.contains(&range) && scale.stored(highest) as i64 == 1 {
        let found = "only 0 and 1 (say `values = [0, 1]` in cohort.toml if they are the classes)";
        return Err(MaskFault::new(
            format!("mask values from 0 to {range}"),
            found,
        ));
    }
    Ok(())
}

fn indices(raster: &Raster, values: &[f64], scale: Scale) -> Result<Vec<f32>, MaskFault> {
    let plane = raster
        .samples()
        .iter()
        .take(raster.height() * raster.width());
    let class_of = |(pixel, &sample): (usize, &f32)| {
        let stored = scale.stored(sample);
        // Whole numbers and what a manifest's author wrote are compared as they are.
        let class = values
            .iter()
            .position(|value| value.total_cmp(&stored).is_eq());
        class.map(|class| class as f32).ok_or_else(|| {
            let (row, column) = (pixel / raster.width(), pixel % raster.width());
            let found = format!("{stored} at pixel row {row}, column {column}");
            MaskFault::new(format!("one of the mask values {values:?}"), found)
        })
    };
    plane.enumerate().map(class_of).collect()
}
