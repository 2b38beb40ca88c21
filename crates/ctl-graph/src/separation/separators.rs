//! Separators: one minimal, all minimal, all.

use super::reach::{independent, moral_reach};
use crate::graph::moral_within;
use crate::{GraphError, Mixed, NodeSet};

/// A minimal separator of `x` and `y` among the allowed nodes, if any separates them.
///
/// # Arguments
/// - `graph`: a diagram or a view of one.
/// - `x`, `y`: disjoint, not empty.
/// - `allowed`: the nodes that the separator may hold; members of `x` and `y` are passed over.
///
/// # Errors
/// [`GraphError::Overlap`], [`GraphError::ForeignNode`] and [`GraphError::EmptySet`].
///
/// # Complexity
/// Linear in nodes and edges.
///
/// # References
/// van der Zander and Liśkiewicz (2020), *Finding minimal d-separators in linear time*: the
/// allowed ancestors, first narrowed to those that `x` reaches, then to those that `y` reaches.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::minimal_separator};
///
/// let diagram = Diagram::parse("x <- a <- b -> y; a -> c")?;
/// let (x, y) = (diagram.set(&["x"])?, diagram.set(&["y"])?);
/// let found = minimal_separator(&diagram, &x, &y, &diagram.observed())?;
/// assert_eq!(found, Some(diagram.set(&["a"])?));
/// assert_eq!(minimal_separator(&diagram, &x, &y, &diagram.set(&["c"])?)?, None);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn minimal_separator(
    graph: &impl Mixed,
    x: &NodeSet,
    y: &NodeSet,
    allowed: &NodeSet,
) -> Result<Option<NodeSet>, GraphError> {
    check_ends(graph, x, y)?;
    Ok(one_minimal(graph, x, y, allowed))
}

pub(crate) fn one_minimal(
    graph: &impl Mixed,
    x: &NodeSet,
    y: &NodeSet,
    allowed: &NodeSet,
) -> Option<NodeSet> {
    let ends = x.union(y);
    let ancestors = graph.ancestors(&ends);
    let widest = ancestors.intersection(allowed).difference(&ends);
    if !independent(graph, x, y, &widest) {
        return None;
    }
    let near_x = widest.intersection(&moral_reach(graph, x, &widest, &ancestors));
    Some(near_x.intersection(&moral_reach(graph, y, &near_x, &ancestors)))
}

/// All minimal separators of `x` and `y` among the allowed nodes, one at a time.
///
/// # Arguments
/// As for [`minimal_separator`].
///
/// # Errors
/// As for [`minimal_separator`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::minimal_separators};
///
/// let diagram = Diagram::parse("x <- a <- b -> y; x <- c -> d -> y")?;
/// let (x, y) = (diagram.set(&["x"])?, diagram.set(&["y"])?);
/// let all = minimal_separators(&diagram, &x, &y, &diagram.observed())?;
/// let mut names: Vec<_> = all.map(|set| diagram.names(&set).join(" ")).collect();
/// names.sort();
/// assert_eq!(names, ["a c", "a d", "b c", "b d"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn minimal_separators(
    graph: &impl Mixed,
    x: &NodeSet,
    y: &NodeSet,
    allowed: &NodeSet,
) -> Result<MinimalSeparators, GraphError> {
    check_ends(graph, x, y)?;
    Ok(MinimalSeparators::new(graph, x, y, allowed))
}

fn check_ends(graph: &impl Mixed, x: &NodeSet, y: &NodeSet) -> Result<(), GraphError> {
    graph.diagram().check_disjoint(&[("x", x), ("y", y)])?;
    for (subject, set) in [("x", x), ("y", y)] {
        if set.is_empty() {
            return Err(GraphError::EmptySet { subject });
        }
    }
    Ok(())
}

