//! Sources, target and their parts, by patient.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ctl_compute::random::{permutation, stream};
use ctl_imaging::{MaskRole, Split, split_patients};
use ctl_invariance::LearnsFrom;
use ctl_phantom::SiteRole;

use super::cohort::CohortData;
use super::held_out::leave_out;
use crate::spec::Shares;
use crate::vocabulary::{Protocol, Task};
use crate::{HarnessError, Result};

const SOURCE_ROLES: [Role; 3] = [Role::Train, Role::Validation, Role::Scored];
/// Shares are told apart down to the inverse of this.
const SHARE_STEPS: f64 = 1e9;
const TARGET_ROLES: [Role; 2] = [Role::Adaptation, Role::Scored];
/// Shares of a site that is source and target, in the order of [`SHARED_ROLES`]; what is scored on
/// the target is the in-distribution test as well.
const SHARED_SHARES: [f64; 4] = [0.5, 0.12, 0.13, 0.25];
const SHARED_ROLES: [Role; 4] = [
    Role::Train,
    Role::Validation,
    Role::Adaptation,
    Role::Scored,
];

const VALIDATED_ON_IMAGES: &str =
    "too few patients to validate: a fifth of the training images does";

/// What a patient's images are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Train,
    Validation,
    /// Open to adaptation and to the oracle; never scored.
    Adaptation,
    /// Scored: on the target, or in distribution.
    Scored,
}

/// Shares of patients that an upper reference learns from, in the order of [`REFERENCE_ROLES`].
const REFERENCE_SHARES: [f64; 2] = [0.8, 0.2];
const REFERENCE_ROLES: [Role; 2] = [Role::Train, Role::Validation];

/// What decides how a cohort is divided for a run.
#[derive(Clone, Copy, Debug)]
pub struct Arrangement<'a> {
    /// The task; anomaly detection trains on normal images only.
    pub task: Task,
    /// How sources and target are made.
    pub protocol: Protocol,
    /// Source sites.
    pub sources: &'a [String],
    /// The target site.
    pub target: &'a str,
    /// The source that is left out and scored in the target's place.
    pub held_out: Option<&'a str>,
    /// Seed of the division.
    pub seed: u64,
    /// Whose labelled images the method learns from.
    pub learns_from: LearnsFrom,
    /// Shares of the patients of a site where a target is held out.
    pub shares: Shares,
    /// Most images of a part of a site that are scored.
    pub score_at_most: Option<usize>,
}

/// One use of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Indices into the cohort's samples.
    pub samples: Vec<usize>,
}

/// The parts of a run's data.
///
/// Nobody whose images are scored, on the target or in distribution, has images in a part that is
/// learnt from or chosen by, at whichever site they were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whose masks are learnt from and validated by.
    pub train_observer: MaskRole,
    /// Whose masks the target is scored by, and the oracle chooses by.
    pub target_observer: MaskRole,
    /// What a reader of the results should know of the division.
    pub notes: Vec<String>,
}

/// Most divisions of a cohort that are remembered.
const REMEMBERED: usize = 32;

/// The divisions of a cohort that were asked for last: methods and draws of a cell share theirs, and
/// dividing many thousand patients takes longer than some runs' steps.
#[derive(Default)]
pub(super) struct Divisions {
    made: Mutex<VecDeque<(String, Arc<Parts>)>>,
}

