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

/// What a shift means for a study.
pub(super) fn meaning(kind: ShiftKind) -> &'static str {
    match kind {
        ShiftKind::Population => "which patients are imaged",
        ShiftKind::Prevalence => "how frequent each label is",
        ShiftKind::Acquisition => "how images are taken",
        ShiftKind::Annotation => "who labels, and how",
        ShiftKind::Manifestation => "how the disease affects the body",
        ShiftKind::Selection => "who enters the data",
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

/// A remedy in a few plain words.
pub(super) fn title(remedy: &str) -> &'static str {
    match remedy {
        "plain-training" => "train as usual on all sources",
        "density-ratio-weighting" => "weight training images by how common they are in the target",
        "label-shift-correction" => "correct the output for the target's frequency of each label",
        "covariate-adjustment" => "average over recorded covariates as the target has them",
        "marginal-alignment" => "make features of sources and target look alike",
        "conditional-alignment" => "make features look alike among cases of one label",
        "invariance" => "look for a rule that is the same in every training environment",
        "acquisition-randomisation" => "vary the look of training images at random",
        "harmonisation" => "bring images of all sites to one look",
        "counterfactual-augmentation" => "add the same patients as another site would image them",
        "site-back-door-weighting" => "weight cases so that the site no longer tells the label",
        "independence-constraints" => "penalise dependences of features that the diagram rules out",
        "selection-weighting" => "weight cases by how unlikely they were to enter",
        "mechanism-reuse" => "keep the parts that stay and fit the others anew",
        "test-time-adaptation" => "adapt the network to target images at deployment",
        "target-labels" => "label some target cases and train on them",
        _ => "",
    }
}
