//! A cohort of digits and the questions that it answers.

use std::ops::Range;
use std::path::Path;

use ctl_graph::Diagram;
use ctl_graph::model::{Intervention, Scm};
use rayon::prelude::*;

use super::draw::shuffled;
use super::mnist::{CLASSES, Mnist};
use super::model::{
    DOMAINBED_SITES, DigitModel, IRM_SITES, Known, MORPHO_SITES, ROTATED_SITES, with_image,
};
use super::{DigitError, DigitKind, DigitSample, DigitSpec, render};

/// Of the training digits, what the IRM paper takes for its training environments: 50 000 of
/// 60 000.
const IRM_TRAINING: [usize; 2] = [5, 6];

/// A cohort of digits: sites, samples with their attributes and noises, and pictures on demand.
///
/// # Examples
///
/// ```
/// # use std::fs;
/// use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSpec};
///
/// # let folder = tempfile::tempdir()?;
/// # for (part, count) in [("train", 4_u8), ("t10k", 2)] {
/// #     let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
/// #     for _ in 0..count {
/// #         let pixel = |i: usize| if (8..20).contains(&(i / 28)) && i % 28 / 4 == 3 { 250 } else { 0 };
/// #         images.extend((0..784).map(pixel));
/// #     }
/// #     fs::write(folder.path().join(format!("{part}-images-idx3-ubyte")), images)?;
/// #     let labels = [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain((0..count).map(|_| 1));
/// #     fs::write(folder.path().join(format!("{part}-labels-idx1-ubyte")), labels.collect::<Vec<_>>())?;
/// # }
/// # let folder = folder.path();
/// let spec = DigitSpec { seed: 7, ..DigitSpec::new(DigitKind::Morpho) };
/// let cohort = DigitCohort::from_idx(folder, &spec)?;
/// assert_eq!((cohort.shape(), cohort.classes()), ([1, 28, 28], 10));
/// let image = cohort.image(0)?;
///
/// // The same digit, had it been written with a broad pen: thickness raises the intensity.
/// let broad = cohort.counterfactual(0, &[("thickness", 5.0)])?;
/// let [before, after] = [&cohort.samples()[0], &broad].map(|s| cohort.attribute(s, "intensity"));
/// assert!(after > before);
/// let mass = |image: &[f32]| image.iter().sum::<f32>();
/// assert!(mass(&cohort.render(&broad)?) > mass(&image));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DigitCohort {
    spec: DigitSpec,
    sites: Vec<String>,
    samples: Vec<DigitSample>,
    model: DigitModel,
    source: Mnist,
}

impl DigitCohort {
    /// Makes a cohort from the four IDX files of MNIST.
    ///
    /// Pictures are not made before they are asked for. The noises of a digit depend on the seed,
    /// the kind of cohort and the digit alone.
    ///
    /// # Arguments
    /// - `folder`: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    ///   `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, plain or with the ending `.gz`.
    /// - `spec`: the protocol, the number of images of each site, and the seed.
    ///
    /// # Errors
    /// Those of [`DigitSpec::validate`]; [`DigitError::Read`] and [`DigitError::Content`] for files
    /// that are missing, damaged or no digits of 28 × 28 pixels with a label each; and
    /// [`DigitError::Content`] where there are fewer digits than sites.
    ///
    /// # References
    /// [`DigitKind`] names the protocols. All digits are shuffled and dealt to the sites in turn
    /// for [`DigitKind::ColoredDomainbed`] and [`DigitKind::Rotated`]; the first five sixths of the
    /// training digits are shuffled and dealt to the two training sites of
    /// [`DigitKind::ColoredIrm`], and the last sixth makes its test site.
    pub fn from_idx(folder: &Path, spec: &DigitSpec) -> Result<Self, DigitError> {
        spec.validate()?;
        let source = Mnist::read(folder)?;
        let model = DigitModel::new(spec.kind)?;
        let sites: Vec<String> = site_names(spec.kind)
            .iter()
            .map(|&n| n.to_owned())
            .collect();
        let rows = rows(spec, &source);
        if let Some(empty) = rows.iter().position(Vec::is_empty) {
            return Err(DigitError::Content {
                path: folder.to_owned(),
                expected: format!("enough digits for {} sites", sites.len()),
                found: format!("{} and none for {}", source.len(), sites[empty]),
            });
        }
        let mut cohort = Self {
            spec: spec.clone(),
            sites,
            samples: Vec::new(),
            model,
            source,
        };
        cohort.samples = cohort.draw(&rows)?;
        Ok(cohort)
    }

