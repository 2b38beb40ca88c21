//! Which lines of a three-dimensional acquisition are sampled.

use super::mask::uniform;
use crate::Result;
use crate::error::ImagingError;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Bisections of the distance of samples; more do not change the mask of any real size.
const BISECTIONS: usize = 24;

/// Most phase encodings of a mask.
const MOST_ENCODINGS: usize = 1 << 24;

/// Undersampling of the two phase-encoding axes of a three-dimensional acquisition: samples keep a
/// distance from each other that grows away from zero frequency, and a centre is sampled fully.
///
/// The centre is taken first. The other places are visited in random order, and one is taken unless
/// it lies closer to a taken place than `d (1 + slope · ρ)`, with ρ the distance of that taken place
/// from zero frequency: 0 there and 1 in the middle of an edge. Of one order, the distance `d` is the
/// widest, up to `1 + 2 √acceleration`, that leaves at least `round(height · width / acceleration)`
/// places; the first so many are sampled.
///
/// # References
/// Bridson 2007, "Fast Poisson disk sampling in arbitrary dimensions", for the condition; Vasanawala
/// et al. 2011, "Practical parallel imaging compressed sensing MRI", for the growing distance.
///
/// # Examples
/// ```
/// use ctl_imaging::kspace::PoissonMask;
/// use rand::SeedableRng;
/// use rand_chacha::ChaCha8Rng;
///
/// let mask = PoissonMask {
///     size: [40, 48],
///     centre: [8, 8],
///     acceleration: 6.0,
///     slope: 2.0,
/// };
/// let sampled = mask.draw(&mut ChaCha8Rng::seed_from_u64(1))?;
/// let count = sampled.iter().filter(|&&sampled| sampled).count();
/// assert_eq!(count, 320);
/// assert!(sampled[20 * 48 + 24]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoissonMask {
    /// Height and width in phase encodings, each at least 1, at most 2²⁴ together.
    pub size: [usize; 2],
    /// Height and width of the centre that is sampled fully; 0 for none.
    pub centre: [usize; 2],
    /// Number of places over number of samples, at least 1.
    pub acceleration: f64,
    /// How much further apart samples are at an edge than in the centre, 0 to 10.
    pub slope: f64,
}

