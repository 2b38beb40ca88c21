//! A standard scale of intensities by landmarks of the histogram.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram_matching::INTENSITIES_WANTED;
use crate::quantiles::{for_each_plane, quantile, sorted};
use crate::{
    Assumption, BuildContext, ConfigError, Family, ImageTransform, MethodConfig, MethodInfo,
    MethodParts, Needs, ObjectiveError, ObjectiveState, Preparation, Prepared, Result, Role,
    SearchDimension, Status, TrainingData, in_range,
};

/// Description of `nyul`.
pub const INFO: MethodInfo = MethodInfo {
    id: "nyul",
    name: "Nyúl standardisation",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: INTENSITIES_WANTED,
    assumptions: &[Assumption::MonotoneIntensities],
    paper: "Nyúl & Udupa 1999, On Standardizing the MR Image Intensity Scale; Nyúl, Udupa & Zhang 2000, New Variants of a Method of MRI Scale Standardization",
    summary: "Maps landmarks of every image's histogram, in training and in use, to those of the sources, linearly between them.",
};

/// Which pixels the landmarks are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Foreground {
    /// Those above the mean of their image, which tells an object from a dark background.
    #[default]
    AboveMean,
    /// All of them.
    All,
}

/// Settings of `nyul`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NyulConfig {
    /// Percentiles left out at either end of the scale, 0 to 20.
    pub tails: f64,
    /// Landmarks between the ends, at equal distances in percentiles, 0 to 50.
    pub landmarks: usize,
    /// Which pixels the landmarks are of.
    pub foreground: Foreground,
    /// Training images of each source that the scale is learned from at most, at least 1.
    pub images_per_source: usize,
}

impl Default for NyulConfig {
    /// Deciles between the first and the last percentile.
    fn default() -> Self {
        Self {
            tails: 1.0,
            landmarks: 9,
            foreground: Foreground::AboveMean,
            images_per_source: 500,
        }
    }
}

impl MethodConfig for NyulConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=20.0).contains(&self.tails);
        in_range(method, "tails", &self.tails, "0 to 20", ok)?;
        let landmarks = self.landmarks;
        in_range(method, "landmarks", &landmarks, "0 to 50", landmarks <= 50)?;
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
        vec![
            SearchDimension::choice("landmarks", [1, 3, 9].map(Into::into).to_vec()),
            SearchDimension::choice("tails", [0.5, 1.0, 2.0].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::preparation(Nyul { config: *self }))
    }
}

/// `x ← s_k + (x − p_k) (s_{k+1} − s_k) / (p_{k+1} − p_k)` between an image's own landmarks p, and
/// on beyond the first and the last, for each channel; s are the landmarks of the scale.
///
/// The scale is learned from the sources: each image is first stretched linearly so that its ends
/// are those of the scale, then its landmarks are averaged. The ends are the mean ends of the
/// sources' images, so that an image of theirs moves little. Sources count the same, whatever
/// their number of images.
///
/// # References
/// Nyúl, Udupa & Zhang 2000, section II, with deciles; the foreground by the mean of the image as in
/// Nyúl & Udupa 1999. Deviations: the papers leave the ends of the scale to be chosen; pixels that
/// leave [0, 1] are cut off; a flat image stays as it is.
pub struct Nyul {
    /// Settings.
    pub config: NyulConfig,
}

impl Nyul {
    /// Shares of the pixels below each landmark.
    fn shares(&self) -> Vec<f64> {
        let tail = self.config.tails / 100.0;
        let steps = self.config.landmarks + 1;
        let inner = (1..steps).map(|step| step as f64 / steps as f64);
        let mut shares: Vec<f64> = std::iter::once(tail)
            .chain(inner)
            .chain([1.0 - tail])
            .collect();
        // A wide tail may reach beyond the outermost landmarks.
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// The landmarks of a plane; none where it is flat.
    fn landmarks(&self, plane: &[f32]) -> Option<Vec<f64>> {
        let mean = plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len().max(1) as f64;
        let counts = |value: f32| match self.config.foreground {
            Foreground::AboveMean => f64::from(value) > mean,
            Foreground::All => true,
        };
        let seen: Vec<f32> = plane.iter().copied().filter(|&v| counts(v)).collect();
        if seen.is_empty() {
            return None;
        }
        let sorted = sorted(&seen);
        let shares = self.shares();
        let landmarks: Vec<f64> = shares.iter().map(|&s| quantile(&sorted, s)).collect();
        (landmarks[landmarks.len() - 1] > landmarks[0]).then_some(landmarks)
    }
}

/// `x` on the line through the two points around it, or on the first or the last one beyond them.
fn piecewise(x: f64, from: &[f64], to: &[f64]) -> f64 {
    let above = from.partition_point(|&p| p <= x);
    let k = above.saturating_sub(1).min(from.len() - 2);
    let (width, height) = (from[k + 1] - from[k], to[k + 1] - to[k]);
    // Where the two landmarks at an end coincide nothing says how to go on.
    let slope = if width > 0.0 { height / width } else { 1.0 };
    let anchor = if width > 0.0 || above == 0 { k } else { k + 1 };
    to[anchor] + slope * (x - from[anchor])
}

/// The landmarks of each channel's scale.
struct Standardisation {
    nyul: Nyul,
    scales: Vec<Vec<f64>>,
}

const SCALES: &str = "scales";

impl Preparation for Nyul {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let [channels, ..] = data.shape();
        let mut seen = vec![vec![Vec::new(); data.sources()]; channels];
        let most = self.config.images_per_source;
        for_each_plane(data, most, |environment, channel, plane| {
            seen[channel][environment].extend(self.landmarks(plane));
        })?;
        let scales: Option<Vec<_>> = seen.iter().map(|sources| scale(sources)).collect();
        let Some(scales) = scales else {
            return Ok(Prepared {
                notes: vec!["every image of the sources is flat: no scale could be learned".into()],
                ..Prepared::default()
            });
        };
        let nyul = Self {
            config: self.config,
        };
        Ok(Prepared {
            transform: Some(Box::new(Standardisation { nyul, scales })),
            ..Prepared::default()
        })
    }

