//! The families that score predictions: binary, multi-class, fairness, regression, survival.

use serde_json::{Map, Value, json};

use super::input::{Case, Fields, Problem};
use crate::calibration::{
    Binning, ReliabilityTable, TopPrediction, binary_top_predictions, brier, brier_multiclass,
    fit_temperature, log_loss, log_loss_multiclass, negative_log_likelihood, softmax_rows,
    top_predictions,
};
use crate::discrimination::{
    BinaryConfusion, ConfusionMatrix, KappaWeights, auroc, auroc_ovr_macro, average_precision,
    average_precision_macro, predicted_classes, predictions_at, sensitivity_at_specificity,
    top_k_accuracy,
};
use crate::groups::{
    GroupTable, demographic_parity, equal_opportunity_difference, equalized_odds_difference,
    group_rates, group_rows,
};
use crate::interval::delong;
use crate::survival::Concordance;
use crate::{Direction, gather, regression as errors};

const DEFAULT_THRESHOLD: f64 = 0.5;
const DEFAULT_BINS: usize = 15;

type Computed = Result<Map<String, Value>, Problem>;

pub(super) fn binary(case: Case<'_>) -> Computed {
    let (labels, scores) = (case.flags("labels")?, case.floats("probabilities")?);
    let threshold = case.float_param("threshold", DEFAULT_THRESHOLD);
    let confusion = BinaryConfusion::from_scores(&scores, &labels, threshold)?;
    let mut fields = Fields::default();
    confusion_fields(&mut fields, &confusion)?;
    fields.fallible("auroc", auroc(&scores, &labels))?;
    fields.fallible("average_precision", average_precision(&scores, &labels))?;
    let mut at_specificity = Fields::default();
    for (key, demand) in case.expected_keys("/sensitivity_at_specificity") {
        at_specificity.fallible(key, sensitivity_at_specificity(&scores, &labels, demand))?;
    }
    fields.value("sensitivity_at_specificity", at_specificity.finish());
    fields.float("log_loss", log_loss(&scores, &labels)?);
    fields.float("brier", brier(&scores, &labels)?);
    calibration_fields(
        &mut fields,
        case,
        &binary_top_predictions(&scores, &labels)?,
    )?;
    let estimate = delong(&scores, &labels, 0.95);
    fields.fallible(
        "delong_variance",
        estimate.clone().map(|found| found.variance),
    )?;
    let ends = estimate.map(|found| json!([found.interval.lower, found.interval.upper]));
    fields.value("delong_ci95", ends.unwrap_or(Value::Null));
    Ok(fields.finish())
}

fn confusion_fields(fields: &mut Fields, confusion: &BinaryConfusion) -> Result<(), Problem> {
    fields.float("accuracy", confusion.accuracy());
    fields.fallible("balanced_accuracy", confusion.balanced_accuracy())?;
    fields.float("f1", confusion.f1());
    fields.float("mcc", confusion.mcc());
    fields.fallible("sensitivity", confusion.sensitivity())?;
    fields.fallible("specificity", confusion.specificity())?;
    fields.float("ppv", confusion.positive_predictive_value());
    fields.float("npv", confusion.negative_predictive_value());
    fields.float("kappa", confusion.kappa());
    Ok(())
}

fn calibration_fields(
    fields: &mut Fields,
    case: Case<'_>,
    top: &[TopPrediction],
) -> Result<(), Problem> {
    let bins = case.count_param("bins", DEFAULT_BINS);
    for (name, binning) in [
        ("equal_width", Binning::EqualWidth),
        ("equal_mass", Binning::EqualMass),
    ] {
        let table = ReliabilityTable::of(top, binning, bins)?;
        fields.float(format!("ece_{name}_{bins}"), table.expected_error());
        fields.float(format!("mce_{name}_{bins}"), table.maximum_error());
    }
    Ok(())
}

pub(super) fn multiclass(case: Case<'_>) -> Computed {
    let labels = case.indices("labels")?;
    let (classes, logits) = case.float_rows("logits")?;
    let probabilities = softmax_rows(&logits, classes)?;
    let matrix =
        ConfusionMatrix::from_predictions(&predicted_classes(&logits, classes)?, &labels, classes)?;
    let mut fields = Fields::default();
    matrix_fields(&mut fields, &matrix)?;
    fields.fallible(
        "auroc_ovr_macro",
        auroc_ovr_macro(&probabilities, classes, &labels),
    )?;
    let precision = average_precision_macro(&probabilities, classes, &labels);
    fields.fallible("average_precision_macro", precision)?;
    fields.float(
        "log_loss",
        log_loss_multiclass(&probabilities, classes, &labels)?,
    );
    fields.float(
        "brier_sum",
        brier_multiclass(&probabilities, classes, &labels)?,
    );
    calibration_fields(
        &mut fields,
        case,
        &top_predictions(&probabilities, classes, &labels)?,
    )?;
    let fit = fit_temperature(&logits, classes, &labels);
    fields.fallible("temperature", fit.clone().map(|found| found.temperature))?;
    fields.fallible("nll_after", fit.map(|found| found.nll_after))?;
    fields.float(
        "nll_before",
        negative_log_likelihood(&logits, classes, &labels, 1.0)?,
    );
    for k in 1..=classes {
        fields.float(
            format!("top{k}_accuracy"),
            top_k_accuracy(&logits, classes, &labels, k)?,
        );
    }
    Ok(fields.finish())
}

