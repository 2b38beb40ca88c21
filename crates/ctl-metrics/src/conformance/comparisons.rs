//! The families that test and compare: `DeLong`, bootstrap, paired tests, Friedman, corrections.

use serde_json::{Map, Value, json};

use super::input::{Case, Fields, Problem};
use crate::discrimination::{BinaryConfusion, auroc};
use crate::{Direction, MetricError, gather, interval, rank};

const LEVEL: f64 = 0.95;
const DEFAULT_THRESHOLD: f64 = 0.5;

type Computed = Result<Map<String, Value>, Problem>;

pub(super) fn paired_delong(case: Case<'_>) -> Computed {
    let (a, b) = (case.floats("scores_a")?, case.floats("scores_b")?);
    let test = interval::paired_delong(&a, &b, &case.flags("labels")?, LEVEL)?;
    let mut fields = Fields::default();
    fields.float("auroc_a", test.auroc_a);
    fields.float("auroc_b", test.auroc_b);
    fields.value("covariance", json!(test.covariance));
    fields.float("z", test.z);
    fields.float("p_two_sided", test.p_two_sided);
    fields.value(
        "difference_ci95",
        json!([test.difference.lower, test.difference.upper]),
    );
    Ok(fields.finish())
}

pub(super) fn bootstrap(case: Case<'_>) -> Computed {
    let (labels, scores) = (case.flags("labels")?, case.floats("probabilities")?);
    let threshold = case.float_param("threshold", DEFAULT_THRESHOLD);
    let (size, indices) = case.index_rows("resample_indices")?;
    let accuracy = |rows: &[usize]| {
        let (own_scores, own_labels) = (gather(&scores, rows)?, gather(&labels, rows)?);
        Ok(BinaryConfusion::from_scores(&own_scores, &own_labels, threshold)?.accuracy())
    };
    let area = |rows: &[usize]| auroc(&gather(&scores, rows)?, &gather(&labels, rows)?);
    let everything: Vec<usize> = (0..labels.len()).collect();
    let mut fields = Fields::default();
    fields.fallible("accuracy", accuracy(&everything))?;
    fields.fallible("auroc", area(&everything))?;
    spread_fields(
        &mut fields,
        "accuracy",
        interval::bootstrap(indices.chunks(size), LEVEL, accuracy),
    )?;
    spread_fields(
        &mut fields,
        "auroc",
        interval::bootstrap(indices.chunks(size), LEVEL, area),
    )?;
    Ok(fields.finish())
}

fn spread_fields(
    fields: &mut Fields,
    name: &str,
    summary: Result<interval::BootstrapSummary, MetricError>,
) -> Result<(), Problem> {
    let summary = summary?;
    let ends = json!([summary.interval.lower, summary.interval.upper]);
    fields.value(format!("{name}_ci95"), ends);
    fields.float(format!("{name}_se"), summary.standard_error);
    fields.value(format!("{name}_resamples_used"), summary.used);
    Ok(())
}

fn differences(case: Case<'_>) -> Result<Vec<f64>, Problem> {
    let decimals = case.optional_count_param("difference_rounding");
    let decimals = decimals.and_then(|digits| u8::try_from(digits).ok());
    Ok(rank::paired_differences(
        &case.floats("a")?,
        &case.floats("b")?,
        decimals,
    )?)
}

pub(super) fn wilcoxon(case: Case<'_>) -> Computed {
    let test = rank::wilcoxon_signed_rank(&differences(case)?)?;
    let mut fields = Fields::default();
    fields.float("w_plus", test.w_plus);
    fields.float("w_minus", test.w_minus);
    fields.value("n_nonzero", test.nonzero);
    fields.value("p_exact", json!(test.p_exact));
    fields.float("p_normal", test.p_normal);
    fields.float("p_normal_corrected", test.p_normal_corrected);
    Ok(fields.finish())
}

pub(super) fn permutation(case: Case<'_>) -> Computed {
    let test = rank::sign_flip_exact(&differences(case)?)?;
    let mut fields = Fields::default();
    fields.float("mean_difference", test.mean_difference);
    fields.float("p_two_sided_exact", test.p_two_sided);
    Ok(fields.finish())
}

pub(super) fn paired_t(case: Case<'_>) -> Computed {
    let test = rank::paired_t(&differences(case)?)?;
    let mut fields = Fields::default();
    fields.float("t", test.t);
    fields.float("p_two_sided", test.p_two_sided);
    fields.value("df", test.df);
    Ok(fields.finish())
}

pub(super) fn mcnemar(case: Case<'_>) -> Computed {
    let test = rank::mcnemar(case.count("only_a_correct")?, case.count("only_b_correct")?)?;
    let mut fields = Fields::default();
    fields.float("p_exact", test.p_exact);
    fields.float("chi2_corrected", test.chi2_corrected);
    fields.float("p_chi2", test.p_chi2);
    Ok(fields.finish())
}

pub(super) fn friedman_nemenyi(case: Case<'_>) -> Computed {
    let (methods, scores) = case.float_rows("scores")?;
    let direction = if case.flag_param("higher_is_better", true) {
        Direction::HigherIsBetter
    } else {
        Direction::LowerIsBetter
    };
    let test = rank::friedman(&scores, methods, direction)?;
    let mut fields = Fields::default();
    fields.value("average_ranks", json!(test.average_ranks));
    fields.float("chi2", test.chi2);
    fields.float(
        "chi2_without_tie_correction",
        test.chi2_without_tie_correction,
    );
    fields.float("p_chi2", test.p_chi2);
    fields.float("iman_davenport_f", test.iman_davenport_f);
    fields.float("p_iman_davenport", test.p_iman_davenport);
    let mut critical = Fields::default();
    for (key, alpha) in case.expected_keys("/critical_difference") {
        critical.float(key, test.critical_difference(alpha)?);
    }
    fields.value("critical_difference", critical.finish());
    let p_values = test.nemenyi_p_values()?;
    fields.value(
        "nemenyi_p",
        json!({"shape": [methods, methods], "data": p_values}),
    );
    Ok(fields.finish())
}

pub(super) fn multiplicity(case: Case<'_>) -> Computed {
    let p_values = case.floats("p_values")?;
    let mut fields = Fields::default();
    fields.value("holm", json!(rank::holm(&p_values)?));
    fields.value(
        "benjamini_hochberg",
        json!(rank::benjamini_hochberg(&p_values)?),
    );
    fields.value("bonferroni", json!(rank::bonferroni(&p_values)?));
    Ok(fields.finish())
}
