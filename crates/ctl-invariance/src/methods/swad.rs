//! Stochastic weight averaging, dense, between two signs of validation.

use std::collections::VecDeque;

use ctl_nets::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::{self, Erm};
use crate::running_mean::{RunningMean, stored};
use crate::{
    BuildContext, ConfigError, MethodConfig, MethodInfo, MethodParts, ObjectiveState, Result,
    SearchDimension, Status, WeightAveraging, Weights, in_range,
};

/// Description of `swad`.
pub const INFO: MethodInfo = MethodInfo {
    id: "swad",
    name: "SWAD",
    status: Status::Preview,
    paper: "Cha, Chun, Lee, Cho, Park, Lee & Park 2021, SWAD: Domain Generalization by Seeking Flat Minima",
    summary: "ERM whose weights are averaged from where validation stops improving to where it worsens.",
    ..erm::INFO
};

/// Settings of `swad`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwadConfig {
    /// Evaluations `N_s`, 1 to 100: the average begins at the first of so many where it is the best
    /// of them.
    pub optimum_patience: usize,
    /// Evaluations `N_e`, 1 to 100: the average ends before so many that are all worse than tolerated.
    pub overfit_patience: usize,
    /// Tolerated validation loss r over the mean of those at the beginning, 1 to 100.
    pub tolerance: f64,
}

impl Default for SwadConfig {
    /// The paper's values, of which one data set has a tolerance of 1.2.
    fn default() -> Self {
        Self {
            optimum_patience: 3,
            overfit_patience: 6,
            tolerance: 1.3,
        }
    }
}

impl MethodConfig for SwadConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, patience) in [
            ("optimum_patience", self.optimum_patience),
            ("overfit_patience", self.overfit_patience),
        ] {
            let ok = (1..=100).contains(&patience);
            in_range(method, key, &patience, "1 to 100", ok)?;
        }
        let ok = (1.0..=100.0).contains(&self.tolerance);
        in_range(method, "tolerance", &self.tolerance, "1 to 100", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choices = [1.1, 1.2, 1.3, 1.5].map(Into::into).to_vec();
        vec![SearchDimension::choice("tolerance", choices)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            averaging: Some(Box::new(Swad::new(*self))),
            ..MethodParts::objective(Erm::default())
        })
    }
}

/// The weights after the steps between two evaluations, and how the last of them did.
#[derive(Clone, Debug, Default, PartialEq)]
struct Segment {
    loss: f32,
    mean: RunningMean,
}

/// The mean of the weights after every step from `t_s` to `t_e`.
///
/// With the validation loss `E_i` at evaluation `i`, the average begins at the first
/// `t_s = i − N_s + 1` with `E_{t_s} = min(E_{t_s}, …, E_i)`, and ends at `t_e = i − N_e` for the
/// first later `i` at which all of the last `N_e` losses are above `r / N_s (E_{t_s} + … )`, the
/// tolerated multiple of the mean over the first `N_s`; without such an `i` it goes on.
/// Before an average begins the last weights are used, so that short runs are those of ERM.
///
/// # References
/// Cha et al. 2021, algorithm 1.
///
/// Deviations:
/// - The algorithm reads a validation loss after every step and this one at every evaluation; all
///   weights between two evaluations belong to the second of them, as in the authors' code.
/// - What is heard is the score that checkpoints are selected by. A score `s` of at most 1, such as
///   an area under a curve, a Dice or an SSIM, counts as the loss `1 − s`; a negative one is a
///   negated loss, such as a squared error, and counts as that.
/// - The average so far stands for the network at every evaluation, so that the checkpoint is
///   chosen among averages; the paper has the one at the end of training.
/// - Running statistics of batch normalisation are averaged like weights.
pub struct Swad {
    config: SwadConfig,
    /// Weights since the last evaluation.
    open: RunningMean,
    /// Segments that are not decided upon: the last `N_s` before the average begins, afterwards
    /// fewer than `N_e`.
    recent: VecDeque<Segment>,
    /// Weights that belong to the average whatever comes.
    kept: RunningMean,
    /// The tolerated loss, once the average has begun.
    tolerated: Option<f32>,
    ended: bool,
}

