//! What an adaptation of a trained network sees.

use ctl_compute::random::{permutation, stream};
use ctl_imaging::MaskRole;
use ctl_invariance::{Batch, ObjectiveError, SampleLoss};
use ctl_nets::Network;

use super::evaluate::Ground;
use crate::Result;
use crate::task::Kit;

/// A trained network and the images that it may be adapted to.
pub(super) struct Site<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) kit: &'a dyn Kit,
    pub(super) network: &'a dyn Network,
    /// Whether the method is given unlabelled target images.
    pub(super) has_target: bool,
}

impl Site<'_> {
    fn batches(&self, samples: &[usize], environment: usize) -> Result<Vec<Batch>> {
        // Manifests are often sorted by class: batches of one class would mislead what adapts.
        let spec = self.ground.spec;
        let purpose = format!("order of environment {environment} after training");
        let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
        let order = permutation(&mut rng, samples.len());
        let samples: Vec<usize> = order.into_iter().map(|place| samples[place]).collect();
        let batch = |chunk: &[usize]| -> Result<Batch> {
            let selected = self.ground.select(chunk, MaskRole::Annotation);
            let batch = self.kit.batch(&selected)?;
            let batch = self.kit.measure(batch, &selected)?;
            Ok(Batch {
                environment,
                ..batch
            })
        };
        let mut begun = samples.as_slice();
        let mut batches = Vec::new();
        while !begun.is_empty() {
            let (own, rest) = begun.split_at(batch_rows(begun.len(), spec.training.batch_size));
            batches.push(batch(own)?);
            begun = rest;
        }
        Ok(batches)
    }
}

/// Rows of the next batch of so many that are left: one image alone has no statistics, so that it
/// joins the batch before it.
fn batch_rows(left: usize, size: usize) -> usize {
    let size = size.max(1);
    if left <= size + 1 { left } else { size }
}

fn read(error: &crate::HarnessError) -> ObjectiveError {
    ObjectiveError::Images(error.to_string())
}

impl ctl_invariance::Site for Site<'_> {
    fn network(&self) -> &dyn Network {
        self.network
    }

    fn loss(&self) -> &dyn SampleLoss {
        self.kit.loss()
    }

    fn target(&self) -> ctl_invariance::Result<Vec<Batch>> {
        if !self.has_target {
            return Ok(Vec::new());
        }
        let parts = self.ground.parts;
        let batches = self.batches(&parts.adaptation.samples, parts.train.len());
        let mut batches = batches.map_err(|error| read(&error))?;
        for batch in &mut batches {
            batch.targets.clear();
            batch.classes = None;
        }
        Ok(batches)
    }

    fn sources(&self) -> ctl_invariance::Result<Vec<Vec<Batch>>> {
        let parts = self.ground.parts.train.iter().enumerate();
        parts
            .map(|(environment, part)| {
                let batches = self.batches(&part.samples, environment);
                batches.map_err(|error| read(&error))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::batch_rows;

    #[test]
    fn no_image_is_left_alone() {
        let sizes = |mut left: usize, size| {
            let mut sizes = Vec::new();
            while left > 0 {
                sizes.push(batch_rows(left, size));
                left -= sizes[sizes.len() - 1];
            }
            sizes
        };
        assert_eq!(sizes(9, 4), [4, 5]);
        assert_eq!(sizes(8, 4), [4, 4]);
        assert_eq!(sizes(10, 4), [4, 4, 2]);
        assert_eq!(sizes(1, 4), [1]);
    }
}
