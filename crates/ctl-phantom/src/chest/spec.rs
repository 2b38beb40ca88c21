//! What to simulate.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::PhantomError;

/// A simulated chest-film cohort: how many, how large and how strongly shifted.
///
/// Unknown keys are refused when it is read, and missing ones take their default.
///
/// # Examples
///
/// ```
/// use ctl_phantom::ChestSpec;
///
/// let spec: ChestSpec = serde_json::from_str(r#"{ "size": 48, "confounding": 0.9 }"#)?;
/// assert_eq!((spec.size, spec.images_per_site, spec.source_sites), (48, 400, 3));
/// assert!(serde_json::from_str::<ChestSpec>(r#"{ "confunding": 0.9 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChestSpec {
    /// Height and width of an image in pixels, 16 to 512.
    pub size: usize,
    /// Patients, with one image each, at every site; 1 to 100 000.
    pub images_per_site: usize,
    /// Sites to train on, 1 to 8; the target site comes in addition.
    pub source_sites: usize,
    /// Master seed: the same seed gives the same bytes.
    pub seed: u64,
    /// Dial from 0 to 1 for how strongly site, tube, marker and disease go together in the
    /// sources. In the target the association of tube and marker with the disease is reversed.
    pub confounding: f64,
    /// Dial from 0 to 1 for how far the target's gain, gamma, noise and blur lie outside those of
    /// the sources.
    pub acquisition: f64,
    /// Dial from 0 to 1 that moves the target's P(disease) from 0.5 to 0.1.
    pub prevalence: f64,
    /// Least and greatest severity of a diseased patient, 0 to 1; severity is uniform in between
    /// and scales the contrast of the opacities.
    pub severity: [f64; 2],
}

impl Default for ChestSpec {
    fn default() -> Self {
        Self {
            size: 64,
            images_per_site: 400,
            source_sites: 3,
            seed: 0,
            confounding: 0.0,
            acquisition: 0.0,
            prevalence: 0.0,
            severity: [0.3, 1.0],
        }
    }
}

impl ChestSpec {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`PhantomError::InvalidSetting`] names the first setting that is out of range or not a
    /// number, its value and the values that are allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::ChestSpec;
    ///
    /// let spec = ChestSpec { acquisition: 2.0, ..ChestSpec::default() };
    /// let message = spec.validate().map_err(|error| error.to_string());
    /// assert_eq!(
    ///     message,
    ///     Err("setting `acquisition` is 2, allowed is a number from 0 to 1".to_owned())
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), PhantomError> {
        let counts = [
            ("size", self.size, 16..=512, "a whole number from 16 to 512"),
            (
                "images_per_site",
                self.images_per_site,
                1..=100_000,
                "a whole number from 1 to 100000",
            ),
            (
                "source_sites",
                self.source_sites,
                1..=8,
                "a whole number from 1 to 8",
            ),
        ];
        for (key, value, range, allowed) in counts {
            if !range.contains(&value) {
                return Err(invalid(key, value, allowed));
            }
        }
        self.validate_dials()?;
        let [least, greatest] = self.severity;
        if !(0.0 <= least && least <= greatest && greatest <= 1.0) {
            return Err(invalid(
                "severity",
                format!("[{least}, {greatest}]"),
                "two numbers from 0 to 1 in ascending order",
            ));
        }
        Ok(())
    }

    fn validate_dials(&self) -> Result<(), PhantomError> {
        let dials = [
            ("confounding", self.confounding),
            ("acquisition", self.acquisition),
            ("prevalence", self.prevalence),
        ];
        match dials
            .into_iter()
            .find(|(_, dial)| !(0.0..=1.0).contains(dial))
        {
            Some((key, dial)) => Err(invalid(key, dial, "a number from 0 to 1")),
            None => Ok(()),
        }
    }
}

fn invalid(key: &'static str, value: impl Display, allowed: &'static str) -> PhantomError {
    PhantomError::InvalidSetting {
        key,
        value: value.to_string(),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::ChestSpec;
    use crate::PhantomError;

    #[test]
    fn refuses_what_is_out_of_range_by_name() {
        let spec = ChestSpec::default;
        let cases = [
            ("size", ChestSpec { size: 0, ..spec() }),
            (
                "size",
                ChestSpec {
                    size: 513,
                    ..spec()
                },
            ),
            (
                "images_per_site",
                ChestSpec {
                    images_per_site: 0,
                    ..spec()
                },
            ),
            (
                "source_sites",
                ChestSpec {
                    source_sites: 0,
                    ..spec()
                },
            ),
            (
                "source_sites",
                ChestSpec {
                    source_sites: 9,
                    ..spec()
                },
            ),
            (
                "confounding",
                ChestSpec {
                    confounding: 2.0,
                    ..spec()
                },
            ),
            (
                "confounding",
                ChestSpec {
                    confounding: f64::NAN,
                    ..spec()
                },
            ),
            (
                "acquisition",
                ChestSpec {
                    acquisition: -0.1,
                    ..spec()
                },
            ),
            (
                "prevalence",
                ChestSpec {
                    prevalence: f64::INFINITY,
                    ..spec()
                },
            ),
            (
                "severity",
                ChestSpec {
                    severity: [0.8, 0.2],
                    ..spec()
                },
            ),
            (
                "severity",
                ChestSpec {
                    severity: [f64::NAN, 1.0],
                    ..spec()
                },
            ),
        ];
        for (expected, spec) in cases {
            match spec.validate() {
                Err(PhantomError::InvalidSetting { key, .. }) => assert_eq!(key, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn accepts_the_ends_of_the_ranges() {
        for (size, sites, dial) in [(16, 1, 0.0), (512, 8, 1.0)] {
            let spec = ChestSpec {
                size,
                source_sites: sites,
                images_per_site: 1,
                confounding: dial,
                acquisition: dial,
                prevalence: dial,
                severity: [dial, dial],
                ..ChestSpec::default()
            };
            assert!(spec.validate().is_ok(), "{spec:?}");
        }
    }
}
