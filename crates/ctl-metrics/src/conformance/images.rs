//! The families on images: segmentation, image quality, anomaly maps.

use serde_json::{Map, Value, json};

use super::input::{Case, Fields, Problem};
use crate::anomaly::{AnomalyCurve, image_labels, image_maxima};
use crate::discrimination::auroc;
use crate::grid::Grid;
use crate::image_quality::{ImagePair, SsimConfig};
use crate::segmentation::{ClassOverlaps, ElementDistances, Overlap, SurfaceDistances};

/// The percentile of the robust Hausdorff distances.
const ROBUST_PERCENT: f64 = 95.0;

type Computed = Result<Map<String, Value>, Problem>;

pub(super) fn segmentation(case: Case<'_>) -> Computed {
    let (shape, prediction) = case.mask("prediction")?;
    let (_, reference) = case.mask("reference")?;
    let grid = Grid::new(&shape, &case.floats("spacing")?)?;
    let overlap = Overlap::of(&prediction, &reference)?;
    let mut fields = overlap_fields(&overlap);
    let volume = |voxels: u64| voxels as f64 * grid.voxel_volume();
    let volumes = [overlap.prediction_voxels(), overlap.reference_voxels()].map(volume);
    fields.value("volume_mm3_or_area_mm2", json!(volumes));
    let distances = SurfaceDistances::between(&grid, &prediction, &reference)?;
    let pooled = distances.hausdorff_percentile_pooled(ROBUST_PERCENT)?;
    fields.float("hd", distances.hausdorff());
    fields.float("hd95", distances.hd95());
    fields.float("hd95_pooled", pooled);
    fields.float("assd", distances.average_symmetric());
    fields.float("assd_mean_of_means", distances.mean_of_directed_means());
    let tolerances = case.expected_keys("/nsd");
    let mut agreement = Fields::default();
    for (key, tolerance) in tolerances {
        agreement.float(key, distances.surface_dice(tolerance)?);
    }
    fields.value("nsd", agreement.finish());
    let elements = ElementDistances::between(&grid, &prediction, &reference)?;
    fields.value("surfel", element_fields(case, &elements)?);
    Ok(fields.finish())
}

fn overlap_fields(overlap: &Overlap) -> Fields {
    let mut fields = Fields::default();
    fields.float("dice", overlap.dice());
    fields.float("iou", overlap.iou());
    fields.float("sensitivity", overlap.sensitivity());
    fields.float("specificity", overlap.specificity());
    fields.float("precision", overlap.precision());
    fields.float("accuracy", overlap.accuracy());
    fields.float("volume_similarity", overlap.volume_similarity());
    fields
}

fn element_fields(case: Case<'_>, distances: &ElementDistances) -> Computed {
    let averages = distances.averages();
    let mut fields = Fields::default();
    fields.float("hd", distances.hausdorff());
    fields.float("hd95", distances.robust_hausdorff(ROBUST_PERCENT)?);
    fields.floats(
        "asd_reference_to_prediction_and_back",
        &[
            averages.reference_to_prediction,
            averages.prediction_to_reference,
        ],
    );
    let mut agreement = Fields::default();
    for (key, tolerance) in case.expected_keys("/surfel/nsd") {
        agreement.float(key, distances.surface_dice(tolerance)?);
    }
    fields.value("nsd", agreement.finish());
    Ok(fields.finish())
}

pub(super) fn segmentation_multiclass(case: Case<'_>) -> Computed {
    let (_, prediction) = case.index_tensor("prediction")?;
    let (_, reference) = case.index_tensor("reference")?;
    let count = usize::try_from(case.count("n_classes")?).unwrap_or(usize::MAX);
    let classes = ClassOverlaps::of(&prediction, &reference, count)?;
    let mut per_class = Fields::default();
    for (class, overlap) in classes.overlaps().iter().enumerate() {
        per_class.float(class.to_string(), overlap.dice());
    }
    let mut fields = Fields::default();
    fields.value("dice_per_class", per_class.finish());
    fields.float("mean_dice_foreground", classes.mean_foreground_dice());
    fields.fallible(
        "mean_dice_foreground_present_in_reference",
        classes.mean_foreground_dice_present(),
    )?;
    fields.float("pixel_accuracy", classes.accuracy());
    Ok(fields.finish())
}

pub(super) fn image_quality(case: Case<'_>) -> Computed {
    let (shape, reference) = case.float_tensor("reference")?;
    let (_, prediction) = case.float_tensor("prediction")?;
    let pair = ImagePair::new(&prediction, &reference, stack("reference", &shape)?)?;
    let data_range = pair.data_range();
    let mut fields = Fields::default();
    fields.float("data_range", data_range);
    fields.float("mae", pair.mae());
    fields.float("mse", pair.mse());
    fields.fallible("nmse", pair.nmse())?;
    fields.float("psnr", pair.psnr(data_range)?);
    for (name, config) in [
        ("ssim_uniform7", SsimConfig::fast_mri()),
        ("ssim_gaussian11", SsimConfig::gaussian()),
        (
            "ssim_gaussian11_reflect_full",
            SsimConfig::gaussian_reflect(),
        ),
    ] {
        fields.fallible(name, pair.ssim(data_range, &config))?;
    }
    Ok(fields.finish())
}

pub(super) fn anomaly(case: Case<'_>) -> Computed {
    let (shape, scores) = case.float_tensor("scores")?;
    let (_, flags) = case.index_tensor("masks")?;
    let masks: Vec<bool> = flags.iter().map(|&flag| flag != 0).collect();
    let shape = stack("scores", &shape)?;
    let curve = AnomalyCurve::of(&scores, &masks, shape)?;
    let mut fields = Fields::default();
    fields.float("pixel_auroc", curve.auroc());
    fields.float("pixel_average_precision", curve.average_precision());
    for (field, limit) in case.expected_with_prefix("aupro_") {
        fields.float(field, curve.aupro(limit)?);
    }
    fields.value("n_regions", curve.regions());
    let best = curve.best_f1();
    fields.float("best_f1", best.f1);
    fields.float("best_f1_threshold", best.threshold);
    let by_image = auroc(
        &image_maxima(&scores, shape)?,
        &image_labels(&masks, shape)?,
    );
    fields.fallible("image_auroc_max_pooling", by_image)?;
    Ok(fields.finish())
}

/// A shape `[slices, H, W]`.
fn stack(name: &str, shape: &[usize]) -> Result<[usize; 3], Problem> {
    shape.try_into().map_err(|_| {
        Problem(format!(
            "inputs.{name}: expected three dimensions, found {shape:?}"
        ))
    })
}
