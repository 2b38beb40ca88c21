//! Counterfactuals between environments by a conditional variational autoencoder.

use candle_core::Tensor;
use ctl_graph::Diagram;
use ctl_invariance::{Batch, CounterfactualGenerator, Intervention};
use serde::{Deserialize, Serialize};

use super::{as_objective_error, check_interventions};
use crate::{
    Columns, CounterfactualError, Encoding, Examples, FitOptions, ImageFit, ImageMechanism,
    ImageTraining, Kind, Result, Schema, VaeConfig, VaeMechanism, train_image,
};

const NAME: &str = "autoencoder";
const ENVIRONMENT: &str = "environment";
const CLASS: &str = "class";
const IMAGE: &str = "image";

/// Settings of a [`FittedAutoencoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AutoencoderConfig {
    /// The mechanism of the image.
    pub image: VaeConfig,
    /// How it is trained.
    pub training: ImageTraining,
}

impl Default for AutoencoderConfig {
    /// What the latent variables leave unexplained is kept, so that an image stays as sharp as it is,
    /// and they are kept independent of environment and class.
    fn default() -> Self {
        Self {
            image: VaeConfig {
                widths: vec![16, 32],
                residual: true,
                independence: 100.0,
                ..VaeConfig::default()
            },
            training: ImageTraining {
                steps: 2_000,
                batch: 32,
                ..ImageTraining::default()
            },
        }
    }
}

/// Counterfactuals between environments by a deep mechanism `x = f(e, y, u)` of the diagram
/// `environment → image ← class`: `u` is abducted from the image under its own environment and class,
/// the class stays, and the image is predicted under another environment.
///
/// On the way to another environment, and beyond it ([`Intervention::extent`]), the mechanism is
/// given numbers on the line through both one-hot codes, beyond what it was trained with.
///
/// # Assumptions
/// Environment and class are not caused by the image, and nothing that acts on the image and is not
/// among them goes together with the environment: otherwise its effect is taken for the
/// environment's. Attributes of patients are part of `u`.
///
/// # References
/// Pawlowski, Castro & Glocker 2020, "Deep Structural Causal Models for Tractable Counterfactual
/// Inference", section 3.1; Ilse, Tomczak & Forré 2021, "Selecting Data Augmentation for Simulating
/// Interventions".
pub struct FittedAutoencoder {
    schema: Schema,
    encoding: Encoding,
    mechanism: VaeMechanism,
    fit: ImageFit,
    classes: usize,
    environments: usize,
}

impl FittedAutoencoder {
    /// What the examples of [`FittedAutoencoder::fit`] are made of: `environment`, `class` where there
    /// are classes, and `image`.
    ///
    /// # Arguments
    /// - `environments`, `classes`: how many there are; 0 classes where images have none.
    /// - `shape`: channels, height and width.
    ///
    /// # Errors
    /// When there are fewer than two environments, one class only, or a side is 0.
    pub fn schema(environments: usize, classes: usize, shape: [usize; 3]) -> Result<Schema> {
        let mut kinds = vec![
            (ENVIRONMENT, Kind::categories(environments)),
            (IMAGE, Kind::Image { shape }),
        ];
        let mut edges = format!("{ENVIRONMENT} -> {IMAGE}");
        if classes > 0 {
            kinds.push((CLASS, Kind::categories(classes)));
            edges = format!("{edges}; {CLASS} -> {IMAGE}");
        }
        Schema::new(Diagram::parse(&edges)?, &kinds)
    }

    /// Trains the mechanism; the same examples, settings and seed give the same one.
    ///
    /// # Arguments
    /// - `schema`: of [`FittedAutoencoder::schema`], which the columns of `examples` follow.
    ///
    /// # Errors
    /// When a setting is out of range or does not suit the images, or training diverges.
    pub fn fit(
        schema: Schema,
        examples: &dyn Examples,
        config: &AutoencoderConfig,
        seed: u64,
    ) -> Result<Self> {
        let count = |name: &str| -> Result<usize> {
            let Kind::Categorical { categories } = schema.kind(schema.attribute(name)?) else {
                return Ok(0);
            };
            Ok(categories.len())
        };
        let environments = count(ENVIRONMENT)?;
        let classes = if schema.diagram().node(CLASS).is_ok() {
            count(CLASS)?
        } else {
            0
        };
        let (Some(node), Some(shape)) = (schema.image(), schema.image_shape()) else {
            return Err(CounterfactualError::Value {
                subject: format!("schema of an {NAME}"),
                expected: "an image".to_owned(),
                found: "none".to_owned(),
            });
        };
        let encoding = Encoding::fit(&schema, node, examples.columns());
        let width = encoding.width();
        let mechanism = VaeMechanism::new(&config.image, shape, width, (seed, NAME))?;
        let options = FitOptions {
            seed,
            image: config.training,
            ..FitOptions::default()
        };
        let trained = (&encoding, &mechanism as &dyn ImageMechanism);
        let fit = train_image(NAME, trained, examples, &options, &mut |_| ())?;
        Ok(Self {
            schema,
            encoding,
            mechanism,
            fit,
            classes,
            environments,
        })
    }