    fn draw(&self, rows: &[Vec<usize>]) -> Result<Vec<DigitSample>, DigitError> {
        let of_sites = rows.iter().enumerate();
        let places: Vec<(usize, usize)> = of_sites
            .flat_map(|(site, rows)| rows.iter().map(move |&row| (site, row)))
            .collect();
        places
            .into_par_iter()
            .map(|(site, row)| {
                let digit = usize::from(self.source.digit(row));
                let known = Known { row, site, digit };
                let noises = self.model.draw(self.spec.kind, self.spec.seed, &known);
                self.sample(row, site, noises, &self.model.scm)
            })
            .collect()
    }

    /// The sample that noises make in a model.
    fn sample(
        &self,
        source: usize,
        site: usize,
        noises: Vec<f64>,
        scm: &Scm,
    ) -> Result<DigitSample, DigitError> {
        let attributes = scm.predict(&noises)?;
        let of = |name: &str| self.value(&attributes, name);
        // Cohorts whose sites differ by no mechanism have no such variable.
        let site = of("site").map_or(site, |site| site as usize);
        let label = of("label").or(of("digit")).unwrap_or(0.0) as usize;
        Ok(DigitSample {
            id: self.source.name(source),
            source,
            site,
            label,
            attributes,
            noises,
        })
    }

    fn value(&self, attributes: &[f64], name: &str) -> Option<f64> {
        let node = self.model.scm.diagram().node(name).ok()?;
        attributes.get(node.index()).copied()
    }

    /// What was asked for.
    pub fn spec(&self) -> &DigitSpec {
        &self.spec
    }

    /// The names of the sites.
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// All samples, site by site.
    pub fn samples(&self) -> &[DigitSample] {
        &self.samples
    }

    /// Number of classes: 10 digits, or 2 for the coloured cohorts.
    pub fn classes(&self) -> usize {
        match self.spec.kind {
            DigitKind::Morpho | DigitKind::Rotated => CLASSES,
            DigitKind::ColoredIrm | DigitKind::ColoredDomainbed => 2,
        }
    }

    /// Shape of an image, `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        render::shape(self.spec.kind)
    }

    /// The structural causal model of the attributes.
    pub fn scm(&self) -> &Scm {
        &self.model.scm
    }

    /// The names of the variables, in the order of [`DigitSample::attributes`].
    pub fn variables(&self) -> Vec<&str> {
        let diagram = self.model.scm.diagram();
        diagram.ids().map(|node| diagram.name(node)).collect()
    }

    /// The causal diagram, the image included.
    ///
    /// # Errors
    /// None for the diagrams of this module.
    pub fn diagram(&self) -> Result<Diagram, DigitError> {
        with_image(self.spec.kind)
    }

    /// A sample's value of a variable, `None` for a variable that this cohort does not have.
    pub fn attribute(&self, sample: &DigitSample, name: &str) -> Option<f64> {
        self.value(&sample.attributes, name)
    }

    /// Hash of the digits from which the cohort was made.
    pub fn data_hash(&self) -> String {
        self.source.hash()
    }

    /// The image of a sample, `[C, H, W]` row by row, 0 to 1.
    ///
    /// # Errors
    /// [`DigitError::NoSuchSample`] beyond the end; [`DigitError::Blank`] where a digit that is to
    /// be morphed has no stroke.
    pub fn image(&self, index: usize) -> Result<Vec<f32>, DigitError> {
        self.render(self.at(index)?)
    }

    /// The images of several samples one after the other, `[N, C, H, W]`.
    ///
    /// # Errors
    /// Those of [`DigitCohort::image`].
    pub fn images(&self, range: Range<usize>) -> Result<Vec<f32>, DigitError> {
        let images: Vec<Vec<f32>> = range
            .into_par_iter()
            .map(|index| self.image(index))
            .collect::<Result<_, _>>()?;
        Ok(images.concat())
    }

    /// The image of a sample of this cohort or of a counterfactual one, `[C, H, W]`, 0 to 1.
    ///
    /// # Errors
    /// [`DigitError::NoSuchSample`] for a source that MNIST does not have, [`DigitError::Blank`]
    /// and [`DigitError::Value`] for a picture or a thickness that cannot be morphed, and
    /// [`DigitError::Variable`] where the attributes are not those of this cohort.
    pub fn render(&self, sample: &DigitSample) -> Result<Vec<f32>, DigitError> {
        let image = self.source.image(sample.source);
        let image = image.ok_or(DigitError::NoSuchSample {
            index: sample.source,
            count: self.source.len(),
        })?;
        let of = |name: &str| {
            let value = self.attribute(sample, name);
            value.ok_or_else(|| self.unknown(name))
        };
        render::render(&self.spec, &image, of)
    }

    /// The same digit, had variables been set: the noises are kept, the rest follows.
    ///
    /// Exact, because the noises are known. Without interventions it is the sample itself, to the
    /// last bit; what does not descend from what was set stays as it is.
    ///
    /// # Arguments
    /// - `index`: of the sample.
    /// - `interventions`: variables and what they are set to. `thickness` in pixels, 0 to 64;
    ///   `intensity` in grey levels, 0 to 255; `label` and `colour`, 0 or 1; `angle` in degrees,
    ///   -360 to 360; `site`, an index into [`DigitCohort::sites`].
    ///
    /// # Errors
    /// [`DigitError::NoSuchSample`] beyond the end, [`DigitError::Variable`] for a variable that
    /// the cohort does not have or that is no mechanism's (`digit`), [`DigitError::Value`] for a
    /// value outside its range.
    pub fn counterfactual(
        &self,
        index: usize,
        interventions: &[(&str, f64)],
    ) -> Result<DigitSample, DigitError> {
        let sample = self.at(index)?;
        let diagram = self.model.scm.diagram();
        let mut done = Vec::with_capacity(interventions.len());
        for &(name, value) in interventions {
            let node = match diagram.node(name) {
                Ok(node) if name != "digit" => node,
                _ => return Err(self.unknown(name)),
            };
            check_range(diagram.name(node), value, self.sites.len())?;
            done.push((node, Intervention::Set(value)));
        }
        let scm = self.model.scm.intervene(&done)?;
        self.sample(sample.source, sample.site, sample.noises.clone(), &scm)
    }

    fn at(&self, index: usize) -> Result<&DigitSample, DigitError> {
        self.samples.get(index).ok_or(DigitError::NoSuchSample {
            index,
            count: self.samples.len(),
        })
    }

    fn unknown(&self, name: &str) -> DigitError {
        let settable = self
            .variables()
            .into_iter()
            .filter(|&known| known != "digit");
        DigitError::Variable {
            name: name.to_owned(),
            expected: settable.collect::<Vec<_>>().join(", "),
        }
    }
}

