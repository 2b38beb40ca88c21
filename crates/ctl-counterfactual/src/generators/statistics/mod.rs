//! Images with the intensities and the sharpness of another site's images.

mod profile;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use ctl_invariance::methods::nyul::Foreground;
use ctl_invariance::{
    Augmentation, Batch, CounterfactualGenerator, Intervention, Result, TargetKind,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::pixels::Pixels;
use super::{as_objective_error, check_interventions};
use crate::error::in_range;
use profile::{Profile, detail, foreground, moments};

const NAME: &str = "statistics exchange";

/// What of the intensities of a channel is exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// `x ← σ′ (x − μ) / σ + μ′`: an affine map, of all pixels, that takes mean and deviation of the
    /// foreground to the donor's. A dark background moves with it.
    #[default]
    Moments,
    /// `x ← Q′(F(x))`: the increasing map that takes quantiles of the foreground to the donor's, linear
    /// between them, and to 0 and 1 at its ends, so that a dark background stays.
    Quantiles,
}

/// Settings of the exchange of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsExchangeConfig {
    /// Chance that an image takes the statistics of another, 0 to 1.
    pub probability: f64,
    /// What of the intensities is exchanged.
    pub statistics: Statistics,
    /// Quantiles that are exchanged, 2 to 65536.
    pub levels: usize,
    /// Which pixels the statistics are of.
    pub foreground: Foreground,
    /// Largest factor by which fine detail, sharpness and noise, is raised or lowered to the donor's
    /// share of it, 1 to 16; at 1 it stays.
    pub detail_limit: f64,
}

impl Default for StatisticsExchangeConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            statistics: Statistics::Moments,
            levels: 64,
            foreground: Foreground::AboveMean,
            detail_limit: 1.0,
        }
    }
}

impl StatisticsExchangeConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`crate::CounterfactualError::Setting`] names the setting outside its range.
    pub fn validate(&self) -> crate::Result<()> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(NAME, "probability", (self.probability, ok), "0 to 1")?;
        let ok = (2..=65_536).contains(&self.levels);
        in_range(NAME, "levels", (self.levels, ok), "2 to 65536")?;
        let ok = (1.0..=16.0).contains(&self.detail_limit);
        in_range(NAME, "detail_limit", (self.detail_limit, ok), "1 to 16")
    }
}

/// With a chance, an image takes the statistics of an image drawn uniformly among those of other
/// environments, and keeps its content.
///
/// In each channel, with the foreground `F` of each image:
/// 1. where [`StatisticsExchangeConfig::detail_limit`] is above 1, `x ← x + (g − 1)(x − L x)`, brought
///    back to its own mean and deviation over `F`; `L` averages 3 × 3 pixels with weights 1, 2, 1 along
///    each axis, and `g` is the donor's `sd(d − L d) / sd(d)` over the image's own
///    `sd(x − L x) / sd(x)`, within the limit;
/// 2. the map of [`Statistics`] to the donor's, exact over `F` before values outside [0, 1] are cut
///    off; exact for the whole distribution where there are as many levels as pixels in both.
///
/// Labelled batches change, and image targets go through the same maps; unlabelled images are donors
/// alone. Donors need the same channels, not the same size. A channel of one value stays, and gives
/// nothing.
///
/// [`StatisticsExchange::fit`] makes a [`CounterfactualGenerator`] of the same maps.
///
/// # Assumptions
/// The environment acts on intensities pixel by pixel through increasing maps (affine ones, for
/// moments), and on fine detail by a factor. What of the statistics is the patient's own, such as the
/// extent of a lesion or fat, is exchanged as well: mild in large foregrounds, not where sites differ
/// in what they show.
///
/// # References
/// Reinhard, Ashikhmin, Gooch & Shirley 2001, "Color Transfer between Images", equations 10 and 11
/// (moments, there in a decorrelated colour space); Gonzalez & Woods 2018, section 3.3
/// (quantiles). The exchange of fine detail is unsharp masking with the factor matched to a donor.
#[derive(Clone, Copy, Debug)]
pub struct StatisticsExchange {
    config: StatisticsExchangeConfig,
}

/// A plane with its fine detail changed by a factor, its mean and deviation over the region as they
/// were.
fn sharpened(plane: &[f64], size: [usize; 2], region: &[bool], gain: f64) -> Vec<f64> {
    if gain.to_bits() == 1f64.to_bits() {
        return plane.to_vec();
    }
    let fine = detail(plane, size);
    let changed: Vec<f64> = plane
        .iter()
        .zip(fine)
        .map(|(value, fine)| value + (gain - 1.0) * fine)
        .collect();
    let ((mean, deviation), (moved, spread)) = (moments(plane, region), moments(&changed, region));
    if spread <= 0.0 {
        return plane.to_vec();
    }
    let back = |value: f64| (value - moved) / spread * deviation + mean;
    changed.into_iter().map(back).collect()
}

