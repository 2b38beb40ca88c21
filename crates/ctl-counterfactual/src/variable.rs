//! The variables of a model: what values they take.

use ctl_graph::{Diagram, NodeId, NodeSet};
use serde::{Deserialize, Serialize};

use crate::{CounterfactualError, Result};

/// What a node of the diagram holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Kind {
    /// Real numbers between bounds, both exclusive; a bound that is left out is infinite.
    ///
    /// Flows run on an unbounded scale: the logarithm of the distance to a single bound, the logit
    /// of the place between two.
    Continuous {
        /// Below every possible value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lower: Option<f64>,
        /// Above every possible value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upper: Option<f64>,
    },
    /// One of several categories without an order; values are indices into their names.
    Categorical {
        /// Names of the categories, at least two and all different.
        categories: Vec<String>,
    },
    /// The image.
    Image {
        /// Channels, height and width.
        shape: [usize; 3],
    },
}

impl Kind {
    /// Real numbers without bounds.
    pub const REAL: Self = Self::Continuous {
        lower: None,
        upper: None,
    };

    /// Categories by number: "0", "1", …
    pub fn categories(count: usize) -> Self {
        Self::Categorical {
            categories: (0..count).map(|index| index.to_string()).collect(),
        }
    }

    /// Categories with names.
    pub fn named<S: AsRef<str>>(names: &[S]) -> Self {
        Self::Categorical {
            categories: names.iter().map(|name| name.as_ref().to_owned()).collect(),
        }
    }

    /// What the values may be, in words.
    pub fn allowed(&self) -> String {
        match self {
            Self::Continuous { lower, upper } => match (lower, upper) {
                (None, None) => "a finite number".to_owned(),
                (Some(lower), None) => format!("a number above {lower}"),
                (None, Some(upper)) => format!("a number below {upper}"),
                (Some(lower), Some(upper)) => format!("a number between {lower} and {upper}"),
            },
            Self::Categorical { categories } => {
                let last = categories.len().saturating_sub(1);
                format!(
                    "the index of a category, 0 to {last} ({})",
                    categories.join(", ")
                )
            }
            Self::Image { .. } => "an image".to_owned(),
        }
    }

    /// Whether a value is one of the possible ones.
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::Continuous { lower, upper } => {
                value.is_finite()
                    && lower.is_none_or(|bound| value > bound)
                    && upper.is_none_or(|bound| value < bound)
            }
            Self::Categorical { categories } => {
                value.fract() == 0.0 && value >= 0.0 && value < categories.len() as f64
            }
            Self::Image { .. } => false,
        }
    }

    fn fault(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Continuous { lower, upper } => {
                let bounds = [lower, upper].map(|bound| bound.unwrap_or(0.0));
                let ordered = lower.zip(*upper).is_none_or(|(lower, upper)| lower < upper);
                let fits = ordered && bounds.iter().all(|bound| bound.is_finite());
                (!fits).then(|| ("finite bounds in order", format!("{lower:?} and {upper:?}")))
            }
            Self::Categorical { categories } => {
                let mut names: Vec<&String> = categories.iter().collect();
                names.sort_unstable();
                names.dedup();
                let fits = categories.len() > 1 && names.len() == categories.len();
                let found = || format!("{categories:?}");
                (!fits).then(|| ("at least two categories, all different", found()))
            }
            Self::Image { shape } => {
                let fits = shape.iter().all(|&side| side > 0);
                (!fits).then(|| ("sides of at least 1", format!("{shape:?}")))
            }
        }
    }
}

/// A diagram whose nodes have values: which attributes there are, and which node is the image.
///
/// # Examples
/// ```
/// use ctl_counterfactual::{Kind, Schema};
/// use ctl_graph::Diagram;
///
/// let diagram = Diagram::parse("thickness -> intensity -> image; thickness -> image; digit -> image")?;
/// let schema = Schema::new(
///     diagram,
///     &[
///         ("thickness", Kind::Continuous { lower: Some(0.0), upper: None }),
///         ("intensity", Kind::Continuous { lower: Some(64.0), upper: Some(255.0) }),
///         ("digit", Kind::categories(10)),
///         ("image", Kind::Image { shape: [1, 28, 28] }),
///     ],
/// )?;
/// assert_eq!(schema.attributes().count(), 3);
/// let fault = schema.check_value("digit", 10.0).unwrap_err().to_string();
/// assert!(fault.starts_with("digit: expected the index of a category, 0 to 9"));
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schema {
    diagram: Diagram,
    kinds: Vec<Kind>,
    image: Option<NodeId>,
}

