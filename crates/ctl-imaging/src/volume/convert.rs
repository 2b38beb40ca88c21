//! Values in another type, where double precision would not carry them over.

use super::{SampleType, Samples, Scaling, Value, Volume, for_any_type};
use crate::Result;
use crate::error::ImagingError;
use num_complex::Complex;

/// Samples of another type that hold the scaled numbers, unscaled.
///
/// Whole numbers go from integers to integers directly, so that those of 64 bits keep all digits;
/// all others by way of double precision.
pub(super) fn converted(volume: &Volume, kind: SampleType) -> Result<Samples> {
    let (samples, scaling) = (volume.samples(), volume.scaling());
    let stored = samples.sample_type();
    match samples {
        _ if stored.is_complex() && !kind.is_complex() => Err(ImagingError::argument(
            "type to store in",
            "a complex one for a complex image",
            kind.name(),
        )),
        Samples::Complex64(values) => complex(values, scaling, kind),
        Samples::Complex128(values) => complex(values, scaling, kind),
        _ if scaling == Scaling::NONE && stored.is_integer() && kind.is_integer() => {
            whole(samples, kind)
        }
        _ => Samples::from_f64(volume.to_f64(), kind),
    }
}

/// Integers in another type of integers.
fn whole(samples: &Samples, kind: SampleType) -> Result<Samples> {
    let wholes: Vec<i128> =
        for_any_type!(samples, values => values.iter().map(|&value| value.to_whole()).collect());
    macro_rules! held {
        ($($known:ident, $samples:ident, $number:ty;)+) => {
            match kind {
                $(SampleType::$known => {
                    let held = wholes.iter().map(|&whole| <$number>::try_from(whole).map_err(|_| whole));
                    held.collect::<std::result::Result<_, _>>().map(Samples::$samples)
                })+
                _ => return Samples::from_f64(wholes.iter().map(|&whole| whole as f64), kind),
            }
        };
    }
    let held = held! {
        UInt8, U8, u8;
        Int8, I8, i8;
        UInt16, U16, u16;
        Int16, I16, i16;
        UInt32, U32, u32;
        Int32, I32, i32;
        UInt64, U64, u64;
        Int64, I64, i64;
    };
    held.map_err(|stray| kind.refuses(stray))
}

/// Complex numbers, scaled in both parts, in a complex type.
fn complex<T: Copy + Into<f64>>(
    values: &[Complex<T>],
    scaling: Scaling,
    kind: SampleType,
) -> Result<Samples> {
    let scaled = |value: &Complex<T>| {
        // The intercept is a real number.
        let (re, im): (f64, f64) = (value.re.into(), value.im.into());
        let im = if scaling == Scaling::NONE {
            im
        } else {
            scaling.slope * im
        };
        let parts = [scaling.apply(re), im];
        match parts.iter().find(|&&part| kind.holds(part).is_none()) {
            Some(stray) => Err(kind.refuses(stray)),
            None => Ok(Complex::new(parts[0], parts[1])),
        }
    };
    let scaled = values.iter().map(scaled);
    if kind == SampleType::Complex64 {
        let single = |value: Complex<f64>| Complex::new(value.re as f32, value.im as f32);
        let all = scaled.map(|value| value.map(single));
        Ok(Samples::Complex64(all.collect::<Result<_>>()?))
    } else {
        Ok(Samples::Complex128(scaled.collect::<Result<_>>()?))
    }
}
