//! Images as they would be with a lesion of somebody else.

use ctl_invariance::{Augmentation, Batch, Result};
use ctl_metrics::components::{Connectivity, connected_components};
use ctl_metrics::grid::Grid;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::super::inpaint::InpaintConfig;
use super::super::labels::relabel;
use super::super::{as_objective_error, pixels::Pixels, region::dilated};
use super::removal::WIDEST_MARGIN;
use super::{Blend, Lesion, LesionFinder, Which, check_label, class_maps, rewrite_masks};
use crate::CounterfactualError;
use crate::error::in_range;

const NAME: &str = "lesion insertion";

/// Whose lesions an image may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Donors {
    /// Those of any other image.
    #[default]
    Any,
    /// Those of other images of its environment.
    Same,
    /// Those of images of other environments.
    Other,
}

/// Settings of the insertion of lesions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LesionInsertionConfig {
    /// Chance that an image gets a lesion, 0 to 1.
    pub probability: f64,
    /// Whose lesion it gets.
    pub donors: Donors,
    /// Classes of a mask that are lesions; where there are none, all but the background.
    pub classes: Vec<u32>,
    /// Class of a pixel that is nothing.
    pub background: u32,
    /// Classes of a mask on which a lesion may lie, as those of an organ; where there are none, all.
    pub onto: Vec<u32>,
    /// Pixels around a lesion that belong to its appearance, 0 to 32.
    pub margin: usize,
    /// How it is laid into the image.
    pub blend: Blend,
    /// Whether its appearance is scaled by the deviation of the receiving body over that of the
    /// donor's, channel by channel.
    pub match_contrast: bool,
    /// The body is where the mean over channels is above this share of the image's mean, 0 to 1.
    pub body: f64,
    /// Class of an image with a lesion; needed where targets are classes.
    pub label: Option<u32>,
    /// How images are filled where lesions are.
    pub inpaint: InpaintConfig,
}

impl Default for LesionInsertionConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            donors: Donors::Any,
            classes: Vec::new(),
            background: 0,
            onto: Vec::new(),
            margin: 1,
            blend: Blend::Poisson,
            match_contrast: true,
            body: 0.5,
            label: None,
            inpaint: InpaintConfig::default(),
        }
    }
}

