//! The counterfactual benchmark's metrics on `MorphoMNIST`, beside the true counterfactuals.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ctl_counterfactual::{
    AttributeTraining, Columns, DeepScm, DiffusionConfig, HvaeConfig, ImageSpec, ImageTraining,
    ModelSpec, Records, Schema,
};
use ctl_metrics::normal_cdf;
use ctl_phantom::digits::morphology::{MEASURING_SCALE, Morphology, median_intensity};
use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSample, DigitSpec, ImageCount, Plane};
use rayon::prelude::*;

use super::deep_scm;
use super::digits::{self, Digits, GREY_LEVELS, SIDE, Seen};
use super::judged::{Judging, Place, judges, scored};
use super::ledger::{Experiment, ModelOf};
use super::restarts::ReproduceOptions;
use super::trained::{Recipe, train_all, trained, with_residual};
use crate::truth::{Budget, Case, Known, Questions, Rival, Simulator, Strip, TruthReport, Unmoved};
use crate::{Event, HarnessError, Observer, Result, Silent};

/// The diagram that all models have.
const EDGES: &str = "thickness -> intensity; thickness -> image; intensity -> image";
/// What is asked.
const INTERVENTIONS: [&[&str]; 3] = [&["thickness"], &["intensity"], &["thickness", "intensity"]];
/// Test digits that the VAE, the HVAE and the diffusion model are asked about, the first ones.
const SCORED: [usize; 3] = [2_000, 500, 200];
/// Rows of the strip: place of the intervention, and of the digit.
const SHOWN: [(usize, usize); 6] = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)];
const ZOOM: usize = 3;
/// Places of the test part in the cohort's sites.
const TEST: usize = 1;

