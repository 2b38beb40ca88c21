//! Cohorts whose rows name volumes: what their slices are.

use super::{Cohort, Record};
use crate::Result;
use crate::address::ImageAddress;
use crate::error::ImagingError;
use crate::mask::MaskRole;
use crate::preprocess::{PercentileRescale, Pipeline, Step};
use crate::problem::{Problem, ProblemKind};
use crate::study::{Preparation, SliceRule};
use crate::volume::{Interpolation, Plane, read_volume_header};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// How the volumes of a cohort become pictures: the section `[volumes]` of `cohort.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeSpec {
    /// Which slices are pictures.
    pub slices: SliceRule,
    /// What is done to every volume before.
    pub preparation: Preparation,
}

/// The section `[volumes]`, key by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumesConfig {
    plane: Option<Plane>,
    every: Option<usize>,
    between: Option<[f64; 2]>,
    neighbours: Option<usize>,
    spacing: Option<[f64; 3]>,
    interpolation: Option<Interpolation>,
    steps: Option<Vec<Step>>,
}

impl VolumesConfig {
    /// What the section says, with defaults where it is silent.
    pub(crate) fn spec(&self) -> VolumeSpec {
        let usual = SliceRule::default();
        let steps = self.steps.clone().unwrap_or_else(|| {
            // Pictures are in [0, 1].
            vec![Step::PercentileRescale(PercentileRescale::default())]
        });
        VolumeSpec {
            slices: SliceRule {
                plane: self.plane.unwrap_or(usual.plane),
                every: self.every.unwrap_or(usual.every),
                between: self.between.unwrap_or(usual.between),
                neighbours: self.neighbours.unwrap_or(usual.neighbours),
            },
            preparation: Preparation {
                spacing: self.spacing,
                interpolation: self.interpolation.unwrap_or(Interpolation::Linear),
                steps: Pipeline { steps },
            },
        }
    }

    /// Says what is out of range.
    pub(crate) fn check(&self, fault: &mut impl FnMut(&str, &str, String)) {
        let spec = self.spec();
        let checks = [spec.slices.validate(), spec.preparation.validate()];
        for check in checks {
            if let Err(ImagingError::Argument {
                subject,
                expected,
                found,
            }) = check
            {
                let mut known = ["between", "every", "neighbours", "spacing"].into_iter();
                let key = known.find(|key| *key == subject).unwrap_or("steps");
                fault(
                    &format!("volumes.{key}"),
                    &format!("{subject} with {expected}"),
                    found,
                );
            }
        }
        if spec.slices.neighbours > 1 {
            let expected = "0 or 1: a picture has one or three channels";
            fault(
                "volumes.neighbours",
                expected,
                spec.slices.neighbours.to_string(),
            );
        }
    }
}

impl Cohort {
    /// How the volumes of its rows become pictures; `None` where rows name pictures.
    pub fn volumes(&self) -> Option<&VolumeSpec> {
        self.volumes.as_ref()
    }

    /// Makes a record of every slice, from the headers of the volumes.
    ///
    /// A record whose volume has no readable header stays as it is, with a problem.
    pub(super) fn divide_volumes(&mut self, problems: &mut Vec<Problem>) {
        let Some(spec) = self.volumes.clone() else {
            return;
        };
        // Settings out of range have been reported.
        if spec
            .slices
            .validate()
            .and(spec.preparation.validate())
            .is_err()
        {
            return;
        }
        let (root, manifest) = (self.root.clone(), self.manifest_path());
        let divided: Vec<Result<Vec<Record>>> = self
            .records
            .par_iter()
            .map(|record| slices_of(record, &spec, &root))
            .collect();
        let mut records = Vec::new();
        for (record, divided) in std::mem::take(&mut self.records).into_iter().zip(divided) {
            match divided {
                Ok(slices) => records.extend(slices),
                Err(error) => {
                    let problem = Problem::of_file(&manifest, &record.path, &error);
                    problems.push(problem.at_row(record.row).in_column("path"));
                    records.push(record);
                }
            }
        }
        problems.extend(conflicts(&records, &manifest));
        self.records = records;
    }
}

