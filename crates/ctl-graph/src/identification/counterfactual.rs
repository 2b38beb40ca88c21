//! Identification of events in several worlds at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::worlds::{Value, Worlds, settled};
use super::{Admg, Counterfactual, Hedge, c_factor};
use crate::estimand::{Domain, Estimand, Probability};
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// The data from which a counterfactual is to be computed.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::identification::{Available, Counterfactual, identify_counterfactual};
///
/// let bow = Diagram::parse("X -> Y; X <-> Y")?;
/// let event = [Counterfactual::new(bow.node("Y")?, 1).under(bow.node("X")?, 0)];
/// let found = |available| {
///     let answer = identify_counterfactual(&bow, &event, &[], available);
///     answer.map(|answer| answer.estimand().is_some())
/// };
/// assert!(!found(Available::Observation)?);
/// assert!(found(Available::Experiments)?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Available {
    /// The observational distribution alone.
    Observation,
    /// The distribution under every experiment.
    Experiments,
}

/// Two worlds that hidden causes tie together and that no single experiment shows at once.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::identification::{
///     Available, Counterfactual, CounterfactualIdentification, identify_counterfactual,
/// };
///
/// // Would this patient, who was treated and recovered, have recovered without treatment?
/// let diagram = Diagram::parse("X -> Y")?;
/// let (x, y) = (diagram.node("X")?, diagram.node("Y")?);
/// let event = [Counterfactual::new(y, 1).under(x, 0)];
/// let fact = [Counterfactual::new(x, 1), Counterfactual::new(y, 1)];
/// let answer = identify_counterfactual(&diagram, &event, &fact, Available::Experiments)?;
/// let CounterfactualIdentification::Conflicting(conflict) = answer else { unreachable!() };
/// assert_eq!(conflict.node(), x);
/// assert_eq!(conflict.district(), &diagram.set(&["Y"])?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    district: NodeSet,
    node: NodeId,
}

impl Conflict {
    /// The variables that hidden causes join.
    pub fn district(&self) -> &NodeSet {
        &self.district
    }

    /// The variable that would have to take two values at once.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The reason in words.
    pub fn describe(&self, diagram: &Diagram) -> String {
        format!(
            "the event needs {} to take two values at once for {{{}}}, which hidden causes join: no \
             experiment shows both",
            diagram.name(self.node),
            diagram.names(&self.district).join(", ")
        )
    }
}

/// The answer of [`identify_counterfactual`].
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::identification::{
///     Available, Counterfactual, CounterfactualIdentification, identify_counterfactual,
/// };
///
/// let diagram = Diagram::parse("X -> Y")?;
/// let (x, y) = (diagram.node("X")?, diagram.node("Y")?);
/// let event = [Counterfactual::new(y, 1)];
/// // Had X been set to 0, it would not have been 1.
/// let absurd = [Counterfactual::new(x, 1).under(x, 0)];
/// let answer = identify_counterfactual(&diagram, &event, &absurd, Available::Observation)?;
/// assert_eq!(answer, CounterfactualIdentification::Impossible);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CounterfactualIdentification {
    /// The probability equals this formula in every model of the diagram; it has no free variable
    /// on which its value depends.
    Identified(Estimand),
    /// Not even all experiments determine it.
    Conflicting(Conflict),
    /// Experiments would determine it, observation does not.
    Hedged(Hedge),
    /// The condition contradicts itself.
    Impossible,
}

impl CounterfactualIdentification {
    /// The formula, if there is one.
    pub fn estimand(&self) -> Option<&Estimand> {
        match self {
            Self::Identified(estimand) => Some(estimand),
            _ => None,
        }
    }
}

