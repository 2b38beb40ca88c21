//! The plain diagrams of the shifts of Castro, Walker and Glocker.

use super::{AdviceError, words};
use crate::graph::{
    CausalDirection, Diagram, DiagramFile, Direction, Facts, Role, Shift, ShiftKind,
};

/// Builds a study's diagram from direction, shifts and a few options.
///
/// Causal: `anatomy -> image -> label`; anticausal: `label -> anatomy -> image`. Split, the image
/// also shows a `style`, which acquisition acts on, and in the causal direction the label follows
/// from a `content` of the image.
///
/// # Examples
///
/// ```
/// use ctl_graph::advice::Template;
/// use ctl_graph::graph::{CausalDirection, ShiftKind};
///
/// let study = Template::new(CausalDirection::Causal)
///     .shift(ShiftKind::Acquisition)
///     .split()
///     .build()?;
/// let drawn = study.diagram();
/// assert!(drawn.has_directed(drawn.node("style")?, drawn.node("image")?));
/// assert!(!drawn.has_directed(drawn.node("image")?, drawn.node("label")?));
/// assert_eq!(drawn.names(&drawn.observed()), ["image", "label"]);
/// assert_eq!(study.shifts()[0].nodes, ["style"]);
///
/// let absent = Template::new(CausalDirection::Causal).shift(ShiftKind::Prevalence).build();
/// assert_eq!(
///     absent.unwrap_err().to_string(),
///     "prevalence shift: the causal template has no such mechanism, only population, acquisition, \
///      annotation and selection",
/// );
/// # Ok::<(), ctl_graph::advice::AdviceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    direction: CausalDirection,
    shifts: Vec<ShiftKind>,
    split: bool,
    from_anatomy: bool,
    confounded: bool,
    selected_by: Vec<String>,
    facts: Facts,
}

impl Template {
    /// The plain template of a direction, without a shift.
    pub fn new(direction: CausalDirection) -> Self {
        Self {
            direction,
            shifts: Vec::new(),
            split: false,
            from_anatomy: false,
            confounded: false,
            selected_by: vec!["image".to_owned(), "label".to_owned()],
            facts: Facts::default(),
        }
    }

    /// Adds a shift.
    #[must_use]
    pub fn shift(mut self, kind: ShiftKind) -> Self {
        self.shifts.push(kind);
        self
    }

    /// Splits the image into content and style.
    #[must_use]
    pub fn split(mut self) -> Self {
        self.split = true;
        self
    }

    /// In the causal direction, lets the label depend on the anatomy and not on the image.
    #[must_use]
    pub fn label_from_anatomy(mut self) -> Self {
        self.from_anatomy = true;
        self
    }

    /// Adds a site that marks the image and goes together with the label.
    #[must_use]
    pub fn confounded(mut self) -> Self {
        self.confounded = true;
        self
    }

    /// Names the nodes on which entering the data depends under selection: image and label
    /// unless set.
    #[must_use]
    pub fn selected_by(mut self, nodes: &[&str]) -> Self {
        self.selected_by = nodes.iter().map(|&node| node.to_owned()).collect();
        self
    }

    /// States what no diagram can show.
    #[must_use]
    pub fn facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    fn edges(&self) -> Vec<&'static str> {
        let mut edges = match (self.direction, self.split, self.from_anatomy) {
            (CausalDirection::Anticausal, _, _) => vec!["label -> anatomy -> image"],
            (CausalDirection::Causal, _, true) => vec!["anatomy -> image", "anatomy -> label"],
            (CausalDirection::Causal, false, false) => vec!["anatomy -> image -> label"],
            (CausalDirection::Causal, true, false) => {
                vec!["anatomy -> content -> image", "content -> label"]
            }
        };
        if self.split {
            edges.push("style -> image");
        }
        if self.confounded {
            edges.push(if self.split {
                "site -> style"
            } else {
                "site -> image"
            });
            edges.push("site <-> label");
        }
        edges
    }

    /// The mechanisms that a shift changes.
    fn changed(&self, kind: ShiftKind) -> Result<Vec<String>, AdviceError> {
        use CausalDirection::{Anticausal, Causal};
        let node = match (kind, self.direction) {
            (ShiftKind::Selection, _) => return Ok(self.selected_by.clone()),
            (ShiftKind::Acquisition, _) => {
                if self.split {
                    "style"
                } else {
                    "image"
                }
            }
            (ShiftKind::Population, Causal) | (ShiftKind::Manifestation, Anticausal) => "anatomy",
            (ShiftKind::Annotation, Causal) | (ShiftKind::Prevalence, Anticausal) => "label",
            (kind, direction) => {
                let (shift, word) = (words::kind(kind), words::direction(direction));
                let known = match self.direction {
                    Causal => "population, acquisition, annotation and selection",
                    Anticausal => "prevalence, manifestation, acquisition and selection",
                };
                return Err(AdviceError::NotInTemplate {
                    shift,
                    direction: word,
                    known,
                });
            }
        };
        Ok(vec![node.to_owned()])
    }

    /// Makes the diagram.
    ///
    /// # Errors
    /// [`AdviceError::NotInTemplate`] for a shift whose mechanism the direction does not have
    /// (prevalence is P(Y), a mechanism only where the label has no cause), and
    /// [`AdviceError::Graph`] for selection by a node that is not there.
    pub fn build(&self) -> Result<DiagramFile, AdviceError> {
        let edges = Diagram::parse(&self.edges().join("; "))?;
        let diagram = with_unrecorded(&edges)?;
        let roles = [
            ("image", Role::Image),
            ("label", Role::Label),
            ("anatomy", Role::Anatomy),
            ("content", Role::Feature),
            ("style", Role::Feature),
            ("site", Role::Site),
        ];
        let mut file = DiagramFile::new(diagram).with_facts(self.facts);
        for (name, role) in roles {
            if file.diagram().node(name).is_ok() {
                file = file.role(name, role)?;
            }
        }
        for &kind in &self.shifts {
            let nodes = self.changed(kind)?;
            file = file.shift(Shift {
                kind,
                nodes,
                source: None,
            })?;
        }
        Ok(file.direct(Direction {
            kind: Some(self.direction),
            ..Direction::default()
        })?)
    }
}

/// The same diagram, in which anatomy, content and style are known only through the image.
fn with_unrecorded(diagram: &Diagram) -> Result<Diagram, AdviceError> {
    let mut text = diagram.to_string();
    for name in ["anatomy", "content", "style"] {
        if diagram.node(name).is_ok() {
            text = format!("{name} [latent]; {text}");
        }
    }
    Ok(Diagram::parse(&text)?)
}
