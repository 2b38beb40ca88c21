//! A cohort: simulated, questioned, drawn and written.

mod annotate;
mod bayes;
mod counterfactual;
mod images;
mod simulate;
mod write;

use ctl_graph::graph::{DiagramFile, Direction};
use ctl_graph::model::Scm;

pub use simulate::simulate;

use crate::body::Body;
use crate::model::Model;
use crate::sample::ATTRIBUTES;
use crate::site::SiteLaw;
use crate::{PhantomError, PhantomSample, PhantomSite, PhantomSpec};

/// A simulated cohort with its model, its diagram and every exogenous noise.
///
/// It holds numbers only; images, masks and volumes are drawn when they are asked for, so that a
/// cohort of any size fits into memory.
///
/// # Examples
///
/// ```
/// use ctl_phantom::{Dials, PhantomSpec, SiteRole, simulate};
///
/// let dials = Dials { acquisition: 1.0, ..Dials::default() };
/// let spec = PhantomSpec { size: 32, patients_per_site: 5, dials, ..PhantomSpec::default() };
/// let cohort = simulate(&spec)?;
/// assert_eq!(cohort.sites()[3].role, SiteRole::Target);
/// assert_eq!(cohort.image(0).len(), 32 * 32);
///
/// // The same patient at the target's scanner.
/// let at_target = cohort.counterfactual(0, &[("site", 3.0)])?;
/// assert_eq!(at_target.label, cohort.samples()[0].label);
/// assert_ne!(cohort.image_of(&at_target), cohort.image(0));
/// # Ok::<(), ctl_phantom::PhantomError>(())
/// ```
pub struct PhantomCohort {
    spec: PhantomSpec,
    body: &'static dyn Body,
    sites: Vec<PhantomSite>,
    laws: Vec<SiteLaw>,
    model: Model,
    samples: Vec<PhantomSample>,
}

impl std::fmt::Debug for PhantomCohort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut structure = formatter.debug_struct("PhantomCohort");
        structure.field("spec", &self.spec);
        structure.field("samples", &self.samples.len());
        structure.finish_non_exhaustive()
    }
}

impl PhantomCohort {
    /// What was asked for.
    pub fn spec(&self) -> &PhantomSpec {
        &self.spec
    }

    /// Sources, target, target reference and interventional references, in this order.
    pub fn sites(&self) -> &[PhantomSite] {
        &self.sites
    }

    /// The patients, site after site.
    pub fn samples(&self) -> &[PhantomSample] {
        &self.samples
    }

    /// Names of [`PhantomSample::attributes`].
    pub fn attributes(&self) -> &'static [&'static str] {
        &ATTRIBUTES
    }

    /// The causal model, the node `site` included: its states are the positions of the sites.
    pub fn scm(&self) -> &Scm {
        &self.model.scm
    }

    /// The diagram of the label's prediction, with roles and the shifts whose dials are on.
    pub fn diagram(&self) -> &DiagramFile {
        &self.model.diagram
    }

    /// The same diagram with the mask for its label, as segmentation sees it: a mask is always
    /// drawn from the image.
    ///
    /// # Errors
    /// None for a diagram of this crate, which has the nodes `image` and `mask`.
    pub fn mask_diagram(&self) -> Result<DiagramFile, PhantomError> {
        let direction = Direction {
            image: None,
            label: Some("mask".to_owned()),
            kind: None,
        };
        Ok(self.diagram().clone().direct(direction)?)
    }

    /// The value of a node of the model in a sample.
    ///
    /// # Errors
    /// [`PhantomError::NoSuchNode`].
    pub fn value(&self, sample: &PhantomSample, node: &str) -> Result<f64, PhantomError> {
        let id = self.node(node)?;
        let value = sample.values.get(id.index());
        value.copied().ok_or_else(|| self.unknown(node))
    }

    /// Millimetres from the centre of a pixel to the next.
    pub fn pixel_mm(&self) -> f64 {
        self.body.field_of_view_mm() / self.spec.size as f64
    }
}
