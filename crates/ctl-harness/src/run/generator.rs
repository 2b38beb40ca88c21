//! How sound a method's counterfactuals between sources are, on patients that it did not learn from.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use ctl_counterfactual::generators::FittedAutoencoder;
use ctl_counterfactual::{
    Act, Acts, Answers, Columns, CounterfactualError, Examples, PredictorConfig, Predictors,
    Records, Schema, composition, realism, reversibility, true_error,
};
use ctl_invariance::{Batch, CounterfactualGenerator, Intervention, TargetKind};
use ctl_phantom::PhantomCohort;

use super::evaluate::Ground;
use super::panels::make_folder;
use crate::Result;
use crate::counterfactual::{ScoreOptions, suited};
use crate::data::thinned;
use crate::record::{GeneratorScore, TrueCounterfactuals, Way};
use crate::truth::{Case, Picture, Strip};
use crate::vocabulary::Task;

/// Patients of each source who are asked about, at most.
const ASKED: usize = 100;
/// Images of each source that the predictors learn from, at most.
const LEARNT_FROM: usize = 1_000;
/// Updates of a predictor, at most: no more than the run itself has.
const JUDGE_STEPS: u64 = 200;
/// Images of such an update.
const JUDGE_BATCH: usize = 32;
/// Patients of each source in the strip.
const SHOWN: usize = 2;
/// Pixels of a strip to a pixel of an image, along each side.
const ZOOM: usize = 2;
const ENVIRONMENT: &str = "environment";
const CLASS: &str = "class";

/// Where the strip of a run's folder is.
pub(crate) fn strip_path(run: &Path) -> PathBuf {
    run.join("counterfactuals").join("strip.png")
}

/// A generator as one who can be asked: environment and class are causes of the image.
struct Asked<'a> {
    schema: Schema,
    generator: &'a dyn CounterfactualGenerator,
}

impl Asked<'_> {
    /// What the records say of an attribute, as indices; none where it is none of theirs.
    fn indices(&self, records: &Records, name: &str) -> Option<Vec<u32>> {
        let node = self.schema.attribute(name).ok()?;
        let values = records.columns.column(node).iter();
        Some(values.map(|&value| value as u32).collect())
    }
}

impl Answers for Asked<'_> {
    fn variables(&self) -> &Schema {
        &self.schema
    }

    fn answer(&self, facts: &Records, acts: &Acts, _: u64) -> ctl_counterfactual::Result<Records> {
        let case = Case::of_acts(&self.schema, acts, facts.len())?;
        let columns = case.applied(&self.schema, &facts.columns)?;
        let (Some(images), Some(own)) = (&facts.images, self.indices(facts, ENVIRONMENT)) else {
            return Ok(facts.clone());
        };
        let there = case.acts.iter().find(|(name, _)| name == ENVIRONMENT);
        let classes = self.indices(facts, CLASS);
        let mut places: Vec<u32> = Vec::new();
        let mut pieces: Vec<Tensor> = Vec::new();
        let environments = own.iter().max().map_or(0, |&most| most + 1);
        for environment in 0..environments {
            let rows: Vec<usize> = (0..own.len()).filter(|&r| own[r] == environment).collect();
            if rows.is_empty() {
                continue;
            }
            let wanted: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            let chosen = images.index_select(&Tensor::new(wanted.as_slice(), &Device::Cpu)?, 0)?;
            let batch = Batch {
                classes: classes
                    .as_ref()
                    .map(|all| rows.iter().map(|&row| all[row]).collect()),
                ..Batch::new(environment as usize, chosen, TargetKind::Classes)
            };
            let act = |&row: &usize| match there {
                Some((_, values)) => Intervention::environment(values[row] as usize),
                None => Intervention::default(),
            };
            let acts: Vec<Intervention> = rows.iter().map(act).collect();
            let made = self.generator.counterfactuals(&batch, &acts);
            let made = made.map_err(|error| CounterfactualError::Value {
                subject: "counterfactuals of a method's generator".to_owned(),
                expected: "an answer".to_owned(),
                found: error.to_string(),
            })?;
            pieces.push(made.clamp(0.0, 1.0)?);
            places.extend(wanted);
        }
        let mut back = vec![0u32; places.len()];
        for (place, &row) in places.iter().enumerate() {
            back[row as usize] = place as u32;
        }
        let back = Tensor::new(back, &Device::Cpu)?;
        let images = Tensor::cat(&pieces, 0)?.index_select(&back, 0)?;
        Ok(Records {
            columns,
            images: Some(images),
        })
    }
}