impl StatisticsExchange {
    /// An exchange with these settings.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: StatisticsExchangeConfig) -> crate::Result<Self> {
        config.validate()?;
        Ok(Self { config })
    }

    /// One channel of an image, and the same channel of its targets, with the statistics of a donor's.
    fn exchange(&self, planes: &mut [&mut [f64]], size: [usize; 2], donor: (&[f64], [usize; 2])) {
        let config = &self.config;
        let region = foreground(planes[0], config.foreground);
        let of_donor = foreground(donor.0, config.foreground);
        let own = Profile::of(planes[0], size, &region, config);
        let other = Profile::of(donor.0, donor.1, &of_donor, config);
        let (Some(own), Some(other)) = (own, other) else {
            return;
        };
        let gain = own.gain_to(&other, config.detail_limit);
        for plane in planes.iter_mut() {
            plane.copy_from_slice(&sharpened(plane, size, &region, gain));
        }
        // The quantiles are those of the image whose detail is exchanged already.
        let Some(own) = Profile::of(planes[0], size, &region, config) else {
            return;
        };
        let map = own.map_to(&other);
        for value in planes.iter_mut().flat_map(|plane| plane.iter_mut()) {
            *value = map(*value);
        }
    }

    /// An image `[C, H, W]` with the statistics of a donor `[C, H′, W′]`, before anything is cut off.
    ///
    /// # Errors
    /// When sizes and values do not fit together, or channels differ.
    pub fn exchanged(
        &self,
        image: &[f64],
        shape: [usize; 3],
        (donor, of_donor): (&[f64], [usize; 3]),
    ) -> crate::Result<Vec<f64>> {
        let fits = |values: &[f64], shape: [usize; 3]| {
            !values.is_empty() && values.len() == shape.iter().product::<usize>()
        };
        if !fits(image, shape) || !fits(donor, of_donor) || shape[0] != of_donor[0] {
            return Err(crate::CounterfactualError::Shape {
                subject: "image and donor",
                expected: format!("{shape:?} and {of_donor:?} with equal channels"),
                found: format!("{} and {} values", image.len(), donor.len()),
            });
        }
        let mut image = image.to_vec();
        let planes = image.chunks_exact_mut(shape[1] * shape[2]);
        let others = donor.chunks_exact(of_donor[1] * of_donor[2]);
        for (plane, other) in planes.zip(others) {
            let donor = (other, [of_donor[1], of_donor[2]]);
            self.exchange(&mut [plane], [shape[1], shape[2]], donor);
        }
        Ok(image)
    }

    /// The images of a batch, and its image targets, with the statistics of the donors drawn.
    fn changed(
        &self,
        batch: &Batch,
        (pictures, donors): (&[Pixels], &[(usize, usize)]),
        (own, rng): (usize, &mut ChaCha8Rng),
    ) -> crate::Result<Batch> {
        let mut images = pictures[own].clone();
        let mut targets = Vec::new();
        if batch.kind == TargetKind::Images {
            for part in &batch.targets {
                targets.push(Pixels::of(&part.target, batch)?);
            }
        }
        let shape = images.shape();
        check_targets(&targets, shape)?;
        for row in 0..images.count() {
            if rng.random::<f64>() >= self.config.probability {
                continue;
            }
            let (other, line) = donors[rng.random_range(0..donors.len())];
            let donor = &pictures[other];
            check_channels(shape, donor.shape())?;
            let mut all: Vec<Vec<f64>> = std::iter::once(&images)
                .chain(&targets)
                .map(|part| part.row(row).to_vec())
                .collect();
            let [_, height, width] = donor.shape();
            let planes = donor.row(line).chunks_exact(height * width);
            let count = shape[1] * shape[2];
            for (channel, plane) in planes.enumerate() {
                let mut own: Vec<&mut [f64]> = all
                    .iter_mut()
                    .map(|image| &mut image[channel * count..(channel + 1) * count])
                    .collect();
                self.exchange(&mut own, [shape[1], shape[2]], (plane, [height, width]));
            }
            let parts = std::iter::once(&mut images).chain(&mut targets);
            for (part, image) in parts.zip(all) {
                part.set_row(row, &image);
            }
        }
        let mut changed = batch.clone();
        changed.images = images.into_tensor()?;
        for (part, pixels) in changed.targets.iter_mut().zip(targets) {
            part.target = pixels.into_tensor()?;
        }
        Ok(changed)
    }

    /// Learns what every environment's images are like, for counterfactuals between them.
    ///
    /// Where images have classes, those that every environment has weigh the same in each of them
    /// (standardisation to equally frequent classes), so that a class which is frequent in one
    /// environment is not taken for its scanner. Without such a class nothing can be adjusted for,
    /// and [`FittedStatistics::is_adjusted`] says so.
    ///
    /// # Arguments
    /// - `batches`: of all environments; those of one are taken together.
    ///
    /// # Errors
    /// When images do not have the same channels, or all images of an environment are flat in a
    /// channel.
    pub fn fit<B: Borrow<Batch>>(
        &self,
        batches: impl IntoIterator<Item = B>,
    ) -> crate::Result<FittedStatistics> {
        let mut seen: BTreeMap<usize, BTreeMap<u32, Vec<Vec<Profile>>>> = BTreeMap::new();
        let mut channels = None;
        for batch in batches {
            let batch = batch.borrow();
            let pixels = Pixels::of(&batch.images, batch)?;
            let [count, height, width] = pixels.shape();
            let known = *channels.get_or_insert(count);
            check_channels([known, height, width], pixels.shape())?;
            let classes = seen.entry(batch.environment).or_default();
            for row in 0..pixels.count() {
                // Images without a class are all of one.
                let class = batch.classes.as_ref().map_or(0, |classes| classes[row]);
                let profiles = classes
                    .entry(class)
                    .or_insert_with(|| vec![Vec::new(); count]);
                let planes = pixels.row(row).chunks_exact(height * width);
                for (profiles, plane) in profiles.iter_mut().zip(planes) {
                    let region = foreground(plane, self.config.foreground);
                    profiles.extend(Profile::of(plane, [height, width], &region, &self.config));
                }
            }
        }
        let mut common = seen.values().map(|classes| classes.keys().copied());
        let first: BTreeSet<u32> = common.next().into_iter().flatten().collect();
        let common = common.fold(first, |common, own| {
            let own: BTreeSet<u32> = own.collect();
            common.intersection(&own).copied().collect()
        });
        let adjusted = !common.is_empty() || seen.is_empty();
        let mut environments = BTreeMap::new();
        for (environment, classes) in seen {
            let means = if adjusted {
                standardised(&classes, &common)
            } else {
                pooled(classes)
            };
            let means = means.ok_or_else(|| crate::CounterfactualError::Value {
                subject: format!("environment {environment}"),
                expected: "an image that is not flat in each channel".into(),
                found: "none".into(),
            })?;
            environments.insert(environment, means);
        }
        Ok(FittedStatistics {
            config: self.config,
            environments,
            adjusted,
        })
    }
}

