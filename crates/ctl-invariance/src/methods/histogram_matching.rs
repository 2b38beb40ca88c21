//! Images with the histogram that images of the sources have on average.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantiles::{for_each_plane, quantile, sorted};
use crate::{
    Assumption, BuildContext, ConfigError, Exception, Family, ImageTransform, MethodConfig,
    MethodInfo, MethodParts, Needs, ObjectiveError, ObjectiveState, Preparation, Prepared, Result,
    Role, SearchDimension, Status, TrainingData, in_range,
};

/// Description of `histogram-matching`.
pub const INFO: MethodInfo = MethodInfo {
    id: "histogram-matching",
    name: "Histogram matching",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: INTENSITIES_WANTED,
    assumptions: &[Assumption::MonotoneIntensities],
    paper: "Gonzalez & Woods 2018, Digital Image Processing, section 3.3 (histogram specification)",
    summary: "Gives every image, in training and in use, the mean quantile function of the sources' images.",
};

/// The task whose intensities are what is to be found.
pub(crate) const INTENSITIES_WANTED: &[Exception] = &[Exception {
    task: "reconstruction",
    reason: "it replaces the intensities of an image, which are what a reconstruction has to find",
}];

/// Settings of `histogram-matching`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HistogramMatchingConfig {
    /// Values of the quantile function that are kept, 2 to 4096.
    pub levels: usize,
    /// Training images of each source that the mean is taken over at most, at least 1.
    pub images_per_source: usize,
}

impl Default for HistogramMatchingConfig {
    fn default() -> Self {
        Self {
            levels: 256,
            images_per_source: 500,
        }
    }
}

impl MethodConfig for HistogramMatchingConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (2..=4096).contains(&self.levels);
        in_range(method, "levels", &self.levels, "2 to 4096", ok)?;
        let images = self.images_per_source;
        in_range(
            method,
            "images_per_source",
            &images,
            "at least 1",
            images > 0,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        let levels = [16, 64, 256].map(Into::into).to_vec();
        vec![SearchDimension::choice("levels", levels)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::preparation(HistogramMatching {
            config: *self,
        }))
    }
}

/// `x ← Q̄(F(x))` for each channel of each image: F the image's own distribution function, with
/// half the weight of its own value, and `Q̄` the mean over sources of the mean over their images of
/// the quantile functions.
///
/// # References
/// Gonzalez & Woods 2018, section 3.3, for one histogram. The mean of quantile functions is the
/// barycentre of the histograms in the Wasserstein distance (Agueh & Carlier 2011, section 6.1),
/// which the mean of the histograms themselves is not.
pub struct HistogramMatching {
    /// Settings.
    pub config: HistogramMatchingConfig,
}

/// The mean quantile functions, `[C, levels]`.
struct Matching {
    levels: usize,
    quantiles: Vec<f32>,
}

const QUANTILES: &str = "quantiles";

impl Preparation for HistogramMatching {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let levels = self.config.levels;
        let [channels, ..] = data.shape();
        let mut sums = vec![vec![0.0; channels * levels]; data.sources()];
        let most = self.config.images_per_source;
        for_each_plane(data, most, |environment, channel, plane| {
            let sorted = sorted(plane);
            let share = |level: usize| (level as f64 + 0.5) / levels as f64;
            for level in 0..levels {
                sums[environment][channel * levels + level] += quantile(&sorted, share(level));
            }
        })?;
        let counts = (0..data.sources()).map(|e| data.samples(e).min(most).max(1) as f64);
        let mut mean = vec![0.0; channels * levels];
        for (sums, count) in sums.iter().zip(counts) {
            for (mean, sum) in mean.iter_mut().zip(sums) {
                *mean += sum / count / data.sources() as f64;
            }
        }
        Ok(Prepared {
            transform: Some(Box::new(Matching {
                levels,
                quantiles: mean.into_iter().map(|v| v as f32).collect(),
            })),
            ..Prepared::default()
        })
    }

    fn restore(&self, state: &ObjectiveState) -> Result<Option<Box<dyn ImageTransform>>> {
        let levels = self.config.levels;
        let quantiles = state
            .get(QUANTILES)
            .filter(|q| !q.is_empty() && q.len() % levels == 0);
        let Some(quantiles) = quantiles else {
            return Err(ObjectiveError::State {
                method: INFO.id,
                key: QUANTILES.into(),
                expected: format!("{levels} numbers for each channel"),
                found: format!("{:?} numbers", state.get(QUANTILES).map(Vec::len)),
            });
        };
        Ok(Some(Box::new(Matching {
            levels,
            quantiles: quantiles.clone(),
        })))
    }
}