/// Samples of the sources with what makes their images.
struct Patients<'a> {
    ground: &'a Ground<'a>,
    samples: Vec<usize>,
    columns: Columns,
}

impl<'a> Patients<'a> {
    /// At most so many of each source.
    fn of(
        ground: &'a Ground<'a>,
        schema: &Schema,
        parts: &[crate::data::Part],
        most: usize,
    ) -> Result<Self> {
        let (mut samples, mut environments) = (Vec::new(), Vec::new());
        for (environment, part) in parts.iter().enumerate() {
            let own = thinned(&part.samples, most, ground.spec.seed);
            environments.extend(own.iter().map(|_| environment as f64));
            samples.extend(own);
        }
        let class = |&sample: &usize| ground.cohort.samples[sample].label as f64;
        let mut columns = vec![(ENVIRONMENT, environments)];
        if schema.attribute(CLASS).is_ok() {
            columns.push((CLASS, samples.iter().map(class).collect()));
        }
        Ok(Self {
            ground,
            columns: Columns::new(schema, &columns)?,
            samples,
        })
    }

    fn pixels(&self, rows: &[usize]) -> Result<Tensor> {
        let samples: Vec<usize> = rows.iter().map(|&row| self.samples[row]).collect();
        let images = &self.ground.cohort.images;
        let pixels = images.gather(&samples, self.ground.view)?;
        let [channels, height, width] = images.shape();
        let shape = (rows.len(), channels, height, width);
        Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
    }

    fn facts(&self, schema: &Schema) -> Result<Records> {
        let all: Vec<usize> = (0..self.samples.len()).collect();
        let images = self.pixels(&all)?;
        Ok(Records::new(schema, self.columns.clone(), Some(images))?)
    }

    /// The rows of one source.
    fn rows_of(&self, schema: &Schema, environment: usize) -> Result<Vec<usize>> {
        let values = self.columns.column(schema.attribute(ENVIRONMENT)?);
        let rows = 0..values.len();
        Ok(rows
            .filter(|&r| values[r] as usize == environment)
            .collect())
    }
}

impl Examples for Patients<'_> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> ctl_counterfactual::Result<Option<Tensor>> {
        let images = self.pixels(rows);
        let images = images.map_err(|error| CounterfactualError::Value {
            subject: "images of the sources".to_owned(),
            expected: "images that can be read".to_owned(),
            found: error.to_string(),
        })?;
        Ok(Some(images))
    }
}

