//! Rules for remedies that use the structure: invariance, counterfactuals, adjustment, weighting.

use super::constraints::constraints;
use super::remedies::{Judgement, confounding, names};
use super::report::{Family, Relation, Remedy};
use super::situation::Situation;
use crate::graph::{Mixed, NodeSet};

pub(super) fn invariance(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let varied = match situation.diagram.listed(&situation.confounders) {
        sites if sites.is_empty() => {
            "there are several training environments, which differ as the target does".to_owned()
        }
        sites => format!(
            "there are several training environments, in which {sites} and {label} go together to \
             different degrees"
        ),
    };
    let judgement = if situation.confounders.is_empty() && situation.same_rule() {
        Judgement::licensed(format!("P({label} | {image}) is the same")).provided(varied)
    } else {
        match situation.sufficient() {
            Some(content) => {
                let content = situation.diagram.listed(content);
                Judgement::licensed(format!(
                    "{image} carries {content}, and P({label} | {content}) is the same"
                ))
                .provided(varied)
            }
            None => Judgement::not(format!(
                "nothing that {image} shows leads to {label} by the same rule in sources and target"
            )),
        }
    };
    judgement.of(
        "invariance",
        Family::Invariance,
        &[
            "irm",
            "v-rex",
            "mm-rex",
            "fishr",
            "group-dro",
            "ib-erm",
            "ib-irm",
            "iga",
            "fish",
            "and-mask",
            "sand-mask",
            "eqrm",
            "rdm",
            "trm",
            "icp",
            "anchor-regression",
            "invariant-subset",
        ],
    )
}

/// Judges methods that change how an image was taken and nothing else.
fn exchange(situation: &Situation) -> Judgement {
    let (image, label) = names(situation);
    let diagram = &situation.diagram;
    let marks: NodeSet = situation.confounders.clone();
    if situation.imaging_domain.is_empty() && marks.is_empty() {
        return Judgement::not(format!(
            "what differs is not how {image} is taken, so that changing the style of images \
             leaves it as it is"
        ));
    }
    let reason = if marks.is_empty() {
        format!("how {image} is taken differs, and {label} does not depend on that otherwise")
    } else {
        let sites = diagram.listed(&marks);
        format!(
            "it cuts the path from {sites} to {image}, and leaves {label} and what else {image} \
             shows alone"
        )
    };
    let judgement = Judgement::licensed(reason);
    let implied = diagram
        .diagram
        .children_of(&situation.beyond_imaging())
        .is_subset(&marks);
    if situation.beyond_imaging().is_empty() || (implied && !marks.is_empty()) {
        return judgement.provided(format!("the changed images keep what {label} depends on"));
    }
    let rest = diagram.listed(&situation.beyond_imaging());
    judgement.provided(format!(
        "the remaining {rest} is answered as well; this does not touch it"
    ))
}

pub(super) fn acquisition_exchange(situation: &Situation) -> Remedy {
    let methods = &["gin-ipa", "augment", "fda", "fact", "cirl", "mixstyle"];
    exchange(situation).of("acquisition-randomisation", Family::Correlation, methods)
}

pub(super) fn harmonisation(situation: &Situation) -> Remedy {
    let judgement = if situation.confounders.is_empty() {
        exchange(situation)
    } else {
        let (_, label) = names(situation);
        let sites = situation.diagram.listed(&situation.confounders);
        Judgement::not(format!(
            "{sites} goes together with {label}: removing what differs between sites removes part \
             of {label}"
        ))
    };
    judgement.of(
        "harmonisation",
        Family::Correlation,
        &["combat", "histogram-matching", "nyul"],
    )
}

pub(super) fn counterfactual_augmentation(situation: &Situation) -> Remedy {
    let methods = &[
        "counterfactual-scanner",
        "counterfactual-augmentation",
        "counterfactual-consistency",
        "counterfactual-contrastive",
    ];
    let judgement = if !situation.confounders.is_empty() && situation.facts.single_label_sites {
        let (image, label) = names(situation);
        Judgement::not(format!(
            "a site has only one {label}: what a site does to {image} cannot be told from what \
             {label} does"
        ))
    } else {
        exchange(situation)
    };
    judgement.of(
        "counterfactual-augmentation",
        Family::Counterfactual,
        methods,
    )
}

