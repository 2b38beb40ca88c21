//! Diagram files: a diagram with the roles of its nodes and the shifts between sites, in TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Diagram, Mixed, NodeId, NodeSet, text};
use crate::GraphError;

/// The one version of the format that there is.
const SCHEMA: u32 = 1;

/// What a node stands for in a study of images.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::{DiagramFile, Role}};
///
/// let file = DiagramFile::new(Diagram::parse("scanner -> image")?);
/// let file = file.role("scanner", Role::Acquisition)?;
/// let [scanner, image] = ["scanner", "image"].map(|name| file.diagram().node(name).unwrap());
/// assert_eq!((file.role_of(scanner), file.role_of(image)), (Role::Acquisition, Role::Other));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The image, X.
    Image,
    /// What is to be predicted, Y.
    Label,
    /// The hospital, laboratory or data source.
    Site,
    /// Age, sex and the like.
    Demographic,
    /// Scanner, protocol, stain.
    Acquisition,
    /// What the image shows of the body, Z.
    Anatomy,
    /// Who labels, and how.
    Annotation,
    /// Whether a patient enters the data.
    Selection,
    /// A representation or a measured part of the image.
    Feature,
    /// Anything else.
    #[default]
    Other,
}

/// How source and target differ, after Castro, Walker and Glocker (2020).
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{DiagramFile, ShiftKind};
///
/// let file = DiagramFile::parse(
///     "schema = 1
///     edges = 'disease -> image'
///     [[shift]]
///     kind = 'manifestation'
///     nodes = ['image']",
/// )?;
/// assert_eq!(file.shifts()[0].kind, ShiftKind::Manifestation);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShiftKind {
    /// The population differs: P(Z), age, sex.
    Population,
    /// The frequency of the label differs: P(Y).
    Prevalence,
    /// Imaging differs: P(X given Z).
    Acquisition,
    /// Labelling differs: P(Y given X).
    Annotation,
    /// The disease shows differently: P(Z given Y).
    Manifestation,
    /// Who enters the data depends on the nodes that are named.
    Selection,
}

/// A difference between a source and the target.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::{DiagramFile, Shift, ShiftKind}};
///
/// let shift = Shift {
///     kind: ShiftKind::Acquisition,
///     nodes: vec!["image".to_owned()],
///     source: Some("oslo".to_owned()),
/// };
/// let file = DiagramFile::new(Diagram::parse("disease -> image")?).shift(shift)?;
/// assert_eq!(file.shifted(), file.diagram().set(&["image"])?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// What kind of shift it is.
    pub kind: ShiftKind,
    /// The nodes whose mechanisms differ; for selection, those on which entering depends.
    pub nodes: Vec<String>,
    /// The source that differs so; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Whether the image causes the label or the label the image.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::{CausalDirection, DiagramFile, Role}};
///
/// let file = DiagramFile::new(Diagram::parse("image -> mask")?);
/// let file = file.role("image", Role::Image)?.role("mask", Role::Label)?;
/// assert_eq!(file.causal_direction(), Some(CausalDirection::Causal));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CausalDirection {
    /// The label is drawn from the image.
    Causal,
    /// The image shows what the label says.
    Anticausal,
}

/// Which nodes predict and are predicted, where roles alone do not say it.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::{CausalDirection, DiagramFile, Direction}};
///
/// let file = DiagramFile::new(Diagram::parse("disease -> scan")?);
/// let direction = |kind| Direction {
///     image: Some("scan".to_owned()),
///     label: Some("disease".to_owned()),
///     kind: Some(kind),
/// };
/// assert!(file.clone().direct(direction(CausalDirection::Anticausal)).is_ok());
/// let fault = file.direct(direction(CausalDirection::Causal)).unwrap_err();
/// assert_eq!(fault.to_string(), "direction.kind: expected anticausal, found causal");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direction {
    /// The image; the only node of that role where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The label; the only node of that role where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The direction that is meant; it is an error when the edges say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CausalDirection>,
}

/// What is known of a study that no diagram can show.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{DiagramFile, Facts};
///
/// let text = "schema = 1\nedges = 'disease -> film'\n[facts]\ndisjoint_support = true";
/// let facts = DiagramFile::parse(text)?.facts();
/// assert_eq!(facts, Facts { disjoint_support: true, ..Facts::default() });
/// let fault = DiagramFile::parse("schema = 1\n[facts]\nguesses = true");
/// assert!(fault.is_err());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Target images look like none of the training images.
    pub disjoint_support: bool,
    /// Some site has cases of one label only.
    pub single_label_sites: bool,
    /// The probability with which a case enters the data is known.
    pub known_selection: bool,
}

impl Facts {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes fields by reference"
    )]
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    #[serde(default)]
    role: Role,
    #[serde(default = "yes")]
    observed: bool,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schema: u32,
    #[serde(default)]
    edges: String,
    #[serde(default)]
    nodes: BTreeMap<String, NodeEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shift: Vec<Shift>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    facts: Facts,
}

