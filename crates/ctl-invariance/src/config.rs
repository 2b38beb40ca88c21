//! A method's settings and how they become its parts.

use std::marker::PhantomData;

use ctl_compute::random;
use ctl_nets::{Network, NetworkSpec};
use rand::RngExt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::methods::erm::Erm;
use crate::{
    Adaptation, Augmentation, ConfigError, GradientRule, Independence, MethodInfo,
    NetworkAdaptation, Objective, Preparation, Result, WeightAveraging,
};

/// What a method may know when its parts are built.
#[derive(Clone, Copy, Debug)]
pub struct BuildContext<'a> {
    /// Number of environments in a step: the sources, and the unlabelled target where the method
    /// asks for it.
    pub environments: usize,
    /// Width of the features.
    pub features: usize,
    /// Number of outputs K of a sample or a pixel.
    pub outputs: usize,
    /// Steps that the run will take.
    pub steps: u64,
    /// Independences that the cohort's diagram asks of a representation, for methods that ask for
    /// them; empty where none is known.
    pub independences: &'a [Independence],
    /// Master seed.
    pub seed: u64,
    /// Id of the run, the second part of every random stream's key.
    pub run: &'a str,
}

/// The parts that a method is composed of.
pub struct MethodParts {
    /// What is minimised.
    pub objective: Box<dyn Objective>,
    /// Changes to the batches before the network sees them, in order.
    pub augmentations: Vec<Box<dyn Augmentation>>,
    /// How the gradients of the environments are combined, in place of the objective.
    pub rule: Option<Box<dyn GradientRule>>,
    /// A look at the training data before the first step.
    pub preparation: Option<Box<dyn Preparation>>,
    /// An average of the weights that is used in place of the last ones.
    pub averaging: Option<Box<dyn WeightAveraging>>,
    /// What is done to the trained network.
    pub network_adaptation: Option<Box<dyn NetworkAdaptation>>,
    /// What is done to the outputs at deployment.
    pub adaptation: Option<Box<dyn Adaptation>>,
}

impl MethodParts {
    /// A method that is its objective alone.
    pub fn objective(objective: impl Objective + 'static) -> Self {
        Self {
            objective: Box::new(objective),
            augmentations: Vec::new(),
            rule: None,
            preparation: None,
            averaging: None,
            network_adaptation: None,
            adaptation: None,
        }
    }

    /// Plain training along a rule.
    pub fn rule(rule: impl GradientRule + 'static) -> Self {
        Self {
            rule: Some(Box::new(rule)),
            ..Self::objective(Erm::default())
        }
    }

    /// Plain training on what a preparation makes of the data.
    pub fn preparation(preparation: impl Preparation + 'static) -> Self {
        Self {
            preparation: Some(Box::new(preparation)),
            ..Self::objective(Erm::default())
        }
    }

    /// Plain training, and a change to the trained network.
    pub fn network_adaptation(adaptation: impl NetworkAdaptation + 'static) -> Self {
        Self {
            network_adaptation: Some(Box::new(adaptation)),
            ..Self::objective(Erm::default())
        }
    }

    /// Plain training, and a correction of the outputs at deployment.
    pub fn adaptation(adaptation: impl Adaptation + 'static) -> Self {
        Self {
            adaptation: Some(Box::new(adaptation)),
            ..Self::objective(Erm::default())
        }
    }
}

