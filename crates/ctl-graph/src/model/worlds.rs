//! Parallel worlds: copies of a finite model that share their noises.

use std::collections::{BTreeMap, BTreeSet};

use super::factor::{Factor, sum_product};
use super::{DiscreteScm, ModelError, Posterior, validate};
use crate::graph::NodeId;

/// What sets a node in a world instead of its own function.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, model::{Source, World}};
///
/// let (x, m) = (NodeId::new(0), NodeId::new(1));
/// let world = World::doing(x, 1).copying(m, 0);
/// assert_eq!((world.source(x), world.source(m)), (Some(Source::State(1)), Some(Source::World(0))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A fixed state.
    State(usize),
    /// Whatever the node is in an earlier world, by that world's position.
    World(usize),
}

/// One world of a counterfactual question: the model under some interventions.
///
/// # Examples
///
/// The world of the natural direct effect, in which the treatment is 1 but the mediator is what
/// it would be in the world before:
///
/// ```
/// use ctl_graph::{Diagram, model::{Source, World}};
///
/// let diagram = Diagram::parse("x -> m -> y; x -> y")?;
/// let (x, m) = (diagram.node("x")?, diagram.node("m")?);
/// let world = World::doing(x, 1).copying(m, 0);
/// assert_eq!(world.source(x), Some(Source::State(1)));
/// assert_eq!(world.source(m), Some(Source::World(0)));
/// assert_eq!(World::factual().source(x), None);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    sources: BTreeMap<NodeId, Source>,
}

impl World {
    /// The world as it is.
    pub fn factual() -> Self {
        Self::default()
    }

    /// The world in which one node is set.
    pub fn doing(node: NodeId, state: usize) -> Self {
        Self::factual().and(node, state)
    }

    /// Sets one more node; the last assignment of a node counts.
    #[must_use]
    pub fn and(mut self, node: NodeId, state: usize) -> Self {
        self.sources.insert(node, Source::State(state));
        self
    }

    /// Sets a node to what it is in an earlier world.
    #[must_use]
    pub fn copying(mut self, node: NodeId, world: usize) -> Self {
        self.sources.insert(node, Source::World(world));
        self
    }

    /// What sets a node, where it is not its own function.
    pub fn source(&self, node: NodeId) -> Option<Source> {
        self.sources.get(&node).copied()
    }
}

/// A variable in one of several worlds.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{DiscreteScm, FunctionTable, InWorld, World};
///
/// // A fair coin, seen and turned over: P(Y in both worlds).
/// let diagram = Diagram::parse("x -> y")?;
/// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
/// let functions = vec![
///     FunctionTable { noise: 0, parents: vec![], states: vec![0, 1] },
///     FunctionTable { noise: 1, parents: vec![x], states: vec![0, 1] },
/// ];
/// let model = DiscreteScm::new(diagram, vec![2, 2], vec![vec![0.5, 0.5], vec![1.0]], functions)?;
/// let axes = [InWorld { world: 0, node: y }, InWorld { world: 1, node: y }];
/// let joint = model.parallel_worlds(&[World::factual(), World::doing(x, 1)], &[], &axes)?;
/// assert_eq!(joint.values, [0.0, 0.5, 0.0, 0.5]);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InWorld {
    /// Position in the list of worlds.
    pub world: usize,
    /// The node.
    pub node: NodeId,
}

impl DiscreteScm {
    /// `P(outcome in the other world | evidence in this one)`.
    ///
    /// # Arguments
    /// - `evidence`: what was seen in the factual world.
    /// - `world`: the interventions of the other one; [`Source::World`] 0 is the factual world.
    /// - `outcome`: a node of the other world.
    ///
    /// # Errors
    /// Those of [`DiscreteScm::parallel_worlds`].
    pub fn counterfactual(
        &self,
        evidence: &[(NodeId, usize)],
        world: &World,
        outcome: NodeId,
    ) -> Result<Posterior, ModelError> {
        let seen = |&(node, state): &(NodeId, usize)| (InWorld { world: 0, node }, state);
        let seen: Vec<_> = evidence.iter().map(seen).collect();
        let worlds = [World::factual(), world.clone()];
        self.parallel_worlds(
            &worlds,
            &seen,
            &[InWorld {
                world: 1,
                node: outcome,
            }],
        )
    }

    /// The joint distribution of variables of several worlds, given evidence in any of them.
    ///
    /// All worlds share the noises. A node whose inputs are the same variables in two worlds is
    /// one variable, so that a second world costs only what its interventions change.
    ///
    /// # Arguments
    /// - `worlds`: their interventions; a world may copy nodes from those before it.
    /// - `evidence`: states that were seen, in any world.
    /// - `outcome`: the variables, in the order of the answer's axes; they may repeat.
    ///
    /// # Errors
    /// [`ModelError::State`], [`ModelError::Graph`] for a foreign node, [`ModelError::WorldOrder`],
    /// [`ModelError::ImpossibleEvidence`] and [`ModelError::TooLarge`].
    ///
    /// # References
    /// Balke & Pearl (1994), *Probabilistic evaluation of counterfactual queries* (twin network);
    /// Shpitser & Pearl (2008), section 4, for merging nodes of several worlds.
    pub fn parallel_worlds(
        &self,
        worlds: &[World],
        evidence: &[(InWorld, usize)],
        outcome: &[InWorld],
    ) -> Result<Posterior, ModelError> {
        let mut network = Network::new(self);
        for world in worlds {
            network.add(world)?;
        }
        let mut factors = Vec::new();
        for &(variable, state) in evidence {
            self.check_state(variable.node, state)?;
            let cardinality = self.cardinality(variable.node);
            factors.push(Factor::indicator(
                network.find(variable)?,
                cardinality,
                state,
            ));
        }
        let mut keep = Vec::new();
        for &variable in outcome {
            let merged = network.find(variable)?;
            keep.push(network.echo(merged, self.cardinality(variable.node)));
        }
        factors.extend(network.relevant(&factors_roots(&factors, &keep)));
        Posterior::normalised(sum_product(factors, &keep)?.values())
    }
}

