//! What a method makes of the training data before it trains.

use std::rc::Rc;

use crate::{CounterfactualGenerator, ObjectiveState, Result};

/// The training data of a run, read on demand.
///
/// Environments are numbered from 0, the labelled sources first; where the method is given
/// unlabelled target images they are the last environment.
pub trait TrainingData {
    /// Number of labelled source environments, at least 1.
    fn sources(&self) -> usize;

    /// Whether environment [`TrainingData::sources`] holds unlabelled target images.
    fn has_target(&self) -> bool;

    /// Channels, height and width of an image.
    fn shape(&self) -> [usize; 3];

    /// Number of samples of an environment.
    fn samples(&self, environment: usize) -> usize;

    /// Images `[n, C, H, W]` of some samples of an environment, values in [0, 1].
    ///
    /// # Errors
    /// When an image cannot be read.
    fn images(&self, environment: usize, rows: &[usize]) -> Result<Vec<f32>>;

    /// Class index of every sample of a source; none where the task has no classes of images.
    fn classes(&self, environment: usize) -> Option<Vec<u32>>;

    /// Number of classes, 0 where there are none.
    fn class_count(&self) -> usize;

    /// Names of the attributes that may be known of a patient.
    fn attribute_names(&self) -> &[String];

    /// Attributes of every sample of an environment, by name; `None` where not known.
    fn attributes(&self, environment: usize) -> Vec<Vec<Option<f64>>>;
}

/// A change to single images, the same in training and in use.
pub trait ImageTransform {
    /// Changes an image.
    ///
    /// # Arguments
    /// - `image`: `[C, H, W]`, values in [0, 1] before and after.
    /// - `shape`: channels, height and width.
    fn apply(&self, image: &mut [f32], shape: [usize; 3]);

    /// What a saved model must carry to repeat the change.
    fn state(&self) -> ObjectiveState;
}

/// What a preparation leaves behind.
#[derive(Default)]
pub struct Prepared {
    /// Weight of every sample of every source environment in its risk, not negative, with a mean
    /// of 1 over the environment; none where all are 1.
    pub weights: Option<Vec<Vec<f32>>>,
    /// A change to every image from here on.
    pub transform: Option<Box<dyn ImageTransform>>,
    /// What the method asks for counterfactuals between environments, where it has such a thing: its
    /// soundness is measured and reported beside what the method comes to. It is asked about images
    /// with their environment and, where they have one, their class.
    pub generator: Option<Rc<dyn CounterfactualGenerator>>,
    /// What a reader of the results must know.
    pub notes: Vec<String>,
}

/// A look at the training data before the first step.
pub trait Preparation {
    /// Looks at the data; the same data give the same result.
    ///
    /// # Errors
    /// When images cannot be read, or the data do not suit the method.
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared>;

    /// The change to images that a saved model carries; none where the method makes none.
    ///
    /// # Errors
    /// When the state is another method's.
    fn restore(&self, state: &ObjectiveState) -> Result<Option<Box<dyn ImageTransform>>> {
        let _ = state;
        Ok(None)
    }
}
