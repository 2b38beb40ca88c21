//! Simulated patients as structural causal models see them.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ctl_counterfactual::{
    Columns, CounterfactualError, Examples, ImageSpec, Kind, ModelSpec, Records, Schema,
};
use ctl_metrics::normal_cdf;
use ctl_phantom::{Anatomy, Dials, PhantomCohort, PhantomSample, PhantomSpec, SiteRole, simulate};
use rayon::prelude::*;

use super::{Case, Simulator};
use crate::{HarnessError, Result};

/// The arrows that a model is given: scanner, kind of device, age, sex and disease show in the image,
/// the disease in the laboratory value as well.
const EDGES: &str = "scanner -> image; device -> image; age -> image; sex -> image; \
                     disease -> image; disease -> lab";
/// Attributes of a model with the nodes of the simulator that they are.
const NODES: [(&str, &str); 6] = [
    ("scanner", "site"),
    ("device", "unit"),
    ("age", "age"),
    ("sex", "sex"),
    ("disease", "disease"),
    ("lab", "lab"),
];
/// Years between which ages lie.
const AGES: [f64; 2] = [18.0, 95.0];
/// Grey levels of a stored image above black.
const GREY_LEVELS: f32 = 255.0;

/// What of the simulator's own mechanism an oracle knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// All of it: the true counterfactual.
    True,
    /// All but the noise of the pixels and the motion, which are left out: what no model can be
    /// nearer than that predicts images without noise.
    Noiseless,
    /// The same, with what noise and motion were in the fact added as they were: the noise is abducted
    /// as a residual, and does not follow the scanner that is asked for.
    Residual,
}

/// Patients of two scanners, half of whom train a model while the others are asked about.
///
/// Images are stored with 256 grey levels, facts and truth alike.
pub struct Phantoms {
    cohort: PhantomCohort,
    schema: Schema,
    /// Positions in the cohort.
    training: Vec<usize>,
    scored: Vec<usize>,
    columns: Columns,
    /// Of the training individuals, image after image.
    images: Vec<f32>,
}

impl Phantoms {
    /// Simulates patients and renders those that train.
    ///
    /// Both scanners see the same population; the acquisition dial is all that tells them apart.
    ///
    /// # Arguments
    /// - `size`: sides of an image in pixels
    /// - `each`: patients at each scanner that train, and that are asked about
    ///
    /// # Errors
    /// When size or numbers are out of range, or nobody is asked about.
    pub fn new(anatomy: Anatomy, size: usize, each: [usize; 2], seed: u64) -> Result<Self> {
        if each.contains(&0) {
            return Err(HarnessError::Config {
                origin: "simulated patients".into(),
                key: "each".into(),
                message: format!("{each:?} must be at least 1 that trains and 1 that is scored"),
            });
        }
        let spec = PhantomSpec {
            anatomy,
            size,
            patients_per_site: each[0] + each[1],
            source_sites: 1,
            seed,
            dials: Dials {
                acquisition: 1.0,
                ..Dials::default()
            },
            ..PhantomSpec::default()
        };
        let cohort = simulate(&spec)?;
        let sites = cohort.sites().iter();
        let seen = sites.filter(|s| matches!(s.role, SiteRole::Source | SiteRole::Target));
        let seen: Vec<_> = seen.map(|site| site.samples.clone()).collect();
        let part = |from: usize, to: usize| -> Vec<usize> {
            let of = |site: &std::ops::Range<usize>| site.start + from..site.start + to;
            seen.iter().flat_map(of).collect()
        };
        let training = part(0, each[0]);
        let apart = part(each[0], each[0] + each[1]);
        // In turn, so that the first of them are of both scanners.
        let (here, there) = apart.split_at(each[1]);
        let scored = here.iter().zip(there).flat_map(|(&a, &b)| [a, b]).collect();
        let schema = model(size, None).schema()?;
        let samples: Vec<&PhantomSample> = training.iter().map(|&i| &cohort.samples()[i]).collect();
        let columns = columns(&cohort, &schema, &samples)?;
        let images = rendered(&samples, |sample| cohort.image_of(sample));
        Ok(Self {
            cohort,
            schema,
            training,
            scored,
            columns,
            images,
        })
    }

    /// The individuals that are asked about, of either scanner in turn.
    pub fn scored(&self) -> &[usize] {
        &self.scored
    }

    /// The individuals that train.
    pub fn training(&self) -> &[usize] {
        &self.training
    }

    fn side(&self) -> usize {
        self.cohort.spec().size
    }

    fn samples(&self, individuals: &[usize]) -> Result<Vec<&PhantomSample>> {
        let count = self.cohort.samples().len();
        let of = |&index: &usize| {
            let sample = self.cohort.samples().get(index);
            sample.ok_or(ctl_phantom::PhantomError::NoSuchSample { index, count })
        };
        Ok(individuals
            .iter()
            .map(of)
            .collect::<std::result::Result<_, _>>()?)
    }

