//! Files as data sets: tolerant of what writers do, exact about what is wrong.

mod set;
mod source;
mod structure;
mod syntax;
mod text;
mod values;

pub(crate) use set::{DataSet, Element, Until, dictionary_vr, is_pixels, keyword};
pub(crate) use source::Source;
pub(crate) use structure::{Fault, ITEM, SEQUENCE_END, bytes_at, has_long_length, header};
pub(crate) use syntax::{Compression, Encoding, TransferSyntax};
pub(crate) use values::is_text;