/// How a random search draws one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distribution {
    /// `u`, uniform on `[low, high)`.
    Uniform {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Uniform as above, rounded down to a whole number.
    UniformInteger {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// `10^u`, `u` uniform on `[low, high)`.
    LogUniform {
        /// Smallest exponent.
        low: f64,
        /// Largest exponent.
        high: f64,
    },
    /// `10^u` as above, rounded down to a whole number.
    LogUniformInteger {
        /// Smallest exponent.
        low: f64,
        /// Largest exponent.
        high: f64,
    },
    /// `2^u`, `u` uniform on `[low, high)`, rounded down to a whole number.
    Log2UniformInteger {
        /// Smallest exponent.
        low: f64,
        /// Largest exponent.
        high: f64,
    },
    /// One of the listed values.
    Choice(Vec<Json>),
}

/// Smallest and largest number, and the value that a number between them gives.
type Scale = (f64, f64, fn(f64) -> Json);

impl Distribution {
    /// How a number is drawn, or what is chosen from.
    fn scale(&self) -> std::result::Result<Scale, &[Json]> {
        match self {
            Self::Uniform { low, high } => Ok((*low, *high, |u| Json::from(u))),
            Self::UniformInteger { low, high } => {
                Ok((*low, *high, |u| Json::from(u.floor() as u64)))
            }
            Self::LogUniform { low, high } => Ok((*low, *high, |u| Json::from(10f64.powf(u)))),
            Self::LogUniformInteger { low, high } => {
                Ok((*low, *high, |u| Json::from(10f64.powf(u).floor() as u64)))
            }
            Self::Log2UniformInteger { low, high } => {
                Ok((*low, *high, |u| Json::from(u.exp2().floor() as u64)))
            }
            Self::Choice(values) => Err(values),
        }
    }

    /// What is wrong with it, and what is allowed: ends must be finite and in order, and a choice
    /// must have something to choose.
    pub fn fault(&self) -> Option<(String, &'static str)> {
        match self.scale() {
            Ok((low, high, _)) => {
                let ok = low.is_finite() && high.is_finite() && low <= high;
                let found = format!("from {low} to {high}");
                (!ok).then_some((found, "finite ends, the smallest first"))
            }
            Err(values) => {
                let found = "an empty choice".to_owned();
                values.is_empty().then_some((found, "at least one value"))
            }
        }
    }

    /// The values between which all others lie, or all there are; of a distribution without
    /// [`Distribution::fault`].
    pub fn extremes(&self) -> Vec<Json> {
        match self.scale() {
            Ok((low, high, value)) => vec![value(low), value(high)],
            Err(values) => values.to_vec(),
        }
    }
}

/// One setting that a random search varies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchDimension {
    /// Name of the setting.
    pub key: &'static str,
    /// How it is drawn.
    pub distribution: Distribution,
}

impl SearchDimension {
    /// A setting drawn uniformly.
    pub fn uniform(key: &'static str, low: f64, high: f64) -> Self {
        Self {
            key,
            distribution: Distribution::Uniform { low, high },
        }
    }

    /// A whole number drawn uniformly.
    pub fn uniform_integer(key: &'static str, low: f64, high: f64) -> Self {
        Self {
            key,
            distribution: Distribution::UniformInteger { low, high },
        }
    }

    /// A setting drawn log-uniformly between powers of ten.
    pub fn log_uniform(key: &'static str, low: f64, high: f64) -> Self {
        Self {
            key,
            distribution: Distribution::LogUniform { low, high },
        }
    }

    /// A whole number drawn log-uniformly between powers of ten.
    pub fn log_uniform_integer(key: &'static str, low: f64, high: f64) -> Self {
        Self {
            key,
            distribution: Distribution::LogUniformInteger { low, high },
        }
    }

    /// A setting drawn from a list.
    pub fn choice(key: &'static str, values: Vec<Json>) -> Self {
        Self {
            key,
            distribution: Distribution::Choice(values),
        }
    }

    /// The value of this setting in draw `draw` of a search.
    ///
    /// The stream is keyed by the method and the setting, so a new setting does not move the
    /// others.
    pub fn sample(&self, seed: u64, method: &str, draw: u64) -> Json {
        let purpose = format!("search {} draw {draw}", self.key);
        let mut rng = random::stream(seed, method, &purpose);
        match self.distribution.scale() {
            Ok((low, high, value)) => value(low + (high - low) * rng.random::<f64>()),
            Err(values) => values[rng.random_range(0..values.len())].clone(),
        }
    }
}

/// The settings of a method: one struct, one method.
pub trait MethodConfig: Serialize + DeserializeOwned + JsonSchema + Default + 'static {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first setting outside its range, its value and what is allowed.
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError>;

    /// Settings that a random search varies, with the distributions of the paper or of
    /// `DomainBed`.
    fn search_space() -> Vec<SearchDimension> {
        Vec::new()
    }

    /// Builds the parts for one run.
    ///
    /// # Errors
    /// When a network of the method cannot be built.
    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts>;

    /// The network for one run: the suite's, unless the method builds around it.
    ///
    /// # Arguments
    /// - `spec`: the suite's network.
    /// - `seed`, `run`: what weights are drawn for.
    ///
    /// # Errors
    /// When a size is out of range.
    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(spec.build(seed, run)?)
    }

    /// What a reader of the results must know of the method on a network, such as that there is
    /// nothing on it that the method could change.
    fn note_on(&self, spec: &NetworkSpec) -> Option<String> {
        let _ = spec;
        None
    }
}

