//! Nemenyi's critical-difference diagram.

use super::canvas::{Anchor, Canvas};
use super::scale::Scale;

const WIDTH: f64 = 1000.0;
/// Room for names on both sides of the axis.
const SIDE: f64 = 290.0;
const AXIS: f64 = 62.0;
const ROW: f64 = 24.0;
const CLIQUE_ROW: f64 = 9.0;

/// Mean ranks and the distance at which they differ.
#[derive(Clone, Debug)]
pub(crate) struct RankPlot {
    /// Name and mean rank; 1 is the best.
    pub(crate) entries: Vec<(String, f64)>,
    pub(crate) critical_difference: f64,
}

impl RankPlot {
    pub(crate) fn draw(&self) -> String {
        let mut entries = self.entries.clone();
        entries.sort_by(|a, b| a.1.total_cmp(&b.1));
        let ranks: Vec<f64> = entries.iter().map(|entry| entry.1).collect();
        let cliques = cliques(&ranks, self.critical_difference);
        let first_label = AXIS + 22.0 + CLIQUE_ROW * cliques.len() as f64;
        let height = first_label + ROW * entries.len().div_ceil(2) as f64;
        let title = "Mean ranks; methods joined by a bar cannot be told apart";
        let mut canvas = Canvas::new((WIDTH, height), title);
        let worst = entries.len() as f64;
        let scale = Scale::new([1.0, worst.max(2.0)], [SIDE, WIDTH - SIDE]);
        axis(&mut canvas, &scale, entries.len());
        self.ruler(&mut canvas, &scale);
        for (index, &(first, last)) in cliques.iter().enumerate() {
            let y = AXIS + 12.0 + CLIQUE_ROW * index as f64;
            let ends = (scale.at(ranks[first]) - 3.0, scale.at(ranks[last]) + 3.0);
            canvas.line((ends.0, y), (ends.1, y), "clique");
        }
        let half = entries.len().div_ceil(2);
        for (index, entry) in entries.iter().enumerate() {
            let left = index < half;
            let row = if left {
                index
            } else {
                entries.len() - 1 - index
            };
            label(
                &mut canvas,
                &scale,
                entry,
                (left, first_label + ROW * row as f64),
            );
        }
        canvas.finish()
    }

    fn ruler(&self, canvas: &mut Canvas, scale: &Scale) {
        let (start, end) = (scale.at(1.0), scale.at(1.0 + self.critical_difference));
        let y = 20.0;
        canvas.line((start, y), (end, y), "clique");
        let text = format!("critical difference {:.2}", self.critical_difference);
        canvas.text((start, y - 8.0), Anchor::Start, "tick", &text);
    }
}

fn axis(canvas: &mut Canvas, scale: &Scale, methods: usize) {
    let end = methods.max(2);
    canvas.line((scale.at(1.0), AXIS), (scale.at(end as f64), AXIS), "frame");
    for rank in 1..=end {
        let x = scale.at(rank as f64);
        canvas.line((x, AXIS - 5.0), (x, AXIS), "frame");
        canvas.text((x, AXIS - 10.0), Anchor::Middle, "tick", &rank.to_string());
    }
}

/// A name beside the axis, joined to its rank by an elbow.
fn label(canvas: &mut Canvas, scale: &Scale, (name, rank): &(String, f64), (left, y): (bool, f64)) {
    let x = scale.at(*rank);
    let (end, anchor, text) = if left {
        (SIDE - 18.0, Anchor::End, format!("{name}  {rank:.2}"))
    } else {
        let text = format!("{rank:.2}  {name}");
        (WIDTH - SIDE + 18.0, Anchor::Start, text)
    };
    canvas.path(&[(x, AXIS), (x, y), (end, y)], "elbow");
    canvas.circle(
        (x, AXIS),
        3.5,
        "dot plain",
        &format!("{name}: mean rank {rank:.2}"),
    );
    let beside = if left { end - 6.0 } else { end + 6.0 };
    canvas.text((beside, y + 4.0), anchor, "label", &text);
}

/// First and last of each longest run of ascending ranks within the critical difference, runs of
/// one left out.
fn cliques(ranks: &[f64], critical_difference: f64) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (first, rank) in ranks.iter().enumerate() {
        let within = |other: &&f64| **other - rank <= critical_difference;
        let last = first + ranks[first..].iter().take_while(within).count() - 1;
        let covered = found.last().is_some_and(|&(_, end)| last <= end);
        if last > first && !covered {
            found.push((first, last));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cliques_are_the_longest_runs_within_the_difference() {
        assert_eq!(cliques(&[1.0, 1.5, 2.4, 4.0], 1.0), [(0, 1), (1, 2)]);
        assert_eq!(cliques(&[1.0, 1.5, 1.9], 1.0), [(0, 2)]);
        assert_eq!(cliques(&[1.0, 2.5, 4.0], 1.0), []);
        assert_eq!(cliques(&[], 1.0), []);
    }

    #[test]
    fn every_method_stands_beside_the_axis() {
        let entries = [("b", 2.5), ("a", 1.0), ("<c>", 2.5)];
        let plot = RankPlot {
            entries: entries.map(|(name, rank)| (name.to_owned(), rank)).to_vec(),
            critical_difference: 1.9,
        };
        let svg = plot.draw();
        for label in [">a  1.00<", ">b  2.50<", ">2.50  &lt;c&gt;<"] {
            assert!(svg.contains(label), "{label} in {svg}");
        }
    }
}
