//! Effects through and past a mediator, and probabilities of causation.

use super::worlds::InWorld;
use super::{DiscreteScm, ModelError, World, validate};
use crate::graph::NodeId;

/// Which contrast a mediation analysis is about, with levels that are states or numbers.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, model::MediationQuery};
///
/// let [age, atrophy, score] = [0, 1, 2].map(NodeId::new);
/// let query = MediationQuery {
///     treatment: age,
///     outcome: score,
///     mediators: vec![atrophy],
///     from: 60.0,
///     to: 80.0,
/// };
/// assert_eq!(query.to - query.from, 20.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediationQuery<Level = usize> {
    /// The variable that is set.
    pub treatment: NodeId,
    /// The variable whose mean is compared; states count as the numbers 0, 1, 2, ….
    pub outcome: NodeId,
    /// The variables through which the indirect effect goes.
    pub mediators: Vec<NodeId>,
    /// The reference level `x0` of the treatment.
    pub from: Level,
    /// The level `x1` it is compared with.
    pub to: Level,
}

/// Effects of a treatment, split at its mediators.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::{LinearGaussian, MediationQuery}};
///
/// let diagram = Diagram::parse("x -> m -> y")?;
/// let [x, m, y] = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
/// let model = LinearGaussian::builder(diagram)
///     .coefficient(x, m, 2.0)
///     .coefficient(m, y, 0.5)
///     .build()?;
/// let query = MediationQuery { treatment: x, outcome: y, mediators: vec![m], from: 0.0, to: 3.0 };
/// let effects = model.mediation(&query)?;
/// assert_eq!((effects.total, effects.natural_direct), (3.0, 0.0));
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mediation {
    /// `E[Y(x1)] − E[Y(x0)]`.
    pub total: f64,
    /// Natural direct effect `E[Y(x1, M(x0))] − E[Y(x0)]`.
    pub natural_direct: f64,
    /// Natural indirect effect `E[Y(x0, M(x1))] − E[Y(x0)]`.
    pub natural_indirect: f64,
    /// `E[Y(x1, M(x0))]`.
    pub direct_mean: f64,
    /// `E[Y(x0, M(x1))]`.
    pub indirect_mean: f64,
}

/// Probabilities that a binary cause was needed and was enough.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::{DiscreteScm, FunctionTable}};
///
/// // A cause that alone decides is necessary and sufficient.
/// let diagram = Diagram::parse("x -> y")?;
/// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
/// let functions = vec![
///     FunctionTable { noise: 0, parents: vec![], states: vec![0, 1] },
///     FunctionTable { noise: 1, parents: vec![x], states: vec![0, 1] },
/// ];
/// let noises = vec![vec![0.5, 0.5], vec![1.0]];
/// let causation = DiscreteScm::new(diagram, vec![2, 2], noises, functions)?.causation(x, y)?;
/// assert_eq!((causation.necessity, causation.sufficiency), (Some(1.0), Some(1.0)));
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Causation {
    /// Necessity `P(Y(0) = 0 | X = 1, Y = 1)`; `None` where the condition has probability 0.
    pub necessity: Option<f64>,
    /// Sufficiency `P(Y(1) = 1 | X = 0, Y = 0)`; `None` where the condition has probability 0.
    pub sufficiency: Option<f64>,
    /// Necessity and sufficiency `P(Y(1) = 1, Y(0) = 0)`.
    pub both: f64,
}

impl Mediation {
    /// The effects, from the four means `E[Y(x, M(x'))]`.
    pub(super) fn of_means(base: f64, full: f64, direct_mean: f64, indirect_mean: f64) -> Self {
        Self {
            total: full - base,
            natural_direct: direct_mean - base,
            natural_indirect: indirect_mean - base,
            direct_mean,
            indirect_mean,
        }
    }
}

