//! Which attributes are removed, emptied, replaced and mapped.

use super::table;
use crate::dicom::data::dictionary_vr;
use dicom_core::{Tag, VR};

/// What is done to an attribute (PS3.15 section E.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Action {
    /// Removed.
    X,
    /// Emptied.
    Z,
    /// Replaced by a dummy.
    D,
    /// Replaced by a UID that depends on it and the secret.
    U,
    /// Kept, its items looked into.
    K,
}

/// UIDs of the standard itself, which name classes and not instances.
pub(super) const STANDARD_UIDS: &str = "1.2.840.10008.";

/// GPS coordinates of cameras.
const GPS: std::ops::RangeInclusive<Tag> = Tag(0x0016, 0x0070)..=Tag(0x0016, 0x008E);

/// What is done to an attribute.
///
/// Besides the table: private attributes, curves, overlay data, unknown attributes and group
/// lengths are removed; so are all names of persons, dates and times that the table does not name;
/// UIDs that it does not name are mapped unless they are the standard's own.
pub(crate) fn action(tag: Tag, keep_characteristics: bool) -> Action {
    let is_in = |list| table::has(list, tag.group(), tag.element());
    if tag.group() % 2 == 1 || tag.element() == 0 {
        return Action::X;
    }
    if keep_characteristics && is_in(table::CHARACTERISTICS) {
        return Action::K;
    }
    let lists = [
        (table::EMPTIED, Action::Z),
        (table::REPLACED, Action::D),
        (table::MAPPED, Action::U),
        (table::REMOVED, Action::X),
    ];
    if let Some((_, action)) = lists.iter().find(|(list, _)| is_in(list)) {
        return *action;
    }
    if GPS.contains(&tag) || is_curve_or_overlay(tag) {
        return Action::X;
    }
    match dictionary_vr(tag, false) {
        None | Some(VR::PN | VR::DA | VR::DT | VR::TM) => Action::X,
        Some(VR::UI) => Action::U,
        Some(_) => Action::K,
    }
}

/// Curves (50xx) and the data and comments of overlays (60xx,3000 and 4000).
fn is_curve_or_overlay(tag: Tag) -> bool {
    let high = tag.group() >> 8;
    high == 0x50 || high == 0x60 && [0x3000, 0x4000].contains(&tag.element())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_dictionary_std::tags;

    #[test]
    fn actions_of_some() {
        let of = |tag| action(tag, false);
        assert_eq!(of(tags::PATIENT_NAME), Action::Z);
        assert_eq!(of(tags::PATIENT_ID), Action::D);
        assert_eq!(of(tags::STUDY_DESCRIPTION), Action::X);
        assert_eq!(of(tags::SOP_INSTANCE_UID), Action::U);
        assert_eq!(of(tags::ROWS), Action::K);
        assert_eq!(
            of(tags::SOP_CLASS_UID),
            Action::U,
            "kept there, being the standard's"
        );
        assert_eq!(of(Tag(0x0009, 0x0010)), Action::X, "private");
        assert_eq!(of(Tag(0x6002, 0x3000)), Action::X, "overlay");
        assert_eq!(of(Tag(0x0008, 0xFFFE)), Action::X, "unknown");
        assert_eq!(
            of(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
            Action::X,
            "a date"
        );
        assert_eq!(of(tags::PATIENT_AGE), Action::X);
        assert_eq!(action(tags::PATIENT_AGE, true), Action::K);
    }

    #[test]
    fn lists_are_disjoint_and_known() {
        let all: Vec<Tag> = [
            table::EMPTIED,
            table::REPLACED,
            table::MAPPED,
            table::REMOVED,
        ]
        .into_iter()
        .flatten()
        .flat_map(|(group, elements)| elements.iter().map(|&element| Tag(*group, element)))
        .collect();
        let distinct: std::collections::BTreeSet<Tag> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.len() > 400, "{}", all.len());
        let unknown: Vec<&Tag> = all
            .iter()
            .filter(|tag| dictionary_vr(**tag, false).is_none())
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
