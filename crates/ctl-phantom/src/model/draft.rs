//! Collects nodes with roles and mechanisms, and makes diagram and model of them at once.

use ctl_graph::graph::{DiagramFile, Role};
use ctl_graph::model::{CustomMechanism, Mechanism, ModelError, Noise, Scm};
use ctl_graph::{Diagram, NodeId};

/// More parents than this no node has.
const MAX_PARENTS: usize = 24;

/// A parent of a node that is one only under some dials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    name: &'static str,
    is_drawn: bool,
}

/// A parent.
pub(super) const fn of(name: &'static str) -> Parent {
    when(true, name)
}

/// A parent under a condition; its slot holds 0 where it is none.
pub(super) const fn when(is_drawn: bool, name: &'static str) -> Parent {
    Parent { name, is_drawn }
}

/// A node's value from those of its parents, in the draft's order, and its noise.
pub(super) type Function = Box<dyn Fn(&[f64], f64) -> f64 + Send + Sync>;

/// The exogenous noise of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoiseKind {
    /// Standard normal.
    Normal,
    /// Uniform on `[0, 1)`.
    Uniform,
}

/// A node: what it is, what it follows from, and how.
pub(super) struct Draft {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) observed: bool,
    pub(super) parents: Vec<Parent>,
    pub(super) noise: NoiseKind,
    pub(super) mechanism: Function,
}

/// The diagram of some drafts, with roles.
pub(super) fn diagram(drafts: &[Draft]) -> Result<DiagramFile, ModelError> {
    let mut builder = Diagram::builder();
    for draft in drafts {
        builder = builder.node(draft.name)?;
        if !draft.observed {
            builder = builder.latent(draft.name)?;
        }
    }
    for draft in drafts {
        for parent in draft.parents.iter().filter(|parent| parent.is_drawn) {
            builder = builder.directed(parent.name, draft.name)?;
        }
    }
    let mut file = DiagramFile::new(builder.build()?);
    for draft in drafts {
        file = file.role(draft.name, draft.role)?;
    }
    Ok(file)
}

/// The model of some drafts over their diagram.
pub(super) fn scm(diagram: &Diagram, drafts: Vec<Draft>) -> Result<Scm, ModelError> {
    let mut builder = Scm::builder(diagram.clone());
    for draft in drafts {
        let node = diagram.node(draft.name)?;
        let noise = match draft.noise {
            NoiseKind::Normal => Noise::STANDARD,
            NoiseKind::Uniform => Noise::UNIT,
        };
        builder = builder.node(node, placed(diagram, node, draft)?, noise);
    }
    builder.build()
}

/// A mechanism that finds its parents in the order in which the draft lists them.
fn placed(diagram: &Diagram, node: NodeId, draft: Draft) -> Result<Mechanism, ModelError> {
    let drawn: Vec<NodeId> = diagram.parents(node).iter().collect();
    let mut slots: Vec<Option<usize>> = Vec::with_capacity(draft.parents.len());
    for parent in &draft.parents {
        let id = diagram.node(parent.name)?;
        slots.push(drawn.iter().position(|&other| other == id));
    }
    debug_assert!(slots.len() <= MAX_PARENTS);
    let mechanism = draft.mechanism;
    Ok(Mechanism::Custom(CustomMechanism::new(
        move |values, noise| {
            let mut parents = [0.0; MAX_PARENTS];
            for (place, slot) in parents.iter_mut().zip(&slots) {
                *place = slot.map_or(0.0, |slot| values[slot]);
            }
            mechanism(&parents[..slots.len().min(MAX_PARENTS)], noise)
        },
    )))
}
