//! A step with a probability.

use crate::Result;
use crate::preprocess::check::within;
use crate::preprocess::image::Image;
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::{Apply, Step};
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// Applies another step to some images and leaves the others as they are.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::Pipeline;
///
/// let pipeline = Pipeline::from_toml(r#"
///     [[steps]]
///     step = "sometimes"
///     probability = 0.3
///     then = { step = "random-blur", sigma = [0.5, 1.5] }
/// "#)?;
/// assert_eq!(pipeline.steps[0].name(), "sometimes");
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sometimes {
    /// How often, 0 to 1.
    pub probability: f64,
    /// What.
    pub then: Box<Step>,
}

impl Apply for Sometimes {
    fn validate(&self) -> Result<()> {
        within("sometimes probability", self.probability, 0.0..=1.0)?;
        self.then.validate()
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let applied = stream.uniform() < self.probability;
        let inner = if applied {
            self.then.apply(image, stream)?
        } else {
            Measurements::default()
        };
        Ok(inner.with("applied", [f64::from(u8::from(applied))]))
    }
}