    fn records(&self, samples: &[&PhantomSample], pixels: Vec<f32>) -> Result<Records> {
        let side = self.side();
        let shape = (samples.len(), 1, side, side);
        let images = Tensor::from_vec(pixels, shape, &Device::Cpu)?;
        let columns = columns(&self.cohort, &self.schema, samples)?;
        Ok(Records::new(&self.schema, columns, Some(images))?)
    }

    /// The individuals after interventions.
    fn twins(&self, individuals: &[usize], case: &Case) -> Result<Vec<PhantomSample>> {
        case.check(individuals.len())?;
        let twin = |(row, &index): (usize, &usize)| -> Result<PhantomSample> {
            let acts: Vec<(&str, f64)> = case
                .acts
                .iter()
                .map(|(name, values)| (node_of(name), values[row]))
                .collect();
            Ok(self.cohort.counterfactual(index, &acts)?)
        };
        individuals.iter().enumerate().map(twin).collect()
    }

    /// What the simulator's own mechanism says with as much of the noise as an oracle knows.
    ///
    /// # Errors
    /// When an individual does not exist, or an intervention is not possible.
    pub fn oracle(&self, individuals: &[usize], case: &Case, known: Exposed) -> Result<Records> {
        let (facts, twins) = (self.samples(individuals)?, self.twins(individuals, case)?);
        let pairs: Vec<(&PhantomSample, &PhantomSample)> = facts.into_iter().zip(&twins).collect();
        let draw = |&(fact, twin): &(&PhantomSample, &PhantomSample)| match known {
            Exposed::True => stored(self.cohort.image_of(twin)),
            Exposed::Noiseless => self.cohort.reference_image_of(twin),
            Exposed::Residual => {
                let ideal = self.cohort.reference_image_of(fact);
                let noise = stored(self.cohort.image_of(fact)).into_iter().zip(ideal);
                let there = self.cohort.reference_image_of(twin).into_iter();
                let sum = there.zip(noise).map(|(value, (a, b))| value + a - b);
                sum.map(|value| value.clamp(0.0, 1.0)).collect()
            }
        };
        let pixels: Vec<Vec<f32>> = pairs.par_iter().map(draw).collect();
        self.records(&twins.iter().collect::<Vec<_>>(), pixels.concat())
    }
}

impl Examples for Phantoms {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> std::result::Result<Option<Tensor>, CounterfactualError> {
        let side = self.side();
        let size = side * side;
        let pixels = rows
            .iter()
            .map(|row| &self.images[row * size..(row + 1) * size]);
        let pixels: Vec<f32> = pixels.flatten().copied().collect();
        let images = Tensor::from_vec(pixels, (rows.len(), 1, side, side), &Device::Cpu)?;
        Ok(Some(images))
    }
}

impl Simulator for Phantoms {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn facts(&self, individuals: &[usize]) -> Result<Records> {
        let samples = self.samples(individuals)?;
        let pixels = rendered(&samples, |sample| self.cohort.image_of(sample));
        self.records(&samples, pixels)
    }

    fn truth(&self, individuals: &[usize], case: &Case) -> Result<Records> {
        self.oracle(individuals, case, Exposed::True)
    }

    /// Nothing: what an image of a patient shows of these attributes no rule can read.
    fn measure(&self, _images: &Tensor) -> Result<BTreeMap<String, Vec<Option<f64>>>> {
        Ok(BTreeMap::new())
    }

    fn ranks(&self, individuals: &[usize]) -> Result<BTreeMap<String, Vec<f64>>> {
        let samples = self.samples(individuals)?;
        let diagram = self.cohort.scm().diagram();
        let mut ranks = BTreeMap::new();
        // Both are rising in a standard normal noise.
        for node in diagram.ids() {
            let name = diagram.name(node);
            if !["age", "lab"].contains(&name) {
                continue;
            }
            let noises = samples.iter().map(|s| normal_cdf(s.noises[node.index()]));
            ranks.insert(name.to_owned(), noises.collect());
        }
        Ok(ranks)
    }
}

/// The simulator's node that an attribute is.
fn node_of(attribute: &str) -> &str {
    let found = NODES.iter().find(|(name, _)| *name == attribute);
    found.map_or(attribute, |(_, node)| node)
}

fn columns(cohort: &PhantomCohort, schema: &Schema, samples: &[&PhantomSample]) -> Result<Columns> {
    let column = |&(name, node): &(&'static str, &str)| -> Result<(&str, Vec<f64>)> {
        let values = samples.iter().map(|sample| cohort.value(sample, node));
        Ok((name, values.collect::<std::result::Result<Vec<f64>, _>>()?))
    };
    let columns: Vec<_> = NODES.iter().map(column).collect::<Result<_>>()?;
    Ok(Columns::new(schema, &columns)?)
}

