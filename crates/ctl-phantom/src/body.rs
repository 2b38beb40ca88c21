//! What a part of the body adds to the common causal model: its measures, its scanner, its image.

use crate::key::Key;
use crate::{Anatomy, MrContrast};

/// A measure of the anatomy that the image shows beside the lesions.
///
/// `value = base + per_decade · (age − 60) / 10 + male · sex + sd · u`, with `u` standard normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) base: f64,
    pub(crate) per_decade: f64,
    pub(crate) male: f64,
    pub(crate) sd: f64,
}

impl Measure {
    /// A measure by its mean in women of 60 years, what a decade and male sex add, and its spread.
    pub(crate) const fn new(name: &'static str, [base, per_decade, male, sd]: [f64; 4]) -> Self {
        Self {
            name,
            base,
            per_decade,
            male,
            sd,
        }
    }

    /// Its mean at an age, in decades from 60 years, and a sex, 1 for men.
    pub(crate) fn mean(&self, decades: f64, sex: f64) -> f64 {
        self.base + self.per_decade * decades + self.male * sex
    }
}

/// A setting of the scanner.
///
/// `value = clamp(base + shift · dial + sd · u, low, high)`, with `u` standard normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// Its value at the reference scanner.
    pub(crate) base: f64,
    /// How far the acquisition dial moves it in the target.
    pub(crate) shift: f64,
    /// Its spread from image to image at one site.
    pub(crate) sd: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Setting {
    /// A setting by its base, shift and spread, and the ends of its range.
    pub(crate) const fn new(
        name: &'static str,
        [base, shift, sd]: [f64; 3],
        [low, high]: [f64; 2],
    ) -> Self {
        Self {
            name,
            base,
            shift,
            sd,
            low,
            high,
        }
    }

    /// Its value at a share of the dial, for a standard normal noise.
    pub(crate) fn at(&self, share: f64, noise: f64) -> f64 {
        (self.base + self.shift * share + self.sd * noise).clamp(self.low, self.high)
    }
}

/// Everything of which an image is a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// Height and width in pixels.
    pub(crate) size: usize,
    /// Logarithm of the lesion load, about 0 in the healthy of 60 years.
    pub(crate) load: f64,
    /// Whether the load is gathered, low, or scattered, high; about standard normal.
    pub(crate) spread: f64,
    /// The body's measures, in its order.
    pub(crate) measures: &'a [f64],
    /// The scanner's settings, in the body's order.
    pub(crate) settings: &'a [f64],
    /// Whether the image bears the traits of the second kind of scanner.
    pub(crate) device: bool,
    /// The sequence, for heads.
    pub(crate) contrast: MrContrast,
    /// The stream of everything that no node tells, such as the course of the folds.
    pub(crate) key: Key<'a>,
}

/// What of the acquisition takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// All of it.
    Acquired,
    /// All but noise and motion.
    Ideal,
}

/// A part of the body: what its images show, and how they are drawn.
pub(crate) trait Body: Sync {
    /// The measures that the image shows beside the lesions.
    fn measures(&self) -> &'static [Measure];

    /// The settings in which scanners differ.
    fn settings(&self) -> &'static [Setting];

    /// Millimetres from edge to edge of an image.
    fn field_of_view_mm(&self) -> f64;

    /// The image, `[H, W]` in 0 to 1.
    fn image(&self, scene: &Scene<'_>, exposure: Exposure) -> Vec<f32>;

    /// Where there is lesion, `[H, W]`, 0 or 1.
    fn lesion(&self, scene: &Scene<'_>) -> Vec<u8>;

    /// A stack of slices, `[D, H, W]` in 0 to 1, where there is depth to the body's images.
    fn volume(&self, _scene: &Scene<'_>, _depth: usize) -> Option<Vec<f32>> {
        None
    }
}

/// The body of an anatomy.
pub(crate) fn of(anatomy: Anatomy) -> &'static dyn Body {
    match anatomy {
        Anatomy::Brain => &crate::brain::Brain,
        Anatomy::Chest => &crate::chest::Chest,
    }
}
