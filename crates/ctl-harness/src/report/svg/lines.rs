//! Differences over a strength, with intervals.

use super::canvas::{Anchor, Canvas};
use super::scale::Scale;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 270.0;
const DOT: f64 = 5.0;
/// Lines that share a strength are drawn this far apart.
const APART: f64 = 6.0;
/// Distance of the entries of the legend.
const LEGEND: f64 = 240.0;
/// Classes of the lines, by order.
const CLASSES: [&str; 2] = ["invariance", "correlation"];

/// One line: strength, value, half width of its interval.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64, Option<f64>)>,
}

/// The plot.
#[derive(Clone, Debug)]
pub(crate) struct LinePlot {
    pub(crate) label: String,
    pub(crate) horizontal: String,
    pub(crate) vertical: String,
    pub(crate) series: Vec<Series>,
}

impl LinePlot {
    pub(crate) fn draw(&self) -> String {
        let mut canvas = Canvas::new((WIDTH, HEIGHT), &self.label);
        let horizontal = Scale::new([0.0, 1.0], [LEFT + 20.0, RIGHT - 20.0]);
        let vertical = self.vertical_scale();
        self.axes(&mut canvas, &horizontal, &vertical);
        for (index, series) in self.series.iter().enumerate() {
            let class = CLASSES[index % CLASSES.len()];
            let shift = APART * index as f64;
            let at =
                |strength: f64, value: f64| (horizontal.at(strength) + shift, vertical.at(value));
            let points: Vec<_> = series.points.iter().map(|p| at(p.0, p.1)).collect();
            canvas.path(&points, &format!("curve {class}"));
            for &(strength, value, half) in &series.points {
                if let Some(half) = half {
                    let (low, high) = (at(strength, value - half), at(strength, value + half));
                    canvas.line(low, high, &format!("error {class}"));
                }
                let tip = format!("{}, strength {strength:.2}: {value:+.3}", series.label);
                canvas.circle(at(strength, value), DOT, &format!("dot {class}"), &tip);
            }
            let x = LEFT + LEGEND * index as f64;
            canvas.circle((x, 16.0), DOT, &format!("dot {class}"), &series.label);
            canvas.text((x + 12.0, 20.0), Anchor::Start, "label", &series.label);
        }
        canvas.finish()
    }

    fn vertical_scale(&self) -> Scale {
        let points = self.series.iter().flat_map(|series| &series.points);
        let reach = points.flat_map(|(_, value, half)| {
            let half = half.unwrap_or(0.0);
            [value - half, value + half]
        });
        Scale::around(reach.chain([0.0]), [-1.0, 1.0], [BOTTOM, TOP])
    }

    fn axes(&self, canvas: &mut Canvas, horizontal: &Scale, vertical: &Scale) {
        let (ticks, decimals) = vertical.ticks();
        for tick in ticks {
            let y = vertical.at(tick);
            canvas.line((LEFT, y), (RIGHT, y), "grid");
            let label = format!("{tick:+.decimals$}");
            canvas.text((LEFT - 8.0, y + 4.0), Anchor::End, "tick", &label);
        }
        let zero = vertical.at(0.0);
        canvas.line((LEFT, zero), (RIGHT, zero), "axis-line");
        for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let x = horizontal.at(tick);
            canvas.text(
                (x, BOTTOM + 18.0),
                Anchor::Middle,
                "tick",
                &format!("{tick}"),
            );
        }
        let centre = f64::midpoint(LEFT, RIGHT);
        canvas.text(
            (centre, HEIGHT - 12.0),
            Anchor::Middle,
            "axis",
            &self.horizontal,
        );
        canvas.text((RIGHT, 20.0), Anchor::End, "axis", &self.vertical);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_mark_and_its_interval() {
        let plot = LinePlot {
            label: "a".into(),
            horizontal: "b".into(),
            vertical: "c".into(),
            series: vec![Series {
                label: "d".into(),
                points: vec![(0.0, 0.1, Some(0.05)), (1.0, -0.1, None)],
            }],
        };
        let svg = plot.draw();
        // One mark for each point and one in the legend.
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("class=\"error ").count(), 1);
        assert!(svg.contains("strength 1.00: -0.100"), "{svg}");
    }
}
