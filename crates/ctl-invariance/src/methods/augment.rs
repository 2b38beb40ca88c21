//! Random changes of intensity and place.

use candle_core::{Device, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::affine::Affine;
use crate::pixels::Pictures;
use crate::{
    Assumption, Augmentation, Batch, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, SearchDimension, Status, TargetKind, in_range,
};

/// Description of `augment`.
pub const INFO: MethodInfo = MethodInfo {
    id: "augment",
    name: "Random augmentation",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::AcquisitionRandomised],
    paper: "Zhang et al. 2020, Generalizing Deep Learning for Medical Image Segmentation to Unseen Domains via Deep Stacked Transformation",
    summary: "Trains on images with random contrast, brightness, gamma, rotation, size, place and noise.",
};

/// Settings of `augment`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Chance of a change of place, of intensities and of noise, each for itself, 0 to 1.
    pub probability: f64,
    /// Largest rotation to either side in degrees, 0 to 180.
    pub rotation: f64,
    /// Largest factor of size, and its reciprocal the smallest, 1 to 4.
    pub scale: f64,
    /// Largest shift as a share of each side, 0 to 1.
    pub shift: f64,
    /// Largest relative change of contrast, 0 to 1.
    pub gain: f64,
    /// Largest change of brightness, of pixels in [0, 1], 0 to 1.
    pub bias: f64,
    /// Largest exponent of intensities, and its reciprocal the smallest, 1 to 10.
    pub gamma: f64,
    /// Largest standard deviation of the noise, of pixels in [0, 1], 0 to 1.
    pub noise: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            rotation: 20.0,
            scale: 1.4,
            shift: 0.1,
            gain: 0.25,
            bias: 0.1,
            gamma: 1.5,
            noise: 0.08,
        }
    }
}

impl MethodConfig for AugmentConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, value) in [
            ("probability", self.probability),
            ("shift", self.shift),
            ("gain", self.gain),
            ("bias", self.bias),
            ("noise", self.noise),
        ] {
            in_range(method, key, &value, "0 to 1", (0.0..=1.0).contains(&value))?;
        }
        let (rotation, scale, gamma) = (self.rotation, self.scale, self.gamma);
        let ok = (0.0..=180.0).contains(&rotation);
        in_range(method, "rotation", &rotation, "0 to 180", ok)?;
        let ok = (1.0..=4.0).contains(&scale);
        in_range(method, "scale", &scale, "1 to 4", ok)?;
        let ok = (1.0..=10.0).contains(&gamma);
        in_range(method, "gamma", &gamma, "1 to 10", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choice = |key, values: &[f64]| {
            SearchDimension::choice(key, values.iter().map(|&v| v.into()).collect())
        };
        vec![
            choice("probability", &[0.2, 0.5, 0.8]),
            choice("gamma", &[1.2, 1.5, 2.0, 3.0]),
            choice("noise", &[0.0, 0.04, 0.08, 0.16]),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(Augment { config: *self })],
            ..MethodParts::objective(Erm::default())
        })
    }
}

/// `x ← g · (x ∘ A)^γ + b + ε`, drawn for each image: an affine map of the plane, a gain, a bias, an
/// exponent and noise.
///
/// Masks move with their images, to the nearest pixel, and image targets change as their images do.
/// Noise is the exception: it falls on the image alone and not on an image target, so that to
/// reconstruct is to denoise as well, as it is where a measurement has noise and its reference has
/// none.
///
/// # References
/// Zhang et al. 2020, section III.B (stacked transformations, each with a chance of its own).
/// Deviations: no blurring, sharpening and deformation; ranges for pixels in [0, 1], factors drawn
/// log-uniformly.
pub struct Augment {
    /// Settings.
    pub config: AugmentConfig,
}

/// What is done to one image.
struct Change {
    place: Option<Affine>,
    intensities: Option<Intensities>,
    /// Standard deviation.
    noise: Option<f64>,
}

/// `g x^γ + b`
#[derive(Clone, Copy)]
struct Intensities {
    gain: f32,
    bias: f32,
    gamma: f32,
}

