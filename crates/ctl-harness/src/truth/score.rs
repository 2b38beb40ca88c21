//! Scores of one who is asked: what can be measured without the truth, and the truth.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use ctl_counterfactual::{
    Acts, DeepScm, Kind, Predictors, Realism, Records, Schema, StructuralModel, VaeMechanism,
    composition, minimality, realism, reversibility, true_error,
};
use ctl_metrics::regression::spearman;
use serde::{Deserialize, Serialize};

use super::{Budget, Case, Rival, Simulator};
use crate::counterfactual::{INTERVALS, from_uniform, groups};
use crate::{HarnessError, Result};

/// Grey levels from black to white.
const GREY_LEVELS: f64 = 255.0;
/// Where the true counterfactual differs from the fact by more grey levels, it is said to change.
const CHANGE: f64 = 8.0;

/// How rivals are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreSettings {
    /// Null interventions in a row, at least 1.
    pub cycles: usize,
    /// Individuals by whom crowds are compared, the first ones, at least 2: distances between crowds
    /// depend on their size, so all rivals have the same. Null interventions in a row are of them, too.
    pub crowd: usize,
    /// What interventions and noises depend on.
    pub seed: u64,
}

impl Default for ScoreSettings {
    fn default() -> Self {
        Self {
            cycles: 10,
            crowd: 500,
            seed: 0,
        }
    }
}

/// Who judges without knowing the truth, trained on facts.
pub struct Judges {
    /// Predictors against the causal direction.
    pub predictors: Predictors,
    /// An autoencoder without parents.
    pub encoder: VaeMechanism,
}

/// An intervention, and what the individuals would have been.
pub struct Question {
    /// The intervention.
    pub case: Case,
    /// The true counterfactuals.
    pub truth: Records,
}

/// Individuals, and what is asked about them.
pub struct Questions {
    /// Positions of the individuals in the simulator.
    pub individuals: Vec<usize>,
    /// What they are.
    pub facts: Records,
    /// What is asked.
    pub questions: Vec<Question>,
    /// Where the noises of their attributes lie.
    ranks: BTreeMap<String, Vec<f64>>,
}

impl Questions {
    /// Asks a simulator about interventions on some attributes each, see [`Case::of_others`].
    ///
    /// # Errors
    /// When an individual or attribute does not exist, or an intervention is not possible.
    pub fn ask(
        simulator: &dyn Simulator,
        individuals: &[usize],
        interventions: &[&[&str]],
        seed: u64,
    ) -> Result<Self> {
        let facts = simulator.facts(individuals)?;
        let questions = interventions.iter().map(|names| -> Result<Question> {
            let case = Case::of_others(simulator.schema(), &facts, names, seed)?;
            let truth = simulator.truth(individuals, &case)?;
            Ok(Question { case, truth })
        });
        Ok(Self {
            questions: questions.collect::<Result<_>>()?,
            ranks: simulator.ranks(individuals)?,
            individuals: individuals.to_vec(),
            facts,
        })
    }

    /// The first individuals alone.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn first(&self, most: usize) -> Result<Self> {
        let count = most.min(self.individuals.len());
        let rows: Vec<usize> = (0..count).collect();
        let questions = self.questions.iter().map(|question| -> Result<Question> {
            Ok(Question {
                case: question.case.select(&rows),
                truth: question.truth.select(&rows)?,
            })
        });
        let ranks = self.ranks.iter();
        Ok(Self {
            questions: questions.collect::<Result<_>>()?,
            ranks: ranks
                .map(|(name, ranks)| (name.clone(), ranks[..count].to_vec()))
                .collect(),
            individuals: self.individuals[..count].to_vec(),
            facts: self.facts.select(&rows)?,
        })
    }
}

