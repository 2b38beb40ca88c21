//! Conditional instruments.

use crate::separation::independent;
use crate::{Diagram, GraphError, Mixed, NodeId, NodeSet, View};

/// An instrument, and the set given which it is one.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, adjustment::{Instrument, conditional_instruments}};
///
/// let diagram = Diagram::parse("lottery -> scan -> cure; scan <-> cure")?;
/// let (scan, cure) = (diagram.node("scan")?, diagram.node("cure")?);
/// let found: Vec<Instrument> = conditional_instruments(&diagram, scan, cure, 0)?.collect();
/// let (instrument, given) = (diagram.node("lottery")?, NodeSet::new());
/// assert_eq!(found, [Instrument { instrument, given }]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instrument {
    /// The instrument.
    pub instrument: NodeId,
    /// What is conditioned on.
    pub given: NodeSet,
}

/// Tells whether `z` is an instrument for the edge `x -> y` given `w`.
///
/// It is when `w` holds no descendant of `y`, `z` and `x` are connected given `w`, and without the
/// edge `x -> y` the set `w` separates `z` from `y`.
///
/// # Arguments
/// - `diagram`: the diagram.
/// - `x`, `y`: treatment and outcome; without an edge `x -> y` nothing is an instrument for it.
/// - `z`: the candidate.
/// - `w`: what is conditioned on.
///
/// # Errors
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # References
/// Brito and Pearl (2002), *Generalized instrumental variables*, definition 1.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, adjustment::is_instrument};
///
/// let diagram = Diagram::parse("z -> x -> y; x <-> y; w -> z; w -> y")?;
/// let node = |name| diagram.node(name);
/// let (x, y, z) = (node("x")?, node("y")?, node("z")?);
/// assert!(!is_instrument(&diagram, x, y, z, &NodeSet::new())?);
/// assert!(is_instrument(&diagram, x, y, z, &diagram.set(&["w"])?)?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn is_instrument(
    diagram: &Diagram,
    x: NodeId,
    y: NodeId,
    z: NodeId,
    w: &NodeSet,
) -> Result<bool, GraphError> {
    let [x_set, y_set, z_set] = [x, y, z].map(NodeSet::single);
    diagram.check_disjoint(&[("x", &x_set), ("y", &y_set), ("z", &z_set), ("w", w)])?;
    Ok(Edge::of(diagram, x, y).is_some_and(|edge| edge.has_instrument(z, w)))
}

/// The conditional instruments for the edge `x -> y`, one at a time: first those without a
/// condition, then those given one node, and so on.
///
/// # Arguments
/// - `diagram`: the diagram.
/// - `x`, `y`: treatment and outcome; without an edge `x -> y` there are none.
/// - `limit`: the largest number of nodes to condition on, as their subsets are exponentially many.
///
/// # Errors
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, adjustment::conditional_instruments};
///
/// let diagram = Diagram::parse("z -> x -> y; x <-> y; w -> z; w -> y")?;
/// let found: Vec<_> = conditional_instruments(&diagram, diagram.node("x")?, diagram.node("y")?, 1)?
///     .map(|found| (diagram.name(found.instrument), diagram.names(&found.given)))
///     .collect();
/// assert_eq!(found, [("z", vec!["w"])]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn conditional_instruments(
    diagram: &Diagram,
    x: NodeId,
    y: NodeId,
    limit: usize,
) -> Result<impl Iterator<Item = Instrument>, GraphError> {
    diagram.check_disjoint(&[("x", &NodeSet::single(x)), ("y", &NodeSet::single(y))])?;
    let edge = Edge::of(diagram, x, y);
    let candidates: Vec<NodeId> = diagram
        .observed()
        .iter()
        .filter(|&node| node != x && node != y)
        .collect();
    let found = edge.into_iter().flat_map(move |edge| {
        let given: Vec<NodeId> = candidates
            .iter()
            .copied()
            .filter(|&node| !edge.after_y.contains(node))
            .collect();
        let candidates = candidates.clone();
        subsets(given, limit).flat_map(move |given| edge.instruments(&candidates, &given))
    });
    Ok(found)
}

/// The diagram without one edge.
#[derive(Clone)]
struct Edge<'a> {
    without: View<'a>,
    x: NodeSet,
    y: NodeSet,
    after_y: NodeSet,
}

impl<'a> Edge<'a> {
    fn of(diagram: &'a Diagram, x: NodeId, y: NodeId) -> Option<Self> {
        let (x_set, y_set) = (NodeSet::single(x), NodeSet::single(y));
        diagram.has_directed(x, y).then(|| Self {
            without: diagram.view().without_edges(&x_set, &y_set),
            after_y: diagram.descendants(&y_set),
            x: x_set,
            y: y_set,
        })
    }

    /// Without the edge the connection of `z` and `x` is the same as with it: a path over `y` is
    /// blocked there, or would connect `z` with `y` without the edge.
    fn has_instrument(&self, z: NodeId, w: &NodeSet) -> bool {
        let z = NodeSet::single(z);
        w.is_disjoint(&self.after_y)
            && independent(&self.without, &z, &self.y, w)
            && !independent(&self.without, &z, &self.x, w)
    }

    fn instruments(&self, candidates: &[NodeId], given: &NodeSet) -> Vec<Instrument> {
        let outside = candidates
            .iter()
            .copied()
            .filter(|&node| !given.contains(node));
        let found = outside.filter(|&node| self.has_instrument(node, given));
        found
            .map(|instrument| Instrument {
                instrument,
                given: given.clone(),
            })
            .collect()
    }
}

/// The subsets of at most `limit` members, by size and then by place.
fn subsets(members: Vec<NodeId>, limit: usize) -> impl Iterator<Item = NodeSet> {
    (0..=limit.min(members.len())).flat_map(move |size| {
        let members = members.clone();
        let first = (size <= members.len()).then(|| (0..size).collect::<Vec<usize>>());
        let count = members.len();
        std::iter::successors(first, move |places| following(places, count))
            .map(move |places| places.into_iter().map(|place| members[place]).collect())
    })
}

/// The next combination of places below `count`, in lexicographic order.
fn following(places: &[usize], count: usize) -> Option<Vec<usize>> {
    let size = places.len();
    let moved = (0..size).rfind(|&i| places[i] < count - size + i)?;
    let mut next = places[..moved].to_vec();
    next.extend((places[moved] + 1..).take(size - moved));
    Some(next)
}
