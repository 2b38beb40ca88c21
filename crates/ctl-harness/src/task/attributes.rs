//! Attributes as networks take them: standardised, with what is missing marked.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inputs::Selected;
use crate::data::{CohortData, Parts};
use crate::spec::RunSpec;
use crate::{HarnessError, Result};

/// Mean and deviation of every attribute over the training samples of the sources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeScale {
    names: Vec<String>,
    centres: Vec<f64>,
    deviations: Vec<f64>,
    dropout: f64,
}

impl AttributeScale {
    /// Fits the scale; an attribute that nobody has, or that does not vary, keeps deviation 1.
    pub(crate) fn of(spec: &RunSpec, cohort: &CohortData, parts: &Parts) -> Result<Self> {
        if cohort.attributes.is_empty() {
            return Err(HarnessError::Config {
                origin: format!("cohort {}", spec.cohort),
                key: "attributes".into(),
                message: "multimodal prediction needs attribute columns that may be inputs \
                          (`[attributes] inputs` in cohort.toml; default age and sex), found none"
                    .into(),
            });
        }
        let train = parts.train.iter().flat_map(|part| &part.samples);
        let rows: Vec<usize> = train.copied().collect();
        let (mut centres, mut deviations) = (Vec::new(), Vec::new());
        for index in 0..cohort.attributes.len() {
            let known = rows
                .iter()
                .filter_map(|&s| cohort.samples[s].attributes[index]);
            let (centre, deviation) = moments(&known.collect::<Vec<f64>>());
            centres.push(centre);
            deviations.push(deviation);
        }
        Ok(Self {
            names: cohort.attributes.clone(),
            centres,
            deviations,
            dropout: spec.training.attribute_dropout,
        })
    }

    /// Names of the attributes, in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of attributes A.
    pub(crate) fn len(&self) -> usize {
        self.centres.len()
    }

    /// `[N, 2A]`: standardised values, 0 where unknown, then 1 where known.
    pub(crate) fn rows(&self, selected: &Selected<'_>) -> Vec<f32> {
        let samples = selected.samples.iter();
        samples
            .flat_map(|&s| self.row(&selected.cohort.samples[s].attributes))
            .collect()
    }

    /// The same, with the attributes of some patients hidden at random.
    pub(crate) fn rows_for_training(
        &self,
        selected: &Selected<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<f32> {
        let mut rows = self.rows(selected);
        for row in rows.chunks_exact_mut(2 * self.len()) {
            if rng.random::<f64>() < self.dropout {
                row.fill(0.0);
            }
        }
        rows
    }

    /// Nothing is known of anybody.
    pub(crate) fn hidden(&self, count: usize) -> Vec<f32> {
        vec![0.0; count * 2 * self.len()]
    }

    fn row(&self, values: &[Option<f64>]) -> Vec<f32> {
        let scales = self.centres.iter().zip(&self.deviations);
        let standardised = values
            .iter()
            .zip(scales)
            .map(|(value, (centre, deviation))| {
                value.map_or(0.0, |value| ((value - centre) / deviation) as f32)
            });
        let known = values.iter().map(|value| f32::from(value.is_some()));
        standardised.chain(known).collect()
    }
}

fn moments(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 1.0);
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let deviation = variance.sqrt();
    (mean, if deviation > 0.0 { deviation } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_zero_and_marked() {
        let scale = AttributeScale {
            names: vec!["age".into(), "sex=F".into()],
            centres: vec![50.0, 0.5],
            deviations: vec![10.0, 0.5],
            dropout: 0.0,
        };
        assert_eq!(scale.row(&[Some(70.0), None]), [2.0, 0.0, 1.0, 0.0]);
        assert_eq!(scale.hidden(1), [0.0; 4]);
    }

    #[test]
    fn what_does_not_vary_keeps_its_unit() {
        assert_eq!(moments(&[3.0, 3.0]), (3.0, 1.0));
        assert_eq!(moments(&[]), (0.0, 1.0));
        assert_eq!(moments(&[1.0, 3.0]), (2.0, 1.0));
    }
}