/// The three models, and the digits that each is asked about.
fn recipes(of: &ModelOf) -> [(Recipe<'static>, usize); 3] {
    let hvae = HvaeConfig {
        widths: vec![8, 16, 32, 32],
        encoder: "28b1d2,14b1d2,7b1d7,1b1".to_owned(),
        decoder: "1b1,7b2,14b1,28b1".to_owned(),
        latent: 8,
        bottleneck: 2,
        ..HvaeConfig::default()
    };
    let diffusion = DiffusionConfig {
        widths: vec![16, 32, 32],
        sampling_steps: 12,
        guidance: 1.0,
        dropped: 0.0,
        bound_draws: 0,
        ..DiffusionConfig::default()
    };
    let recipe = |name, image, steps: u64, batch| Recipe {
        name,
        spec: digits::spec(EDGES, image),
        attributes: AttributeTraining {
            steps: of.steps.unwrap_or(1_500),
            batch: 512,
            ..AttributeTraining::default()
        },
        image: ImageTraining {
            steps: of.steps.unwrap_or(steps),
            batch,
            ..ImageTraining::default()
        },
    };
    let [of_vae, of_hvae, of_diffusion] = SCORED;
    [
        (
            recipe("vae", ImageSpec::Vae(deep_scm::vae()), 7_000, 64),
            of_vae,
        ),
        (recipe("hvae", ImageSpec::Hvae(hvae), 3_000, 32), of_hvae),
        (
            recipe("diffusion", ImageSpec::Diffusion(diffusion), 800, 32),
            of_diffusion,
        ),
    ]
}

/// Number of models and updates of all of them, finished ones included.
pub(super) fn size(of: &ModelOf) -> (usize, u64) {
    let recipes = recipes(of);
    let steps = recipes.iter().map(|(recipe, _)| recipe.image.steps).sum();
    (recipes.len(), steps)
}

/// Trains what is missing, and scores.
pub(super) fn run(
    experiment: &Experiment,
    of: &ModelOf,
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<TruthReport> {
    let out = options.out.join(&experiment.id);
    let mut spec = DigitSpec::new(DigitKind::Morpho);
    if let Some(most) = of.images {
        spec.images = ImageCount::AtMost(most);
    }
    let cohort = DigitCohort::from_idx(&experiment.data.folder(&options.data)?, &spec)?;
    let judging = judging(of);
    let recipes = recipes(of);
    observer.event(&Event::Planned {
        what: "training steps",
        total: size(of).1,
        finished: 0,
    });
    let place = Place {
        out: &out,
        key: key(&cohort, of, &judging),
    };
    if let Some(report) = place.report()? {
        return Ok(report);
    }
    let text = "rendering the digits: each is morphed to its thickness";
    observer.event(&Event::Notice { text });
    let training = Digits::of(&cohort, 0, &options.out)?;
    let test = Digits::of(&cohort, TEST, &options.out)?;
    let seen = Seen::new(&training, &recipes[0].0.spec)?;
    let all: Vec<&Recipe<'_>> = recipes.iter().map(|(recipe, _)| recipe).collect();
    train_all(&all, &seen, &out, options.jobs, observer)?;
    let mut models: Vec<Trained> = Vec::new();
    for (recipe, most) in &recipes {
        let (model, budget) = trained(recipe, &seen, &out, &Silent)?;
        let twin = with_residual(&model, &seen)?;
        let named = |name: String, model, is_twin| Trained {
            name,
            model,
            budget: budget.clone(),
            most: *most,
            is_twin,
        };
        models.push(named(recipe.name.to_owned(), model, false));
        let name = format!("{} with residual", recipe.name);
        models.extend(twin.map(|twin| named(name, twin, true)));
    }
    let simulator = Morphed::new(&cohort, &test)?;
    let judges = judges(simulator.schema(), &seen, &judging, &place, observer)?;
    let text = "rendering the true counterfactuals";
    observer.event(&Event::Notice { text });
    let asked: Vec<usize> = (0..SCORED[0].min(test.thickness.len())).collect();
    let seed = judging.score.seed;
    let questions = Questions::ask(&simulator, &asked, &INTERVENTIONS, seed)?;
    let unmoved = Unmoved(simulator.schema().clone());
    let known = Known::truth(&simulator, &questions);
    let mut rivals = vec![
        Rival::reference(TruthReport::UNMOVED, &unmoved),
        Rival::reference("true generator", &known),
    ];
    rivals.extend(models.iter().map(Trained::rival));
    let settings = (&judging.score, &place);
    let report = scored(
        &rivals,
        &questions,
        (&simulator, &judges),
        settings,
        observer,
    )?;
    let shown: Vec<&Rival<'_>> = rivals[2..].iter().collect();
    let rows: Vec<(usize, usize)> = SHOWN.into_iter().filter(|s| s.1 < asked.len()).collect();
    let strip = Strip::of(&shown, &questions, &rows, seed)?;
    strip.write_png(&out.join("strip.png"), ZOOM)?;
    Ok(report)
}

/// A model that is asked.
struct Trained {
    name: String,
    model: DeepScm,
    budget: Budget,
    most: usize,
    /// Whether it has the weights, and the noises, of the one before.
    is_twin: bool,
}

impl Trained {
    fn rival(&self) -> Rival<'_> {
        Rival {
            most: self.most,
            model: (!self.is_twin).then_some(&self.model),
            ..Rival::trained(&self.name, &self.model, &self.budget)
        }
    }
}

/// With fewer updates than usual, judges have no more of them.
fn judging(of: &ModelOf) -> Judging {
    let mut judging = Judging::default();
    // As many as the one of whom the fewest are asked.
    judging.score.crowd = SCORED[2];
    if let Some(steps) = of.steps {
        judging.predictors.steps = steps;
        judging.encoder_steps = steps;
    }
    judging
}

/// What scores depend on.
fn key(cohort: &DigitCohort, of: &ModelOf, judging: &Judging) -> String {
    let recipes = recipes(of);
    let models: Vec<String> = recipes
        .iter()
        .map(|(recipe, most)| format!("{:?} {:?} {most}", recipe.spec, recipe.image))
        .collect();
    let text = format!("{models:?} {judging:?} {INTERVENTIONS:?} {SCORED:?}");
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("{} {:?} {}", cohort.data_hash(), cohort.spec(), &hash[..16])
}

/// The test digits, whose individuals are their places in the part.
struct Morphed<'a> {
    cohort: &'a DigitCohort,
    test: &'a Digits,
    spec: ModelSpec,
    schema: Schema,
    /// Place of the first test digit in the cohort.
    first: usize,
}

impl<'a> Morphed<'a> {
    fn new(cohort: &'a DigitCohort, test: &'a Digits) -> Result<Self> {
        let spec = digits::spec(EDGES, ImageSpec::Vae(deep_scm::vae()));
        Ok(Self {
            schema: spec.schema()?,
            first: cohort
                .samples()
                .iter()
                .take_while(|s| s.site != TEST)
                .count(),
            cohort,
            test,
            spec,
        })
    }

