//! What methods see of the training data before the first step.

use ctl_invariance::TrainingData;

use super::evaluate::Ground;
use crate::data::Part;
use crate::vocabulary::Task;

/// The training data of a run, and unlabelled target images where its method is given them.
pub(super) struct Training<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) has_target: bool,
}

impl Training<'_> {
    fn part(&self, environment: usize) -> &Part {
        let parts = self.ground.parts;
        parts.train.get(environment).unwrap_or(&parts.adaptation)
    }
}

impl TrainingData for Training<'_> {
    fn sources(&self) -> usize {
        self.ground.parts.train.len()
    }

    fn has_target(&self) -> bool {
        self.has_target
    }

    fn shape(&self) -> [usize; 3] {
        self.ground.cohort.images.shape()
    }

    fn samples(&self, environment: usize) -> usize {
        self.part(environment).samples.len()
    }

    fn images(&self, environment: usize, rows: &[usize]) -> ctl_invariance::Result<Vec<f32>> {
        let part = self.part(environment);
        let samples: Vec<usize> = rows.iter().map(|&row| part.samples[row]).collect();
        let images = &self.ground.cohort.images;
        images
            .gather(&samples, self.ground.view)
            .map_err(|error| ctl_invariance::ObjectiveError::Images(error.to_string()))
    }

    fn classes(&self, environment: usize) -> Option<Vec<u32>> {
        let labelled = environment < self.sources() && self.class_count() > 0;
        let cohort = self.ground.cohort;
        let of = |&sample: &usize| cohort.samples[sample].label as u32;
        labelled.then(|| self.part(environment).samples.iter().map(of).collect())
    }

    fn class_count(&self) -> usize {
        match self.ground.spec.task {
            Task::Classification | Task::Multimodal => self.ground.cohort.classes.len(),
            _ => 0,
        }
    }

    fn attribute_names(&self) -> &[String] {
        &self.ground.cohort.attributes
    }

    fn attributes(&self, environment: usize) -> Vec<Vec<Option<f64>>> {
        let cohort = self.ground.cohort;
        let of = |&sample: &usize| cohort.samples[sample].attributes.clone();
        self.part(environment).samples.iter().map(of).collect()
    }
}