impl ImageTransform for Matching {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3]) {
        let planes = image.chunks_exact_mut(height * width);
        for (plane, quantiles) in planes.zip(self.quantiles.chunks_exact(self.levels)) {
            let old = plane.to_vec();
            let mut order: Vec<usize> = (0..old.len()).collect();
            order.sort_by(|&a, &b| old[a].total_cmp(&old[b]));
            let mut first = 0;
            for equal in order.chunk_by(|&a, &b| old[a].total_cmp(&old[b]).is_eq()) {
                let share = (first as f64 + equal.len() as f64 / 2.0) / old.len() as f64;
                first += equal.len();
                let value = quantile(quantiles, share) as f32;
                for &pixel in equal {
                    plane[pixel] = value;
                }
            }
        }
    }

    fn state(&self) -> ObjectiveState {
        ObjectiveState::from([(QUANTILES.to_owned(), self.quantiles.clone())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantiles::testing::Images;

    fn prepared(sources: Vec<Vec<Vec<f32>>>, levels: usize) -> Box<dyn ImageTransform> {
        let config = HistogramMatchingConfig {
            levels,
            ..HistogramMatchingConfig::default()
        };
        let data = Images {
            shape: [1, 2, 2],
            sources,
        };
        let method = HistogramMatching { config };
        method.prepare(&data).unwrap().transform.unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) {
        let far = found
            .iter()
            .zip(expected)
            .any(|(a, b)| (a - b).abs() > 1e-6);
        assert!(!far, "{found:?} is not near {expected:?}");
    }

    /// Sources of (0, .2, .4, .6) twice and of (.4, .6, .8, 1) once, each source counting the same:
    /// the mean quantiles are (.2, .4, .6, .8).
    #[test]
    fn the_mean_of_the_sources_by_hand() {
        let (dark, bright) = (vec![0.4, 0.0, 0.6, 0.2], vec![1.0, 0.8, 0.4, 0.6]);
        let matching = prepared(vec![vec![dark.clone(), dark.clone()], vec![bright]], 4);
        near(&matching.state()["quantiles"], &[0.2, 0.4, 0.6, 0.8]);
        let mut image = dark;
        matching.apply(&mut image, [1, 2, 2]);
        near(&image, &[0.6, 0.2, 0.8, 0.4]);
        // The two that are equal share what stands between their ranks.
        let mut ties = vec![0.3, 0.9, 0.3, 0.1];
        matching.apply(&mut ties, [1, 2, 2]);
        near(&ties, &[0.5, 0.8, 0.5, 0.2]);
        let mut flat = vec![0.7; 4];
        matching.apply(&mut flat, [1, 2, 2]);
        near(&flat, &[0.5; 4]);
    }

    /// Whatever increasing function a site puts over an image, the result is the same; three levels
    /// to a pixel have its value among them.
    #[test]
    fn increasing_functions_are_undone() {
        let source = vec![0.1, 0.35, 0.2, 0.9];
        let matching = prepared(vec![vec![source.clone()]], 12);
        let mut plain = source.clone();
        matching.apply(&mut plain, [1, 2, 2]);
        near(&plain, &source);
        let mut bent: Vec<f32> = source.iter().map(|v| 0.1 + 0.7 * v.powi(3)).collect();
        matching.apply(&mut bent, [1, 2, 2]);
        near(&bent, &source);
    }

    #[test]
    fn a_saved_transform_repeats_itself_and_a_foreign_one_is_refused() {
        let matching = prepared(vec![vec![vec![0.0, 0.5, 0.25, 1.0]]], 8);
        let config = HistogramMatchingConfig {
            levels: 8,
            ..HistogramMatchingConfig::default()
        };
        let method = HistogramMatching { config };
        let again = method.restore(&matching.state()).unwrap().unwrap();
        let mut images = [vec![0.9, 0.1, 0.4, 0.4], vec![0.9, 0.1, 0.4, 0.4]];
        matching.apply(&mut images[0], [1, 2, 2]);
        again.apply(&mut images[1], [1, 2, 2]);
        assert_eq!(images[0], images[1]);
        let state = ObjectiveState::from([("quantiles".to_owned(), vec![0.0; 7])]);
        let message = method.restore(&state).err().unwrap().to_string();
        assert!(
            message.contains("8 numbers for each channel, found Some(7)"),
            "{message}"
        );
        let ill = HistogramMatchingConfig {
            levels: 1,
            ..config
        };
        assert!(
            ill.validate("histogram-matching")
                .unwrap_err()
                .to_string()
                .contains("levels = 1")
        );
        let ill = HistogramMatchingConfig {
            images_per_source: 0,
            ..config
        };
        assert!(ill.validate("histogram-matching").is_err());
    }
}
