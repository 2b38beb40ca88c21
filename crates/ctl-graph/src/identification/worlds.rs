//! Counterfactual events and the worlds in which they happen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Admg;
use super::query::check_observed;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// The event that a variable would take a state, had others been set: Y<sub>x</sub> = y.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Counterfactual};
///
/// let diagram = Diagram::parse("treatment -> recovery")?;
/// let (treatment, recovery) = (diagram.node("treatment")?, diagram.node("recovery")?);
/// let event = Counterfactual::new(recovery, 1).under(treatment, 0);
/// assert_eq!(event.describe(&diagram), "recovery[treatment=0]=1");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counterfactual {
    node: NodeId,
    state: usize,
    #[serde(default)]
    world: World,
}

/// What a world sets; a set that says two things of a node holds the later one.
type World = BTreeMap<NodeId, usize>;

impl Counterfactual {
    /// The event that a variable has a state in the actual world.
    pub fn new(node: NodeId, state: usize) -> Self {
        Self {
            node,
            state,
            world: World::new(),
        }
    }

    /// Moves the event to the world where, in addition, a variable is set to a state.
    #[must_use]
    pub fn under(mut self, node: NodeId, state: usize) -> Self {
        self.world.insert(node, state);
        self
    }

    /// The variable.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its state.
    pub fn state(&self) -> usize {
        self.state
    }

    /// What the world sets, ascending by variable.
    pub fn world(&self) -> impl Iterator<Item = (NodeId, usize)> + '_ {
        self.world.iter().map(|(&node, &state)| (node, state))
    }

    /// The event as text.
    pub fn describe(&self, diagram: &Diagram) -> String {
        let set = |(node, state): (NodeId, usize)| format!("{}={state}", diagram.name(node));
        let world: Vec<String> = self.world().map(set).collect();
        let name = diagram.name(self.node);
        if world.is_empty() {
            return format!("{name}={}", self.state);
        }
        format!("{name}[{}]={}", world.join(", "), self.state)
    }

    pub(super) fn check(&self, diagram: &Diagram) -> Result<(), GraphError> {
        let mut nodes: NodeSet = self.world.keys().copied().collect();
        nodes.insert(self.node);
        diagram.check(&nodes)?;
        check_observed(diagram, "event", &nodes)
    }
}

/// The value of a variable in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// A state that the query names.
    State(usize),
    /// That of a copy, by its index, which is summed over.
    Unknown(usize),
}

/// A variable in a world, or in several worlds that cannot differ for it.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) node: NodeId,
    /// The values of the parents there, ascending by parent.
    pub(super) arguments: Vec<(NodeId, Value)>,
    pub(super) state: Option<usize>,
}

/// The variables on which a joint event in several worlds depends.
pub(super) struct Worlds {
    pub(super) copies: Vec<Copy>,
    /// Where the copy of a variable in a world is, the world reduced to what reaches it.
    place: BTreeMap<(NodeId, World), usize>,
}

/// An event whose parts exclude each other.
pub(super) struct Impossible;

/// A variable and the part of its world that matters to it; the state, if the query names it.
type Wanted = BTreeMap<(NodeId, World), Option<usize>>;

impl Worlds {
    /// The ancestors of the events in their worlds. Copies of a variable whose parents have the
    /// same values are one: they share the function and the hidden causes.
    ///
    /// # Arguments
    /// - `known`: [`settled`] events with their states.
    /// - `open`: settled events whose states are left open.
    pub(super) fn of(
        graph: &Admg,
        known: &[Counterfactual],
        open: &[Counterfactual],
    ) -> Result<Self, Impossible> {
        let mut wanted = Wanted::new();
        let known = known.iter().map(|event| (event, Some(event.state)));
        for (event, state) in known.chain(open.iter().map(|event| (event, None))) {
            want(graph, event, state, &mut wanted)?;
        }
        add_ancestors(graph, &mut wanted);
        merge(graph, &wanted)
    }