    /// What came of training.
    pub fn report(&self) -> &ImageFit {
        &self.fit
    }

    /// Parents `[B, P]` of images of some environments and classes.
    fn parents(&self, environments: &[usize], classes: Option<&[u32]>) -> Result<Tensor> {
        let number = |&index: &usize| index as f64;
        let mut columns = vec![(ENVIRONMENT, environments.iter().map(number).collect())];
        if self.classes > 0 {
            let Some(classes) = classes else {
                return Err(CounterfactualError::Value {
                    subject: "images".to_owned(),
                    expected: "a class for each, as in training".to_owned(),
                    found: "none".to_owned(),
                });
            };
            columns.push((CLASS, classes.iter().map(|&c| f64::from(c)).collect()));
        }
        let columns = Columns::new(&self.schema, &columns)?;
        self.encoding.encode(&columns).to_tensor()
    }

    fn predicted(&self, batch: &Batch, interventions: &[Intervention]) -> Result<Tensor> {
        let rows = batch.images.dims().first().copied().unwrap_or(0);
        let own = vec![batch.environment; rows];
        let mut other = own.clone();
        let mut extents = vec![0f32; rows];
        for ((other, extent), act) in other.iter_mut().zip(&mut extents).zip(interventions) {
            if let Some(environment) = act.environment {
                (*other, *extent) = (environment, act.extent as f32);
            }
        }
        let classes = batch.classes.as_deref();
        let (own, other) = (self.parents(&own, classes)?, self.parents(&other, classes)?);
        let extents = Tensor::from_vec(extents, (rows, 1), own.device())?;
        let mixed = (&own + (other - &own)?.broadcast_mul(&extents)?)?;
        // The network that is trained must not see that images are functions of weights.
        let images = batch.images.affine(batch.scale, batch.centre)?;
        let images = images.clamp(0.0, 1.0)?.detach();
        // Where beliefs are not drawn from, the stream is not read.
        let rng = &mut ctl_compute::random::stream(0, NAME, "abduct");
        let noise = self.mechanism.abduct(&images, &own, rng)?;
        let found = self.mechanism.predict(&noise, &mixed)?.detach();
        Ok(found.affine(1.0 / batch.scale, -batch.centre / batch.scale)?)
    }
}

