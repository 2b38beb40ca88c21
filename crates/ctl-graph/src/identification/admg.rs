//! The observed part of a diagram as bit sets.

use std::collections::VecDeque;

use crate::{Diagram, NodeId, NodeSet};

/// Parents, siblings and a causal order of the observed nodes; indices are the diagram's.
///
/// Identification asks for ancestors and districts within many subsets of one graph, which is
/// fastest on whole neighbour sets.
pub(crate) struct Admg {
    nodes: NodeSet,
    parents: Vec<NodeSet>,
    siblings: Vec<NodeSet>,
    order: Vec<NodeId>,
}

impl Admg {
    /// The latent projection of a diagram on its observed nodes.
    pub(crate) fn of(diagram: &Diagram) -> Self {
        let latent = diagram.latent();
        let mut graph = Self {
            nodes: NodeSet::all(diagram.len()).difference(&latent),
            parents: diagram
                .ids()
                .map(|id| diagram.parents(id).clone())
                .collect(),
            siblings: diagram
                .ids()
                .map(|id| diagram.siblings(id).clone())
                .collect(),
            order: diagram.topological_order().to_vec(),
        };
        if !latent.is_empty() {
            graph.project_out(&latent);
        }
        graph
    }

    /// Removes the latent nodes one by one, joining what each was a cause or sibling of.
    fn project_out(&mut self, latent: &NodeSet) {
        for node in latent {
            let parents = std::mem::take(&mut self.parents[node.index()]);
            let siblings = std::mem::take(&mut self.siblings[node.index()]);
            let children: NodeSet = (0..self.parents.len())
                .map(NodeId::new)
                .filter(|child| self.parents[child.index()].contains(node))
                .collect();
            for child in &children {
                let own = &mut self.parents[child.index()];
                own.remove(node);
                own.extend_with(&parents);
                let joined = children.union(&siblings);
                for other in joined.iter().filter(|&other| other != child) {
                    self.siblings[child.index()].insert(other);
                    self.siblings[other.index()].insert(child);
                }
            }
            for sibling in &siblings {
                self.siblings[sibling.index()].remove(node);
            }
        }
        self.order.retain(|node| !latent.contains(*node));
    }

    /// The observed nodes.
    pub(crate) fn nodes(&self) -> &NodeSet {
        &self.nodes
    }

    /// The observed nodes, every parent before its children.
    pub(crate) fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The parents of a node.
    pub(crate) fn parents(&self, node: NodeId) -> &NodeSet {
        &self.parents[node.index()]
    }

    /// The parents of the members, members among them.
    pub(crate) fn parents_of(&self, set: &NodeSet) -> NodeSet {
        let mut parents = NodeSet::new();
        for node in set {
            parents.extend_with(self.parents(node));
        }
        parents
    }

    /// The set and its ancestors by paths within `within`.
    pub(crate) fn ancestors(&self, set: &NodeSet, within: &NodeSet) -> NodeSet {
        closure(&set.intersection(within), within, &self.parents)
    }

    /// The district of a node in the graph on `within`.
    pub(crate) fn district(&self, node: NodeId, within: &NodeSet) -> NodeSet {
        closure(&NodeSet::single(node), within, &self.siblings)
    }

    /// The districts of the graph on `within`, by their first nodes.
    pub(crate) fn districts(&self, within: &NodeSet) -> Vec<NodeSet> {
        let mut left = within.clone();
        let mut districts = Vec::new();
        while let Some(node) = left.first() {
            let district = self.district(node, within);
            left = left.difference(&district);
            districts.push(district);
        }
        districts
    }

    /// The causal order of a set's members.
    pub(crate) fn sorted(&self, set: &NodeSet) -> Vec<NodeId> {
        self.order
            .iter()
            .copied()
            .filter(|node| set.contains(*node))
            .collect()
    }
}

/// What can be reached from a set by neighbours within a region.
fn closure(start: &NodeSet, within: &NodeSet, neighbours: &[NodeSet]) -> NodeSet {
    let mut reached = start.clone();
    let mut queue: VecDeque<NodeId> = start.iter().collect();
    while let Some(node) = queue.pop_front() {
        let new = neighbours[node.index()]
            .intersection(within)
            .difference(&reached);
        queue.extend(new.iter());
        reached.extend_with(&new);
    }
    reached
}
