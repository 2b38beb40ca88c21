//! Transport: what is known in some populations, used in another.
//!
//! A [`SelectionDiagram`] is a causal diagram shared by all populations, with the mechanisms that
//! may differ between each source and the target, and the experiments that each offers.
//! [`transport`] decides whether a query about the target follows from all of it together, and by
//! which formula; [`reuse`] says which conditional distributions of a source hold in the target as
//! they are.
//!
//! # Examples
//!
//! A trial in one hospital, observation in another whose patients differ in age:
//!
//! ```
//! use ctl_graph::{Diagram, identification::Query};
//! use ctl_graph::transport::{Experiments, Population, SelectionDiagram, transport};
//!
//! let diagram = Diagram::parse("age -> drug; age -> outcome; drug -> outcome; drug <-> outcome")?;
//! let trial = Population::new("trial")
//!     .differing_in(&diagram.set(&["age"])?)
//!     .offering(Experiments::SubsetsOf(diagram.set(&["drug"])?));
//! let query = Query::of(&diagram.set(&["outcome"])?).under(&diagram.set(&["drug"])?);
//! let selection = SelectionDiagram::new(diagram).with_source(trial)?;
//! let answer = transport(&selection, &query)?;
//! assert_eq!(
//!     selection.display(answer.estimand().unwrap()),
//!     "sum_{age} P*(age) P^trial(outcome | do(drug), age)"
//! );
//! # Ok::<(), ctl_graph::GraphError>(())
//! ```

mod reuse;
mod selection;

use serde::Serialize;

use crate::estimand::{Domain, Estimand};
use crate::identification::{Admg, Decomposition, Hedge, Query, c_factor};
use crate::{GraphError, NodeSet};

pub use reuse::{Reuse, image_reuse, is_s_admissible, reuse};
pub use selection::{Experiments, Population, SelectionDiagram};

/// The answer of [`transport`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
/// use ctl_graph::transport::{Experiments, Population, SelectionDiagram, Transport, transport};
///
/// let diagram = Diagram::parse("drug -> outcome; drug <-> outcome")?;
/// let (drug, outcome) = (diagram.set(&["drug"])?, diagram.set(&["outcome"])?);
/// let query = Query::of(&outcome).under(&drug);
/// let trial = Population::new("trial").offering(Experiments::SubsetsOf(drug));
/// let alone = SelectionDiagram::new(diagram);
/// assert!(matches!(transport(&alone, &query)?, Transport::NotTransportable(_)));
/// let with_trial = alone.with_source(trial)?;
/// let answer = transport(&with_trial, &query)?;
/// assert_eq!(with_trial.display(answer.estimand().unwrap()), "P^trial(outcome | do(drug))");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The target's answer is this formula in every set of models that fits the diagram.
    Transportable(Formula),
    /// No formula exists; a part that no population yields is why.
    NotTransportable(Obstruction),
}

impl Transport {
    /// The formula, if there is one.
    pub fn estimand(&self) -> Option<&Estimand> {
        match self {
            Self::Transportable(formula) => Some(&formula.estimand),
            Self::NotTransportable(_) => None,
        }
    }

    /// Why there is no formula, if there is none.
    pub fn obstruction(&self) -> Option<&Obstruction> {
        match self {
            Self::Transportable(_) => None,
            Self::NotTransportable(obstruction) => Some(obstruction),
        }
    }
}

/// A transport formula and where its parts come from.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
/// use ctl_graph::transport::{Experiments, Population, SelectionDiagram, Transport, transport};
///
/// let diagram = Diagram::parse("disease -> image")?;
/// let (disease, image) = (diagram.set(&["disease"])?, diagram.set(&["image"])?);
/// let source = Population::new("pune").differing_in(&disease);
/// let selection = SelectionDiagram::new(diagram)
///     .with_target_data(Experiments::none())?
///     .with_source(source)?;
/// let query = Query::of(&image).given(&disease);
/// let Transport::Transportable(formula) = transport(&selection, &query)? else { unreachable!() };
/// assert_eq!(selection.display(&formula.estimand), "P^pune(image | disease)");
/// assert_eq!(formula.pieces.len(), 1);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Formula {
    /// The formula.
    pub estimand: Estimand,
    /// The populations and experiments that it uses, part by part.
    pub pieces: Vec<Piece>,
}

