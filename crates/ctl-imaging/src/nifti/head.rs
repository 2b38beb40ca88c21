//! What stands before the data: header and extensions.

use super::check::Plan;
use super::extension::{self, Extension};
use super::fields;
use super::header::Header;
use super::names::Names;
use super::source::Source;
use crate::Result;
use crate::error::ImagingError;
use std::io::Read;
use std::path::Path;

/// All that stands before the data.
pub(super) struct Head {
    pub(super) header: Header,
    pub(super) extensions: Vec<Extension>,
    pub(super) plan: Plan,
}

impl Head {
    pub(super) fn read(source: &Source, paired: bool, path: &Path) -> Result<Self> {
        let start = source.start(fields::LONGEST + 4)?;
        let header = fields::parse(&start, path)?;
        let mut plan = Plan::new(&header, paired, path)?;
        let flag = header.version.header_bytes();
        let mut extensions = Vec::new();
        if start.len() >= flag + 4 && start[flag] != 0 {
            let first = flag as u64 + 4;
            let room = (!paired).then(|| plan.offset - first);
            let mut stream = source.stream();
            std::io::copy(&mut stream.by_ref().take(first), &mut std::io::sink())
                .map_err(|source| ImagingError::io(path, "read", source))?;
            let (found, odd) = extension::read(&mut stream, room, header.endianness, path)?;
            extensions = found;
            plan.warnings.extend(odd);
        }
        Ok(Self {
            header,
            extensions,
            plan,
        })
    }
}

/// The header alone, as it stands in the file; what is impossible in it is not looked at.
pub(super) fn header_of(path: &Path) -> Result<Header> {
    let names = Names::of(path);
    let start = Source::open(&names.header)?.start(fields::LONGEST)?;
    fields::parse(&start, &names.header)
}