/// Whether a variable can be set to a value.
fn check_range(name: &str, value: f64, sites: usize) -> Result<(), DigitError> {
    let whole = value.fract() == 0.0;
    let (name, allowed, expected) = match name {
        "thickness" => ("thickness", (0.0..=64.0).contains(&value), "0 to 64 pixels"),
        "intensity" => (
            "intensity",
            (0.0..=255.0).contains(&value),
            "grey levels 0 to 255",
        ),
        "angle" => (
            "angle",
            (-360.0..=360.0).contains(&value),
            "-360 to 360 degrees",
        ),
        "site" => {
            let below = (0.0..sites as f64).contains(&value);
            ("site", whole && below, "the index of a site")
        }
        "label" => ("label", whole && (0.0..=1.0).contains(&value), "0 or 1"),
        _ => ("colour", whole && (0.0..=1.0).contains(&value), "0 or 1"),
    };
    if allowed {
        return Ok(());
    }
    Err(DigitError::Value {
        name,
        expected,
        found: value,
    })
}

fn site_names(kind: DigitKind) -> Vec<&'static str> {
    let sites = match kind {
        DigitKind::Morpho => &MORPHO_SITES[..],
        DigitKind::ColoredIrm => &IRM_SITES[..],
        DigitKind::ColoredDomainbed => &DOMAINBED_SITES[..],
        DigitKind::Rotated => &ROTATED_SITES[..],
    };
    sites.iter().map(|&(name, _)| name).collect()
}

/// The digits of each site.
fn rows(spec: &DigitSpec, source: &Mnist) -> Vec<Vec<usize>> {
    let (all, training) = (source.len(), source.training());
    let shuffle = |count| shuffled(spec.seed, spec.kind, count);
    let mut rows = match spec.kind {
        DigitKind::Morpho => vec![(0..training).collect(), (training..all).collect()],
        DigitKind::ColoredIrm => {
            let first = training * IRM_TRAINING[0] / IRM_TRAINING[1];
            let mut sites = dealt(&shuffle(first), 2);
            sites.push((first..training).collect());
            sites
        }
        DigitKind::ColoredDomainbed => dealt(&shuffle(all), DOMAINBED_SITES.len()),
        DigitKind::Rotated => dealt(&shuffle(all), ROTATED_SITES.len()),
    };
    for site in &mut rows {
        site.truncate(spec.images.of(site.len()));
    }
    rows
}

/// Deals rows to sites in turn.
fn dealt(rows: &[usize], sites: usize) -> Vec<Vec<usize>> {
    let of_site = |site| rows.iter().copied().skip(site).step_by(sites).collect();
    (0..sites).map(of_site).collect()
}