/// `Ok` when `ok`, else a [`ConfigError::Range`] for `key`.
///
/// # Errors
/// See above.
pub fn in_range(
    method: &'static str,
    key: &'static str,
    value: &impl ToString,
    allowed: &'static str,
    ok: bool,
) -> std::result::Result<(), ConfigError> {
    if ok {
        return Ok(());
    }
    Err(ConfigError::Range {
        method: method.to_owned(),
        key,
        value: value.to_string(),
        allowed,
    })
}

/// Checks the weight of a term: finite and not negative.
pub(crate) fn check_weight(
    method: &'static str,
    key: &'static str,
    weight: f64,
) -> std::result::Result<(), ConfigError> {
    let ok = weight.is_finite() && weight >= 0.0;
    in_range(method, key, &weight, "finite and not negative", ok)
}

/// Checks a step size or a scale: positive and finite.
pub(crate) fn check_positive(
    method: &'static str,
    key: &'static str,
    value: f64,
) -> std::result::Result<(), ConfigError> {
    let ok = value.is_finite() && value > 0.0;
    in_range(method, key, &value, "positive and finite", ok)
}

/// Checks `gammas`, the inverse squared widths of Gaussian kernels: at least one, all positive.
pub(crate) fn check_gammas(
    method: &'static str,
    gammas: &[f64],
) -> std::result::Result<(), ConfigError> {
    let ok = !gammas.is_empty() && gammas.iter().all(|g| g.is_finite() && *g > 0.0);
    let allowed = "a list of at least one positive number";
    in_range(method, "gammas", &format!("{gammas:?}"), allowed, ok)
}

/// A method as the registry holds it.
pub trait Method: Send + Sync {
    /// What it is.
    fn info(&self) -> &MethodInfo;

    /// Default settings.
    fn defaults(&self) -> Json;

    /// JSON schema of the settings.
    fn schema(&self) -> Json;

    /// Settings that a random search varies.
    fn search_space(&self) -> Vec<SearchDimension>;

    /// Fills in defaults and checks ranges.
    ///
    /// # Errors
    /// On an unknown key, a wrong type or a value outside its range, naming it.
    fn resolve(&self, settings: &Json) -> std::result::Result<Json, ConfigError>;

    /// Builds the parts for one run from resolved settings.
    ///
    /// # Errors
    /// As [`Method::resolve`], and when a network of the method cannot be built.
    fn build(
        &self,
        settings: &Json,
        context: &BuildContext<'_>,
    ) -> std::result::Result<MethodParts, ConfigError>;

    /// The network for one run, see [`MethodConfig::network`].
    ///
    /// # Errors
    /// As [`Method::resolve`], and when the network cannot be built.
    fn network(
        &self,
        settings: &Json,
        spec: &NetworkSpec,
        seed: (u64, &str),
    ) -> std::result::Result<Box<dyn Network>, ConfigError>;

    /// What a reader of the results must know, see [`MethodConfig::note_on`].
    ///
    /// # Errors
    /// As [`Method::resolve`].
    fn note_on(
        &self,
        settings: &Json,
        spec: &NetworkSpec,
    ) -> std::result::Result<Option<String>, ConfigError>;
}

/// The [`Method`] that a [`MethodConfig`] and its description make.
pub struct Configured<C> {
    info: MethodInfo,
    config: PhantomData<fn() -> C>,
}

impl<C: MethodConfig> Configured<C> {
    /// The method described by `info` with settings of type `C`.
    pub fn new(info: MethodInfo) -> Self {
        Self {
            info,
            config: PhantomData,
        }
    }

    fn parse(&self, settings: &Json) -> std::result::Result<C, ConfigError> {
        if !settings.is_object() {
            // A list would otherwise be taken as the settings in order.
            return Err(ConfigError::Shape {
                method: self.info.id.to_owned(),
                key: "settings".into(),
                message: format!("expected a table of settings, found {settings}"),
            });
        }
        let config: C =
            serde_path_to_error::deserialize(settings).map_err(|error| ConfigError::Shape {
                method: self.info.id.to_owned(),
                key: error.path().to_string(),
                message: error.inner().to_string(),
            })?;
        config.validate(self.info.id)?;
        Ok(config)
    }

    fn build_error(&self, source: crate::ObjectiveError) -> ConfigError {
        ConfigError::Build {
            method: self.info.id.to_owned(),
            source,
        }
    }
}