    fn restore(&self, state: &ObjectiveState) -> Result<Option<Box<dyn ImageTransform>>> {
        let count = self.config.landmarks + 2;
        let scales = state
            .get(SCALES)
            .filter(|s| !s.is_empty() && s.len() % count == 0);
        let Some(scales) = scales else {
            return Err(ObjectiveError::State {
                method: INFO.id,
                key: SCALES.into(),
                expected: format!("{count} landmarks for each channel"),
                found: format!("{:?} numbers", state.get(SCALES).map(Vec::len)),
            });
        };
        let doubles = |scale: &[f32]| scale.iter().map(|&v| f64::from(v)).collect();
        Ok(Some(Box::new(Standardisation {
            nyul: Self {
                config: self.config,
            },
            scales: scales.chunks_exact(count).map(doubles).collect(),
        })))
    }
}

/// The scale of one channel from the landmarks of each source's images; none without an image.
fn scale(sources: &[Vec<Vec<f64>>]) -> Option<Vec<f64>> {
    let sources: Vec<_> = sources.iter().filter(|images| !images.is_empty()).collect();
    let count = sources.first()?.first()?.len();
    let mean = |of: &dyn Fn(&[f64]) -> f64| {
        let source = |images: &&Vec<Vec<f64>>| {
            images.iter().map(|image| of(image)).sum::<f64>() / images.len() as f64
        };
        sources.iter().map(source).sum::<f64>() / sources.len() as f64
    };
    let (low, high) = (mean(&|image| image[0]), mean(&|image| image[count - 1]));
    let stretched = |image: &[f64], k: usize| {
        low + (image[k] - image[0]) / (image[count - 1] - image[0]) * (high - low)
    };
    Some(
        (0..count)
            .map(|k| mean(&|image| stretched(image, k)))
            .collect(),
    )
}

impl ImageTransform for Standardisation {
    fn apply(&self, image: &mut [f32], [_, height, width]: [usize; 3]) {
        let planes = image.chunks_exact_mut(height * width);
        for (plane, scale) in planes.zip(&self.scales) {
            let Some(landmarks) = self.nyul.landmarks(plane) else {
                continue;
            };
            for pixel in plane {
                let value = piecewise(f64::from(*pixel), &landmarks, scale);
                *pixel = value.clamp(0.0, 1.0) as f32;
            }
        }
    }

