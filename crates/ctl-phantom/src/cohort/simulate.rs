//! Draws the noises of every patient and follows them through the model.

use rayon::prelude::*;

use super::PhantomCohort;
use crate::key::Key;
use crate::model::{self, Model, NoiseKind};
use crate::site::{self, SiteRole};
use crate::{PhantomError, PhantomSample, PhantomSite, PhantomSpec, body};

/// Candidates that are looked at for one place: as nobody enters with less than a tenth, that none
/// of them does has a probability below 10⁻¹³⁰.
const CANDIDATES: u32 = 3000;

/// Simulates a cohort: factors and noises of every patient of every site, no pixels.
///
/// # Errors
///
/// [`PhantomError::InvalidSetting`] for a setting out of range, [`PhantomError::Model`] where the
/// model cannot be built or followed.
///
/// # Complexity
/// Some ten microseconds and some hundred bytes for a patient.
///
/// # Examples
///
/// ```
/// use ctl_phantom::{PhantomSpec, simulate};
///
/// let spec = PhantomSpec { patients_per_site: 3, seed: 7, ..PhantomSpec::default() };
/// let cohort = simulate(&spec)?;
/// // Three sources, the target, its reference of nine, three references without confounding.
/// assert_eq!(cohort.samples().len(), 3 * 3 + 3 + 9 + 3 * 3);
/// assert_eq!(cohort.samples(), simulate(&spec)?.samples());
/// # Ok::<(), ctl_phantom::PhantomError>(())
/// ```
pub fn simulate(spec: &PhantomSpec) -> Result<PhantomCohort, PhantomError> {
    spec.validate()?;
    let body = body::of(spec.anatomy);
    let (sites, laws) = site::sites(spec);
    let model = model::build(spec, body, &laws)?;
    let places = sites.iter().enumerate().flat_map(|(position, site)| {
        let count = site.samples.len();
        (0..count).map(move |index| (position, index))
    });
    let places: Vec<(usize, usize)> = places.collect();
    let samples: Result<Vec<_>, _> = places
        .into_par_iter()
        .map(|(position, index)| patient(spec, &sites, &model, position, index))
        .collect();
    Ok(PhantomCohort {
        spec: spec.clone(),
        body,
        samples: samples?,
        sites,
        laws,
        model,
    })
}

/// The first candidate for a place who enters.
fn patient(
    spec: &PhantomSpec,
    sites: &[PhantomSite],
    model: &Model,
    position: usize,
    index: usize,
) -> Result<PhantomSample, PhantomError> {
    let site = &sites[position];
    // The patients of a reference without confounding are those of its source.
    let home = site.source.unwrap_or(position);
    for attempt in 0..CANDIDATES {
        let key = Key {
            seed: spec.seed,
            site: &sites[home].name,
            index,
            attempt,
        };
        let noises = noises(model, &key, position, sites.len());
        let values = model.scm.predict(&noises)?;
        let enters = model.places.entered.is_none_or(|node| values[node] > 0.5);
        if enters {
            let mut sample = model.sample(position, values, noises);
            sample.id = format!("{}-{:06}", site.name, index + 1);
            sample.patient = patient_name(sites, home, index);
            sample.origin = (home, index);
            return Ok(sample);
        }
    }
    Err(PhantomError::NobodyEnters {
        site: site.name.clone(),
        candidates: CANDIDATES,
    })
}

/// Target and its reference are one hospital with different patients.
fn patient_name(sites: &[PhantomSite], home: usize, index: usize) -> String {
    let letter = match sites[home].role {
        SiteRole::TargetReference => 'r',
        _ => 'p',
    };
    format!("{}-{letter}{:06}", sites[home].name, index + 1)
}

fn noises(model: &Model, key: &Key<'_>, position: usize, sites: usize) -> Vec<f64> {
    let draw = |&(kind, name): &(NoiseKind, &'static str)| match kind {
        NoiseKind::Normal => key.normal(name),
        NoiseKind::Uniform => key.uniform(name),
    };
    let mut noises: Vec<f64> = model.noises.iter().map(draw).collect();
    // The middle of the interval that stands for this site.
    noises[model.places.site] = (position as f64 + 0.5) / sites as f64;
    noises
}

impl Model {
    /// A sample of some values; whose it is has to be filled in.
    pub(super) fn sample(&self, site: usize, values: Vec<f64>, noises: Vec<f64>) -> PhantomSample {
        let places = &self.places;
        let state = |node: usize| usize::from(values[node] > 0.5);
        let lab = (values[places.tested] > 0.5).then_some(values[places.lab]);
        PhantomSample {
            id: String::new(),
            patient: String::new(),
            site,
            label: state(places.label),
            true_label: state(places.disease),
            attributes: vec![Some(values[places.age]), Some(values[places.sex]), lab],
            values,
            noises,
            origin: (site, 0),
        }
    }
}