/// What answers to one intervention are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseScore {
    /// The intervention in words.
    pub case: String,
    /// How far what the predictors say of each parent of the image is from what it should be: mean
    /// absolute error, or the share of wrong categories.
    pub predicted: BTreeMap<String, f64>,
    /// Mean over the parents of the same, of continuous ones in standard deviations of the facts.
    pub effectiveness: f64,
    /// How far what a rule reads off the images is from what it should be, by attribute.
    pub measured: BTreeMap<String, f64>,
    /// Mean over these, in standard deviations of the facts; none without a rule.
    pub measured_effectiveness: Option<f64>,
    /// Mean absolute error after there and back, in grey levels.
    pub reversibility: f64,
    /// Distances between facts and counterfactuals as crowds, in the features of our own predictors.
    pub realism: Realism,
    /// Counterfactual latent divergence; none where no fact has what is asked for.
    pub minimality: Option<f64>,
    /// Mean absolute error against the true counterfactuals, in grey levels.
    pub mae: f64,
    /// Peak signal-to-noise ratio in dB; none where all are exact.
    pub psnr: Option<f64>,
    /// Structural similarity.
    pub ssim: f64,
    /// Mean absolute error where the truth differs from the fact by more than 8 grey levels, and
    /// elsewhere; none where there is no such pixel.
    pub where_changed: [Option<f64>; 2],
    /// Share of pixels where it does.
    pub changed: f64,
    /// `Σ ⟨answer − reconstruction, truth − fact⟩ / Σ ‖truth − fact‖²`: 1 where the true change is
    /// carried out in full, 0 where none of it is; none where nothing changes. What reconstruction
    /// loses is no change: against the fact itself, an average image that is the same for everybody
    /// would carry out half of every exchange of two states.
    pub carried_out: Option<f64>,
    /// Of attributes that follow from those acted on, mean absolute error against the truth, or share
    /// of wrong categories.
    pub attributes: BTreeMap<String, f64>,
    /// Rank correlation over individuals between what can be measured of each and their true error;
    /// none where one does not vary.
    pub within: BTreeMap<String, Option<f64>>,
}

/// How abducted noises are distributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// By continuous attribute: greatest distance of the ranks to the uniform distribution, and mean
    /// distance to the true ranks, both 0 to 1.
    pub attributes: BTreeMap<String, [f64; 2]>,
    /// Mean and standard deviation of all values of the image's noise.
    pub moments: [f64; 2],
    /// By parent of the image: root mean square, over the values of the noise, of the correlation
    /// with the parent.
    pub parents: BTreeMap<String, f64>,
    /// What the same is on average for a noise that the parent does not tell: `1 / √n`.
    pub chance: f64,
}

/// Scores of one who is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RivalScore {
    /// Its name.
    pub name: String,
    /// What training cost; none of a reference.
    pub budget: Option<Budget>,
    /// Individuals that it was asked about.
    pub individuals: usize,
    /// Mean absolute error after one null intervention, and after the last one of the crowd, in grey
    /// levels.
    pub composition: [f64; 2],
    /// Of a model, how its noises are distributed.
    pub calibration: Option<Calibration>,
    /// By intervention that it knows.
    pub cases: Vec<CaseScore>,
}