/// Asks a generator what held-out patients of each source would look like at the next one, and keeps
/// a strip of some of them in the run's folder.
///
/// # Returns
/// None where a source has nobody held out, or there is one source only.
///
/// # Errors
/// When images cannot be read, the generator refuses, or the strip cannot be written.
pub(super) fn examine(
    ground: &Ground<'_>,
    generator: &dyn CounterfactualGenerator,
    folder: &Path,
) -> Result<Option<GeneratorScore>> {
    let (held_out, train) = (&ground.parts.in_distribution, &ground.parts.train);
    let nobody = held_out.iter().any(|part| part.samples.is_empty());
    if train.len() < 2 || held_out.len() != train.len() || nobody {
        return Ok(None);
    }
    let classes = match ground.spec.task {
        Task::Classification | Task::Multimodal => ground.cohort.classes.len(),
        _ => 0,
    };
    let classes = if classes > 1 { classes } else { 0 };
    let shape = ground.cohort.images.shape();
    let schema = FittedAutoencoder::schema(train.len(), classes, shape)?;
    let asked = Asked { schema, generator };
    let schema = &asked.schema;
    let patients = Patients::of(ground, schema, held_out, ASKED)?;
    let judges = judges(ground, schema)?;
    let facts = patients.facts(schema)?;
    let own = judges.errors(&facts)?;
    let seed = ground.spec.seed;
    let mut score = GeneratorScore {
        images: facts.len(),
        composition: composition(&asked, &facts, 1, seed)?.l1[0],
        misread: own,
        ways: Vec::new(),
    };
    let mut strips = Strips::new(shape);
    for from in 0..train.len() {
        let to = (from + 1) % train.len();
        let rows = patients.rows_of(schema, from)?;
        let here = facts.select(&rows)?;
        let acts = [(ENVIRONMENT, Act::set(vec![to as f64; rows.len()]))];
        let acts = Acts::new(schema, &acts)?;
        let answer = asked.answer(&here, &acts, seed)?;
        let truth = match ground.cohort.images.phantom() {
            Some(phantom) => {
                let samples: Vec<usize> = rows.iter().map(|&row| patients.samples[row]).collect();
                Some(truth(ground, phantom, &samples, to, &answer)?)
            }
            None => None,
        };
        let names = [from, to].map(|index| site(ground, index));
        strips.add(&names, (&here, &answer, truth.as_ref()))?;
        let [from, to] = names;
        score.ways.push(Way {
            from,
            to,
            images: rows.len(),
            reversibility: reversibility(&asked, &here, &acts, 1, seed)?.l1[0],
            misread: judges.errors(&answer)?,
            realism: realism(&judges, &here, &answer)?,
            truth: truth
                .map(|truth| against(&here, &answer, &truth))
                .transpose()?,
        });
    }
    strips.write(&strip_path(folder))?;
    Ok(Some(score))
}

/// Predictors of site and class that learn from the training images.
fn judges(ground: &Ground<'_>, schema: &Schema) -> Result<Predictors> {
    let shape = ground.cohort.images.shape();
    let options = ScoreOptions {
        predictors: PredictorConfig {
            steps: ground.spec.training.steps.min(JUDGE_STEPS),
            batch: JUDGE_BATCH,
            ..PredictorConfig::default()
        },
        ..ScoreOptions::default()
    };
    let config = suited(&options, shape).predictors;
    let training = Patients::of(ground, schema, &ground.parts.train, LEARNT_FROM)?;
    let seed = ground.spec.seed;
    Ok(Predictors::train(
        schema,
        &training,
        &config,
        seed,
        &mut |_| (),
    )?)
}

/// A source's name.
fn site(ground: &Ground<'_>, environment: usize) -> String {
    let first = ground.parts.train[environment].samples.first();
    let name = first.map(|&sample| &ground.cohort.sites[ground.cohort.samples[sample].site]);
    name.cloned().unwrap_or_default()
}

/// What the same patients with the same disease would look like at a source.
fn truth(
    ground: &Ground<'_>,
    phantom: &PhantomCohort,
    samples: &[usize],
    to: usize,
    answer: &Records,
) -> Result<Records> {
    let there = &ground.parts.train[to].samples;
    let site = there
        .first()
        .map_or(0, |&first| ground.cohort.samples[first].site);
    let mut pixels = Vec::new();
    for &index in samples {
        let disease = phantom.value(&phantom.samples()[index], "disease")?;
        let acts = [("site", site as f64), ("disease", disease)];
        pixels.extend(phantom.image_of(&phantom.counterfactual(index, &acts)?));
    }
    let [channels, height, width] = ground.cohort.images.shape();
    let shape = (samples.len(), channels, height, width);
    Ok(Records {
        columns: answer.columns.clone(),
        images: Some(Tensor::from_vec(pixels, shape, &Device::Cpu)?),
    })
}

