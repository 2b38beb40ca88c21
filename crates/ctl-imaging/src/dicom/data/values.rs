//! Values of elements as text and numbers.

use super::set::{DataSet, Element};
use super::structure::bytes_at;
use dicom_core::{Tag, VR};

impl DataSet<'_> {
    /// The whole value as text, without the padding at its end; `None` where the element is absent
    /// or no text.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        let element = self.get(tag)?;
        is_text(self.vr(element)).then(|| self.charset().decode(element.value))
    }

    /// Text without spaces around it, `None` where it is absent or empty.
    pub(crate) fn word(&self, tag: Tag) -> Option<String> {
        let text = self.text(tag)?;
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// The values of a text between backslashes, without spaces around them; none where it is
    /// empty.
    pub(crate) fn words(&self, tag: Tag) -> Vec<String> {
        let text = self.word(tag).unwrap_or_default();
        if text.is_empty() {
            return Vec::new();
        }
        text.split('\\')
            .map(|word| word.trim().to_owned())
            .collect()
    }

    /// All values as numbers; `None` where the element is absent or one of them is no number.
    pub(crate) fn numbers(&self, tag: Tag) -> Option<Vec<f64>> {
        let element = self.get(tag)?;
        let vr = self.vr(element)?;
        match vr {
            VR::DS | VR::IS | VR::LO | VR::SH | VR::LT => self
                .words(tag)
                .iter()
                .map(|word| word.parse().ok())
                .collect(),
            VR::FL | VR::OF => Some(chunks(element, |bytes: [u8; 4]| {
                f32::from_bits(element.encoding.u32(bytes)).into()
            })),
            VR::FD | VR::OD => Some(chunks(element, |bytes: [u8; 8]| {
                f64::from_bits(element.encoding.u64(bytes))
            })),
            _ => {
                let integers = self.integers(tag)?;
                Some(integers.into_iter().map(|value| value as f64).collect())
            }
        }
    }

    /// The first value as a number.
    pub(crate) fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag)?.first().copied()
    }

    /// Exactly `N` finite numbers.
    pub(crate) fn finite<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let numbers = self.numbers(tag)?;
        let array: [f64; N] = numbers.try_into().ok()?;
        array.iter().all(|value| value.is_finite()).then_some(array)
    }

    /// All values as integers; `None` where the element is absent or one of them is no integer.
    pub(crate) fn integers(&self, tag: Tag) -> Option<Vec<i64>> {
        let element = self.get(tag)?;
        let encoding = element.encoding;
        Some(match self.vr(element)? {
            VR::US | VR::OW => chunks(element, |bytes| i64::from(encoding.u16(bytes))),
            VR::SS => chunks(element, |bytes| {
                i64::from(encoding.u16(bytes).cast_signed())
            }),
            VR::UL | VR::OL => chunks(element, |bytes| i64::from(encoding.u32(bytes))),
            VR::SL => chunks(element, |bytes| {
                i64::from(encoding.u32(bytes).cast_signed())
            }),
            VR::UV | VR::SV | VR::OV => chunks(element, |bytes| encoding.u64(bytes).cast_signed()),
            VR::IS | VR::DS => {
                let words = self.words(tag);
                words
                    .iter()
                    .map(|word| integer(word))
                    .collect::<Option<Vec<_>>>()?
            }
            _ => return None,
        })
    }

    /// The first value as an integer.
    pub(crate) fn integer(&self, tag: Tag) -> Option<i64> {
        self.integers(tag)?.first().copied()
    }
}

/// An integer, which may be written with a fraction of zero.
fn integer(word: &str) -> Option<i64> {
    word.parse().ok().or_else(|| {
        let number: f64 = word.parse().ok()?;
        (number.fract() == 0.0 && number.abs() < 2_f64.powi(53)).then_some(number as i64)
    })
}

fn chunks<const N: usize, T>(element: &Element<'_>, value: impl Fn([u8; N]) -> T) -> Vec<T> {
    (0..element.value.len() / N)
        .filter_map(|index| bytes_at(element.value, index * N).map(&value))
        .collect()
}

/// Whether values are text; those without a known representation are taken for it where they
/// could be (private elements of implicit files).
pub(crate) fn is_text(vr: Option<VR>) -> bool {
    matches!(
        vr,
        Some(
            VR::AE
                | VR::AS
                | VR::CS
                | VR::DA
                | VR::DS
                | VR::DT
                | VR::IS
                | VR::LO
                | VR::LT
                | VR::PN
                | VR::SH
                | VR::ST
                | VR::TM
                | VR::UC
                | VR::UI
                | VR::UR
                | VR::UT
        )
    )
}
