//! Errors against the true counterfactual, where a simulator knows it.

use ctl_metrics::image_quality::{ImagePair, SsimConfig};
use serde::{Deserialize, Serialize};

use super::soundness::{GREY_LEVELS, grey};
use crate::{CounterfactualError, Records, Result};

/// How far counterfactuals are from the true ones, means over individuals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueError {
    /// Mean absolute error in grey levels, 0 to 255.
    pub mae: f64,
    /// Peak signal-to-noise ratio in dB; individuals that are exactly true are left out, and it is
    /// absent where all are.
    pub psnr: Option<f64>,
    /// Structural similarity, at most 1, with Gaussian windows.
    pub ssim: f64,
    /// Mean absolute error of each individual, in grey levels.
    pub by_individual: Vec<f64>,
}

/// Compares counterfactuals with the true ones, image by image and channel by channel.
///
/// # Errors
/// When images are missing, of different shapes, or smaller than the window of the structural
/// similarity.
pub fn true_error(counterfactuals: &Records, truth: &Records) -> Result<TrueError> {
    let (ours, theirs) = (grey(counterfactuals)?, grey(truth)?);
    let shape = |records: &Records| records.images.as_ref().map(|i| i.dims().to_vec());
    let (found, expected) = (shape(counterfactuals), shape(truth));
    let dims = match (&found, &expected) {
        (Some(a), Some(b)) if a == b && a.len() == 4 && a[0] > 0 => a.clone(),
        _ => {
            return Err(CounterfactualError::Shape {
                subject: "counterfactual images",
                expected: format!("those of the truth, {expected:?}"),
                found: format!("{found:?}"),
            });
        }
    };
    let (count, shape) = (dims[0], [dims[1], dims[2], dims[3]]);
    let size: usize = shape.iter().product();
    let (mut by_individual, mut ratios, mut similarity) = (Vec::new(), Vec::new(), 0.0);
    for (ours, theirs) in ours.chunks_exact(size).zip(theirs.chunks_exact(size)) {
        let pair = ImagePair::new(ours, theirs, shape)?;
        by_individual.push(pair.mae());
        if pair.mse() > 0.0 {
            ratios.push(pair.psnr(GREY_LEVELS)?);
        }
        similarity += pair.ssim(GREY_LEVELS, &SsimConfig::gaussian())? / count as f64;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(TrueError {
        mae: mean(&by_individual),
        psnr: (!ratios.is_empty()).then(|| mean(&ratios)),
        ssim: similarity,
        by_individual,
    })
}