/// The minimal separators, each once; there may be exponentially many, each is found in
/// polynomial time.
///
/// # References
/// Takata (2010), *Space-optimal, backtracking algorithms to list the minimal vertex separators of
/// a graph*; van der Zander, Liśkiewicz and Textor (2014), *Constructing separators and adjustment
/// sets in ancestral graphs*, for the reduction to the moral graph of the ancestors.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::minimal_separators};
///
/// // 2^20 separators: the first few come at once.
/// let links = (0..20).map(|i| format!("x <- a{i} <- b{i} -> y"));
/// let diagram = Diagram::parse(&links.collect::<Vec<_>>().join("; "))?;
/// let (x, y) = (diagram.set(&["x"])?, diagram.set(&["y"])?);
/// let some = minimal_separators(&diagram, &x, &y, &diagram.observed())?.take(5);
/// assert!(some.map(|set| set.len()).eq([20; 5]));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MinimalSeparators {
    /// Neighbours among the nodes that a separator may hold, all others contracted.
    neighbours: Vec<NodeSet>,
    at_x: NodeSet,
    at_y: NodeSet,
    /// What lies on the side of `x`, and what must not be added to it.
    open: Vec<(NodeSet, NodeSet)>,
}

impl MinimalSeparators {
    /// An enumeration of nothing.
    pub(crate) fn none() -> Self {
        let (neighbours, open) = (Vec::new(), Vec::new());
        Self {
            neighbours,
            at_x: NodeSet::new(),
            at_y: NodeSet::new(),
            open,
        }
    }

    pub(crate) fn new(graph: &impl Mixed, x: &NodeSet, y: &NodeSet, allowed: &NodeSet) -> Self {
        let ends = x.union(y);
        let ancestors = graph.ancestors(&ends);
        let inside = ancestors.intersection(allowed).difference(&ends);
        let mut neighbours = moral_within(graph, &ancestors);
        contract(
            &mut neighbours,
            &ancestors.difference(&inside).difference(&ends),
        );
        let around = |set: &NodeSet| {
            let mut around = NodeSet::new();
            set.iter()
                .for_each(|node| around.extend_with(&neighbours[node.index()]));
            around
        };
        let (at_x, at_y) = (around(x), around(y));
        if !at_x.is_disjoint(y) {
            return Self::none();
        }
        let (at_x, at_y) = (at_x.intersection(&inside), at_y.intersection(&inside));
        for set in &mut neighbours {
            *set = set.intersection(&inside);
        }
        let mut result = Self {
            neighbours,
            at_x,
            at_y,
            open: Vec::new(),
        };
        let start = result.closed(&NodeSet::new());
        result.open.push((start, NodeSet::new()));
        result
    }

    /// The nodes next to `x` or to a set on its side.
    fn border(&self, side: &NodeSet) -> NodeSet {
        let mut border = self.at_x.clone();
        for node in side {
            border.extend_with(&self.neighbours[node.index()]);
        }
        border.difference(side)
    }

    /// The side of `x` that belongs to the separator nearest to a set on that side.
    fn closed(&self, side: &NodeSet) -> NodeSet {
        let border = self.border(side);
        let far = self.flood(&self.at_y, &border.union(side));
        let mut separator = self.at_y.clone();
        for node in &far {
            separator.extend_with(&self.neighbours[node.index()]);
        }
        self.flood(&self.at_x, &separator.intersection(&border))
    }

    /// What is reached from the start without entering the walls.
    fn flood(&self, start: &NodeSet, walls: &NodeSet) -> NodeSet {
        let mut reached = start.difference(walls);
        let mut fresh = reached.clone();
        while !fresh.is_empty() {
            let mut next = NodeSet::new();
            for node in &fresh {
                next.extend_with(&self.neighbours[node.index()]);
            }
            fresh = next.difference(walls).difference(&reached);
            reached.extend_with(&fresh);
        }
        reached
    }
}

impl Iterator for MinimalSeparators {
    type Item = NodeSet;

    fn next(&mut self) -> Option<NodeSet> {
        let (side, mut barred) = self.open.pop()?;
        let border = self.border(&side);
        let free = border.difference(&self.at_y);
        // Every minimal separator with this side or a larger one either has the node on its side,
        // which the pushed state covers, or not, which barring it covers.
        for node in &free.difference(&barred) {
            let mut larger = side.clone();
            larger.insert(node);
            let larger = self.closed(&larger);
            if larger.is_disjoint(&barred) {
                self.open.push((larger, barred.clone()));
            }
            barred.insert(node);
        }
        Some(border)
    }
}

/// Removes nodes, joining the neighbours of each connected group of them.
fn contract(neighbours: &mut [NodeSet], gone: &NodeSet) {
    for node in gone {
        let around = std::mem::take(&mut neighbours[node.index()]);
        for other in &around {
            let set = &mut neighbours[other.index()];
            set.extend_with(&around);
            set.remove(other);
            set.remove(node);
        }
    }
}