/// As a file of 8 bits a pixel holds it.
fn stored(image: Vec<f32>) -> Vec<f32> {
    let grey = |value: f32| (value * GREY_LEVELS).round() / GREY_LEVELS;
    image.into_iter().map(grey).collect()
}

fn rendered(
    samples: &[&PhantomSample],
    draw: impl Fn(&PhantomSample) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let images: Vec<Vec<f32>> = samples.par_iter().map(|s| stored(draw(s))).collect();
    images.concat()
}

/// A model of these patients.
pub fn model(size: usize, image: Option<ImageSpec>) -> ModelSpec {
    let [youngest, oldest] = AGES.map(Some);
    let nodes = [
        ("scanner", Kind::named(&["A", "B"])),
        ("device", Kind::named(&["first", "second"])),
        (
            "age",
            Kind::Continuous {
                lower: youngest,
                upper: oldest,
            },
        ),
        ("sex", Kind::named(&["F", "M"])),
        ("disease", Kind::named(&["absent", "present"])),
        ("lab", Kind::REAL),
        (
            "image",
            Kind::Image {
                shape: [1, size, size],
            },
        ),
    ];
    ModelSpec {
        edges: EDGES.to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: ctl_counterfactual::FlowConfig::default(),
        categories: ctl_counterfactual::CategoriesConfig::default(),
        image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phantoms() -> Phantoms {
        Phantoms::new(Anatomy::Brain, 32, [3, 2], 5).unwrap()
    }

    fn flat(records: &Records) -> Vec<f32> {
        let images = records.images.as_ref().unwrap();
        images.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn apart(a: &Records, b: &Records) -> f32 {
        let pairs = flat(a).into_iter().zip(flat(b));
        pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / flat(a).len() as f32
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn without_a_change_every_oracle_but_the_noiseless_gives_the_fact() {
        let phantoms = phantoms();
        let asked = phantoms.scored();
        let facts = phantoms.facts(asked).unwrap();
        let scanner = phantoms.schema.attribute("scanner").unwrap();
        let same = facts.columns.column(scanner).to_vec();
        assert_eq!(same, [0.0, 1.0, 0.0, 1.0]);
        let case = Case::new(&[("scanner", same)]);
        let oracle = |known| phantoms.oracle(asked, &case, known).unwrap();
        assert_eq!(apart(&oracle(Exposed::True), &facts), 0.0);
        assert!(apart(&oracle(Exposed::Residual), &facts) < 1e-6);
        assert!(apart(&oracle(Exposed::Noiseless), &facts) > 1e-3);
    }

    #[test]
    fn the_true_mechanism_is_nearer_than_no_change() {
        let phantoms = phantoms();
        let asked = phantoms.scored();
        let facts = phantoms.facts(asked).unwrap();
        let case = Case::of_others(&phantoms.schema, &facts, &["scanner"], 0).unwrap();
        assert_eq!(case.acts[0].1, [1.0, 0.0, 1.0, 0.0]);
        let truth = phantoms.truth(asked, &case).unwrap();
        let noiseless = phantoms.oracle(asked, &case, Exposed::Noiseless).unwrap();
        let residual = phantoms.oracle(asked, &case, Exposed::Residual).unwrap();
        let still = apart(&facts, &truth);
        assert!(apart(&noiseless, &truth) < still && apart(&residual, &truth) < still);
        // Nothing but the scanner is another, and the disease brings its laboratory value along.
        let lab = phantoms.schema.attribute("lab").unwrap();
        assert_eq!(truth.columns.column(lab), facts.columns.column(lab));
        let case = Case::of_others(&phantoms.schema, &facts, &["disease"], 0).unwrap();
        let ill = phantoms.truth(asked, &case).unwrap();
        assert_ne!(ill.columns.column(lab), facts.columns.column(lab));
    }

    #[test]
    fn ranks_are_those_of_the_values() {
        let phantoms = phantoms();
        let asked = phantoms.scored();
        let ranks = phantoms.ranks(asked).unwrap();
        let facts = phantoms.facts(asked).unwrap();
        let ages = facts
            .columns
            .column(phantoms.schema.attribute("age").unwrap());
        let order = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            order
        };
        assert_eq!(order(&ranks["age"]), order(ages));
        assert!(ranks["lab"].iter().all(|rank| (0.0..=1.0).contains(rank)));
    }

    #[test]
    fn who_does_not_exist_is_an_error() {
        assert!(Phantoms::new(Anatomy::Chest, 32, [3, 0], 0).is_err());
        assert!(Phantoms::new(Anatomy::Chest, 8, [3, 1], 0).is_err());
        let phantoms = phantoms();
        assert!(phantoms.facts(&[10_000]).is_err());
        let case = Case::new(&[("age", vec![3.0])]);
        assert!(phantoms.truth(&phantoms.scored()[..1], &case).is_err());
    }
}