/// Asks one rival everything.
///
/// # Errors
/// When facts or interventions do not suit it, images are too small for the structural similarity,
/// or there are fewer than two individuals.
pub fn score(
    rival: &Rival<'_>,
    questions: &Questions,
    (simulator, judges): (&dyn Simulator, &Judges),
    settings: &ScoreSettings,
) -> Result<RivalScore> {
    if settings.cycles == 0 || settings.crowd < 2 {
        return Err(HarnessError::Config {
            origin: "score of counterfactuals".into(),
            key: "cycles, crowd".into(),
            message: format!(
                "{} and {} must be at least 1 and 2",
                settings.cycles, settings.crowd
            ),
        });
    }
    let questions = questions.first(rival.most)?;
    let facts = &questions.facts;
    let again = composition(rival.answers, facts, 1, settings.seed)?;
    let crowd: Vec<usize> = (0..settings.crowd.min(facts.len())).collect();
    let crowd = facts.select(&crowd)?;
    let last = composition(rival.answers, &crowd, settings.cycles, settings.seed)?;
    let still = rival.answers.answer(facts, &Acts::none(), settings.seed)?;
    let mut cases = Vec::new();
    for question in questions.questions.iter().filter(|q| rival.knows(&q.case)) {
        let asked = Asked {
            rival,
            facts,
            question,
            still: &still,
            lost: &again.l1_per_image[0],
        };
        cases.push(asked.score((simulator, judges), settings)?);
    }
    let calibration = rival
        .model
        .map(|model| calibration(model, &questions, settings.seed));
    Ok(RivalScore {
        name: rival.name.clone(),
        budget: rival.budget.clone(),
        individuals: facts.len(),
        composition: [again.l1[0], last.l1[settings.cycles - 1]],
        calibration: calibration.transpose()?,
        cases,
    })
}

/// One question to one rival.
struct Asked<'a> {
    rival: &'a Rival<'a>,
    facts: &'a Records,
    question: &'a Question,
    /// The reconstructions.
    still: &'a Records,
    /// Their error, individual after individual.
    lost: &'a [f64],
}

impl Asked<'_> {
    fn score(
        &self,
        (simulator, judges): (&dyn Simulator, &Judges),
        settings: &ScoreSettings,
    ) -> Result<CaseScore> {
        let (case, truth) = (&self.question.case, &self.question.truth);
        let (answers, schema) = (self.rival.answers, simulator.schema());
        let acts = case.acts(schema)?;
        let after = answers.answer(self.facts, &acts, settings.seed)?;
        let back = reversibility(answers, self.facts, &acts, 1, settings.seed)?;
        let intended = Records {
            columns: after.columns.clone(),
            images: None,
        };
        let said = judges.predictors.predictions(&after)?;
        let said: Readings = said
            .into_iter()
            .map(|(name, v)| (name, v.into_iter().map(Some).collect()))
            .collect();
        let images = after.images.as_ref().ok_or_else(no_images)?;
        let read = simulator.measure(images)?;
        let judge = |readings: &Readings| Reading::of(schema, self.facts, &intended, readings);
        let (predicted, measured) = (judge(&said)?, judge(&read)?);
        let cut = settings.crowd.min(self.facts.len());
        let rows: Vec<usize> = (0..cut).collect();
        let crowd = [self.facts.select(&rows)?, after.select(&rows)?];
        let moved = self.minimality(schema, &after, judges)?;
        let error = true_error(&after, truth)?;
        let pixels = Pixels::of(self.facts, self.still, &after, truth)?;
        let mut within = BTreeMap::from([
            ("composition", Some(self.lost.to_vec())),
            ("reversibility", Some(back.l1_per_image[0].clone())),
            ("effectiveness", Some(predicted.by_individual)),
            ("minimality", moved.clone()),
        ]);
        within.insert(
            "measured",
            measured.mean.is_some().then_some(measured.by_individual),
        );
        let correlated = within.into_iter().filter_map(|(name, values)| {
            let found = spearman(&values?, &error.by_individual).ok();
            Some((name.to_owned(), found))
        });
        Ok(CaseScore {
            case: case.name(),
            effectiveness: predicted.mean.unwrap_or(f64::NAN),
            predicted: predicted.errors,
            measured_effectiveness: measured.mean,
            measured: measured.errors,
            reversibility: back.l1[0],
            realism: realism(&judges.predictors, &crowd[0], &crowd[1])?,
            minimality: moved.map(|values| mean(&values)),
            within: correlated.collect(),
            mae: error.mae,
            psnr: error.psnr,
            ssim: error.ssim,
            where_changed: pixels.where_changed,
            changed: pixels.changed,
            carried_out: pixels.carried_out,
            attributes: self.followers(schema, &acts, &after),
        })
    }

    /// Counterfactual latent divergence of each individual. Several attributes are judged together,
    /// by halves; what no fact has cannot be judged.
    fn minimality(
        &self,
        schema: &Schema,
        after: &Records,
        judges: &Judges,
    ) -> Result<Option<Vec<f64>>> {
        let acted = &self.question.case.acts;
        let intervals = if acted.len() == 1 { INTERVALS } else { 2 };
        let mut joint = vec![(0, 0); self.facts.len()];
        for (name, _) in acted {
            let node = schema.attribute(name)?;
            let (own, new) = (self.facts.columns.column(node), after.columns.column(node));
            let places = groups(schema.kind(node), own, new, intervals);
            let width = match schema.kind(node) {
                Kind::Categorical { categories } => categories.len(),
                _ => intervals,
            };
            for (all, (from, to)) in joint.iter_mut().zip(places) {
                *all = (all.0 * width + from, all.1 * width + to);
            }
        }
        let has = |group: usize| joint.iter().any(|(own, _)| *own == group);
        if joint.iter().any(|&(_, to)| !has(to)) {
            return Ok(None);
        }
        let found = minimality(&judges.encoder, self.facts, after, &joint)?;
        Ok(Some(found.values))
    }

    /// Errors of the attributes that follow from those acted on.
    fn followers(&self, schema: &Schema, acts: &Acts, after: &Records) -> BTreeMap<String, f64> {
        let affected = schema.affected(&acts.nodes());
        let follow = schema
            .attributes()
            .filter(|&node| affected.contains(node) && acts.on(node).is_none());
        let errors = follow.map(|node| {
            let ours = after.columns.column(node).iter();
            let pairs = ours.zip(self.question.truth.columns.column(node));
            let error = |(a, b): (&f64, &f64)| distance(schema.kind(node), *a, *b);
            let errors: Vec<f64> = pairs.map(error).collect();
            (schema.diagram().name(node).to_owned(), mean(&errors))
        });
        errors.collect()
    }
}