impl Swad {
    /// An average that has not begun.
    pub fn new(config: SwadConfig) -> Self {
        Self {
            config,
            open: RunningMean::default(),
            recent: VecDeque::new(),
            kept: RunningMean::default(),
            tolerated: None,
            ended: false,
        }
    }

    /// The tolerated loss, where the first of the last `N_s` losses is the smallest.
    fn begin(&mut self) -> Option<f32> {
        let patience = self.config.optimum_patience;
        if self.recent.len() > patience {
            self.recent.pop_front();
        }
        let first = self.recent.front()?.loss;
        let is_optimum = self.recent.iter().all(|segment| first <= segment.loss);
        (self.recent.len() == patience && is_optimum).then(|| {
            let sum: f32 = self.recent.iter().map(|segment| segment.loss).sum();
            self.config.tolerance as f32 * sum / patience as f32
        })
    }

    fn has_overfitted(&self, tolerated: f32) -> bool {
        // Shorter windows reach back to the beginning, whose loss is tolerated.
        self.recent.len() >= self.config.overfit_patience
            && self.recent.iter().all(|segment| segment.loss > tolerated)
    }
}

fn loss_of(score: f64) -> f32 {
    (if score < 0.0 { -score } else { 1.0 - score }) as f32
}

impl WeightAveraging for Swad {
    fn after_step(&mut self, _number: u64, parameters: &Parameters) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.open.add(parameters)
    }

    fn after_validation(&mut self, score: f64) {
        if self.ended {
            return;
        }
        self.recent.push_back(Segment {
            loss: loss_of(score),
            mean: std::mem::take(&mut self.open),
        });
        if let Some(tolerated) = self.tolerated {
            if self.has_overfitted(tolerated) {
                self.ended = true;
                self.recent.clear();
                return;
            }
        } else {
            self.tolerated = self.begin();
        }
        while self.tolerated.is_some() && self.recent.len() >= self.config.overfit_patience {
            if let Some(segment) = self.recent.pop_front() {
                self.kept.merge(&segment.mean);
            }
        }
    }

    fn average(&self) -> Option<Weights> {
        self.tolerated?;
        let mut mean = self.kept.clone();
        for segment in &self.recent {
            mean.merge(&segment.mean);
        }
        mean.get().cloned()
    }

    fn state(&self) -> ObjectiveState {
        let mut state = ObjectiveState::new();
        self.open.store("open", &mut state);
        self.kept.store("kept", &mut state);
        for (index, segment) in self.recent.iter().enumerate() {
            segment.mean.store(&format!("recent{index}"), &mut state);
        }
        let losses = self.recent.iter().map(|segment| segment.loss).collect();
        state.insert("losses".into(), losses);
        state.insert("tolerated".into(), self.tolerated.into_iter().collect());
        state.insert("ended".into(), vec![f32::from(u8::from(self.ended))]);
        state
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let mean = |prefix: &str| RunningMean::load(INFO.id, prefix, state);
        let (open, kept) = (mean("open")?, mean("kept")?);
        let losses = state.get("losses").map_or(&[][..], Vec::as_slice);
        let segments = losses.iter().enumerate().map(|(index, &loss)| {
            Ok(Segment {
                loss,
                mean: mean(&format!("recent{index}"))?,
            })
        });
        let recent = segments.collect::<Result<_>>()?;
        let ended = stored(INFO.id, "ended", 1, state)?[0] > 0.0;
        let tolerated = state.get("tolerated").and_then(|t| t.first()).copied();
        *self = Self {
            config: self.config,
            open,
            recent,
            kept,
            tolerated,
            ended,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::stream;
    use rand::RngExt;

    use super::*;
    use crate::methods::testing::check_settings;
    use crate::running_mean::tests::{Pair, first};

    /// The paper's algorithm read off a list of losses, evaluations counted from 1.
    ///
    /// Returns `t_s` and `t_e`, where the average has begun by the last loss.
    fn algorithm_1(losses: &[f32], config: SwadConfig) -> Option<(usize, usize)> {
        let loss = |i: usize| losses[i - 1];
        let (ns, ne) = (config.optimum_patience, config.overfit_patience);
        let (mut start, mut tolerated) = (None, 0.0);
        for i in 1..=losses.len() {
            let Some(begun) = start else {
                if i >= ns && (i + 1 - ns..=i).all(|j| loss(i + 1 - ns) <= loss(j)) {
                    start = Some(i + 1 - ns);
                    let sum: f32 = (i + 1 - ns..=i).map(loss).sum();
                    tolerated = config.tolerance as f32 * sum / ns as f32;
                }
                continue;
            };
            if i >= ne && (i + 1 - ne..=i).all(|j| loss(j) > tolerated) {
                return Some((begun, i - ne));
            }
        }
        start.map(|begun| (begun, losses.len()))
    }

    /// Two steps an evaluation, whose weights are the step's number.
    fn run(swad: &mut Swad, pair: &Pair, number: usize, loss: f32) {
        for step in 2 * number..2 * number + 2 {
            pair.set(step as f32);
            swad.after_step(step as u64, &pair.parameters).unwrap();
        }
        swad.after_validation(1.0 - f64::from(loss));
    }

    #[test]
    fn beginning_and_end_are_those_of_the_algorithm() {
        let (pair, mut rng) = (Pair::new(), stream(7, "tests", "swad"));
        let (mut begun, mut ended) = (0, 0);
        for case in 0..300 {
            let config = SwadConfig {
                optimum_patience: 1 + case % 4,
                overfit_patience: 1 + case / 4 % 5,
                tolerance: 1.0 + 0.1 * (case % 3) as f64,
            };
            let mut swad = Swad::new(config);
            let mut losses = Vec::new();
            for number in 0..14 {
                // Few values, so that ties happen; they are sums of powers of two, so that scores
                // give them back exactly.
                let loss = 0.25 + 0.0625 * rng.random_range(0..6) as f32;
                losses.push(loss);
                run(&mut swad, &pair, number, loss);
                let expected = algorithm_1(&losses, config).map(|(from, to)| {
                    ended += usize::from(to < losses.len());
                    // Evaluation i closes the segment of steps 2i − 2 and 2i − 1.
                    (2 * from - 2 + 2 * to - 1) as f32 / 2.0
                });
                begun += usize::from(expected.is_some());
                match (first(swad.average()), expected) {
                    (Some(found), Some(expected)) => {
                        assert!((found - expected).abs() < 1e-4, "{config:?} {losses:?}");
                    }
                    (found, expected) => assert_eq!(found, expected, "{config:?} {losses:?}"),
                }
            }
        }
        assert!(begun > 1000 && ended > 100, "{begun} {ended}");
    }

    #[test]
    fn an_interrupted_average_continues_bit_for_bit() {
        let pair = Pair::new();
        let losses = [0.5, 0.4, 0.45, 0.41, 0.5, 0.6, 0.9, 0.9, 0.9, 0.9];
        let config = SwadConfig {
            overfit_patience: 3,
            ..SwadConfig::default()
        };
        let mut whole = Swad::new(config);
        let mut resumed = Swad::new(config);
        for (number, loss) in losses.into_iter().enumerate() {
            run(&mut whole, &pair, number, loss);
            run(&mut resumed, &pair, number, loss);
            assert_eq!(whole.average(), resumed.average());
            let state = resumed.state();
            resumed = Swad::new(config);
            resumed.restore(&state).unwrap();
            assert_eq!(resumed.state(), state);
        }
        assert!(whole.ended && resumed.ended);
        assert!(resumed.restore(&ObjectiveState::new()).is_err());
    }

    #[test]
    fn scores_become_losses() {
        let losses: Vec<f32> = [1.0, 0.75, 0.0, -0.5, -2.0].map(loss_of).to_vec();
        assert_eq!(losses, [0.0, 0.25, 1.0, 0.5, 2.0]);
    }

    #[test]
    fn settings() {
        check_settings::<SwadConfig>(
            INFO,
            &[
                ("optimum_patience", "0", "1 to 100"),
                ("overfit_patience", "101", "1 to 100"),
                ("tolerance", "0.9", "1 to 100"),
            ],
        );
    }
}