    fn check(&self, individuals: &[usize]) -> Result<()> {
        let count = self.test.thickness.len();
        let beyond = individuals.iter().find(|&&index| index >= count);
        beyond.map_or(Ok(()), |&index| {
            Err(ctl_phantom::digits::DigitError::NoSuchSample { index, count }.into())
        })
    }

    fn twins(&self, individuals: &[usize], case: &Case) -> Result<Vec<DigitSample>> {
        self.check(individuals)?;
        case.check(individuals.len())?;
        let twin = |(row, &index): (usize, &usize)| -> Result<DigitSample> {
            let acts: Vec<(&str, f64)> = case
                .acts
                .iter()
                .map(|(name, values)| (name.as_str(), values[row]))
                .collect();
            Ok(self.cohort.counterfactual(self.first + index, &acts)?)
        };
        individuals.iter().enumerate().map(twin).collect()
    }
}

impl Simulator for Morphed<'_> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn facts(&self, individuals: &[usize]) -> Result<Records> {
        self.check(individuals)?;
        self.test.records(&self.spec, individuals)
    }

    fn truth(&self, individuals: &[usize], case: &Case) -> Result<Records> {
        let twins = self.twins(individuals, case)?;
        let render = |twin: &DigitSample| -> Result<Vec<f32>> {
            let image = self.cohort.render(twin)?.into_iter();
            let grey = GREY_LEVELS as f32;
            Ok(image.map(|value| (value * grey).round() / grey).collect())
        };
        let images: Vec<Vec<f32>> = twins.par_iter().map(render).collect::<Result<_>>()?;
        let column = |name: &'static str| {
            let values = twins.iter().filter_map(|t| self.cohort.attribute(t, name));
            (name, values.collect())
        };
        let columns: [(&str, Vec<f64>); 2] = [column("thickness"), column("intensity")];
        let shape = (twins.len(), 1, SIDE, SIDE);
        let images = Tensor::from_vec(images.concat(), shape, &Device::Cpu)?;
        let columns = Columns::new(&self.schema, &columns)?;
        Ok(Records::new(&self.schema, columns, Some(images))?)
    }

    /// Thickness along the medial axis and median intensity of the stroke, by the program that makes
    /// the digits.
    fn measure(&self, images: &Tensor) -> Result<BTreeMap<String, Vec<Option<f64>>>> {
        let values = images.flatten_all()?.to_vec1::<f32>()?;
        let read = |image: &[f32]| -> [Option<f64>; 2] {
            let grey = image
                .iter()
                .map(|v| (f64::from(*v) * GREY_LEVELS).round() as u8);
            let Ok(plane) = Plane::new([SIDE, SIDE], grey.collect()) else {
                return [None, None];
            };
            let stroke = Morphology::new(&plane, MEASURING_SCALE);
            [
                stroke.ok().map(|stroke| stroke.thickness()),
                median_intensity(&plane).ok(),
            ]
        };
        let found: Vec<[Option<f64>; 2]> = values.par_chunks_exact(SIDE * SIDE).map(read).collect();
        let names = ["thickness", "intensity"].into_iter().enumerate();
        let columns = names.map(|(place, name)| {
            let finite = |value: f64| value.is_finite();
            let column = found.iter().map(|pair| pair[place].filter(|v| finite(*v)));
            (name.to_owned(), column.collect())
        });
        Ok(columns.collect())
    }

    fn ranks(&self, individuals: &[usize]) -> Result<BTreeMap<String, Vec<f64>>> {
        self.check(individuals)?;
        let names = self.cohort.variables();
        let place = |name: &'static str| {
            let found = names.iter().position(|known| *known == name);
            found.ok_or_else(|| HarnessError::Unknown {
                what: "variable",
                name: name.to_owned(),
                known: names.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        let noises = |place: usize| {
            let samples = individuals.iter();
            samples.map(move |index| self.cohort.samples()[self.first + index].noises[place])
        };
        // The noise of the thickness is its place already, that of the intensity is standard normal.
        let thickness = noises(place("thickness")?).collect();
        let intensity = noises(place("intensity")?).map(normal_cdf).collect();
        Ok(BTreeMap::from([
            ("thickness".to_owned(), thickness),
            ("intensity".to_owned(), intensity),
        ]))
    }
}
