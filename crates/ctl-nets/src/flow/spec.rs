//! The description of a flow.

use crate::{NetError, Result};

/// Sizes of a [`CouplingFlow`](crate::CouplingFlow).
///
/// # Examples
/// Half of the values of a grey 8 × 8 image leave after the first of two levels:
/// ```
/// use ctl_nets::CouplingFlowSpec;
///
/// let spec = CouplingFlowSpec::small(1, [8, 8], 3);
/// assert_eq!(spec.latent_shapes(5), [[5, 4, 4, 2], [5, 2, 2, 8]]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CouplingFlowSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height and width of the images in pixels, positive multiples of 2 to the number of levels.
    pub sides: [usize; 2],
    /// Number of parents, at least 1.
    pub context: usize,
    /// Times that 2×2 pixels become channels, at least 1.
    pub levels: usize,
    /// Steps of normalisation, mixing and coupling at each level, at least 1.
    pub steps: usize,
    /// Channels within a coupling, at least 1.
    pub hidden: usize,
    /// Largest logarithm by which one coupling scales a value, positive.
    pub log_scale_bound: f64,
    /// Distance α that the logit keeps from 0 and 1, within `(0, 0.5)`.
    pub alpha: f64,
}

impl CouplingFlowSpec {
    /// Two levels of four steps, 32 channels within a coupling, scales up to `e²`, α = 0.05: a flow
    /// for images of about 16 × 16 that trains on one core.
    pub fn small(channels: usize, sides: [usize; 2], context: usize) -> Self {
        Self {
            channels,
            sides,
            context,
            levels: 2,
            steps: 4,
            hidden: 32,
            log_scale_bound: 2.0,
            alpha: 0.05,
        }
    }

    /// Number of values of an image, and of its latent variables.
    pub fn values(&self) -> usize {
        self.channels * self.sides[0] * self.sides[1]
    }

    /// Channels of each level behind its squeeze: four times those that came, half of which leave.
    pub(super) fn level_channels(&self) -> Vec<usize> {
        (0..self.levels)
            .map(|level| (4 * self.channels) << level)
            .collect()
    }

    /// Shapes `[B, h, w, K]` of the latent variables of every level, in order.
    pub fn latent_shapes(&self, batch: usize) -> Vec<[usize; 4]> {
        let channels = self.level_channels();
        let last = channels.len().saturating_sub(1);
        let shape = |(level, channels): (usize, usize)| {
            let [height, width] = self.sides.map(|side| side >> (level + 1));
            let leaving = if level == last {
                channels
            } else {
                channels / 2
            };
            [batch, height, width, leaving]
        };
        channels.into_iter().enumerate().map(shape).collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        let counts = [
            self.channels,
            self.context,
            self.levels,
            self.steps,
            self.hidden,
        ];
        if counts.contains(&0) {
            let key = "channels, context, levels, steps, hidden";
            return fault(key, "at least 1", format!("{counts:?}"));
        }
        let halvings = u32::try_from(self.levels).unwrap_or(u32::MAX);
        let fits = |&side: &usize| side > 0 && side.trailing_zeros() >= halvings;
        if !self.sides.iter().all(fits) {
            let expected = "positive multiples of 2 to the number of levels";
            return fault("sides", expected, format!("{:?}", self.sides));
        }
        let bound = self.log_scale_bound;
        if !(bound.is_finite() && bound > 0.0) {
            let expected = "positive and finite";
            return fault("log_scale_bound", expected, bound.to_string());
        }
        if !(self.alpha > 0.0 && self.alpha < 0.5) {
            return fault("alpha", "within (0, 0.5)", self.alpha.to_string());
        }
        Ok(())
    }
}

pub(super) fn fault<T>(key: &'static str, expected: &'static str, found: String) -> Result<T> {
    Err(NetError::Size {
        architecture: "coupling flow",
        key,
        expected,
        found,
    })
}