fn slices_of(record: &Record, spec: &VolumeSpec, root: &Path) -> Result<Vec<Record>> {
    let address = record.address()?;
    let chosen = address.plane().zip(address.index());
    if address.index().is_some() && chosen.is_none() {
        return Err(not_so(
            "a volume (cohort.toml has `[volumes]`)",
            &record.path,
        ));
    }
    let path = address.file_in(root);
    let header = read_volume_header(&path)?;
    if header.frames != 1 || header.components != 1 {
        let found = format!("{} of {} components", header.frames, header.components);
        let expected = "one frame of one component";
        return Err(ImagingError::content(&path, expected, found));
    }
    let shape = header.canonical_shape(spec.preparation.spacing)?;
    let slice = |(plane, index): (Plane, usize)| {
        let mask = |role: MaskRole| of_mask(record.mask_address(role)?, (plane, index));
        Ok(Record {
            path: address.slice(plane, index).to_string(),
            mask_path: mask(MaskRole::Annotation)?,
            second_observer_path: mask(MaskRole::SecondObserver)?,
            evaluate_within_path: mask(MaskRole::EvaluateWithin)?,
            ..record.clone()
        })
    };
    if let Some((plane, index)) = chosen {
        let depth = shape[plane.across()];
        if index >= depth {
            let expected = format!("one of {depth} {plane} slices, counted from 0");
            return Err(not_so(&expected, &record.path));
        }
        return Ok(vec![slice((plane, index))?]);
    }
    let plane = spec.slices.plane;
    let all = spec.slices.indices(shape[plane.across()]).into_iter();
    all.map(|index| slice((plane, index))).collect()
}

/// The address of a slice of a mask, which may name the volume alone or the same slice.
fn of_mask(mask: Option<ImageAddress>, (plane, index): (Plane, usize)) -> Result<Option<String>> {
    let Some(mask) = mask else { return Ok(None) };
    let slice = mask.slice(plane, index);
    if mask.index().is_some() && mask != slice {
        let expected = format!("the mask's volume, or `{slice}` as the image");
        return Err(not_so(&expected, &mask.to_string()));
    }
    Ok(Some(slice.to_string()))
}

fn not_so(expected: &str, found: &str) -> ImagingError {
    ImagingError::argument("image address", expected, format!("`{found}`"))
}

/// Slices of one volume that name different masks, which would be two studies of one image.
fn conflicts(records: &[Record], manifest: &Path) -> Vec<Problem> {
    let mut first: HashMap<String, [Option<String>; 3]> = HashMap::new();
    let mut problems = Vec::new();
    for record in records {
        let Ok(address) = record.address() else {
            continue;
        };
        let masks = MaskRole::ALL.map(|role| {
            let mask = record.mask_address(role).ok().flatten();
            mask.map(|mask| mask.file().to_owned())
        });
        let file = address.file().to_owned();
        let known = first.entry(file).or_insert_with(|| masks.clone());
        if *known != masks {
            let expected = format!("the masks of other slices of {}: {known:?}", address.file());
            let problem = Problem::new(
                manifest,
                ProblemKind::BadPath,
                expected,
                format!("{masks:?}"),
            );
            problems.push(problem.at_row(record.row).in_column("path"));
        }
    }
    problems
}

impl Problem {
    /// What is wrong with a file that a manifest names.
    pub(crate) fn of_file(manifest: &Path, address: &str, error: &ImagingError) -> Self {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        match error {
            ImagingError::Io { source, .. }
                if matches!(source.kind(), NotFound | NotADirectory) =>
            {
                let expected = format!("an image at {address}");
                Self::new(
                    manifest,
                    ProblemKind::MissingImage,
                    expected,
                    "no such file",
                )
            }
            _ => {
                let expected = format!("a readable image at {address}");
                let found = crate::error::chain(error);
                Self::new(manifest, ProblemKind::UnreadableImage, expected, found)
            }
        }
    }
}
