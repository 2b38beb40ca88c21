//! Which distributions of a source hold in the target as they are.

use serde::Serialize;

use crate::separation::separated;
use crate::{Diagram, GraphError, Mixed, NodeId, NodeSet};

/// A conditional distribution and the changed mechanisms that move it.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, transport::reuse};
///
/// // Another scanner changes how an image looks, not who is ill.
/// let diagram = Diagram::parse("disease -> image")?;
/// let (disease, image) = (diagram.set(&["disease"])?, diagram.set(&["image"])?);
/// let found = reuse(&diagram, &image, &image, &disease)?;
/// assert!(!found.is_invariant());
/// assert_eq!(found.moved_by, image);
/// assert!(reuse(&diagram, &found.moved_by, &disease, &found.given.difference(&disease))?.is_invariant());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reuse {
    /// The variables before the bar.
    pub of: NodeSet,
    /// The variables after the bar.
    pub given: NodeSet,
    /// The variables of changed mechanism that it depends on.
    pub moved_by: NodeSet,
}

impl Reuse {
    /// Tells whether the distribution is the same in source and target.
    pub fn is_invariant(&self) -> bool {
        self.moved_by.is_empty()
    }

    /// The finding in words.
    pub fn describe(&self, diagram: &Diagram) -> String {
        let mut subject = diagram.names(&self.of).join(", ");
        if !self.given.is_empty() {
            subject = format!("{subject} | {}", diagram.names(&self.given).join(", "));
        }
        if self.is_invariant() {
            return format!("P({subject}) is the same in both populations");
        }
        let moved_by = diagram.names(&self.moved_by).join(", ");
        format!("P({subject}) may differ, since the mechanism of {moved_by} does")
    }
}

/// A diagram with a selection node beside each variable whose mechanism differs.
struct Augmented {
    diagram: Diagram,
    /// The variable and its selection node.
    selection: Vec<(NodeId, NodeId)>,
}

impl Augmented {
    fn new(diagram: &Diagram, differs: &NodeSet) -> Result<Self, GraphError> {
        diagram.check(differs)?;
        let mut builder = Diagram::builder();
        for id in diagram.ids() {
            builder = builder.node(diagram.name(id))?;
        }
        for (from, to) in diagram.directed_edges() {
            builder = builder.directed(diagram.name(from), diagram.name(to))?;
        }
        for (a, b) in diagram.bidirected_edges() {
            builder = builder.bidirected(diagram.name(a), diagram.name(b))?;
        }
        let mut selection = Vec::new();
        for node in differs {
            let name = unused_name(diagram, diagram.name(node));
            selection.push((node, NodeId::new(diagram.len() + selection.len())));
            builder = builder.node(&name)?.directed(&name, diagram.name(node))?;
        }
        Ok(Self {
            diagram: builder.build()?,
            selection,
        })
    }

    /// The variables whose selection nodes a set does not screen off in a view.
    fn moving(
        &self,
        graph: &impl Mixed,
        of: &NodeSet,
        given: &NodeSet,
    ) -> Result<NodeSet, GraphError> {
        let mut moving = NodeSet::new();
        for &(node, selection) in &self.selection {
            if !separated(graph, &selection.into(), of, given)? {
                moving.insert(node);
            }
        }
        Ok(moving)
    }
}

/// A name for a selection node that the diagram does not have.
fn unused_name(diagram: &Diagram, name: &str) -> String {
    let mut candidate = format!("S_{name}");
    while diagram.node(&candidate).is_ok() {
        candidate.push('_');
    }
    candidate
}

/// Tells whether P(of | given) is the same in two populations that differ in some mechanisms.
///
/// P(a | b) is invariant where b separates a from the selection nodes.
///
/// # Arguments
/// - `differs`: the variables whose mechanisms may differ.
/// - `of`, `given`: disjoint; `of` not empty.
///
/// # Returns
/// The finding with the mechanisms that move the distribution.
///
/// # Errors
/// [`GraphError::ForeignNode`], [`GraphError::Overlap`], [`GraphError::EmptySet`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, transport::reuse};
///
/// // Prevalence shift: how a disease shows in the image stays, its frequency does not.
/// let diagram = Diagram::parse("disease -> image")?;
/// let (disease, image) = (diagram.set(&["disease"])?, diagram.set(&["image"])?);
/// assert!(reuse(&diagram, &disease, &image, &disease)?.is_invariant());
/// let diagnosis = reuse(&diagram, &disease, &disease, &image)?;
/// assert_eq!(
///     diagnosis.describe(&diagram),
///     "P(disease | image) may differ, since the mechanism of disease does"
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
///
/// # References
/// Pearl, Bareinboim 2011, "Transportability of causal and statistical relations".
pub fn reuse(
    diagram: &Diagram,
    differs: &NodeSet,
    of: &NodeSet,
    given: &NodeSet,
) -> Result<Reuse, GraphError> {
    check(diagram, of, given)?;
    let augmented = Augmented::new(diagram, differs)?;
    let moved_by = augmented.moving(&augmented.diagram, of, given)?;
    Ok(Reuse {
        of: of.clone(),
        given: given.clone(),
        moved_by,
    })
}