    /// Tells whether other parts of an event decide that a part, settled and open here, happens.
    pub(super) fn decide(&self, graph: &Admg, part: &Counterfactual) -> bool {
        let key = (part.node, relevant(graph, part.node, &part.world));
        let copy = self.place.get(&key).map(|&index| &self.copies[index]);
        copy.is_some_and(|copy| copy.state == Some(part.state))
    }

    /// The value of a copy.
    pub(super) fn value(&self, index: usize) -> Value {
        self.copies[index]
            .state
            .map_or(Value::Unknown(index), Value::State)
    }

    /// The variables, once each.
    pub(super) fn nodes(&self) -> NodeSet {
        self.copies.iter().map(|copy| copy.node).collect()
    }
}

/// Leaves out events on variables that their own worlds set: a variable has the state it is set to.
pub(super) fn settled(events: &[Counterfactual]) -> Result<Vec<Counterfactual>, Impossible> {
    let mut open = Vec::new();
    for event in events {
        match event.world.get(&event.node) {
            Some(&set) if set == event.state => {}
            Some(_) => return Err(Impossible),
            None => open.push(event.clone()),
        }
    }
    Ok(open)
}

fn want(
    graph: &Admg,
    event: &Counterfactual,
    state: Option<usize>,
    wanted: &mut Wanted,
) -> Result<(), Impossible> {
    let known = wanted
        .entry((event.node, relevant(graph, event.node, &event.world)))
        .or_default();
    unify(known, state)
}

fn unify(known: &mut Option<usize>, state: Option<usize>) -> Result<(), Impossible> {
    match (*known, state) {
        (Some(a), Some(b)) if a != b => Err(Impossible),
        (None, Some(_)) => {
            *known = state;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The part of a world that reaches a variable: what is set closer to it hides the rest.
fn relevant(graph: &Admg, node: NodeId, world: &World) -> World {
    let set: NodeSet = world.keys().copied().collect();
    let region = graph.nodes().difference(&set);
    let reaching = graph.parents_of(&graph.ancestors(&node.into(), &region));
    world
        .iter()
        .filter(|(node, _)| reaching.contains(**node))
        .map(|(&n, &s)| (n, s))
        .collect()
}

fn add_ancestors(graph: &Admg, wanted: &mut Wanted) {
    let mut stack: Vec<(NodeId, World)> = wanted.keys().cloned().collect();
    while let Some((node, world)) = stack.pop() {
        for parent in graph
            .parents(node)
            .iter()
            .filter(|parent| !world.contains_key(parent))
        {
            let key = (parent, relevant(graph, parent, &world));
            if !wanted.contains_key(&key) {
                wanted.insert(key.clone(), None);
                stack.push(key);
            }
        }
    }
}

fn merge(graph: &Admg, wanted: &Wanted) -> Result<Worlds, Impossible> {
    let mut worlds = Worlds {
        copies: Vec::new(),
        place: BTreeMap::new(),
    };
    // Parents come first, so that their values are settled when a variable's copies are compared.
    for &node in graph.order() {
        for (key, state) in wanted.iter().filter(|(key, _)| key.0 == node) {
            let value = |parent| match key.1.get(&parent) {
                Some(&state) => Value::State(state),
                None => worlds.value(worlds.place[&(parent, relevant(graph, parent, &key.1))]),
            };
            let arguments: Vec<_> = graph
                .parents(node)
                .iter()
                .map(|parent| (parent, value(parent)))
                .collect();
            let same = |copy: &Copy| copy.node == node && copy.arguments == arguments;
            let index = if let Some(index) = worlds.copies.iter().position(same) {
                unify(&mut worlds.copies[index].state, *state)?;
                index
            } else {
                worlds.copies.push(Copy {
                    node,
                    arguments,
                    state: *state,
                });
                worlds.copies.len() - 1
            };
            worlds.place.insert(key.clone(), index);
        }
    }
    Ok(worlds)
}