/// The mean profile of each channel over all images; none where a channel has no profile.
fn pooled(classes: BTreeMap<u32, Vec<Vec<Profile>>>) -> Option<Vec<Profile>> {
    let all = classes.into_values().reduce(|mut all, class| {
        for (channel, more) in all.iter_mut().zip(class) {
            channel.extend(more);
        }
        all
    });
    all?.iter()
        .map(|profiles| Profile::mean(profiles))
        .collect()
}

/// The mean profile of each channel, every class with the same weight; none where a channel of a
/// class has no profile.
fn standardised(
    classes: &BTreeMap<u32, Vec<Vec<Profile>>>,
    common: &BTreeSet<u32>,
) -> Option<Vec<Profile>> {
    let kept = classes.iter().filter(|(class, _)| common.contains(*class));
    let of_class: Option<Vec<Vec<Profile>>> = kept
        .map(|(_, channels)| channels.iter().map(|p| Profile::mean(p)).collect())
        .collect();
    let of_class = of_class?;
    let channels = 0..of_class.first()?.len();
    channels
        .map(|channel| {
            let profiles: Vec<Profile> = of_class.iter().map(|c| c[channel].clone()).collect();
            Profile::mean(&profiles)
        })
        .collect()
}

fn check_channels(own: [usize; 3], other: [usize; 3]) -> crate::Result<()> {
    if own[0] == other[0] {
        return Ok(());
    }
    Err(crate::CounterfactualError::Shape {
        subject: "images whose statistics are exchanged",
        expected: format!("{} channels", own[0]),
        found: format!("{} channels", other[0]),
    })
}

fn check_targets(targets: &[Pixels], shape: [usize; 3]) -> crate::Result<()> {
    match targets.iter().find(|part| part.shape() != shape) {
        None => Ok(()),
        Some(part) => Err(crate::CounterfactualError::Shape {
            subject: "image targets",
            expected: format!("{shape:?}, as the images"),
            found: format!("{:?}", part.shape()),
        }),
    }
}

