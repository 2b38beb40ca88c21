//! Figures as SVG, coloured by the style sheet of the page, or by a copy of it where they stand
//! alone.

mod canvas;
mod dots;
mod lines;
mod ranks;
mod reliability;
mod scale;
mod standalone;

pub(crate) use dots::{DotPlot, DotRow};
pub(crate) use lines::{LinePlot, Series};
pub(crate) use ranks::RankPlot;
pub(crate) use reliability::{Curve, ReliabilityPlot};
pub(crate) use standalone::{file_name, standalone};
