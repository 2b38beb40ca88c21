//! Independences that a representation of the image can be held to.

use super::report::{Constraint, ConstraintKind};
use super::situation::Situation;
use crate::graph::{NodeId, NodeSet, Role};

/// The name that stands for the source an image comes from.
const ENVIRONMENT: &str = "environment";
/// The name that stands for the representation.
const REPRESENTATION: &str = "representation";

/// The constraints that separation gives for each nuisance: the environment, sites, scanners.
///
/// A representation that carries only content `C` inherits what the diagram says of `C`: if `C`
/// is separated from a nuisance `A`, the representation must be independent of `A`; if only given
/// the label, then given the label. The largest such content is taken. A marginal constraint is
/// given only for content from which the label follows by the same rule everywhere: holding a
/// representation to it would otherwise distort what the label depends on.
///
/// # References
/// Veitch, D'Amour, Yadlowsky & Eisenstein (2021), theorem 3.2; Kaur, Kiciman & Sharma (2022),
/// corollary 3.1. Both are read off the diagram here and not listed by case.
pub(super) fn constraints(situation: &Situation) -> Vec<Constraint> {
    let mut found = Vec::new();
    let label: NodeSet = situation.label().into();
    for (name, nuisance) in nuisances(situation) {
        for kind in [ConstraintKind::Marginal, ConstraintKind::ConditionalOnLabel] {
            let given = match kind {
                ConstraintKind::Marginal => NodeSet::new(),
                _ => label.clone(),
            };
            let carrier = situation.carriers.iter().find(|carrier| {
                carrier.is_disjoint(&nuisance)
                    && situation
                        .diagram
                        .independent_in_sources(carrier, &nuisance, &given)
                    && (kind != ConstraintKind::Marginal || situation.is_sufficient(carrier))
            });
            found.extend(carrier.map(|carrier| Constraint {
                of: REPRESENTATION.to_owned(),
                variables: vec![name.clone()],
                given: owned(situation, &given),
                kind,
                carrier: owned(situation, carrier),
            }));
        }
    }
    found.extend(same_rule(situation));
    found
}

/// What a representation must not tell, by name, where it marks the image at all.
fn nuisances(situation: &Situation) -> Vec<(String, NodeSet)> {
    let diagram = &situation.diagram;
    let mut nuisances = Vec::new();
    if situation.image_moves() && situation.confounders.is_empty() {
        nuisances.push((ENVIRONMENT.to_owned(), diagram.domain.clone()));
    }
    let marks = |&node: &NodeId| {
        matches!(diagram.role(node), Role::Site | Role::Acquisition)
            && diagram.marks_image(node)
            && diagram.diagram.is_observed(node)
    };
    for node in diagram.drawn.iter().filter(marks) {
        nuisances.push((diagram.diagram.name(node).to_owned(), node.into()));
    }
    nuisances
}

fn owned(situation: &Situation, set: &NodeSet) -> Vec<String> {
    let names = situation.diagram.diagram.names(set);
    names.into_iter().map(str::to_owned).collect()
}

/// The same rule from representation to label in every environment.
fn same_rule(situation: &Situation) -> Option<Constraint> {
    let whole: NodeSet = situation.image().into();
    let carrier = if situation.confounders.is_empty() && situation.same_rule() {
        Some(&whole)
    } else {
        situation.sufficient()
    };
    let carrier = carrier.filter(|_| situation.image_moves())?;
    Some(Constraint {
        of: situation.diagram.diagram.name(situation.label()).to_owned(),
        variables: vec![ENVIRONMENT.to_owned()],
        given: vec![REPRESENTATION.to_owned()],
        kind: ConstraintKind::SameRule,
        carrier: owned(situation, carrier),
    })
}
