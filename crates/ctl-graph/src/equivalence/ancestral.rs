//! Maximal ancestral graphs, and the PAGs of their classes.

use super::pag::{Separations, orient_pag};
use crate::graph::{Mark, MarkedGraph};
use crate::separation::{independent, separated};
use crate::{Diagram, GraphError, Mixed, NodeId, NodeSet};

/// The maximal ancestral graph over the observed nodes of a diagram.
///
/// Two nodes are joined when no set of observed nodes separates them; the mark at a node is a tail
/// where it is an ancestor of the other, an arrowhead elsewhere.
///
/// # Arguments
/// - `diagram`: nodes marked as latent are marginalised over.
///
/// # Returns
/// A graph whose nodes are the observed ones, in their order.
///
/// # Errors
/// Never for a diagram; the type is that of every conversion.
///
/// # References
/// Richardson and Spirtes (2002), *Ancestral graph Markov models*, section 4.2.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::mag_of};
///
/// let diagram = Diagram::parse("u [latent]; a -> b -> c; u -> b; u -> c")?;
/// // Conditioning on b opens a path by u, so a and c are joined.
/// assert_eq!(mag_of(&diagram)?.to_string(), "a --> b; a --> c; b --> c");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn mag_of(diagram: &Diagram) -> Result<MarkedGraph, GraphError> {
    let observed: Vec<NodeId> = diagram.observed().iter().collect();
    let names: Vec<&str> = observed.iter().map(|&node| diagram.name(node)).collect();
    let mut mag = MarkedGraph::new(&names)?;
    let seen = diagram.observed();
    let above: Vec<NodeSet> = observed
        .iter()
        .map(|&node| diagram.ancestors(&NodeSet::single(node)))
        .collect();
    for (i, &a) in observed.iter().enumerate() {
        for (j, &b) in observed.iter().enumerate().skip(i + 1) {
            let (x, y) = (NodeSet::single(a), NodeSet::single(b));
            let given = above[i].union(&above[j]).intersection(&seen);
            if !independent(diagram, &x, &y, &given.difference(&x).difference(&y)) {
                let at_a = if above[j].contains(a) {
                    Mark::Tail
                } else {
                    Mark::Arrow
                };
                let at_b = if above[i].contains(b) {
                    Mark::Tail
                } else {
                    Mark::Arrow
                };
                mag.join(NodeId::new(i), NodeId::new(j), at_a, at_b);
            }
        }
    }
    Ok(mag)
}

/// A graph with directed and bidirected edges as a diagram, nodes alike.
///
/// # Errors
/// [`GraphError::WrongEdge`] for circles and undirected edges, [`GraphError::Cycle`].
fn as_diagram(mag: &MarkedGraph) -> Result<Diagram, GraphError> {
    let mut builder = Diagram::builder();
    for node in mag.ids() {
        builder.declare(mag.name(node))?;
    }
    for edge in mag.edges() {
        let (a, b) = (mag.name(edge.a), mag.name(edge.b));
        match (edge.at_a, edge.at_b) {
            (Mark::Tail, Mark::Arrow) => builder.add_directed(a, b)?,
            (Mark::Arrow, Mark::Tail) => builder.add_directed(b, a)?,
            (Mark::Arrow, Mark::Arrow) => builder.add_bidirected(a, b)?,
            _ => {
                let expected = "expected directed and bidirected edges only";
                return Err(GraphError::WrongEdge {
                    edge: mag.edge_text(edge),
                    expected,
                });
            }
        }
    }
    builder.build()
}

/// Tells whether a graph is a maximal ancestral graph without undirected edges: no node is an
/// ancestor of one that a bidirected edge joins with it, and every pair that is not joined can be
/// separated.
///
/// # Errors
/// [`GraphError::WrongEdge`] for circles and undirected edges.
///
/// # References
/// Richardson and Spirtes (2002), definitions 3.1 and 3.7.
///
/// # Examples
///
/// ```
/// use ctl_graph::{equivalence::is_ancestral, graph::{Mark, MarkedGraph}};
///
/// let mut graph = MarkedGraph::new(&["a", "b", "c"])?;
/// let (a, b, c) = (graph.node("a")?, graph.node("b")?, graph.node("c")?);
/// graph.join_directed(a, b);
/// graph.join_directed(b, c);
/// assert!(is_ancestral(&graph)?);
/// graph.join(a, c, Mark::Arrow, Mark::Arrow);
/// assert!(!is_ancestral(&graph)?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn is_ancestral(graph: &MarkedGraph) -> Result<bool, GraphError> {
    let diagram = match as_diagram(graph) {
        Err(GraphError::Cycle { .. }) => return Ok(false),
        other => other?,
    };
    let above = |node| diagram.ancestors(&NodeSet::single(node));
    let crossed = diagram
        .bidirected_edges()
        .any(|(a, b)| above(a).contains(b) || above(b).contains(a));
    Ok(!crossed && is_maximal(graph, &diagram))
}

fn is_maximal(graph: &MarkedGraph, diagram: &Diagram) -> bool {
    graph.ids().all(|a| {
        graph
            .ids()
            .filter(|&b| b > a && !graph.are_adjacent(a, b))
            .all(|b| {
                let (x, y) = (NodeSet::single(a), NodeSet::single(b));
                let ends = x.union(&y);
                independent(diagram, &x, &y, &diagram.ancestors(&ends).difference(&ends))
            })
    })
}