impl DiscreteScm {
    /// Total, natural direct and natural indirect effect.
    ///
    /// # Errors
    /// Those of [`DiscreteScm::parallel_worlds`].
    ///
    /// # References
    /// Pearl (2001), *Direct and indirect effects*, definitions 6 and 7.
    ///
    /// # Examples
    ///
    /// `y = m ∧ x` with `m = x`: nothing goes past the mediator alone, nothing through it alone.
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{DiscreteScm, FunctionTable, MediationQuery};
    ///
    /// let diagram = Diagram::parse("x -> m; x -> y; m -> y")?;
    /// let [x, m, y] = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
    /// let function = |noise, parents, states| FunctionTable { noise, parents, states };
    /// let model = DiscreteScm::new(
    ///     diagram,
    ///     vec![2; 3],
    ///     vec![vec![0.5, 0.5], vec![1.0]],
    ///     vec![
    ///         function(0, vec![], vec![0, 1]),
    ///         function(1, vec![x], vec![0, 1]),
    ///         function(1, vec![x, m], vec![0, 0, 0, 1]),
    ///     ],
    /// )?;
    /// let query = MediationQuery { treatment: x, outcome: y, mediators: vec![m], from: 0, to: 1 };
    /// let effects = model.mediation(&query)?;
    /// assert_eq!((effects.total, effects.natural_direct, effects.natural_indirect), (1.0, 0.0, 0.0));
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn mediation(&self, query: &MediationQuery) -> Result<Mediation, ModelError> {
        let mean = |set, mediated| self.nested_mean(query, set, mediated);
        let base = mean(query.from, query.from)?;
        let full = mean(query.to, query.to)?;
        let direct_mean = mean(query.to, query.from)?;
        let indirect_mean = mean(query.from, query.to)?;
        Ok(Mediation::of_means(base, full, direct_mean, indirect_mean))
    }

    /// `E[Y(set, M(mediated))]`.
    fn nested_mean(
        &self,
        query: &MediationQuery,
        set: usize,
        mediated: usize,
    ) -> Result<f64, ModelError> {
        let inner = World::doing(query.treatment, mediated);
        let outer = World::doing(query.treatment, set);
        let outer = query
            .mediators
            .iter()
            .fold(outer, |world, &node| world.copying(node, 0));
        let outcome = InWorld {
            world: 1,
            node: query.outcome,
        };
        let posterior = self.parallel_worlds(&[inner, outer], &[], &[outcome])?;
        Ok(posterior
            .values
            .iter()
            .enumerate()
            .map(|(state, p)| state as f64 * p)
            .sum())
    }

    /// Probabilities of necessity, of sufficiency, and of both, of a binary cause.
    ///
    /// # Arguments
    /// - `treatment`, `outcome`: nodes with two states each.
    ///
    /// # Errors
    /// [`ModelError::Value`] where one of the nodes has not two states, and those of
    /// [`DiscreteScm::parallel_worlds`].
    ///
    /// # References
    /// Pearl (1999), *Probabilities of causation: three counterfactual interpretations*.
    ///
    /// # Examples
    ///
    /// An `or` of the cause and an independent other one:
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{DiscreteScm, FunctionTable};
    ///
    /// let diagram = Diagram::parse("x -> y")?;
    /// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
    /// let functions = vec![
    ///     FunctionTable { noise: 0, parents: vec![], states: vec![0, 1] },
    ///     FunctionTable { noise: 1, parents: vec![x], states: vec![0, 1, 1, 1] },
    /// ];
    /// let noises = vec![vec![0.5, 0.5], vec![0.75, 0.25]];
    /// let causation = DiscreteScm::new(diagram, vec![2, 2], noises, functions)?.causation(x, y)?;
    /// assert_eq!(causation.necessity, Some(0.75));
    /// assert_eq!(causation.sufficiency, Some(1.0));
    /// assert_eq!(causation.both, 0.75);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn causation(&self, treatment: NodeId, outcome: NodeId) -> Result<Causation, ModelError> {
        for node in [treatment, outcome] {
            validate::node(self.diagram(), node)?;
            if self.cardinality(node) != 2 {
                let subject = format!("number of states of node {}", self.diagram().name(node));
                let found = self.cardinality(node) as f64;
                return Err(ModelError::Value {
                    subject,
                    expected: "2",
                    found,
                });
            }
        }
        let reverse = |seen: usize| {
            let world = World::doing(treatment, 1 - seen);
            self.counterfactual(&[(treatment, seen), (outcome, seen)], &world, outcome)
        };
        let worlds = [World::doing(treatment, 0), World::doing(treatment, 1)];
        let axes = [0, 1].map(|world| InWorld {
            world,
            node: outcome,
        });
        Ok(Causation {
            necessity: conditional(reverse(1), 0)?,
            sufficiency: conditional(reverse(0), 1)?,
            both: self.parallel_worlds(&worlds, &[], &axes)?.values[1],
        })
    }
}

/// One probability of an answer, or nothing where the condition never happens.
fn conditional(
    answer: Result<super::Posterior, ModelError>,
    state: usize,
) -> Result<Option<f64>, ModelError> {
    match answer {
        Ok(posterior) => Ok(Some(posterior.values[state])),
        Err(ModelError::ImpossibleEvidence) => Ok(None),
        Err(other) => Err(other),
    }
}
