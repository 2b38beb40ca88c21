//! Loading cohorts.

use std::path::Path;
use std::sync::Arc;

use ctl_compute::runtime::on_every_core;
use ctl_imaging::{Cohort, Colour, HashDepth, ImageRequest, ImageStore, Split, data_hash};
use ctl_phantom::{ChestSpec, simulate_chest};

use super::images::ImageBank;
use crate::spec::{CohortSpec, Training};
use crate::{HarnessError, Result};

/// Decoded images up to this size stay in memory.
const CACHE_BYTES: usize = 2 << 30;

/// One labelled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name in `predictions.csv`: the path in the manifest, or the simulated id.
    pub id: String,
    /// Index of the site.
    pub site: usize,
    /// Patient; all images of one stay together.
    pub patient: String,
    /// Class index.
    pub label: usize,
    /// Part of the data that the cohort itself prescribes.
    pub split: Option<Split>,
}

/// A cohort in the form that runs use.
pub struct CohortData {
    /// What determines its content.
    pub spec: CohortSpec,
    /// Names of the sites.
    pub sites: Vec<String>,
    /// Names of the classes, at least two.
    pub classes: Vec<String>,
    /// The labelled images.
    pub samples: Vec<Sample>,
    /// Their pixels.
    pub images: ImageBank,
}

impl CohortData {
    /// Number of images of each class at a site.
    pub fn class_counts(&self, site: usize) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in self.samples.iter().filter(|s| s.site == site) {
            counts[sample.label] += 1;
        }
        counts
    }

    /// Index of a site by name.
    ///
    /// # Errors
    /// When there is none of that name; the message lists those there are.
    pub fn site(&self, name: &str) -> Result<usize> {
        self.sites
            .iter()
            .position(|site| site == name)
            .ok_or_else(|| HarnessError::Unknown {
                what: "site",
                name: name.to_owned(),
                known: self.sites.clone(),
            })
    }
}

/// Simulates a cohort of chest films.
///
/// # Errors
/// When a setting of the simulator is out of range.
pub fn load_chest(spec: &ChestSpec) -> Result<CohortData> {
    let cohort = simulate_chest(spec)?;
    let samples = cohort.samples.iter().map(|s| Sample {
        id: s.id.clone(),
        site: s.site,
        patient: s.patient.clone(),
        label: usize::from(s.label),
        split: None,
    });
    Ok(CohortData {
        spec: CohortSpec::Chest { spec: spec.clone() },
        sites: cohort.sites.iter().map(|site| site.name.clone()).collect(),
        classes: vec!["healthy".into(), "opacity".into()],
        samples: samples.collect(),
        images: ImageBank::of_chest(&cohort),
    })
}

/// Opens a cohort on disk for classification; images without a label are left out.
///
/// # Errors
/// When manifest or configuration are at fault, or fewer than two classes have labels.
pub fn load_folder(folder: &Path, training: &Training) -> Result<CohortData> {
    let cohort = Arc::new(Cohort::open(folder)?);
    let mut samples = Vec::new();
    let mut records = Vec::new();
    for (index, record) in cohort.records().iter().enumerate() {
        let Some(label) = record.label else {
            continue;
        };
        records.push(index);
        samples.push(Sample {
            id: record.path.clone(),
            site: record.site,
            patient: record.patient.clone(),
            label,
            split: record.split,
        });
    }
    if cohort.classes().len() < 2 || samples.is_empty() {
        return Err(HarnessError::Data {
            path: folder.join("manifest.csv"),
            message: format!(
                "classification needs at least two classes with labels, found classes {:?} and {} \
                 labelled images",
                cohort.classes(),
                samples.len()
            ),
        });
    }
    let request = ImageRequest {
        height: training.size,
        width: training.size,
        colour: if training.colour {
            Colour::Rgb
        } else {
            Colour::Grey
        },
    };
    Ok(CohortData {
        spec: CohortSpec::Folder {
            hash: on_every_core(|| data_hash(&cohort, HashDepth::Contents))??,
        },
        sites: cohort.sites().to_vec(),
        classes: cohort.classes().to_vec(),
        samples,
        images: ImageBank::Store {
            store: Box::new(ImageStore::new(cohort, request, CACHE_BYTES)),
            records,
        },
    })
}