/// One factor of a transport formula: the mechanisms of a district, from one experiment.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, identification::Query};
/// use ctl_graph::estimand::Domain;
/// use ctl_graph::transport::{Experiments, Piece, Population, SelectionDiagram, Transport, transport};
///
/// let diagram = Diagram::parse("age -> image")?;
/// let (age, image) = (diagram.set(&["age"])?, diagram.set(&["image"])?);
/// let source = Population::new("oslo").differing_in(&age);
/// let selection = SelectionDiagram::new(diagram).with_source(source)?;
/// let answer = transport(&selection, &Query::of(&image))?;
/// let Transport::Transportable(formula) = answer else { unreachable!() };
/// let (domain, intervention) = (Domain::Target, NodeSet::new());
/// assert_eq!(formula.pieces[0], Piece { district: age, domain, intervention });
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The variables whose mechanisms it speaks of.
    pub district: NodeSet,
    /// The population it is taken from.
    pub domain: Domain,
    /// What the experiment there sets; empty for observation.
    pub intervention: NodeSet,
}

/// A district whose mechanisms no population yields.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
/// use ctl_graph::transport::{Experiments, Population, SelectionDiagram, transport};
///
/// let diagram = Diagram::parse("disease -> image")?;
/// let (disease, image) = (diagram.set(&["disease"])?, diagram.set(&["image"])?);
/// let source = Population::new("pune").differing_in(&disease);
/// let selection = SelectionDiagram::new(diagram)
///     .with_target_data(Experiments::none())?
///     .with_source(source)?;
/// let answer = transport(&selection, &Query::of(&disease).given(&image))?;
/// assert_eq!(
///     selection.describe(answer.obstruction().unwrap()),
///     "no population yields the mechanism of disease: the target has no data that help; in pune the \
///      mechanism of disease may differ"
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstruction {
    /// The variables whose mechanisms are needed.
    pub district: NodeSet,
    /// What stands against each population, the target first.
    pub obstacles: Vec<Obstacle>,
}

/// Why one population does not yield the mechanisms of a district.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
/// use ctl_graph::estimand::Domain;
/// use ctl_graph::transport::{Obstacle, Population, SelectionDiagram, transport};
///
/// let diagram = Diagram::parse("X -> Y; X <-> Y")?;
/// let (x, y) = (diagram.set(&["X"])?, diagram.set(&["Y"])?);
/// let source = Population::new("oslo").differing_in(&y);
/// let selection = SelectionDiagram::new(diagram).with_source(source)?;
/// let answer = transport(&selection, &Query::of(&y).under(&x))?;
/// let obstacles = &answer.obstruction().unwrap().obstacles;
/// assert!(matches!(obstacles[0], Obstacle::Hedged { domain: Domain::Target, .. }));
/// assert_eq!(obstacles[1], Obstacle::Differs { domain: Domain::Source(0), nodes: y });
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// Some of the mechanisms may differ from the target's.
    Differs {
        /// The population.
        domain: Domain,
        /// The variables whose mechanisms may differ.
        nodes: NodeSet,
    },
    /// There is no data that leaves the district's variables to themselves.
    NoData {
        /// The population.
        domain: Domain,
    },
    /// Its data do not determine them.
    Hedged {
        /// The population.
        domain: Domain,
        /// The hedge that remains under the best experiment.
        hedge: Hedge,
    },
}