/// A config struct always serialises: it holds numbers, strings and plain enums.
fn to_json<T: Serialize>(value: &T) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

impl<C: MethodConfig> Method for Configured<C> {
    fn info(&self) -> &MethodInfo {
        &self.info
    }

    fn defaults(&self) -> Json {
        to_json(&C::default())
    }

    fn schema(&self) -> Json {
        to_json(&schemars::schema_for!(C))
    }

    fn search_space(&self) -> Vec<SearchDimension> {
        C::search_space()
    }

    fn resolve(&self, settings: &Json) -> std::result::Result<Json, ConfigError> {
        Ok(to_json(&self.parse(settings)?))
    }

    fn build(
        &self,
        settings: &Json,
        context: &BuildContext<'_>,
    ) -> std::result::Result<MethodParts, ConfigError> {
        self.parse(settings)?
            .build(context)
            .map_err(|source| self.build_error(source))
    }

    fn network(
        &self,
        settings: &Json,
        spec: &NetworkSpec,
        seed: (u64, &str),
    ) -> std::result::Result<Box<dyn Network>, ConfigError> {
        self.parse(settings)?
            .network(spec, seed)
            .map_err(|source| self.build_error(source))
    }

    fn note_on(
        &self,
        settings: &Json,
        spec: &NetworkSpec,
    ) -> std::result::Result<Option<String>, ConfigError> {
        Ok(self.parse(settings)?.note_on(spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ⌊2^u⌋ with u uniform on [3, 5.5): half of the draws lie below ⌊2^4.25⌋ + 1 = 20.
    #[test]
    fn powers_of_two_and_plain_numbers_have_their_laws() {
        let dimension = |distribution| SearchDimension {
            key: "a",
            distribution,
        };
        let size = dimension(Distribution::Log2UniformInteger {
            low: 3.0,
            high: 5.5,
        });
        let plain = dimension(Distribution::Uniform {
            low: -1.0,
            high: 3.0,
        });
        let sizes: Vec<u64> = (0..2000)
            .map(|draw| size.sample(0, "irm", draw).as_u64().unwrap())
            .collect();
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        assert_eq!((least, most), (Some(&8), Some(&45)));
        let below = sizes.iter().filter(|&&n| n < 20).count() as f64;
        // log2(20) lies 0.5288 of the way; three standard deviations of a share of 2000.
        assert!((below / 2000.0 - 0.5288).abs() < 0.034, "{below}");
        let mean = (0..2000)
            .map(|draw| plain.sample(0, "irm", draw).as_f64().unwrap())
            .sum::<f64>()
            / 2000.0;
        // Standard deviation 4/√12, of the mean 0.0258.
        assert!((mean - 1.0).abs() < 0.078, "{mean}");
        assert_eq!(
            size.distribution.extremes(),
            [Json::from(8), Json::from(45)]
        );
    }

    #[test]
    fn draws_stay_in_their_range_and_do_not_depend_on_each_other() {
        let one = SearchDimension::log_uniform("a", -1.0, 5.0);
        let whole = SearchDimension::log_uniform_integer("b", 0.0, 4.0);
        let choice = SearchDimension::choice("c", vec![Json::from(0.0), Json::from(0.5)]);
        let even = SearchDimension::uniform("d", 0.5, 0.99);
        let even_whole = SearchDimension::uniform_integer("e", 8.0, 12.0);
        for draw in 0..200 {
            let a = one.sample(0, "irm", draw).as_f64().unwrap();
            assert!((0.1..1e5).contains(&a), "{a}");
            let b = whole.sample(0, "irm", draw).as_u64().unwrap();
            assert!((1..10_000).contains(&b), "{b}");
            let c = choice.sample(0, "irm", draw).as_f64().unwrap();
            assert!([0.0, 0.5].contains(&c));
            let d = even.sample(0, "irm", draw).as_f64().unwrap();
            assert!((0.5..0.99).contains(&d), "{d}");
            let e = even_whole.sample(0, "irm", draw).as_u64().unwrap();
            assert!((8..12).contains(&e), "{e}");
        }
        assert_ne!(one.sample(0, "irm", 0), one.sample(0, "irm", 1));
        assert_ne!(one.sample(0, "irm", 0), one.sample(0, "v-rex", 0));
        let renamed = SearchDimension::log_uniform("z", -1.0, 5.0);
        assert_ne!(one.sample(0, "irm", 0), renamed.sample(0, "irm", 0));
    }
}