impl CohortData {
    /// As [`split`], which is asked only for arrangements that were not met lately.
    ///
    /// # Errors
    /// Those of [`split`].
    pub(crate) fn divided(&self, arrangement: &Arrangement<'_>) -> Result<Arc<Parts>> {
        let key = format!("{arrangement:?}");
        let made = || {
            let lock = self.divisions.made.lock();
            lock.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((_, parts)) = made().iter().find(|(of, _)| *of == key) {
            return Ok(Arc::clone(parts));
        }
        let parts = Arc::new(split(self, arrangement)?);
        let mut made = made();
        if made.len() == REMEMBERED {
            made.pop_front();
        }
        made.push_back((key, Arc::clone(&parts)));
        Ok(parts)
    }
}

/// Divides a cohort for one run.
///
/// A patient has one role, whatever the number of sites where images were taken: the role drawn at
/// the target, else at the first source; target patients who are not scored may train or validate
/// at a source as well.
/// Where no patient is left to validate, which happens to cohorts of a few, a fifth of the training
/// images validates, and a note says so.
/// Where the manifest prescribes a split it is kept for source sites (`test` is scored in
/// distribution); a part that it lacks is cut out of `train`. It is kept for a single site as well
/// where it gives every patient a part and no part is empty. A target site, and the sites of a
/// mixture, are divided by the seed alone.
///
/// # Errors
/// When a site does not exist or leaves a needed part empty.
pub fn split(cohort: &CohortData, arrangement: &Arrangement<'_>) -> Result<Parts> {
    let division = Division {
        cohort,
        seed: arrangement.seed,
        shares: arrangement.shares,
        roles: BTreeMap::new(),
        at_several: BTreeSet::new(),
        notes: Vec::new(),
    };
    let (sources, target) = (arrangement.sources, arrangement.target);
    let mut parts = match arrangement.protocol {
        Protocol::NamedTarget | Protocol::LeaveOneSiteOut => division.hold_out(sources, target)?,
        Protocol::SiteLabelMixture => division.mixture(sources, target)?,
        Protocol::SingleSite => division.single_site(target)?,
        Protocol::SecondObserver => division.second_observer(sources, target)?,
    };
    learn_from(cohort, arrangement, &mut parts)?;
    leave_out(cohort, arrangement, &mut parts)?;
    if arrangement.task == Task::Anomaly {
        keep_normal(cohort, &mut parts);
    }
    let empty = |part: &Part| part.samples.is_empty();
    if parts.in_distribution.iter().all(empty) && arrangement.shares.test <= 0.0 {
        parts.in_distribution.clone_from(&parts.validation);
        parts
            .notes
            .push("in distribution the patients are scored who validate".into());
    }
    if parts.validation.iter().all(empty) && arrangement.learns_from != LearnsFrom::TrueFactors {
        validate_on_images(&mut parts);
    }
    if parts.train.iter().any(empty) || empty(&parts.target) || empty(&parts.adaptation) {
        return Err(HarnessError::Config {
            origin: format!("cohort split for target {target}"),
            key: "patients".into(),
            message: "a source or the target has too few patients to be divided, or its \
                      prescribed split leaves none to train on"
                .into(),
        });
    }
    if let Some(most) = arrangement.score_at_most {
        let scored = parts.validation.iter_mut();
        let scored = scored.chain(&mut parts.in_distribution);
        for part in scored.chain([&mut parts.target]) {
            part.samples = thinned(&part.samples, most, arrangement.seed);
        }
    }
    Ok(parts)
}

/// Gives an upper reference what it learns from.
///
/// On a simulated cohort there are patients for it alone, or the sources' patients as they would
/// have come without confounding, of whom those who are scored are left out. Else it learns from
/// the target's patients that are open to adaptation, and whoever chooses sees those of them that
/// it did not learn from.
fn learn_from(cohort: &CohortData, arrangement: &Arrangement<'_>, parts: &mut Parts) -> Result<()> {
    let role = match arrangement.learns_from {
        LearnsFrom::Sources | LearnsFrom::TrueFactors => return Ok(()),
        LearnsFrom::Target => SiteRole::TargetReference,
        LearnsFrom::UnconfoundedSources => SiteRole::InterventionalReference,
    };
    let patient = |s: usize| cohort.samples[s].patient.as_str();
    let sites = cohort.sites_for(role);
    let groups: Vec<Vec<usize>> = if sites.is_empty() {
        vec![parts.adaptation.samples.clone()]
    } else {
        let scored: BTreeSet<&str> = (parts.in_distribution.iter().chain([&parts.target]))
            .flat_map(|part| part.samples.iter().map(|&s| patient(s)))
            .collect();
        let unscored = |&s: &usize| !scored.contains(patient(s));
        let of_site = |&site: &usize| samples_of(cohort, site).filter(unscored).collect();
        sites.iter().map(of_site).collect()
    };
    (parts.train, parts.validation) = (Vec::new(), Vec::new());
    for samples in groups {
        let [mut train, mut validation] = reference_parts(cohort, &samples, arrangement.seed)?;
        if validation.samples.is_empty() {
            validation = every_fifth(&mut train);
            parts.notes.push(VALIDATED_ON_IMAGES.into());
        }
        if sites.is_empty() {
            parts.adaptation = validation.clone();
        }
        parts.train.push(train);
        parts.validation.push(validation);
    }
    if arrangement.learns_from == LearnsFrom::Target {
        parts.train_observer = parts.target_observer;
    }
    Ok(())
}

fn reference_parts(cohort: &CohortData, samples: &[usize], seed: u64) -> Result<[Part; 2]> {
    let roles = assign(cohort, samples, (REFERENCE_SHARES, REFERENCE_ROLES), seed)?;
    Ok(REFERENCE_ROLES.map(|role| Part {
        samples: samples
            .iter()
            .copied()
            .filter(|&s| roles.get(cohort.samples[s].patient.as_str()) == Some(&role))
            .collect(),
    }))
}

/// Takes every fifth training image for validation, although its patient trains.
fn validate_on_images(parts: &mut Parts) {
    parts.validation = parts.train.iter_mut().map(every_fifth).collect();
    let some = parts.validation.iter().any(|part| !part.samples.is_empty());
    parts.notes.push(if some {
        VALIDATED_ON_IMAGES.into()
    } else {
        "too few images to validate: the first checkpoint is kept".into()
    });
}

fn every_fifth(train: &mut Part) -> Part {
    let mut index = 0;
    let mut taken = Vec::new();
    train.samples.retain(|&sample| {
        index += 1;
        let keeps = index % 5 != 0;
        if !keeps {
            taken.push(sample);
        }
        keeps
    });
    Part { samples: taken }
}

/// Training and validation of anomaly detection see no anomaly.
fn keep_normal(cohort: &CohortData, parts: &mut Parts) {
    let normal = |part: &mut Part| part.samples.retain(|&s| cohort.samples[s].label == 0);
    parts.train.iter_mut().for_each(normal);
    parts.validation.iter_mut().for_each(normal);
}

/// Divides samples by patient, stratified by class.
pub(super) fn assign<'a, const N: usize>(
    cohort: &'a CohortData,
    samples: &[usize],
    (shares, roles): ([f64; N], [Role; N]),
    seed: u64,
) -> Result<BTreeMap<&'a str, Role>> {
    let patient = |&s: &usize| cohort.samples[s].patient.as_str();
    let patients: Vec<&str> = samples.iter().map(patient).collect();
    let labels: Vec<usize> = samples.iter().map(|&s| cohort.samples[s].label).collect();
    let assigned = split_patients(&patients, &shares, seed, Some(&labels))?;
    Ok(patients
        .into_iter()
        .zip(assigned)
        .map(|(patient, part)| (patient, roles[part]))
        .collect())
}

