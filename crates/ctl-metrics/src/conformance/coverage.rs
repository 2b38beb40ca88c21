//! The family of prediction sets.

use serde_json::{Map, Value, json};

use super::input::{Case, Fields, Problem};
use crate::conformal::{
    aps_scores, lac_scores, mean_set_size, of_labels, prediction_sets, threshold, threshold_rank,
    weighted_threshold,
};

const DEFAULT_ALPHA: f64 = 0.1;

/// Scores and finite thresholds lie within [0, 1].
const LARGEST_GAP: f64 = 1.0;

/// A score this near to the threshold is the threshold.
const NO_GAP: f64 = 1e-9;

type Computed = Result<Map<String, Value>, Problem>;

/// Scores of all classes of the calibration and the test samples.
struct Scored {
    calibration: Vec<f64>,
    test: Vec<f64>,
}

/// What all scores have in common.
struct Sample {
    classes: usize,
    labels: Vec<usize>,
    alpha: f64,
}

pub(super) fn conformal(case: Case<'_>) -> Computed {
    let (classes, calibration) = case.float_rows("calibration_probabilities")?;
    let (_, test) = case.float_rows("test_probabilities")?;
    let sample = Sample {
        classes,
        labels: case.indices("calibration_labels")?,
        alpha: case.float_param("alpha", DEFAULT_ALPHA),
    };
    let (drawn, test_drawn) = (case.floats("calibration_u")?, case.floats("test_u")?);
    let lac = Scored {
        calibration: lac_scores(&calibration, classes)?,
        test: lac_scores(&test, classes)?,
    };
    let aps = Scored {
        calibration: aps_scores(&calibration, classes, None)?,
        test: aps_scores(&test, classes, None)?,
    };
    let randomised = Scored {
        calibration: aps_scores(&calibration, classes, Some(&drawn))?,
        test: aps_scores(&test, classes, Some(&test_drawn))?,
    };
    let mut fields = Fields::default();
    let rank = threshold_rank(sample.labels.len(), sample.alpha)?;
    fields.value("rank", rank);
    let mut gap = LARGEST_GAP;
    for (name, scored) in [
        ("lac", &lac),
        ("aps", &aps),
        ("aps_randomised", &randomised),
    ] {
        let own = of_labels(&scored.calibration, sample.classes, &sample.labels)?;
        let quantile = threshold(&own, sample.alpha)?;
        fields.value(name, sets_at(quantile, sample.classes, &scored.test)?);
        gap = gap.min(smallest_gap(&scored.test, quantile));
    }
    fields.float("smallest_nonzero_gap_to_threshold", gap);
    fields.value("lac_weighted", weighted_sets(case, &sample, &lac)?);
    Ok(fields.finish())
}

fn sets_at(quantile: f64, classes: usize, scores: &[f64]) -> Computed {
    let thresholds = vec![quantile; scores.len() / classes];
    let sets = prediction_sets(scores, classes, &thresholds)?;
    let sizes: Vec<usize> = sets.iter().map(Vec::len).collect();
    let mut fields = Fields::default();
    fields.float("quantile", quantile);
    fields.float("mean_size", mean_set_size(&sets)?);
    fields.value("sizes", json!(sizes));
    fields.value("sets", json!(sets));
    Ok(fields.finish())
}

/// How near a score comes to the threshold without being it.
fn smallest_gap(scores: &[f64], quantile: f64) -> f64 {
    let gaps = scores.iter().map(|score| (score - quantile).abs());
    gaps.filter(|&gap| gap > NO_GAP)
        .fold(f64::INFINITY, f64::min)
}

fn weighted_sets(case: Case<'_>, sample: &Sample, scored: &Scored) -> Computed {
    let weights = case.floats("calibration_weights")?;
    let own = of_labels(&scored.calibration, sample.classes, &sample.labels)?;
    let mut quantiles = Vec::new();
    for test_weight in case.floats("test_weights")? {
        quantiles.push(weighted_threshold(
            &own,
            &weights,
            test_weight,
            sample.alpha,
        )?);
    }
    let sets = prediction_sets(&scored.test, sample.classes, &quantiles)?;
    let mut fields = Fields::default();
    fields.floats("quantiles", &quantiles);
    fields.value("sets", json!(sets));
    Ok(fields.finish())
}