/// A diagram with what a study adds to it: roles, shifts, and the direction of prediction.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{DiagramFile, Role, ShiftKind};
///
/// let file = DiagramFile::parse(r#"
///     schema = 1
///     edges = "disease -> anatomy -> image"
///     [nodes.disease]
///     role = "label"
///     [nodes.anatomy]
///     role = "anatomy"
///     observed = false
///     [nodes.image]
///     role = "image"
///     [[shift]]
///     kind = "prevalence"
///     nodes = ["disease"]
/// "#)?;
/// assert_eq!(file.with_role(Role::Image), file.diagram().set(&["image"])?);
/// assert_eq!(file.shifts()[0].kind, ShiftKind::Prevalence);
/// assert_eq!(file.diagram().names(&file.diagram().latent()), ["anatomy"]);
///
/// let fault = DiagramFile::parse("schema = 1\nedges = 'x -> y'\n[nodes.z]").unwrap_err();
/// assert_eq!(fault.to_string(), "node z: not in the graph, which has x, y");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagramFile {
    diagram: Diagram,
    roles: Vec<Role>,
    shifts: Vec<Shift>,
    direction: Option<Direction>,
    facts: Facts,
}

impl DiagramFile {
    /// A diagram about which nothing else is known.
    pub fn new(diagram: Diagram) -> Self {
        let roles = vec![Role::Other; diagram.len()];
        Self {
            diagram,
            roles,
            shifts: Vec::new(),
            direction: None,
            facts: Facts::default(),
        }
    }

    /// Reads a diagram file.
    ///
    /// Keys: `schema = 1`; `edges`, in the format of [`Diagram::parse`], which names every node;
    /// `[nodes.NAME]` with `role` and `observed`; any number of `[[shift]]` with `kind`, `nodes`
    /// and an optional `source`; an optional `[direction]` with `image`, `label` and `kind`; an
    /// optional `[facts]` with `disjoint_support`, `single_label_sites` and `known_selection`.
    ///
    /// # Errors
    /// [`GraphError::File`] for what is not TOML or has unknown keys, [`GraphError::InvalidValue`],
    /// and what [`Diagram::parse`] objects to.
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        let raw: Raw = toml::from_str(text).map_err(|source| GraphError::File { source })?;
        if raw.schema != SCHEMA {
            return Err(invalid("schema", &SCHEMA, &raw.schema));
        }
        let mut builder = Diagram::builder();
        text::extend(&mut builder, &raw.edges)?;
        let names_only = builder.clone().build()?;
        for (name, entry) in &raw.nodes {
            names_only.node(name)?;
            if !entry.observed {
                builder.set_observed(name, false)?;
            }
        }
        let mut file = Self::new(builder.build()?);
        for (name, entry) in &raw.nodes {
            file = file.role(name, entry.role)?;
        }
        for shift in raw.shift {
            file = file.shift(shift)?;
        }
        file.facts = raw.facts;
        match raw.direction {
            Some(direction) => file.direct(direction),
            None => Ok(file),
        }
    }

    /// Gives a node its role.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`].
    pub fn role(mut self, name: &str, role: Role) -> Result<Self, GraphError> {
        let node = self.diagram.node(name)?;
        self.roles[node.index()] = role;
        Ok(self)
    }

    /// Adds a shift.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`], and [`GraphError::InvalidValue`] where it names no node.
    pub fn shift(mut self, shift: Shift) -> Result<Self, GraphError> {
        self.diagram.set(&shift.nodes)?;
        if shift.nodes.is_empty() {
            let key = format!("shift[{}].nodes", self.shifts.len());
            return Err(invalid(&key, &"at least one node", &"none"));
        }
        self.shifts.push(shift);
        Ok(self)
    }

    /// States what predicts and what is predicted.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`], and [`GraphError::InvalidValue`] where the edges contradict the
    /// direction that is stated.
    pub fn direct(mut self, direction: Direction) -> Result<Self, GraphError> {
        for name in [&direction.image, &direction.label].into_iter().flatten() {
            self.diagram.node(name)?;
        }
        let stated = direction.kind;
        self.direction = Some(direction);
        match (stated, self.causal_direction()) {
            (Some(stated), Some(found)) if stated != found => {
                Err(invalid("direction.kind", &word(found), &word(stated)))
            }
            _ => Ok(self),
        }
    }

    /// States what no diagram can show.
    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    /// What is known that no diagram can show.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// The role of a node.
    pub fn role_of(&self, node: NodeId) -> Role {
        self.roles.get(node.index()).copied().unwrap_or_default()
    }

    /// The nodes of a role.
    pub fn with_role(&self, role: Role) -> NodeSet {
        self.diagram
            .ids()
            .filter(|&node| self.role_of(node) == role)
            .collect()
    }

    /// The shifts, in the order of the file.
    pub fn shifts(&self) -> &[Shift] {
        &self.shifts
    }

    /// The nodes whose mechanisms some shift other than selection changes.
    pub fn shifted(&self) -> NodeSet {
        let changed = self
            .shifts
            .iter()
            .filter(|shift| shift.kind != ShiftKind::Selection);
        let names = changed.flat_map(|shift| &shift.nodes);
        names
            .filter_map(|name| self.diagram.node(name).ok())
            .collect()
    }

    /// What the file says about image, label and direction.
    pub fn direction(&self) -> Option<&Direction> {
        self.direction.as_ref()
    }

    /// The image: the node that `[direction]` names, or the only one of that role.
    pub fn image(&self) -> Option<NodeId> {
        self.named_or_only(
            self.direction.as_ref().and_then(|d| d.image.as_deref()),
            Role::Image,
        )
    }

    /// The label: the node that `[direction]` names, or the only one of that role.
    pub fn label(&self) -> Option<NodeId> {
        self.named_or_only(
            self.direction.as_ref().and_then(|d| d.label.as_deref()),
            Role::Label,
        )
    }

    fn named_or_only(&self, name: Option<&str>, role: Role) -> Option<NodeId> {
        if let Some(name) = name {
            return self.diagram.node(name).ok();
        }
        let nodes = self.with_role(role);
        nodes.first().filter(|_| nodes.len() == 1)
    }

    /// The direction that the edges give: which of image and label is an ancestor of the other.
    pub fn causal_direction(&self) -> Option<CausalDirection> {
        let (image, label) = (self.image()?, self.label()?);
        let above = |node| self.diagram.ancestors(&NodeSet::single(node));
        if above(label).contains(image) {
            Some(CausalDirection::Causal)
        } else {
            above(image)
                .contains(label)
                .then_some(CausalDirection::Anticausal)
        }
    }

    /// The file as text that [`DiagramFile::parse`] reads back into an equal one.
    pub fn to_toml(&self) -> String {
        let entry = |id| NodeEntry {
            role: self.role_of(id),
            observed: !self.diagram.latent().contains(id),
        };
        let nodes = self
            .diagram
            .ids()
            .map(|id| (self.diagram.name(id).to_owned(), entry(id)));
        let raw = Raw {
            schema: SCHEMA,
            edges: self.diagram.to_string(),
            nodes: nodes.collect(),
            shift: self.shifts.clone(),
            direction: self.direction.clone(),
            facts: self.facts,
        };
        toml::to_string(&raw).unwrap_or_default()
    }
}