/// The division of one cohort as it grows, site by site.
struct Division<'a> {
    cohort: &'a CohortData,
    seed: u64,
    shares: Shares,
    roles: BTreeMap<&'a str, Role>,
    /// Patients who were met again at another site.
    at_several: BTreeSet<&'a str>,
    notes: Vec<String>,
}

impl<'a> Division<'a> {
    fn hold_out(mut self, sources: &[String], target: &str) -> Result<Parts> {
        let mut parts = Parts::empty();
        let site = self.cohort.site(target)?;
        let open = self.shares.open;
        let drawn = self.draw(site, [open, 1.0 - open], TARGET_ROLES)?;
        self.settle(&drawn);
        [parts.adaptation, parts.target] = self.parts_of(site, TARGET_ROLES, |_| true);
        for source in sources {
            let site = self.cohort.site(source)?;
            let drawn = self.source_roles(site)?;
            self.settle(&drawn);
            let [train, validation, test] = self.parts_of(site, SOURCE_ROLES, |_| true);
            parts.train.push(train);
            parts.validation.push(validation);
            parts.in_distribution.push(test);
        }
        Ok(self.finish(parts))
    }

    /// Sources are the negatives of the first site and the positives of the second.
    fn mixture(mut self, sources: &[String], target: &str) -> Result<Parts> {
        let mut parts = Parts::empty();
        let mut sites = Vec::new();
        for source in sources {
            sites.push(self.cohort.site(source)?);
        }
        let target = self.cohort.site(target)?;
        let drawn = self.draw(target, SHARED_SHARES, SHARED_ROLES)?;
        self.settle(&drawn);
        [parts.adaptation, parts.target] = self.parts_of(target, TARGET_ROLES, |_| true);
        for &site in sites.iter().filter(|&&site| site != target) {
            let drawn = self.draw(site, SHARED_SHARES, SHARED_ROLES)?;
            self.settle(&drawn);
        }
        for (label, site) in sites.into_iter().enumerate() {
            let [train, validation, test] =
                self.parts_of(site, SOURCE_ROLES, |class| usize::from(class > 0) == label);
            parts.train.push(train);
            parts.validation.push(validation);
            parts.in_distribution.push(test);
        }
        Ok(self.finish(parts))
    }

