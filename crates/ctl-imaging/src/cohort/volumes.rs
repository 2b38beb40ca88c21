//! Cohorts whose rows name volumes: what their slices are.

use super::{Cohort, Record};
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::{PercentileRescale, Pipeline, Step};
use crate::problem::{Problem, ProblemKind};
use crate::study::{Preparation, SliceRule};
use crate::volume::{Interpolation, Plane, read_volume_header};
use rayon::prelude::*;
use serde::Deserialize;
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
                let key = ["between", "every"].into_iter().find(|key| *key == subject);
                let key = key.map_or("volumes".to_owned(), |key| format!("volumes.{key}"));
                fault(&key, &format!("{subject} with {expected}"), found);
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
        self.records = records;
    }
}

fn slices_of(record: &Record, spec: &VolumeSpec, root: &Path) -> Result<Vec<Record>> {
    let address = record.address()?;
    if address.plane().is_some() {
        // Somebody has chosen.
        return Ok(vec![record.clone()]);
    }
    if address.index().is_some() {
        let expected = "a volume (cohort.toml has `[volumes]`)";
        let found = format!("`{}`", record.path);
        return Err(ImagingError::argument("image address", expected, found));
    }
    let rule = spec.slices;
    let header = read_volume_header(&address.file_in(root))?;
    if header.frames != 1 || header.components != 1 {
        let found = format!("{} of {} components", header.frames, header.components);
        let expected = "one frame of one component";
        return Err(ImagingError::content(
            &address.file_in(root),
            expected,
            found,
        ));
    }
    let shape = header.canonical_shape(spec.preparation.spacing)?;
    let slices = rule.indices(shape[rule.plane.across()]).into_iter();
    let of_slice = |mask: Option<&str>, index: usize| -> Result<Option<String>> {
        let address = mask.map(str::parse::<crate::ImageAddress>).transpose()?;
        Ok(address.map(|address| address.slice(rule.plane, index).to_string()))
    };
    let slice = |index: usize| {
        Ok(Record {
            path: address.slice(rule.plane, index).to_string(),
            mask_path: of_slice(record.mask_path.as_deref(), index)?,
            second_observer_path: of_slice(record.second_observer_path.as_deref(), index)?,
            evaluate_within_path: of_slice(record.evaluate_within_path.as_deref(), index)?,
            ..record.clone()
        })
    };
    slices.map(slice).collect()
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