impl Augmentation for StatisticsExchange {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let ours = |error| as_objective_error(NAME, error);
        let pictures = batches.iter().map(|batch| Pixels::of(&batch.images, batch));
        let pictures = pictures.collect::<crate::Result<Vec<_>>>().map_err(ours)?;
        let environments: Vec<usize> = batches.iter().map(|batch| batch.environment).collect();
        let mut changed = Vec::with_capacity(batches.len());
        for (index, batch) in batches.into_iter().enumerate() {
            let others = (0..pictures.len()).filter(|&i| environments[i] != batch.environment);
            let donors: Vec<(usize, usize)> = others
                .flat_map(|other| (0..pictures[other].count()).map(move |row| (other, row)))
                .collect();
            if donors.is_empty() || !batch.is_labelled() {
                changed.push(batch);
                continue;
            }
            let from = (&pictures[..], &donors[..]);
            changed.push(
                self.changed(&batch, from, (index, &mut *rng))
                    .map_err(ours)?,
            );
        }
        Ok(changed)
    }
}

/// Counterfactuals between environments by what their images are like on average:
/// `x_{do(e = e′)} = f_{e′}(f_e⁻¹(x))`.
///
/// An environment makes images as `x = σ_e u + μ_e`, or `x = Q_e(u)`, of what the patient brings, `u`;
/// abduction inverts that, so that an image which is brighter than its environment's mean stays
/// brighter than the other's. Means, deviations and quantile functions are averaged over the
/// images of an environment (for quantile functions the barycentre in the Wasserstein distance). Fine
/// detail changes as in [`StatisticsExchange`], between the averages.
///
/// `do(e)` of an image of `e` is that image, bit for bit where it lies in [0, 1]. On the way to another
/// environment, and beyond it ([`Intervention::extent`]), means, deviations, quantile functions and
/// shares of detail lie on the line through both; a deviation or a share stays above a tenth of the
/// smaller one, and a quantile function that would fall stays level.
///
/// # Assumptions
/// Those of [`StatisticsExchange`], and that within a class the populations of the environments are
/// alike: a difference between patients is taken for one between scanners. There is no drawing: the same
/// image and intervention give the same counterfactual.
///
/// # References
/// Pearl 2009, "Causality", section 7.1 (abduction, action, prediction); Agueh & Carlier 2011,
/// section 6.1 (barycentres).
#[derive(Clone, Debug)]
pub struct FittedStatistics {
    config: StatisticsExchangeConfig,
    environments: BTreeMap<usize, Vec<Profile>>,
    adjusted: bool,
}

impl FittedStatistics {
    /// Whether environments were compared within classes that all of them have; where they have none
    /// in common, what a class does is taken for what the environment does.
    pub fn is_adjusted(&self) -> bool {
        self.adjusted
    }

    /// The environments that it knows, in ascending order.
    pub fn environments(&self) -> Vec<usize> {
        self.environments.keys().copied().collect()
    }

    fn moved(&self, image: &mut [f64], size: [usize; 2], maps: [&[Profile]; 2]) {
        let pairs = maps[0].iter().zip(maps[1]);
        for (plane, (own, other)) in image.chunks_exact_mut(size[0] * size[1]).zip(pairs) {
            if own == other {
                continue;
            }
            let region = foreground(plane, self.config.foreground);
            let gain = own.gain_to(other, self.config.detail_limit);
            let map = own.map_to(other);
            let sharp = sharpened(plane, size, &region, gain);
            for (pixel, value) in plane.iter_mut().zip(sharp) {
                *pixel = map(value);
            }
        }
    }
}

impl CounterfactualGenerator for FittedStatistics {
    fn counterfactuals(&self, batch: &Batch, interventions: &[Intervention]) -> Result<Tensor> {
        let ours = |error| as_objective_error(NAME, error);
        let mut pixels = Pixels::of(&batch.images, batch).map_err(ours)?;
        let knows = |environment: usize| self.environments.contains_key(&environment);
        let known = || format!("one of the environments {:?}", self.environments());
        check_interventions(NAME, batch, interventions, (&knows, &known))?;
        let own = &self.environments[&batch.environment];
        let [channels, height, width] = pixels.shape();
        check_channels([own.len(), height, width], [channels, height, width]).map_err(ours)?;
        for (row, intervention) in interventions.iter().enumerate() {
            let Some(environment) = intervention.environment else {
                continue;
            };
            let other: Vec<Profile> = own
                .iter()
                .zip(&self.environments[&environment])
                .map(|(own, other)| own.towards(other, intervention.extent))
                .collect();
            let mut image = pixels.row(row).to_vec();
            self.moved(&mut image, [height, width], [own, &other]);
            pixels.set_row(row, &image);
        }
        pixels.into_tensor().map_err(ours)
    }
}

#[cfg(test)]
mod tests;
