//! Which phase-encoding columns are sampled.

use crate::Result;
use crate::error::ImagingError;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How the columns outside of the centre are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// Uniformly at random.
    Random,
    /// At equal distances, from a random offset.
    Equispaced,
}

/// Undersampling along Cartesian columns: a fully sampled centre, and of the other columns as many
/// as the acceleration leaves.
///
/// `round(width / acceleration)` columns are sampled, `round(width · centre_fraction)` of them in
/// the centre.
///
/// # References
/// Zbontar et al. 2018, "fastMRI: an open dataset and benchmarks for accelerated MRI", section 4.9.
/// Deviations: the number of columns is exact instead of expected, and equal distances are taken
/// over the columns outside of the centre.
///
/// # Examples
/// ```
/// use ctl_imaging::kspace::{CartesianMask, MaskKind};
/// use rand::SeedableRng;
/// use rand_chacha::ChaCha8Rng;
///
/// let mask = CartesianMask {
///     width: 16,
///     centre_fraction: 0.125,
///     acceleration: 4.0,
///     kind: MaskKind::Equispaced,
/// };
/// let columns = mask.draw(&mut ChaCha8Rng::seed_from_u64(3))?;
/// assert_eq!(columns.iter().filter(|&&sampled| sampled).count(), 4);
/// assert!(columns[7] && columns[8]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartesianMask {
    /// Number of columns, at least 1.
    pub width: usize,
    /// Share of the columns that is sampled around zero frequency, in (0, 1].
    pub centre_fraction: f64,
    /// Number of columns over number of sampled columns, at least 1.
    pub acceleration: f64,
    /// How the other columns are chosen.
    pub kind: MaskKind,
}

impl CartesianMask {
    /// Draws a mask.
    ///
    /// # Arguments
    /// * `rng`: the stream of this mask alone; one number is taken for each column that is drawn.
    ///
    /// # Returns
    /// For each column, lowest frequency first, whether it is sampled.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the width is 0, the centre's share is not in (0, 1], the
    /// acceleration is below 1 or not finite, no column would be sampled, or the centre alone has
    /// more columns than the acceleration leaves.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Vec<bool>> {
        let (sampled, centre) = self.counts()?;
        let first = self.width / 2 - centre / 2;
        let mut columns: Vec<bool> = (0..self.width)
            .map(|column| (first..first + centre).contains(&column))
            .collect();
        let mut others: Vec<usize> = (0..self.width).filter(|&column| !columns[column]).collect();
        let count = sampled - centre;
        match self.kind {
            MaskKind::Random => choose_first(&mut others, count, rng),
            MaskKind::Equispaced => others = equispaced(&others, count, rng),
        }
        for &column in &others[..count] {
            columns[column] = true;
        }
        Ok(columns)
    }

    /// Numbers of sampled columns, in all and in the centre.
    fn counts(&self) -> Result<(usize, usize)> {
        let fault = |subject, expected: &str, found: String| {
            Err(ImagingError::argument(subject, expected, found))
        };
        if self.width == 0 {
            return fault("mask width", "at least 1", "0".into());
        }
        if !(self.centre_fraction > 0.0 && self.centre_fraction <= 1.0) {
            let found = self.centre_fraction.to_string();
            return fault("mask centre fraction", "in (0, 1]", found);
        }
        if !(self.acceleration >= 1.0 && self.acceleration.is_finite()) {
            let found = self.acceleration.to_string();
            return fault("mask acceleration", "at least 1", found);
        }
        let width = self.width as f64;
        let sampled = (width / self.acceleration).round() as usize;
        let centre = (width * self.centre_fraction).round() as usize;
        if sampled == 0 || centre > sampled {
            let expected = "sampled columns, no fewer than the centre has";
            let found = format!(
                "{sampled} of {} at acceleration {}, {centre} in the centre",
                self.width, self.acceleration
            );
            return fault("mask", expected, found);
        }
        Ok((sampled, centre))
    }
}

/// A number on [0, 1), written out so that no release of a library changes a mask.
pub(super) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (rng.next_u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
}

/// The first steps of Fisher and Yates's shuffle.
fn choose_first(columns: &mut [usize], count: usize, rng: &mut ChaCha8Rng) {
    for place in 0..count {
        let left = columns.len() - place;
        let chosen = (uniform(rng) * left as f64) as usize;
        columns.swap(place, place + chosen.min(left - 1));
    }
}

