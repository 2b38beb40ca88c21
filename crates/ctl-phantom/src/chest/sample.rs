//! One simulated patient and film.

use serde::{Deserialize, Serialize};

use super::noise::ChestNoise;
use crate::PhantomError;

/// Greatest gain, gamma, noise level and blur width that a film may be taken with.
const LARGEST_SETTING: f64 = 100.0;

/// One patient with one film, and everything that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChestSample {
    /// Unique name, such as `site-a-00017`; also the image's file stem.
    pub id: String,
    /// The patient; every patient has one film.
    pub patient: String,
    /// Index into [`crate::ChestCohort::sites`].
    pub site: usize,
    /// What is known about the patient besides the film.
    pub attributes: ChestAttributes,
    /// Whether the patient has the disease.
    pub label: bool,
    /// Severity of the disease, 0 to 1; 0 without the disease.
    pub severity: f64,
    /// The patient's body and how it stands in the film.
    pub anatomy: ChestAnatomy,
    /// The disease as it shows in the lungs; empty without the disease.
    pub opacities: Vec<Opacity>,
    /// How the film was taken and what lies on it.
    pub acquisition: ChestAcquisition,
    /// The exogenous noises from which all of the above follows, given the site.
    pub noise: ChestNoise,
    /// The film, `[H, W]` row by row, 0 (black) to 1 (white).
    pub image: Vec<f32>,
}

/// Attributes of a patient that a model may be given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChestAttributes {
    /// Age in years, 18 to 95.
    pub age: f64,
    /// Sex, which changes the anatomy.
    pub sex: Sex,
}

/// Sex of a patient, as the anatomy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Written `F` in a manifest.
    Female,
    /// Written `M` in a manifest.
    Male,
}

impl Sex {
    /// The letter that stands for it in a manifest.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ctl_phantom::Sex::Female.letter(), 'F');
    /// ```
    pub fn letter(self) -> char {
        match self {
            Self::Female => 'F',
            Self::Male => 'M',
        }
    }
}

/// Measures of a patient's chest and of its position in the film.
///
/// Lengths are in half image widths: the film spans -1 to 1 in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChestAnatomy {
    /// From the midline to the inner chest wall, about 0.7.
    pub thorax_width: f64,
    /// From a lung's apex to its costophrenic angle, about 1.3.
    pub lung_height: f64,
    /// From the midline to the skin, about 0.93.
    pub body_width: f64,
    /// Height of the diaphragm's domes over the costophrenic angles, about 0.2.
    pub dome_rise: f64,
    /// How much higher the right dome stands than the left, about 0.05.
    pub dome_asymmetry: f64,
    /// Width of the heart over inner width of the chest, about 0.48.
    pub heart_ratio: f64,
    /// Radius of the aortic knob, about 0.08.
    pub aorta: f64,
    /// Contrast of the ribs, about 1.
    pub rib_contrast: f64,
    /// From one posterior rib to the next, about 0.135.
    pub rib_spacing: f64,
    /// Contrast of breast tissue; 0 for men.
    pub breast: f64,
    /// How much of the rays an aerated lung lets through, about 0.7.
    pub aeration: f64,
    /// Contrast of the lungs' vessels, about 1.
    pub vessels: f64,
    /// Contrast of the air in the stomach; 0 where there is none.
    pub gastric_air: f64,
    /// Rotation in the film in radians, about 0.
    pub rotation: f64,
    /// Shift to the right.
    pub shift_x: f64,
    /// Shift downwards.
    pub shift_y: f64,
    /// Magnification, about 1.
    pub zoom: f64,
}

/// A soft opacity: a patch of denser lung.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opacity {
    /// Whether it lies in the patient's left lung, which is on the right of the film.
    pub left_lung: bool,
    /// From the apex (0) to the costophrenic angle (1).
    pub along: f64,
    /// From the medial (0) to the lateral (1) border of the lung.
    pub across: f64,
    /// Standard deviation of its Gaussian outline, in half image widths.
    pub radius: f64,
    /// Ratio of its axes, at least 1.
    pub elongation: f64,
    /// Direction of its long axis in radians.
    pub angle: f64,
    /// Attenuation that it adds at its centre.
    pub contrast: f64,
}

/// How a film was taken, and what lies on it without being part of the disease.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChestAcquisition {
    /// Factor on the grey values, about 1.
    pub gain: f64,
    /// Exponent on the grey values, about 1; more than 1 darkens.
    pub gamma: f64,
    /// Standard deviation of the noise in mid-grey, in grey values from 0 to 1.
    pub noise_sd: f64,
    /// Standard deviation of the blur, in percent of the image's width.
    pub blur_sigma: f64,
    /// Whether a tube and an electrode with its wire lie on the chest.
    pub tube: bool,
    /// Whether a lead letter lies in an upper corner.
    pub marker: bool,
}

impl ChestAcquisition {
    /// The reference scanner, without tube and marker.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::ChestAcquisition;
    ///
    /// assert_eq!(ChestAcquisition::NEUTRAL.gain, 1.0);
    /// assert!(!ChestAcquisition::NEUTRAL.tube);
    /// ```
    pub const NEUTRAL: Self = Self {
        gain: 1.0,
        gamma: 1.0,
        noise_sd: 0.02,
        blur_sigma: 0.8,
        tube: false,
        marker: false,
    };

    /// Checks settings that a caller made up; those of a sample are always within range.
    pub(crate) fn validate(&self) -> Result<(), PhantomError> {
        let settings = [
            ("gain", self.gain),
            ("gamma", self.gamma),
            ("noise_sd", self.noise_sd),
            ("blur_sigma", self.blur_sigma),
        ];
        for (key, value) in settings {
            if !(0.0..=LARGEST_SETTING).contains(&value) {
                return Err(PhantomError::InvalidSetting {
                    key,
                    value: value.to_string(),
                    allowed: "a number from 0 to 100",
                });
            }
        }
        Ok(())
    }
}
