//! Upper references: plain training that is given what no deployed model has.

use super::erm;
use crate::{Assumption, Family, LearnsFrom, MethodInfo, Needs, Role};

/// Description of `erm-target`.
pub const TARGET_INFO: MethodInfo = MethodInfo {
    id: "erm-target",
    name: "ERM on the target",
    family: Family::Baseline,
    role: Role::Oracle,
    needs: Needs {
        learns_from: LearnsFrom::Target,
        ..Needs::NOTHING
    },
    assumptions: &[Assumption::TargetLabels],
    summary: "ERM on labelled patients of the target itself, with the same network and as many images: what transfer could reach.",
    ..erm::INFO
};

/// Description of `erm-unconfounded`.
pub const UNCONFOUNDED_INFO: MethodInfo = MethodInfo {
    id: "erm-unconfounded",
    name: "ERM on unconfounded sources",
    family: Family::Baseline,
    role: Role::Oracle,
    needs: Needs {
        learns_from: LearnsFrom::UnconfoundedSources,
        ..Needs::NOTHING
    },
    assumptions: &[Assumption::KnownMechanisms],
    summary: "ERM on the sources as they would be if an intervention had cut what ties site and label together.",
    ..erm::INFO
};

/// Description of `bayes`.
pub const BAYES_INFO: MethodInfo = MethodInfo {
    id: "bayes",
    name: "Bayes predictor",
    family: Family::Baseline,
    role: Role::Oracle,
    needs: Needs {
        class_probabilities: true,
        learns_from: LearnsFrom::TrueFactors,
        ..Needs::NOTHING
    },
    assumptions: &[Assumption::KnownMechanisms],
    summary: "The probability of the label given the true factors that the image shows, under the target's law; nothing is trained.",
    ..erm::INFO
};
