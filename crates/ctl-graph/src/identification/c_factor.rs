//! Q[C]: the distribution of a district under intervention on everything else.

use std::sync::Arc;

use super::{Admg, Hedge};
use crate::NodeSet;
use crate::estimand::{Domain, Estimand, Probability};

/// Computes Q\[C\] = P(c | do(v \ c)) from the distribution of one experiment.
///
/// # Arguments
/// - `component`: C, joined by bidirected edges, and disjoint from the intervention.
/// - `domain`, `intervention`: where P(v \ z | do(z)) was observed.
///
/// # Errors
/// The hedge, if that distribution does not determine Q\[C\].
///
/// # References
/// Tian, Pearl 2002, "On the identification of causal effects", procedure Identify.
pub(crate) fn c_factor(
    graph: &Admg,
    component: &NodeSet,
    domain: Domain,
    intervention: &NodeSet,
) -> Result<Estimand, Hedge> {
    let Some(member) = component.first() else {
        return Ok(Estimand::One);
    };
    let region = graph.ancestors(component, &graph.nodes().difference(intervention));
    let mut district = graph.district(member, &region);
    let mut q = Arc::new(district_factor(
        graph,
        &district,
        &region,
        domain,
        intervention,
    ));
    while district != *component {
        let ancestral = graph.ancestors(component, &district);
        if ancestral == district {
            return Err(Hedge::new(graph, district, component.clone()));
        }
        let marginal = Arc::new(Estimand::sum(&district.difference(&ancestral), q));
        district = graph.district(member, &ancestral);
        q = if district == ancestral {
            marginal
        } else {
            Arc::new(ratios(graph, &marginal, &ancestral, &district))
        };
    }
    Ok(Arc::unwrap_or_clone(q))
}

/// Q\[T\] of a district of an ancestral region: Π P(v | what precedes and touches v).
fn district_factor(
    graph: &Admg,
    district: &NodeSet,
    region: &NodeSet,
    domain: Domain,
    intervention: &NodeSet,
) -> Estimand {
    let mut before = NodeSet::new();
    let mut factors = Vec::with_capacity(district.len());
    for node in graph.sorted(region) {
        before.insert(node);
        if district.contains(node) {
            let mut given = graph.district(node, &before);
            given.extend_with(&graph.parents_of(&given));
            given.remove(node);
            let probability = Probability::of(&node.into()).given(&given.difference(intervention));
            factors.push(Estimand::from(
                probability.under(intervention).in_domain(domain),
            ));
        }
    }
    Estimand::product(factors)
}

/// Q\[T\] for a district T of the graph on A from Q\[A\]: Π Q\[A up to v\] / Q\[A before v\], where
/// the ratios of neighbours in the causal order telescope.
fn ratios(graph: &Admg, whole: &Arc<Estimand>, region: &NodeSet, district: &NodeSet) -> Estimand {
    let order = graph.sorted(region);
    let up_to = |end: usize| {
        let after: NodeSet = order[end..].iter().copied().collect();
        Estimand::sum(&after, Arc::clone(whole))
    };
    let mut factors = Vec::new();
    let mut position = 0;
    for run in order.chunk_by(|a, b| district.contains(*a) == district.contains(*b)) {
        let start = position;
        position += run.len();
        if district.contains(run[0]) {
            // The sum over everything is one.
            let below = if start == 0 {
                Estimand::One
            } else {
                up_to(start)
            };
            factors.push(Estimand::fraction(up_to(position), below));
        }
    }
    Estimand::product(factors)
}
