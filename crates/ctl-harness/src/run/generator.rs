//! How sound a method's counterfactuals between sources are, on patients that it did not learn from.

use std::collections::BTreeMap;
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
use crate::counterfactual::{ScoreOptions, suited};
use crate::data::{Part, thinned};
use crate::error::chain;
use crate::record::{GeneratorScore, TrueCounterfactuals, Way};
use crate::store::write_atomically;
use crate::truth::{Case, Picture, Strip};
use crate::vocabulary::Task;
use crate::{HarnessError, Result};

/// Images of each source that are asked about, at most.
const ASKED: usize = 100;
/// Sources up to which everybody is sent to every other one.
const MOST_EVERYWHERE: usize = 3;
/// Images of each source that the predictors learn from, at most.
const LEARNT_FROM: usize = 1_000;
/// Updates of a predictor, at most: no more than the run itself has.
const JUDGE_STEPS: u64 = 200;
/// Images of such an update.
const JUDGE_BATCH: usize = 32;
/// Rows of a strip, at most; each way has one.
const ROWS: usize = 6;
/// Pixels that the pictures of a strip have along each side, about.
const SHOWN_SIDE: usize = 96;
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
            return Err(CounterfactualError::Shape {
                subject: "images to ask a generator about",
                expected: "images with an environment".to_owned(),
                found: "none".to_owned(),
            });
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
            let ill = |found: String| CounterfactualError::Value {
                subject: "counterfactuals of a method's generator".to_owned(),
                expected: format!("finite images of shape {:?}", batch.images.dims()),
                found,
            };
            let made = made.map_err(|error| ill(chain(&error)))?;
            if made.dims() != batch.images.dims() {
                return Err(ill(format!("{:?}", made.dims())));
            }
            if !made.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                return Err(ill("values that are not".to_owned()));
            }
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
    fn of(ground: &'a Ground<'a>, schema: &Schema, parts: &[Part], most: usize) -> Result<Self> {
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
            found: chain(&error),
        })?;
        Ok(Some(images))
    }
}

/// What a look at a generator came to.
#[derive(Debug, Default)]
pub(super) struct Examined {
    pub(super) score: Option<GeneratorScore>,
    /// What a reader must know, such as why nothing was measured.
    pub(super) notes: Vec<String>,
}

/// Asks a generator what held-out images of each source would look like at others, and keeps a strip
/// of some of them in the run's folder.
///
/// Runs without one of the sources and later draws of settings are passed over: what they train on
/// is no other than that of the first draw on all sources.
/// A generator that cannot be measured does not end the run: a note says why.
///
/// # Errors
/// When images cannot be read or the strip cannot be written.
pub(super) fn examine(
    ground: &Ground<'_>,
    generator: &dyn CounterfactualGenerator,
    folder: &Path,
) -> Result<Examined> {
    if ground.spec.held_out.is_some() || ground.spec.draw > 0 || ground.parts.train.len() < 2 {
        return Ok(Examined::default());
    }
    match asked(ground, generator, folder) {
        Err(HarnessError::Counterfactual(error)) => Ok(Examined {
            score: None,
            notes: vec![unmeasured(&chain(&error))],
        }),
        other => other,
    }
}

fn unmeasured(why: &str) -> String {
    format!("how sound the counterfactuals are was not measured: {why}")
}

