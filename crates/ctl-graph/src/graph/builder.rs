//! Building diagrams, and every check that an edge must pass.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::diagram::{Lists, Parts};
use super::{Diagram, Node, NodeId};
use crate::GraphError;

/// Collects nodes and edges; nodes keep the order in which they are first named.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, GraphError};
///
/// let diagram = Diagram::builder()
///     .node("disease")?
///     .directed("disease", "image")?
///     .bidirected("disease", "age")?
///     .build()?;
/// assert_eq!(diagram.len(), 3);
///
/// let twice = Diagram::builder().directed("a", "b")?.directed("a", "b");
/// assert_eq!(twice.unwrap_err(), GraphError::DuplicateEdge { edge: "a -> b".to_owned() });
/// let cycle = Diagram::builder().directed("a", "b")?.directed("b", "a")?.build();
/// assert_eq!(cycle.unwrap_err(), GraphError::Cycle { edges: "a -> b -> a".to_owned() });
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DiagramBuilder {
    nodes: Vec<Node>,
    index: HashMap<String, NodeId>,
    directed: BTreeSet<(NodeId, NodeId)>,
    bidirected: BTreeSet<(NodeId, NodeId)>,
}

impl DiagramBuilder {
    /// Adds a node.
    ///
    /// # Errors
    /// [`GraphError::EmptyName`] and [`GraphError::DuplicateNode`].
    pub fn node(mut self, name: &str) -> Result<Self, GraphError> {
        self.declare(name)?;
        Ok(self)
    }

    /// Adds an edge from a cause to its effect; names not yet known become nodes.
    ///
    /// # Errors
    /// [`GraphError::EmptyName`], [`GraphError::SelfLoop`] and [`GraphError::DuplicateEdge`].
    pub fn directed(mut self, from: &str, to: &str) -> Result<Self, GraphError> {
        self.add_directed(from, to)?;
        Ok(self)
    }

    /// Adds an edge for a common cause that is not drawn; names not yet known become nodes.
    ///
    /// # Errors
    /// As for [`DiagramBuilder::directed`].
    pub fn bidirected(mut self, a: &str, b: &str) -> Result<Self, GraphError> {
        self.add_bidirected(a, b)?;
        Ok(self)
    }

    /// Marks a node as one whose values data cannot hold; adds it when it is not known.
    ///
    /// # Errors
    /// [`GraphError::EmptyName`].
    pub fn latent(mut self, name: &str) -> Result<Self, GraphError> {
        self.set_observed(name, false)?;
        Ok(self)
    }

    /// Checks that the edges have no cycle, and makes the diagram.
    ///
    /// # Errors
    /// [`GraphError::Cycle`], naming its edges.
    pub fn build(self) -> Result<Diagram, GraphError> {
        let directed: Vec<_> = self.directed.into_iter().collect();
        let order = sorted(&self.nodes, &directed)?;
        Ok(Diagram::from_parts(Parts {
            nodes: self.nodes,
            index: self.index,
            directed,
            bidirected: self.bidirected.into_iter().collect(),
            order,
        }))
    }

    pub(crate) fn declare(&mut self, name: &str) -> Result<NodeId, GraphError> {
        if self.index.contains_key(name) {
            return Err(GraphError::DuplicateNode {
                name: name.to_owned(),
            });
        }
        self.get_or_add(name)
    }

    pub(crate) fn get_or_add(&mut self, name: &str) -> Result<NodeId, GraphError> {
        if name.is_empty() {
            return Err(GraphError::EmptyName);
        }
        if let Some(&id) = self.index.get(name) {
            return Ok(id);
        }
        let id = NodeId::new(self.nodes.len());
        self.nodes.push(Node {
            name: name.to_owned(),
            observed: true,
        });
        self.index.insert(name.to_owned(), id);
        Ok(id)
    }

    pub(crate) fn set_observed(&mut self, name: &str, observed: bool) -> Result<(), GraphError> {
        let id = self.get_or_add(name)?;
        self.nodes[id.index()].observed = observed;
        Ok(())
    }

    pub(crate) fn add_directed(&mut self, from: &str, to: &str) -> Result<(), GraphError> {
        let edge = || format!("{from} -> {to}");
        let (a, b) = (self.get_or_add(from)?, self.get_or_add(to)?);
        if a == b {
            return Err(GraphError::SelfLoop { edge: edge() });
        }
        if !self.directed.insert((a, b)) {
            return Err(GraphError::DuplicateEdge { edge: edge() });
        }
        Ok(())
    }

    pub(crate) fn add_bidirected(&mut self, from: &str, to: &str) -> Result<(), GraphError> {
        let edge = || format!("{from} <-> {to}");
        let (a, b) = (self.get_or_add(from)?, self.get_or_add(to)?);
        if a == b {
            return Err(GraphError::SelfLoop { edge: edge() });
        }
        if !self.bidirected.insert((a.min(b), a.max(b))) {
            return Err(GraphError::DuplicateEdge { edge: edge() });
        }
        Ok(())
    }
}

/// A topological order, smallest index first among the nodes that are free.
fn sorted(nodes: &[Node], directed: &[(NodeId, NodeId)]) -> Result<Vec<NodeId>, GraphError> {
    let size = nodes.len();
    let children = Lists::new(size, directed.to_vec());
    let mut missing = vec![0_usize; size];
    for (_, to) in directed {
        missing[to.index()] += 1;
    }
    let free = (0..size).filter(|&i| missing[i] == 0);
    let mut free: BinaryHeap<_> = free.map(|i| Reverse(NodeId::new(i))).collect();
    let mut order = Vec::with_capacity(size);
    while let Some(Reverse(node)) = free.pop() {
        order.push(node);
        for &child in children.of(node) {
            missing[child.index()] -= 1;
            if missing[child.index()] == 0 {
                free.push(Reverse(child));
            }
        }
    }
    if order.len() == size {
        Ok(order)
    } else {
        Err(cycle(nodes, directed, &missing))
    }
}

/// The cycle that is met by walking backwards among the nodes that never became free: each of
/// them has a parent that did not either.
fn cycle(nodes: &[Node], directed: &[(NodeId, NodeId)], missing: &[usize]) -> GraphError {
    let turned = directed.iter().map(|&(from, to)| (to, from)).collect();
    let parents = Lists::new(nodes.len(), turned);
    let start = missing.iter().position(|&count| count > 0).unwrap_or(0);
    let mut walk = vec![NodeId::new(start)];
    let mut seen_at = vec![usize::MAX; nodes.len()];
    let from = loop {
        let node = walk[walk.len() - 1];
        if seen_at[node.index()] != usize::MAX {
            break seen_at[node.index()];
        }
        seen_at[node.index()] = walk.len() - 1;
        let stuck = parents
            .of(node)
            .iter()
            .copied()
            .find(|p| missing[p.index()] > 0);
        walk.push(stuck.unwrap_or(node));
    };
    let names = walk[from..]
        .iter()
        .rev()
        .map(|node| nodes[node.index()].name.as_str());
    GraphError::Cycle {
        edges: names.collect::<Vec<_>>().join(" -> "),
    }
}