fn equispaced(columns: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let offset = uniform(rng);
    let distance = columns.len() as f64 / count.max(1) as f64;
    // Distances are at least 1, so that no two places fall on one column.
    let places = (0..count).map(|i| ((offset + i as f64) * distance) as usize);
    places
        .map(|place| columns[place.min(columns.len() - 1)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rstest::rstest;

    fn mask(kind: MaskKind) -> CartesianMask {
        CartesianMask {
            width: 64,
            centre_fraction: 0.08,
            acceleration: 4.0,
            kind,
        }
    }

    fn drawn(mask: &CartesianMask, seed: u64) -> Vec<bool> {
        mask.draw(&mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
    }

    #[rstest]
    #[case(MaskKind::Random)]
    #[case(MaskKind::Equispaced)]
    fn masks_have_their_counts_and_their_centre(#[case] kind: MaskKind) {
        for (width, acceleration, centre_fraction) in [
            (64, 4.0, 0.08),
            (63, 3.0, 0.1),
            (96, 8.0, 0.04),
            (5, 1.0, 1.0),
            (7, 1.0, 0.2),
        ] {
            let mask = CartesianMask {
                width,
                centre_fraction,
                acceleration,
                kind,
            };
            for seed in 0..20 {
                let columns = drawn(&mask, seed);
                let sampled = columns.iter().filter(|&&c| c).count();
                assert_eq!(sampled, (width as f64 / acceleration).round() as usize);
                let centre = (width as f64 * centre_fraction).round() as usize;
                let first = width / 2 - centre / 2;
                assert!(columns[first..first + centre].iter().all(|&c| c));
            }
        }
    }

    #[rstest]
    #[case(MaskKind::Random)]
    #[case(MaskKind::Equispaced)]
    fn streams_decide(#[case] kind: MaskKind) {
        assert_eq!(drawn(&mask(kind), 1), drawn(&mask(kind), 1));
        let others = (2..10).filter(|&seed| drawn(&mask(kind), seed) != drawn(&mask(kind), 1));
        assert!(others.count() >= 5);
    }

    /// 11 of the 59 columns outside of the centre, each with the same chance.
    #[test]
    fn random_columns_are_uniform() {
        const DRAWS: u64 = 4000;
        let mut counts = [0_u32; 64];
        for seed in 0..DRAWS {
            let columns = drawn(&mask(MaskKind::Random), seed);
            for (count, _) in counts
                .iter_mut()
                .zip(columns)
                .filter(|(_, sampled)| *sampled)
            {
                *count += 1;
            }
        }
        let chance = 11.0 / 59.0;
        let deviation = (chance * (1.0 - chance) / DRAWS as f64).sqrt();
        for (column, count) in counts.into_iter().enumerate() {
            let share = f64::from(count) / DRAWS as f64;
            if (30..35).contains(&column) {
                assert_eq!(count, DRAWS as u32);
            } else {
                assert!(
                    (share - chance).abs() < 4.5 * deviation,
                    "{column}: {share}"
                );
            }
        }
    }

    #[test]
    fn equispaced_columns_keep_their_distance() {
        for seed in 0..20 {
            let columns = drawn(&mask(MaskKind::Equispaced), seed);
            let outside: Vec<usize> = (0..64)
                .filter(|column| !(30..35).contains(column))
                .enumerate()
                .filter(|(_, column)| columns[*column])
                .map(|(place, _)| place)
                .collect();
            // 59 columns over 11 samples: 5.36, so 5 or 6 apart.
            assert!(
                outside
                    .windows(2)
                    .all(|pair| (5..=6).contains(&(pair[1] - pair[0])))
            );
        }
    }

    #[rstest]
    #[case(0, 0.1, 4.0, "mask width")]
    #[case(64, 0.0, 4.0, "mask centre fraction")]
    #[case(64, 1.5, 4.0, "mask centre fraction")]
    #[case(64, f64::NAN, 4.0, "mask centre fraction")]
    #[case(64, 0.1, 0.5, "mask acceleration")]
    #[case(64, 0.1, f64::INFINITY, "mask acceleration")]
    #[case(64, 0.1, f64::NAN, "mask acceleration")]
    #[case(64, 0.001, 1000.0, "mask: expected sampled columns")]
    #[case(64, 0.5, 4.0, "mask: expected sampled columns")]
    fn nonsense_is_an_error(
        #[case] width: usize,
        #[case] centre_fraction: f64,
        #[case] acceleration: f64,
        #[case] message: &str,
    ) {
        let kind = MaskKind::Random;
        let mask = CartesianMask {
            width,
            centre_fraction,
            acceleration,
            kind,
        };
        let error = mask.draw(&mut ChaCha8Rng::seed_from_u64(0)).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }

    #[test]
    fn descriptions_refuse_unknown_keys() {
        let text =
            r#"{"width": 8, "centre_fraction": 0.25, "acceleration": 2.0, "kind": "random"}"#;
        let mask: CartesianMask = serde_json::from_str(text).unwrap();
        assert_eq!(mask.kind, MaskKind::Random);
        let unknown = text.replace("width", "columns");
        assert!(serde_json::from_str::<CartesianMask>(&unknown).is_err());
    }
}