fn asked(
    ground: &Ground<'_>,
    generator: &dyn CounterfactualGenerator,
    folder: &Path,
) -> Result<Examined> {
    let (held_out, train) = (&ground.parts.in_distribution, &ground.parts.train);
    let site_of = |part: &Part| part.samples.first().map(|&s| ground.cohort.samples[s].site);
    let same = held_out.len() == train.len()
        && held_out
            .iter()
            .zip(train)
            .all(|(a, b)| a.samples.is_empty() || site_of(a) == site_of(b));
    if !same {
        let why = "held-out images are not of the sites that train";
        return Ok(Examined {
            score: None,
            notes: vec![unmeasured(why)],
        });
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
    let mut notes = Vec::new();
    let empty = (0..train.len()).filter(|&e| held_out[e].samples.is_empty());
    let empty: Vec<String> = empty.map(|e| site(ground, e)).collect();
    if !empty.is_empty() {
        let names = empty.join(", ");
        notes.push(format!(
            "no images held out at {names}: none of theirs were asked about"
        ));
    }
    if patients.samples.is_empty() {
        return Ok(Examined { score: None, notes });
    }
    let judges = judges(ground, schema)?;
    if judges.is_none() {
        notes.push(
            "what counterfactuals show is not read: predictors need even sides of images"
                .to_owned(),
        );
    }
    let facts = patients.facts(schema)?;
    let seed = ground.spec.seed;
    let mut score = GeneratorScore {
        images: facts.len(),
        composition: composition(&asked, &facts, 1, seed)?.l1[0],
        ways: Vec::new(),
    };
    let mut strips = Strips::new(shape);
    for (from, to) in ways(train.len()) {
        let rows = patients.rows_of(schema, from)?;
        if rows.is_empty() {
            continue;
        }
        let here = facts.select(&rows)?;
        let there = facts.select(&patients.rows_of(schema, to)?)?;
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
        let read = |records: &Records| match &judges {
            Some(judges) => Ok(judges.errors(records)?),
            None => Ok::<_, HarnessError>(BTreeMap::new()),
        };
        let names = [from, to].map(|index| site(ground, index));
        strips.add(&names, (&here, &answer, truth.as_ref()))?;
        let [from, to] = names;
        score.ways.push(Way {
            from,
            to,
            images: rows.len(),
            reversibility: reversibility(&asked, &here, &acts, 1, seed)?.l1[0],
            misread: read(&answer)?,
            misread_facts: read(&here)?,
            frechet: distance(judges.as_ref(), &there, &answer)?,
            frechet_unchanged: distance(judges.as_ref(), &there, &here)?,
            truth: match &truth {
                Some(truth) => Some(against((&here, &answer), truth, read(truth)?)?),
                None => None,
            },
        });
    }
    strips.write(&strip_path(folder))?;
    Ok(Examined {
        score: Some(score),
        notes,
    })
}

/// Which sources' images are sent where: everywhere, and where sources are many to the next one only.
fn ways(sources: usize) -> Vec<(usize, usize)> {
    let all = (0..sources).flat_map(|from| (0..sources).map(move |to| (from, to)));
    let is_asked = |&(from, to): &(usize, usize)| {
        let is_next = to == (from + 1) % sources;
        from != to && (sources <= MOST_EVERYWHERE || is_next)
    };
    all.filter(is_asked).collect()
}

/// Fréchet distance between two crowds, where there are judges and two of each.
fn distance(judges: Option<&Predictors>, a: &Records, b: &Records) -> Result<Option<f64>> {
    match judges {
        Some(judges) if a.len() > 1 && b.len() > 1 => Ok(Some(realism(judges, a, b)?.frechet)),
        _ => Ok(None),
    }
}

/// Predictors of site and class that learn from the training images; none where sides are odd.
fn judges(ground: &Ground<'_>, schema: &Schema) -> Result<Option<Predictors>> {
    let shape = ground.cohort.images.shape();
    if shape[1..].iter().any(|side| side % 2 == 1) {
        return Ok(None);
    }
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
    let judges = Predictors::train(schema, &training, &config, seed, &mut |_| ())?;
    Ok(Some(judges))
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
fn against(
    (fact, answer): (&Records, &Records),
    truth: &Records,
    misread: BTreeMap<String, f64>,
) -> Result<TrueCounterfactuals> {
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
        misread,
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
        if self.rows.len() == ROWS {
            return Ok(());
        }
        let (own, there) = (Self::grey(fact)?, Self::grey(answer)?);
        let true_one = truth.map(Self::grey).transpose()?;
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
        Ok(())
    }

    /// The first image, the mean of its channels.
    fn grey(records: &Records) -> Result<Vec<f32>> {
        let Some(images) = &records.images else {
            return Ok(Vec::new());
        };
        Ok(images.get(0)?.mean(0)?.flatten_all()?.to_vec1()?)
    }

    fn write(self, path: &Path) -> Result<()> {
        let [_, side, width] = self.shape;
        let Some(first) = self.rows.first().filter(|_| side == width) else {
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
        let strip = Strip::of_rows(side, columns.collect(), self.rows);
        let png = strip.raster((SHOWN_SIDE / side).max(1))?.to_png()?;
        write_atomically(path, &png)
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

    /// What cannot be an answer is named.
    #[test]
    fn answers_are_finite_images() {
        struct Ill(Option<f64>);
        impl CounterfactualGenerator for Ill {
            fn counterfactuals(
                &self,
                batch: &Batch,
                _: &[Intervention],
            ) -> ctl_invariance::Result<Tensor> {
                Ok(match self.0 {
                    Some(factor) => (&batch.images * factor)?,
                    None => batch.images.narrow(2, 0, 2)?,
                })
            }
        }
        for (ill, part) in [(Some(f64::NAN), "not"), (None, "found [2, 1, 2, 12]")] {
            let asked = Asked {
                schema: FittedAutoencoder::schema(3, 2, SHAPE).unwrap(),
                generator: &Ill(ill),
            };
            let facts = facts(&asked.schema);
            let error = asked.answer(&facts, &Acts::none(), 0).err().unwrap();
            let text = error.to_string();
            assert!(
                text.contains("finite images") && text.contains(part),
                "{text}"
            );
            let imageless = Records {
                images: None,
                ..facts
            };
            assert!(asked.answer(&imageless, &Acts::none(), 0).is_err());
        }
    }

    #[test]
    fn few_sources_send_everywhere_and_many_to_the_next() {
        assert_eq!(ways(2), [(0, 1), (1, 0)]);
        assert_eq!(ways(3), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(ways(4), [(0, 1), (1, 2), (2, 3), (3, 0)]);
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
        let none = BTreeMap::new;
        for (levels, error, share) in [(20.0, 0.0, 1.0), (0.0, 20.0, 0.0), (10.0, 10.0, 0.5)] {
            let found = against((&fact, &moved(levels)), &truth, none()).unwrap();
            assert!((found.mae - error).abs() < 1e-3, "{found:?}");
            assert!((found.unchanged - 20.0).abs() < 1e-3, "{found:?}");
            let made = found.carried_out.unwrap();
            assert!((made - share).abs() < 1e-4, "{found:?}");
        }
        let found = against((&fact, &truth), &fact, none()).unwrap();
        assert_eq!(found.carried_out, None);
    }

    /// Fact 0.3, answer 0.5, truth 0.4: what each picture of a row shows, the mean of colours.
    #[test]
    fn strips_show_fact_answer_truth_and_their_differences() {
        let records = |value: f64| {
            let colours = Tensor::new(&[value - 0.1, value, value + 0.1], &Device::Cpu).unwrap();
            let images = colours.reshape((1, 3, 1, 1)).unwrap();
            let images = images.broadcast_as((1, 3, 2, 2)).unwrap();
            let images = images.to_dtype(candle_core::DType::F32).unwrap();
            Records {
                columns: facts(&FittedAutoencoder::schema(3, 2, SHAPE).unwrap())
                    .columns
                    .select(&[0]),
                images: Some(images.contiguous().unwrap()),
            }
        };
        let (fact, answer, truth) = (records(0.3), records(0.5), records(0.4));
        let names = ["a".to_owned(), "b".to_owned()];
        let folder = tempfile::tempdir().unwrap();
        let expected = [0.3, 0.5, 0.2, 0.4, 0.1, 0.1];
        for (truth, count) in [(None, 3), (Some(&truth), 6)] {
            let mut strips = Strips::new([3, 2, 2]);
            for _ in 0..=ROWS {
                strips.add(&names, (&fact, &answer, truth)).unwrap();
            }
            assert_eq!(strips.rows.len(), ROWS);
            let (label, pictures) = &strips.rows[0];
            assert_eq!((label.as_str(), pictures.len()), ("a to b", count));
            for (place, (picture, expected)) in pictures.iter().zip(expected).enumerate() {
                let (values, is_difference) = match picture {
                    Picture::Grey(values) => (values, false),
                    Picture::Difference(values) => (values, true),
                    Picture::Empty => panic!("{place}"),
                };
                assert_eq!(is_difference, [2, 4, 5].contains(&place));
                let near = |value: &f32| (value - expected).abs() < 1e-6;
                assert!(
                    values.len() == 4 && values.iter().all(near),
                    "{place}: {values:?}"
                );
            }
            let path = strip_path(folder.path());
            strips.write(&path).unwrap();
            assert!(std::fs::read(path).unwrap().starts_with(b"\x89PNG"));
        }
    }
}
