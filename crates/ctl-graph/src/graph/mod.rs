//! Diagrams with directed and bidirected edges, views of them, and marked graphs.

mod builder;
mod diagram;
mod file;
mod marked;
mod mixed;
mod projection;
mod serial;
mod set;
mod structure;
mod text;
mod view;

pub use builder::DiagramBuilder;
pub use diagram::{Diagram, Node};
pub use file::{CausalDirection, DiagramFile, Direction, Role, Shift, ShiftKind};
pub use marked::{Mark, MarkedEdge, MarkedGraph};
pub use mixed::Mixed;
pub use set::{Members, NodeId, NodeSet};
pub(crate) use structure::moral_within;
pub use structure::{markov_blanket, moral_graph};
pub use text::Dagitty;
pub use view::View;