impl LesionInsertionConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`] names the setting outside its range.
    pub fn validate(&self) -> crate::Result<()> {
        for (key, value) in [("probability", self.probability), ("body", self.body)] {
            in_range(NAME, key, (value, (0.0..=1.0).contains(&value)), "0 to 1")?;
        }
        let ok = !self.classes.contains(&self.background);
        in_range(
            NAME,
            "background",
            (self.background, ok),
            "no lesion's class",
        )?;
        let ok = self.margin <= WIDEST_MARGIN;
        in_range(NAME, "margin", (self.margin, ok), "0 to 32")?;
        self.inpaint.validate()
    }
}

/// With a chance, an image gets a lesion of another image: its appearance less the tissue under it,
/// at a place drawn uniformly among those where lesion and margin lie wholly on the body and at least
/// the margin away from every other lesion.
///
/// The donor is drawn uniformly among the images with lesions that [`Donors`] allows, then one of its
/// lesions, the regions of its mask that touch by sides or corners. Its pixels get the donor's class
/// in every mask, and the class of the image becomes [`LesionInsertionConfig::label`]. What leaves
/// [0, 1] is cut off. An image for which there is no donor or no place stays, and so do unlabelled
/// batches.
///
/// # Assumptions
/// What a lesion adds to its tissue does not depend on the tissue, and where it may lie does not
/// depend on what it looks like: place and appearance are drawn independently, which breaks whatever
/// ties them in the patients. The lesion changes nothing elsewhere.
#[derive(Clone)]
pub struct LesionInsertion {
    config: LesionInsertionConfig,
    finder: Option<LesionFinder>,
}

/// A batch as images and classes of pixels.
struct Seen {
    environment: usize,
    pixels: Pixels,
    maps: Vec<Vec<u32>>,
    lesions: Vec<Vec<bool>>,
}

/// What a row got: its new lesion pixels with their classes.
type Grown = Vec<(usize, u32)>;

impl LesionInsertion {
    /// Inserts what the masks of batches show.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: LesionInsertionConfig) -> crate::Result<Self> {
        config.validate()?;
        Ok(Self {
            config,
            finder: None,
        })
    }

    /// The same for batches whose targets are classes, whose lesions `finder` knows.
    #[must_use]
    pub fn with_finder(mut self, finder: LesionFinder) -> Self {
        self.finder = Some(finder);
        self
    }

    fn see(&self, batch: &Batch) -> Result<Option<Seen>> {
        if !batch.is_labelled() {
            return Ok(None);
        }
        check_label(NAME, batch, self.config.label)?;
        let which = Which {
            classes: self.config.classes.clone(),
            background: self.config.background,
        };
        let maps = class_maps(NAME, batch, (&which, self.finder.as_ref()))?;
        let pixels = Pixels::of(&batch.images, batch);
        Ok(Some(Seen {
            environment: batch.environment,
            pixels: pixels.map_err(|error| as_objective_error(NAME, error))?,
            lesions: maps.iter().map(|classes| which.mask(classes)).collect(),
            maps,
        }))
    }

    /// Images with a lesion, as batch and row.
    fn donors(&self, all: &[Option<Seen>], (batch, row): (usize, usize)) -> Vec<(usize, usize)> {
        let environment = |index: usize| all[index].as_ref().map(|seen| seen.environment);
        let own = environment(batch);
        let allowed = |&(other, line): &(usize, usize)| {
            let same = environment(other) == own;
            (other, line) != (batch, row)
                && match self.config.donors {
                    Donors::Any => true,
                    Donors::Same => same,
                    Donors::Other => !same,
                }
        };
        let seen = all.iter().enumerate();
        let seen = seen.filter_map(|(index, seen)| Some((index, seen.as_ref()?)));
        seen.flat_map(|(index, seen)| {
            let rows = seen.lesions.iter().enumerate();
            rows.filter(|(_, lesion)| lesion.contains(&true))
                .map(move |(line, _)| (index, line))
        })
        .filter(allowed)
        .collect()
    }

    /// One image with one lesion of another; nothing where there is no place for it.
    fn grown(
        &self,
        (own, row): (&Seen, usize),
        (donor, line): (&Seen, usize),
        rng: &mut ChaCha8Rng,
    ) -> crate::Result<Option<(Vec<f64>, Grown)>> {
        let config = &self.config;
        let (shape, of_donor) = (own.pixels.shape(), donor.pixels.shape());
        let size = [shape[1], shape[2]];
        let region = drawn_region(&donor.lesions[line], [of_donor[1], of_donor[2]], rng)?;
        let lesion = Lesion::of(
            donor.pixels.row(line),
            of_donor,
            (&region, config.margin),
            &config.inpaint,
        )?;
        let image = own.pixels.row(row);
        let free = self.free(own, row);
        let places = lesion.places(&free, size);
        if places.is_empty() {
            return Ok(None);
        }
        let place = places[rng.random_range(0..places.len())];
        let bodies = [
            deviations(image, shape, &body(image, shape, config.body)),
            deviations(
                donor.pixels.row(line),
                of_donor,
                &body(donor.pixels.row(line), of_donor, config.body),
            ),
        ];
        let pairs = bodies[0].iter().zip(&bodies[1]);
        let gain = |(own, other): (&f64, &f64)| {
            let known = config.match_contrast && *own > 0.0 && *other > 0.0;
            if known { own / other } else { 1.0 }
        };
        let gains: Vec<f64> = pairs.map(gain).collect();
        let mut image = image.to_vec();
        let how = (place, config.blend, &gains[..]);
        let pixels = lesion.paste(&mut image, shape, how, &config.inpaint)?;
        let class = |(place, source)| (place, donor.maps[line][source]);
        Ok(Some((image, pixels.into_iter().map(class).collect())))
    }

    /// Where a lesion may lie.
    fn free(&self, own: &Seen, row: usize) -> Vec<bool> {
        let shape = own.pixels.shape();
        let body = body(own.pixels.row(row), shape, self.config.body);
        let taken = dilated(&own.lesions[row], [shape[1], shape[2]], self.config.margin);
        let onto = &self.config.onto;
        let pixels = body.iter().zip(taken).zip(&own.maps[row]);
        pixels
            .map(|((&body, taken), class)| {
                body && !taken && (onto.is_empty() || onto.contains(class))
            })
            .collect()
    }
}

/// One of the connected regions of a mask that is not empty.
fn drawn_region(mask: &[bool], size: [usize; 2], rng: &mut ChaCha8Rng) -> crate::Result<Vec<bool>> {
    let regions = connected_components(&Grid::unit(&size)?, mask, Connectivity::Corners)?;
    let chosen = 1 + rng.random_range(0..regions.count().max(1)) as u32;
    Ok(regions
        .labels()
        .iter()
        .map(|&label| label == chosen)
        .collect())
}

/// Where the mean over channels is above a share of the image's mean.
fn body(image: &[f64], [channels, height, width]: [usize; 3], share: f64) -> Vec<bool> {
    let mut sums = vec![0.0; height * width];
    for plane in image.chunks_exact(height * width) {
        for (sum, value) in sums.iter_mut().zip(plane) {
            *sum += value;
        }
    }
    let mean = image.iter().sum::<f64>() / image.len().max(1) as f64;
    let bound = share * mean * channels as f64;
    sums.into_iter().map(|sum| sum > bound).collect()
}

/// The deviation of each channel over a region; 0 where that is empty.
fn deviations(image: &[f64], [_, height, width]: [usize; 3], region: &[bool]) -> Vec<f64> {
    let planes = image.chunks_exact(height * width);
    planes
        .map(|plane| {
            let inside = || {
                plane
                    .iter()
                    .zip(region)
                    .filter(|(_, i)| **i)
                    .map(|(v, _)| v)
            };
            let count = inside().count().max(1) as f64;
            let mean = inside().sum::<f64>() / count;
            (inside().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt()
        })
        .collect()
}

impl LesionInsertion {
    /// What each row of a batch gets; its image is put in place.
    fn grow(
        &self,
        all: &[Option<Seen>],
        (index, own, pixels): (usize, &Seen, &mut Pixels),
        rng: &mut ChaCha8Rng,
    ) -> crate::Result<Vec<Grown>> {
        let mut rows = vec![Grown::new(); pixels.count()];
        for (row, grown) in rows.iter_mut().enumerate() {
            if rng.random::<f64>() >= self.config.probability {
                continue;
            }
            let donors = self.donors(all, (index, row));
            if donors.is_empty() {
                continue;
            }
            let (other, line) = donors[rng.random_range(0..donors.len())];
            let Some(donor) = &all[other] else { continue };
            if let Some((image, lesion)) = self.grown((own, row), (donor, line), rng)? {
                pixels.set_row(row, &image);
                *grown = lesion;
            }
        }
        Ok(rows)
    }
}

impl Augmentation for LesionInsertion {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let ours = |error: CounterfactualError| as_objective_error(NAME, error);
        let all = batches.iter().map(|batch| self.see(batch));
        let all = all.collect::<Result<Vec<_>>>()?;
        let mut changed = Vec::with_capacity(batches.len());
        for (index, mut batch) in batches.into_iter().enumerate() {
            if let Some(own) = &all[index] {
                let mut pixels = own.pixels.clone();
                let grown = self
                    .grow(&all, (index, own, &mut pixels), rng)
                    .map_err(ours)?;
                batch.images = pixels.into_tensor().map_err(ours)?;
                rewrite_masks(&mut batch, |row, mask| {
                    for &(place, class) in &grown[row] {
                        mask[place] = class;
                    }
                })?;
                let rows = (0..grown.len()).filter(|&row| !grown[row].is_empty());
                if let Some(label) = self.config.label {
                    let new: Vec<_> = rows.map(|row| (row, label)).collect();
                    relabel(NAME, &mut batch, &new)?;
                }
            }
            changed.push(batch);
        }
        Ok(changed)
    }
}
