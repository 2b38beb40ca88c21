//! Weights that give the sources the target's attributes.

use nalgebra::{DMatrix, DVector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_positive;
use crate::deployed::SourcesOnly;
use crate::weighting::with_mean_one;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Preparation, Prepared, Result, Role, SearchDimension, Status, TrainingData, in_range,
};

/// Description of `transport-weighting`.
pub const INFO: MethodInfo = MethodInfo {
    id: "transport-weighting",
    name: "Transport formula weighting",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[Assumption::InvariantGivenAttributes],
    paper: "Bareinboim & Pearl 2016, Causal inference and the data-fusion problem; Pearl & Bareinboim 2014, External validity",
    summary: "Weighs patients of the sources so that their attributes are distributed as those of the target's patients.",
};

/// Settings of `transport-weighting`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransportWeightingConfig {
    /// Weight of half the squared coefficients of the logistic model, positive.
    pub ridge: f64,
    /// Weights are cut off at this many times their mean in an environment; at least 1.
    pub largest_weight: f64,
}

impl Default for TransportWeightingConfig {
    fn default() -> Self {
        Self {
            ridge: 1.0,
            largest_weight: 10.0,
        }
    }
}

impl MethodConfig for TransportWeightingConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_positive(method, "ridge", self.ridge)?;
        let largest = self.largest_weight;
        let ok = largest.is_finite() && largest >= 1.0;
        in_range(
            method,
            "largest_weight",
            &largest,
            "finite and at least 1",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("ridge", -2.0, 2.0),
            SearchDimension::log_uniform("largest_weight", 0.3, 2.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            // The target's attributes are all that is asked of it.
            augmentations: vec![Box::new(SourcesOnly)],
            ..MethodParts::preparation(TransportWeighting { config: *self })
        })
    }
}

/// `w(z) = P*(z) / P(z)` for the attributes z of a patient, which makes plain training minimise the
/// risk under `Σ_z P(x, y | z) P*(z)`, the transport formula.
///
/// For each source the ratio is that of a logistic model which tells the target's patients from the
/// source's by their standardised attributes; labels of the target are not used. An attribute is
/// used where it is known of patients of both; whether it is known is used as well where it is not
/// known of some of both.
///
/// # References
/// Bareinboim & Pearl 2016, *Causal inference and the data-fusion problem*, the transport formula
/// with the attributes as the set that separates what differs from image and label; Bickel,
/// Brückner & Scheffer 2007, *Discriminative learning for differing training and test
/// distributions*, for the ratio by a logistic model.
/// Deviations: each source is transported by itself and all count the same; weights are cut off, so
/// that no single patient decides.
pub struct TransportWeighting {
    /// Settings.
    pub config: TransportWeightingConfig,
}

/// Attributes of each patient.
type Rows = [Vec<Option<f64>>];

impl Preparation for TransportWeighting {
    fn prepare(&self, data: &dyn TrainingData) -> Result<Prepared> {
        let sources = data.sources();
        let target = if data.has_target() {
            data.attributes(sources)
        } else {
            Vec::new()
        };
        let mut notes = Vec::new();
        let weights = (0..sources).map(|source| {
            let own = data.attributes(source);
            let ratios = self.ratios(&own, &target);
            if ratios.is_none() {
                let place = source + 1;
                notes.push(format!(
                    "transport-weighting: no attribute is known of patients of the target and of \
                     source {place} of {sources}, whose samples all weigh the same"
                ));
            }
            let ratios = ratios.unwrap_or_else(|| vec![1.0; own.len()]);
            with_mean_one(&ratios, self.config.largest_weight)
        });
        Ok(Prepared {
            weights: Some(weights.collect()),
            notes,
            ..Prepared::default()
        })
    }
}

impl TransportWeighting {
    /// `P*(z) / P(z)` of every source patient up to a factor; none where no attribute is known of
    /// both.
    fn ratios(&self, source: &Rows, target: &Rows) -> Option<Vec<f64>> {
        let columns = source.first().map_or(0, Vec::len);
        let design: Vec<Vec<f64>> = (0..columns)
            .flat_map(|column| features(column, source, target))
            .collect();
        if design.is_empty() {
            return None;
        }
        let rows = source.len() + target.len();
        let value = |row: usize, column: usize| match column {
            0 => 1.0,
            _ => design[column - 1][row],
        };
        let design = DMatrix::from_fn(rows, design.len() + 1, value);
        let is_target = DVector::from_fn(rows, |row, _| f64::from(row >= source.len()));
        let coefficients = logistic(&design, &is_target, self.config.ridge);
        let logits = (design * coefficients).rows(0, source.len()).into_owned();
        let largest = logits.max();
        Some(logits.iter().map(|z| (z - largest).exp()).collect())
    }
}

