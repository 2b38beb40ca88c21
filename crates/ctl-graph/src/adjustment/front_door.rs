//! Front-door sets.

use crate::equivalence::possible;
use crate::graph::MarkedGraph;
use crate::separation::reached;
use crate::{Diagram, GraphError, Mixed, NodeSet};

/// The sets of mediators by which the effect of `x` on `y` is found in spite of confounding:
/// `P(y | do(x)) = Σ_m P(m | x) Σ_x' P(y | x', m) P(x')`.
///
/// A set is one when it intercepts every directed path from `x` to `y`, no back-door path from `x`
/// to it is open, and `x` blocks every back-door path from it to `y`.
///
/// # References
/// Pearl (2009), *Causality*, definition 3.3.3; Jeong, Tian and Bareinboim (2022), *Finding and
/// listing front-door adjustment sets*.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, adjustment::FrontDoor};
///
/// let diagram = Diagram::parse("smoking -> tar -> cancer; smoking <-> cancer")?;
/// let (x, y) = (diagram.set(&["smoking"])?, diagram.set(&["cancer"])?);
/// let front_door = FrontDoor::new(&diagram, &x, &y)?;
/// assert!(front_door.is_valid(&diagram.set(&["tar"])?)?);
/// assert_eq!(front_door.minimal().collect::<Vec<_>>(), [diagram.set(&["tar"])?]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrontDoor<'a> {
    diagram: &'a Diagram,
    /// The CPDAG of the class in all of whose members sets must be front-door sets, of which the
    /// diagram is one; nothing when the diagram alone counts.
    class: Option<&'a MarkedGraph>,
    x: NodeSet,
    y: NodeSet,
    /// The allowed nodes to which no back-door path from `x` is open.
    clear: NodeSet,
}

impl<'a> FrontDoor<'a> {
    /// Front-door sets among the observed nodes.
    ///
    /// # Errors
    /// [`GraphError::Overlap`], [`GraphError::ForeignNode`] and [`GraphError::EmptySet`].
    pub fn new(diagram: &'a Diagram, x: &NodeSet, y: &NodeSet) -> Result<Self, GraphError> {
        Self::over(diagram, None, x, y)
    }

    /// Front-door sets in every member of a class, of which `member` is one.
    pub(crate) fn in_class(
        member: &'a Diagram,
        class: &'a MarkedGraph,
        x: &NodeSet,
        y: &NodeSet,
    ) -> Result<Self, GraphError> {
        Self::over(member, Some(class), x, y)
    }

    fn over(
        diagram: &'a Diagram,
        class: Option<&'a MarkedGraph>,
        x: &NodeSet,
        y: &NodeSet,
    ) -> Result<Self, GraphError> {
        diagram.check_disjoint(&[("x", x), ("y", y)])?;
        for (subject, set) in [("x", x), ("y", y)] {
            if set.is_empty() {
                return Err(GraphError::EmptySet { subject });
            }
        }
        let behind = diagram.view().without_outgoing(x);
        let mut confounded = reached(&behind, x, &NodeSet::new());
        if let Some(graph) = class {
            confounded.extend_with(&possible::beyond_undirected(graph, x));
        }
        let clear = diagram
            .observed()
            .difference(&confounded)
            .difference(x)
            .difference(y);
        Ok(Self {
            diagram,
            class,
            x: x.clone(),
            y: y.clone(),
            clear,
        })
    }

    /// Uses these nodes at most.
    #[must_use]
    pub fn among(mut self, nodes: &NodeSet) -> Self {
        self.clear = self.clear.intersection(nodes);
        self
    }

    /// Tells whether a set is a front-door set.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`], and [`GraphError::Overlap`] with treatments or outcomes.
    pub fn is_valid(&self, m: &NodeSet) -> Result<bool, GraphError> {
        self.diagram
            .check_disjoint(&[("x", &self.x), ("y", &self.y), ("m", m)])?;
        Ok(m.is_subset(&self.clear) && self.largest(m) == *m && self.intercepts(m))
    }

    /// The largest front-door set, which exists whenever any does.
    pub fn largest_set(&self) -> Option<NodeSet> {
        self.largest_within(&self.clear)
    }

    /// All front-door sets, one at a time.
    pub fn all(&self) -> FrontDoorSets<'a> {
        let open = vec![(NodeSet::new(), self.clear.clone())];
        FrontDoorSets {
            front_door: self.clone(),
            open,
        }
    }

    /// The front-door sets of which no proper subset is one.
    ///
    /// # Complexity
    /// Each is checked in polynomial time, but all front-door sets are gone through.
    pub fn minimal(&self) -> impl Iterator<Item = NodeSet> + 'a {
        let front_door = self.clone();
        self.all().filter(move |set| front_door.is_minimal(set))
    }

    fn is_minimal(&self, set: &NodeSet) -> bool {
        set.iter().all(|node| {
            let smaller = set.difference(&NodeSet::single(node));
            self.largest_within(&smaller).is_none()
        })
    }

    fn largest_within(&self, allowed: &NodeSet) -> Option<NodeSet> {
        Some(self.largest(allowed)).filter(|set| self.intercepts(set))
    }

    /// The largest subset of clear nodes from which `x` blocks all back-door paths to `y`.
    ///
    /// A node that fails beside all of the others fails beside fewer, too, since with each of them
    /// more edges are left; so those that fail may go, again and again.
    fn largest(&self, allowed: &NodeSet) -> NodeSet {
        let mut kept = allowed.clone();
        loop {
            let behind = self.diagram.view().without_outgoing(&kept);
            let mut failing = reached(&behind, &self.y, &self.x).intersection(&kept);
            if let Some(graph) = self.class {
                failing.extend_with(&possible::undirected_causes(graph, &kept, &self.y));
            }
            if failing.is_empty() {
                return kept;
            }
            kept = kept.difference(&failing);
        }
    }

    fn intercepts(&self, m: &NodeSet) -> bool {
        let after = if let Some(graph) = self.class {
            possible::descendants_outside(graph, &self.x, m)
        } else {
            let others = self.diagram.nodes().difference(m);
            self.diagram.view().induced(&others).descendants(&self.x)
        };
        after.is_disjoint(&self.y)
    }
}

/// The front-door sets, each once; there may be exponentially many, each is found in polynomial
/// time.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, adjustment::FrontDoor};
///
/// let diagram = Diagram::parse("x -> m -> n -> y; x <-> y")?;
/// let (x, y) = (diagram.set(&["x"])?, diagram.set(&["y"])?);
/// let sets = FrontDoor::new(&diagram, &x, &y)?.all();
/// let names: Vec<_> = sets.map(|set| diagram.names(&set).join(" ")).collect();
/// assert_eq!(names, ["m n", "m", "n"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrontDoorSets<'a> {
    front_door: FrontDoor<'a>,
    /// Smallest and largest set between which sets are still to be found.
    open: Vec<(NodeSet, NodeSet)>,
}

impl Iterator for FrontDoorSets<'_> {
    type Item = NodeSet;

    fn next(&mut self) -> Option<NodeSet> {
        while let Some((smallest, allowed)) = self.open.pop() {
            let Some(largest) = self.front_door.largest_within(&allowed) else {
                continue;
            };
            if !smallest.is_subset(&largest) {
                continue;
            }
            let Some(node) = largest.difference(&smallest).first() else {
                return Some(smallest);
            };
            let (mut with, mut without) = (smallest.clone(), largest.clone());
            with.insert(node);
            without.remove(node);
            self.open.push((smallest, without));
            self.open.push((with, largest));
        }
        None
    }
}
