//! The districts that a query needs, and the formula made of their factors.

use super::{Admg, Query};
use crate::NodeSet;
use crate::estimand::Estimand;

/// A query as a sum over a product of district factors, divided by its own sum.
pub(crate) struct Decomposition {
    districts: Vec<NodeSet>,
    outcome: NodeSet,
    given: NodeSet,
}

impl Decomposition {
    /// The districts among the ancestors of outcome and condition, without the intervention, that
    /// do not cancel.
    pub(crate) fn of(graph: &Admg, query: &Query) -> Self {
        let region = graph.nodes().difference(&query.intervention);
        let region = graph.ancestors(&query.outcome.union(&query.given), &region);
        let mut districts = graph.districts(&region);
        if !query.given.is_empty() {
            districts = linked(graph, districts, &query.outcome, &query.given);
        }
        Self {
            districts,
            outcome: query.outcome.clone(),
            given: query.given.clone(),
        }
    }

    /// The districts, by their first nodes.
    pub(crate) fn districts(&self) -> &[NodeSet] {
        &self.districts
    }

    /// The formula from the districts' factors, in their order.
    pub(crate) fn assemble(&self, factors: Vec<Estimand>) -> Estimand {
        let mut nodes = NodeSet::new();
        for district in &self.districts {
            nodes.extend_with(district);
        }
        let summed = nodes.difference(&self.outcome).difference(&self.given);
        let joint = Estimand::sum(&summed, Estimand::product(factors));
        if self.given.is_disjoint(&nodes) {
            return joint;
        }
        let evidence = Estimand::sum(&self.outcome, joint.clone());
        Estimand::fraction(joint, evidence)
    }
}

/// Keeps the districts that are joined with the outcome by variables that are summed over or asked
/// for; the factors of the others are constants once the condition is given, and cancel.
fn linked(
    graph: &Admg,
    districts: Vec<NodeSet>,
    outcome: &NodeSet,
    given: &NodeSet,
) -> Vec<NodeSet> {
    let scopes: Vec<NodeSet> = districts
        .iter()
        .map(|district| {
            district
                .union(&graph.parents_of(district))
                .difference(given)
        })
        .collect();
    let mut own = NodeSet::new();
    for district in &districts {
        own.extend_with(district);
    }
    let mut reached = outcome.clone();
    let mut kept = vec![false; districts.len()];
    while let Some(i) = (0..kept.len()).find(|&i| !kept[i] && !scopes[i].is_disjoint(&reached)) {
        kept[i] = true;
        // Only variables of the districts link: an intervened parent is a constant.
        reached.extend_with(&scopes[i].intersection(&own));
    }
    districts
        .into_iter()
        .zip(kept)
        .filter(|(_, kept)| *kept)
        .map(|(district, _)| district)
        .collect()
}