fn matrix_fields(fields: &mut Fields, matrix: &ConfusionMatrix) -> Result<(), Problem> {
    fields.float("accuracy", matrix.accuracy());
    fields.fallible("balanced_accuracy", matrix.balanced_accuracy())?;
    fields.float("f1_macro", matrix.f1_macro());
    fields.float("f1_micro", matrix.accuracy());
    fields.float("f1_weighted", matrix.f1_weighted());
    fields.float("mcc", matrix.mcc());
    fields.float("kappa", matrix.kappa(KappaWeights::Unweighted));
    fields.float("kappa_linear", matrix.kappa(KappaWeights::Linear));
    fields.float("kappa_quadratic", matrix.kappa(KappaWeights::Quadratic));
    fields.value("confusion_rows_true", json!(matrix.rows()));
    Ok(())
}

pub(super) fn fairness(case: Case<'_>) -> Computed {
    let (labels, scores) = (case.flags("labels")?, case.floats("probabilities")?);
    let groups = case.names("groups")?;
    let predictions = predictions_at(&scores, case.float_param("threshold", DEFAULT_THRESHOLD))?;
    let rates = group_rates(&predictions, &labels, &groups)?;
    let mut fields = Fields::default();
    fields.value("per_group", per_group(case, &scores, &labels, &groups)?);
    let area = |rows: &[usize]| auroc(&gather(&scores, rows)?, &gather(&labels, rows)?);
    let areas = GroupTable::of(&groups, area)?;
    let right: Vec<bool> = predictions
        .iter()
        .zip(&labels)
        .map(|(p, y)| p == y)
        .collect();
    let accuracies = GroupTable::of(&groups, |rows| Ok(fraction(&gather(&right, rows)?)))?;
    for (name, table) in [("accuracy", &accuracies), ("auroc", &areas)] {
        let worst = table.worst(Direction::HigherIsBetter).map(|row| row.value);
        fields.fallible(format!("worst_group_{name}"), worst)?;
        fields.fallible(format!("{name}_gap"), table.gap())?;
        fields.fallible(format!("group_mean_{name}"), table.mean())?;
    }
    let parity = demographic_parity(&rates)?;
    fields.float("demographic_parity_difference", parity.difference);
    fields.float("demographic_parity_ratio", parity.ratio);
    fields.fallible(
        "equal_opportunity_difference",
        equal_opportunity_difference(&rates),
    )?;
    fields.fallible(
        "equalized_odds_difference",
        equalized_odds_difference(&rates),
    )?;
    Ok(fields.finish())
}

fn fraction(flags: &[bool]) -> f64 {
    flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64
}

fn per_group(case: Case<'_>, scores: &[f64], labels: &[bool], groups: &[String]) -> Computed {
    let predictions = predictions_at(scores, case.float_param("threshold", DEFAULT_THRESHOLD))?;
    let rates = group_rates(&predictions, labels, groups)?;
    let mut table = Fields::default();
    for (row, (group, members)) in rates.iter().zip(group_rows(groups)?) {
        let (own_scores, own_labels) = (gather(scores, &members)?, gather(labels, &members)?);
        let mut fields = Fields::default();
        fields.value("n", row.samples);
        fields.float("accuracy", row.accuracy);
        fields.fallible("auroc", auroc(&own_scores, &own_labels))?;
        fields.float("selection_rate", row.selection_rate);
        fields.value("tpr", json!(row.true_positive_rate));
        fields.value("fpr", json!(row.false_positive_rate));
        calibration_fields(
            &mut fields,
            case,
            &binary_top_predictions(&own_scores, &own_labels)?,
        )?;
        table.value(group.as_str(), fields.finish());
    }
    Ok(table.finish())
}

pub(super) fn regression(case: Case<'_>) -> Computed {
    let (predictions, targets) = (case.floats("predictions")?, case.floats("targets")?);
    let mut fields = Fields::default();
    fields.float("mae", errors::mean_absolute_error(&predictions, &targets)?);
    let squared = errors::mean_squared_error(&predictions, &targets)?;
    fields.float("mse", squared);
    fields.float("rmse", squared.sqrt());
    fields.fallible("r2", errors::r_squared(&predictions, &targets))?;
    fields.fallible("pearson", errors::pearson(&predictions, &targets))?;
    fields.fallible("spearman", errors::spearman(&predictions, &targets))?;
    fields.fallible(
        "kendall_tau_b",
        errors::kendall_tau_b(&predictions, &targets),
    )?;
    Ok(fields.finish())
}

pub(super) fn survival(case: Case<'_>) -> Computed {
    let (times, events) = (case.floats("times")?, case.flags("events")?);
    let counts = Concordance::of(&times, &events, &case.floats("risk_scores")?)?;
    let mut fields = Fields::default();
    fields.float("c_index", counts.index());
    fields.value("concordant", counts.concordant);
    fields.value("tied_risk", counts.tied_risk);
    fields.value("comparable", counts.comparable);
    Ok(fields.finish())
}
