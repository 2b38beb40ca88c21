//! Names of shifts and directions in running text.

use super::Relation;
use crate::graph::{CausalDirection, ShiftKind};

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

pub(super) fn direction(direction: CausalDirection) -> &'static str {
    match direction {
        CausalDirection::Causal => "causal",
        CausalDirection::Anticausal => "anticausal",
    }
}

pub(super) fn relation(relation: Relation, image: &str, label: &str) -> String {
    match relation {
        Relation::ImageToLabel => format!("{label} is drawn from {image} (causal direction)"),
        Relation::LabelToImage => format!("{image} shows {label} (anticausal direction)"),
        Relation::SharedContent => {
            format!("{image} and {label} both follow from what {image} shows")
        }
        Relation::Unrelated => format!("no cause joins {image} and {label}"),
    }
}
