//! Generators that a method learns from its training data.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_invariance::methods::nyul::Foreground;
use ctl_invariance::{
    Batch, BuildContext, ConfigError, CounterfactualGenerator, Intervention, ObjectiveError,
    Preparation, Prepared, Result, TargetKind, TrainingData, in_range,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generators::{
    AutoencoderConfig, FittedAutoencoder, FittedStatistics, Statistics, StatisticsExchange,
    StatisticsExchangeConfig, as_objective_error,
};
use crate::{Columns, CounterfactualError, Examples};

/// What makes a method's counterfactuals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Generator {
    /// Quantiles of intensities and the share of fine detail, averaged over each site and, where
    /// images have classes, over classes of the same weight
    /// ([`FittedStatistics`](crate::generators::FittedStatistics)).
    #[default]
    Statistics,
    /// A variational autoencoder given site and class ([`FittedAutoencoder`]).
    Autoencoder,
}

/// The settings of a generator that every method has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GeneratorSettings {
    pub(super) generator: Generator,
    pub(super) updates: u64,
    pub(super) keep_detail: bool,
    pub(super) examples: usize,
}

impl GeneratorSettings {
    pub(super) fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (1..=1_000_000).contains(&self.updates);
        in_range(method, "updates", &self.updates, "1 to 1000000", ok)?;
        let ok = (2..=1_000_000).contains(&self.examples);
        in_range(method, "examples", &self.examples, "2 to 1000000", ok)
    }
}

/// A generator that was learnt, and of what.
pub(super) struct Learnt {
    generator: Rc<dyn CounterfactualGenerator>,
    /// Number of environments that it knows.
    pub(super) environments: usize,
    /// `P(class | environment)` in the training data, by environment; all images are of one class
    /// where they have none.
    pub(super) frequencies: Vec<Vec<f64>>,
}

/// The place of a generator that the preparation fills.
pub(super) type Place = Rc<OnceCell<Learnt>>;

/// Changes the labelled batches of a step by what was learnt; unlabelled ones stay.
///
/// # Errors
/// When nothing was learnt, or a change fails.
pub(super) fn each_labelled(
    (method, place): (&'static str, &Place),
    batches: Vec<Batch>,
    mut change: impl FnMut(&Learnt, &Batch) -> Result<Batch>,
) -> Result<Vec<Batch>> {
    let learnt = place.get().ok_or_else(|| ObjectiveError::Environments {
        method,
        expected: "a generator, which the preparation of the method learns".into(),
        found: "no preparation".into(),
    })?;
    let changed = batches.into_iter().map(|batch| {
        if batch.is_labelled() {
            change(learnt, &batch)
        } else {
            Ok(batch)
        }
    });
    changed.collect()
}

impl Learnt {
    /// Some images of a batch as they would have been, in the place of those that there are; image
    /// targets change as the images do.
    pub(super) fn replaced(
        &self,
        method: &'static str,
        batch: &Batch,
        (rows, acts): (&[usize], &[Intervention]),
    ) -> Result<Batch> {
        let mut changed = batch.clone();
        if rows.is_empty() {
            return Ok(changed);
        }
        changed.images = self.images(method, batch, (rows, acts))?;
        if batch.kind == TargetKind::Images {
            for part in &mut changed.targets {
                let targets = Batch {
                    images: part.target.clone(),
                    ..batch.clone()
                };
                part.target = self.images(method, &targets, (rows, acts))?;
            }
        }
        Ok(changed)
    }

    fn images(
        &self,
        method: &'static str,
        batch: &Batch,
        (rows, acts): (&[usize], &[Intervention]),
    ) -> Result<Tensor> {
        let chosen = batch.select(rows)?;
        let generated = self.generator.counterfactuals(&chosen, acts)?;
        if generated.dims() != chosen.images.dims() {
            return Err(ObjectiveError::Environments {
                method,
                expected: format!("counterfactuals {:?}", chosen.images.dims()),
                found: format!("{:?}", generated.dims()),
            });
        }
        // What is generated stands behind the images, and every row picks its own.
        let both = Tensor::cat(&[&batch.images, &generated], 0)?;
        let count = batch.images.dim(0)?;
        let mut order: Vec<u32> = (0..count as u32).collect();
        for (place, &row) in rows.iter().enumerate() {
            order[row] = (count + place) as u32;
        }
        let order = Tensor::new(order, both.device())?;
        Ok(both.index_select(&order, 0)?)
    }

    #[cfg(test)]
    pub(super) fn of(
        generator: impl CounterfactualGenerator + 'static,
        frequencies: &[&[f64]],
    ) -> Place {
        let learnt = Self {
            generator: Rc::new(generator),
            environments: frequencies.len(),
            frequencies: frequencies.iter().map(|f| f.to_vec()).collect(),
        };
        Rc::new(OnceCell::from(learnt))
    }
}

/// Learns the generator of a method from its sources.
pub(super) struct Learning {
    method: &'static str,
    settings: GeneratorSettings,
    /// Master seed of the run: methods of one seed and one split learn the same generator.
    seed: u64,
    place: Place,
}

/// Images that are read together.
const CHUNK: usize = 64;
/// Images of each site on which a generator is tried.
const TRIED: usize = 64;
const GREY_LEVELS: f64 = 255.0;

/// The images of the sources that a generator learns from.
struct Sources<'a> {
    data: &'a dyn TrainingData,
    /// Environment and row of each example.
    places: Vec<(usize, usize)>,
    classes: Option<Vec<u32>>,
    columns: Columns,
}

