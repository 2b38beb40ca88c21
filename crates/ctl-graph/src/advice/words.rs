//! Names of shifts and directions in running text.

use crate::graph::ShiftKind;

pub(super) fn kind(kind: ShiftKind) -> &'static str {
    match kind {
        ShiftKind::Population => "population",
        ShiftKind::Prevalence => "prevalence",
        ShiftKind::Acquisition => "acquisition",
        ShiftKind::Annotation => "annotation",
        ShiftKind::Manifestation => "manifestation",
        ShiftKind::Selection => "selection",
    }
}
