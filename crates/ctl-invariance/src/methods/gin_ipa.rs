//! Images whose acquisition is randomised by small random networks, region by region.

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::{Activation, ConvOptions, conv2d, leaky_relu};
use ctl_compute::random::normal;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pairs::{disagreement, halves, outputs_images, paired, squared_difference};
use crate::pixels::Pictures;
use crate::smooth::smooth_map;
use crate::{
    Assumption, Augmentation, Batch, BuildContext, ConfigError, EnvironmentOutputs, Family,
    MethodConfig, MethodInfo, MethodParts, Needs, Objective, Result, Role, SearchDimension, Status,
    Step, Value, in_range, mean_risk,
};

/// Description of `gin-ipa`.
pub const INFO: MethodInfo = MethodInfo {
    id: "gin-ipa",
    name: "GIN-IPA",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::AcquisitionRandomised],
    paper: "Ouyang et al. 2022, Causality-inspired Single-source Domain Generalization for Medical Image Segmentation",
    summary: "Trains on images whose intensities and textures random networks change, differently from region to region, and asks two such versions for one prediction.",
};

/// Settings of `gin-ipa`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GinIpaConfig {
    /// Convolutions of a random network, 2 to 8.
    pub layers: usize,
    /// Channels between them, 1 to 32.
    pub width: usize,
    /// Cells of the grid of control points along each side of an image, 1 to 32.
    pub cells: usize,
    /// Weight of the disagreement between the two versions of an image, not negative.
    pub consistency_weight: f64,
}

impl Default for GinIpaConfig {
    /// The values of the authors' code.
    fn default() -> Self {
        Self {
            layers: 4,
            width: 2,
            cells: 4,
            consistency_weight: 10.0,
        }
    }
}

impl MethodConfig for GinIpaConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (2..=8).contains(&self.layers);
        in_range(method, "layers", &self.layers, "2 to 8", ok)?;
        for (key, value) in [("width", self.width), ("cells", self.cells)] {
            in_range(method, key, &value, "1 to 32", (1..=32).contains(&value))?;
        }
        let weight = self.consistency_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(
            method,
            "consistency_weight",
            &weight,
            "finite and not negative",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("consistency_weight", -1.0, 2.0),
            SearchDimension::choice("cells", [2, 4, 8].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(Randomised { config: *self })],
            ..MethodParts::objective(GinIpa { config: *self })
        })
    }
}

/// Slope of the rectifiers of a random network below 0.
const SLOPE: f64 = 0.01;
/// Sides of its kernels, one of which is drawn for each layer.
const SIDES: [usize; 2] = [1, 3];
/// Added to the norm that is divided by.
const EPSILON: f64 = 1e-5;

/// Every labelled sample twice, as `T₁ ⊙ b + T₂ ⊙ (1 − b)` and as `T₁ ⊙ (1 − b) + T₂ ⊙ b`.
///
/// `T₁` and `T₂` are versions of the image by global intensity non-linear augmentation:
/// `α g(x) + (1 − α) x`, stretched to the Frobenius norm of `x`, where `g` is a few random
/// convolutions with leaky rectifiers between them, weights and shifts standard normal, and
/// `α ~ U(0, 1)`. `b` is a smooth map in [0, 1] of random control points (interventional
/// pseudo-correlation augmentation). Image targets go through the same maps.
///
/// # References
/// Ouyang et al. 2022, equations 2 to 5, sizes of the authors' published code.
/// Deviations: an image is standardised by its own mean and deviation first, where the paper
/// standardises scans; pixels that leave [0, 1] afterwards are cut off; control points are spread
/// without the exponential of the code, which the stretching to [0, 1] all but undoes.
pub struct Randomised {
    /// Settings.
    pub config: GinIpaConfig,
}

struct Layer {
    /// `[O, I, k, k]`
    kernel: Tensor,
    /// `[O]`
    shift: Tensor,
}

/// A random network `g` and its share `α`.
struct Gin {
    layers: Vec<Layer>,
    share: f64,
}

