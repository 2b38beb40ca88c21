//! Values of a volume in the type in which a file keeps them.

use crate::Result;
use crate::error::ImagingError;
use half::f16;
use num_complex::Complex;
use num_traits::AsPrimitive;

/// Calls `$body` with the vector of any [`Samples`] bound to `$values`.
macro_rules! for_any_type {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            $crate::volume::Samples::U8($values) => $body,
            $crate::volume::Samples::I8($values) => $body,
            $crate::volume::Samples::U16($values) => $body,
            $crate::volume::Samples::I16($values) => $body,
            $crate::volume::Samples::U32($values) => $body,
            $crate::volume::Samples::I32($values) => $body,
            $crate::volume::Samples::U64($values) => $body,
            $crate::volume::Samples::I64($values) => $body,
            $crate::volume::Samples::F16($values) => $body,
            $crate::volume::Samples::F32($values) => $body,
            $crate::volume::Samples::F64($values) => $body,
            $crate::volume::Samples::Complex64($values) => $body,
            $crate::volume::Samples::Complex128($values) => $body,
        }
    };
}

/// Calls `$body` as [`for_any_type`] does and wraps the vector that it returns in the same type.
macro_rules! map_any_type {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            $crate::volume::Samples::U8($values) => $crate::volume::Samples::U8($body),
            $crate::volume::Samples::I8($values) => $crate::volume::Samples::I8($body),
            $crate::volume::Samples::U16($values) => $crate::volume::Samples::U16($body),
            $crate::volume::Samples::I16($values) => $crate::volume::Samples::I16($body),
            $crate::volume::Samples::U32($values) => $crate::volume::Samples::U32($body),
            $crate::volume::Samples::I32($values) => $crate::volume::Samples::I32($body),
            $crate::volume::Samples::U64($values) => $crate::volume::Samples::U64($body),
            $crate::volume::Samples::I64($values) => $crate::volume::Samples::I64($body),
            $crate::volume::Samples::F16($values) => $crate::volume::Samples::F16($body),
            $crate::volume::Samples::F32($values) => $crate::volume::Samples::F32($body),
            $crate::volume::Samples::F64($values) => $crate::volume::Samples::F64($body),
            $crate::volume::Samples::Complex64($values) => {
                $crate::volume::Samples::Complex64($body)
            }
            $crate::volume::Samples::Complex128($values) => {
                $crate::volume::Samples::Complex128($body)
            }
        }
    };
}

pub(crate) use {for_any_type, map_any_type};

/// The type of a stored value, named as `NumPy` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleType {
    /// Unsigned, 8 bits.
    UInt8,
    /// Signed, 8 bits.
    Int8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Signed, 16 bits.
    Int16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Signed, 32 bits.
    Int32,
    /// Unsigned, 64 bits.
    UInt64,
    /// Signed, 64 bits.
    Int64,
    /// IEEE half precision.
    Float16,
    /// IEEE single precision.
    Float32,
    /// IEEE double precision.
    Float64,
    /// Two single-precision numbers, real and imaginary part.
    Complex64,
    /// Two double-precision numbers, real and imaginary part.
    Complex128,
}

impl SampleType {
    /// All types, integers first.
    pub const ALL: [Self; 13] = [
        Self::UInt8,
        Self::Int8,
        Self::UInt16,
        Self::Int16,
        Self::UInt32,
        Self::Int32,
        Self::UInt64,
        Self::Int64,
        Self::Float16,
        Self::Float32,
        Self::Float64,
        Self::Complex64,
        Self::Complex128,
    ];

    /// `NumPy`'s name, such as `int16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UInt8 => "uint8",
            Self::Int8 => "int8",
            Self::UInt16 => "uint16",
            Self::Int16 => "int16",
            Self::UInt32 => "uint32",
            Self::Int32 => "int32",
            Self::UInt64 => "uint64",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
        }
    }

    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::UInt16 | Self::Int16 | Self::Float16 => 2,
            Self::UInt32 | Self::Int32 | Self::Float32 => 4,
            Self::UInt64 | Self::Int64 | Self::Float64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// Whether values are whole numbers.
    pub fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// Whether values have an imaginary part.
    pub fn is_complex(self) -> bool {
        matches!(self, Self::Complex64 | Self::Complex128)
    }

    /// Smallest and largest value of an integer type, rounded to double precision at 64 bits.
    pub fn integer_range(self) -> Option<(f64, f64)> {
        Some(match self {
            Self::UInt8 => (0.0, u8::MAX.into()),
            Self::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Self::UInt16 => (0.0, u16::MAX.into()),
            Self::Int16 => (i16::MIN.into(), i16::MAX.into()),
            Self::UInt32 => (0.0, u32::MAX.into()),
            Self::Int32 => (i32::MIN.into(), i32::MAX.into()),
            Self::UInt64 => (0.0, u64::MAX as f64),
            Self::Int64 => (i64::MIN as f64, i64::MAX as f64),
            _ => return None,
        })
    }
}

impl SampleType {
    /// What is stored for a number: the closest whole one for integers, itself otherwise; `None`
    /// where the type has no such number.
    pub(crate) fn holds(self, number: f64) -> Option<f64> {
        /// Finite numbers from here on become infinite when they are rounded.
        const HALF_END: f64 = 65_520.0;
        let single_end = f64::from(f32::MAX) * (1.0 + f64::from(f32::EPSILON) / 4.0);
        if let Some((low, high)) = self.integer_range() {
            let whole = number.round();
            // The largest 64-bit integers are not numbers of double precision: the next one is 2⁶³
            // or 2⁶⁴, which the types do not have.
            let below = match self {
                Self::UInt64 | Self::Int64 => whole < high,
                _ => whole <= high,
            };
            return (low <= whole && below).then_some(whole);
        }
        let end = match self {
            Self::Float16 => HALF_END,
            Self::Float32 | Self::Complex64 => single_end,
            _ => f64::INFINITY,
        };
        (!number.is_finite() || number.abs() < end).then_some(number)
    }

