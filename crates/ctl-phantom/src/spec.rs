//! What to simulate.

use std::fmt::Display;

use ctl_graph::graph::CausalDirection;
use serde::{Deserialize, Serialize};

use crate::PhantomError;

/// The part of the body that is imaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anatomy {
    /// An axial magnetic resonance slice of the head, or a stack of them.
    #[default]
    Brain,
    /// A frontal chest film.
    Chest,
}

/// The sequence by which a head is imaged.
///
/// # Examples
///
/// ```
/// use ctl_phantom::MrContrast;
///
/// assert_eq!(serde_json::to_string(&MrContrast::Flair)?, "\"flair\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MrContrast {
    /// Fluid dark, white matter bright, lesions dark.
    T1,
    /// Fluid bright, white matter dark, lesions bright.
    T2,
    /// Fluid suppressed, lesions bright.
    #[default]
    Flair,
}

impl MrContrast {
    /// Every sequence.
    pub const ALL: [Self; 3] = [Self::T1, Self::T2, Self::Flair];

    /// The name in a specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::T1 => "t1",
            Self::T2 => "t2",
            Self::Flair => "flair",
        }
    }
}

/// How far the target differs from the sources in each mechanism, every dial from 0 to 1.
///
/// With every dial at 0 all sites follow the same law. A dial at 1 moves its mechanism in the
/// target far, but not beyond what hospitals show; among the sources it is spread over three
/// tenths of that, so that their environments differ.
///
/// # Examples
///
/// ```
/// use ctl_phantom::Dials;
///
/// let dials: Dials = serde_json::from_str(r#"{ "prevalence": 0.5 }"#)?;
/// assert_eq!((dials.prevalence, dials.acquisition), (0.5, 0.0));
/// assert!(serde_json::from_str::<Dials>(r#"{ "prevalance": 0.5 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dials {
    /// Age and sex: the target's patients are older, and fewer of them are men.
    pub population: f64,
    /// P(disease): from 1/2 to 1/10 in the target. Where the image causes the label this is the
    /// base rate of what the image shows, and P(label) follows.
    pub prevalence: f64,
    /// The scanner's settings.
    pub acquisition: f64,
    /// Raters: labels and masks, never pixels. The target's raters call more and draw wider; where
    /// the disease causes the image, they mistake the healthy for diseased and the other way round.
    pub annotation: f64,
    /// How the disease shows: milder and more diffuse in the target.
    pub manifestation: f64,
    /// Who enters the sources: the younger and those with less load. The target is not selected.
    pub selection: f64,
    /// How strongly site, label and scanner go together in the sources; the tie of label and
    /// scanner is the reverse in the target.
    pub confounding: f64,
}

impl Dials {
    /// The dials with their names, in a fixed order.
    pub fn named(&self) -> [(&'static str, f64); 7] {
        [
            ("population", self.population),
            ("prevalence", self.prevalence),
            ("acquisition", self.acquisition),
            ("annotation", self.annotation),
            ("manifestation", self.manifestation),
            ("selection", self.selection),
            ("confounding", self.confounding),
        ]
    }
}

/// A simulated cohort: of what, how many, how large and how strongly shifted.
///
/// Unknown keys are refused when it is read, and missing ones take their default.
///
/// # Examples
///
/// ```
/// use ctl_phantom::{Anatomy, PhantomSpec};
///
/// let spec: PhantomSpec = serde_json::from_str(r#"{ "size": 48, "dials": { "prevalence": 1.0 } }"#)?;
/// assert_eq!((spec.anatomy, spec.size, spec.patients_per_site), (Anatomy::Brain, 48, 400));
/// assert!(serde_json::from_str::<PhantomSpec>(r#"{ "sise": 48 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhantomSpec {
    /// What is imaged.
    pub anatomy: Anatomy,
    /// Whether the label is read off the image or the disease causes the image.
    pub direction: CausalDirection,
    /// Height and width of an image in pixels, 16 to 512.
    pub size: usize,
    /// Patients, with one image each, at every source and at the target; 1 to 100 000.
    pub patients_per_site: usize,
    /// Sites to train on, 1 to 8; target and references come in addition.
    pub source_sites: usize,
    /// Master seed: the same seed gives the same bytes.
    pub seed: u64,
    /// How the target differs from the sources.
    pub dials: Dials,
    /// The sequence, for heads; FLAIR unless it is set.
    pub contrast: Option<MrContrast>,
    /// How much load the disease adds on average, in standard deviations of the load among the
    /// healthy of one age, 0.5 to 6.
    pub severity: f64,
}