    /// In single precision, in which a model is saved.
    fn state(&self) -> ObjectiveState {
        let scales = self.scales.iter().flatten().map(|&v| v as f32).collect();
        ObjectiveState::from([(SCALES.to_owned(), scales)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantiles::testing::Images;

    /// Ends and median of all pixels.
    fn method() -> Nyul {
        Nyul {
            config: NyulConfig {
                tails: 0.0,
                landmarks: 1,
                foreground: Foreground::All,
                images_per_source: 10,
            },
        }
    }

    fn prepared(method: &Nyul, sources: Vec<Vec<Vec<f32>>>) -> Prepared {
        let shape = [1, 1, sources[0][0].len()];
        method.prepare(&Images { shape, sources }).unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) {
        let far = found
            .iter()
            .zip(expected)
            .any(|(a, b)| (a - b).abs() > 1e-6);
        assert!(!far, "{found:?} is not near {expected:?}");
    }

    /// Landmarks (0, .2, .4) and (.2, .6, .8): ends (.1, .6); medians stretched to .35 and
    /// .1 + ⅔·½ = .4333, mean .391667. A third image (.1, .2, .9) has .15 in its first half.
    #[test]
    fn a_scale_and_a_map_by_hand() {
        let sources = vec![vec![vec![0.2, 0.0, 0.4]], vec![vec![0.2, 0.6, 0.8]]];
        let transform = prepared(&method(), sources).transform.unwrap();
        let middle = 0.1 + 0.5 * (0.5 + 2.0 / 3.0) / 2.0;
        near(&transform.state()["scales"], &[0.1, middle, 0.6]);
        let mut image = vec![0.9, 0.1, 0.2];
        transform.apply(&mut image, [1, 1, 3]);
        near(&image, &[0.6, 0.1, middle]);
    }

    #[test]
    fn lines_go_on_beyond_the_ends() {
        let (from, to) = ([0.2, 0.4, 0.8], [0.0, 0.5, 0.6]);
        for (x, expected) in [
            (0.1, -0.25),
            (0.2, 0.0),
            (0.3, 0.25),
            (0.6, 0.55),
            (1.0, 0.65),
        ] {
            assert!((piecewise(x, &from, &to) - expected).abs() < 1e-12, "{x}");
        }
        // Where two landmarks coincide at an end the line beyond has slope 1.
        let from = [0.2, 0.2, 0.8, 0.8];
        let to = [0.1, 0.3, 0.6, 0.7];
        for (x, expected) in [(0.1, 0.0), (0.5, 0.45), (0.9, 0.8)] {
            assert!((piecewise(x, &from, &to) - expected).abs() < 1e-12, "{x}");
        }
    }

    /// Of the pixels 0, 0, 0, .5 and 1 the mean is .3: landmarks are of the last two alone.
    #[test]
    fn the_background_has_no_landmarks() {
        let nyul = Nyul {
            config: NyulConfig {
                foreground: Foreground::AboveMean,
                ..method().config
            },
        };
        let found = nyul.landmarks(&[0.0, 1.0, 0.0, 0.5, 0.0]).unwrap();
        assert_eq!(found, [0.5, 0.75, 1.0]);
        assert!(nyul.landmarks(&[0.3; 5]).is_none());
        let shares = Nyul {
            config: NyulConfig::default(),
        }
        .shares();
        let expected = [0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99];
        assert_eq!(shares.len(), expected.len());
        assert!(
            shares
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }

    /// A linear change of contrast is undone.
    #[test]
    fn gain_and_bias_are_undone() {
        let pixel = |i: u16| 0.1 + 0.6 * f32::from(i * 37 % 50) / 50.0;
        let source: Vec<f32> = (0..50).map(pixel).collect();
        let config = NyulConfig::default();
        let transform = prepared(&Nyul { config }, vec![vec![source.clone()]])
            .transform
            .unwrap();
        let mut changed: Vec<f32> = source.iter().map(|v| 0.2 + 0.5 * v).collect();
        transform.apply(&mut changed, [1, 1, 50]);
        near(&changed, &source);
    }

    #[test]
    fn flat_images_stay_and_flat_sources_are_noted() {
        let nothing = prepared(&method(), vec![vec![vec![0.5; 3]]]);
        assert!(nothing.transform.is_none() && nothing.notes[0].contains("flat"));
        let transform = prepared(&method(), vec![vec![vec![0.1, 0.2, 0.7], vec![0.5; 3]]])
            .transform
            .unwrap();
        let mut flat = vec![0.4; 3];
        transform.apply(&mut flat, [1, 1, 3]);
        near(&flat, &[0.4; 3]);
    }

    #[test]
    fn a_saved_scale_repeats_itself_and_a_foreign_one_is_refused() {
        let transform = prepared(&method(), vec![vec![vec![0.125, 0.25, 0.75]]])
            .transform
            .unwrap();
        let again = method().restore(&transform.state()).unwrap().unwrap();
        assert_eq!(again.state(), transform.state());
        let state = ObjectiveState::from([("scales".to_owned(), vec![0.0; 4])]);
        let message = method().restore(&state).err().unwrap().to_string();
        assert!(
            message.contains("3 landmarks for each channel, found Some(4)"),
            "{message}"
        );
        for (ill, expected) in [
            (
                NyulConfig {
                    tails: 21.0,
                    ..NyulConfig::default()
                },
                "tails = 21",
            ),
            (
                NyulConfig {
                    landmarks: 51,
                    ..NyulConfig::default()
                },
                "landmarks = 51",
            ),
            (
                NyulConfig {
                    images_per_source: 0,
                    ..NyulConfig::default()
                },
                "images_per_source = 0",
            ),
        ] {
            let message = ill.validate("nyul").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