impl Intensities {
    fn apply(self, image: &mut [f32]) {
        for value in image {
            let bent = value.clamp(0.0, 1.0).powf(self.gamma);
            *value = (self.gain * bent + self.bias).clamp(0.0, 1.0);
        }
    }
}

impl Change {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3]) {
        if let Some(place) = &self.place {
            for plane in image.chunks_exact_mut(height * width) {
                let moved = place.bilinear(plane, [height, width]);
                plane.copy_from_slice(&moved);
            }
        }
        if let Some(intensities) = self.intensities {
            intensities.apply(image);
        }
    }
}

impl Augment {
    fn draw(&self, [_, height, width]: [usize; 3], rng: &mut ChaCha8Rng) -> Change {
        let config = &self.config;
        let [moves, bends, blurs] = [(); 3].map(|()| rng.random::<f64>() < config.probability);
        let mut within = |reach: f64| reach * (2.0 * rng.random::<f64>() - 1.0);
        let place = moves.then(|| {
            let angle = within(config.rotation).to_radians();
            let scale = within(config.scale.ln()).exp();
            let shift = [height, width].map(|side| within(config.shift) * side as f64);
            Affine::new([height, width], (angle, scale, shift))
        });
        let intensities = bends.then(|| Intensities {
            gain: 1.0 + within(config.gain) as f32,
            bias: within(config.bias) as f32,
            gamma: within(config.gamma.ln()).exp() as f32,
        });
        let noise = blurs.then(|| config.noise * rng.random::<f64>());
        Change {
            place,
            intensities,
            noise,
        }
    }

    fn augmented(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let mut pictures = Pictures::of(batch)?;
        let (shape, count) = (pictures.images.shape(), pictures.images.count());
        let changes: Vec<Change> = (0..count).map(|_| self.draw(shape, rng)).collect();
        for part in pictures.parts_mut() {
            for (row, change) in changes.iter().enumerate() {
                change.apply(part.row_mut(row), shape);
            }
        }
        for (row, change) in changes.iter().enumerate() {
            let Some(deviation) = change.noise else {
                continue;
            };
            for value in pictures.images.row_mut(row) {
                let noise: f64 = StandardNormal.sample(rng);
                *value += (deviation * noise) as f32;
            }
        }
        let mut augmented = pictures.put_into(batch)?;
        if batch.kind == TargetKind::Masks {
            for part in &mut augmented.targets {
                part.target = moved_masks(&part.target, &changes)?;
            }
        }
        Ok(augmented)
    }
}

/// Masks `[B, H, W]` that move as their images do.
fn moved_masks(masks: &Tensor, changes: &[Change]) -> Result<Tensor> {
    let (_, height, width) = masks.dims3()?;
    let mut classes: Vec<u32> = masks.flatten_all()?.to_vec1()?;
    let each = classes.chunks_exact_mut(height * width);
    for (mask, change) in each.zip(changes) {
        if let Some(place) = &change.place {
            let moved = place.nearest(mask, [height, width]);
            mask.copy_from_slice(&moved);
        }
    }
    Ok(Tensor::from_vec(classes, masks.shape(), &Device::Cpu)?)
}

impl Augmentation for Augment {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let augmented = batches.iter().map(|batch| self.augmented(batch, rng));
        augmented.collect()
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::{stream, uniform};

    use super::*;
    use crate::WeightedTarget;

    fn only(config: AugmentConfig) -> Augment {
        let config = AugmentConfig {
            probability: 1.0,
            ..config
        };
        config.validate("augment").unwrap();
        Augment { config }
    }

    /// Nothing is changed but what a test asks for.
    const STILL: AugmentConfig = AugmentConfig {
        probability: 1.0,
        rotation: 0.0,
        scale: 1.0,
        shift: 0.0,
        gain: 0.0,
        bias: 0.0,
        gamma: 1.0,
        noise: 0.0,
    };