/// Back-door weights, which make the label independent of the site in the weighted data.
pub(super) fn site_back_door(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let sites = situation.diagram.listed(&situation.confounders);
    let judgement = if situation.confounders.is_empty() {
        Judgement::unneeded("no site goes together with the label while it marks the image")
    } else if situation.facts.single_label_sites {
        Judgement::not(format!(
            "a site has only one {label}: the comparison within that site does not exist, and the \
             effect is not identified"
        ))
    } else if let Some(set) = situation.back_door_set() {
        let set = situation.diagram.listed(&set);
        let reason =
            format!("among cases alike in {set}, no other common cause joins {label} and {image}");
        Judgement::licensed(reason)
            .provided(format!("every {label} occurs with every value of {set}"))
            .by(format!("w = P({label}) / P({label} | {set})"))
    } else {
        Judgement::not(format!(
            "holding {sites} and recorded covariates fixed leaves a common cause of {image} and \
             {label}"
        ))
    };
    judgement.of("site-back-door-weighting", Family::Scm, &["back-door"])
}

pub(super) fn independence_constraints(situation: &Situation) -> Remedy {
    let found = constraints(situation);
    let judgement = if found.is_empty() {
        Judgement::not("the diagram implies no independence that a representation could be held to")
    } else {
        Judgement::licensed("the diagram implies the independences that are listed below")
            .provided("a penalty enforces exactly those, and no others")
    };
    let methods = &["counterfactual-invariance", "cacm"];
    judgement.of("independence-constraints", Family::Scm, methods)
}

pub(super) fn selection_weighting(situation: &Situation) -> Remedy {
    let methods = &["inverse-probability-weighting"];
    selection(situation).of("selection-weighting", Family::Scm, methods)
}

fn selection(situation: &Situation) -> Judgement {
    let (image, label) = names(situation);
    let selection = situation.diagram.listed(&situation.diagram.selection);
    if selection.is_empty() {
        Judgement::unneeded("the data are not selected")
    } else if let Some(set) = situation.selection_explained() {
        if set.is_empty() {
            return Judgement::unneeded(format!(
                "entering the data has nothing to do with {image} and {label}"
            ));
        }
        let set = situation.diagram.listed(&set);
        Judgement::licensed(format!(
            "among people alike in {set}, entering the data has nothing to do with {label}"
        ))
        .provided(format!("{set} is also known for people who did not enter"))
        .by(format!("w = 1 / P({selection} | {set})"))
    } else if situation.facts.known_selection {
        Judgement::licensed("the probability of entering the data is known")
            .by(format!("w = 1 / P({selection} | {image}, {label})"))
    } else {
        Judgement::not(format!(
            "entering the data depends on {label} even given everything measured: its probability \
             is not identified from selected data (where it is known, say so under [facts])"
        ))
    }
}

pub(super) fn mechanism_reuse(situation: &Situation) -> Remedy {
    let (stay, differ) = situation.mechanisms();
    let judgement = if differ.is_empty() {
        Judgement::unneeded("no mechanism differs")
    } else if stay.is_empty() {
        Judgement::not("every mechanism differs")
    } else {
        let (stay, differ) = (stay.join(", "), differ.join(", "));
        Judgement::licensed(format!("{stay}: the same, and can be kept"))
            .provided(format!("target data show what is fitted anew: {differ}"))
    };
    judgement.of("mechanism-reuse", Family::Scm, &["modular-scm"])
}

pub(super) fn target_labels(situation: &Situation) -> Remedy {
    let (image, label) = names(situation);
    let judgement = if situation.same_rule() && situation.confounders.is_empty() {
        Judgement::unneeded(format!("P({label} | {image}) is the same"))
    } else {
        let reason = confounding(situation)
            .unwrap_or_else(|| format!("P({label} | {image}) differs, and target labels show how"));
        let judgement = Judgement::licensed(reason);
        let diagram = &situation.diagram;
        let changed = diagram.diagram.children_of(&diagram.domain);
        let raters =
            situation.relation == Relation::ImageToLabel && changed.contains(situation.label());
        if raters {
            judgement.provided("labelled target cases are at hand, or a model of the raters")
        } else {
            judgement.provided("labelled target cases are at hand")
        }
    };
    judgement.of("target-labels", Family::Baseline, &["fine-tuning"])
}
