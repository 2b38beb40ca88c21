//! Sources, target and their parts, by patient.

use ctl_imaging::{Split, split_patients};

use super::cohort::CohortData;
use crate::vocabulary::Protocol;
use crate::{HarnessError, Result};

/// Shares of a source site: training, validation, in-distribution test.
const SOURCE_SHARES: [f64; 3] = [0.65, 0.15, 0.20];
/// Shares of a target site: adaptation and oracle selection, scored.
const TARGET_SHARES: [f64; 2] = [0.5, 0.5];
/// Shares of a site that is source and target of a mixture: training, validation,
/// adaptation, scored (which is the in-distribution test as well).
const MIXTURE_SHARES: [f64; 4] = [0.5, 0.12, 0.13, 0.25];

/// One use of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Indices into the cohort's samples.
    pub samples: Vec<usize>,
}

/// The parts of a run's data; every patient is in one of them, except that in a mixture the
/// in-distribution test shares patients with the target's scored part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Training samples by source environment.
    pub train: Vec<Part>,
    /// Validation samples by source environment.
    pub validation: Vec<Part>,
    /// In-distribution test samples by source environment.
    pub in_distribution: Vec<Part>,
    /// Target samples open to adaptation (without labels) and to the oracle.
    pub adaptation: Part,
    /// Target samples that are scored.
    pub target: Part,
}

/// Divides a cohort for one run.
///
/// Where the manifest prescribes a split it is kept for source sites; a target site is divided by
/// the seed alone.
///
/// # Errors
/// When a site does not exist or leaves a needed part empty.
pub fn split(
    cohort: &CohortData,
    protocol: Protocol,
    sources: &[String],
    target: &str,
    seed: u64,
) -> Result<Parts> {
    let parts = match protocol {
        Protocol::SiteLabelMixture => mixture(cohort, sources, target, seed)?,
        Protocol::NamedTarget | Protocol::LeaveOneSiteOut => {
            hold_out(cohort, sources, target, seed)?
        }
    };
    let empty = |part: &Part| part.samples.is_empty();
    if parts.train.iter().any(empty) || empty(&parts.target) || empty(&parts.adaptation) {
        return Err(HarnessError::Config {
            origin: format!("cohort split for target {target}"),
            key: "patients".into(),
            message: "a source or the target has too few patients to be divided".into(),
        });
    }
    Ok(parts)
}

fn hold_out(cohort: &CohortData, sources: &[String], target: &str, seed: u64) -> Result<Parts> {
    let mut parts = Parts::default();
    for source in sources {
        let site = cohort.site(source)?;
        let [train, validation, test] = source_parts(cohort, site, seed)?;
        parts.train.push(train);
        parts.validation.push(validation);
        parts.in_distribution.push(test);
    }
    let [adaptation, scored] = divide(cohort, cohort.site(target)?, TARGET_SHARES, seed)?;
    parts.adaptation = adaptation;
    parts.target = scored;
    Ok(parts)
}

/// Sources are the negatives of the first site and the positives of the second.
fn mixture(cohort: &CohortData, sources: &[String], target: &str, seed: u64) -> Result<Parts> {
    let mut parts = Parts::default();
    for (label, source) in sources.iter().enumerate() {
        let site = cohort.site(source)?;
        let of_class = |part: &Part| Part {
            samples: part
                .samples
                .iter()
                .copied()
                .filter(|&s| usize::from(cohort.samples[s].label > 0) == label)
                .collect(),
        };
        let [train, validation, adaptation, scored] = divide(cohort, site, MIXTURE_SHARES, seed)?;
        parts.train.push(of_class(&train));
        parts.validation.push(of_class(&validation));
        parts.in_distribution.push(of_class(&scored));
        if source == target {
            parts.adaptation = adaptation;
            parts.target = scored;
        }
    }
    if !sources.iter().any(|source| source == target) {
        let [adaptation, scored] = divide(cohort, cohort.site(target)?, TARGET_SHARES, seed)?;
        parts.adaptation = adaptation;
        parts.target = scored;
    }
    Ok(parts)
}

/// The manifest's split where every sample of the site has one, else a drawn one.
fn source_parts(cohort: &CohortData, site: usize, seed: u64) -> Result<[Part; 3]> {
    let samples = samples_of(cohort, site);
    let prescribed = |split: Split| Part {
        samples: samples
            .iter()
            .copied()
            .filter(|&s| cohort.samples[s].split == Some(split))
            .collect(),
    };
    let all: Vec<Part> = [Split::Train, Split::Validation, Split::Test]
        .into_iter()
        .map(prescribed)
        .collect();
    let complete = all.iter().map(|p| p.samples.len()).sum::<usize>() == samples.len();
    if complete && all.iter().all(|part| !part.samples.is_empty()) {
        let mut all = all.into_iter();
        return Ok(std::array::from_fn(|_| all.next().unwrap_or_default()));
    }
    divide(cohort, site, SOURCE_SHARES, seed)
}

fn samples_of(cohort: &CohortData, site: usize) -> Vec<usize> {
    (0..cohort.samples.len())
        .filter(|&s| cohort.samples[s].site == site)
        .collect()
}

/// Divides a site by patient, stratified by class.
fn divide<const N: usize>(
    cohort: &CohortData,
    site: usize,
    shares: [f64; N],
    seed: u64,
) -> Result<[Part; N]> {
    let samples = samples_of(cohort, site);
    let patients: Vec<&str> = samples
        .iter()
        .map(|&s| cohort.samples[s].patient.as_str())
        .collect();
    let labels: Vec<usize> = samples.iter().map(|&s| cohort.samples[s].label).collect();
    let assigned = split_patients(&patients, &shares, seed, Some(&labels))?;
    let mut parts: [Part; N] = std::array::from_fn(|_| Part::default());
    for (&sample, part) in samples.iter().zip(assigned) {
        parts[part].samples.push(sample);
    }
    Ok(parts)
}
