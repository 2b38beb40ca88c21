//! The selection diagram of a study: one domain node per shift, and what separation says of it.

use crate::GraphError;
use std::collections::BTreeSet;

use crate::graph::{Diagram, DiagramBuilder, DiagramFile, Mixed, NodeId, NodeSet, Role, Shift};
use crate::graph::{ShiftKind, View};
use crate::separation::separated;

use super::AdviceError;

/// The name of the node that stands for what the image shows, apart from how it was taken.
const CONTENT: &str = "content";

/// A diagram to which a domain node is added for each shift.
///
/// A domain node points at the mechanisms that differ between sources and target; a selection
/// node is pointed at by what decides who enters. `P(v | w)` is the same in sources and target
/// where `v` is separated from all of them given `w`.
#[derive(Debug, Clone)]
pub(super) struct ShiftDiagram {
    pub(super) diagram: Diagram,
    pub(super) image: NodeId,
    pub(super) label: NodeId,
    /// The domain and selection nodes.
    pub(super) domain: NodeSet,
    /// The domain and selection nodes that concern each source that a shift names.
    pub(super) sources: Vec<(String, NodeSet)>,
    /// Those of them that are selection nodes.
    pub(super) selection: NodeSet,
    /// The nodes of the study itself, which come first and keep their indices.
    pub(super) drawn: NodeSet,
    roles: Vec<Role>,
}

impl ShiftDiagram {
    /// Adds the shifts' nodes to a study's diagram.
    pub(super) fn new(file: &DiagramFile, shifts: &[Shift]) -> Result<Self, AdviceError> {
        let (image, label) = super::roles::image_and_label(file)?;
        let mut builder = copy(file.diagram())?;
        let mut names: Vec<String> = Vec::new();
        for shift in shifts {
            if let Some(existing) = drawn_selection(file, shift) {
                names.push(existing);
                continue;
            }
            let name = fresh(file.diagram(), &names, shift.kind);
            builder = connect(builder.node(&name)?, &name, shift)?;
            names.push(name);
        }
        let diagram = builder.build()?;
        let chosen = |wanted: &dyn Fn(&Shift) -> bool| {
            let named = shifts.iter().zip(&names).filter(|(shift, _)| wanted(shift));
            diagram.set(&named.map(|(_, name)| name.as_str()).collect::<Vec<_>>())
        };
        let drawn_selection = file.with_role(Role::Selection);
        let selection = chosen(&|shift| shift.kind == ShiftKind::Selection)?;
        let selection = selection.union(&drawn_selection);
        let mut sources = Vec::new();
        for name in shifts
            .iter()
            .filter_map(|shift| shift.source.as_ref())
            .collect::<BTreeSet<_>>()
        {
            let concerns = |shift: &Shift| shift.source.as_ref().is_none_or(|own| own == name);
            sources.push((name.clone(), chosen(&concerns)?.union(&drawn_selection)));
        }
        Ok(Self {
            domain: chosen(&|_| true)?.union(&drawn_selection),
            roles: diagram.ids().map(|node| file.role_of(node)).collect(),
            drawn: NodeSet::all(file.diagram().len()).difference(&selection),
            diagram,
            image,
            label,
            sources,
            selection,
        })
    }

    pub(super) fn role(&self, node: NodeId) -> Role {
        self.roles.get(node.index()).copied().unwrap_or_default()
    }

    /// Tells whether `P(variable | given)` is the same in sources and target.
    pub(super) fn is_invariant(&self, variable: NodeId, given: &NodeSet) -> bool {
        self.independent(&variable.into(), &self.domain, given)
    }

    /// The shifts that `P(variable | given)` depends on, in words.
    pub(super) fn moved_by(&self, variable: NodeId, given: &NodeSet) -> Vec<String> {
        let moves = |node: &NodeId| !self.independent(&variable.into(), &(*node).into(), given);
        let moving = self.domain.iter().filter(moves);
        moving.map(|node| self.described(node)).collect()
    }