impl CounterfactualGenerator for FittedAutoencoder {
    fn counterfactuals(
        &self,
        batch: &Batch,
        interventions: &[Intervention],
    ) -> ctl_invariance::Result<Tensor> {
        let knows = |environment: usize| environment < self.environments;
        let known = || format!("environments below {}", self.environments);
        check_interventions(NAME, batch, interventions, (&knows, &known))?;
        self.predicted(batch, interventions)
            .map_err(|error| as_objective_error(NAME, error))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ctl_compute::random::{stream, uniform};
    use ctl_invariance::TargetKind;
    use rand::RngExt;

    use super::*;
    use crate::Records;

    const COUNT: usize = 96;
    const STEPS: u64 = 1_200;

    /// Environment 1 adds 0.3 to every pixel, class 1 brightens the left half by 0.2, and a patient
    /// has a brightness of their own.
    fn image(environment: usize, class: u32, own: f32) -> Vec<f32> {
        let pixel = |index: usize| {
            let left = if index % 8 < 4 {
                0.2 * class as f32
            } else {
                0.0
            };
            0.15 + own + 0.3 * environment as f32 + left
        };
        (0..64).map(pixel).collect()
    }

    fn fitted() -> FittedAutoencoder {
        let schema = FittedAutoencoder::schema(2, 2, [1, 8, 8]).unwrap();
        let rng = &mut stream(1, "t", "images");
        let (mut environments, mut classes, mut pixels) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..COUNT {
            // Environment and class go together in nine of ten.
            let environment = index % 2;
            let class = (environment as u32) ^ u32::from(rng.random::<f64>() < 0.1);
            pixels.extend(image(environment, class, 0.2 * rng.random::<f32>()));
            environments.push(environment as f64);
            classes.push(f64::from(class));
        }
        let columns = [("environment", environments), ("class", classes)];
        let columns = Columns::new(&schema, &columns).unwrap();
        let images = Tensor::from_vec(pixels, (COUNT, 1, 8, 8), &Device::Cpu).unwrap();
        let records = Records::new(&schema, columns, Some(images)).unwrap();
        let mut config = AutoencoderConfig::default();
        (config.image.widths, config.image.hidden) = (vec![8], 32);
        (config.image.latent, config.training.steps) = (4, STEPS);
        FittedAutoencoder::fit(schema, &records, &config, 0).unwrap()
    }

    fn batch(environment: usize, class: u32) -> Batch {
        let images = [0.02f32, 0.11, 0.18].map(|own| image(environment, class, own));
        let images = Tensor::from_vec(images.concat(), (3, 1, 8, 8), &Device::Cpu).unwrap();
        Batch {
            centre: 0.4,
            scale: 0.5,
            classes: Some(vec![class; 3]),
            ..Batch::new(
                environment,
                images.affine(2.0, -0.8).unwrap(),
                TargetKind::Classes,
            )
        }
    }

    fn farthest(a: &Tensor, b: &Tensor) -> f32 {
        let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        gap.to_scalar().unwrap()
    }

    /// Most of the environment's 0.3 is added and taken away again although class and environment go
    /// together, the class keeps its mark, `do` of the own environment is the image itself, and half
    /// of the way lies between.
    #[test]
    fn environments_are_exchanged_and_classes_stay() {
        let fitted = fitted();
        let mean = |tensor: &Tensor| tensor.mean_all().unwrap().to_scalar::<f32>().unwrap();
        for (own, other, class) in [(0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1)] {
            let (before, truth) = (batch(own, class), batch(other, class));
            let at = |index: usize, extent: f64| {
                let acts = vec![Intervention::towards(index, extent); 3];
                fitted.counterfactuals(&before, &acts).unwrap()
            };
            let after = at(other, 1.0);
            // 0.3 are 0.6 on the scale of the batch.
            let gap = mean(&(&after - &truth.images).unwrap());
            assert!(gap.abs() < 0.25, "{own} -> {other}, class {class}: {gap}");
            let halves = [0, 4].map(|start| mean(&after.narrow(3, start, 4).unwrap()));
            let mark = halves[0] - halves[1];
            assert!(
                (mark - 0.4 * class as f32).abs() < 0.2,
                "class {class}: {mark}"
            );
            assert!(farthest(&at(own, 1.0), &before.images) < 1e-4);
            assert!(farthest(&at(other, 0.0), &before.images) < 1e-4);
            let [start, middle, end] = [&before.images, &at(other, 0.5), &after].map(mean);
            assert!((start.min(end)..start.max(end)).contains(&middle));
        }
        let nothing = vec![Intervention::default(); 3];
        let same = fitted.counterfactuals(&batch(1, 0), &nothing).unwrap();
        assert!(farthest(&same, &batch(1, 0).images) < 1e-4);
        assert_eq!(fitted.report().steps, STEPS);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let schema = FittedAutoencoder::schema(2, 2, [1, 9, 9]).unwrap();
        let columns = [("environment", vec![0.0, 1.0]), ("class", vec![0.0, 1.0])];
        let columns = Columns::new(&schema, &columns).unwrap();
        let images = uniform(&mut stream(0, "t", "x"), (2, 1, 9, 9), (0.0, 1.0)).unwrap();
        let records = Records::new(&schema, columns, Some(images)).unwrap();
        let config = AutoencoderConfig::default();
        let error = FittedAutoencoder::fit(schema, &records, &config, 0);
        let message = error.err().unwrap().to_string();
        assert!(message.contains('9'), "{message}");

        let mut config = AutoencoderConfig::default();
        (config.image.widths, config.image.hidden) = (vec![8], 16);
        config.training.steps = 2;
        let schema = FittedAutoencoder::schema(2, 2, [1, 8, 8]).unwrap();
        let columns = [("environment", vec![0.0, 1.0]), ("class", vec![0.0, 1.0])];
        let columns = Columns::new(&schema, &columns).unwrap();
        let images = uniform(&mut stream(0, "t", "x"), (2, 1, 8, 8), (0.0, 1.0)).unwrap();
        let records = Records::new(&schema, columns, Some(images)).unwrap();
        let fitted = FittedAutoencoder::fit(schema, &records, &config, 0).unwrap();
        let acts = vec![Intervention::environment(1); 3];
        let faults = [
            (
                batch(0, 0),
                vec![Intervention::environment(2); 3],
                "environment 2",
            ),
            (batch(0, 0), acts[..2].to_vec(), "each of 3 images, found 2"),
            (
                batch(0, 0),
                vec![Intervention::towards(1, f64::NAN); 3],
                "a finite extent, found NaN",
            ),
            (
                Batch {
                    classes: None,
                    ..batch(0, 0)
                },
                acts,
                "a class for each",
            ),
        ];
        for (batch, acts, expected) in faults {
            let error = fitted.counterfactuals(&batch, &acts).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
