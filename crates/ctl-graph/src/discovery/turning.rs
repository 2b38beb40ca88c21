//! The turning phase of the greedy equivalence search.

use super::error::DiscoveryError;
use super::ges::{Operator, Search, Step, is_clique};
use super::score::LocalScore;
use crate::equivalence::extension;
use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

impl<S: LocalScore + ?Sized> Search<'_, S> {
    /// The best change of `y -> x`, in a member in which a clique of neighbours points to `y`, to
    /// `x -> y`.
    pub(super) fn best_turn(&mut self) -> Result<Option<Operator>, DiscoveryError> {
        let mut best = None;
        for (x, y) in self.pairs(true) {
            if self.graph.is_directed(x, y) {
                continue;
            }
            let mut around = self.graph.neighbours(y);
            around.remove(x);
            for clique in self.subsets(&around) {
                if !is_clique(&self.graph, &clique) {
                    continue;
                }
                let gain = self.gain_of_turn(x, y, &clique)?;
                if !self.better(best.as_ref(), gain) {
                    continue;
                }
                if let Some(member) = turned(&self.graph, x, y, &clique)? {
                    let step = Step::Turn(Box::new(member));
                    best = Some(Operator { gain, step });
                }
            }
        }
        Ok(best)
    }

    fn gain_of_turn(
        &mut self,
        x: NodeId,
        y: NodeId,
        clique: &NodeSet,
    ) -> Result<f64, DiscoveryError> {
        let before_y = self.graph.parents(y).union(clique);
        let shared = clique.intersection(&self.graph.neighbours(x));
        let mut before_x = self.graph.parents(x).union(&shared);
        before_x.remove(y);
        let with = |set: &NodeSet, node| set.union(&NodeSet::single(node));
        let new =
            self.score.local(y, with(&before_y, x))? + self.score.local(x, before_x.clone())?;
        let old = self.score.local(x, with(&before_x, y))? + self.score.local(y, before_y)?;
        Ok(new - old)
    }
}

/// The member with `y -> x` and the clique before both, with that edge turned; `None` where there
/// is no such member, or the turn closes a cycle.
fn turned(
    graph: &MarkedGraph,
    x: NodeId,
    y: NodeId,
    clique: &NodeSet,
) -> Result<Option<Diagram>, GraphError> {
    let mut oriented = graph.clone();
    oriented.join_directed(y, x);
    for (node, other) in [(y, x), (x, y)] {
        for neighbour in &graph.neighbours(node) {
            if clique.contains(neighbour) {
                oriented.join_directed(neighbour, node);
            } else if neighbour != other {
                oriented.join_directed(node, neighbour);
            }
        }
    }
    let Some(member) = extension(&oriented)? else {
        return Ok(None);
    };
    let mut turned = oriented;
    for (from, to) in member.directed_edges() {
        turned.join_directed(from, to);
    }
    turned.join_directed(x, y);
    extension(&turned)
}
