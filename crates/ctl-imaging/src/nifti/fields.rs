//! Where each field of a header lies, in both versions, for reading and for writing.

use super::header::{Endianness, Header, Version};
use crate::Result;
use crate::error::ImagingError;
use std::path::Path;

/// What a transfer in text mode would have damaged, in headers of version 2.
pub(super) const EOL_CHECK: [i32; 4] = [13, 10, 26, 10];

/// Longest header.
pub(super) const LONGEST: usize = 540;

/// Bytes of the free text and of the name of the meaning, the closing zero included.
pub(super) const DESCRIP_BYTES: usize = 80;
pub(super) const INTENT_NAME_BYTES: usize = 16;

/// A walk over the fields of a header, which either takes them from bytes or puts them there.
trait Walk {
    /// A whole number of 1 (unsigned), 2, 4 or 8 bytes.
    fn whole(&mut self, at: usize, bytes: usize, value: &mut i64);
    /// A float of 4 or 8 bytes.
    fn float(&mut self, at: usize, bytes: usize, value: &mut f64);
    /// Text, filled up with zeros.
    fn text(&mut self, at: usize, bytes: usize, value: &mut String);

    fn code(&mut self, at: usize, bytes: usize, value: &mut i32) {
        let mut wide = i64::from(*value);
        self.whole(at, bytes, &mut wide);
        *value = wide as i32;
    }

    fn floats(&mut self, at: usize, bytes: usize, values: &mut [f64]) {
        for (index, value) in values.iter_mut().enumerate() {
            self.float(at + index * bytes, bytes, value);
        }
    }

    fn wholes(&mut self, at: usize, bytes: usize, values: &mut [i64]) {
        for (index, value) in values.iter_mut().enumerate() {
            self.whole(at + index * bytes, bytes, value);
        }
    }
}

/// Fields of `nifti1.h`, in the order of their addresses.
fn walk_one(header: &mut Header, walk: &mut impl Walk) {
    walk.code(0, 4, &mut header.sizeof_hdr);
    walk.code(39, 1, &mut header.dim_info);
    walk.wholes(40, 2, &mut header.dim);
    walk.floats(56, 4, &mut header.intent_p);
    walk.code(68, 2, &mut header.intent_code);
    walk.code(70, 2, &mut header.datatype);
    walk.code(72, 2, &mut header.bitpix);
    walk.whole(74, 2, &mut header.slice_start);
    walk.floats(76, 4, &mut header.pixdim);
    walk.float(108, 4, &mut header.vox_offset);
    walk.float(112, 4, &mut header.scl_slope);
    walk.float(116, 4, &mut header.scl_inter);
    walk.whole(120, 2, &mut header.slice_end);
    walk.code(122, 1, &mut header.slice_code);
    walk.code(123, 1, &mut header.xyzt_units);
    walk.float(124, 4, &mut header.cal_max);
    walk.float(128, 4, &mut header.cal_min);
    walk.float(132, 4, &mut header.slice_duration);
    walk.float(136, 4, &mut header.toffset);
    walk.whole(144, 4, &mut header.glmin);
    walk.text(148, DESCRIP_BYTES, &mut header.descrip);
    walk.text(228, 24, &mut header.aux_file);
    walk.code(252, 2, &mut header.qform_code);
    walk.code(254, 2, &mut header.sform_code);
    walk.floats(256, 4, &mut header.quatern);
    walk.floats(268, 4, &mut header.qoffset);
    walk.floats(280, 4, header.srow.as_flattened_mut());
    walk.text(328, INTENT_NAME_BYTES, &mut header.intent_name);
    walk.text(344, 4, &mut header.magic);
}

/// Fields of `nifti2.h`, in the order of their addresses.
fn walk_two(header: &mut Header, walk: &mut impl Walk) {
    walk.code(0, 4, &mut header.sizeof_hdr);
    walk.text(4, 4, &mut header.magic);
    for (index, value) in header.eol_check.iter_mut().enumerate() {
        walk.code(8 + index, 1, value);
    }
    walk.code(12, 2, &mut header.datatype);
    walk.code(14, 2, &mut header.bitpix);
    walk.wholes(16, 8, &mut header.dim);
    walk.floats(80, 8, &mut header.intent_p);
    walk.floats(104, 8, &mut header.pixdim);
    let mut offset = header.vox_offset as i64;
    walk.whole(168, 8, &mut offset);
    // Beyond 2^53 bytes, where this would round, there is no file.
    header.vox_offset = offset as f64;
    walk.float(176, 8, &mut header.scl_slope);
    walk.float(184, 8, &mut header.scl_inter);
    walk.float(192, 8, &mut header.cal_max);
    walk.float(200, 8, &mut header.cal_min);
    walk.float(208, 8, &mut header.slice_duration);
    walk.float(216, 8, &mut header.toffset);
    walk.whole(224, 8, &mut header.slice_start);
    walk.whole(232, 8, &mut header.slice_end);
    walk.text(240, DESCRIP_BYTES, &mut header.descrip);
    walk.text(320, 24, &mut header.aux_file);
    walk.code(344, 4, &mut header.qform_code);
    walk.code(348, 4, &mut header.sform_code);
    walk.floats(352, 8, &mut header.quatern);
    walk.floats(376, 8, &mut header.qoffset);
    walk.floats(400, 8, header.srow.as_flattened_mut());
    walk.code(496, 4, &mut header.slice_code);
    walk.code(500, 4, &mut header.xyzt_units);
    walk.code(504, 4, &mut header.intent_code);
    walk.text(508, INTENT_NAME_BYTES, &mut header.intent_name);
    walk.code(524, 1, &mut header.dim_info);
}

