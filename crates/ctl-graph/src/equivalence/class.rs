//! The members of a class, and how many there are.

use std::collections::BTreeMap;

use super::meek::{close_under_meek, to_dag};
use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// The DAGs of a class, each once.
///
/// Fixing an undirected edge and closing under Meek's rules never ends in a contradiction, so each
/// member is found in polynomial time.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::Cpdag};
///
/// let cpdag = Cpdag::of(&Diagram::parse("a -> b -> c")?)?;
/// let members: Vec<String> = cpdag.members().map(|member| member.to_string()).collect();
/// assert_eq!(members, ["a -> b; b -> c", "a; b; c; b -> a; b -> c", "a; b; c; b -> a; c -> b"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Members {
    open: Vec<MarkedGraph>,
    latent: NodeSet,
}

impl Members {
    pub(super) fn new(graph: MarkedGraph, latent: NodeSet) -> Self {
        let open = vec![graph];
        Self { open, latent }
    }
}

impl Iterator for Members {
    type Item = Diagram;

    fn next(&mut self) -> Option<Diagram> {
        while let Some(graph) = self.open.pop() {
            let undirected = graph
                .edges()
                .find(|edge| graph.is_undirected(edge.a, edge.b));
            let Some(edge) = undirected else {
                // Members are acyclic by construction; a graph that is not is passed over.
                match to_dag(&graph, &self.latent) {
                    Ok(member) => return Some(member),
                    Err(_) => continue,
                }
            };
            for (from, to) in [(edge.b, edge.a), (edge.a, edge.b)] {
                let mut fixed = graph.clone();
                fixed.join_directed(from, to);
                close_under_meek(&mut fixed);
                self.open.push(fixed);
            }
        }
        None
    }
}

pub(super) fn size(graph: &MarkedGraph, limit: usize) -> Result<u128, GraphError> {
    let mut counted = Counted {
        known: BTreeMap::new(),
        limit,
    };
    let undirected: Vec<NodeSet> = graph.ids().map(|node| graph.neighbours(node)).collect();
    counted.product(&undirected, &graph.ids().collect())
}

/// The numbers of DAGs of the connected chordal graphs met so far, by their nodes.
struct Counted {
    known: BTreeMap<NodeSet, u128>,
    limit: usize,
}

impl Counted {
    fn too_many(&self) -> GraphError {
        GraphError::Limit {
            subject: "parts of an equivalence class",
            limit: self.limit,
        }
    }

    /// The product over the connected parts of an undirected graph.
    fn product(&mut self, neighbours: &[NodeSet], nodes: &NodeSet) -> Result<u128, GraphError> {
        let mut left = nodes.clone();
        let mut product: u128 = 1;
        while let Some(start) = left.first() {
            let part = part_of(neighbours, start, nodes);
            left = left.difference(&part);
            let members = self.connected(neighbours, &part)?;
            product = product
                .checked_mul(members)
                .ok_or_else(|| self.too_many())?;
        }
        Ok(product)
    }

    /// The number of DAGs without a v-structure on a connected chordal graph.
    fn connected(&mut self, neighbours: &[NodeSet], part: &NodeSet) -> Result<u128, GraphError> {
        let size = part.len();
        let degrees = part
            .iter()
            .map(|node| neighbours[node.index()].intersection(part).len());
        let edges = degrees.sum::<usize>() / 2;
        if edges + 1 == size {
            return Ok(size as u128);
        }
        if let Some(&members) = self.known.get(part) {
            return Ok(members);
        }
        if self.known.len() >= self.limit {
            return Err(self.too_many());
        }
        let mut total: u128 = 0;
        for source in part {
            let remaining = with_source(neighbours, part, source)?;
            let members = self.product(&remaining, part)?;
            total = total.checked_add(members).ok_or_else(|| self.too_many())?;
        }
        self.known.insert(part.clone(), total);
        Ok(total)
    }
}

fn part_of(neighbours: &[NodeSet], start: NodeId, nodes: &NodeSet) -> NodeSet {
    let (mut part, mut open) = (NodeSet::single(start), vec![start]);
    while let Some(node) = open.pop() {
        let next = neighbours[node.index()]
            .intersection(nodes)
            .difference(&part);
        part.extend_with(&next);
        open.extend(&next);
    }
    part
}

/// The edges that stay undirected when a node is the source of its part.
fn with_source(
    neighbours: &[NodeSet],
    part: &NodeSet,
    source: NodeId,
) -> Result<Vec<NodeSet>, GraphError> {
    let names: Vec<String> = (0..neighbours.len())
        .map(|index| index.to_string())
        .collect();
    let mut graph = MarkedGraph::new(&names)?;
    for node in part {
        let others = neighbours[node.index()].intersection(part);
        others
            .iter()
            .for_each(|other| graph.join_undirected(node, other));
    }
    for other in &neighbours[source.index()].intersection(part) {
        graph.join_directed(source, other);
    }
    close_under_meek(&mut graph);
    Ok(graph.ids().map(|node| graph.neighbours(node)).collect())
}
