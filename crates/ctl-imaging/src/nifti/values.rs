//! Values of a volume in the form in which a file stores them.

use super::elements::{Element, with_element};
use super::header::{Endianness, Version};
use super::options::Encoding;
use super::source::CHUNK;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{SampleType, Scaling, Value, Volume, for_any_type};
use rayon::prelude::*;
use std::borrow::Cow;
use std::io::{self, Write};

/// What is stored of a volume.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    volume: Cow<'a, Volume>,
    pub(super) kind: SampleType,
    /// What the header says of them.
    pub(super) scaling: Scaling,
    /// Stored values of the volume themselves, not numbers computed from them.
    verbatim: bool,
}

impl<'a> Stored<'a> {
    pub(super) fn new(volume: &'a Volume, encoding: Encoding, version: Version) -> Result<Self> {
        let (own, scaling) = (volume.sample_type(), volume.scaling());
        let kept = |kind, verbatim| {
            Ok(Self {
                volume: Cow::Borrowed(volume),
                kind,
                scaling: representable(scaling, version)?,
                verbatim,
            })
        };
        match encoding {
            Encoding::Keep if own == SampleType::Float16 && scaling == Scaling::NONE => {
                kept(SampleType::Float32, false)
            }
            // Scaled halves are stored as numbers, of which single precision holds what halves do.
            Encoding::Keep if own == SampleType::Float16 => {
                Self::converted(volume, SampleType::Float32, Scaling::NONE)
            }
            Encoding::Keep => kept(own, true),
            Encoding::Unscaled(kind) if kind == own && scaling == Scaling::NONE => kept(own, true),
            Encoding::Unscaled(kind) => Self::converted(volume, kind, Scaling::NONE),
            Encoding::Scaled(kind, wanted) => {
                Self::converted(volume, kind, representable(wanted, version)?)
            }
            Encoding::Automatic(kind) => Self::automatic(volume, kind, version),
        }
    }

    fn converted(volume: &'a Volume, kind: SampleType, scaling: Scaling) -> Result<Self> {
        if kind == SampleType::Float16 {
            return Err(ImagingError::argument(
                "type to store in",
                "one that NIfTI has",
                kind.name(),
            ));
        }
        let own = volume.sample_type();
        if own.is_complex() && (!kind.is_complex() || scaling != Scaling::NONE) {
            return Err(ImagingError::argument(
                "encoding of a complex image",
                "a complex type, unscaled",
                format!("{kind} with {scaling:?}"),
            ));
        }
        let unscaled = scaling == Scaling::NONE && volume.scaling() == Scaling::NONE;
        if own.is_complex() || (unscaled && own.is_integer() && kind.is_integer()) {
            // Both parts, and all digits of 64 bits, which the numbers below do not have.
            return Ok(Self {
                volume: Cow::Owned(volume.to_type(kind)?),
                kind,
                scaling,
                verbatim: true,
            });
        }
        check_range(&Range::of(volume), kind, scaling)?;
        Ok(Self {
            volume: Cow::Borrowed(volume),
            kind,
            scaling,
            verbatim: false,
        })
    }

    fn automatic(volume: &'a Volume, kind: SampleType, version: Version) -> Result<Self> {
        let Some((low, high)) = kind.integer_range() else {
            return Self::new(volume, Encoding::Unscaled(kind), version);
        };
        let numbers = Range::of(volume);
        let ends = [numbers.low, numbers.high];
        let holds = ends.iter().all(|&end| kind.holds(end).is_some()) && numbers.are_whole;
        // What is not finite, or complex, is refused there.
        if holds || !numbers.is_finite() || volume.sample_type().is_complex() {
            return Self::new(volume, Encoding::Unscaled(kind), version);
        }
        Self::converted(volume, kind, covering(&numbers, (low, high), version)?)
    }

    /// Writes the values in their order, or plane after plane of each component.
    pub(super) fn write(
        &self,
        order: Endianness,
        planes: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let components = if planes { self.volume.components() } else { 1 };
        let samples = self.volume.samples();
        if self.verbatim {
            return for_any_type!(samples, values => {
                put_chunks(values, components, |chunk, bytes| encode(chunk, order, bytes), out)
            });
        }
        let (own, target) = (self.volume.scaling(), self.scaling);
        let mut numbers = Vec::new();
        for_any_type!(samples, values => put_chunks(values, components, |chunk, bytes| {
            let number = |&value| stored(own.apply(Value::to_f64(value)), target);
            numbers.clear();
            numbers.extend(chunk.iter().map(number));
            encode_numbers(&numbers, self.kind, order, bytes);
        }, out))
    }
}

/// Checks that a type has what will be stored of numbers.
fn check_range(numbers: &Range, kind: SampleType, scaling: Scaling) -> Result<()> {
    let ends = if kind.is_integer() {
        [numbers.low, numbers.high]
    } else {
        // What is not finite stays so.
        [numbers.least, numbers.most]
    };
    let fits = |end: &f64| kind.holds(stored(*end, scaling)).is_some();
    let is_number = !kind.is_integer() || !numbers.has_nan;
    if is_number && ends.iter().all(fits) {
        return Ok(());
    }
    let found = if is_number {
        format!("{} to {}", ends[0], ends[1])
    } else {
        "NaN".to_owned()
    };
    let expected = format!("numbers that {kind} can hold with {scaling:?}");
    Err(ImagingError::argument("values to store", expected, found))
}

/// The stored value of a number.
fn stored(number: f64, scaling: Scaling) -> f64 {
    if scaling == Scaling::NONE {
        number
    } else {
        (number - scaling.intercept) / scaling.slope
    }
}