    /// The error of a number that the type does not have.
    pub(super) fn refuses(self, found: impl std::fmt::Display) -> ImagingError {
        let expected = match self.integer_range() {
            Some((low, high)) => format!("numbers from {low} to {high} for {self}"),
            None => format!("numbers that {self} has"),
        };
        ImagingError::argument("values to store", expected, found.to_string())
    }
}

impl std::fmt::Display for SampleType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Stored values, of one type.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is named like its SampleType")]
pub enum Samples {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Complex64(Vec<Complex<f32>>),
    Complex128(Vec<Complex<f64>>),
}

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        for_any_type!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn sample_type(&self) -> SampleType {
        match self {
            Self::U8(_) => SampleType::UInt8,
            Self::I8(_) => SampleType::Int8,
            Self::U16(_) => SampleType::UInt16,
            Self::I16(_) => SampleType::Int16,
            Self::U32(_) => SampleType::UInt32,
            Self::I32(_) => SampleType::Int32,
            Self::U64(_) => SampleType::UInt64,
            Self::I64(_) => SampleType::Int64,
            Self::F16(_) => SampleType::Float16,
            Self::F32(_) => SampleType::Float32,
            Self::F64(_) => SampleType::Float64,
            Self::Complex64(_) => SampleType::Complex64,
            Self::Complex128(_) => SampleType::Complex128,
        }
    }

    /// One value in double precision; of a complex value its real part, `None` beyond the end.
    pub fn get(&self, index: usize) -> Option<f64> {
        for_any_type!(self, values => values.get(index).map(|&value| Value::to_f64(value)))
    }

    /// Real numbers as samples of another type, rounded to the nearest whole number for integers.
    ///
    /// # Arguments
    /// * `values`: the numbers.
    /// * `kind`: the type wanted; complex types get an imaginary part of 0.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a number lies outside the type's range, or is NaN and the
    /// type an integer one: nothing is clipped silently.
    pub fn from_f64(values: impl IntoIterator<Item = f64>, kind: SampleType) -> Result<Self> {
        let mut stray = None;
        let checked = values.into_iter().map(|value| {
            let stored = kind.holds(value);
            if stored.is_none() && stray.is_none() {
                stray = Some(value);
            }
            stored.unwrap_or_default()
        });
        let samples = collected(checked, kind);
        match stray {
            None => Ok(samples),
            Some(value) => Err(kind.refuses(value)),
        }
    }
}

fn collected(values: impl Iterator<Item = f64>, kind: SampleType) -> Samples {
    match kind {
        SampleType::UInt8 => Samples::U8(all(values)),
        SampleType::Int8 => Samples::I8(all(values)),
        SampleType::UInt16 => Samples::U16(all(values)),
        SampleType::Int16 => Samples::I16(all(values)),
        SampleType::UInt32 => Samples::U32(all(values)),
        SampleType::Int32 => Samples::I32(all(values)),
        SampleType::UInt64 => Samples::U64(all(values)),
        SampleType::Int64 => Samples::I64(all(values)),
        SampleType::Float16 => Samples::F16(all(values)),
        SampleType::Float32 => Samples::F32(all(values)),
        SampleType::Float64 => Samples::F64(all(values)),
        SampleType::Complex64 => Samples::Complex64(all(values)),
        SampleType::Complex128 => Samples::Complex128(all(values)),
    }
}

fn all<T: Value>(values: impl Iterator<Item = f64>) -> Vec<T> {
    values.map(T::from_f64).collect()
}

/// A stored value as a real number.
pub(crate) trait Value: Copy + Send + Sync {
    /// The number; the real part of a complex one.
    fn to_f64(self) -> f64;

    /// A whole number with all its digits; of other numbers what is left of the point.
    fn to_whole(self) -> i128 {
        self.to_f64() as i128
    }

    /// That number rounded to single precision, at once where that is the same.
    fn to_f32(self) -> f32 {
        self.to_f64() as f32
    }

    /// The value closest to a number that is known to lie within the type's range.
    fn from_f64(number: f64) -> Self;
}

macro_rules! value {
    ($number:ty $(, $to_f32:item)?) => {
        impl Value for $number {
            fn to_f64(self) -> f64 {
                self.as_()
            }

            fn to_whole(self) -> i128 {
                self.as_()
            }

            $($to_f32)?

            fn from_f64(number: f64) -> Self {
                number.as_()
            }
        }
    };
}

/// Types of which double precision holds every number, so that there is one rounding at most.
macro_rules! narrow_value {
    ($($number:ty),+) => {$(
        value!($number, fn to_f32(self) -> f32 {
            self.as_()
        });
    )+};
}

narrow_value!(u8, i8, u16, i16, u32, i32, f32, f64);
value!(u64);
value!(i64);

impl Value for f16 {
    fn to_f64(self) -> f64 {
        self.into()
    }

    fn from_f64(number: f64) -> Self {
        Self::from_f64(number)
    }
}

impl Value for Complex<f32> {
    fn to_f64(self) -> f64 {
        self.re.into()
    }

    fn from_f64(number: f64) -> Self {
        Self::new(number as f32, 0.0)
    }
}

impl Value for Complex<f64> {
    fn to_f64(self) -> f64 {
        self.re
    }

    fn from_f64(number: f64) -> Self {
        Self::new(number, 0.0)
    }
}