/// How far facts and answers are from the truth, and how much of the true change was made.
fn against(fact: &Records, answer: &Records, truth: &Records) -> Result<TrueCounterfactuals> {
    let (found, unchanged) = (true_error(answer, truth)?, true_error(fact, truth)?);
    let (mut along, mut square) = (0.0, 0.0);
    if let (Some(fact), Some(answer), Some(truth)) = (&fact.images, &answer.images, &truth.images) {
        let change = (truth - fact)?;
        along = f64::from(
            (answer - fact)?
                .mul(&change)?
                .mean_all()?
                .to_scalar::<f32>()?,
        );
        square = f64::from(change.sqr()?.mean_all()?.to_scalar::<f32>()?);
    }
    Ok(TrueCounterfactuals {
        mae: found.mae,
        unchanged: unchanged.mae,
        ssim: found.ssim,
        carried_out: (square > 0.0).then(|| along / square),
    })
}

/// The rows of a strip, where images are square.
struct Strips {
    shape: [usize; 3],
    rows: Vec<(String, Vec<Picture>)>,
}

impl Strips {
    fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            rows: Vec::new(),
        }
    }

    fn add(
        &mut self,
        [from, to]: &[String; 2],
        (fact, answer, truth): (&Records, &Records, Option<&Records>),
    ) -> Result<()> {
        for row in 0..fact.len().min(SHOWN) {
            let (own, there) = (self.grey(fact, row)?, self.grey(answer, row)?);
            let true_one = truth.map(|truth| self.grey(truth, row)).transpose()?;
            let less = |a: &[f32], b: &[f32]| {
                Picture::Difference(a.iter().zip(b).map(|(a, b)| a - b).collect())
            };
            let mut pictures = vec![
                Picture::Grey(own.clone()),
                Picture::Grey(there.clone()),
                less(&there, &own),
            ];
            if let Some(true_one) = true_one {
                pictures.push(Picture::Grey(true_one.clone()));
                pictures.push(less(&true_one, &own));
                pictures.push(less(&there, &true_one));
            }
            self.rows.push((format!("{from} to {to}"), pictures));
        }
        Ok(())
    }

    /// The mean of an image's channels.
    fn grey(&self, records: &Records, row: usize) -> Result<Vec<f32>> {
        let Some(images) = &records.images else {
            return Ok(Vec::new());
        };
        Ok(images.get(row)?.mean(0)?.flatten_all()?.to_vec1()?)
    }

    fn write(self, path: &Path) -> Result<()> {
        let [_, height, width] = self.shape;
        let Some(first) = self.rows.first().filter(|_| height == width) else {
            return Ok(());
        };
        let heads = [
            "fact",
            "answer",
            "answer - fact",
            "truth",
            "truth - fact",
            "answer - truth",
        ];
        let columns = heads[..first.1.len()].iter().map(|&head| head.to_owned());
        let strip = Strip::of_rows(height, columns.collect(), self.rows);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        strip.write_png(path, ZOOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [1, 12, 12];

    /// Adds to every image a tenth of the step from its own source to the one it is sent to.
    struct Steps;

    impl CounterfactualGenerator for Steps {
        fn counterfactuals(
            &self,
            batch: &Batch,
            interventions: &[Intervention],
        ) -> ctl_invariance::Result<Tensor> {
            let own = batch.environment;
            let step = |act: &Intervention| {
                let there = act.environment.unwrap_or(own);
                0.1 * (there as f32 - own as f32)
            };
            let steps: Vec<f32> = interventions.iter().map(step).collect();
            let steps = Tensor::new(steps, &Device::Cpu)?.reshape(((), 1, 1, 1))?;
            Ok(batch.images.broadcast_add(&steps)?)
        }
    }

    /// Sources 2, 0, 1, 0; image `i` is `0.3 + 0.1 i` everywhere.
    fn facts(schema: &Schema) -> Records {
        let columns = [
            (ENVIRONMENT, vec![2.0, 0.0, 1.0, 0.0]),
            (CLASS, vec![0.0, 1.0, 1.0, 0.0]),
        ];
        let columns = Columns::new(schema, &columns).unwrap();
        Records::new(schema, columns, Some(flat(&[0.3, 0.4, 0.5, 0.6]))).unwrap()
    }

    fn flat(values: &[f32]) -> Tensor {
        let [channels, height, width] = SHAPE;
        let each = Tensor::new(values, &Device::Cpu)
            .unwrap()
            .reshape(((), 1, 1, 1))
            .unwrap();
        each.broadcast_as((values.len(), channels, height, width))
            .unwrap()
            .contiguous()
            .unwrap()
    }

    fn firsts(records: &Records) -> Vec<f32> {
        let images = records.images.as_ref().unwrap();
        let corner = images.narrow(2, 0, 1).unwrap().narrow(3, 0, 1).unwrap();
        corner.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Everybody is asked as a patient of the own source, and keeps the place among the others.
    #[test]
    fn answers_stand_in_the_order_of_the_facts() {
        let asked = Asked {
            schema: FittedAutoencoder::schema(3, 2, SHAPE).unwrap(),
            generator: &Steps,
        };
        let facts = facts(&asked.schema);
        let acts = [(ENVIRONMENT, Act::set(vec![0.0, 1.0, 2.0, 0.0]))];
        let acts = Acts::new(&asked.schema, &acts).unwrap();
        let answer = asked.answer(&facts, &acts, 0).unwrap();
        for (found, expected) in firsts(&answer).into_iter().zip([0.1, 0.5, 0.6, 0.6]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let node = asked.schema.attribute(ENVIRONMENT).unwrap();
        assert_eq!(answer.columns.column(node), [0.0, 1.0, 2.0, 0.0]);
        let nothing = asked.answer(&facts, &Acts::none(), 0).unwrap();
        assert_eq!(firsts(&nothing), firsts(&facts));
        let there_and_back = reversibility(&asked, &facts, &acts, 1, 0).unwrap();
        assert!(there_and_back.l1[0] < 1e-3);
    }

    /// Half of the true change is 10 grey levels short where the truth is 20 away.
    #[test]
    fn the_true_change_is_measured_from_the_fact() {
        let schema = FittedAutoencoder::schema(3, 2, SHAPE).unwrap();
        let fact = facts(&schema);
        let moved = |levels: f64| Records {
            images: Some((fact.images.as_ref().unwrap() + levels / 255.0).unwrap()),
            ..fact.clone()
        };
        let truth = moved(20.0);
        for (levels, error, share) in [(20.0, 0.0, 1.0), (0.0, 20.0, 0.0), (10.0, 10.0, 0.5)] {
            let found = against(&fact, &moved(levels), &truth).unwrap();
            assert!((found.mae - error).abs() < 1e-3, "{found:?}");
            assert!((found.unchanged - 20.0).abs() < 1e-3, "{found:?}");
            assert!(
                (found.carried_out.unwrap() - share).abs() < 1e-4,
                "{found:?}"
            );
        }
        assert_eq!(against(&fact, &truth, &fact).unwrap().carried_out, None);
    }

    /// Colours are shown as their mean; only square images are pictured.
    #[test]
    fn strips_have_three_or_six_pictures() {
        let schema = FittedAutoencoder::schema(3, 2, SHAPE).unwrap();
        let fact = facts(&schema);
        let names = ["a".to_owned(), "b".to_owned()];
        let folder = tempfile::tempdir().unwrap();
        for (truth, pictures) in [(None, 3), (Some(&fact), 6)] {
            let mut strips = Strips::new(SHAPE);
            strips.add(&names, (&fact, &fact, truth)).unwrap();
            assert_eq!(strips.rows.len(), SHOWN);
            assert!(strips.rows.iter().all(|row| row.1.len() == pictures));
            let path = strip_path(folder.path());
            strips.write(&path).unwrap();
            assert!(std::fs::read(path).unwrap().starts_with(b"\x89PNG"));
        }
        let path = folder.path().join("none.png");
        Strips::new([1, 4, 6]).write(&path).unwrap();
        assert!(!path.exists());
    }
}
