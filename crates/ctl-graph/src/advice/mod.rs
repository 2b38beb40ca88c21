//! Advice for a study: what differs between sources and target, what stays, and which remedies
//! the diagram licenses.
//!
//! Everything is derived by separation in a selection diagram, the study's diagram with a domain
//! node per shift; no verdict depends on which template a diagram came from.
//!
//! # Examples
//!
//! ```
//! use ctl_graph::advice::{Template, Verdict, advise};
//! use ctl_graph::graph::{CausalDirection, ShiftKind};
//!
//! // The disease shows in the image, and is rarer in the target.
//! let study = Template::new(CausalDirection::Anticausal).shift(ShiftKind::Prevalence).build()?;
//! let advice = advise(&study)?;
//! assert_eq!(advice.is_invariant("image", &["label"]), Some(true));
//! assert_eq!(advice.is_invariant("label", &["image"]), Some(false));
//! let correction = advice.remedy("label-shift-correction").unwrap();
//! assert_eq!(correction.verdict, Verdict::Licensed);
//! assert_eq!(
//!     correction.formula.as_deref(),
//!     Some("P*(label | image) ∝ P(label | image) P*(label) / P(label)"),
//! );
//! assert_eq!(advice.remedy("marginal-alignment").unwrap().verdict, Verdict::NotLicensed);
//! # Ok::<(), ctl_graph::advice::AdviceError>(())
//! ```

mod constraints;
mod display;
mod named;
mod prediction;
mod remedies;
mod report;
mod roles;
mod shift_diagram;
mod situation;
mod structural;
mod template;
mod words;

pub use named::{TEMPLATES, TemplateEntry};
pub use report::{
    Advice, Conditional, Constraint, ConstraintKind, Data, Family, Prediction, ReckonedShift,
    Relation, Remedy, Verdict,
};
pub use template::Template;

use crate::GraphError;
use crate::graph::{DiagramFile, NodeId, NodeSet};
use situation::Situation;

/// Version of the advice record.
const SCHEMA: u32 = 1;
/// With more nodes than this, factors are listed given one variable at most, or all parents.
const MANY_NODES: usize = 30;

/// Why no advice can be given.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{AdviceError, advise};
/// use ctl_graph::graph::DiagramFile;
///
/// let file = DiagramFile::parse("schema = 1\nedges = 'disease -> film'")?;
/// let fault = advise(&file).unwrap_err();
/// assert!(matches!(fault, AdviceError::NoRole { role: "image", .. }));
/// assert_eq!(
///     fault.to_string(),
///     "image: no node has this role; write `role = \"image\"` under [nodes.NAME], NAME being one of \
///      disease, film",
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdviceError {
    /// The diagram is not usable.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// It is not said which node is the image, or the label.
    #[error(
        "{role}: no node has this role; write `role = \"{role}\"` under [nodes.NAME], NAME being one of {known}"
    )]
    NoRole {
        /// The role that is missing.
        role: &'static str,
        /// The nodes that could have it.
        known: String,
    },
    /// Several nodes could be the image, or the label.
    #[error(
        "{role}: {nodes} all have this role; say which one is meant under [direction], as `{role} = \"NAME\"`"
    )]
    SeveralWithRole {
        /// The role.
        role: &'static str,
        /// The nodes that have it.
        nodes: String,
    },
    /// Image and label are one node.
    #[error("node {node}: it is both image and label under [direction]")]
    ImageIsLabel {
        /// The node.
        node: String,
    },
    /// The image or the label is said not to be recorded.
    #[error("node {node}: the {role} must be recorded, but it says `observed = false`")]
    Unrecorded {
        /// The role.
        role: &'static str,
        /// The node.
        node: String,
    },
    /// Nothing is said to differ between sources and target.
    #[error(
        "shift: nothing differs between sources and target; add a [[shift]] with `kind` (population, \
         prevalence, acquisition, annotation, manifestation or selection) and `nodes`, those whose \
         mechanism differs, or give a node the role site"
    )]
    NoShift,
    /// A template does not have the mechanism that a shift changes.
    #[error("{shift} shift: the {direction} template has no such mechanism, only {known}")]
    NotInTemplate {
        /// The shift.
        shift: &'static str,
        /// The template's direction.
        direction: &'static str,
        /// The shifts that it has.
        known: &'static str,
    },
    /// A template's name has a word that means nothing, or no direction.
    #[error(
        "template {name:?}: expected causal or anticausal, then any of {expected}, joined by hyphens; \
         found {found:?}"
    )]
    UnknownTemplate {
        /// The name.
        name: String,
        /// The words that may follow the direction.
        expected: String,
        /// The word that was not understood.
        found: String,
    },
}