/// Identifies P(event | given), where the parts may happen in different worlds.
///
/// The event's ancestors in its worlds are made, copies of a variable that cannot differ are
/// merged, and the joint distribution splits by districts. A district whose copies all fit one
/// experiment contributes P(c | do(pa)); two copies of one variable in it, or two values of one
/// parent, make the query unidentifiable.
///
/// # Arguments
/// - `event`, `given`: the parts of event and condition; the latter may be empty.
/// - `available`: what the formula may use.
///
/// # Returns
/// The formula, in which the states of the query are filled in, or why there is none. The answer is
/// complete without a condition. With one, a query is also given up where neither the districts
/// linked with the event, its states left open, nor both joint probabilities are identifiable.
///
/// # Errors
/// [`GraphError::ForeignNode`], [`GraphError::EmptySet`] for an empty event,
/// [`GraphError::InvalidValue`] for unobserved nodes.
///
/// # References
/// Shpitser, Pearl 2008, "Complete identification methods for the causal hierarchy", ID* and IDC*;
/// Correa, Lee, Bareinboim 2021, "Nested counterfactual identification from arbitrary surrogate
/// experiments". Deviations from ID*: worlds are reduced to what reaches a variable before copies
/// are compared, so that line 3 (tautologies) and make-cg become one pass in causal order; a
/// conflict is looked for among a district's own values and its parents', also where one of the two
/// is summed over, which line 8 as printed passes over.
///
/// # Examples
///
/// The effect of treatment on the treated with an observed confounder:
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::identification::{Available, Counterfactual, identify_counterfactual};
///
/// let diagram = Diagram::parse("Z -> X; Z -> Y; X -> Y")?;
/// let (x, y) = (diagram.node("X")?, diagram.node("Y")?);
/// let event = [Counterfactual::new(y, 1).under(x, 0)];
/// let given = [Counterfactual::new(x, 1)];
/// let answer = identify_counterfactual(&diagram, &event, &given, Available::Observation)?;
/// assert_eq!(
///     answer.estimand().unwrap().simplified().display(&diagram).to_string(),
///     "sum_{Z} P(Z | X=1) P(Y=1 | Z, X=0)"
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn identify_counterfactual(
    diagram: &Diagram,
    event: &[Counterfactual],
    given: &[Counterfactual],
    available: Available,
) -> Result<CounterfactualIdentification, GraphError> {
    if event.is_empty() {
        return Err(GraphError::EmptySet { subject: "event" });
    }
    event
        .iter()
        .chain(given)
        .try_for_each(|part| part.check(diagram))?;
    let graph = Admg::of(diagram);
    let solver = Solver {
        graph: &graph,
        available,
    };
    Ok(solver
        .solve(event, given)
        .unwrap_or_else(|obstacle| obstacle))
}

/// What was found so far; the error is an answer that ends the search.
type Found<T> = Result<T, CounterfactualIdentification>;

struct Solver<'a> {
    graph: &'a Admg,
    available: Available,
}

impl Solver<'_> {
    fn solve(
        &self,
        event: &[Counterfactual],
        given: &[Counterfactual],
    ) -> Found<CounterfactualIdentification> {
        let impossible = |_| CounterfactualIdentification::Impossible;
        let given = settled(given).map_err(impossible)?;
        let evidence = Worlds::of(self.graph, &given, &[]).map_err(impossible)?;
        let zero = |_| CounterfactualIdentification::Identified(Estimand::Zero);
        let event = settled(event).map_err(zero)?;
        let all: Vec<Counterfactual> = event.iter().chain(&given).cloned().collect();
        let joint = Worlds::of(self.graph, &all, &[]).map_err(zero)?;
        let event = self.undecided(event, &given);
        let answer = if event.is_empty() {
            Ok(Estimand::One)
        } else if given.is_empty() {
            self.probability(&joint)
        } else {
            self.linked(&event, &given).or_else(|_| {
                Ok(Estimand::fraction(
                    self.probability(&joint)?,
                    self.probability(&evidence)?,
                ))
            })
        };
        answer.map(CounterfactualIdentification::Identified)
    }

    /// Leaves out, one by one, the parts of an event that the condition and its other parts decide.
    fn undecided(
        &self,
        mut event: Vec<Counterfactual>,
        given: &[Counterfactual],
    ) -> Vec<Counterfactual> {
        for place in (0..event.len()).rev() {
            let part = event.remove(place);
            let known: Vec<_> = event.iter().chain(given).cloned().collect();
            let worlds = Worlds::of(self.graph, &known, std::slice::from_ref(&part));
            if !worlds.is_ok_and(|worlds| worlds.decide(self.graph, &part)) {
                event.insert(place, part);
            }
        }
        event
    }

    /// The sum over unknown states of the product of all districts' factors.
    fn probability(&self, worlds: &Worlds) -> Found<Estimand> {
        let districts = self.graph.districts(&worlds.nodes());
        let factors = districts
            .iter()
            .map(|district| self.factor(worlds, district));
        let product = Estimand::product(factors.collect::<Found<Vec<_>>>()?);
        Ok(Estimand::sum(&unknown(worlds, &worlds.nodes()), product))
    }

    /// The conditional probability from those districts alone that unknown states link with the
    /// event; the factors of the others cancel.
    fn linked(&self, event: &[Counterfactual], given: &[Counterfactual]) -> Found<Estimand> {
        let Ok(worlds) = Worlds::of(self.graph, given, event) else {
            return Err(CounterfactualIdentification::Impossible);
        };
        let asked: NodeSet = event.iter().map(Counterfactual::node).collect();
        let districts = link(&worlds, self.graph.districts(&worlds.nodes()), &asked);
        let factors = districts
            .iter()
            .map(|district| self.factor(&worlds, district));
        let product = Estimand::product(factors.collect::<Found<Vec<_>>>()?);
        let mut nodes = NodeSet::new();
        for district in &districts {
            nodes.extend_with(district);
        }
        let summed = unknown(&worlds, &nodes);
        if !asked.is_subset(&summed) {
            // An event that the condition decides is left to the ratio.
            return Err(CounterfactualIdentification::Impossible);
        }
        let joint = Estimand::sum(&summed.difference(&asked), product);
        let evidence = Estimand::sum(&asked, joint.clone());
        let fixed = event
            .iter()
            .fold(joint, |joint, part| joint.fix(part.node(), part.state()));
        Ok(Estimand::fraction(fixed, evidence))
    }

    /// P(c | do(pa)) with the values of the worlds, if they fit together.
    fn factor(&self, worlds: &Worlds, district: &NodeSet) -> Found<Estimand> {
        let values = values(worlds, district).map_err(CounterfactualIdentification::Conflicting)?;
        let factor = match self.available {
            Available::Experiments => {
                let around = self.graph.parents_of(district).difference(district);
                Probability::of(district).under(&around).into()
            }
            Available::Observation => {
                c_factor(self.graph, district, Domain::Target, &NodeSet::new())
                    .map_err(CounterfactualIdentification::Hedged)?
            }
        };
        Ok(values
            .iter()
            .fold(factor, |factor, (&node, &value)| match value {
                Value::State(state) => factor.fix(node, state),
                Value::Unknown(_) => factor,
            }))
    }
}