    /// One site is the source and, with other patients, the target.
    fn single_site(mut self, target: &str) -> Result<Parts> {
        let site = self.cohort.site(target)?;
        let prescribed = self.prescribed(site);
        let in_all_parts = SOURCE_ROLES
            .iter()
            .all(|role| prescribed.values().any(|of| of == role));
        if in_all_parts && prescribed.len() == self.cohort.patients(site) {
            self.settle(&prescribed);
            let [train, validation, scored] = self.parts_of(site, SOURCE_ROLES, |_| true);
            self.notes
                .push("as the manifest splits it; the oracle chooses by its validation".into());
            let parts = Parts {
                train: vec![train],
                adaptation: validation.clone(),
                validation: vec![validation],
                in_distribution: vec![scored.clone()],
                target: scored,
                ..Parts::empty()
            };
            return Ok(self.finish(parts));
        }
        let drawn = self.draw(site, SHARED_SHARES, SHARED_ROLES)?;
        self.settle(&drawn);
        let [train, validation, adaptation, scored] = self.parts_of(site, SHARED_ROLES, |_| true);
        let parts = Parts {
            train: vec![train],
            validation: vec![validation],
            in_distribution: vec![scored.clone()],
            adaptation,
            target: scored,
            ..Parts::empty()
        };
        Ok(self.finish(parts))
    }

    /// Sources carry the first observer's masks, the target is other patients of one of them,
    /// scored by the second observer; in distribution the same images are scored by the first.
    fn second_observer(mut self, sources: &[String], target: &str) -> Result<Parts> {
        let site = self.cohort.site(target)?;
        let drawn = self.draw(site, SHARED_SHARES, SHARED_ROLES)?;
        self.settle(&drawn);
        let mut parts = Parts::empty();
        [parts.adaptation, parts.target] = self.parts_of(site, TARGET_ROLES, |_| true);
        for part in [&mut parts.adaptation, &mut parts.target] {
            let observed = |s: usize| self.cohort.images.has_mask(s, MaskRole::SecondObserver);
            part.samples.retain(|&s| observed(s));
        }
        parts.in_distribution = vec![parts.target.clone()];
        for source in sources {
            let own = self.cohort.site(source)?;
            if own != site {
                let drawn = self.source_roles(own)?;
                self.settle(&drawn);
            }
            let [train, validation, _] = self.parts_of(own, SOURCE_ROLES, |_| true);
            parts.train.push(train);
            parts.validation.push(validation);
        }
        parts.target_observer = MaskRole::SecondObserver;
        Ok(self.finish(parts))
    }

    fn finish(self, mut parts: Parts) -> Parts {
        parts.notes = self.notes;
        if !self.at_several.is_empty() {
            parts.notes.push(format!(
                "{} patients have images at several sites; none of them is both seen and scored",
                self.at_several.len()
            ));
        }
        parts
    }

    /// Gives patients the role drawn, unless they have one.
    ///
    /// Who is open to adaptation on the target may train or validate at a source, and is never
    /// scored there.
    fn settle(&mut self, drawn: &BTreeMap<&'a str, Role>) {
        for (&patient, &role) in drawn {
            match self.roles.get(patient) {
                None => drop(self.roles.insert(patient, role)),
                Some(Role::Adaptation) => {
                    let unscored = if role == Role::Scored {
                        Role::Train
                    } else {
                        role
                    };
                    self.roles.insert(patient, unscored);
                    self.at_several.insert(patient);
                }
                Some(_) => drop(self.at_several.insert(patient)),
            }
        }
    }