struct Take<'a> {
    bytes: &'a [u8],
    order: Endianness,
}

impl Take<'_> {
    /// The `N` bytes at an address, lowest first; zeros beyond the end, where no field lies.
    fn lowest_first<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(found) = self.bytes.get(at..at + N) {
            bytes.copy_from_slice(found);
        }
        if self.order == Endianness::Big {
            bytes.reverse();
        }
        bytes
    }
}

impl Walk for Take<'_> {
    fn whole(&mut self, at: usize, bytes: usize, value: &mut i64) {
        *value = match bytes {
            1 => u8::from_le_bytes(self.lowest_first(at)).into(),
            2 => i16::from_le_bytes(self.lowest_first(at)).into(),
            4 => i32::from_le_bytes(self.lowest_first(at)).into(),
            _ => i64::from_le_bytes(self.lowest_first(at)),
        };
    }

    fn float(&mut self, at: usize, bytes: usize, value: &mut f64) {
        *value = match bytes {
            4 => f32::from_le_bytes(self.lowest_first(at)).into(),
            _ => f64::from_le_bytes(self.lowest_first(at)),
        };
    }

    fn text(&mut self, at: usize, bytes: usize, value: &mut String) {
        let field = self.bytes.get(at..at + bytes).unwrap_or_default();
        let end = field.iter().rposition(|&byte| byte != 0);
        let field = &field[..end.map_or(0, |end| end + 1)];
        *value = match std::str::from_utf8(field) {
            Ok(text) => text.to_owned(),
            // Latin-1, which every byte is a letter of.
            Err(_) => field.iter().map(|&byte| char::from(byte)).collect(),
        };
    }
}

struct Put {
    bytes: Vec<u8>,
    order: Endianness,
}

impl Put {
    fn put<const N: usize>(&mut self, at: usize, mut lowest_first: [u8; N]) {
        if self.order == Endianness::Big {
            lowest_first.reverse();
        }
        self.bytes[at..at + N].copy_from_slice(&lowest_first);
    }
}

impl Walk for Put {
    fn whole(&mut self, at: usize, bytes: usize, value: &mut i64) {
        match bytes {
            1 => self.put(at, (*value as u8).to_le_bytes()),
            2 => self.put(at, (*value as i16).to_le_bytes()),
            4 => self.put(at, (*value as i32).to_le_bytes()),
            _ => self.put(at, value.to_le_bytes()),
        }
    }

    fn float(&mut self, at: usize, bytes: usize, value: &mut f64) {
        match bytes {
            4 => self.put(at, (*value as f32).to_le_bytes()),
            _ => self.put(at, value.to_le_bytes()),
        }
    }

    fn text(&mut self, at: usize, bytes: usize, value: &mut String) {
        let length = value.len().min(bytes);
        self.bytes[at..at + length].copy_from_slice(&value.as_bytes()[..length]);
    }
}

/// The header at the start of a file.
///
/// The version is told by the magic string at its place in version 1, else by the size at the
/// start in version 2; the order of bytes by the number of axes, which is 1 to 7 in the right one.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Header> {
    let version = version(bytes, path)?;
    let little = walked(bytes, version, Endianness::Little);
    let header = if is_little(&little) {
        little
    } else {
        walked(bytes, version, Endianness::Big)
    };
    let magics = match version {
        Version::One => ["n+1", "ni1"],
        Version::Two => ["n+2", "ni2"],
    };
    if magics.contains(&header.magic.as_str()) {
        Ok(header)
    } else {
        Err(ImagingError::content(
            path,
            format!("the magic string {:?} or {:?}", magics[0], magics[1]),
            format!("{:?}", header.magic),
        ))
    }
}

fn walked(bytes: &[u8], version: Version, order: Endianness) -> Header {
    let mut header = Header::empty(version, order);
    let mut take = Take { bytes, order };
    match version {
        Version::One => walk_one(&mut header, &mut take),
        Version::Two => walk_two(&mut header, &mut take),
    }
    header
}

fn is_little(little: &Header) -> bool {
    match little.dim[0] {
        // Says nothing, so the size must.
        0 => little.sizeof_hdr.swap_bytes() != little.version.sizeof_hdr(),
        axes => (1..=7).contains(&axes),
    }
}

fn version(bytes: &[u8], path: &Path) -> Result<Version> {
    let magic = bytes.get(344..348).unwrap_or_default();
    if magic == b"n+1\0" || magic == b"ni1\0" {
        return Ok(Version::One);
    }
    let size = bytes.first_chunk().map(|&size| i32::from_le_bytes(size));
    let is = |expected: i32| size == Some(expected) || size == Some(expected.swap_bytes());
    if is(540) && bytes.len() >= LONGEST {
        return Ok(Version::Two);
    }
    let found = if is(540) || bytes.len() < 348 {
        format!("{} bytes", bytes.len())
    } else if is(348) {
        "an ANALYZE 7.5 header without the magic string of NIfTI".to_owned()
    } else {
        "something else".to_owned()
    };
    Err(ImagingError::content(path, "a NIfTI header", found))
}

/// The bytes of a header.
pub(super) fn bytes(header: &Header) -> Vec<u8> {
    let mut put = Put {
        bytes: vec![0; header.version.header_bytes()],
        order: header.endianness,
    };
    let mut header = header.clone();
    match header.version {
        Version::One => {
            // `regular`, which the oldest readers look at.
            put.bytes[38] = b'r';
            walk_one(&mut header, &mut put);
        }
        Version::Two => walk_two(&mut header, &mut put),
    }
    put.bytes
}