fn no_images() -> HarnessError {
    ctl_counterfactual::CounterfactualError::Shape {
        subject: "counterfactual images",
        expected: "images to score".to_owned(),
        found: "none".to_owned(),
    }
    .into()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// How far two values are apart; of categories, 0 or 1.
fn distance(kind: &Kind, a: f64, b: f64) -> f64 {
    if matches!(kind, Kind::Categorical { .. }) {
        return f64::from(u8::from(a as usize != b as usize));
    }
    (a - b).abs()
}

type Readings = BTreeMap<String, Vec<Option<f64>>>;

/// How far what is read off images is from what it should be.
struct Reading {
    errors: BTreeMap<String, f64>,
    /// Mean over the attributes, of continuous ones in standard deviations of the facts.
    by_individual: Vec<f64>,
    mean: Option<f64>,
}

impl Reading {
    /// An image that shows nothing is off by two standard deviations.
    const NOTHING: f64 = 2.0;

    fn of(
        schema: &Schema,
        facts: &Records,
        intended: &Records,
        readings: &Readings,
    ) -> Result<Self> {
        let count = facts.len();
        let mut reading = Self {
            errors: BTreeMap::new(),
            by_individual: vec![0.0; count],
            mean: None,
        };
        for (name, values) in readings {
            let node = schema.attribute(name)?;
            let kind = schema.kind(node);
            let unit = match kind {
                Kind::Categorical { .. } => 1.0,
                _ => deviation(facts.columns.column(node)),
            };
            let pairs = values.iter().zip(intended.columns.column(node));
            let errors: Vec<f64> = pairs
                .map(|(read, value)| {
                    read.map_or(Self::NOTHING * unit, |read| distance(kind, read, *value))
                })
                .collect();
            for (sum, error) in reading.by_individual.iter_mut().zip(&errors) {
                *sum += error / unit / readings.len() as f64;
            }
            reading.errors.insert(name.clone(), mean(&errors));
        }
        reading.mean = (!readings.is_empty()).then(|| mean(&reading.by_individual));
        Ok(reading)
    }
}

/// Standard deviation, 1 of a constant.
fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - middle).powi(2)).collect();
    let deviation = mean(&squares).sqrt();
    if deviation > 0.0 { deviation } else { 1.0 }
}

