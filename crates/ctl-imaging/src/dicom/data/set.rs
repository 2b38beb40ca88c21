//! A data set: the elements of a file or of a sequence's item.

use super::structure::{
    Extent, Fault, Header, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, extent, header, item_encoding,
    item_extent,
};
use super::syntax::Encoding;
use super::text::Charset;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// An element, its value a part of the file's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    /// The letters of its representation as they are written.
    pub(crate) code: Option<[u8; 2]>,
    pub(crate) value: &'a [u8],
    /// The whole element: header, value and delimiter.
    pub(crate) raw: &'a [u8],
    /// How it is written.
    pub(crate) encoding: Encoding,
    header: Header,
}

impl Element<'_> {
    /// The representation that is written, if it is a known one.
    pub(crate) fn written_vr(&self) -> Option<VR> {
        self.code.and_then(VR::from_binary)
    }
}

/// Where reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// With the bytes.
    End,
    /// Before pixels.
    Pixels,
}

/// The elements of a file or an item.
#[derive(Debug, Clone)]
pub(crate) struct DataSet<'a> {
    elements: Vec<Element<'a>>,
    charset: Charset,
    signed: bool,
    fault: Option<Fault>,
    pixels: Option<Header>,
}

impl<'a> DataSet<'a> {
    /// Reads the elements of `bytes`.
    ///
    /// What is read until something is wrong is kept beside the [`fault`](Self::fault).
    pub(crate) fn parse(bytes: &'a [u8], encoding: Encoding, until: Until) -> Self {
        Self::parse_inheriting(bytes, encoding, until, &Charset::default())
    }

    fn parse_inheriting(
        bytes: &'a [u8],
        encoding: Encoding,
        until: Until,
        charset: &Charset,
    ) -> Self {
        let mut set = Self {
            elements: Vec::new(),
            charset: charset.clone(),
            signed: false,
            fault: None,
            pixels: None,
        };
        if let Err(fault) = set.read(bytes, encoding, until) {
            set.fault = Some(fault);
        }
        if let Some(codes) = set.get(tags::SPECIFIC_CHARACTER_SET) {
            set.charset = Charset::of_codes(codes.value);
        }
        set.signed = set.integer(tags::PIXEL_REPRESENTATION) == Some(1);
        set
    }

    fn read(&mut self, bytes: &'a [u8], encoding: Encoding, until: Until) -> Result<(), Fault> {
        let mut at = 0;
        while at < bytes.len() {
            let start = header(bytes, at, encoding)?;
            if start.tag == ITEM_END || start.tag == SEQUENCE_END {
                // One that is left over at the end hides nothing.
                return if start.value >= bytes.len() {
                    Ok(())
                } else {
                    Err(Fault::new(at, "an element", "the end of an item"))
                };
            }
            if until == Until::Pixels && is_pixels(start.tag) {
                self.pixels = Some(start);
                break;
            }
            let (end, fault) = match extent(bytes, &start, encoding, 0) {
                Ok(end) => (end, None),
                Err(fault) if start.length != UNDEFINED => (to_the_end(bytes), Some(fault)),
                Err(fault) => return Err(fault),
            };
            self.elements.push(Element {
                tag: start.tag,
                code: start.code,
                value: bytes.get(start.value..end.value_end).unwrap_or_default(),
                raw: bytes.get(at..end.element_end).unwrap_or_default(),
                encoding,
                header: Header {
                    value: start.value - at,
                    ..start
                },
            });
            if let Some(fault) = fault {
                return Err(fault);
            }
            at = end.element_end;
        }
        Ok(())
    }

    /// What was wrong with the bytes.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// The start of the pixels before which reading ended, as asked; its value's place is counted
    /// from the start of the data set.
    pub(crate) fn stopped_before(&self) -> Option<&Header> {
        self.pixels.as_ref()
    }

    pub(crate) fn elements(&self) -> &[Element<'a>] {
        &self.elements
    }

    pub(crate) fn charset(&self) -> &Charset {
        &self.charset
    }

    /// Whether pixel values are signed, which decides what some representations are.
    pub(crate) fn is_signed(&self) -> bool {
        self.signed
    }

    /// The element of a tag; of one that stands twice the later.
    pub(crate) fn get(&self, tag: Tag) -> Option<&Element<'a>> {
        self.elements
            .iter()
            .rev()
            .find(|element| element.tag == tag)
    }

    pub(crate) fn has(&self, tag: Tag) -> bool {
        self.get(tag).is_some()
    }

    /// How many different tags there are.
    pub(crate) fn distinct(&self) -> usize {
        let mut all: Vec<Tag> = self.elements.iter().map(|element| element.tag).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// The items of a sequence; none where there is no such element.
    pub(crate) fn items(&self, tag: Tag) -> Result<Vec<DataSet<'a>>, Fault> {
        self.get(tag).map_or(Ok(Vec::new()), |element| {
            element.items_inheriting(&self.charset)
        })
    }

    /// The first item of a sequence, if it has one that can be read.
    pub(crate) fn first_item(&self, tag: Tag) -> Option<DataSet<'a>> {
        self.items(tag).ok()?.into_iter().next()
    }

    /// The representation of an element: the one written, or the dictionary's.
    pub(crate) fn vr(&self, element: &Element<'_>) -> Option<VR> {
        match element.written_vr() {
            Some(VR::UN) | None => dictionary_vr(element.tag, self.signed),
            written => written,
        }
    }
}

impl<'a> Element<'a> {
    /// The items of a sequence.
    pub(crate) fn items(&self) -> Result<Vec<DataSet<'a>>, Fault> {
        self.items_inheriting(&Charset::default())
    }

    fn items_inheriting(&self, charset: &Charset) -> Result<Vec<DataSet<'a>>, Fault> {
        let encoding = item_encoding(self.raw, &self.header, self.encoding);
        let mut items = Vec::new();
        let mut at = 0;
        while at < self.value.len() {
            let start = header(self.value, at, encoding)?;
            if start.tag != ITEM {
                let found = start.tag.to_string();
                return Err(Fault::new(at, format!("an item of {}", self.tag), found));
            }
            let end = item_extent(self.value, &start, encoding, 0)?;
            let content = self.value.get(start.value..end.value_end);
            items.push(DataSet::parse_inheriting(
                content.unwrap_or_default(),
                encoding,
                Until::End,
                charset,
            ));
            at = end.element_end;
        }
        Ok(items)
    }
}

fn to_the_end(bytes: &[u8]) -> Extent {
    Extent {
        value_end: bytes.len(),
        element_end: bytes.len(),
    }
}

/// Whether a tag is that of pixels, in integers or in floats.
pub(crate) fn is_pixels(tag: Tag) -> bool {
    [
        tags::PIXEL_DATA,
        tags::FLOAT_PIXEL_DATA,
        tags::DOUBLE_FLOAT_PIXEL_DATA,
    ]
    .contains(&tag)
}

/// The representation of PS3.6; `None` for private and unknown tags.
pub(crate) fn dictionary_vr(tag: Tag, signed: bool) -> Option<VR> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    Some(match entry.vr() {
        VirtualVr::Xs if signed => VR::SS,
        other => other.relaxed(),
    })
}

/// The keyword of PS3.6, such as `PatientName`, for public tags that have one.
pub(crate) fn keyword(tag: Tag) -> Option<&'static str> {
    tag.group()
        .is_multiple_of(2)
        .then(|| StandardDataDictionary.by_tag(tag))
        .flatten()
        .map(DataDictionaryEntry::alias)
}
