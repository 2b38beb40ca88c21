//! Effects in a class: what identifies them in every member.

use super::Cpdag;
use super::possible;
use crate::adjustment::{
    Adjustment, ClassFacts, FrontDoor, Instrument, conditional_instruments, is_instrument,
};
use crate::{GraphError, NodeId, NodeSet};

impl Cpdag {
    /// Adjustment by sets that are valid in every member.
    ///
    /// # Arguments
    /// - `x`, `y`: treatments and outcomes, disjoint, not empty.
    ///
    /// # Errors
    /// [`GraphError::Overlap`], [`GraphError::ForeignNode`] and [`GraphError::EmptySet`].
    ///
    /// # References
    /// Perković, Textor, Kalisch and Maathuis (2018), definition 4.3 and theorem 4.5: the graph must
    /// be amenable, and the forbidden nodes are those of any member.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, NodeSet, equivalence::Cpdag};
    ///
    /// // Two causes of the dose that are not joined fix the direction of all that follows.
    /// let diagram = Diagram::parse("lottery -> dose; age -> dose -> image; age -> image")?;
    /// let cpdag = Cpdag::of(&diagram)?;
    /// let (dose, image) = (diagram.set(&["dose"])?, diagram.set(&["image"])?);
    /// let adjustment = cpdag.adjustment(&dose, &image)?;
    /// assert_eq!(adjustment.minimal().collect::<Vec<_>>(), [diagram.set(&["age"])?]);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn adjustment(&self, x: &NodeSet, y: &NodeSet) -> Result<Adjustment<'_>, GraphError> {
        let graph = self.graph();
        let paths = possible::proper_causal_nodes(graph, x, y);
        let mut before_paths = NodeSet::new();
        for node in &paths {
            before_paths.extend_with(&graph.parents(node));
        }
        let unclear = |node: NodeId| !graph.neighbours(node).is_disjoint(&paths);
        let class = ClassFacts {
            forbidden: self.possible_descendants(&paths),
            before_paths,
            amenable: !x
                .iter()
                .filter(|node| node.index() < graph.len())
                .any(unclear),
        };
        Adjustment::in_class(self.member(), x, y, class)
    }

    /// Front-door sets in every member.
    ///
    /// A set `m` is one exactly when no possibly directed path from `x` to `y` avoids it, the empty
    /// set is valid for adjustment of the effect of `x` on `m` in the class, and `x` is valid for
    /// that of `m` on `y`: where no node of `m` is an ancestor of `x`, as the second condition
    /// demands, blocking back-door paths and the criterion of adjustment are the same. By amenability
    /// a node fails in some member when an undirected edge of it begins a possibly directed path to
    /// the other end; all else is then alike in all members, and is asked of one.
    ///
    /// # Arguments
    /// - `x`, `y`: treatments and outcomes, disjoint, not empty.
    ///
    /// Confounders that data do not hold are nodes of the class that are marked as latent, or that
    /// [`FrontDoor::among`] leaves out.
    ///
    /// # Errors
    /// [`GraphError::Overlap`], [`GraphError::ForeignNode`] and [`GraphError::EmptySet`].
    ///
    /// # Complexity
    /// That of [`FrontDoor`] in one diagram; members are not enumerated.
    ///
    /// # References
    /// Pearl (2009), *Causality*, definition 3.3.3; Perković, Textor, Kalisch and Maathuis (2018),
    /// theorem 4.5, from which the condition above follows.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, equivalence::Cpdag};
    ///
    /// let text = "habit [latent]; lottery -> dose <- habit -> image; dose -> uptake -> image";
    /// let diagram = Diagram::parse(text)?;
    /// let cpdag = Cpdag::of(&diagram)?;
    /// let (dose, image) = (diagram.set(&["dose"])?, diagram.set(&["image"])?);
    /// let front_door = cpdag.front_door(&dose, &image)?;
    /// assert_eq!(front_door.largest_set(), Some(diagram.set(&["uptake"])?));
    /// // Without the lottery nothing tells the direction of the edge between dose and uptake.
    /// let diagram = Diagram::parse("habit [latent]; dose <- habit -> image; dose -> uptake -> image")?;
    /// let cpdag = Cpdag::of(&diagram)?;
    /// let (dose, image) = (diagram.set(&["dose"])?, diagram.set(&["image"])?);
    /// assert_eq!(cpdag.front_door(&dose, &image)?.largest_set(), None);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn front_door(&self, x: &NodeSet, y: &NodeSet) -> Result<FrontDoor<'_>, GraphError> {
        FrontDoor::in_class(self.member(), self.graph(), x, y)
    }

    /// Tells whether `z` is an instrument for the edge `x -> y` given `w` in every member.
    ///
    /// It is exactly when it is one in a single member and `y` has no undirected edge. An
    /// undirected edge `y --- c` comes with `x --> c`, and in the members with `c -> y` what is
    /// connected with `x` is connected with `y` by `x -> c -> y`. Without one, parents and
    /// descendants of `y` are the same in all members; and `w` separates `z` from `y` without the
    /// edge when `z` is no descendant of `y` and `w` separates it from those parents of `y`, except
    /// `x`, that it does not hold, which all members agree about.
    ///
    /// # Arguments
    /// - `x`, `y`: treatment and outcome; nothing is an instrument where some member has no edge
    ///   `x -> y`.
    /// - `z`: the candidate.
    /// - `w`: what is conditioned on.
    ///
    /// # Errors
    /// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
    ///
    /// # Complexity
    /// Linear in nodes and edges; members are not enumerated.
    ///
    /// # References
    /// Brito and Pearl (2002), *Generalized instrumental variables*, definition 1, for what an
    /// instrument is in one diagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, NodeSet, equivalence::Cpdag};
    ///
    /// let text = "u [latent]; lottery -> scan <- u; scan -> cure <- u";
    /// let diagram = Diagram::parse(text)?;
    /// let node = |name| diagram.node(name);
    /// let (scan, cure, lottery) = (node("scan")?, node("cure")?, node("lottery")?);
    /// let cpdag = Cpdag::of(&diagram)?;
    /// assert!(cpdag.is_instrument(scan, cure, lottery, &NodeSet::new())?);
    /// // In a chain the edges may as well point the other way.
    /// let diagram = Diagram::parse("lottery -> scan -> cure")?;
    /// let node = |name| diagram.node(name);
    /// let (scan, cure, lottery) = (node("scan")?, node("cure")?, node("lottery")?);
    /// assert!(!Cpdag::of(&diagram)?.is_instrument(scan, cure, lottery, &NodeSet::new())?);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn is_instrument(
        &self,
        x: NodeId,
        y: NodeId,
        z: NodeId,
        w: &NodeSet,
    ) -> Result<bool, GraphError> {
        Ok(is_instrument(self.member(), x, y, z, w)? && self.agrees_about(y))
    }

    /// The conditional instruments for the edge `x -> y` in every member, one at a time: first those
    /// without a condition, then those given one node, and so on.
    ///
    /// # Arguments
    /// - `x`, `y`: treatment and outcome; there are none where some member has no edge `x -> y`.
    /// - `limit`: the largest number of nodes to condition on, as their subsets are exponentially many.
    ///
    /// # Errors
    /// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
    ///
    /// # References
    /// As for [`Cpdag::is_instrument`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, equivalence::Cpdag};
    ///
    /// let text = "u [latent]; z -> x <- u; x -> y <- u; w -> z; w -> y";
    /// let diagram = Diagram::parse(text)?;
    /// let cpdag = Cpdag::of(&diagram)?;
    /// let found: Vec<_> = cpdag
    ///     .conditional_instruments(diagram.node("x")?, diagram.node("y")?, 1)?
    ///     .map(|found| (diagram.name(found.instrument), diagram.names(&found.given)))
    ///     .collect();
    /// assert_eq!(found, [("z", vec!["w"])]);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn conditional_instruments(
        &self,
        x: NodeId,
        y: NodeId,
        limit: usize,
    ) -> Result<impl Iterator<Item = Instrument>, GraphError> {
        let found = conditional_instruments(self.member(), x, y, limit)?;
        Ok(Some(found)
            .filter(|_| self.agrees_about(y))
            .into_iter()
            .flatten())
    }

    /// Whether all members have the same parents and children of a node.
    fn agrees_about(&self, node: NodeId) -> bool {
        self.graph().neighbours(node).is_empty()
    }
}
