//! Bytes of a file as numbers and back, many at a time.

use super::header::Endianness;
use crate::volume::{Samples, Value};
use half::f16;
use num_complex::Complex;

/// A type whose values a file can hold.
pub(super) trait Element: Value + Default + PartialEq + 'static {
    /// Bytes of a value.
    const BYTES: usize;

    /// Numbers from bytes; `out` has one place for each value.
    fn decode<N>(bytes: &[u8], order: Endianness, out: &mut [N], convert: impl Fn(Self) -> N);

    /// Bytes of values; `out` has [`BYTES`](Self::BYTES) places for each.
    fn encode(values: &[Self], order: Endianness, out: &mut [u8]);

    /// Values as samples.
    fn samples(values: Vec<Self>) -> Samples;
}

macro_rules! element {
    ($($number:ty, $samples:ident;)+) => {$(
        impl Element for $number {
            const BYTES: usize = size_of::<$number>();

            fn decode<N>(
                bytes: &[u8],
                order: Endianness,
                out: &mut [N],
                convert: impl Fn(Self) -> N,
            ) {
                let values = out.iter_mut().zip(bytes.as_chunks().0);
                // Decided once, outside the loops, which then are vector code.
                match order {
                    Endianness::Little => {
                        values.for_each(|(out, &raw)| *out = convert(Self::from_le_bytes(raw)));
                    }
                    Endianness::Big => {
                        values.for_each(|(out, &raw)| *out = convert(Self::from_be_bytes(raw)));
                    }
                }
            }

            fn encode(values: &[Self], order: Endianness, out: &mut [u8]) {
                let values = out.as_chunks_mut().0.iter_mut().zip(values);
                match order {
                    Endianness::Little => {
                        values.for_each(|(out, value)| *out = value.to_le_bytes());
                    }
                    Endianness::Big => {
                        values.for_each(|(out, value)| *out = value.to_be_bytes());
                    }
                }
            }

            fn samples(values: Vec<Self>) -> Samples {
                Samples::$samples(values)
            }
        }
    )+};
}

element! {
    u8, U8;
    i8, I8;
    u16, U16;
    i16, I16;
    u32, U32;
    i32, I32;
    u64, U64;
    i64, I64;
    f16, F16;
    f32, F32;
    f64, F64;
}

macro_rules! complex_element {
    ($($part:ty, $samples:ident;)+) => {$(
        impl Element for Complex<$part> {
            const BYTES: usize = size_of::<Complex<$part>>();

            fn decode<N>(
                bytes: &[u8],
                order: Endianness,
                out: &mut [N],
                convert: impl Fn(Self) -> N,
            ) {
                let part = match order {
                    Endianness::Little => <$part>::from_le_bytes,
                    Endianness::Big => <$part>::from_be_bytes,
                };
                let values = bytes.as_chunks().0.as_chunks().0;
                for (out, &[re, im]) in out.iter_mut().zip(values) {
                    *out = convert(Complex::new(part(re), part(im)));
                }
            }

            fn encode(values: &[Self], order: Endianness, out: &mut [u8]) {
                let part = match order {
                    Endianness::Little => <$part>::to_le_bytes,
                    Endianness::Big => <$part>::to_be_bytes,
                };
                let places = out.as_chunks_mut().0.as_chunks_mut().0;
                for ([re, im], value) in places.iter_mut().zip(values) {
                    *re = part(value.re);
                    *im = part(value.im);
                }
            }

            fn samples(values: Vec<Self>) -> Samples {
                Samples::$samples(values)
            }
        }
    )+};
}

complex_element! {
    f32, Complex64;
    f64, Complex128;
}

/// Calls `$body` with `$element` standing for the type of a [`SampleType`](crate::volume::SampleType).
macro_rules! with_element {
    ($kind:expr, $element:ident => $body:expr) => {{
        macro_rules! call {
            ($type:ty) => {{
                type $element = $type;
                $body
            }};
        }
        match $kind {
            $crate::volume::SampleType::UInt8 => call!(u8),
            $crate::volume::SampleType::Int8 => call!(i8),
            $crate::volume::SampleType::UInt16 => call!(u16),
            $crate::volume::SampleType::Int16 => call!(i16),
            $crate::volume::SampleType::UInt32 => call!(u32),
            $crate::volume::SampleType::Int32 => call!(i32),
            $crate::volume::SampleType::UInt64 => call!(u64),
            $crate::volume::SampleType::Int64 => call!(i64),
            $crate::volume::SampleType::Float16 => call!(half::f16),
            $crate::volume::SampleType::Float32 => call!(f32),
            $crate::volume::SampleType::Float64 => call!(f64),
            $crate::volume::SampleType::Complex64 => call!(num_complex::Complex<f32>),
            $crate::volume::SampleType::Complex128 => call!(num_complex::Complex<f64>),
        }
    }};
}

pub(super) use with_element;

/// Components that lie plane after plane, put together voxel by voxel.
pub(super) fn interleaved<T: Copy + Default>(planes: &[T], components: usize) -> Vec<T> {
    let voxels = planes.len() / components;
    let mut together = vec![T::default(); planes.len()];
    for (component, plane) in planes.chunks_exact(voxels).enumerate() {
        for (voxel, &value) in together.chunks_exact_mut(components).zip(plane) {
            voxel[component] = value;
        }
    }
    together
}