    /// The samples of a site by role, of the classes that are kept.
    fn parts_of<const N: usize>(
        &self,
        site: usize,
        roles: [Role; N],
        keep: impl Fn(usize) -> bool,
    ) -> [Part; N] {
        roles.map(|role| Part {
            samples: samples_of(self.cohort, site)
                .filter(|&s| {
                    let sample = &self.cohort.samples[s];
                    self.roles.get(sample.patient.as_str()) == Some(&role) && keep(sample.label)
                })
                .collect(),
        })
    }

    /// Roles at a source site: drawn, then overruled by what the manifest prescribes.
    fn source_roles(&mut self, site: usize) -> Result<BTreeMap<&'a str, Role>> {
        let Shares {
            validation, test, ..
        } = self.shares;
        // 1 − 0.15 − 0.2 falls short of 0.65 by a rounding error, and with it a patient.
        let train = ((1.0 - validation - test) * SHARE_STEPS).round() / SHARE_STEPS;
        let mut roles = if test > 0.0 {
            self.draw(site, [train, validation, test], SOURCE_ROLES)?
        } else {
            self.draw(site, [train, validation], [Role::Train, Role::Validation])?
        };
        let prescribed = self.prescribed(site);
        if prescribed.is_empty() {
            return Ok(roles);
        }
        let has = |role: Role| prescribed.values().any(|&p| p == role);
        let missing: Vec<Role> = [Role::Validation, Role::Scored]
            .into_iter()
            .filter(|&role| !has(role))
            .collect();
        for (patient, role) in &prescribed {
            // What is drawn for someone in `train` fills the parts that the manifest lacks.
            let fills =
                *role == Role::Train && roles.get(patient).is_some_and(|r| missing.contains(r));
            if !fills {
                roles.insert(patient, *role);
            }
        }
        for role in missing {
            let part = if role == Role::Scored { "test" } else { "val" };
            let name = &self.cohort.sites[site];
            self.notes.push(format!(
                "the split of {name} has no {part}: it was cut out of train"
            ));
        }
        Ok(roles)
    }

    /// What the manifest says of the patients of a site.
    fn prescribed(&self, site: usize) -> BTreeMap<&'a str, Role> {
        samples_of(self.cohort, site)
            .filter_map(|s| {
                let sample = &self.cohort.samples[s];
                let role = match sample.split? {
                    Split::Train => Role::Train,
                    Split::Validation => Role::Validation,
                    Split::Test => Role::Scored,
                };
                Some((sample.patient.as_str(), role))
            })
            .collect()
    }

    fn draw<const N: usize>(
        &self,
        site: usize,
        shares: [f64; N],
        roles: [Role; N],
    ) -> Result<BTreeMap<&'a str, Role>> {
        let samples: Vec<usize> = samples_of(self.cohort, site).collect();
        assign(self.cohort, &samples, (shares, roles), self.seed)
    }
}

impl Parts {
    pub(crate) fn empty() -> Self {
        Self {
            train: Vec::new(),
            validation: Vec::new(),
            in_distribution: Vec::new(),
            adaptation: Part::default(),
            target: Part::default(),
            train_observer: MaskRole::Annotation,
            target_observer: MaskRole::Annotation,
            notes: Vec::new(),
        }
    }
}

/// At most so many of the samples, drawn at random, in their order.
pub(crate) fn thinned(samples: &[usize], most: usize, seed: u64) -> Vec<usize> {
    if samples.len() <= most {
        return samples.to_vec();
    }
    let mut rng = stream(seed, "parts", "which are scored");
    let mut kept = permutation(&mut rng, samples.len());
    kept.truncate(most);
    kept.sort_unstable();
    kept.into_iter().map(|place| samples[place]).collect()
}

fn samples_of(cohort: &CohortData, site: usize) -> impl Iterator<Item = usize> {
    (0..cohort.samples.len()).filter(move |&s| cohort.samples[s].site == site)
}