fn check(diagram: &Diagram, of: &NodeSet, given: &NodeSet) -> Result<(), GraphError> {
    if of.is_empty() {
        return Err(GraphError::EmptySet { subject: "of" });
    }
    diagram.check_disjoint(&[("of", of), ("given", given)])
}

/// The distributions that matter to a model of images, each with its finding.
///
/// # Arguments
/// - `differs`: the variables whose mechanisms may differ.
/// - `image`, `label`: X and Y.
/// - `anatomy`: Z, what the image shows of the patient, if the diagram has it.
///
/// # Returns
/// P(Y | X), P(X | Y), P(Y), P(X), and with Z also P(Z), P(X | Z), P(Z | Y), P(Y | Z).
///
/// # Errors
/// Those of [`reuse`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, transport::image_reuse};
///
/// // Another scanner, in an anticausal task.
/// let diagram = Diagram::parse("disease -> anatomy -> image")?;
/// let [image, label, anatomy] =
///     ["image", "disease", "anatomy"].map(|name| diagram.node(name));
/// let found = image_reuse(&diagram, &image.clone()?.into(), image?, label?, Some(anatomy?))?;
/// let kept: Vec<String> = found
///     .iter()
///     .filter(|finding| finding.is_invariant())
///     .map(|finding| finding.describe(&diagram))
///     .collect();
/// assert_eq!(kept, [
///     "P(disease) is the same in both populations",
///     "P(anatomy) is the same in both populations",
///     "P(anatomy | disease) is the same in both populations",
///     "P(disease | anatomy) is the same in both populations",
/// ]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn image_reuse(
    diagram: &Diagram,
    differs: &NodeSet,
    image: NodeId,
    label: NodeId,
    anatomy: Option<NodeId>,
) -> Result<Vec<Reuse>, GraphError> {
    let mut asked = vec![
        (label, Some(image)),
        (image, Some(label)),
        (label, None),
        (image, None),
    ];
    if let Some(anatomy) = anatomy {
        asked.extend([
            (anatomy, None),
            (image, Some(anatomy)),
            (anatomy, Some(label)),
            (label, Some(anatomy)),
        ]);
    }
    let set = |node: Option<NodeId>| node.map(NodeSet::single).unwrap_or_default();
    asked
        .into_iter()
        .map(|(of, given)| reuse(diagram, differs, &of.into(), &set(given)))
        .collect()
}

/// Tells whether a set is S-admissible: P(y | do(x), z) is the same in both populations, so that
/// P\*(y | do(x)) = Σ<sub>z</sub> P(y | do(x), z) P\*(z | do(x)).
///
/// # Arguments
/// - `differs`: the variables whose mechanisms may differ.
/// - `outcome`, `intervention`, `set`: y, x and z, pairwise disjoint.
///
/// # Errors
/// [`GraphError::ForeignNode`], [`GraphError::Overlap`], [`GraphError::EmptySet`].
///
/// # References
/// Pearl, Bareinboim 2011, definition 7 and theorem 2.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, transport::is_s_admissible};
///
/// let diagram = Diagram::parse("age -> outcome; drug -> outcome")?;
/// let [age, outcome, drug] = ["age", "outcome", "drug"].map(|name| diagram.set(&[name]));
/// let (age, outcome, drug) = (age?, outcome?, drug?);
/// assert!(is_s_admissible(&diagram, &age, &outcome, &drug, &age)?);
/// assert!(!is_s_admissible(&diagram, &age, &outcome, &drug, &NodeSet::new())?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn is_s_admissible(
    diagram: &Diagram,
    differs: &NodeSet,
    outcome: &NodeSet,
    intervention: &NodeSet,
    set: &NodeSet,
) -> Result<bool, GraphError> {
    check(diagram, outcome, &intervention.union(set))?;
    diagram.check_disjoint(&[("intervention", intervention), ("set", set)])?;
    let augmented = Augmented::new(diagram, differs)?;
    let view = augmented.diagram.view().without_incoming(intervention);
    Ok(augmented
        .moving(&view, outcome, &intervention.union(set))?
        .is_empty())
}
