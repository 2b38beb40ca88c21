//! Masks: the lesion itself, and as a rater draws it.

use rand::RngExt;

use super::PhantomCohort;
use crate::PhantomSample;
use crate::distance::signed_distance;

/// Millimetres by which a tone of 1 draws beyond the lesion's edge.
const MARGIN_MM: f64 = 3.0;
/// Amplitude in millimetres and wavelength of a hand's unsteadiness.
const HAND_MM: (f64, f64) = (0.6, 24.0);
/// Waves that make up the unsteadiness.
const WAVES: usize = 4;

impl PhantomCohort {
    /// The lesion itself, `[H, W]` in row order, 0 or 1.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn true_mask(&self, index: usize) -> Vec<u8> {
        self.true_mask_of(&self.samples[index])
    }

    /// The lesion of a sample at hand.
    pub fn true_mask_of(&self, sample: &PhantomSample) -> Vec<u8> {
        self.body.lesion(&self.scene(sample))
    }

    /// The lesion as the site's rater drew it: with a margin in or out, by an unsteady hand.
    ///
    /// # Returns
    /// `[H, W]` in row order, 0 or 1; where there is no lesion, nothing is drawn.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn mask(&self, index: usize) -> Vec<u8> {
        self.mask_of(&self.samples[index])
    }

    /// The mask of a sample at hand.
    pub fn mask_of(&self, sample: &PhantomSample) -> Vec<u8> {
        let (size, pixel) = (self.spec.size, self.pixel_mm());
        let lesion = self.true_mask_of(sample);
        let tone = sample.values[self.model.places.rater];
        let hand = Hand::new(&self.scene(sample));
        let distance = signed_distance(&lesion, size);
        let drawn = distance.iter().enumerate().map(|(place, &inside)| {
            let (x, y) = ((place % size) as f64, (place / size) as f64);
            let margin = MARGIN_MM * tone + hand.at(x * pixel, y * pixel);
            u8::from(f64::from(inside) * pixel + margin > 0.0)
        });
        drawn.collect()
    }
}

/// A smooth random deviation over the image.
struct Hand([(f64, f64, f64); WAVES]);

impl Hand {
    fn new(scene: &crate::body::Scene<'_>) -> Self {
        let mut rng = scene.key.stream("hand");
        Self(std::array::from_fn(|_| {
            let turn = std::f64::consts::TAU * rng.random::<f64>();
            let number = std::f64::consts::TAU / HAND_MM.1;
            let phase = std::f64::consts::TAU * rng.random::<f64>();
            (number * turn.cos(), number * turn.sin(), phase)
        }))
    }

    /// Millimetres outward at a point in millimetres.
    fn at(&self, x: f64, y: f64) -> f64 {
        let wave = |(kx, ky, phase): &(f64, f64, f64)| (kx * x + ky * y + phase).sin();
        HAND_MM.0 * self.0.iter().map(wave).sum::<f64>() / (WAVES as f64).sqrt()
    }
}
