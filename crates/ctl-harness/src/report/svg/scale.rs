//! From values to pixels.

/// About how many intervals an axis is divided into.
const INTERVALS: f64 = 6.0;
/// Room beyond the outermost values, as a fraction of their span.
const PADDING: f64 = 0.04;
/// Span of an axis whose values all coincide.
const LEAST_SPAN: f64 = 0.02;
/// Ticks this close to an end, in steps, belong to the axis.
const TOLERANCE: f64 = 1e-9;

/// A linear axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    domain: [f64; 2],
    range: [f64; 2],
}

impl Scale {
    /// The axis that takes `domain` to `range`; the domain has a positive span.
    pub(crate) fn new(domain: [f64; 2], range: [f64; 2]) -> Self {
        Self { domain, range }
    }

    /// The axis that shows all values with a little room, within `limits`.
    pub(crate) fn around(
        values: impl Iterator<Item = f64>,
        limits: [f64; 2],
        range: [f64; 2],
    ) -> Self {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (least, most) = values
            .filter(|v| v.is_finite())
            .fold(start, |(least, most), v| (least.min(v), most.max(v)));
        if least > most {
            return Self::new(limits, range);
        }
        let room = PADDING * (most - least).max(LEAST_SPAN / 2.0 / PADDING);
        let domain = [(least - room).max(limits[0]), (most + room).min(limits[1])];
        Self::new(domain, range)
    }

    /// The pixel of a value; values beyond the axis are drawn at its end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let [low, high] = self.domain;
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        self.range[0] + part * (self.range[1] - self.range[0])
    }

    /// Round values within the axis, and the decimals that tell them apart.
    pub(crate) fn ticks(&self) -> (Vec<f64>, usize) {
        let [low, high] = self.domain;
        let step = tick_step(high - low);
        let first = (low / step - TOLERANCE).ceil() as i64;
        let last = (high / step + TOLERANCE).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        ((first..=last).map(|i| i as f64 * step).collect(), decimals)
    }
}

/// The step of 1, 2 or 5 times a power of ten that divides a span into about six.
fn tick_step(span: f64) -> f64 {
    let raw = span / INTERVALS;
    let magnitude = 10f64.powf(raw.log10().floor());
    let factor = match raw / magnitude {
        f if f <= 1.0 + TOLERANCE => 1.0,
        f if f <= 2.0 + TOLERANCE => 2.0,
        f if f <= 5.0 + TOLERANCE => 5.0,
        _ => 10.0,
    };
    factor * magnitude
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "the values are chosen so that the arithmetic is exact"
)]
mod tests {
    use super::*;

    #[test]
    fn values_map_linearly_and_stop_at_the_ends() {
        let scale = Scale::new([0.5, 1.0], [100.0, 300.0]);
        assert_eq!(scale.at(0.5), 100.0);
        assert_eq!(scale.at(0.75), 200.0);
        assert_eq!(scale.at(2.0), 300.0);
        assert_eq!(scale.at(0.0), 100.0);
        let down = Scale::new([0.0, 1.0], [200.0, 0.0]);
        assert_eq!(down.at(0.25), 150.0);
    }

    /// 0.5/6 = 0.083 → 0.1; 0.12/6 = 0.02 → 0.02; 4/6 → 1; 0.3/6 = 0.05 → 0.05.
    #[test]
    fn steps_are_one_two_or_five() {
        for (span, step) in [(0.5, 0.1), (0.12, 0.02), (4.0, 1.0), (0.3, 0.05)] {
            assert!((tick_step(span) - step).abs() < 1e-12, "{span}");
        }
    }

    #[test]
    fn ticks_lie_within_the_axis_with_enough_decimals() {
        let (ticks, decimals) = Scale::new([0.48, 0.97], [0.0, 1.0]).ticks();
        let shown: Vec<String> = ticks.iter().map(|t| format!("{t:.decimals$}")).collect();
        assert_eq!(shown, ["0.5", "0.6", "0.7", "0.8", "0.9"]);
        let (ticks, decimals) = Scale::new([0.90, 0.93], [0.0, 1.0]).ticks();
        assert_eq!((ticks.len(), decimals), (7, 3));
    }

    #[test]
    fn an_axis_around_values_has_room_and_survives_one_or_none() {
        let scale = Scale::around([0.5, 1.0].into_iter(), [0.0, 1.0], [0.0, 1.0]);
        assert!((scale.domain[0] - 0.48).abs() < 1e-12);
        assert!((scale.domain[1] - 1.0).abs() < 1e-12);
        let single = Scale::around(std::iter::once(0.7), [0.0, 1.0], [0.0, 10.0]);
        assert!((single.at(0.7) - 5.0).abs() < 1e-9);
        let none = Scale::around([f64::NAN].into_iter(), [0.0, 1.0], [0.0, 1.0]);
        assert_eq!(none.domain, [0.0, 1.0]);
    }
}
