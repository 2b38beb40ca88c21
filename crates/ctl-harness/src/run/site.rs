//! What an adaptation of a trained network sees.

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
        let size = self.ground.spec.training.batch_size;
        let batch = |chunk: &[usize]| -> Result<Batch> {
            let selected = self.ground.select(chunk, MaskRole::Annotation);
            let batch = self.kit.batch(&selected)?;
            let batch = self.kit.measure(batch, &selected)?;
            Ok(Batch {
                environment,
                ..batch
            })
        };
        samples.chunks(size.max(1)).map(batch).collect()
    }
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
