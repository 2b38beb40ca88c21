//! Finding the faults of the volumes of a cohort.

use super::prepare::check_same_place;
use super::store::{StudyFiles, StudyStore};
use crate::cohort::{Cohort, VolumeSpec};
use crate::error::ImagingError;
use crate::mask::{self, MaskRole};
use crate::problem::{Problem, ProblemKind};
use crate::volume::{read_volume, read_volume_header};
use rayon::prelude::*;
use std::sync::Arc;

/// What was found about one study.
pub(crate) struct StudyCheck {
    /// Masks that were looked at.
    pub(crate) masks: usize,
    pub(crate) problems: Vec<Problem>,
}

/// Checks every volume and its masks: headers, and with `decode` all that is done to them.
pub(crate) fn check_studies(
    cohort: &Arc<Cohort>,
    spec: &VolumeSpec,
    decode: bool,
) -> Vec<StudyCheck> {
    let store = StudyStore::new(Arc::clone(cohort), spec.preparation.clone(), 0);
    let store = match store {
        Ok(store) => store,
        Err(ImagingError::Cohort(problem)) => {
            let problems = vec![*problem];
            return vec![StudyCheck { masks: 0, problems }];
        }
        // The settings of `[volumes]` have been reported with the description.
        Err(_) => return Vec::new(),
    };
    let checker = Checker { store, decode };
    let numbers: Vec<usize> = (0..checker.store.studies().len()).collect();
    numbers
        .par_iter()
        .map(|&number| checker.check(number))
        .collect()
}

struct Checker {
    store: StudyStore,
    decode: bool,
}

impl Checker {
    fn check(&self, number: usize) -> StudyCheck {
        let files = &self.store.studies()[number];
        let masks: Vec<MaskRole> = MaskRole::ALL
            .into_iter()
            .filter(|&role| files.mask(role).is_some())
            .collect();
        let mut problems: Vec<Problem> = masks
            .iter()
            .filter_map(|&role| self.mask_problem(number, files, role))
            .collect();
        // What is wrong with a mask is said once, in its own column.
        if self.decode && problems.is_empty() {
            problems.extend(self.image_problem(number));
        }
        StudyCheck {
            masks: masks.len(),
            problems,
        }
    }

    fn image_problem(&self, number: usize) -> Option<Problem> {
        // A volume that could not be divided has been reported while its slices were counted.
        self.store.record(number)?.address().ok()?.plane()?;
        let error = self.store.one(number).err()?;
        let cause = match &error {
            ImagingError::Image { source, .. } => source,
            other => other,
        };
        let image = &self.store.studies()[number].image;
        let manifest = self.store.cohort().manifest_path();
        Some(self.placed(number, Problem::of_file(&manifest, image, cause), "path"))
    }

    fn mask_problem(&self, number: usize, files: &StudyFiles, role: MaskRole) -> Option<Problem> {
        let cohort = self.store.cohort();
        let (root, manifest) = (cohort.root(), cohort.manifest_path());
        let file = files.mask(role)?;
        let column = cohort.mask()?.column_of(role)?;
        // A volume without a header has been reported as well.
        let image = read_volume_header(&root.join(&files.image)).ok()?;
        let path = root.join(file);
        let problem = match read_volume_header(&path) {
            Err(error) => Problem::of_file(&manifest, file, &error),
            Ok(header) => match check_same_place(&header.grid, &image.grid, &path) {
                Err(ImagingError::Content {
                    expected, found, ..
                }) => Problem::new(
                    &manifest,
                    ProblemKind::WrongSize,
                    expected,
                    format!("{found} in {file}"),
                ),
                Err(error) => Problem::of_file(&manifest, file, &error),
                Ok(()) => self.class_problem(&path, file, role)?,
            },
        };
        Some(self.placed(number, problem, column))
    }

    /// What is wrong with the labels of a mask, where they are read.
    fn class_problem(&self, path: &std::path::Path, file: &str, role: MaskRole) -> Option<Problem> {
        if !self.decode {
            return None;
        }
        let cohort = self.store.cohort();
        let manifest = cohort.manifest_path();
        let labels = match read_volume(path) {
            Ok(labels) => labels,
            Err(error) => return Some(Problem::of_file(&manifest, file, &error)),
        };
        let fault = mask::classify_volume(&labels, role.rule(cohort.mask())).err()?;
        let found = format!("{} in {file}", fault.found);
        let kind = ProblemKind::MaskOutsideClasses;
        Some(Problem::new(&manifest, kind, fault.expected, found))
    }

    fn placed(&self, number: usize, problem: Problem, column: &str) -> Problem {
        let row = self.store.record(number).map_or(0, |record| record.row);
        problem.at_row(row).in_column(column)
    }
}
