//! The families of `counterfactual/1`: composition, reversibility, effectiveness, minimality, realism.

use serde_json::{Map, Value};

use super::input::{Case, Fields, Problem};
use crate::discrimination::{BinaryConfusion, ConfusionMatrix, auroc};
use crate::regression::mean_absolute_error;
use crate::soundness::{
    Gaussians, MinimalityWeights, cycle_errors, frechet_distance, kernel_distance,
    latent_divergence, minimality,
};

const THRESHOLD: f64 = 0.5;

type Computed = Result<Map<String, Value>, Problem>;

/// Composition and reversibility differ in what a cycle is, not in what is measured.
pub(super) fn cycles(case: Case<'_>) -> Computed {
    let (shape, images) = case.float_tensor("images")?;
    let cycles = case.count_param("cycles", 1);
    let after = (0..cycles).map(|cycle| Ok(case.float_tensor(&format!("after_cycle/{cycle}"))?.1));
    let after = after.collect::<Result<Vec<_>, Problem>>()?;
    let errors = cycle_errors(&images, &after, shape.first().copied().unwrap_or(0))?;
    let mut fields = Fields::default();
    fields.floats("l1_per_cycle", &errors.l1);
    fields.floats("mse_per_cycle", &errors.mse);
    fields.float("l1_at_1", errors.l1[0]);
    if let (Some(&last), Some(images)) = (errors.l1.last(), errors.l1_per_image.last()) {
        fields.float("l1_at_last", last);
        fields.floats("l1_per_image_at_last", images);
    }
    Ok(fields.finish())
}

pub(super) fn effectiveness(case: Case<'_>) -> Computed {
    let mut fields = Fields::default();
    let predicted = case.floats("continuous/predicted")?;
    let error = mean_absolute_error(&predicted, &case.floats("continuous/target")?)?;
    fields.float("continuous_mae", error);
    let (predicted, target) = (
        case.indices("categorical/predicted")?,
        case.indices("categorical/target")?,
    );
    let classes = case.count("categorical/n_classes")?;
    let classes = usize::try_from(classes).map_err(|e| Problem(e.to_string()))?;
    let matrix = ConfusionMatrix::from_predictions(&predicted, &target, classes)?;
    fields.float("categorical_accuracy", matrix.accuracy());
    fields.float("categorical_f1_macro", matrix.f1_macro());
    let (scores, labels) = (
        case.floats("binary/probability")?,
        case.flags("binary/target")?,
    );
    let confusion = BinaryConfusion::from_scores(&scores, &labels, THRESHOLD)?;
    fields.float("binary_accuracy", confusion.accuracy());
    fields.float("binary_f1", confusion.f1());
    fields.fallible("binary_auroc", auroc(&scores, &labels))?;
    Ok(fields.finish())
}

fn weights(case: Case<'_>) -> MinimalityWeights {
    let default = MinimalityWeights::default();
    MinimalityWeights {
        target: case.float_param("w1", default.target),
        same: case.float_param("w2", default.same),
    }
}

pub(super) fn divergence(case: Case<'_>) -> Computed {
    let found = latent_divergence(
        case.float("div")?,
        &case.floats("distances_same_parent")?,
        &case.floats("distances_target_parent")?,
        weights(case),
    )?;
    let mut fields = Fields::default();
    fields.float("p_target_leq", found.target_at_most);
    fields.float("p_same_geq", found.same_at_least);
    fields.float("cld", found.value);
    Ok(fields.finish())
}

pub(super) fn end_to_end(case: Case<'_>) -> Computed {
    let (dimensions, mean) = case.float_rows("latent_mean")?;
    let (_, log_scale) = case.float_rows("latent_logscale")?;
    let (moved_dimensions, moved_mean) = case.float_rows("cf_latent_mean")?;
    let (_, moved_scale) = case.float_rows("cf_latent_logscale")?;
    let (own, target) = (case.indices("parent")?, case.indices("cf_parent")?);
    let attributes: Vec<(usize, usize)> = own.into_iter().zip(target).collect();
    let found = minimality(
        &Gaussians {
            mean: &mean,
            log_scale: &log_scale,
            dimensions,
        },
        &Gaussians {
            mean: &moved_mean,
            log_scale: &moved_scale,
            dimensions: moved_dimensions,
        },
        &attributes,
        weights(case),
    )?;
    let mut fields = Fields::default();
    fields.floats("div", &found.divergence);
    fields.floats("cld", &found.values);
    fields.float("mean_cld", found.mean());
    Ok(fields.finish())
}

pub(super) fn realism(case: Case<'_>) -> Computed {
    let (dimensions, a) = case.float_rows("features_a")?;
    let (_, b) = case.float_rows("features_b")?;
    let found = frechet_distance(&a, &b, dimensions)?;
    let mut fields = Fields::default();
    fields.float("fid", found.total());
    fields.float("mean_term", found.mean);
    fields.float("covariance_term", found.covariance);
    fields.float("kid_unbiased_poly3", kernel_distance(&a, &b, dimensions)?);
    Ok(fields.finish())
}
