//! The same patient, had something been otherwise.

use ctl_graph::NodeId;
use ctl_graph::model::Intervention;

use super::PhantomCohort;
use crate::model::mechanism;
use crate::{PhantomError, PhantomSample};

/// Nodes with the states 0 and 1.
const BINARY: [&str; 7] = [
    "sex", "referral", "unit", "disease", "tested", "label", "entered",
];

impl PhantomCohort {
    /// The same patient with some nodes set: the recorded noises, the changed model, its values.
    ///
    /// Nodes that do not descend from those that are set keep their values to the last bit, and so
    /// do the textures of the image. An image of the answer is drawn by
    /// [`PhantomCohort::image_of`].
    ///
    /// # Arguments
    /// - `index`: position of the patient.
    /// - `interventions`: nodes and the values they are set to, such as `("disease", 0.0)`, or
    ///   `("site", 3.0)` for the laws of the fourth site.
    ///
    /// # Errors
    /// [`PhantomError::NoSuchSample`], [`PhantomError::NoSuchNode`], and
    /// [`PhantomError::InvalidState`] for a value that the node cannot take.
    ///
    /// # References
    /// Pearl (2009), *Causality*, theorem 7.1.7; abduction is exact as every noise is recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::{PhantomSpec, simulate};
    ///
    /// let cohort = simulate(&PhantomSpec { patients_per_site: 4, ..PhantomSpec::default() })?;
    /// let healthy = cohort.counterfactual(0, &[("disease", 0.0)])?;
    /// assert_eq!((healthy.label, cohort.value(&healthy, "severity")?), (0, 0.0));
    /// assert!(cohort.counterfactual(0, &[("disease", 0.5)]).is_err());
    /// # Ok::<(), ctl_phantom::PhantomError>(())
    /// ```
    pub fn counterfactual(
        &self,
        index: usize,
        interventions: &[(&str, f64)],
    ) -> Result<PhantomSample, PhantomError> {
        let count = self.samples.len();
        let sample = self.samples.get(index);
        let sample = sample.ok_or(PhantomError::NoSuchSample { index, count })?;
        self.counterfactual_of(sample, interventions)
    }

    /// The same as [`PhantomCohort::counterfactual`] for a sample at hand.
    ///
    /// It starts from the sample's noises: what was set before is not kept unless it is set again.
    ///
    /// # Errors
    /// [`PhantomError::NoSuchNode`], [`PhantomError::InvalidState`], and [`PhantomError::Model`]
    /// for a sample of another cohort.
    pub fn counterfactual_of(
        &self,
        sample: &PhantomSample,
        interventions: &[(&str, f64)],
    ) -> Result<PhantomSample, PhantomError> {
        let mut acts = Vec::with_capacity(interventions.len());
        for &(name, value) in interventions {
            let node = self.node(name)?;
            self.check_state(name, value)?;
            acts.push((node, Intervention::Set(value)));
        }
        let values = self.model.scm.intervene(&acts)?.predict(&sample.noises)?;
        let twin = self
            .model
            .sample(sample.site, values, sample.noises.clone());
        Ok(PhantomSample {
            id: sample.id.clone(),
            patient: sample.patient.clone(),
            origin: sample.origin,
            ..twin
        })
    }

    pub(super) fn node(&self, name: &str) -> Result<NodeId, PhantomError> {
        let node = self.model.scm.diagram().node(name);
        node.map_err(|_| self.unknown(name))
    }

    pub(super) fn unknown(&self, name: &str) -> PhantomError {
        let diagram = self.model.scm.diagram();
        let known: Vec<&str> = diagram.ids().map(|id| diagram.name(id)).collect();
        PhantomError::NoSuchNode {
            node: name.to_owned(),
            known: known.join(", "),
        }
    }

    fn check_state(&self, name: &str, value: f64) -> Result<(), PhantomError> {
        let [youngest, oldest] = mechanism::age_range();
        let sites = self.sites.len();
        let is_state = |count: usize| value.fract() == 0.0 && value >= 0.0 && value < count as f64;
        let (allowed, is_allowed) = match name {
            "site" => (format!("a site, 0 to {}", sites - 1), is_state(sites)),
            "age" => (
                format!("years from {youngest} to {oldest}"),
                (youngest..=oldest).contains(&value),
            ),
            _ if BINARY.contains(&name) => ("0 or 1".to_owned(), is_state(2)),
            _ => ("a finite number".to_owned(), value.is_finite()),
        };
        if is_allowed {
            return Ok(());
        }
        Err(PhantomError::InvalidState {
            node: name.to_owned(),
            value,
            allowed,
        })
    }
}
