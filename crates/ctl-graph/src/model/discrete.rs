//! Finite structural causal models: functions as tables, noises with distributions, some shared.

use super::{ModelError, validate};
use crate::graph::{Diagram, NodeId};

/// The function of a discrete node: its state from its parents' states and a noise state.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, model::FunctionTable};
///
/// // `child = parent xor noise`: rows by parent, the noise varies fastest.
/// let parent = NodeId::new(0);
/// let xor = FunctionTable { noise: 1, parents: vec![parent], states: vec![0, 1, 1, 0] };
/// assert_eq!(xor.states[2 + 1], 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionTable {
    /// Index of the noise that it reads; nodes that read the same noise are confounded.
    pub noise: usize,
    /// The parents, in the order of the table's axes.
    pub parents: Vec<NodeId>,
    /// States, row-major: one axis per parent, the noise varies fastest.
    pub states: Vec<usize>,
}

/// A finite structural causal model, in which every counterfactual has an exact answer.
///
/// Noises are independent of each other; latent common causes are noises that several functions
/// read, and correspond to bidirected edges, which the diagram may hold.
///
/// # Examples
///
/// A treatment that helps exactly those whose noise is 1:
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{DiscreteScm, FunctionTable, World};
///
/// let diagram = Diagram::parse("treated -> well")?;
/// let [treated, well] = ["treated", "well"].map(|name| diagram.node(name).unwrap());
/// let model = DiscreteScm::new(
///     diagram,
///     vec![2, 2],
///     vec![vec![0.5, 0.5], vec![0.75, 0.25]],
///     vec![
///         FunctionTable { noise: 0, parents: vec![], states: vec![0, 1] },
///         FunctionTable { noise: 1, parents: vec![treated], states: vec![0, 0, 0, 1] },
///     ],
/// )?;
///
/// // Seen: treated and well. Would this patient have been well without the treatment?
/// let evidence = [(treated, 1), (well, 1)];
/// let without = model.counterfactual(&evidence, &World::doing(treated, 0), well)?;
/// assert_eq!(without.values, [1.0, 0.0]);
/// assert_eq!(without.evidence_probability, 0.125);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteScm {
    diagram: Diagram,
    cardinalities: Vec<usize>,
    noises: Vec<Vec<f64>>,
    functions: Vec<FunctionTable>,
}

impl DiscreteScm {
    /// Checks and combines the parts of a model.
    ///
    /// # Arguments
    /// - `diagram`: its bidirected edges, if it has any, are not used: the noises say who shares.
    /// - `cardinalities`: number of states of each node, in node order.
    /// - `noises`: the distribution of each noise.
    /// - `functions`: one per node, in node order.
    ///
    /// # Errors
    /// [`ModelError::Shape`], [`ModelError::NotAParent`], [`ModelError::Repeated`],
    /// [`ModelError::State`], [`ModelError::Value`] and [`ModelError::NotADistribution`].
    pub fn new(
        diagram: Diagram,
        cardinalities: Vec<usize>,
        noises: Vec<Vec<f64>>,
        functions: Vec<FunctionTable>,
    ) -> Result<Self, ModelError> {
        validate::length("cardinalities", diagram.len(), cardinalities.len())?;
        validate::length("functions", diagram.len(), functions.len())?;
        for (i, noise) in noises.iter().enumerate() {
            validate::distribution(&format!("noise {i}"), noise)?;
        }
        let model = Self {
            diagram,
            cardinalities,
            noises,
            functions,
        };
        model.diagram.ids().try_for_each(|node| model.check(node))?;
        Ok(model)
    }

    fn check(&self, node: NodeId) -> Result<(), ModelError> {
        let function = self.function(node);
        validate::parents(&self.diagram, node, &function.parents)?;
        let subject = format!("function of node {}", self.diagram.name(node));
        let Some(noise) = self.noises.get(function.noise) else {
            let expected = "the index of a noise";
            let found = function.noise as f64;
            return Err(ModelError::Value {
                subject,
                expected,
                found,
            });
        };
        let parents = function
            .parents
            .iter()
            .map(|parent| self.cardinality(*parent));
        validate::length(
            subject,
            parents.product::<usize>() * noise.len(),
            function.states.len(),
        )?;
        let states = function.states.iter();
        states
            .copied()
            .try_for_each(|state| self.check_state(node, state))
    }

    pub(super) fn check_state(&self, node: NodeId, state: usize) -> Result<(), ModelError> {
        validate::state(&self.diagram, node, &self.cardinalities, state)
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// Number of states of each node, in node order.
    pub fn cardinalities(&self) -> &[usize] {
        &self.cardinalities
    }

    /// The noises' distributions.
    pub fn noises(&self) -> &[Vec<f64>] {
        &self.noises
    }

    /// The functions in node order.
    pub fn functions(&self) -> &[FunctionTable] {
        &self.functions
    }

    pub(super) fn cardinality(&self, node: NodeId) -> usize {
        self.cardinalities[node.index()]
    }

    pub(super) fn function(&self, node: NodeId) -> &FunctionTable {
        &self.functions[node.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_functions_are_errors() {
        let diagram = Diagram::parse("a -> b").unwrap();
        let a = diagram.node("a").unwrap();
        let build = |noise, parents, states| {
            let first = FunctionTable {
                noise: 0,
                parents: vec![],
                states: vec![0, 1],
            };
            let second = FunctionTable {
                noise,
                parents,
                states,
            };
            let noises = vec![vec![0.5, 0.5], vec![1.0]];
            DiscreteScm::new(diagram.clone(), vec![2, 2], noises, vec![first, second])
        };
        assert!(build(1, vec![a], vec![0, 1]).is_ok());
        assert!(matches!(
            build(2, vec![a], vec![0, 1]),
            Err(ModelError::Value { .. })
        ));
        assert!(matches!(
            build(1, vec![a], vec![0, 2]),
            Err(ModelError::State { .. })
        ));
        assert!(matches!(
            build(1, vec![a], vec![0]),
            Err(ModelError::Shape { .. })
        ));
        assert!(matches!(
            build(1, vec![], vec![0]),
            Err(ModelError::Shape { .. })
        ));
        let own = build(1, vec![diagram.node("b").unwrap()], vec![0, 1]);
        assert!(matches!(own, Err(ModelError::NotAParent { .. })));
    }
}