impl Default for PhantomSpec {
    fn default() -> Self {
        Self {
            anatomy: Anatomy::Brain,
            direction: CausalDirection::Anticausal,
            size: 64,
            patients_per_site: 400,
            source_sites: 3,
            seed: 0,
            dials: Dials::default(),
            contrast: None,
            severity: 2.6,
        }
    }
}

impl PhantomSpec {
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
    /// use ctl_phantom::{Dials, PhantomSpec};
    ///
    /// let dials = Dials { acquisition: 2.0, ..Dials::default() };
    /// let fault = PhantomSpec { dials, ..PhantomSpec::default() }.validate();
    /// assert_eq!(
    ///     fault.map_err(|error| error.to_string()),
    ///     Err("setting `acquisition` is 2, allowed is a number from 0 to 1".to_owned())
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), PhantomError> {
        let counts = [
            ("size", self.size, 16..=512, "a whole number from 16 to 512"),
            (
                "patients_per_site",
                self.patients_per_site,
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
        for (key, dial) in self.dials.named() {
            if !(0.0..=1.0).contains(&dial) {
                return Err(invalid(key, dial, "a number from 0 to 1"));
            }
        }
        if !(0.5..=6.0).contains(&self.severity) {
            return Err(invalid("severity", self.severity, "a number from 0.5 to 6"));
        }
        match (self.anatomy, self.contrast) {
            (Anatomy::Chest, Some(contrast)) => Err(invalid(
                "contrast",
                format!("{contrast:?}"),
                "nothing for a chest film, which has no sequence",
            )),
            _ => Ok(()),
        }
    }
}

pub(crate) fn invalid(
    key: &'static str,
    value: impl Display,
    allowed: &'static str,
) -> PhantomError {
    PhantomError::InvalidSetting {
        key,
        value: value.to_string(),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Anatomy, Dials, MrContrast, PhantomSpec};
    use crate::PhantomError;

    #[test]
    fn refuses_what_is_out_of_range_by_name() {
        type Change = fn(&mut PhantomSpec);
        let cases: [(&str, Change); 11] = [
            ("size", |spec| spec.size = 5),
            ("size", |spec| spec.size = 513),
            ("patients_per_site", |spec| spec.patients_per_site = 0),
            ("patients_per_site", |spec| spec.patients_per_site = 100_001),
            ("source_sites", |spec| spec.source_sites = 0),
            ("source_sites", |spec| spec.source_sites = 9),
            ("confounding", |spec| spec.dials.confounding = 2.0),
            ("population", |spec| spec.dials.population = f64::NAN),
            ("selection", |spec| spec.dials.selection = -0.1),
            ("severity", |spec| spec.severity = f64::INFINITY),
            ("contrast", |spec| {
                spec.anatomy = Anatomy::Chest;
                spec.contrast = Some(MrContrast::T1);
            }),
        ];
        for (expected, change) in cases {
            let mut spec = PhantomSpec::default();
            change(&mut spec);
            match spec.validate() {
                Err(PhantomError::InvalidSetting { key, .. }) => assert_eq!(key, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn accepts_the_ends_of_the_ranges() {
        for (size, sites, dial) in [(16, 1, 0.0), (512, 8, 1.0)] {
            let dials = Dials {
                population: dial,
                prevalence: dial,
                acquisition: dial,
                annotation: dial,
                manifestation: dial,
                selection: dial,
                confounding: dial,
            };
            let spec = PhantomSpec {
                size,
                source_sites: sites,
                patients_per_site: 1,
                dials,
                ..PhantomSpec::default()
            };
            assert!(spec.validate().is_ok(), "{spec:?}");
        }
    }
}
