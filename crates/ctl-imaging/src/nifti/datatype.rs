//! Codes of the type of a voxel.

use super::header::Endianness;
use crate::volume::SampleType;

/// What a voxel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datatype {
    /// Type of each component.
    pub(super) kind: SampleType,
    /// Components that lie together: 3 and 4 for colours, else 1.
    pub(super) components: usize,
}

const CODES: [(i32, SampleType, usize); 14] = [
    (2, SampleType::UInt8, 1),
    (4, SampleType::Int16, 1),
    (8, SampleType::Int32, 1),
    (16, SampleType::Float32, 1),
    (32, SampleType::Complex64, 1),
    (64, SampleType::Float64, 1),
    (128, SampleType::UInt8, 3),
    (256, SampleType::Int8, 1),
    (512, SampleType::UInt16, 1),
    (768, SampleType::UInt32, 1),
    (1024, SampleType::Int64, 1),
    (1280, SampleType::UInt64, 1),
    (1792, SampleType::Complex128, 1),
    (2304, SampleType::UInt8, 4),
];

impl Datatype {
    /// The type of a code, or why there is none.
    pub(super) fn from_code(code: i32) -> Result<Self, String> {
        let known = CODES.iter().find(|&&(known, ..)| known == code);
        if let Some(&(_, kind, components)) = known {
            return Ok(Self { kind, components });
        }
        Err(match code {
            0 => "0 (unknown)".to_owned(),
            1 => "1 (one bit a voxel)".to_owned(),
            1536 => "1536 (floats of 128 bits)".to_owned(),
            2048 => "2048 (complex numbers of 256 bits)".to_owned(),
            _ => code.to_string(),
        })
    }

    /// Its code, if the format has one.
    pub(super) fn code(self) -> Option<i32> {
        let known = |&&(_, kind, components): &&(i32, SampleType, usize)| {
            kind == self.kind && components == self.components
        };
        CODES.iter().find(known).map(|&(code, ..)| code)
    }

    /// Bytes of a voxel.
    pub(super) fn bytes(self) -> usize {
        self.kind.bytes() * self.components
    }

    /// Bits of a voxel.
    pub(super) fn bits(self) -> i32 {
        i32::try_from(self.bytes() * 8).unwrap_or(i32::MAX)
    }

    /// Names of the components of colours; none for numbers.
    pub(super) fn colours(self) -> &'static [&'static str] {
        match self.components {
            3 => &["R", "G", "B"],
            4 => &["R", "G", "B", "A"],
            _ => &[],
        }
    }

    /// `NumPy`'s spelling on a little-endian machine.
    pub(super) fn numpy(self, order: Endianness) -> String {
        if self.components > 1 {
            let fields: Vec<String> = self
                .colours()
                .iter()
                .map(|name| format!("('{name}', 'u1')"))
                .collect();
            return format!("[{}]", fields.join(", "));
        }
        if order == Endianness::Little || self.kind.bytes() == 1 {
            return self.kind.name().to_owned();
        }
        let letter = match self.kind {
            SampleType::Complex64 | SampleType::Complex128 => 'c',
            SampleType::Float16 | SampleType::Float32 | SampleType::Float64 => 'f',
            SampleType::UInt8 | SampleType::UInt16 | SampleType::UInt32 | SampleType::UInt64 => 'u',
            SampleType::Int8 | SampleType::Int16 | SampleType::Int32 | SampleType::Int64 => 'i',
        };
        format!(">{letter}{}", self.kind.bytes())
    }
}