/// Where and how far images change.
struct Pixels {
    where_changed: [Option<f64>; 2],
    changed: f64,
    carried_out: Option<f64>,
}

impl Pixels {
    fn of(facts: &Records, still: &Records, answer: &Records, truth: &Records) -> Result<Self> {
        let grey = |records: &Records| -> Result<Vec<f64>> {
            let images = records.images.as_ref().ok_or_else(no_images)?;
            let values = images
                .flatten_all()?
                .to_dtype(DType::F64)?
                .to_vec1::<f64>()?;
            Ok(values
                .into_iter()
                .map(|value| value * GREY_LEVELS)
                .collect())
        };
        let [facts, still, answer, truth] = [facts, still, answer, truth].map(grey);
        let (facts, still, answer, truth) = (facts?, still?, answer?, truth?);
        let (mut sums, mut counts) = ([0.0; 2], [0_usize; 2]);
        let (mut along, mut length) = (0.0, 0.0);
        for (pixel, (answer, truth)) in answer.iter().zip(&truth).enumerate() {
            let change = truth - facts[pixel];
            let place = usize::from(change.abs() <= CHANGE);
            sums[place] += (answer - truth).abs();
            counts[place] += 1;
            along += (answer - still[pixel]) * change;
            length += change.powi(2);
        }
        let share = |place: usize| (counts[place] > 0).then(|| sums[place] / counts[place] as f64);
        Ok(Self {
            where_changed: [share(0), share(1)],
            changed: counts[0] as f64 / truth.len().max(1) as f64,
            carried_out: (length > 0.0).then(|| along / length),
        })
    }
}

fn calibration(model: &DeepScm, questions: &Questions, seed: u64) -> Result<Calibration> {
    let (schema, facts) = (model.schema(), &questions.facts);
    let ours = model.ranks(&facts.columns)?;
    let mut attributes = BTreeMap::new();
    for (name, ranks) in ours {
        if let Some(truth) = questions.ranks.get(&name) {
            let apart: Vec<f64> = ranks
                .iter()
                .zip(truth)
                .map(|(a, b)| (a - b).abs())
                .collect();
            attributes.insert(name, [from_uniform(ranks), mean(&apart)]);
        }
    }
    let noise = model.abduct(facts, seed)?;
    let latents = noise
        .image_noise()
        .map_or(&[][..], |noise| &noise.latents[..]);
    let count = facts.len();
    let flat = latents.iter().map(|latent| latent.reshape((count, ())));
    let flat: Vec<Tensor> = flat.collect::<candle_core::Result<_>>()?;
    if flat.is_empty() {
        return Err(no_images());
    }
    let noise = Tensor::cat(&flat, 1)?
        .to_dtype(DType::F64)?
        .to_vec2::<f64>()?;
    let all: Vec<f64> = noise.concat();
    let width = all.len() / count;
    let image = schema.image().map(|node| schema.parents(node));
    let mut parents = BTreeMap::new();
    for node in image.unwrap_or_default() {
        let values = facts.columns.column(node);
        let squares = (0..width).map(|place| {
            let column: Vec<f64> = noise.iter().map(|row| row[place]).collect();
            ctl_metrics::regression::pearson(&column, values).map_or(0.0, |r| r * r)
        });
        let squares: Vec<f64> = squares.collect();
        let name = schema.diagram().name(node).to_owned();
        parents.insert(name, mean(&squares).sqrt());
    }
    Ok(Calibration {
        attributes,
        moments: [mean(&all), deviation(&all)],
        parents,
        chance: 1.0 / (count as f64).sqrt(),
    })
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