impl<'a> Sources<'a> {
    /// About `most` images of every source, of each class as many as its share of them, and one at
    /// least.
    fn chosen(data: &'a dyn TrainingData, most: usize, seed: u64) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for environment in 0..data.sources() {
            let purpose = format!("examples of environment {environment}");
            let rng = &mut stream(seed, "generator", &purpose);
            let count = data.samples(environment);
            let classes = data.classes(environment);
            let mut by_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for row in permutation(rng, count) {
                let class = classes.as_ref().map_or(0, |all| all[row]);
                by_class.entry(class).or_default().push(row);
            }
            let mut rows: Vec<usize> = Vec::new();
            for mut own in by_class.into_values() {
                own.truncate((most.min(count) * own.len() / count).max(1));
                rows.extend(own);
            }
            rows.sort_unstable();
            places.extend(rows.into_iter().map(|row| (environment, row)));
        }
        places
    }

    fn classes_of(data: &dyn TrainingData, places: &[(usize, usize)]) -> Option<Vec<u32>> {
        let all: Vec<_> = (0..data.sources()).map(|e| data.classes(e)).collect();
        let of = |&(environment, row): &(usize, usize)| Some(all[environment].as_ref()?[row]);
        places.iter().map(of).collect()
    }

    fn read(&self, rows: &[usize]) -> Result<Tensor> {
        let [channels, height, width] = self.data.shape();
        let size = channels * height * width;
        let mut pixels = vec![0f32; rows.len() * size];
        for environment in 0..self.data.sources() {
            let here = |&(_, row): &(usize, &usize)| self.places[*row].0 == environment;
            let own: Vec<(usize, &usize)> = rows.iter().enumerate().filter(here).collect();
            let wanted: Vec<usize> = own.iter().map(|(_, row)| self.places[**row].1).collect();
            let found = self.data.images(environment, &wanted)?;
            for ((place, _), image) in own.iter().zip(found.chunks_exact(size)) {
                pixels[place * size..(place + 1) * size].copy_from_slice(image);
            }
        }
        let shape = (rows.len(), channels, height, width);
        Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
    }

    fn batch(&self, environment: usize, rows: &[usize]) -> Result<Batch> {
        let images = self.read(rows)?;
        let classes = self.classes.as_ref();
        Ok(Batch {
            classes: classes.map(|all| rows.iter().map(|&row| all[row]).collect()),
            ..Batch::new(environment, images, TargetKind::Classes)
        })
    }

    fn rows_of(&self, environment: usize) -> Vec<usize> {
        let rows = 0..self.places.len();
        rows.filter(|&row| self.places[row].0 == environment)
            .collect()
    }
}