/// What the model sees of an attribute, source patients first: the standardised value, 0 where it is
/// not known, and whether it is known where that varies in both; nothing where it says nothing.
fn features(column: usize, source: &Rows, target: &Rows) -> Vec<Vec<f64>> {
    let of = |rows: &Rows| -> Vec<Option<f64>> { rows.iter().map(|row| row[column]).collect() };
    let (own, other) = (of(source), of(target));
    let knows = |values: &[Option<f64>]| values.iter().any(Option::is_some);
    if !knows(&own) || !knows(&other) {
        return Vec::new();
    }
    let lacks = |values: &[Option<f64>]| values.iter().any(Option::is_none);
    let is_marked = lacks(&own) && lacks(&other);
    let all: Vec<Option<f64>> = own.into_iter().chain(other).collect();
    let known: Vec<f64> = all.iter().copied().flatten().collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let variance = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
    let mut found = Vec::new();
    if variance > 0.0 {
        let scaled = |value: &Option<f64>| value.map_or(0.0, |v| (v - mean) / variance.sqrt());
        found.push(all.iter().map(scaled).collect());
    }
    if is_marked {
        found.push(all.iter().map(|v| f64::from(v.is_some())).collect());
    }
    found
}

/// Newton steps at most; a few are enough.
const MOST_STEPS: usize = 100;
/// Halvings of a step at most.
const MOST_HALVINGS: usize = 30;
/// Change of every coefficient below which the iteration ends.
const CONVERGED: f64 = 1e-10;

/// Coefficients that minimise `Σ_i log(1 + exp(x_iᵀβ)) − y_i x_iᵀβ + λ/2 Σ_{j>0} β_j²` by Newton's
/// method with halved steps; the first column of the design is the intercept.
fn logistic(design: &DMatrix<f64>, labels: &DVector<f64>, ridge: f64) -> DVector<f64> {
    let columns = design.ncols();
    let penalty = DVector::from_fn(columns, |j, _| if j == 0 { 0.0 } else { ridge });
    let loss = |beta: &DVector<f64>| {
        let logits = design * beta;
        let terms = logits.iter().zip(labels.iter());
        let data: f64 = terms.map(|(z, y)| log_one_plus_exp(*z) - y * z).sum();
        data + 0.5 * beta.component_mul(beta).dot(&penalty)
    };
    let mut beta = DVector::zeros(columns);
    for _ in 0..MOST_STEPS {
        let probabilities = (design * &beta).map(|z| 1.0 / (1.0 + (-z).exp()));
        let gradient = design.tr_mul(&(&probabilities - labels)) + beta.component_mul(&penalty);
        let curvature = probabilities.map(|p| p * (1.0 - p));
        let scaled = DMatrix::from_fn(design.nrows(), columns, |i, j| {
            design[(i, j)] * curvature[i]
        });
        let hessian = design.tr_mul(&scaled) + DMatrix::from_diagonal(&penalty);
        // Patients of both kinds keep the intercept's curvature above 0.
        let Some(factor) = hessian.cholesky() else {
            break;
        };
        let mut step = factor.solve(&gradient);
        let before = loss(&beta);
        for _ in 0..MOST_HALVINGS {
            if loss(&(&beta - &step)) <= before {
                break;
            }
            step *= 0.5;
        }
        beta -= &step;
        if step.amax() < CONVERGED {
            break;
        }
    }
    beta
}

