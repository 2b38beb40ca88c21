//! In distribution, target and oracle of every method on one axis.

use ctl_invariance::Family;

use super::canvas::{Anchor, Canvas};
use super::scale::Scale;
use crate::report::text;

const WIDTH: f64 = 1040.0;
/// Left of this stand the names.
const LEFT: f64 = 280.0;
/// Right of this stand the figures.
const RIGHT: f64 = 970.0;
/// Height of the legend.
const TOP: f64 = 40.0;
/// Height of the axis.
const BOTTOM: f64 = 46.0;
const ROW: f64 = 34.0;
const DOT: f64 = 6.0;

/// A method's line of the plot.
#[derive(Clone, Debug)]
pub(crate) struct DotRow {
    pub(crate) label: String,
    pub(crate) family: Family,
    /// What sets the method apart, under its name.
    pub(crate) marked: &'static str,
    pub(crate) in_distribution: Option<f64>,
    /// Mean and standard error under training-domain selection.
    pub(crate) target: Option<(f64, Option<f64>)>,
    /// Mean under oracle selection.
    pub(crate) oracle: Option<f64>,
}

/// The plot.
#[derive(Clone, Debug)]
pub(crate) struct DotPlot {
    pub(crate) label: String,
    pub(crate) metric: String,
    /// What guessing scores.
    pub(crate) chance: Option<f64>,
    pub(crate) rows: Vec<DotRow>,
}

impl DotPlot {
    pub(crate) fn draw(&self) -> String {
        let height = TOP + ROW * self.rows.len() as f64 + BOTTOM;
        let mut canvas = Canvas::new((WIDTH, height), &self.label);
        let scale = self.scale();
        legend(&mut canvas);
        self.axis(&mut canvas, &scale, height - BOTTOM);
        for (index, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * (index as f64 + 0.5);
            row.draw(&mut canvas, &scale, y);
        }
        canvas.finish()
    }

    fn scale(&self) -> Scale {
        let values = self.rows.iter().flat_map(|row| {
            let (mean, error) = row.target.unzip();
            let reach = error.flatten().unwrap_or(0.0);
            let bars = [mean.map(|m| m - reach), mean.map(|m| m + reach)];
            bars.into_iter()
                .chain([row.in_distribution, row.oracle])
                .flatten()
        });
        Scale::around(values.chain(self.chance), [0.0, 1.0], [LEFT, RIGHT])
    }

    fn axis(&self, canvas: &mut Canvas, scale: &Scale, y: f64) {
        let (ticks, decimals) = scale.ticks();
        for tick in ticks {
            let x = scale.at(tick);
            canvas.line((x, TOP), (x, y), "grid");
            let label = format!("{tick:.decimals$}");
            canvas.text((x, y + 16.0), Anchor::Middle, "tick", &label);
        }
        let centre = f64::midpoint(LEFT, RIGHT);
        canvas.text((centre, y + 36.0), Anchor::Middle, "axis", &self.metric);
        if let Some(chance) = self.chance {
            let x = scale.at(chance);
            canvas.line((x, TOP), (x, y), "chance");
            canvas.text((x, y + 36.0), Anchor::Middle, "tick", "chance");
        }
    }
}

fn legend(canvas: &mut Canvas) {
    let y = 14.0;
    let texts = [
        (LEFT, "in distribution"),
        (LEFT + 130.0, "target, training-domain selection"),
        (LEFT + 380.0, "target, target-oracle selection"),
    ];
    for (x, text) in texts {
        canvas.text((x + 14.0, y + 4.0), Anchor::Start, "legend", text);
    }
    canvas.circle((LEFT, y), DOT, "home", "in distribution");
    canvas.circle((texts[1].0, y), DOT, "dot plain", "target");
    canvas.diamond((texts[2].0, y), DOT, "oracle", "oracle");
}

impl DotRow {
    fn draw(&self, canvas: &mut Canvas, scale: &Scale, y: f64) {
        self.names(canvas, y);
        let target = self.target.map(|(mean, _)| mean);
        if let (Some(home), Some(target)) = (self.in_distribution, target) {
            canvas.line((scale.at(target), y), (scale.at(home), y), "drop");
        }
        if let Some(value) = self.in_distribution {
            let tip = self.tip("in distribution", value, None);
            canvas.circle((scale.at(value), y), DOT, "home", &tip);
        }
        if let Some(value) = self.oracle {
            let tip = self.tip("target, target-oracle selection", value, None);
            canvas.diamond((scale.at(value), y), DOT + 1.0, "oracle", &tip);
        }
        let shown = text::number(target);
        canvas.text((WIDTH - 8.0, y + 4.0), Anchor::End, "value", &shown);
        let Some((mean, error)) = self.target else {
            return;
        };
        if let Some(error) = error {
            let (low, high) = (scale.at(mean - error), scale.at(mean + error));
            canvas.line((low, y), (high, y), "bar");
            canvas.line((low, y - 5.0), (low, y + 5.0), "bar");
            canvas.line((high, y - 5.0), (high, y + 5.0), "bar");
        }
        let tip = self.tip("target, training-domain selection", mean, error);
        let class = format!("dot {}", self.family.as_str());
        canvas.circle((scale.at(mean), y), DOT, &class, &tip);
    }

    fn names(&self, canvas: &mut Canvas, y: f64) {
        let family = match self.marked {
            "" => self.family.as_str().to_owned(),
            marked => format!("{}, {marked}", self.family.as_str()),
        };
        canvas.text((LEFT - 16.0, y - 1.0), Anchor::End, "label", &self.label);
        canvas.text((LEFT - 16.0, y + 12.5), Anchor::End, "sub", &family);
    }

    fn tip(&self, what: &str, mean: f64, error: Option<f64>) -> String {
        let value = text::with_error(Some(mean), error);
        format!("{}, {what}: {value}", self.label)
    }
}