fn factors_roots(factors: &[Factor], keep: &[usize]) -> Vec<usize> {
    let evidence = factors.iter().flat_map(|factor| factor.variables().iter());
    evidence.chain(keep).copied().collect()
}

/// The worlds' variables, merged where they are equal by construction.
struct Network<'a> {
    model: &'a DiscreteScm,
    /// Per world and node, the variable.
    worlds: Vec<Vec<usize>>,
    /// Per variable its table, which mentions it and the variables it follows from.
    tables: Vec<Factor>,
    /// The variables that are functions, by node and inputs; and the fixed ones, by node and state.
    known: BTreeMap<(NodeId, Vec<usize>), usize>,
}

impl<'a> Network<'a> {
    fn new(model: &'a DiscreteScm) -> Self {
        let root =
            |(i, noise): (usize, &Vec<f64>)| Factor::new(vec![i], vec![noise.len()], noise.clone());
        let tables = model.noises().iter().enumerate().map(root).collect();
        Self {
            model,
            worlds: Vec::new(),
            tables,
            known: BTreeMap::new(),
        }
    }

    fn add(&mut self, world: &World) -> Result<(), ModelError> {
        let unknown = world.sources.keys().copied();
        unknown
            .into_iter()
            .try_for_each(|node| validate::node(self.model.diagram(), node))?;
        let mut variables = vec![0; self.model.diagram().len()];
        for &node in self.model.diagram().topological_order() {
            variables[node.index()] = match world.source(node) {
                Some(Source::World(earlier)) => self.copied(node, earlier)?,
                Some(Source::State(state)) => self.fixed(node, state)?,
                None => self.computed(node, &variables),
            };
        }
        self.worlds.push(variables);
        Ok(())
    }

    fn copied(&self, node: NodeId, earlier: usize) -> Result<usize, ModelError> {
        let world = self.worlds.len();
        let variables = self.worlds.get(earlier);
        variables
            .map(|variables| variables[node.index()])
            .ok_or(ModelError::WorldOrder {
                world,
                source_world: earlier,
            })
    }

    /// A constant: an indicator without a parent.
    fn fixed(&mut self, node: NodeId, state: usize) -> Result<usize, ModelError> {
        self.model.check_state(node, state)?;
        let cardinality = self.model.cardinality(node);
        // The marker keeps a constant apart from a function whose one input has that number.
        let key = (node, vec![usize::MAX, state]);
        let next = self.tables.len();
        let variable = *self.known.entry(key).or_insert(next);
        if variable == next {
            self.tables
                .push(Factor::indicator(next, cardinality, state));
        }
        Ok(variable)
    }

    fn computed(&mut self, node: NodeId, variables: &[usize]) -> usize {
        let function = self.model.function(node);
        let mut inputs: Vec<usize> = function
            .parents
            .iter()
            .map(|parent| variables[parent.index()])
            .collect();
        inputs.push(function.noise);
        let next = self.tables.len();
        let variable = *self.known.entry((node, inputs.clone())).or_insert(next);
        if variable == next {
            self.tables.push(self.function_table(node, inputs, next));
        }
        variable
    }

    /// 1 where the last variable is what the function says, 0 elsewhere.
    fn function_table(&self, node: NodeId, mut variables: Vec<usize>, own: usize) -> Factor {
        let function = self.model.function(node);
        let parents = function
            .parents
            .iter()
            .map(|&parent| self.model.cardinality(parent));
        let mut cardinalities: Vec<usize> = parents.collect();
        cardinalities.push(self.model.noises()[function.noise].len());
        let states = self.model.cardinality(node);
        let mut values = vec![0.0; function.states.len() * states];
        for (row, &state) in values.chunks_exact_mut(states).zip(&function.states) {
            row[state] = 1.0;
        }
        variables.push(own);
        cardinalities.push(states);
        Factor::new(variables, cardinalities, values)
    }

    fn find(&self, variable: InWorld) -> Result<usize, ModelError> {
        validate::node(self.model.diagram(), variable.node)?;
        let missing = ModelError::WorldOrder {
            world: self.worlds.len(),
            source_world: variable.world,
        };
        let variables = self.worlds.get(variable.world).ok_or(missing)?;
        Ok(variables[variable.node.index()])
    }

    /// A fresh variable that always equals a given one: merged outcomes need an axis each.
    fn echo(&mut self, variable: usize, cardinality: usize) -> usize {
        let own = self.tables.len();
        let mut values = vec![0.0; cardinality * cardinality];
        values
            .iter_mut()
            .step_by(cardinality + 1)
            .for_each(|value| *value = 1.0);
        self.tables.push(Factor::new(
            vec![variable, own],
            vec![cardinality; 2],
            values,
        ));
        own
    }

    /// The tables on which the given variables depend.
    fn relevant(&self, roots: &[usize]) -> Vec<Factor> {
        let mut open = roots.to_vec();
        let mut reached: BTreeSet<usize> = open.iter().copied().collect();
        while let Some(variable) = open.pop() {
            let inputs = self.tables[variable].variables().iter();
            open.extend(inputs.copied().filter(|&input| reached.insert(input)));
        }
        reached
            .iter()
            .map(|&variable| self.tables[variable].clone())
            .collect()
    }
}
