//! Interventions and the abduct, act, predict of one sample.

use serde::{Deserialize, Serialize};

use super::mechanism;
use super::noise::ChestNoise;
use super::render;
use super::sample::{ChestAcquisition, ChestAttributes, ChestSample, Sex};
use super::site::Site;
use super::spec::ChestSpec;
use crate::PhantomError;

/// What is set from outside; `None` leaves a variable to its own mechanism.
///
/// What descends from a variable that is set follows: `disease: Some(false)` in a site that gives
/// tubes to the diseased may take the tube away, and setting `tube` as well holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChestIntervention {
    /// Index of the site where the patient is instead seen; every mechanism of that site applies.
    pub site: Option<usize>,
    /// Index of the site whose scanner takes the film: gain, gamma, noise and blur, nothing else.
    pub acquisition: Option<usize>,
    /// Age in years, 18 to 95.
    pub age: Option<f64>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Whether the patient has the disease.
    pub disease: Option<bool>,
    /// Whether a tube lies on the chest.
    pub tube: Option<bool>,
    /// Whether a marker lies in the corner.
    pub marker: Option<bool>,
}

impl ChestIntervention {
    /// Checks the sites, the patient's own included, against their number and the age against its
    /// range.
    pub(crate) fn validate(&self, own_site: usize, sites: usize) -> Result<(), PhantomError> {
        let named = [Some(own_site), self.site, self.acquisition];
        for site in named.into_iter().flatten() {
            if site >= sites {
                return Err(PhantomError::NoSuchSite { site, count: sites });
            }
        }
        let [youngest, oldest] = mechanism::AGE_RANGE;
        match self.age {
            Some(age) if !(youngest..=oldest).contains(&age) => Err(PhantomError::InvalidSetting {
                key: "age",
                value: age.to_string(),
                allowed: "a number of years from 18 to 95",
            }),
            _ => Ok(()),
        }
    }
}

/// Who a sample is, apart from all that the model determines.
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) patient: String,
    pub(crate) site: usize,
}

/// Solves the structural equations in causal order. The intervention must be valid.
pub(crate) fn solve(
    spec: &ChestSpec,
    sites: &[Site],
    identity: Identity,
    noise: ChestNoise,
    act: &ChestIntervention,
) -> ChestSample {
    let index = act.site.unwrap_or(identity.site);
    let site = &sites[index];
    let attributes = ChestAttributes {
        age: act.age.unwrap_or_else(|| mechanism::age(site, &noise)),
        sex: act.sex.unwrap_or_else(|| mechanism::sex(&noise)),
    };
    let label = act
        .disease
        .unwrap_or_else(|| mechanism::disease(site, attributes.age, &noise));
    let severity = mechanism::severity(spec.severity, label, &noise);
    let scanner_site = act.acquisition.map_or(site, |other| &sites[other]);
    let tube = mechanism::tube(site, label, &noise);
    let marker = mechanism::marker(site, label, &noise);
    let acquisition = ChestAcquisition {
        tube: act.tube.unwrap_or(tube),
        marker: act.marker.unwrap_or(marker),
        ..mechanism::scanner(scanner_site, &noise)
    };
    let mut sample = ChestSample {
        id: identity.id,
        patient: identity.patient,
        site: index,
        attributes,
        label,
        severity,
        anatomy: mechanism::anatomy(attributes, &noise),
        opacities: mechanism::opacities(severity, &noise),
        acquisition,
        noise,
        image: Vec::new(),
    };
    sample.image = render::film(&sample, &sample.acquisition, spec.size);
    sample
}