    /// A domain or selection node with what it acts on.
    pub(super) fn described(&self, node: NodeId) -> String {
        let ends = if self.selection.contains(node) {
            self.diagram.parents(node)
        } else {
            self.diagram.children(node)
        };
        format!("{} ({})", self.diagram.name(node), self.listed(ends))
    }

    /// The named sources in which `P(variable | given)` is what it is in the target.
    pub(super) fn sources_of(&self, variable: NodeId, given: &NodeSet) -> Vec<String> {
        let same = |domain: &NodeSet| self.independent(&variable.into(), domain, given);
        let sources = self.sources.iter().filter(|(_, domain)| same(domain));
        sources.map(|(name, _)| name.clone()).collect()
    }

    /// Separation of two sets with the members of the third left out of both.
    pub(super) fn independent(&self, a: &NodeSet, b: &NodeSet, given: &NodeSet) -> bool {
        independent(&self.diagram, a, b, given)
    }

    /// Separation in the training data, which selection opens paths in: whoever is there entered.
    pub(super) fn independent_in_sources(&self, a: &NodeSet, b: &NodeSet, given: &NodeSet) -> bool {
        let entered = self.selection.difference(&a.union(b));
        self.independent(a, b, &given.union(&entered))
    }

    /// Separation in the training data where the image has no effects: what remains open does
    /// not run through it.
    pub(super) fn independent_past_image(&self, a: &NodeSet, b: &NodeSet) -> bool {
        let view: View<'_> = self.diagram.view().without_outgoing(&self.image.into());
        independent(&view, a, b, &self.selection)
    }

    /// The parents of the image that may carry what the label depends on: not the label itself,
    /// nor a domain node, nor what says where or how the image was taken, nor a demographic,
    /// which is recorded or not but never what a representation should be made of.
    pub(super) fn content(&self) -> NodeSet {
        let parents = self.diagram.parents(self.image).difference(&self.domain);
        let carries = |&node: &NodeId| {
            node != self.label && self.role(node) != Role::Demographic && !self.is_style(node)
        };
        parents.iter().filter(carries).collect()
    }

    /// The nodes through which imaging itself differs: the image, and what is above it of style.
    pub(super) fn imaging(&self) -> NodeSet {
        let above = self
            .diagram
            .ancestors(&self.image.into())
            .intersection(&self.drawn);
        let images = |&node: &NodeId| node == self.image || self.is_style(node);
        above.iter().filter(images).collect()
    }

    /// Tells whether a node is about where or how images are taken: by its role, or, for a
    /// feature, because apart from sites nothing but the image joins it with the label.
    fn is_style(&self, node: NodeId) -> bool {
        match self.role(node) {
            Role::Site | Role::Acquisition | Role::Annotation | Role::Selection => true,
            Role::Feature => self.independent_apart_from_sites(node),
            _ => false,
        }
    }

    fn independent_apart_from_sites(&self, node: NodeId) -> bool {
        let apart = self
            .drawn
            .iter()
            .filter(|&other| self.role(other) != Role::Site);
        let view = self.diagram.view().induced(&apart.collect());
        let view = view.without_outgoing(&self.image.into());
        independent(&view, &node.into(), &self.label.into(), &NodeSet::new())
    }

    /// Tells whether a directed path of nothing but style leads from a node to the image.
    pub(super) fn marks_image(&self, node: NodeId) -> bool {
        let passes = self.drawn.intersection(&self.imaging()).union(&node.into());
        let view = self.diagram.view().induced(&passes);
        view.ancestors(&self.image.into()).contains(node)
    }