impl Examples for Sources<'_> {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> crate::Result<Option<Tensor>> {
        let images = self.read(rows);
        let images = images.map_err(|error| CounterfactualError::Value {
            subject: "training images".to_owned(),
            expected: "images that can be read".to_owned(),
            found: error.to_string(),
        })?;
        Ok(Some(images))
    }
}

impl Learning {
    /// The preparation of a method, and the place that it fills.
    pub(super) fn of(
        method: &'static str,
        settings: GeneratorSettings,
        context: &BuildContext<'_>,
    ) -> (Place, Self) {
        let place = Place::default();
        let learning = Self {
            method,
            settings,
            seed: context.seed,
            place: place.clone(),
        };
        (place, learning)
    }

    fn statistics(&self, sources: &Sources<'_>) -> Result<FittedStatistics> {
        let ours = |error| as_objective_error(self.method, error);
        let config = StatisticsExchangeConfig {
            statistics: Statistics::Quantiles,
            // What is dark is not always background: in a film it is lung.
            foreground: Foreground::All,
            detail_limit: 4.0,
            ..StatisticsExchangeConfig::default()
        };
        let exchange = StatisticsExchange::new(config).map_err(ours)?;
        let mut chunks = Vec::new();
        for environment in 0..sources.data.sources() {
            let rows = sources.rows_of(environment);
            chunks.extend(rows.chunks(CHUNK).map(|rows| (environment, rows.to_vec())));
        }
        let mut fault = None;
        let batches = chunks.iter().map_while(|(environment, rows)| {
            let read = sources.batch(*environment, rows);
            read.map_err(|error| fault = Some(error)).ok()
        });
        let fitted = exchange.fit(batches);
        if let Some(error) = fault {
            return Err(error);
        }
        fitted.map_err(ours)
    }

    fn autoencoder(&self, sources: &Sources<'_>) -> Result<Rc<dyn CounterfactualGenerator>> {
        let ours = |error| as_objective_error(self.method, error);
        let mut config = AutoencoderConfig::default();
        config.training.steps = self.settings.updates;
        config.image.residual = self.settings.keep_detail;
        let schema = schema(sources.data).map_err(ours)?;
        let fitted = FittedAutoencoder::fit(schema, sources, &config, self.seed).map_err(ours)?;
        Ok(Rc::new(fitted))
    }

    /// What a reader must know of the generator: how far an image comes back after a way to another
    /// site and home again.
    fn tried(&self, sources: &Sources<'_>, learnt: &Learnt) -> Result<String> {
        let (mut sum, mut count) = (0.0, 0.0);
        for own in 0..learnt.environments {
            let mut rows = sources.rows_of(own);
            rows.truncate(TRIED);
            if rows.is_empty() || learnt.environments < 2 {
                continue;
            }
            let other = (own + 1) % learnt.environments;
            let fact = sources.batch(own, &rows)?;
            let acts = |index: usize| vec![Intervention::environment(index); rows.len()];
            let there = learnt.generator.counterfactuals(&fact, &acts(other))?;
            let away = Batch {
                environment: other,
                images: there.clamp(0.0, 1.0)?,
                ..fact.clone()
            };
            let back = learnt.generator.counterfactuals(&away, &acts(own))?;
            let gap = (back - &fact.images)?.abs()?.mean_all()?;
            sum += f64::from(gap.to_scalar::<f32>()?) * rows.len() as f64;
            count += rows.len() as f64;
        }
        let of = match self.settings.generator {
            Generator::Statistics => "statistics of each site",
            Generator::Autoencoder => "an autoencoder given site and class",
        };
        if learnt.environments < 2 {
            return Ok("one source: no other site to go to, no counterfactuals".to_owned());
        }
        Ok(format!(
            "counterfactuals by {of}, learnt from {} images; to another site and back an image \
             differs by {:.2} grey levels",
            sources.places.len(),
            GREY_LEVELS * sum / f64::max(count, 1.0)
        ))
    }
}