fn word(direction: CausalDirection) -> &'static str {
    match direction {
        CausalDirection::Causal => "causal",
        CausalDirection::Anticausal => "anticausal",
    }
}

fn invalid(key: &str, expected: &dyn ToString, found: &dyn ToString) -> GraphError {
    GraphError::InvalidValue {
        key: key.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const STUDY: &str = "schema = 1
edges = '''
u [latent]
disease -> image; scanner -> image
u -> disease; u -> scanner
'''
[nodes.disease]
role = 'label'
[nodes.image]
role = 'image'
[[shift]]
kind = 'acquisition'
nodes = ['image']
source = 'oslo'
[direction]
kind = 'anticausal'
";

    #[test]
    fn what_is_written_is_read() {
        let file = DiagramFile::parse(STUDY).unwrap();
        assert_eq!(file.causal_direction(), Some(CausalDirection::Anticausal));
        assert_eq!(file.shifted(), file.diagram().set(&["image"]).unwrap());
        assert_eq!(DiagramFile::parse(&file.to_toml()).unwrap(), file);
    }

    #[rstest]
    #[case("schema = 1", "schema = 2", "schema: expected 1, found 2")]
    #[case(
        "kind = 'anticausal'",
        "kind = 'causal'",
        "direction.kind: expected anticausal, found causal"
    )]
    #[case(
        "['image']",
        "[]",
        "shift[0].nodes: expected at least one node, found none"
    )]
    #[case(
        "['image']",
        "['mask']",
        "node mask: not in the graph, which has u, disease, image, scanner"
    )]
    #[case(
        "role = 'image'",
        "rule = 'image'",
        "diagram file: not readable as a diagram"
    )]
    #[case(
        "u -> disease",
        "image -> disease",
        "edges disease -> image -> disease: form a cycle"
    )]
    fn faults_are_named(#[case] from: &str, #[case] to: &str, #[case] message: &str) {
        let fault = DiagramFile::parse(&STUDY.replace(from, to)).unwrap_err();
        assert_eq!(fault.to_string(), message);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = DiagramFile::parse(&text);
        }

        #[test]
        fn no_damaged_file_panics(cut in 0..STUDY.len(), insert in any::<char>()) {
            let mut text = STUDY.to_owned();
            text.insert(cut, insert);
            let _ = DiagramFile::parse(&text);
        }
    }
}