/// A scaling as a header of this version holds it.
fn representable(scaling: Scaling, version: Version) -> Result<Scaling> {
    let held = match version {
        Version::One => Scaling {
            slope: f64::from(scaling.slope as f32),
            intercept: f64::from(scaling.intercept as f32),
        },
        Version::Two => scaling,
    };
    if held.slope != 0.0 && held.slope.is_finite() && held.intercept.is_finite() {
        return Ok(held);
    }
    let expected = match version {
        Version::One => "a slope not 0, and finite, in single precision (NIfTI-2 has double)",
        Version::Two => "a slope not 0, and finite",
    };
    let found = format!("slope {}, intercept {}", scaling.slope, scaling.intercept);
    Err(ImagingError::argument("scaling", expected, found))
}

/// The finest scaling by which a type covers the numbers.
///
/// Unsigned types start at the smallest number, signed ones have the middle at 0. The intercept is
/// rounded first, downwards, then the slope upwards, so that the ends stay within the type.
fn covering(numbers: &Range, (low, high): (f64, f64), version: Version) -> Result<Scaling> {
    let start = if low == 0.0 {
        numbers.low
    } else {
        f64::midpoint(numbers.low, numbers.high)
    };
    let intercept = match version {
        Version::One => f64::from(not_above(start as f32, start)),
        Version::Two => start,
    };
    let above = (numbers.high - intercept) / high;
    let below = if low == 0.0 {
        0.0
    } else {
        (numbers.low - intercept) / low
    };
    let slope = above.max(below);
    if slope == 0.0 {
        // One number, which the intercept is.
        return representable(
            Scaling {
                slope: 1.0,
                intercept,
            },
            version,
        );
    }
    let slope = match version {
        Version::One => f64::from(not_below(slope as f32, slope)),
        // Rounding of the division above could leave the ends half a unit outside.
        Version::Two => slope.next_up(),
    };
    representable(Scaling { slope, intercept }, version)
}

fn not_above(rounded: f32, exact: f64) -> f32 {
    if f64::from(rounded) > exact {
        rounded.next_down()
    } else {
        rounded
    }
}

fn not_below(rounded: f32, exact: f64) -> f32 {
    if f64::from(rounded) < exact {
        rounded.next_up()
    } else {
        rounded
    }
}

/// What numbers a volume holds.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
    /// The smallest and the largest of the finite ones.
    least: f64,
    most: f64,
    has_nan: bool,
    are_whole: bool,
}

impl Range {
    const NONE: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        least: f64::INFINITY,
        most: f64::NEG_INFINITY,
        has_nan: false,
        are_whole: true,
    };

    fn of(volume: &Volume) -> Self {
        let scaling = volume.scaling();
        for_any_type!(volume.samples(), values => Self::of_all(values.len(), &|part| {
            let numbers = values[part].iter().map(|&value| scaling.apply(Value::to_f64(value)));
            numbers.fold(Self::NONE, Self::with)
        }))
    }

    /// The range of so many numbers, part by part.
    fn of_all(count: usize, of_part: &(dyn Fn(std::ops::Range<usize>) -> Self + Sync)) -> Self {
        (0..count.div_ceil(CHUNK))
            .into_par_iter()
            .map(|part| of_part(part * CHUNK..count.min((part + 1) * CHUNK)))
            .reduce(|| Self::NONE, Self::joined)
    }

    fn with(self, number: f64) -> Self {
        let finite = |other| if number.is_finite() { number } else { other };
        Self {
            low: self.low.min(number),
            high: self.high.max(number),
            least: self.least.min(finite(self.least)),
            most: self.most.max(finite(self.most)),
            has_nan: self.has_nan | number.is_nan(),
            are_whole: self.are_whole & (number.fract() == 0.0),
        }
    }

    fn joined(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            has_nan: self.has_nan | other.has_nan,
            are_whole: self.are_whole & other.are_whole,
        }
    }

    fn is_finite(&self) -> bool {
        !self.has_nan && self.low.is_finite() && self.high.is_finite()
    }
}

fn encode<T: Element>(chunk: &[T], order: Endianness, bytes: &mut Vec<u8>) {
    bytes.resize(chunk.len() * T::BYTES, 0);
    T::encode(chunk, order, bytes);
}

/// Bytes of real numbers in a type, rounded to whole ones in integer types.
fn encode_numbers(numbers: &[f64], kind: SampleType, order: Endianness, bytes: &mut Vec<u8>) {
    let is_integer = kind.is_integer();
    with_element!(kind, T => {
        let value = |&number: &f64| {
            <T as Value>::from_f64(if is_integer { number.round() } else { number })
        };
        let values: Vec<T> = numbers.iter().map(value).collect();
        encode(&values, order, bytes);
    });
}

/// Writes values some at a time: all in order, or those of the first component first.
fn put_chunks<T: Element>(
    values: &[T],
    components: usize,
    mut encode: impl FnMut(&[T], &mut Vec<u8>),
    out: &mut dyn Write,
) -> io::Result<()> {
    let step = CHUNK / T::BYTES;
    let mut bytes = Vec::new();
    if components == 1 {
        return values.chunks(step).try_for_each(|chunk| {
            encode(chunk, &mut bytes);
            out.write_all(&bytes)
        });
    }
    let mut plane = Vec::new();
    for component in 0..components {
        for chunk in values.chunks(step * components) {
            plane.clear();
            plane.extend(chunk.iter().skip(component).step_by(components));
            encode(&plane, &mut bytes);
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}
