//! The studies of a cohort, prepared when they are first asked for.

use super::cache::StudyCache;
use super::memory::Memory;
use super::prepare::{Preparation, Study};
use crate::Result;
use crate::cohort::{Cohort, Record};
use crate::error::ImagingError;
use crate::mask::MaskRole;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The files of a study, relative to its cohort's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyFiles {
    /// The image: a file, or a folder of a DICOM series.
    pub image: String,
    /// The masks, by role.
    masks: [Option<String>; 3],
    /// Positions in [`Cohort::records`] that are of this image: one, or one for each slice.
    pub records: Vec<usize>,
}

impl StudyFiles {
    /// The file of a mask.
    pub fn mask(&self, role: MaskRole) -> Option<&str> {
        self.masks[role as usize].as_deref()
    }
}

/// The volumes of a cohort: read and prepared in parallel, on demand, within a bound of memory.
///
/// The latest studies stay in memory up to the bound; with [`with_cache`](Self::with_cache) all
/// stay on disk, by the content of their files and what is done to them, so that later runs read
/// them without decoding and preparing. Results do not depend on what is kept, nor on the number
/// of threads.
#[derive(Debug)]
pub struct StudyStore {
    cohort: Arc<Cohort>,
    studies: Vec<StudyFiles>,
    preparation: Preparation,
    cache: Option<StudyCache>,
    memory: Mutex<Memory>,
}

impl StudyStore {
    /// A store that has read nothing yet.
    ///
    /// # Arguments
    /// * `cohort`: its rows name volumes; slices of one volume are one study.
    /// * `preparation`: what is done to each.
    /// * `memory_bytes`: the most that prepared studies hold between calls; the latest is always
    ///   held.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, [`ImagingError::Cohort`] when
    /// slices of one volume name different masks.
    pub fn new(cohort: Arc<Cohort>, preparation: Preparation, memory_bytes: usize) -> Result<Self> {
        preparation.validate()?;
        let studies = studies_of(&cohort)?;
        Ok(Self {
            memory: Mutex::new(Memory::new(memory_bytes)),
            cache: None,
            studies,
            preparation,
            cohort,
        })
    }

    /// The same, keeping prepared studies on disk.
    ///
    /// # Arguments
    /// * `folder`: is made if it is not there; may serve several cohorts, preparations and
    ///   processes at once. Single-precision voxels, uncompressed; nothing is ever removed.
    ///
    /// # Errors
    /// [`ImagingError::Io`] when the folder cannot be made.
    pub fn with_cache(mut self, folder: &Path) -> Result<Self> {
        self.cache = Some(StudyCache::new(folder)?);
        Ok(self)
    }

    /// The cohort.
    pub fn cohort(&self) -> &Arc<Cohort> {
        &self.cohort
    }

    /// Its studies, in the order of the manifest.
    pub fn studies(&self) -> &[StudyFiles] {
        &self.studies
    }

    /// What is done to each.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// The manifest's row of a study.
    ///
    /// # Returns
    /// `None` when there is no such study.
    pub fn record(&self, study: usize) -> Option<&Record> {
        let first = self.studies.get(study)?.records.first()?;
        self.cohort.records().get(*first)
    }

    /// Loads studies, in parallel.
    ///
    /// # Arguments
    /// * `numbers`: positions in [`studies`](Self::studies), in any order, also repeatedly.
    ///
    /// # Returns
    /// The studies in the order of `numbers`, all of them in memory for as long as they are held.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a number is not below the number of studies;
    /// [`ImagingError::Image`] with the manifest's row and, as its source, what reading or
    /// preparing the study reports. Of several failures the first in order is returned.
    pub fn load(&self, numbers: &[usize]) -> Result<Vec<Arc<Study>>> {
        // One job a study: a lock that is held while others work in parallel could wait for itself.
        let wanted: BTreeSet<usize> = numbers.iter().copied().collect();
        let wanted: Vec<usize> = wanted.into_iter().collect();
        let loaded: Vec<Result<Arc<Study>>> =
            wanted.par_iter().map(|&number| self.one(number)).collect();
        let mut studies = BTreeMap::new();
        let mut failed = BTreeMap::new();
        for (number, loaded) in wanted.into_iter().zip(loaded) {
            match loaded {
                Ok(study) => drop(studies.insert(number, study)),
                Err(error) => drop(failed.insert(number, error)),
            }
        }
        let mut one = |number: &usize| match studies.get(number) {
            Some(study) => Ok(Arc::clone(study)),
            // The first in order ends the collection.
            None => Err(failed
                .remove(number)
                .unwrap_or_else(|| self.no_study(*number))),
        };
        numbers.iter().map(&mut one).collect()
    }

    /// One study. Of several threads that ask for it at once each may prepare it, all alike.
    pub(crate) fn one(&self, number: usize) -> Result<Arc<Study>> {
        let Some(files) = self.studies.get(number) else {
            return Err(self.no_study(number));
        };
        let held = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(study) = held().get(number) {
            return Ok(study);
        }
        let prepared = self
            .prepared(files)
            .map_err(|error| self.at_row(number, error))?;
        let study = Arc::new(prepared);
        held().put(number, &study);
        Ok(study)
    }

    fn no_study(&self, number: usize) -> ImagingError {
        let expected = format!("a position below {}", self.studies.len());
        ImagingError::argument("study", expected, number.to_string())
    }

    /// From the cache, or prepared and put there.
    fn prepared(&self, files: &StudyFiles) -> Result<Study> {
        let Some(cache) = &self.cache else {
            return self.preparation.run(files, &self.cohort);
        };
        let key = StudyCache::key(files, &self.cohort, &self.preparation)?;
        if let Some(study) = cache.read(&key, files)? {
            return Ok(study);
        }
        let study = self.preparation.run(files, &self.cohort)?;
        cache.write(&key, &study)?;
        Ok(study)
    }

    fn at_row(&self, number: usize, error: ImagingError) -> ImagingError {
        ImagingError::Image {
            manifest: self.cohort.manifest_path(),
            row: self.record(number).map_or(0, |record| record.row),
            source: Box::new(error),
        }
    }
}

/// Rows by their volume.
fn studies_of(cohort: &Cohort) -> Result<Vec<StudyFiles>> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut studies: Vec<StudyFiles> = Vec::new();
    for (position, record) in cohort.records().iter().enumerate() {
        let image = record.address()?.file().to_owned();
        let mut masks = [None, None, None];
        for role in MaskRole::ALL {
            let address = record.mask_address(role)?;
            masks[role as usize] = address.map(|address| address.file().to_owned());
        }
        let number = *numbers.entry(image.clone()).or_insert(studies.len());
        match studies.get_mut(number) {
            None => studies.push(StudyFiles {
                image,
                masks,
                records: vec![position],
            }),
            Some(study) if study.masks == masks => study.records.push(position),
            Some(study) => {
                let problem = crate::problem::Problem::new(
                    &cohort.manifest_path(),
                    crate::problem::ProblemKind::BadPath,
                    format!("the masks of other slices of {image}: {:?}", study.masks),
                    format!("{masks:?}"),
                );
                return Err(problem.at_row(record.row).into());
            }
        }
    }
    Ok(studies)
}
