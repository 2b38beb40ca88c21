//! Which nodes predict and are predicted, or what the file lacks to say so.

use super::AdviceError;
use crate::graph::{Diagram, DiagramFile, NodeId, NodeSet, Role};

/// The image and the label of a study.
pub(super) fn image_and_label(file: &DiagramFile) -> Result<(NodeId, NodeId), AdviceError> {
    let image = recorded(file, file.image(), Role::Image, "image")?;
    let label = recorded(file, file.label(), Role::Label, "label")?;
    if image == label {
        let node = file.diagram().name(image).to_owned();
        return Err(AdviceError::ImageIsLabel { node });
    }
    Ok((image, label))
}

fn recorded(
    file: &DiagramFile,
    found: Option<NodeId>,
    role: Role,
    word: &'static str,
) -> Result<NodeId, AdviceError> {
    let diagram = file.diagram();
    let node = found.ok_or_else(|| missing(file, role, word))?;
    if diagram.is_observed(node) {
        return Ok(node);
    }
    let node = diagram.name(node).to_owned();
    Err(AdviceError::Unrecorded { role: word, node })
}

fn missing(file: &DiagramFile, role: Role, word: &'static str) -> AdviceError {
    let diagram = file.diagram();
    let nodes = file.with_role(role);
    if nodes.is_empty() {
        let known = listed(diagram, &file.with_role(Role::Other));
        return AdviceError::NoRole { role: word, known };
    }
    let nodes = listed(diagram, &nodes);
    AdviceError::SeveralWithRole { role: word, nodes }
}

/// More names than this are cut short.
const MAX_NAMES: usize = 8;

fn listed(diagram: &Diagram, set: &NodeSet) -> String {
    let mut names = diagram.names(set);
    if names.len() > MAX_NAMES {
        names.truncate(MAX_NAMES);
        names.push("…");
    }
    if names.is_empty() {
        return "those of the diagram".to_owned();
    }
    names.join(", ")
}