fn log_one_plus_exp(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{Patients, Rows, check_settings};

    fn column(values: &[f64]) -> Rows {
        values.iter().map(|&value| vec![Some(value)]).collect()
    }

    fn prepared(
        config: TransportWeightingConfig,
        patients: &Patients,
    ) -> (Vec<Vec<f32>>, Vec<String>) {
        let prepared = TransportWeighting { config }.prepare(patients).unwrap();
        (prepared.weights.unwrap(), prepared.notes)
    }

    /// Without a penalty the model of a binary attribute is exact: men are 3/4 of the source and 1/4
    /// of the target.
    #[test]
    fn weights_of_a_binary_attribute_are_the_ratio_of_its_shares() {
        let source = column(&[1.0, 1.0, 1.0, 0.0]);
        let target = column(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let patients = Patients::attributes(&["sex"], &[source], Some(target));
        let config = TransportWeightingConfig {
            ridge: 1e-9,
            ..TransportWeightingConfig::default()
        };
        let (weights, notes) = prepared(config, &patients);
        let third = 1.0 / 3.0;
        for (found, expected) in weights[0].iter().zip([third, third, third, 3.0]) {
            assert!((found - expected).abs() < 1e-5, "{weights:?}");
        }
        assert!(notes.is_empty());
    }

    /// Where the minimum is, the gradient of the penalised likelihood vanishes, by central
    /// differences of the likelihood itself.
    #[test]
    fn the_model_is_at_its_minimum() {
        let design = [
            [1.0, 0.3, -1.2],
            [1.0, -0.5, 0.4],
            [1.0, 2.0, 0.1],
            [1.0, -1.4, 0.9],
            [1.0, 0.8, 0.8],
            [1.0, 1.9, -0.3],
        ];
        let labels = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0];
        let ridge = 0.7;
        let loss = |beta: &[f64]| {
            let rows = design.iter().zip(labels).map(|(row, label)| {
                let z: f64 = row.iter().zip(beta).map(|(x, b)| x * b).sum();
                let p = 1.0 / (1.0 + (-z).exp());
                -(label * p.ln() + (1.0 - label) * (1.0 - p).ln())
            });
            rows.sum::<f64>() + 0.5 * ridge * (beta[1].powi(2) + beta[2].powi(2))
        };
        let matrix = DMatrix::from_fn(6, 3, |i, j| design[i][j]);
        let beta = logistic(&matrix, &DVector::from_row_slice(&labels), ridge);
        for j in 0..3 {
            let moved = |by: f64| {
                let mut moved: Vec<f64> = beta.iter().copied().collect();
                moved[j] += by;
                loss(&moved)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(slope.abs() < 1e-8, "{j}: {slope}");
        }
    }

    /// Perfectly told apart, weights stay finite: the penalty bounds the coefficients.
    #[test]
    fn disjoint_attributes_keep_weights_finite_and_cut_off() {
        let source = column(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 40.0]);
        let target = column(&[50.0, 60.0, 70.0]);
        let patients = Patients::attributes(&["age"], &[source], Some(target));
        let config = TransportWeightingConfig {
            ridge: 1e-6,
            largest_weight: 3.0,
        };
        let (weights, _) = prepared(config, &patients);
        // One patient has all the weight; what is cut off comes back with the mean of 1.
        let others: f32 = weights[0][..9].iter().sum();
        assert!(weights[0].iter().all(|w| w.is_finite()));
        assert!((weights[0][9] + others - 10.0).abs() < 1e-4, "{weights:?}");
        assert!(weights[0][9] > weights[0][8]);
    }

    #[test]
    fn what_is_known_of_one_side_only_is_not_used_and_said() {
        let none: Rows = vec![vec![None], vec![None]];
        let some = column(&[1.0, 2.0]);
        let patients = Patients::attributes(&["age"], &[some.clone(), none.clone()], Some(some));
        let (weights, notes) = prepared(TransportWeightingConfig::default(), &patients);
        assert_eq!(weights, [[1.0, 1.0], [1.0, 1.0]]);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("source 2 of 2"), "{notes:?}");
        let patients = Patients::attributes(&[], &[vec![Vec::new(); 2]], Some(vec![Vec::new()]));
        let (_, notes) = prepared(TransportWeightingConfig::default(), &patients);
        assert!(notes[0].contains("source 1 of 1"), "{notes:?}");
    }

    /// Unknown in 1/2 of the source and 3/4 of the target: among those of one kind the value does
    /// not matter, so that the ratios are (3/4)/(1/2) and (1/4)/(1/2).
    #[test]
    fn whether_an_attribute_is_known_counts_where_both_lack_it() {
        let known = |value| vec![Some(value)];
        let source = vec![known(5.0), known(5.0), vec![None], vec![None]];
        let target = vec![known(5.0), vec![None], vec![None], vec![None]];
        let patients = Patients::attributes(&["lab"], &[source], Some(target));
        let config = TransportWeightingConfig {
            ridge: 1e-9,
            ..TransportWeightingConfig::default()
        };
        let (weights, _) = prepared(config, &patients);
        for (found, expected) in weights[0].iter().zip([0.5, 0.5, 1.5, 1.5]) {
            assert!((found - expected).abs() < 1e-5, "{weights:?}");
        }
    }

    #[test]
    fn settings_are_checked() {
        check_settings::<TransportWeightingConfig>(
            INFO,
            &[
                ("ridge", "0.0", "positive"),
                ("largest_weight", "0.9", "at least 1"),
            ],
        );
    }
}