impl Schema {
    /// A diagram and what each of its nodes holds.
    ///
    /// # Arguments
    /// - `kinds`: one for every node, by name
    ///
    /// # Errors
    /// [`CounterfactualError::Node`] when a node has no kind or two, a kind names no node or
    /// contradicts itself, a node is not observed, an edge is bidirected, there are several images,
    /// or something descends from the image.
    pub fn new<S: AsRef<str>>(diagram: Diagram, kinds: &[(S, Kind)]) -> Result<Self> {
        let mut placed: Vec<Option<Kind>> = vec![None; diagram.len()];
        for (name, kind) in kinds {
            let name = name.as_ref();
            let place = &mut placed[diagram.node(name)?.index()];
            if place.is_some() {
                return Err(node_fault(name, "one kind of values", "two"));
            }
            if let Some((expected, found)) = kind.fault() {
                return Err(node_fault(name, expected, &found));
            }
            *place = Some(kind.clone());
        }
        let kinds: Vec<Kind> = diagram
            .ids()
            .zip(placed)
            .map(|(node, kind)| kind.ok_or_else(|| untyped(&diagram, node)))
            .collect::<Result<_>>()?;
        let image = check_structure(&diagram, &kinds)?;
        Ok(Self {
            diagram,
            kinds,
            image,
        })
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// What a node holds.
    pub fn kind(&self, node: NodeId) -> &Kind {
        &self.kinds[node.index()]
    }

    /// The node of the image, if there is one.
    pub fn image(&self) -> Option<NodeId> {
        self.image
    }

    /// Channels, height and width of the image.
    pub fn image_shape(&self) -> Option<[usize; 3]> {
        self.image.and_then(|node| match self.kind(node) {
            Kind::Image { shape } => Some(*shape),
            _ => None,
        })
    }

    /// All nodes but the image, parents before children.
    pub fn attributes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let order = self.diagram.topological_order().iter().copied();
        order.filter(|&node| Some(node) != self.image)
    }

    /// Parents of a node in the order of the nodes, which is that of the encoding.
    pub fn parents(&self, node: NodeId) -> Vec<NodeId> {
        self.diagram.parents(node).iter().collect()
    }

    /// The node of a name.
    ///
    /// # Errors
    /// When the diagram has no such node, or it is the image.
    pub fn attribute(&self, name: &str) -> Result<NodeId> {
        let node = self.diagram.node(name)?;
        if Some(node) == self.image {
            let names: Vec<&str> = self.attributes().map(|n| self.diagram.name(n)).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(node_fault(name, &expected, "the image"));
        }
        Ok(node)
    }

    /// Refuses a value that an attribute cannot take.
    ///
    /// # Errors
    /// When there is no such attribute, or [`CounterfactualError::Value`].
    pub fn check_value(&self, name: &str, value: f64) -> Result<()> {
        let node = self.attribute(name)?;
        self.check(node, value, || name.to_owned())
    }

    pub(crate) fn check(
        &self,
        node: NodeId,
        value: f64,
        subject: impl FnOnce() -> String,
    ) -> Result<()> {
        let kind = self.kind(node);
        if kind.holds(value) {
            return Ok(());
        }
        Err(CounterfactualError::Value {
            subject: subject(),
            expected: kind.allowed(),
            found: value.to_string(),
        })
    }

    /// Index of a category by its name, or a number as it is written.
    ///
    /// # Errors
    /// When there is no such attribute, the text is no number of a continuous one, or the category
    /// was never declared.
    pub fn parse_value(&self, name: &str, text: &str) -> Result<f64> {
        let node = self.attribute(name)?;
        let kind = self.kind(node);
        let fault = |expected: String| CounterfactualError::Value {
            subject: name.to_owned(),
            expected,
            found: format!("{text:?}"),
        };
        let value = match kind {
            Kind::Categorical { categories } => {
                let place = categories.iter().position(|category| category == text);
                let known = || format!("one of the categories {}", categories.join(", "));
                place.ok_or_else(|| fault(known()))? as f64
            }
            _ => text.parse().map_err(|_| fault(kind.allowed()))?,
        };
        self.check(node, value, || name.to_owned())?;
        Ok(value)
    }

    /// A value as a reader wants it: the name of a category, or the number.
    pub fn show_value(&self, node: NodeId, value: f64) -> String {
        match self.kind(node) {
            Kind::Categorical { categories } => {
                let name = categories.get(value as usize).cloned();
                name.unwrap_or_else(|| value.to_string())
            }
            _ => format!("{value:.4}"),
        }
    }

    /// Nodes that acting on `nodes` may change: `nodes` and all that descend from them.
    pub fn affected(&self, nodes: &[NodeId]) -> NodeSet {
        let mut reached: NodeSet = nodes.iter().copied().collect();
        for &node in self.diagram.topological_order() {
            if self
                .diagram
                .parents(node)
                .iter()
                .any(|p| reached.contains(p))
            {
                reached.insert(node);
            }
        }
        reached
    }
}

fn untyped(diagram: &Diagram, node: NodeId) -> CounterfactualError {
    let (name, expected) = (diagram.name(node), "a kind of values");
    if diagram.is_observed(node) {
        return node_fault(name, expected, "none");
    }
    node_fault(name, "an observed node", "one that is not observed")
}

