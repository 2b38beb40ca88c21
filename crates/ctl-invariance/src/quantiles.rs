//! Quantiles of the pixels of images, channel by channel.

use crate::{Result, TrainingData};

/// Values in ascending order.
pub(crate) fn sorted(values: &[f32]) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted
}

/// The quantile at `share` of sorted values, of which the i-th of n stands at `(i + ½) / n`: linear
/// between them, constant beyond the first and the last.
pub(crate) fn quantile(sorted: &[f32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (share * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let below = place.floor() as usize;
    let value = |index: usize| f64::from(sorted[index.min(last)]);
    value(below) + place.fract() * (value(below + 1) - value(below))
}

/// Calls `see` with every channel of up to `most` training images of each source, at equal
/// distances in their order: `(environment, channel, pixels)`.
pub(crate) fn for_each_plane(
    data: &dyn TrainingData,
    most: usize,
    mut see: impl FnMut(usize, usize, &[f32]),
) -> Result<()> {
    let [channels, height, width] = data.shape();
    for environment in 0..data.sources() {
        let samples = data.samples(environment);
        let count = samples.min(most);
        for index in 0..count {
            let image = data.images(environment, &[index * samples / count])?;
            let planes = image.chunks_exact(height * width).take(channels);
            for (channel, plane) in planes.enumerate() {
                see(environment, channel, plane);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Sources with given images `[C, H, W]`.
    pub(crate) struct Images {
        pub(crate) shape: [usize; 3],
        pub(crate) sources: Vec<Vec<Vec<f32>>>,
    }

    impl TrainingData for Images {
        fn sources(&self) -> usize {
            self.sources.len()
        }

        fn has_target(&self) -> bool {
            false
        }

        fn shape(&self) -> [usize; 3] {
            self.shape
        }

        fn samples(&self, environment: usize) -> usize {
            self.sources[environment].len()
        }

        fn images(&self, environment: usize, rows: &[usize]) -> Result<Vec<f32>> {
            let images = rows
                .iter()
                .map(|&row| self.sources[environment][row].clone());
            Ok(images.flatten().collect())
        }

        fn classes(&self, _environment: usize) -> Option<Vec<u32>> {
            None
        }

        fn class_count(&self) -> usize {
            0
        }

        fn attribute_names(&self) -> &[String] {
            &[]
        }

        fn attributes(&self, _environment: usize) -> Vec<Vec<Option<f64>>> {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Images;
    use super::*;

    /// Three values stand at 1/6, 1/2 and 5/6.
    #[test]
    fn quantiles_by_hand() {
        let values = sorted(&[4.0, 1.0, 2.0]);
        for (share, expected) in [(0.0, 1.0), (0.5, 2.0), (2.0 / 3.0, 3.0), (1.0, 4.0)] {
            assert!(
                (quantile(&values, share) - expected).abs() < 1e-12,
                "{share}"
            );
        }
        assert!((quantile(&[3.0], 0.9) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn images_are_taken_at_equal_distances() {
        let data = Images {
            shape: [2, 1, 1],
            sources: vec![
                (0u8..10).map(|i| vec![f32::from(i), 100.0]).collect(),
                vec![vec![50.0, 200.0]],
            ],
        };
        let mut seen = Vec::new();
        for_each_plane(&data, 3, |e, c, plane| seen.push((e, c, plane[0]))).unwrap();
        let first: Vec<f32> = seen
            .iter()
            .filter(|s| (s.0, s.1) == (0, 0))
            .map(|s| s.2)
            .collect();
        assert_eq!(first, [0.0, 3.0, 6.0]);
        assert_eq!(seen[seen.len() - 2..], [(1, 0, 50.0), (1, 1, 200.0)]);
    }
}
