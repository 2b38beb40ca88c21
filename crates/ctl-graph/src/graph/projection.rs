//! Latent projection.

use super::{Diagram, Mixed, NodeId, NodeSet};
use crate::GraphError;

impl Diagram {
    /// The diagram over the other nodes that implies the same separations and effects among them.
    ///
    /// `a -> b` when a directed path leads from `a` to `b` through removed nodes only; `a <-> b`
    /// when a path without a collider, through removed nodes only, enters both.
    ///
    /// # Arguments
    /// - `latent`: the nodes to remove.
    ///
    /// # Returns
    /// A diagram of its own, whose nodes keep their order and annotations.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`].
    ///
    /// # References
    /// Verma and Pearl (1990), *Equivalence and synthesis of causal models*.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::Diagram;
    ///
    /// let diagram = Diagram::parse("x -> u -> y; u -> z")?;
    /// let projected = diagram.project(&diagram.set(&["u"])?)?;
    /// assert_eq!(projected, Diagram::parse("x -> y; x -> z; y <-> z")?);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn project(&self, latent: &NodeSet) -> Result<Self, GraphError> {
        self.check(latent)?;
        let kept: Vec<NodeId> = self.ids().filter(|&node| !latent.contains(node)).collect();
        let mut builder = Self::builder();
        for &node in &kept {
            builder.declare(self.name(node))?;
            builder.set_observed(self.name(node), self.is_observed(node))?;
        }
        let within = self.view();
        let behind: Vec<NodeSet> = kept
            .iter()
            .map(|&node| {
                let own = latent.union(&NodeSet::single(node));
                within
                    .clone()
                    .induced(&own)
                    .ancestors(&NodeSet::single(node))
            })
            .collect();
        for (i, &to) in kept.iter().enumerate() {
            for from in &self.parents_of(&behind[i]).difference(latent) {
                if from != to {
                    builder.add_directed(self.name(from), self.name(to))?;
                }
            }
            for (j, &other) in kept.iter().enumerate().skip(i + 1) {
                if self.confounded(&behind[i], &behind[j]) {
                    builder.add_bidirected(self.name(to), self.name(other))?;
                }
            }
        }
        builder.build()
    }

    /// [`Diagram::project`] over the nodes that are marked as not observed.
    ///
    /// # Errors
    /// As for [`Diagram::project`].
    pub fn project_latent(&self) -> Result<Self, GraphError> {
        self.project(&self.latent())
    }

    /// Tells whether two sets share a node or a bidirected edge joins them.
    fn confounded(&self, a: &NodeSet, b: &NodeSet) -> bool {
        !a.is_disjoint(b) || a.iter().any(|node| !self.siblings(node).is_disjoint(b))
    }
}
