//! Data sets without what identifies a patient.

use super::profile::{Action, STANDARD_UIDS, action};
use super::secret::Secret;
use super::write;
use crate::dicom::data::{DataSet, Element, Fault, dictionary_vr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

const DUMMY_TEXT: &str = "ANONYMIZED";
const DUMMY_DATE: &str = "19000101";
const DUMMY_TIME: &str = "000000";

/// Deepest nesting that is rewritten, as deep as is read.
const MAX_DEPTH: usize = 64;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) removed: usize,
    pub(super) emptied: usize,
    pub(super) replaced: usize,
    pub(super) mapped: usize,
}

pub(super) struct Walker<'a> {
    pub(super) secret: &'a Secret,
    pub(super) keep_characteristics: bool,
    pub(super) done: Done,
}

impl Walker<'_> {
    /// The elements of a data set that are left, each with its bytes.
    pub(super) fn elements(
        &mut self,
        set: &DataSet<'_>,
        depth: usize,
    ) -> Result<Vec<(Tag, Vec<u8>)>, Fault> {
        if let Some(fault) = set.fault() {
            return Err(fault.clone());
        }
        if depth > MAX_DEPTH {
            return Err(Fault::new(
                0,
                format!("at most {MAX_DEPTH} nested sequences"),
                "more",
            ));
        }
        let mut left = Vec::new();
        for element in set.elements() {
            if let Some(bytes) = self.element(set, element, depth)? {
                left.push((element.tag, bytes));
            }
        }
        Ok(left)
    }

    fn element(
        &mut self,
        set: &DataSet<'_>,
        element: &Element<'_>,
        depth: usize,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let value = match action(element.tag, self.keep_characteristics) {
            Action::X => {
                self.done.removed += 1;
                return Ok(None);
            }
            Action::Z => {
                self.done.emptied += 1;
                Vec::new()
            }
            Action::D => {
                let Some(dummy) = self.dummy(set, element) else {
                    self.done.removed += 1;
                    return Ok(None);
                };
                self.done.replaced += 1;
                dummy.into_bytes()
            }
            Action::U => match self.uids(set, element) {
                Some(uids) => uids.into_bytes(),
                None => return Ok(Some(element.raw.to_vec())),
            },
            Action::K => return self.kept(set, element, depth).map(Some),
        };
        let vr = set.vr(element).unwrap_or(VR::UN);
        Ok(Some(write::element(
            element.tag,
            vr,
            value,
            element.encoding,
        )))
    }

    /// A kept element: as it was, or its items without what identifies.
    fn kept(
        &mut self,
        set: &DataSet<'_>,
        element: &Element<'_>,
        depth: usize,
    ) -> Result<Vec<u8>, Fault> {
        // Both what the writer and what the dictionary says: a sequence must not slip through.
        let in_dictionary = dictionary_vr(element.tag, set.is_signed());
        let is_sequence = element.written_vr() == Some(VR::SQ) || in_dictionary == Some(VR::SQ);
        if !is_sequence {
            return Ok(element.raw.to_vec());
        }
        let mut value = Vec::new();
        let mut encoding = element.encoding;
        for item in element.items()? {
            let elements = self.elements(&item, depth + 1)?;
            if let Some(first) = item.elements().first() {
                encoding = first.encoding;
            }
            value.extend(write::item(elements, encoding));
        }
        // Items of another encoding than their sequence's stay in an element of unknown kind.
        let vr = if encoding == element.encoding {
            VR::SQ
        } else {
            VR::UN
        };
        Ok(write::element(element.tag, vr, value, element.encoding))
    }

    /// A value that tells nothing, `None` where there is none.
    fn dummy(&self, set: &DataSet<'_>, element: &Element<'_>) -> Option<String> {
        if element.tag == tags::PATIENT_ID {
            let id = set.word(tags::PATIENT_ID);
            return Some(id.map_or_else(String::new, |id| self.secret.pseudonym(&id)));
        }
        match set.vr(element)? {
            VR::DA => Some(DUMMY_DATE.to_owned()),
            VR::TM => Some(DUMMY_TIME.to_owned()),
            VR::DT => Some(format!("{DUMMY_DATE}{DUMMY_TIME}")),
            VR::AE | VR::CS | VR::LO | VR::LT | VR::PN | VR::SH | VR::ST | VR::UC | VR::UT => {
                Some(DUMMY_TEXT.to_owned())
            }
            _ => None,
        }
    }

    /// Mapped UIDs; `None` where all are the standard's own.
    fn uids(&mut self, set: &DataSet<'_>, element: &Element<'_>) -> Option<String> {
        let uids: Vec<String> = set
            .charset()
            .decode(element.value)
            .split('\\')
            .map(|uid| uid.trim().to_owned())
            .collect();
        let is_own = |uid: &String| uid.is_empty() || uid.starts_with(STANDARD_UIDS);
        if uids.iter().all(is_own) {
            return None;
        }
        self.done.mapped += 1;
        let mapped: Vec<String> = uids
            .into_iter()
            .map(|uid| {
                if is_own(&uid) {
                    uid
                } else {
                    self.secret.uid(&uid)
                }
            })
            .collect();
        Some(mapped.join("\\"))
    }
}
