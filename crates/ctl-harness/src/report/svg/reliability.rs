//! Confidence against accuracy.

use super::canvas::{Anchor, Canvas};
use super::scale::Scale;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 400.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 350.0;
/// Radius of the circle of a bin with all samples.
const LARGEST: f64 = 13.0;
const SMALLEST: f64 = 2.5;

/// One set of predictions.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    /// Mean confidence, accuracy and number of samples of each bin.
    pub(crate) points: Vec<(f64, f64, usize)>,
}

/// A reliability diagram; the area of a circle is its bin's share of the samples.
#[derive(Clone, Debug)]
pub(crate) struct ReliabilityPlot {
    pub(crate) curves: Vec<Curve>,
}

impl ReliabilityPlot {
    pub(crate) fn draw(&self) -> String {
        let title = "Reliability of ERM: confidence against accuracy";
        let mut canvas = Canvas::new((WIDTH, HEIGHT), title);
        let x = Scale::new([0.0, 1.0], [LEFT, RIGHT]);
        let y = Scale::new([0.0, 1.0], [BOTTOM, TOP]);
        frame(&mut canvas, &x, &y);
        for (index, curve) in self.curves.iter().enumerate() {
            let at = LEFT + 6.0 + 140.0 * index as f64;
            canvas.circle((at, 14.0), 6.0, curve.class, curve.name);
            canvas.text((at + 12.0, 18.0), Anchor::Start, "legend", curve.name);
            curve.draw(&mut canvas, &x, &y);
        }
        canvas.finish()
    }
}

fn frame(canvas: &mut Canvas, x: &Scale, y: &Scale) {
    let (ticks, decimals) = x.ticks();
    for tick in ticks {
        let label = format!("{tick:.decimals$}");
        canvas.line((x.at(tick), TOP), (x.at(tick), BOTTOM), "grid");
        canvas.line((LEFT, y.at(tick)), (RIGHT, y.at(tick)), "grid");
        canvas.text((x.at(tick), BOTTOM + 16.0), Anchor::Middle, "tick", &label);
        canvas.text((LEFT - 8.0, y.at(tick) + 4.0), Anchor::End, "tick", &label);
    }
    canvas.line((LEFT, BOTTOM), (RIGHT, TOP), "chance");
    let centre = f64::midpoint(LEFT, RIGHT);
    canvas.text(
        (centre, BOTTOM + 38.0),
        Anchor::Middle,
        "axis",
        "confidence → accuracy ↑",
    );
}

impl Curve {
    fn draw(&self, canvas: &mut Canvas, x: &Scale, y: &Scale) {
        let total: usize = self.points.iter().map(|p| p.2).sum();
        let line: Vec<_> = self.points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
        canvas.path(&line, &format!("curve {}", self.class));
        for &(confidence, accuracy, count) in &self.points {
            let share = count as f64 / total.max(1) as f64;
            let radius = (LARGEST * share.sqrt()).max(SMALLEST);
            let name = self.name;
            let tip = format!(
                "{name}: {count} samples, confidence {confidence:.3}, accuracy {accuracy:.3}"
            );
            canvas.circle((x.at(confidence), y.at(accuracy)), radius, self.class, &tip);
        }
    }
}
