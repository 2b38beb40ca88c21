//! Adjustment sets: the generalised criterion and Pearl's back-door criterion.

use crate::separation::{MinimalSeparators, Separators, independent, one_minimal};
use crate::{Diagram, GraphError, Mixed, NodeSet, View};

/// The covariate sets by which the effect of `x` on `y` is found:
/// `P(y | do(x)) = Σ_z P(y | x, z) P(z)`.
///
/// A set is valid under the generalised criterion when it holds no forbidden node (a descendant of
/// a node on a proper causal path, or a member of `x` or `y`) and separates `x` from `y` in the
/// proper back-door graph, from which the first edges of all proper causal paths are gone. The
/// criterion is complete. Nodes that the diagram marks as latent are never adjusted for.
///
/// # References
/// Shpitser, `VanderWeele` and Robins (2010); Perković, Textor, Kalisch and Maathuis (2018),
/// *Complete graphical characterization and construction of adjustment sets*; van der Zander,
/// Liśkiewicz and Textor (2014) for the proper back-door graph.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, adjustment::Adjustment};
///
/// let diagram = Diagram::parse("severity -> scanner -> image; severity -> image; age -> severity")?;
/// let (x, y) = (diagram.set(&["scanner"])?, diagram.set(&["image"])?);
/// let adjustment = Adjustment::new(&diagram, &x, &y)?;
/// assert!(adjustment.is_valid(&diagram.set(&["severity"])?)?);
/// assert!(!adjustment.is_valid(&diagram.set(&["age"])?)?);
/// assert_eq!(adjustment.minimal().collect::<Vec<_>>(), [diagram.set(&["severity"])?]);
/// assert_eq!(adjustment.canonical(), Some(diagram.set(&["severity", "age"])?));
/// assert_eq!(adjustment.optimal()?, Some(diagram.set(&["severity"])?));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adjustment<'a> {
    /// The proper back-door graph.
    behind: View<'a>,
    x: NodeSet,
    y: NodeSet,
    forbidden: NodeSet,
    allowed: NodeSet,
    /// The parents of the nodes on proper causal paths.
    before_paths: NodeSet,
    /// Whether every causal path is known to be one; false only in a class of graphs.
    amenable: bool,
}

impl<'a> Adjustment<'a> {
    /// Adjustment by the generalised criterion.
    ///
    /// # Arguments
    /// - `diagram`: the diagram.
    /// - `x`, `y`: treatments and outcomes, disjoint, not empty.
    ///
    /// # Errors
    /// [`GraphError::Overlap`], [`GraphError::ForeignNode`] and [`GraphError::EmptySet`].
    pub fn new(diagram: &'a Diagram, x: &NodeSet, y: &NodeSet) -> Result<Self, GraphError> {
        check(diagram, x, y)?;
        let paths = causal_nodes(diagram, x, y);
        let forbidden = diagram.descendants(&paths).union(x).union(y);
        let before_paths = diagram.parents_of(&paths);
        Ok(Self::with(
            diagram,
            x,
            y,
            &paths,
            forbidden,
            before_paths,
            true,
        ))
    }