impl Gin {
    fn draw(config: &GinIpaConfig, channels: usize, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut layers = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            let inputs = if index == 0 { channels } else { config.width };
            let last = index + 1 == config.layers;
            let outputs = if last { channels } else { config.width };
            let side = SIDES[rng.random_range(0..SIDES.len())];
            layers.push(Layer {
                kernel: normal(rng, (outputs, inputs, side, side), 0.0, 1.0)?,
                shift: normal(rng, outputs, 0.0, 1.0)?,
            });
        }
        let share = rng.random();
        Ok(Self { layers, share })
    }

    /// `α g(x) + (1 − α) x` of an image `[1, H, W, C]`.
    fn blend(&self, image: &Tensor) -> Result<Tensor> {
        let mut hidden = image.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let side = layer.kernel.dim(3)?;
            let (kernel, shift) = (&layer.kernel, Some(&layer.shift));
            let options = ConvOptions::same([side; 2]);
            hidden = conv2d(&hidden, kernel, shift, Activation::Identity, &options)?;
            if index + 1 < self.layers.len() {
                hidden = leaky_relu(&hidden, SLOPE)?;
            }
        }
        Ok(((hidden * self.share)? + (image * (1.0 - self.share))?)?)
    }
}

/// Frobenius norm.
fn norm(values: &Tensor) -> Result<f64> {
    let squares = values.to_dtype(DType::F64)?.sqr()?.sum_all()?;
    Ok(squares.to_scalar::<f64>()?.sqrt())
}

/// How one image, and what has to change as it does, is standardised.
struct Standard {
    mean: f64,
    deviation: f64,
    shape: [usize; 3],
}

