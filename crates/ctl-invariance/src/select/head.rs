//! Weights of a linear head in double precision.

use std::collections::BTreeSet;

use ctl_graph::discovery::LinearModel;

use super::Rows;
use crate::{ObjectiveError, Result};

/// A linear head `z = W x + b`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeadWeights {
    /// `W`, `[K, F]`, row by row.
    pub weight: Vec<f64>,
    /// `b`, `[K]`
    pub bias: Vec<f64>,
}

impl HeadWeights {
    /// The models as rows over `width` features, of which they use `chosen`.
    pub(super) fn of(models: &[LinearModel], chosen: &[usize], width: usize) -> Self {
        let mut weight = vec![0.0; models.len() * width];
        for (row, model) in weight.chunks_exact_mut(width).zip(models) {
            for (&feature, coefficient) in chosen.iter().zip(&model.coefficients) {
                row[feature] = *coefficient;
            }
        }
        Self {
            weight,
            bias: models.iter().map(|model| model.intercept).collect(),
        }
    }

    /// A head without outputs.
    pub(crate) fn empty() -> Self {
        Self {
            weight: Vec::new(),
            bias: Vec::new(),
        }
    }

    /// The same head over `width` features, of which its own are those `chosen`, in order.
    pub(crate) fn over(&self, chosen: &[usize], width: usize) -> Self {
        let mut weight = vec![0.0; self.bias.len() * width];
        let rows = weight.chunks_exact_mut(width);
        for (row, own) in rows.zip(self.weight.chunks_exact(chosen.len())) {
            for (&feature, value) in chosen.iter().zip(own) {
                row[feature] = *value;
            }
        }
        Self {
            weight,
            bias: self.bias.clone(),
        }
    }

    /// The head of a softmax over all of `classes`, whose rows are those of the classes that
    /// `occur`, ascending; the others have a share below e⁻³⁰ of the first that does.
    pub(crate) fn for_classes(&self, occur: &BTreeSet<u32>, classes: usize, width: usize) -> Self {
        const ABSENT: f64 = -30.0;
        let mut all = Self {
            weight: vec![0.0; classes * width],
            bias: vec![ABSENT; classes],
        };
        for (row, &class) in occur.iter().enumerate() {
            let class = class as usize;
            all.bias[class] = self.bias[row];
            all.weight[class * width..(class + 1) * width]
                .copy_from_slice(&self.weight[row * width..(row + 1) * width]);
        }
        all
    }

    /// The outputs for some features.
    ///
    /// # Arguments
    /// - `features`: `[n, F]`
    ///
    /// # Returns
    /// `[n, K]`, row by row.
    ///
    /// # Errors
    /// When the features have another width.
    ///
    /// # Examples
    /// ```
    /// use ctl_invariance::select::{AnchorOptions, Rows, anchor_head};
    ///
    /// let features = Rows::new(&[0.0, 1.0, 2.0], 1)?;
    /// let targets = Rows::new(&[1.0, 3.0, 5.0], 1)?;
    /// let anchors = Rows::new(&[0.0, 0.0, 1.0], 1)?;
    /// let head = anchor_head(features, targets, anchors, &AnchorOptions::default())?.head;
    /// let outputs = head.outputs(Rows::new(&[10.0], 1)?)?;
    /// assert!((outputs[0] - 21.0).abs() < 1e-9);
    /// # Ok::<(), ctl_invariance::ObjectiveError>(())
    /// ```
    pub fn outputs(&self, features: Rows<'_>) -> Result<Vec<f64>> {
        let width = features.width();
        if self.weight.len() != width * self.bias.len() {
            return Err(ObjectiveError::Environments {
                method: "linear head",
                expected: format!(
                    "features of width {}",
                    self.weight.len() / self.bias.len().max(1)
                ),
                found: width.to_string(),
            });
        }
        let output = |row: &[f64], (weight, bias): (&[f64], &f64)| -> f64 {
            bias + row.iter().zip(weight).map(|(x, w)| x * w).sum::<f64>()
        };
        let outputs = |row| {
            let models = self.weight.chunks_exact(width).zip(&self.bias);
            models.map(move |model| output(row, model))
        };
        Ok(features.iter().flat_map(outputs).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_over_more_features_and_classes() {
        let head = HeadWeights {
            weight: vec![1.0, 2.0, 3.0, 4.0],
            bias: vec![0.5, -0.5],
        };
        let wide = head.over(&[2, 0], 3);
        assert_eq!(wide.weight, [2.0, 0.0, 1.0, 4.0, 0.0, 3.0]);
        let three = head.for_classes(&[0, 2].into(), 3, 2);
        assert_eq!(three.weight, [1.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
        assert_eq!(three.bias, [0.5, -30.0, -0.5]);
    }

    #[test]
    fn features_of_another_width_are_refused() {
        let head = HeadWeights {
            weight: vec![1.0, 2.0, 3.0, 4.0],
            bias: vec![0.5, -0.5],
        };
        let features = [1.0, 1.0, 0.0, 2.0];
        let outputs = head.outputs(Rows::new(&features, 2).unwrap()).unwrap();
        assert_eq!(outputs, [3.5, 6.5, 4.5, 7.5]);
        let error = head.outputs(Rows::new(&features, 4).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "linear head: expected features of width 2, found 4"
        );
    }
}
