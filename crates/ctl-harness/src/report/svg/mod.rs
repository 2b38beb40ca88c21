//! Figures as inline SVG, coloured by the style sheet of the page.

mod canvas;
mod dots;
mod lines;
mod ranks;
mod reliability;
mod scale;

pub(crate) use dots::{DotPlot, DotRow};
pub(crate) use lines::{LinePlot, Series};
pub(crate) use ranks::RankPlot;
pub(crate) use reliability::{Curve, ReliabilityPlot};