    fn batch(kind: TargetKind) -> Batch {
        let images = uniform(&mut stream(0, "t", "pixels"), (6, 1, 8, 8), (0.0, 1.0)).unwrap();
        let target = match kind {
            TargetKind::Images => images.clone(),
            // The class of a pixel says whether it is bright.
            _ => images
                .ge(0.5)
                .unwrap()
                .squeeze(1)
                .unwrap()
                .to_dtype(candle_core::DType::U32)
                .unwrap(),
        };
        Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target,
            }],
            ..Batch::new(0, images, kind)
        }
    }

    fn apply(augment: &Augment, batch: Batch) -> Batch {
        let rng = &mut stream(2, "t", "augment");
        augment.apply(vec![batch], rng).unwrap().remove(0)
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        let tensor = tensor.to_dtype(candle_core::DType::F32).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn intensities_by_hand() {
        let change = Intensities {
            gain: 0.8,
            bias: 0.1,
            gamma: 2.0,
        };
        let mut image = [0.0, 0.5, 1.0, 1.3];
        change.apply(&mut image);
        for (found, expected) in image.iter().zip([0.1, 0.3, 0.9, 0.9]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn nothing_drawn_changes_nothing() {
        let never = Augment {
            config: AugmentConfig {
                probability: 0.0,
                ..AugmentConfig::default()
            },
        };
        for augment in [never, only(STILL)] {
            let before = batch(TargetKind::Images);
            let after = apply(&augment, before.clone());
            assert_eq!(flat(&after.images), flat(&before.images));
            assert_eq!(
                flat(&after.targets[0].target),
                flat(&before.targets[0].target)
            );
        }
    }

    /// A mask that says where its image is bright still does so where both took the same pixels.
    #[test]
    fn masks_move_with_their_images() {
        let config = AugmentConfig {
            shift: 0.5,
            ..STILL
        };
        let before = batch(TargetKind::Masks);
        let after = apply(&only(config), before.clone());
        let (images, masks) = (flat(&after.images), flat(&after.targets[0].target));
        assert_ne!(masks, flat(&before.targets[0].target));
        // Between pixels, a mean of four of one kind is of that kind: count those that disagree.
        let wrong = images
            .iter()
            .zip(&masks)
            .filter(|(i, m)| (**i >= 0.5) != (**m > 0.5));
        assert!(wrong.count() * 3 < images.len());
        let turned = AugmentConfig {
            rotation: 180.0,
            scale: 2.0,
            ..STILL
        };
        let after = apply(&only(turned), before);
        assert!(
            flat(&after.targets[0].target)
                .iter()
                .all(|&c| c.abs() < 1e-9 || (c - 1.0).abs() < 1e-9)
        );
    }

    #[test]
    fn image_targets_change_as_images_do_and_noise_stays_off_them() {
        let config = AugmentConfig {
            noise: 0.0,
            ..AugmentConfig::default()
        };
        let after = apply(&only(config), batch(TargetKind::Images));
        assert_eq!(flat(&after.images), flat(&after.targets[0].target));
        assert_ne!(flat(&after.images), flat(&batch(TargetKind::Images).images));

        let config = AugmentConfig {
            noise: 0.08,
            ..STILL
        };
        let after = apply(&only(config), batch(TargetKind::Images));
        assert_eq!(
            flat(&after.targets[0].target),
            flat(&batch(TargetKind::Images).images)
        );
        let gaps = flat(&(&after.images - &after.targets[0].target).unwrap());
        let square = gaps.iter().map(|g| f64::from(g * g)).sum::<f64>() / gaps.len() as f64;
        assert!(square > 0.0 && square < 0.08f64.powi(2), "{square}");
    }

    #[test]
    fn ill_settings_are_named() {
        let ill = [
            (
                AugmentConfig {
                    scale: 0.5,
                    ..STILL
                },
                "scale = 0.5",
            ),
            (
                AugmentConfig {
                    gamma: 11.0,
                    ..STILL
                },
                "gamma = 11",
            ),
            (
                AugmentConfig {
                    rotation: -1.0,
                    ..STILL
                },
                "rotation = -1",
            ),
            (
                AugmentConfig {
                    noise: f64::NAN,
                    ..STILL
                },
                "noise = NaN",
            ),
            (
                AugmentConfig {
                    probability: 1.5,
                    ..STILL
                },
                "probability = 1.5",
            ),
        ];
        for (config, expected) in ill {
            let message = config.validate("augment").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