    /// Adjustment by Pearl's back-door criterion: no descendant of `x` may be used at all.
    ///
    /// # Arguments
    /// As for [`Adjustment::new`].
    ///
    /// # Errors
    /// As for [`Adjustment::new`].
    ///
    /// # References
    /// Pearl (2009), *Causality*, definition 3.3.1.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, adjustment::Adjustment};
    ///
    /// let diagram = Diagram::parse("x -> y; x -> d")?;
    /// let (x, y, d) = (diagram.set(&["x"])?, diagram.set(&["y"])?, diagram.set(&["d"])?);
    /// assert!(Adjustment::new(&diagram, &x, &y)?.is_valid(&d)?);
    /// assert!(!Adjustment::back_door(&diagram, &x, &y)?.is_valid(&d)?);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn back_door(diagram: &'a Diagram, x: &NodeSet, y: &NodeSet) -> Result<Self, GraphError> {
        let mut result = Self::new(diagram, x, y)?;
        result.forbidden.extend_with(&diagram.descendants(x));
        result.allowed = result.allowed.difference(&result.forbidden);
        Ok(result)
    }

    /// Adjustment that is valid in every member of a class, of which `member` is one.
    pub(crate) fn in_class(
        member: &'a Diagram,
        x: &NodeSet,
        y: &NodeSet,
        class: ClassFacts,
    ) -> Result<Self, GraphError> {
        check(member, x, y)?;
        let paths = causal_nodes(member, x, y);
        let forbidden = class.forbidden.union(x).union(y);
        Ok(Self::with(
            member,
            x,
            y,
            &paths,
            forbidden,
            class.before_paths,
            class.amenable,
        ))
    }

    fn with(
        diagram: &'a Diagram,
        x: &NodeSet,
        y: &NodeSet,
        paths: &NodeSet,
        forbidden: NodeSet,
        before_paths: NodeSet,
        amenable: bool,
    ) -> Self {
        Self {
            behind: diagram.view().without_edges(x, paths),
            x: x.clone(),
            y: y.clone(),
            allowed: diagram.observed().difference(&forbidden),
            forbidden,
            before_paths,
            amenable,
        }
    }

    /// Adjusts for these nodes at most.
    #[must_use]
    pub fn among(mut self, nodes: &NodeSet) -> Self {
        self.allowed = self.allowed.intersection(nodes);
        self
    }

    /// The nodes that no valid set holds, the treatments and outcomes included.
    pub fn forbidden(&self) -> &NodeSet {
        &self.forbidden
    }

    /// Tells whether adjusting for a set gives the effect.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`], and [`GraphError::Overlap`] with treatments or outcomes.
    ///
    /// # Complexity
    /// Linear in nodes and edges.
    pub fn is_valid(&self, z: &NodeSet) -> Result<bool, GraphError> {
        let sets = [("x", &self.x), ("y", &self.y), ("z", z)];
        self.behind.underlying().check_disjoint(&sets)?;
        Ok(self.holds(z))
    }

    fn holds(&self, z: &NodeSet) -> bool {
        self.amenable
            && z.is_subset(&self.allowed)
            && independent(&self.behind, &self.x, &self.y, z)
    }

    /// The allowed ancestors of treatments and outcomes, which are valid whenever any set is.
    pub fn canonical(&self) -> Option<NodeSet> {
        let ends = self.x.union(&self.y);
        let ancestors = self.behind.underlying().ancestors(&ends);
        Some(ancestors.intersection(&self.allowed)).filter(|set| self.holds(set))
    }

    /// A valid set of which no proper subset is valid.
    ///
    /// # Complexity
    /// Linear in nodes and edges.
    pub fn one_minimal(&self) -> Option<NodeSet> {
        if !self.amenable {
            return None;
        }
        one_minimal(&self.behind, &self.x, &self.y, &self.allowed)
    }

    /// All valid sets of which no proper subset is valid, one at a time.
    pub fn minimal(&self) -> MinimalSeparators {
        if !self.amenable {
            return MinimalSeparators::none();
        }
        MinimalSeparators::new(&self.behind, &self.x, &self.y, &self.allowed)
    }

    /// All valid sets, one at a time.
    pub fn all(&self) -> impl Iterator<Item = NodeSet> + '_ {
        let sets = Separators::new(
            &self.behind,
            &self.x,
            &self.y,
            &NodeSet::new(),
            &self.allowed,
        );
        sets.take_while(|_| self.amenable)
    }

    /// The set of least asymptotic variance: the parents of the nodes on causal paths that are not
    /// forbidden.
    ///
    /// # Returns
    /// Nothing when no set is valid, when the set holds nodes that must not be used, and when some
    /// outcome is not caused by the treatments, where no set need be optimal.
    ///
    /// # Errors
    /// [`GraphError::WrongEdge`] in a diagram with bidirected edges, where no set need be optimal.
    ///
    /// # References
    /// Henckel, Perković and Maathuis (2022), *Graphical criteria for efficient total effect
    /// estimation via adjustment in causal linear models*, definition 3.12.
    pub fn optimal(&self) -> Result<Option<NodeSet>, GraphError> {
        let diagram = self.behind.underlying();
        if let Some((a, b)) = diagram.bidirected_edges().next() {
            return Err(GraphError::WrongEdge {
                edge: format!("{} <-> {}", diagram.name(a), diagram.name(b)),
                expected: "the optimal set needs a graph without bidirected edges",
            });
        }
        if !self.y.is_subset(&diagram.descendants(&self.x)) {
            return Ok(None);
        }
        let optimal = self.before_paths.difference(&self.forbidden);
        Ok(Some(optimal).filter(|set| self.holds(set)))
    }
}

/// What the members of a class of graphs have in common about the effect of `x` on `y`.
pub(crate) struct ClassFacts {
    pub(crate) forbidden: NodeSet,
    pub(crate) before_paths: NodeSet,
    pub(crate) amenable: bool,
}

fn check(diagram: &Diagram, x: &NodeSet, y: &NodeSet) -> Result<(), GraphError> {
    diagram.check_disjoint(&[("x", x), ("y", y)])?;
    for (subject, set) in [("x", x), ("y", y)] {
        if set.is_empty() {
            return Err(GraphError::EmptySet { subject });
        }
    }
    Ok(())
}

/// The nodes outside `x` on directed paths from `x` to `y` that meet `x` only at their beginning.
fn causal_nodes(diagram: &Diagram, x: &NodeSet, y: &NodeSet) -> NodeSet {
    let after = diagram
        .view()
        .without_incoming(x)
        .descendants(x)
        .difference(x);
    after.intersection(&diagram.view().without_outgoing(x).ancestors(y))
}
