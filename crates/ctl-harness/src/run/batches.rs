//! Minibatches as a function of seed and step: nothing has to be remembered to resume.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ctl_compute::random::{permutation, stream};

use crate::data::Part;
use crate::spec::RunSpec;

/// The orders that were drawn last, by environment: a step draws none anew within an epoch.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    drawn: RefCell<BTreeMap<usize, (u64, Vec<usize>)>>,
}

impl Orders {
    /// The samples of an environment at one step: epochs of random orders, one after the other.
    pub(crate) fn rows_at(
        &self,
        part: &Part,
        spec: &RunSpec,
        (environment, batch): (usize, usize),
        step: u64,
    ) -> Vec<usize> {
        let n = part.samples.len();
        let batch = batch as u64;
        let mut drawn = self.drawn.borrow_mut();
        let order = drawn.entry(environment).or_insert((u64::MAX, Vec::new()));
        (step * batch..(step + 1) * batch)
            .map(|position| {
                let epoch = position / n as u64;
                if order.0 != epoch || order.1.len() != n {
                    let purpose = format!("order of environment {environment} in epoch {epoch}");
                    let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
                    *order = (epoch, permutation(&mut rng, n));
                }
                part.samples[order.1[(position % n as u64) as usize]]
            })
            .collect()
    }
}