/// The one value of each variable of a district and of each parent, or the variable with two. Two
/// copies of a variable differ in a parent's value, so they cannot pass.
fn values(worlds: &Worlds, district: &NodeSet) -> Result<BTreeMap<NodeId, Value>, Conflict> {
    let mut values = BTreeMap::new();
    for (index, copy) in worlds.copies.iter().enumerate() {
        if !district.contains(copy.node) {
            continue;
        }
        let own = (copy.node, worlds.value(index));
        for (node, value) in copy.arguments.iter().copied().chain([own]) {
            if *values.entry(node).or_insert(value) != value {
                return Err(Conflict {
                    district: district.clone(),
                    node,
                });
            }
        }
    }
    Ok(values)
}

/// The members of a set that have a copy of unknown state.
fn unknown(worlds: &Worlds, nodes: &NodeSet) -> NodeSet {
    let open = worlds
        .copies
        .iter()
        .filter(|copy| copy.state.is_none())
        .map(|copy| copy.node);
    open.filter(|node| nodes.contains(*node)).collect()
}

/// The districts that unknown states join with the variables asked for.
fn link(worlds: &Worlds, districts: Vec<NodeSet>, asked: &NodeSet) -> Vec<NodeSet> {
    let scopes: Vec<BTreeSet<Value>> = districts.iter().map(|d| open_values(worlds, d)).collect();
    let mut reached = open_values_of(worlds, asked);
    let mut kept = vec![false; districts.len()];
    while let Some(i) = (0..kept.len()).find(|&i| !kept[i] && !scopes[i].is_disjoint(&reached)) {
        kept[i] = true;
        reached.extend(&scopes[i]);
    }
    districts
        .into_iter()
        .zip(kept)
        .filter(|(_, kept)| *kept)
        .map(|(district, _)| district)
        .collect()
}

/// The unknown states on which a district's factor depends.
fn open_values(worlds: &Worlds, district: &NodeSet) -> BTreeSet<Value> {
    let members = worlds
        .copies
        .iter()
        .filter(|copy| district.contains(copy.node));
    let arguments = members.flat_map(|copy| copy.arguments.iter().map(|(_, value)| *value));
    let mut open: BTreeSet<Value> = arguments
        .filter(|value| matches!(value, Value::Unknown(_)))
        .collect();
    open.extend(open_values_of(worlds, district));
    open
}

/// The unknown states of the members' copies.
fn open_values_of(worlds: &Worlds, nodes: &NodeSet) -> BTreeSet<Value> {
    let copies = worlds.copies.iter().enumerate();
    let open = copies.filter(|(_, copy)| copy.state.is_none() && nodes.contains(copy.node));
    open.map(|(index, _)| Value::Unknown(index)).collect()
}