impl Standard {
    /// None for an image of one value.
    fn of(image: &[f32], shape: [usize; 3]) -> Option<Self> {
        let count = image.len() as f64;
        let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = image.iter().map(|&v| (f64::from(v) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        (deviation > f64::from(f32::EPSILON)).then_some(Self {
            mean,
            deviation,
            shape,
        })
    }

    /// Standardised pixels, channels last.
    fn tensor(&self, image: &[f32]) -> Result<Tensor> {
        let [channels, height, width] = self.shape;
        let image = Tensor::from_slice(image, (1, channels, height, width), &Device::Cpu)?;
        let image = image.affine(1.0 / self.deviation, -self.mean / self.deviation)?;
        Ok(image.permute((0, 2, 3, 1))?.contiguous()?)
    }

    fn pixels(&self, image: &Tensor) -> Result<Vec<f32>> {
        let image = image
            .permute((0, 3, 1, 2))?
            .affine(self.deviation, self.mean)?;
        Ok(image.flatten_all()?.to_vec1()?)
    }
}

/// What is drawn for one image.
struct Drawn {
    standard: Standard,
    versions: [Gin; 2],
    /// Factors that give both versions of the image its norm.
    factors: [f64; 2],
    /// `b`, `[H, W]`.
    blend: Vec<f32>,
}

impl Drawn {
    fn new(
        config: &GinIpaConfig,
        (image, shape): (&[f32], [usize; 3]),
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Self>> {
        let [channels, height, width] = shape;
        let versions = [
            Gin::draw(config, channels, rng)?,
            Gin::draw(config, channels, rng)?,
        ];
        let blend = smooth_map([height, width], config.cells, rng);
        let Some(standard) = Standard::of(image, shape) else {
            return Ok(None);
        };
        let own = standard.tensor(image)?;
        let length = norm(&own)?;
        let factor = |gin: &Gin| {
            Ok::<_, crate::ObjectiveError>(length / (norm(&gin.blend(&own)?)? + EPSILON))
        };
        let factors = [factor(&versions[0])?, factor(&versions[1])?];
        Ok(Some(Self {
            standard,
            versions,
            factors,
            blend,
        }))
    }

    /// Both blends of the two versions of an image `[C, H, W]`.
    fn apply(&self, image: &[f32]) -> Result<[Vec<f32>; 2]> {
        let own = self.standard.tensor(image)?;
        let version = |index: usize| -> Result<Vec<f32>> {
            let mixed = (self.versions[index].blend(&own)? * self.factors[index])?;
            self.standard.pixels(&mixed)
        };
        let (one, other) = (version(0)?, version(1)?);
        let blend = self.blend.iter().cycle();
        let pixels = one.iter().zip(&other).zip(blend);
        Ok(pixels
            .map(|((a, b), share)| (b + share * (a - b), a + share * (b - a)))
            .unzip()
            .into())
    }
}

impl Randomised {
    fn pair(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let pictures = Pictures::of(batch)?;
        let shape = pictures.images.shape();
        let mut versions = [pictures.clone(), pictures.clone()];
        for row in 0..pictures.images.count() {
            let image = (pictures.images.row(row), shape);
            let Some(drawn) = Drawn::new(&self.config, image, rng)? else {
                continue;
            };
            for (index, part) in pictures.parts().enumerate() {
                let blends = drawn.apply(part.row(row))?;
                for (version, blend) in versions.iter_mut().zip(blends) {
                    if let Some(part) = version.parts_mut().nth(index) {
                        part.row_mut(row).copy_from_slice(&blend);
                    }
                }
            }
        }
        let [first, second] = versions;
        paired(&first.put_into(batch)?, &second.put_into(batch)?)
    }
}

impl Augmentation for Randomised {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let pairs = batches.into_iter().map(|batch| {
            if batch.is_labelled() {
                self.pair(&batch, rng)
            } else {
                Ok(batch)
            }
        });
        pairs.collect()
    }
}

/// Mean risk over both versions plus the weighted disagreement of their predictions.
///
/// `λ mean_e mean_i (½ KL(m ‖ p) + ½ KL(m ‖ q)) / K` with the predictions `p` and `q` of the two
/// versions over K classes and `m` their mean; where outputs are images, the mean squared
/// difference of both from their mean.
///
/// # References
/// Ouyang et al. 2022, equation 6, in the scale of the authors' published code (a mean over classes
/// as well). Deviations: the code adds a third version that is not blended, and has the risk of the
/// first alone; here both versions count in risk and disagreement.
pub struct GinIpa {
    /// Settings.
    pub config: GinIpaConfig,
}

/// How far the predictions of the two versions are apart, a scalar.
fn gap(environment: &EnvironmentOutputs) -> Result<Tensor> {
    let [first, second] = halves(INFO.id, &environment.outputs)?;
    if outputs_images(environment) {
        // Half the difference is the distance of either from the mean.
        return Ok((squared_difference(&first, &second)?.mean_all()? * 0.25)?);
    }
    let classes = first.dim(1)? as f64;
    Ok((disagreement(&first, &second)?.mean_all()? / classes)?)
}

impl Objective for GinIpa {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let gaps = step.labelled()?.into_iter().map(gap);
        let gaps = gaps.collect::<Result<Vec<_>>>()?;
        let gap = Tensor::stack(&gaps, 0)?.mean_all()?;
        let weight = self.config.consistency_weight;
        Value::penalised(&mean_risk(step)?, ("inconsistency", gap), weight, false)
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::{stream, uniform};

    use super::*;
    use crate::methods::testing::{classification, evaluate};
    use crate::{TargetKind, WeightedTarget};

    fn layer(kernel: f32, shift: f32) -> Layer {
        Layer {
            kernel: Tensor::full(kernel, (1, 1, 1, 1), &Device::Cpu).unwrap(),
            shift: Tensor::full(shift, 1, &Device::Cpu).unwrap(),
        }
    }

    /// x = (1, −1): 2x − 1 = (1, −3), rectified (1, −0.03), times 3 plus ½: (3.5, 0.41), and half
    /// of it with half of x.
    #[test]
    fn a_network_by_hand() {
        let gin = Gin {
            layers: vec![layer(2.0, -1.0), layer(3.0, 0.5)],
            share: 0.5,
        };
        let image = Tensor::new(&[[[[1f32], [-1.0]]]], &Device::Cpu).unwrap();
        let found = gin
            .blend(&image)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        for (found, expected) in found.iter().zip([2.25, -0.295]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    fn image() -> Vec<f32> {
        let pixels = uniform(&mut stream(3, "t", "image"), 2 * 8 * 6, (0.2, 0.8)).unwrap();
        pixels.to_vec1().unwrap()
    }

    /// Both versions keep the norm of the standardised image, and their blends have the same sum.
    #[test]
    fn norms_and_sums_are_kept() {
        let (image, shape) = (image(), [2, 8, 6]);
        let config = GinIpaConfig::default();
        let rng = &mut stream(0, "t", "gin");
        let drawn = Drawn::new(&config, (&image, shape), rng).unwrap().unwrap();
        let own = drawn.standard.tensor(&image).unwrap();
        let expected = norm(&own).unwrap();
        assert!((expected - (image.len() as f64).sqrt()).abs() < 1e-4);
        let mut sums = vec![0.0; image.len()];
        for index in 0..2 {
            let version =
                (drawn.versions[index].blend(&own).unwrap() * drawn.factors[index]).unwrap();
            assert!((norm(&version).unwrap() / expected - 1.0).abs() < 1e-3);
            let pixels = drawn.standard.pixels(&version).unwrap();
            sums.iter_mut()
                .zip(pixels)
                .for_each(|(sum, pixel)| *sum += pixel);
        }
        let [first, second] = drawn.apply(&image).unwrap();
        for ((a, b), sum) in first.iter().zip(&second).zip(sums) {
            assert!((a + b - sum).abs() < 1e-4, "{a} {b} {sum}");
        }
        assert_ne!(first, second);
        let flat = Drawn::new(&config, (&[0.5; 48], [1, 8, 6]), rng).unwrap();
        assert!(flat.is_none());
    }

    #[test]
    fn labelled_batches_come_twice_and_image_targets_go_the_same_way() {
        let images = Tensor::from_vec(image(), (1, 2, 8, 6), &Device::Cpu).unwrap();
        let batch = Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: images.clone(),
            }],
            ..Batch::new(0, images.clone(), TargetKind::Images)
        };
        let unlabelled = Batch::new(1, images, TargetKind::Images);
        let method = Randomised {
            config: GinIpaConfig::default(),
        };
        let rng = &mut stream(5, "t", "gin");
        let pairs = method.apply(vec![batch, unlabelled], rng).unwrap();
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(pairs[0].images.dims(), [2, 2, 8, 6]);
        assert_eq!(flat(&pairs[0].images), flat(&pairs[0].targets[0].target));
        assert_eq!(flat(&pairs[1].images), image());
        assert!(
            flat(&pairs[0].images)
                .iter()
                .all(|v| (0.0..=1.0).contains(v))
        );
    }

    /// Versions that agree leave the risk; those that predict (½, ½) and (¾, ¼) disagree by what
    /// `disagreement` has by hand, over two classes.
    #[test]
    fn the_objective_by_hand() {
        let config = GinIpaConfig {
            consistency_weight: 3.0,
            ..GinIpaConfig::default()
        };
        let mut objective = GinIpa { config };
        let equal = [classification(0, &[[0.0, 1.0], [0.0, 1.0]], &[0, 0])];
        let value = evaluate(&mut objective, &equal);
        assert!(value.term("inconsistency").unwrap().unwrap().abs() < 1e-12);
        let apart = [classification(0, &[[0.0, 0.0], [3f64.ln(), 0.0]], &[0, 0])];
        let value = evaluate(&mut objective, &apart);
        let (m, n) = (0.625f64, 0.375f64);
        let pair = m * m.ln() + n * n.ln()
            - 0.5 * (m * (0.5f64.ln() + 0.75f64.ln()) + n * (0.5f64.ln() + 0.25f64.ln()));
        let risk = 0.5 * (2f64.ln() - 0.75f64.ln());
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - (risk + 3.0 * pair / 2.0)).abs() < 1e-12, "{total}");
    }

    #[test]
    fn ill_settings_are_named() {
        let config = GinIpaConfig::default();
        for (ill, expected) in [
            (
                GinIpaConfig {
                    layers: 1,
                    ..config
                },
                "layers = 1",
            ),
            (GinIpaConfig { width: 0, ..config }, "width = 0"),
            (
                GinIpaConfig {
                    cells: 33,
                    ..config
                },
                "cells = 33",
            ),
            (
                GinIpaConfig {
                    consistency_weight: -1.0,
                    ..config
                },
                "consistency_weight = -1",
            ),
        ] {
            let message = ill.validate("gin-ipa").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