/// Derives what can be transferred in a study, and how.
///
/// A domain node is added for each shift; `P(v | w)` is invariant where `v` is separated from
/// every domain node given `w`. A site that marks the image and goes together with the label
/// other than through it is reckoned as confounding, and as differing in the target.
///
/// # Arguments
/// - `file`: a diagram with one node of role image and one of role label (or both named by
///   `[direction]`), the roles of other nodes as far as known, and the shifts.
///
/// # Returns
/// The conditionals, remedies and constraints. What is called invariant holds in every source;
/// where shifts name a `source`, each conditional lists the sources it can be taken from.
///
/// # Errors
/// Each says what to add to the file: [`AdviceError::NoRole`], [`AdviceError::SeveralWithRole`],
/// [`AdviceError::ImageIsLabel`], [`AdviceError::Unrecorded`], and [`AdviceError::NoShift`] where
/// neither a shift is stated nor a site or selection node drawn; [`AdviceError::Graph`].
///
/// # Complexity
/// A linear-time separation for each listed conditional, of which there are at most a few for
/// each triple of nodes (each pair beyond 30 nodes), and for each of at most 2⁸ sets of content.
///
/// # References
/// Castro, Walker & Glocker (2020), *Causality matters in medical imaging* (the shifts); Pearl &
/// Bareinboim (2014), *External validity*, for separation from selection nodes; Veitch et al.
/// (2021) and Kaur, Kiciman & Sharma (2022) for constraints on representations.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::{Verdict, advise};
/// use ctl_graph::graph::DiagramFile;
///
/// let study = DiagramFile::parse(r#"
///     schema = 1
///     edges = "anatomy -> image -> mask"
///     [nodes.anatomy]
///     role = "anatomy"
///     [nodes.image]
///     role = "image"
///     [nodes.mask]
///     role = "label"
///     [[shift]]
///     kind = "annotation"
///     nodes = ["mask"]
/// "#)?;
/// let advice = advise(&study)?;
/// assert_eq!(advice.is_invariant("image", &[]), Some(true));
/// assert_eq!(advice.with_verdict(Verdict::Licensed), ["mechanism-reuse", "target-labels"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn advise(file: &DiagramFile) -> Result<Advice, AdviceError> {
    let situation = Situation::derive(file)?;
    let diagram = &situation.diagram;
    let name = |node| diagram.diagram.name(node).to_owned();
    let remedies: Vec<Remedy> = remedies::RULES
        .iter()
        .map(|rule| rule(&situation))
        .collect();
    let prediction = prediction::prediction(&situation, &remedies);
    Ok(Advice {
        schema: SCHEMA,
        answer: prediction::answer(&situation, &remedies, &prediction),
        prediction,
        image: name(diagram.image),
        label: name(diagram.label),
        relation: situation.relation,
        shifts: situation.shifts.clone(),
        confounded_by: situation.confounders.iter().map(name).collect(),
        conditionals: conditionals(&situation),
        remedies,
        constraints: constraints::constraints(&situation),
        assumptions: situation.assumptions.clone(),
    })
}

/// Each variable given nothing, one or two others, and given its parents.
fn conditionals(situation: &Situation) -> Vec<Conditional> {
    let diagram = &situation.diagram;
    let mut found = Vec::new();
    for variable in &diagram.drawn {
        let parents = diagram
            .diagram
            .parents(variable)
            .intersection(&diagram.drawn);
        let mut sets = conditioning_sets(&diagram.drawn, variable);
        if !sets.contains(&parents) {
            sets.push(parents.clone());
        }
        found.extend(sets.into_iter().map(|given| {
            Conditional {
                variable: diagram.diagram.name(variable).to_owned(),
                given: diagram
                    .diagram
                    .names(&given)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                is_mechanism: given == parents,
                invariant: diagram.is_invariant(variable, &given),
                moved_by: diagram.moved_by(variable, &given),
                sources: diagram.sources_of(variable, &given),
            }
        }));
    }
    found
}

fn conditioning_sets(nodes: &NodeSet, variable: NodeId) -> Vec<NodeSet> {
    let others: Vec<NodeId> = nodes.iter().filter(|&node| node != variable).collect();
    let mut sets = vec![NodeSet::new()];
    sets.extend(others.iter().map(|&node| NodeSet::single(node)));
    if others.len() < MANY_NODES {
        for (place, &first) in others.iter().enumerate() {
            let later = others[place + 1..].iter();
            sets.extend(later.map(|&second| [first, second].into_iter().collect()));
        }
    }
    sets
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod tests;
