//! All separators between a smallest and a largest set.

use super::reach::independent;
use crate::{GraphError, Mixed, NodeSet};

/// All separators of `x` and `y` that hold `include` and otherwise only allowed nodes.
///
/// # Arguments
/// - `graph`: a diagram or a view of one.
/// - `x`, `y`, `include`: pairwise disjoint.
/// - `allowed`: the nodes that may be added; members of `x` and `y` are passed over.
///
/// # Errors
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, separation::separators};
///
/// let diagram = Diagram::parse("x <- a -> y; a -> b")?;
/// let (x, y) = (diagram.set(&["x"])?, diagram.set(&["y"])?);
/// let all = separators(&diagram, &x, &y, &NodeSet::new(), &diagram.observed())?;
/// let names: Vec<_> = all.map(|set| diagram.names(&set).join(" ")).collect();
/// assert_eq!(names, ["a b", "a"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn separators<'a, G: Mixed>(
    graph: &'a G,
    x: &NodeSet,
    y: &NodeSet,
    include: &NodeSet,
    allowed: &NodeSet,
) -> Result<Separators<'a, G>, GraphError> {
    graph
        .diagram()
        .check_disjoint(&[("x", x), ("y", y), ("include", include)])?;
    Ok(Separators::new(graph, x, y, include, allowed))
}

/// The separators, each once; there may be exponentially many, each is found in polynomial time.
///
/// # References
/// van der Zander, Liśkiewicz and Textor (2014), *Constructing separators and adjustment sets in
/// ancestral graphs*: some separator lies between `include` and `allowed` exactly when the allowed
/// ancestors are one.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::separators};
///
/// let diagram = Diagram::parse("x <- a -> y; b; c")?;
/// let (x, y, a) = (diagram.set(&["x"])?, diagram.set(&["y"])?, diagram.set(&["a"])?);
/// let all = separators(&diagram, &x, &y, &a, &diagram.observed())?;
/// assert_eq!(all.count(), 4);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Separators<'a, G> {
    graph: &'a G,
    x: NodeSet,
    y: NodeSet,
    /// Smallest and largest set between which separators are still to be found.
    open: Vec<(NodeSet, NodeSet)>,
}

impl<'a, G: Mixed> Separators<'a, G> {
    pub(crate) fn new(
        graph: &'a G,
        x: &NodeSet,
        y: &NodeSet,
        include: &NodeSet,
        allowed: &NodeSet,
    ) -> Self {
        let largest = allowed.union(include).difference(x).difference(y);
        let open = vec![(include.clone(), largest.intersection(&graph.nodes()))];
        Self {
            graph,
            x: x.clone(),
            y: y.clone(),
            open,
        }
    }

    fn exists(&self, smallest: &NodeSet, largest: &NodeSet) -> bool {
        let ends = self.x.union(&self.y).union(smallest);
        let widest = self.graph.ancestors(&ends).intersection(largest);
        independent(self.graph, &self.x, &self.y, &widest)
    }
}

impl<G: Mixed> Iterator for Separators<'_, G> {
    type Item = NodeSet;

    fn next(&mut self) -> Option<NodeSet> {
        while let Some((smallest, largest)) = self.open.pop() {
            if !self.exists(&smallest, &largest) {
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