impl PoissonMask {
    /// Draws a mask.
    ///
    /// # Arguments
    /// * `rng`: the stream of this mask alone; one number is taken for each place.
    ///
    /// # Returns
    /// For each place, row by row, whether it is sampled.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, or the centre has more places
    /// than the acceleration leaves.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Vec<bool>> {
        let sampled = self.count()?;
        let [height, width] = self.size;
        let mut order: Vec<usize> = (0..height * width).collect();
        for place in (1..order.len()).rev() {
            let chosen = (uniform(rng) * (place + 1) as f64) as usize;
            order.swap(place, chosen.min(place));
        }
        // With no distance all places are taken. Samples further apart than the upper end would be
        // fewer than wanted on any grid without a centre.
        let (mut near, mut far) = (0.0, 1.0 + 2.0 * self.acceleration.sqrt());
        let mut kept = self.taken(&order, near);
        for _ in 0..BISECTIONS {
            let distance = f64::midpoint(near, far);
            let taken = self.taken(&order, distance);
            if taken.len() >= sampled {
                (near, kept) = (distance, taken);
            } else {
                far = distance;
            }
        }
        let mut mask = vec![false; height * width];
        for &place in &kept[..sampled] {
            mask[place] = true;
        }
        Ok(mask)
    }

    /// Checks the settings, and tells how many places are sampled.
    fn count(&self) -> Result<usize> {
        let fault = |subject, expected: &str, found: String| {
            Err(ImagingError::argument(subject, expected, found))
        };
        let places = self.size[0].checked_mul(self.size[1]);
        let Some(places) = places.filter(|places| (1..=MOST_ENCODINGS).contains(places)) else {
            return fault("mask size", "1 to 2²⁴ places", format!("{:?}", self.size));
        };
        if !(self.acceleration >= 1.0 && self.acceleration.is_finite()) {
            let found = self.acceleration.to_string();
            return fault("mask acceleration", "at least 1", found);
        }
        if !(0.0..=10.0).contains(&self.slope) {
            return fault(
                "mask slope",
                "a number from 0 to 10",
                self.slope.to_string(),
            );
        }
        let inside = (0..2).all(|axis| self.centre[axis] <= self.size[axis]);
        let centre = self.centre[0].saturating_mul(self.centre[1]);
        let sampled = (places as f64 / self.acceleration).round() as usize;
        if inside && sampled > 0 && centre <= sampled {
            return Ok(sampled);
        }
        let expected = "a centre within the mask, of no more places than the acceleration leaves";
        let found = format!(
            "{:?} of {:?} with {sampled} samples",
            self.centre, self.size
        );
        fault("mask centre", expected, found)
    }

    /// The places that are taken at one distance, in their order.
    fn taken(&self, order: &[usize], distance: f64) -> Vec<usize> {
        let [height, width] = self.size;
        let mut blocked = vec![false; height * width];
        let [rows, columns] = [0, 1].map(|axis| {
            let first = self.size[axis] / 2 - self.centre[axis] / 2;
            first..first + self.centre[axis]
        });
        let centre = rows.flat_map(|row| columns.clone().map(move |column| row * width + column));
        let mut taken: Vec<usize> = centre.collect();
        for &place in &taken {
            self.block(&mut blocked, place, distance);
        }
        for &place in order {
            if !blocked[place] {
                taken.push(place);
                self.block(&mut blocked, place, distance);
            }
        }
        taken
    }

    fn radius(&self, row: usize, column: usize) -> f64 {
        let [y, x] = [(row, 0), (column, 1)].map(|(at, axis)| {
            let half = (self.size[axis] as f64 / 2.0).max(1.0);
            (at as f64 - (self.size[axis] / 2) as f64) / half
        });
        y.hypot(x)
    }

    /// Marks what lies closer to a taken place than its distance. As taken places do not overlap
    /// much, all marks together are about as many as there are places.
    fn block(&self, blocked: &mut [bool], place: usize, distance: f64) {
        let [height, width] = self.size;
        let (row, column) = (place / width, place % width);
        let reach = distance * (1.0 + self.slope * self.radius(row, column));
        let around = reach as usize;
        blocked[place] = true;
        let columns = column.saturating_sub(around)..(column + around + 1).min(width);
        for y in row.saturating_sub(around)..(row + around + 1).min(height) {
            for x in columns.clone() {
                let apart = (y.abs_diff(row) as f64).hypot(x.abs_diff(column) as f64);
                blocked[y * width + x] |= apart < reach;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn mask(slope: f64) -> PoissonMask {
        PoissonMask {
            size: [48, 60],
            centre: [6, 10],
            acceleration: 8.0,
            slope,
        }
    }

    fn drawn(mask: &PoissonMask, seed: u64) -> Vec<bool> {
        mask.draw(&mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
    }

    #[test]
    fn samples_keep_their_distance() {
        let mask = PoissonMask {
            centre: [0, 0],
            ..mask(0.0)
        };
        let sampled = drawn(&mask, 2);
        let places: Vec<(f64, f64)> = (0..sampled.len())
            .filter(|&place| sampled[place])
            .map(|place| ((place / 60) as f64, (place % 60) as f64))
            .collect();
        let mut closest = f64::INFINITY;
        for (number, a) in places.iter().enumerate() {
            for b in &places[..number] {
                closest = closest.min((a.0 - b.0).hypot(a.1 - b.1));
            }
        }
        // One of eight places: a square lattice would have 2.83.
        assert!((2.0..3.0).contains(&closest), "{closest}");
        assert_eq!(places.len(), 360);
    }

    #[test]
    fn samples_are_denser_towards_the_centre_and_all_there() {
        let mask = mask(3.0);
        let sampled = drawn(&mask, 5);
        for row in 21..27 {
            assert!(
                sampled[row * 60 + 25..row * 60 + 35]
                    .iter()
                    .all(|&taken| taken)
            );
        }
        let share = |inner: f64, outer: f64| {
            let ring = (0..sampled.len())
                .filter(|place| (inner..outer).contains(&mask.radius(place / 60, place % 60)));
            let taken: Vec<bool> = ring.map(|place| sampled[place]).collect();
            taken.iter().filter(|&&taken| taken).count() as f64 / taken.len() as f64
        };
        assert!(share(0.3, 0.6) > 2.0 * share(0.8, 1.2));
        assert_eq!(drawn(&mask, 5), sampled);
        assert_ne!(drawn(&mask, 6), sampled);
    }

    #[test]
    fn without_acceleration_all_is_sampled() {
        let mask = PoissonMask {
            acceleration: 1.0,
            ..mask(1.0)
        };
        assert!(drawn(&mask, 1).iter().all(|&taken| taken));
    }

    #[test]
    fn impossible_masks_are_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let base = mask(1.0);
        for (wrong, subject) in [
            (
                PoissonMask {
                    size: [0, 4],
                    ..base
                },
                "size",
            ),
            (
                PoissonMask {
                    size: [usize::MAX, 4],
                    ..base
                },
                "size",
            ),
            (
                PoissonMask {
                    centre: [49, 1],
                    ..base
                },
                "centre",
            ),
            (
                PoissonMask {
                    centre: [30, 30],
                    ..base
                },
                "centre",
            ),
            (
                PoissonMask {
                    acceleration: 0.5,
                    ..base
                },
                "acceleration",
            ),
            (
                PoissonMask {
                    slope: f64::NAN,
                    ..base
                },
                "slope",
            ),
        ] {
            let error = wrong.draw(&mut rng).unwrap_err().to_string();
            assert!(error.contains(subject), "{error}");
        }
    }
}
