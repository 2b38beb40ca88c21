//! The simulated cohort and the questions that it answers.

use rayon::prelude::*;

use super::intervention::{ChestIntervention, Identity, solve};
use super::noise::ChestNoise;
use super::render;
use super::sample::{ChestAcquisition, ChestSample};
use super::site::{Site, sites};
use super::spec::ChestSpec;
use crate::PhantomError;
use crate::stream::Streams;

/// A simulated cohort: sources, target and, for every film, all that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChestCohort {
    /// What was asked for.
    pub spec: ChestSpec,
    /// The source sites in order, then the target.
    pub sites: Vec<Site>,
    /// Site by site, [`ChestSpec::images_per_site`] each.
    pub samples: Vec<ChestSample>,
}

/// Simulates a cohort of chest-film-like images.
///
/// Every sample has random streams of its own, keyed by seed, site, index and purpose. The result
/// is the same on any number of threads; a dial changes only what descends from what it moves;
/// more images or more sites leave the noises of the others as they were.
///
/// # Errors
///
/// [`PhantomError::InvalidSetting`] where [`ChestSpec::validate`] finds one.
///
/// # Complexity
///
/// Proportional to the number of pixels; a 64-pixel film takes a core about a millisecond.
///
/// # Examples
///
/// ```
/// use ctl_phantom::{ChestSpec, simulate_chest};
///
/// let spec = ChestSpec { size: 16, images_per_site: 50, prevalence: 1.0, ..ChestSpec::default() };
/// let cohort = simulate_chest(&spec)?;
/// let diseased = |site: usize| {
///     cohort.samples.iter().filter(|sample| sample.site == site && sample.label).count()
/// };
/// assert!(diseased(0) > 15 && diseased(3) < 12); // P(disease) is 0.5 and 0.1
/// # Ok::<(), ctl_phantom::PhantomError>(())
/// ```
pub fn simulate_chest(spec: &ChestSpec) -> Result<ChestCohort, PhantomError> {
    spec.validate()?;
    let sites = sites(spec);
    let samples = (0..sites.len() * spec.images_per_site)
        .into_par_iter()
        .map(|index| {
            let (site, index) = (index / spec.images_per_site, index % spec.images_per_site);
            simulate_one(spec, &sites, site, index)
        })
        .collect();
    Ok(ChestCohort {
        spec: spec.clone(),
        sites,
        samples,
    })
}

fn simulate_one(spec: &ChestSpec, sites: &[Site], site: usize, index: usize) -> ChestSample {
    let name = &sites[site].name;
    let noise = ChestNoise::draw(Streams {
        seed: spec.seed,
        site: name,
        index,
    });
    let identity = Identity {
        id: format!("{name}-{index:05}"),
        patient: format!("{name}-p{index:05}"),
        site,
    };
    solve(spec, sites, identity, noise, &ChestIntervention::default())
}

impl ChestCohort {
    /// Index of the target in [`ChestCohort::sites`].
    pub fn target(&self) -> usize {
        self.sites.len() - 1
    }

    /// The same patient, had the intervention been made: abduct, act, predict.
    ///
    /// Exact, because the noises are known: what does not descend from the intervention stays as it
    /// is, and the empty intervention gives the same bytes. A counterfactual keeps id and patient.
    ///
    /// # Errors
    ///
    /// [`PhantomError::NoSuchSample`], [`PhantomError::NoSuchSite`] for an index beyond the end,
    /// [`PhantomError::InvalidSetting`] for an age outside 18 to 95 years.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::{ChestIntervention, ChestSpec, simulate_chest};
    ///
    /// let spec = ChestSpec { size: 32, images_per_site: 2, ..ChestSpec::default() };
    /// let cohort = simulate_chest(&spec)?;
    /// let same = cohort.counterfactual(3, &ChestIntervention::default())?;
    /// assert_eq!(same, cohort.samples[3]);
    ///
    /// let cured = ChestIntervention { disease: Some(false), ..ChestIntervention::default() };
    /// let twin = cohort.counterfactual(3, &cured)?;
    /// assert_eq!((twin.severity, twin.opacities.len()), (0.0, 0));
    /// assert_eq!(twin.anatomy, cohort.samples[3].anatomy);
    /// # Ok::<(), ctl_phantom::PhantomError>(())
    /// ```
    pub fn counterfactual(
        &self,
        index: usize,
        intervention: &ChestIntervention,
    ) -> Result<ChestSample, PhantomError> {
        let sample = self.sample(index)?;
        intervention.validate(sample.site, self.sites.len())?;
        let identity = Identity {
            id: sample.id.clone(),
            patient: sample.patient.clone(),
            site: sample.site,
        };
        let noise = sample.noise.clone();
        Ok(solve(
            &self.spec,
            &self.sites,
            identity,
            noise,
            intervention,
        ))
    }

    /// The same patient on the reference scanner ([`ChestAcquisition::NEUTRAL`]), without tube and
    /// marker, `[H, W]`, 0 to 1: what an oracle sees that no shortcut can mislead.
    ///
    /// # Panics
    ///
    /// Where `index` is not an index into [`ChestCohort::samples`], as indexing does.
    pub fn without_shortcut(&self, index: usize) -> Vec<f32> {
        render::film(
            &self.samples[index],
            &ChestAcquisition::NEUTRAL,
            self.spec.size,
        )
    }

    /// The same patient filmed with the settings that are given, `[H, W]`, 0 to 1.
    ///
    /// # Errors
    ///
    /// [`PhantomError::NoSuchSample`] for an index beyond the end,
    /// [`PhantomError::InvalidSetting`] for a setting that is negative, not a number or more than
    /// 100.
    pub fn retake(
        &self,
        index: usize,
        acquisition: &ChestAcquisition,
    ) -> Result<Vec<f32>, PhantomError> {
        acquisition.validate()?;
        let sample = self.sample(index)?;
        Ok(render::film(sample, acquisition, self.spec.size))
    }

    /// How much of each pixel is lung, `[H, W]`, 0 to 1: where the disease can show.
    ///
    /// # Errors
    ///
    /// [`PhantomError::NoSuchSample`] for an index beyond the end.
    pub fn lung_field(&self, index: usize) -> Result<Vec<f32>, PhantomError> {
        Ok(render::lung_field(
            &self.sample(index)?.anatomy,
            self.spec.size,
        ))
    }

    fn sample(&self, index: usize) -> Result<&ChestSample, PhantomError> {
        self.samples.get(index).ok_or(PhantomError::NoSuchSample {
            index,
            count: self.samples.len(),
        })
    }
}