/// Tells whether `z` m-separates `x` from `y` in an ancestral graph without undirected edges.
///
/// # Errors
/// [`GraphError::WrongEdge`] for circles and undirected edges, [`GraphError::Cycle`],
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::{mag_of, separated_in_mag}, NodeSet};
///
/// let mag = mag_of(&Diagram::parse("u [latent]; a -> b; u -> b; u -> c")?)?;
/// let node = |name| mag.node(name).map(NodeSet::single);
/// assert!(separated_in_mag(&mag, &node("a")?, &node("c")?, &NodeSet::new())?);
/// assert!(!separated_in_mag(&mag, &node("a")?, &node("c")?, &node("b")?)?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn separated_in_mag(
    mag: &MarkedGraph,
    x: &NodeSet,
    y: &NodeSet,
    z: &NodeSet,
) -> Result<bool, GraphError> {
    separated(&as_diagram(mag)?, x, y, z)
}

/// The PAG of the class of a maximal ancestral graph: a mark is a circle where members differ.
///
/// # Arguments
/// - `mag`: from [`mag_of`], or built by hand; no undirected edges, that is, no selection.
///
/// # Errors
/// [`GraphError::WrongEdge`] for circles and undirected edges, [`GraphError::Cycle`].
///
/// # References
/// Zhang (2008), *On the completeness of orientation rules for causal discovery in the presence of
/// latent confounders and selection bias*.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::{mag_of, pag_of}};
///
/// let mag = mag_of(&Diagram::parse("a -> c <- b; c -> d")?)?;
/// assert_eq!(pag_of(&mag)?.to_string(), "a o-> c; c <-o b; c --> d");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn pag_of(mag: &MarkedGraph) -> Result<MarkedGraph, GraphError> {
    let diagram = as_diagram(mag)?;
    let mut pag = mag.clone();
    for edge in mag.edges() {
        pag.join(edge.a, edge.b, Mark::Circle, Mark::Circle);
    }
    orient_pag(&mut pag, &Ancestors(&diagram));
    Ok(pag)
}

/// Two nodes that are not joined are separated by their other ancestors.
struct Ancestors<'a>(&'a Diagram);

impl Separations for Ancestors<'_> {
    fn separator_holds(&self, a: NodeId, b: NodeId, node: NodeId) -> bool {
        self.0
            .ancestors(&[a, b].into_iter().collect())
            .contains(node)
    }
}

/// The maximal ancestral graphs of a class, one at a time.
///
/// # Complexity
/// Exponential in the number of edges with a circle: each way of replacing circles is tried.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::{MagMembers, mag_of, pag_of}};
///
/// let pag = pag_of(&mag_of(&Diagram::parse("a -> c <- b")?)?)?;
/// // Each of the two edges may be directed or bidirected.
/// assert_eq!(MagMembers::new(&pag).count(), 4);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MagMembers {
    pag: MarkedGraph,
    /// The choice at each edge with a circle; nothing once all are through.
    choices: Option<Vec<usize>>,
    options: Vec<Options>,
}

/// An edge and the marks that it may have.
type Options = (NodeId, NodeId, Vec<(Mark, Mark)>);

impl MagMembers {
    /// The members of the class of a PAG.
    pub fn new(pag: &MarkedGraph) -> Self {
        let kinds = [
            (Mark::Tail, Mark::Arrow),
            (Mark::Arrow, Mark::Tail),
            (Mark::Arrow, Mark::Arrow),
        ];
        let fits = |given: Mark, chosen: Mark| given == Mark::Circle || given == chosen;
        let mut options = Vec::new();
        for edge in pag
            .edges()
            .filter(|e| e.at_a == Mark::Circle || e.at_b == Mark::Circle)
        {
            let fitting = kinds
                .iter()
                .filter(|kind| fits(edge.at_a, kind.0) && fits(edge.at_b, kind.1));
            options.push((edge.a, edge.b, fitting.copied().collect::<Vec<_>>()));
        }
        let all = options.iter().all(|(.., fitting)| !fitting.is_empty());
        let choices = all.then(|| vec![0; options.len()]);
        Self {
            pag: pag.clone(),
            choices,
            options,
        }
    }

    fn advance(&mut self) {
        let Some(choices) = &mut self.choices else {
            return;
        };
        for (choice, (.., fitting)) in choices.iter_mut().zip(&self.options) {
            *choice += 1;
            if *choice < fitting.len() {
                return;
            }
            *choice = 0;
        }
        self.choices = None;
    }
}

impl Iterator for MagMembers {
    type Item = MarkedGraph;

    fn next(&mut self) -> Option<MarkedGraph> {
        loop {
            let choices = self.choices.as_ref()?;
            let mut mag = self.pag.clone();
            for (&choice, (a, b, fitting)) in choices.iter().zip(&self.options) {
                let (at_a, at_b) = fitting[choice];
                mag.join(*a, *b, at_a, at_b);
            }
            self.advance();
            let member =
                is_ancestral(&mag) == Ok(true) && pag_of(&mag).is_ok_and(|pag| pag == self.pag);
            if member {
                return Some(mag);
            }
        }
    }
}