/// Decides whether the target's P(y | do(x), z) follows from all populations' data.
///
/// The query splits into the factors Q\[C\] of districts C, as in identification. Each may come
/// from any population in which no mechanism of C differs from the target's, under any experiment
/// there that sets no variable of C. The target comes first, then the sources in their order, each
/// with as small an experiment as suffices.
///
/// # Arguments
/// - `selection`: the diagram, the populations and their experiments.
/// - `query`: about the target; disjoint sets of observed nodes.
///
/// # Returns
/// A formula over P\*(…) and the sources' distributions, or the district that is missing.
///
/// # Errors
/// Those of [`identify`](crate::identification::identify).
///
/// # Complexity
/// O(n⁴) set operations for each population whose experiments are all subsets of one set.
///
/// # References
/// Lee, Correa, Bareinboim 2020, "Generalized transportability: synthesis of experiments from
/// heterogeneous domains", algorithm gTR; complete by its theorem 2. Conditional queries as in
/// [`identify`](crate::identification::identify).
///
/// # Examples
///
/// A source whose patients are older tells the effect within each age:
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
/// use ctl_graph::transport::{Experiments, Population, SelectionDiagram, transport};
///
/// let diagram = Diagram::parse("age -> cure; drug -> cure")?;
/// let (drug, cure, age) = (diagram.set(&["drug"])?, diagram.set(&["cure"])?, diagram.set(&["age"])?);
/// let trial = Population::new("trial").differing_in(&age).offering(Experiments::SubsetsOf(drug.clone()));
/// let selection = SelectionDiagram::new(diagram)
///     .with_source(trial)?
///     .with_target_data(Experiments::none())?;
/// let within = transport(&selection, &Query::of(&cure).under(&drug).given(&age))?;
/// assert!(within.estimand().is_some());
/// let overall = transport(&selection, &Query::of(&cure).under(&drug))?;
/// assert!(overall.obstruction().is_some());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn transport(selection: &SelectionDiagram, query: &Query) -> Result<Transport, GraphError> {
    query.check(selection.diagram())?;
    let graph = Admg::of(selection.diagram());
    let decomposition = Decomposition::of(&graph, query);
    let mut factors = Vec::new();
    let mut pieces = Vec::new();
    for district in decomposition.districts() {
        match find_factor(selection, &graph, district) {
            Ok((factor, piece)) => {
                factors.push(factor);
                pieces.push(piece);
            }
            Err(obstacles) => {
                let district = district.clone();
                return Ok(Transport::NotTransportable(Obstruction {
                    district,
                    obstacles,
                }));
            }
        }
    }
    let estimand = decomposition.assemble(factors);
    Ok(Transport::Transportable(Formula { estimand, pieces }))
}

fn find_factor(
    selection: &SelectionDiagram,
    graph: &Admg,
    district: &NodeSet,
) -> Result<(Estimand, Piece), Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    for (domain, population) in selection.populations() {
        let nodes = population.differs().intersection(district);
        if !nodes.is_empty() {
            obstacles.push(Obstacle::Differs { domain, nodes });
            continue;
        }
        match from_population(graph, district, domain, population.experiments()) {
            Ok((factor, intervention)) => {
                return Ok((
                    factor,
                    Piece {
                        district: district.clone(),
                        domain,
                        intervention,
                    },
                ));
            }
            Err(Some(hedge)) => obstacles.push(Obstacle::Hedged { domain, hedge }),
            Err(None) => obstacles.push(Obstacle::NoData { domain }),
        }
    }
    Err(obstacles)
}

/// A district's factor from one population and the experiment used; the error is the last hedge.
fn from_population(
    graph: &Admg,
    district: &NodeSet,
    domain: Domain,
    experiments: &Experiments,
) -> Result<(Estimand, NodeSet), Option<Hedge>> {
    match experiments {
        Experiments::SubsetsOf(set) => {
            let largest = set.intersection(graph.nodes()).difference(district);
            smallest_subset(graph, district, domain, &largest).map_err(Some)
        }
        Experiments::Listed(sets) => {
            let mut failure = None;
            for set in sets.iter().filter(|set| set.is_disjoint(district)) {
                match c_factor(graph, district, domain, set) {
                    Ok(factor) => return Ok((factor, set.clone())),
                    Err(hedge) => failure = Some(hedge),
                }
            }
            Err(failure)
        }
    }
}

/// Leaves out of the largest experiment what the factor does not need. An experiment on more
/// variables outside the district never determines less, so that one decides.
fn smallest_subset(
    graph: &Admg,
    district: &NodeSet,
    domain: Domain,
    largest: &NodeSet,
) -> Result<(Estimand, NodeSet), Hedge> {
    if let Ok(factor) = c_factor(graph, district, domain, &NodeSet::new()) {
        return Ok((factor, NodeSet::new()));
    }
    let mut factor = c_factor(graph, district, domain, largest)?;
    let mut intervention = largest.clone();
    for node in largest {
        let mut smaller = intervention.clone();
        smaller.remove(node);
        if let Ok(found) = c_factor(graph, district, domain, &smaller) {
            factor = found;
            intervention = smaller;
        }
    }
    Ok((factor, intervention))
}

#[cfg(test)]
mod tests;