fn schema(data: &dyn TrainingData) -> crate::Result<crate::Schema> {
    // A node with one value is no node; of a single source nothing is learnt.
    let classes = Some(data.class_count()).filter(|&count| count > 1);
    FittedAutoencoder::schema(data.sources().max(2), classes.unwrap_or(0), data.shape())
}

/// `P(class | environment)` of the training data.
fn frequencies(data: &dyn TrainingData) -> Vec<Vec<f64>> {
    let of = |environment: usize| {
        let mut counts = vec![0.0; data.class_count().max(1)];
        match data.classes(environment) {
            Some(classes) => classes
                .iter()
                .for_each(|&class| counts[class as usize] += 1.0),
            None => counts[0] = 1.0,
        }
        let sum = counts.iter().sum::<f64>().max(1.0);
        counts.iter().map(|count| count / sum).collect()
    };
    (0..data.sources()).map(of).collect()
}

impl Preparation for Learning {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let ours = |error| as_objective_error(self.method, error);
        let places = Sources::chosen(data, self.settings.examples, self.seed);
        let classes = Sources::classes_of(data, &places);
        let environments = places.iter().map(|place| place.0 as f64).collect();
        let mut columns = vec![("environment", environments)];
        if let (Some(classes), true) = (&classes, data.class_count() > 1) {
            columns.push(("class", classes.iter().map(|&c| f64::from(c)).collect()));
        }
        let schema = schema(data).map_err(ours)?;
        let sources = Sources {
            columns: Columns::new(&schema, &columns).map_err(ours)?,
            data,
            places,
            classes,
        };
        let mut notes = Vec::new();
        // Without another site there is nothing to train for.
        let learns = self.settings.generator == Generator::Autoencoder && data.sources() > 1;
        let generator: Rc<dyn CounterfactualGenerator> = if learns {
            self.autoencoder(&sources)?
        } else {
            let fitted = self.statistics(&sources)?;
            if !fitted.is_adjusted() {
                notes.push(
                    "no class is in every source: what a class does to images is taken for what \
                     the site does, and counterfactuals change both"
                        .to_owned(),
                );
            }
            Rc::new(fitted)
        };
        let has_elsewhere = data.sources() > 1;
        let learnt = Learnt {
            generator: generator.clone(),
            environments: data.sources(),
            frequencies: frequencies(data),
        };
        notes.push(self.tried(&sources, &learnt)?);
        // A second look at the same data gives the same generator.
        let _ = self.place.set(learnt);
        Ok(Prepared {
            generator: has_elsewhere.then_some(generator),
            notes,
            ..Prepared::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use ctl_invariance::MethodConfig;

    use super::*;
    use crate::methods::augmentation::CounterfactualAugmentationConfig;

    const SIDE: usize = 8;
    const COUNT: usize = 40;

    /// Two sites: the second maps `v` to `0.3 + 0.5 v`; class 1, whose right half is brighter by 0.3, is
    /// nine tenths of its images and one tenth of the first's.
    struct Sites {
        sources: usize,
    }

    impl Sites {
        fn class(environment: usize, row: usize) -> u32 {
            u32::from(row.is_multiple_of(10) != (environment == 1))
        }

        fn image(environment: usize, class: u32, row: usize) -> Vec<f32> {
            let pixel = |index: usize| {
                let own = (index * 13 + row * 7) % 41;
                let right = index % SIDE >= SIDE / 2;
                let mark = if right { 0.3 * class as f32 } else { 0.0 };
                let value = 0.1 + own as f32 / 100.0 + mark;
                if environment == 1 {
                    0.3 + 0.5 * value
                } else {
                    value
                }
            };
            (0..SIDE * SIDE).map(pixel).collect()
        }
    }

    impl TrainingData for Sites {
        fn sources(&self) -> usize {
            self.sources
        }

        fn has_target(&self) -> bool {
            false
        }

        fn shape(&self) -> [usize; 3] {
            [1, SIDE, SIDE]
        }

        fn samples(&self, _: usize) -> usize {
            COUNT
        }

        fn images(&self, environment: usize, rows: &[usize]) -> Result<Vec<f32>> {
            let of = |&row: &usize| Self::image(environment, Self::class(environment, row), row);
            Ok(rows.iter().flat_map(of).collect())
        }

        fn classes(&self, environment: usize) -> Option<Vec<u32>> {
            let rows = 0..COUNT;
            Some(rows.map(|row| Self::class(environment, row)).collect())
        }

        fn class_count(&self) -> usize {
            2
        }

        fn attribute_names(&self) -> &[String] {
            &[]
        }

        fn attributes(&self, _: usize) -> Vec<Vec<Option<f64>>> {
            vec![Vec::new(); COUNT]
        }
    }

    fn prepared(generator: Generator, updates: u64, sources: usize) -> (Place, Prepared) {
        prepared_with(generator, updates, (sources, true))
    }

    fn prepared_with(
        generator: Generator,
        updates: u64,
        (sources, keep_detail): (usize, bool),
    ) -> (Place, Prepared) {
        let learning = Learning {
            method: "t",
            settings: GeneratorSettings {
                generator,
                updates,
                keep_detail,
                examples: 1_000,
            },
            seed: 3,
            place: Place::default(),
        };
        let prepared = learning.prepare(&Sites { sources }).unwrap();
        (learning.place, prepared)
    }

    /// A batch of some rows of a site.
    fn batch(environment: usize, rows: &[usize]) -> Batch {
        let data = Sites { sources: 2 };
        let pixels = data.images(environment, rows).unwrap();
        let shape = (rows.len(), 1, SIDE, SIDE);
        let classes = rows.iter().map(|&row| Sites::class(environment, row));
        Batch {
            classes: Some(classes.collect()),
            ..Batch::new(
                environment,
                Tensor::from_vec(pixels, shape, &Device::Cpu).unwrap(),
                TargetKind::Classes,
            )
        }
    }

    /// The same rows as the other site would have taken them, with the classes that they have.
    fn truth(environment: usize, rows: &[usize]) -> Tensor {
        let of = |&row: &usize| Sites::image(1 - environment, Sites::class(environment, row), row);
        let pixels: Vec<f32> = rows.iter().flat_map(of).collect();
        Tensor::from_vec(pixels, (rows.len(), 1, SIDE, SIDE), &Device::Cpu).unwrap()
    }

    fn gap(a: &Tensor, b: &Tensor) -> f32 {
        let gap = (a - b).unwrap().abs().unwrap().mean_all().unwrap();
        gap.to_scalar().unwrap()
    }

    /// Statistics that were not adjusted for the class would take part of it away: the map of sites
    /// is found although nine tenths of each site are of one class.
    #[test]
    fn statistics_find_the_map_between_sites_that_have_other_classes() {
        let (place, prepared) = prepared(Generator::Statistics, 1, 2);
        assert!(prepared.weights.is_none() && prepared.transform.is_none());
        let [note] = &prepared.notes[..] else {
            panic!("{:?}", prepared.notes);
        };
        assert!(note.contains("statistics of each site, learnt from 80 images"));
        let found = place.get().unwrap();
        assert_eq!((found.environments, found.frequencies.len()), (2, 2));
        assert!((found.frequencies[1][1] - 0.9).abs() < 1e-12);
        let rows: Vec<usize> = (0..COUNT).collect();
        for environment in [0, 1] {
            let (fact, truth) = (batch(environment, &rows), truth(environment, &rows));
            let acts = vec![Intervention::environment(1 - environment); COUNT];
            let after = found.replaced("t", &fact, (&rows, &acts)).unwrap();
            let (left, before) = (gap(&after.images, &truth), gap(&fact.images, &truth));
            assert!(left < 0.35 * before, "{environment}: {left} of {before}");
        }
    }

    #[test]
    fn the_same_data_and_seed_give_the_same_generator() {
        let rows = [1, 5, 10];
        let acts = vec![Intervention::environment(1); 3];
        for (generator, updates) in [(Generator::Statistics, 1), (Generator::Autoencoder, 5)] {
            let changed = || {
                let (place, prepared) = prepared(generator, updates, 2);
                let found = place.get().unwrap();
                let after = found
                    .replaced("t", &batch(0, &rows), (&rows[..0], &[]))
                    .unwrap();
                assert!(gap(&after.images, &batch(0, &rows).images) < 1e-9);
                let after = found
                    .replaced("t", &batch(0, &rows), (&[0, 1, 2], &acts))
                    .unwrap();
                (after.images, prepared.notes)
            };
            let (first, second) = (changed(), changed());
            assert!(gap(&first.0, &second.0) < 1e-9, "{generator:?}");
            assert_eq!(first.1, second.1);
        }
    }

    /// With detail an image goes and comes back to rounding; without it what few updates taught comes
    /// back, which is not the image.
    #[test]
    fn detail_is_kept_or_left_out() {
        let rows = [1, 5, 10];
        let acts = vec![Intervention::environment(0); 3];
        let left = [true, false].map(|keep_detail| {
            let (place, _) = prepared_with(Generator::Autoencoder, 3, (2, keep_detail));
            let found = place.get().unwrap();
            let after = found
                .replaced("t", &batch(0, &rows), (&[0, 1, 2], &acts))
                .unwrap();
            gap(&after.images, &batch(0, &rows).images)
        });
        assert!(left[0] < 1e-4 && left[1] > 1e-2, "{left:?}");
    }

    /// A class of which there are few is among the examples however few are asked for.
    #[test]
    fn every_class_is_among_the_examples() {
        let data = Sites { sources: 2 };
        let places = Sources::chosen(&data, 2, 0);
        for environment in [0, 1] {
            let mut classes: Vec<u32> = places
                .iter()
                .filter(|place| place.0 == environment)
                .map(|place| Sites::class(environment, place.1))
                .collect();
            classes.sort_unstable();
            classes.dedup();
            assert_eq!(classes, [0, 1]);
        }
        assert_eq!(Sources::chosen(&data, 1_000, 0).len(), 2 * COUNT);
    }

    #[test]
    fn one_site_has_nowhere_to_go() {
        let (place, prepared) = prepared(Generator::Autoencoder, 1, 1);
        assert!(prepared.notes[0].contains("no other site to go to"));
        assert_eq!(place.get().unwrap().environments, 1);
    }

    /// What the registry builds has a preparation that fills the place its augmentation reads.
    #[test]
    fn methods_train_on_what_their_preparation_learnt() {
        let context = BuildContext {
            environments: 2,
            features: 4,
            outputs: 2,
            steps: 10,
            independences: &[],
            seed: 0,
            run: "t",
        };
        let parts = CounterfactualAugmentationConfig::default()
            .build(&context)
            .unwrap();
        let rows: Vec<usize> = (0..COUNT).collect();
        let fact = Batch {
            targets: vec![ctl_invariance::WeightedTarget {
                weight: 1.0,
                target: Tensor::new(batch(0, &rows).classes.unwrap(), &Device::Cpu).unwrap(),
            }],
            ..batch(0, &rows)
        };
        let apply = |rng: &mut rand_chacha::ChaCha8Rng| {
            parts.augmentations[0].apply(vec![fact.clone()], rng)
        };
        let rng = &mut stream(0, "t", "augment");
        assert!(apply(rng).is_err());
        let preparation = parts.preparation.as_ref().unwrap();
        preparation.prepare(&Sites { sources: 2 }).unwrap();
        let after = apply(rng).unwrap();
        assert!(gap(&after[0].images, &fact.images) > 0.02);
    }
}