/// The image, after checking that the diagram is one that mechanisms can be learnt for.
fn check_structure(diagram: &Diagram, kinds: &[Kind]) -> Result<Option<NodeId>> {
    if let Some(node) = diagram.ids().find(|&node| !diagram.is_observed(node)) {
        return Err(untyped(diagram, node));
    }
    if let Some((a, b)) = diagram.bidirected_edges().next() {
        let found = format!("{} <-> {}", diagram.name(a), diagram.name(b));
        let expected =
            "directed edges alone (unobserved common causes leave mechanisms unidentified)";
        return Err(node_fault(diagram.name(a), expected, &found));
    }
    let mut images = diagram
        .ids()
        .filter(|node| matches!(kinds[node.index()], Kind::Image { .. }));
    let image = images.next();
    if let Some(second) = images.next() {
        let name = diagram.name(second);
        return Err(node_fault(name, "one image", "a second one"));
    }
    if let Some(node) = image
        && let Some(child) = diagram.children(node).iter().next()
    {
        let expected = "no children of the image (leave out what is read off it)";
        return Err(node_fault(
            diagram.name(node),
            expected,
            diagram.name(child),
        ));
    }
    Ok(image)
}

fn node_fault(node: &str, expected: &str, found: &str) -> CounterfactualError {
    CounterfactualError::Node {
        node: node.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn image() -> Kind {
        Kind::Image { shape: [1, 4, 4] }
    }

    fn message(edges: &str, kinds: &[(&str, Kind)]) -> String {
        let diagram = Diagram::parse(edges).unwrap();
        Schema::new(diagram, kinds).unwrap_err().to_string()
    }

    #[rstest]
    #[case("x -> image", &[("x", Kind::REAL)], "node image: expected a kind of values, found none")]
    #[case("x", &[("x", Kind::REAL), ("x", Kind::REAL)], "node x: expected one kind of values, found two")]
    #[case("x", &[("x", Kind::categories(1))], "node x: expected at least two categories, all different, found [\"0\"]")]
    #[case(
        "x",
        &[("x", Kind::Continuous { lower: Some(2.0), upper: Some(1.0) })],
        "node x: expected finite bounds in order, found Some(2.0) and Some(1.0)"
    )]
    #[case("x", &[("x", Kind::Image { shape: [1, 0, 4] })], "node x: expected sides of at least 1, found [1, 0, 4]")]
    fn ill_kinds_are_errors(
        #[case] edges: &str,
        #[case] kinds: &[(&str, Kind)],
        #[case] expected: &str,
    ) {
        assert_eq!(message(edges, kinds), expected);
    }

    #[rstest]
    #[case("x <-> y", "directed edges alone")]
    #[case("x -> image; y -> image; image -> label", "no children of the image")]
    fn diagrams_without_learnable_mechanisms_are_errors(
        #[case] edges: &str,
        #[case] expected: &str,
    ) {
        let diagram = Diagram::parse(edges).unwrap();
        let kinds: Vec<(String, Kind)> = diagram
            .ids()
            .map(|node| diagram.name(node).to_owned())
            .map(|name| match name.as_str() {
                "image" => (name, image()),
                _ => (name, Kind::REAL),
            })
            .collect();
        let fault = Schema::new(diagram, &kinds).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    }

    #[test]
    fn values_are_parsed_and_checked() {
        let diagram = Diagram::parse("scanner -> image; age -> image").unwrap();
        let age = Kind::Continuous {
            lower: Some(0.0),
            upper: Some(120.0),
        };
        let kinds = [
            ("scanner", Kind::named(&["A", "B"])),
            ("age", age),
            ("image", image()),
        ];
        let schema = Schema::new(diagram, &kinds).unwrap();
        let parsed = ["scanner", "age"].map(|name| {
            let text = if name == "age" { "70" } else { "B" };
            schema.parse_value(name, text).unwrap().to_bits()
        });
        assert_eq!(parsed, [1.0f64, 70.0].map(f64::to_bits));
        for (name, text, expected) in [
            (
                "scanner",
                "C",
                "scanner: expected one of the categories A, B, found \"C\"",
            ),
            (
                "age",
                "old",
                "age: expected a number between 0 and 120, found \"old\"",
            ),
            (
                "age",
                "120",
                "age: expected a number between 0 and 120, found 120",
            ),
            (
                "age",
                "nan",
                "age: expected a number between 0 and 120, found NaN",
            ),
            (
                "image",
                "1",
                "node image: expected one of scanner, age, found the image",
            ),
        ] {
            let fault = schema.parse_value(name, text).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        }
        let fault = schema.parse_value("sex", "1").unwrap_err().to_string();
        assert!(
            fault.contains("sex") && fault.contains("scanner"),
            "{fault}"
        );
        let (scanner, age) = (
            schema.attribute("scanner").unwrap(),
            schema.attribute("age").unwrap(),
        );
        assert_eq!(schema.show_value(scanner, 1.0), "B");
        let affected = schema.affected(&[scanner]);
        assert!(affected.contains(scanner) && !affected.contains(age));
        assert_eq!(affected.len(), 2);
    }
}
