//! Means of the weights along training.

use ctl_nets::Parameters;

use crate::{ObjectiveError, ObjectiveState, Result, WeightAveraging, Weights};

/// The mean of some weights and buffers, each counting the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunningMean {
    count: u64,
    mean: Weights,
}

/// Counts are kept as two digits to this base, so that single precision holds them exactly.
const BASE: u64 = 1 << 16;

impl RunningMean {
    /// Takes the present weights in.
    pub(crate) fn add(&mut self, parameters: &Parameters) -> Result<()> {
        self.merge(&Self {
            count: 1,
            mean: parameters.snapshot()?,
        });
        Ok(())
    }

    /// Takes in what another mean was made of: `w ← w + n′/(n + n′) (w′ − w)`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        if self.count == other.count {
            self.mean.clone_from(&other.mean);
            return;
        }
        let share = (other.count as f64 / self.count as f64) as f32;
        for (own, new) in self.mean.values_mut().zip(other.mean.values()) {
            for (own, new) in own.iter_mut().zip(new) {
                *own += share * (new - *own);
            }
        }
    }

    /// The mean; none as long as nothing was taken in.
    pub(crate) fn get(&self) -> Option<&Weights> {
        (self.count > 0).then_some(&self.mean)
    }

    /// Writes the mean into a state, under names that begin with `prefix`.
    pub(crate) fn store(&self, prefix: &str, state: &mut ObjectiveState) {
        let digits = [self.count / BASE, self.count % BASE];
        let count = digits.map(|digit| digit as f32).to_vec();
        state.insert(format!("{prefix}/count"), count);
        for (name, values) in &self.mean {
            state.insert(format!("{prefix}/mean/{name}"), values.clone());
        }
    }

    /// Reads what [`RunningMean::store`] wrote.
    ///
    /// # Errors
    /// When the state is another average's.
    pub(crate) fn load(method: &'static str, prefix: &str, state: &ObjectiveState) -> Result<Self> {
        let key = format!("{prefix}/count");
        let digits = stored(method, &key, 2, state)?;
        let start = format!("{prefix}/mean/");
        let named = state.iter().filter_map(|(name, values)| {
            let name = name.strip_prefix(&start)?;
            Some((name.to_owned(), values.clone()))
        });
        Ok(Self {
            count: digits[0] as u64 * BASE + digits[1] as u64,
            mean: named.collect(),
        })
    }
}

/// So many numbers of a state.
pub(crate) fn stored<'a>(
    method: &'static str,
    key: &str,
    count: usize,
    state: &'a ObjectiveState,
) -> Result<&'a [f32]> {
    let values = state.get(key).map(Vec::as_slice);
    values
        .filter(|values| values.len() == count)
        .ok_or_else(|| ObjectiveError::State {
            method,
            key: key.to_owned(),
            expected: format!("{count} numbers"),
            found: values.map_or("nothing".into(), |v| format!("{} numbers", v.len())),
        })
}

/// The first step of the last `1 − share` of a run.
pub(crate) fn step_at(share: f64, steps: u64) -> u64 {
    (share * steps as f64).ceil() as u64
}

/// The mean of the weights after every so many steps, from one on.
///
/// Running statistics of batch normalisation are averaged as weights are.
pub(crate) struct TailMean {
    method: &'static str,
    first: u64,
    every: u64,
    mean: RunningMean,
}

impl TailMean {
    /// Averages after steps `first + every − 1`, `first + 2·every − 1`, …, counted from 0.
    pub(crate) fn new(method: &'static str, first: u64, every: u64) -> Self {
        Self {
            method,
            first,
            every,
            mean: RunningMean::default(),
        }
    }
}

impl WeightAveraging for TailMean {
    fn after_step(&mut self, number: u64, parameters: &Parameters) -> Result<()> {
        if number >= self.first && (number + 1 - self.first).is_multiple_of(self.every) {
            self.mean.add(parameters)?;
        }
        Ok(())
    }

    fn average(&self) -> Option<Weights> {
        self.mean.get().cloned()
    }

    fn state(&self) -> ObjectiveState {
        let mut state = ObjectiveState::new();
        self.mean.store("tail", &mut state);
        state
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.mean = RunningMean::load(self.method, "tail", state)?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use candle_core::{Device, Tensor, Var};
    use ctl_nets::Initialiser;

    use super::*;

    /// Weights that are two numbers, which a test may set.
    pub(crate) struct Pair {
        pub(crate) parameters: Parameters,
        weight: Var,
    }

    impl Pair {
        pub(crate) fn new() -> Self {
            let mut parameters = Parameters::new(0, "pair");
            let zero = Initialiser::Constant(0.0);
            let weight = parameters.add("weight", &[2], zero).unwrap();
            Self { parameters, weight }
        }

        pub(crate) fn set(&self, first: f32) {
            let values = Tensor::new(&[first, -2.0 * first], &Device::Cpu).unwrap();
            self.weight.set(&values).unwrap();
        }
    }

    /// The first number of an average.
    pub(crate) fn first(average: Option<Weights>) -> Option<f32> {
        average.map(|weights| weights["weight"][0])
    }

    fn mean_of(values: &[f32]) -> RunningMean {
        let (pair, mut mean) = (Pair::new(), RunningMean::default());
        for &value in values {
            pair.set(value);
            mean.add(&pair.parameters).unwrap();
        }
        mean
    }

    #[test]
    fn means_of_parts_make_the_mean_of_all() {
        let mut mean = mean_of(&[1.0, 5.0]);
        mean.merge(&RunningMean::default());
        assert_eq!(mean.get().unwrap()["weight"], [3.0, -6.0]);
        mean.merge(&mean_of(&[6.0, 6.0, 6.0, 6.0, 12.0, 0.0]));
        // (1 + 5 + 36) / 8
        assert_eq!(mean.get().unwrap()["weight"], [5.25, -10.5]);
        assert!(RunningMean::default().get().is_none());
    }

    #[test]
    fn a_state_gives_the_mean_back_and_another_is_refused() {
        let mut mean = mean_of(&[0.1, 0.7, 0.3]);
        mean.count += 5 * BASE;
        let mut state = ObjectiveState::new();
        mean.store("a", &mut state);
        RunningMean::default().store("b", &mut state);
        assert_eq!(RunningMean::load("test", "a", &state).unwrap(), mean);
        let empty = RunningMean::load("test", "b", &state).unwrap();
        assert_eq!(empty, RunningMean::default());
        let error = RunningMean::load("test", "c", &state).unwrap_err();
        assert!(error.to_string().contains("c/count"), "{error}");
    }

    /// From step 3 on every second: steps 4 and 6 of weights that are the step's number.
    #[test]
    fn a_tail_is_averaged() {
        let (pair, mut tail) = (Pair::new(), TailMean::new("test", 3, 2));
        let mut seen = Vec::new();
        for step in 0..8 {
            pair.set(step as f32);
            tail.after_step(step, &pair.parameters).unwrap();
            seen.push(first(tail.average()));
        }
        let four = Some(4.0);
        assert_eq!(seen[..4], [None; 4]);
        assert_eq!(seen[4..], [four, four, Some(5.0), Some(5.0)]);
        let mut resumed = TailMean::new("test", 3, 2);
        resumed.restore(&tail.state()).unwrap();
        assert_eq!(resumed.mean, tail.mean);
        assert!(resumed.restore(&ObjectiveState::new()).is_err());
    }

    #[test]
    fn shares_of_a_run() {
        assert_eq!(step_at(0.0, 10), 0);
        assert_eq!(step_at(0.75, 10), 8);
        assert_eq!(step_at(0.12, 5000), 600);
    }
}