    /// The diagram in which image and label are joined by a content node of the image's own.
    ///
    /// `x -> y` becomes `content -> x, content -> y`, `y -> x` becomes `y -> content -> x`; what
    /// else points at the image and tells of the body points at the content.
    pub(super) fn with_content(&self) -> Result<Self, GraphError> {
        let name = unique(&self.diagram, &[], CONTENT);
        let mut builder = Diagram::builder();
        for node in self.diagram.ids() {
            builder = builder.node(self.diagram.name(node))?;
            builder.set_observed(self.diagram.name(node), self.diagram.is_observed(node))?;
        }
        builder = builder
            .node(&name)?
            .latent(&name)?
            .directed(&name, self.diagram.name(self.image))?;
        let content = self.content();
        let shows = |from: NodeId| from == self.label || content.contains(from);
        for (from, to) in self.diagram.directed_edges() {
            let (mut tail, mut head) = (self.diagram.name(from), self.diagram.name(to));
            if to == self.image && shows(from) {
                head = &name;
            } else if from == self.image && !self.selection.contains(to) {
                tail = &name;
            }
            builder = builder.directed(tail, head)?;
        }
        for (a, b) in self.diagram.bidirected_edges() {
            builder = builder.bidirected(self.diagram.name(a), self.diagram.name(b))?;
        }
        let mut split = self.clone();
        split.diagram = builder.build()?;
        split.roles.push(Role::Feature);
        split.drawn.insert(split.diagram.node(&name)?);
        Ok(split)
    }

    /// The names of a set, joined.
    pub(super) fn listed(&self, set: &NodeSet) -> String {
        self.diagram.names(set).join(", ")
    }

    /// A factor as text.
    pub(super) fn factor(&self, variable: NodeId, given: &NodeSet) -> String {
        let variable = self.diagram.name(variable);
        if given.is_empty() {
            return format!("P({variable})");
        }
        format!("P({variable} | {})", self.listed(given))
    }
}

/// Separation of two sets in a graph, with the members of the third left out of both.
pub(super) fn independent(graph: &impl Mixed, a: &NodeSet, b: &NodeSet, given: &NodeSet) -> bool {
    let (a, b) = (a.difference(given), b.difference(given));
    // Nothing is independent of nothing; sets that share a node are not.
    a.is_empty() || b.is_empty() || separated(graph, &a, &b, given).unwrap_or(false)
}

/// The selection node that a shift names, where the study draws it.
fn drawn_selection(file: &DiagramFile, shift: &Shift) -> Option<String> {
    let selection = file.with_role(Role::Selection);
    let is_drawn = |name: &&String| {
        file.diagram()
            .node(name)
            .is_ok_and(|node| selection.contains(node))
    };
    shift.nodes.iter().find(is_drawn).cloned()
}

fn connect(
    mut builder: DiagramBuilder,
    name: &str,
    shift: &Shift,
) -> Result<DiagramBuilder, GraphError> {
    for node in &shift.nodes {
        builder = match shift.kind {
            ShiftKind::Selection => builder.directed(node, name)?,
            _ => builder.directed(name, node)?,
        };
    }
    Ok(builder)
}

fn copy(diagram: &Diagram) -> Result<DiagramBuilder, GraphError> {
    let mut builder = Diagram::builder();
    for node in diagram.ids() {
        builder = builder.node(diagram.name(node))?;
        builder.set_observed(diagram.name(node), diagram.is_observed(node))?;
    }
    for (from, to) in diagram.directed_edges() {
        builder = builder.directed(diagram.name(from), diagram.name(to))?;
    }
    for (a, b) in diagram.bidirected_edges() {
        builder = builder.bidirected(diagram.name(a), diagram.name(b))?;
    }
    Ok(builder)
}

fn fresh(diagram: &Diagram, taken: &[String], kind: ShiftKind) -> String {
    unique(
        diagram,
        taken,
        &format!("{} shift", super::words::kind(kind)),
    )
}

/// A name that neither the diagram nor the list has.
fn unique(diagram: &Diagram, taken: &[String], stem: &str) -> String {
    let mut name = stem.to_owned();
    while diagram.node(&name).is_ok() || taken.contains(&name) {
        name.push('\'');
    }
    name
}
