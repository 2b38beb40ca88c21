//! What cohort of digits to make.

use serde::{Deserialize, Serialize};

use super::DigitError;

/// Most images that a site can be limited to: all of MNIST.
const MAX_IMAGES: usize = 70_000;

/// A cohort of digits.
///
/// Unknown keys are refused when it is read; all but `kind` have a default.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::{DigitKind, DigitSpec, ImageCount};
///
/// let spec: DigitSpec = serde_json::from_str(r#"{ "kind": "colored-irm", "images": 500 }"#)?;
/// assert_eq!(spec.images, ImageCount::AtMost(500));
/// let spec: DigitSpec = serde_json::from_str(r#"{ "kind": "morpho", "images": "all" }"#)?;
/// assert_eq!(spec, DigitSpec::new(DigitKind::Morpho));
/// assert!(serde_json::from_str::<DigitSpec>(r#"{ "kind": "morpho", "digits": 3 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigitSpec {
    /// The protocol.
    pub kind: DigitKind,
    /// Images of each site, 1 to 70 000 or `"all"`. A smaller cohort is the beginning of a larger
    /// one, site by site; a site that has fewer digits keeps them all.
    #[serde(default)]
    pub images: ImageCount,
    /// Master seed: the same seed gives the same bytes.
    #[serde(default)]
    pub seed: u64,
    /// How a rotated digit is sampled; for [`DigitKind::Rotated`] alone.
    #[serde(default)]
    pub interpolation: Interpolation,
}

impl DigitSpec {
    /// All images of a protocol, seed 0.
    pub fn new(kind: DigitKind) -> Self {
        Self {
            kind,
            images: ImageCount::All,
            seed: 0,
            interpolation: Interpolation::Bilinear,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`DigitError::Setting`] names the first setting that is out of range, or an interpolation
    /// for a cohort in which nothing is rotated.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_phantom::digits::{DigitKind, DigitSpec, ImageCount};
    ///
    /// let spec = DigitSpec { images: ImageCount::AtMost(0), ..DigitSpec::new(DigitKind::Rotated) };
    /// assert_eq!(
    ///     spec.validate().unwrap_err().to_string(),
    ///     "setting `images` is 0, allowed is a whole number from 1 to 70000 or \"all\""
    /// );
    /// ```
    pub fn validate(&self) -> Result<(), DigitError> {
        if let ImageCount::AtMost(count) = self.images
            && !(1..=MAX_IMAGES).contains(&count)
        {
            return Err(DigitError::Setting {
                key: "images",
                value: count.to_string(),
                allowed: "a whole number from 1 to 70000 or \"all\"",
            });
        }
        if self.kind != DigitKind::Rotated && self.interpolation != Interpolation::Bilinear {
            return Err(DigitError::Setting {
                key: "interpolation",
                value: "bicubic".to_owned(),
                allowed: "left out unless the kind is rotated",
            });
        }
        Ok(())
    }
}

/// The protocol of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigitKind {
    /// `MorphoMNIST` with the generator of Pawlowski, Castro & Glocker (2020): thickness causes
    /// intensity, and both the image. Sites are MNIST's training and test digits.
    Morpho,
    /// `ColoredMNIST` of Arjovsky et al. (2019): two training environments and a test environment
    /// from MNIST's training digits, 14 × 14 pixels.
    ColoredIrm,
    /// `ColoredMNIST` of `DomainBed` (Gulrajani & Lopez-Paz 2021): three environments from all digits,
    /// 28 × 28 pixels.
    ColoredDomainbed,
    /// `RotatedMNIST` of `DomainBed`: six environments from all digits.
    Rotated,
}

impl DigitKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Morpho,
        Self::ColoredIrm,
        Self::ColoredDomainbed,
        Self::Rotated,
    ];

    /// The name in a specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Morpho => "morpho",
            Self::ColoredIrm => "colored-irm",
            Self::ColoredDomainbed => "colored-domainbed",
            Self::Rotated => "rotated",
        }
    }
}

/// How many images a site has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CountOrWord", into = "CountOrWord")]
pub enum ImageCount {
    /// As many as the protocol gives it, written `"all"`.
    #[default]
    All,
    /// The first so many, fewer where there are not as many.
    AtMost(usize),
}

impl ImageCount {
    /// The number of images to keep of those there are.
    pub(super) fn of(self, available: usize) -> usize {
        match self {
            Self::All => available,
            Self::AtMost(count) => count.min(available),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CountOrWord {
    Count(usize),
    Word(String),
}

impl TryFrom<CountOrWord> for ImageCount {
    type Error = String;

    fn try_from(value: CountOrWord) -> Result<Self, String> {
        match value {
            CountOrWord::Count(count) => Ok(Self::AtMost(count)),
            CountOrWord::Word(word) if word == "all" => Ok(Self::All),
            CountOrWord::Word(word) => Err(format!(
                "images: expected a whole number or \"all\", found \"{word}\""
            )),
        }
    }
}

impl From<ImageCount> for CountOrWord {
    fn from(count: ImageCount) -> Self {
        match count {
            ImageCount::All => Self::Word("all".to_owned()),
            ImageCount::AtMost(count) => Self::Count(count),
        }
    }
}

/// How a picture is sampled between its pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// By the four nearest pixels, as `DomainBed` rotates now.
    #[default]
    Bilinear,
    /// By the sixteen nearest pixels, as `DomainBed` rotated when its tables were made.
    Bicubic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_written_as_it_is_read() {
        let kinds = [
            DigitKind::Morpho,
            DigitKind::ColoredIrm,
            DigitKind::ColoredDomainbed,
            DigitKind::Rotated,
        ];
        for kind in kinds {
            for images in [ImageCount::All, ImageCount::AtMost(12)] {
                let spec = DigitSpec {
                    images,
                    seed: 3,
                    ..DigitSpec::new(kind)
                };
                let text = serde_json::to_string(&spec).unwrap();
                assert!(
                    text.contains(&format!("\"kind\":\"{}\"", kind.name())),
                    "{text}"
                );
                assert_eq!(serde_json::from_str::<DigitSpec>(&text).unwrap(), spec);
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = [
            r#"{ "images": 5 }"#,
            r#"{ "kind": "moving" }"#,
            r#"{ "kind": "morpho", "images": "some" }"#,
            r#"{ "kind": "morpho", "images": -1 }"#,
            r#"{ "kind": "rotated", "interpolation": "nearest" }"#,
        ];
        for text in refused {
            assert!(serde_json::from_str::<DigitSpec>(text).is_err(), "{text}");
        }
        let spec = DigitSpec {
            images: ImageCount::AtMost(70_001),
            ..DigitSpec::new(DigitKind::Morpho)
        };
        assert!(spec.validate().is_err());
        let bicubic = |kind| DigitSpec {
            interpolation: Interpolation::Bicubic,
            ..DigitSpec::new(kind)
        };
        assert!(bicubic(DigitKind::Morpho).validate().is_err());
        assert!(bicubic(DigitKind::Rotated).validate().is_ok());
    }
}
