//! Minibatches as a function of seed and step: nothing has to be remembered to resume.

use ctl_compute::random::{permutation, stream};

use crate::data::Part;
use crate::spec::RunSpec;

/// The samples of an environment at one step: epochs of random orders, one after the other.
pub(crate) fn rows_at(
    part: &Part,
    spec: &RunSpec,
    (environment, batch): (usize, usize),
    step: u64,
) -> Vec<usize> {
    let n = part.samples.len() as u64;
    let batch = batch as u64;
    let mut order = (u64::MAX, Vec::new());
    (step * batch..(step + 1) * batch)
        .map(|position| {
            let epoch = position / n;
            if order.0 != epoch {
                let purpose = format!("order of environment {environment} in epoch {epoch}");
                let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
                order = (epoch, permutation(&mut rng, part.samples.len()));
            }
            part.samples[order.1[(position % n) as usize]]
        })
        .collect()
}
