//! Numbers and names as words.

use ctl_invariance::Role;

use crate::table::{Cell, Estimate};
use crate::vocabulary::Protocol;

/// What stands where a figure does not exist.
pub(crate) const MISSING: &str = "–";
/// A true minus sign, as wide as a plus.
const MINUS: char = '−';

/// Three decimals, or a dash.
pub(crate) fn number(value: Option<f64>) -> String {
    match value.filter(|v| v.is_finite()) {
        Some(value) => format!("{value:.3}").replace('-', &MINUS.to_string()),
        None => MISSING.to_owned(),
    }
}

/// Three decimals with a sign, or a dash; what rounds to zero has no sign.
pub(crate) fn signed(value: Option<f64>) -> String {
    let plain = number(value);
    match value {
        _ if plain == MISSING => plain,
        _ if plain.trim_start_matches(MINUS) == "0.000" => "0.000".to_owned(),
        Some(value) if value > 0.0 => format!("+{plain}"),
        _ => plain,
    }
}

/// A value with its standard error, where there is one.
pub(crate) fn with_error(mean: Option<f64>, standard_error: Option<f64>) -> String {
    match standard_error.filter(|e| e.is_finite()) {
        Some(error) => format!("{} ± {error:.3}", number(mean)),
        None => number(mean),
    }
}

/// The standard error of an estimate, which a single seed does not have.
pub(crate) fn standard_error(estimate: &Estimate) -> Option<f64> {
    (estimate.seeds > 1).then_some(estimate.standard_error)
}

/// Mean, standard error and number of seeds.
pub(crate) fn estimate(estimate: Option<&Estimate>) -> String {
    match estimate {
        None => MISSING.to_owned(),
        Some(e) => {
            let value = with_error(Some(e.mean), standard_error(e));
            format!("{value} (n = {})", e.seeds)
        }
    }
}

/// A p-value as it is written in running text.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// A count with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Names joined as in a sentence.
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// A metric as a reader knows it.
pub(crate) fn metric(name: &str) -> String {
    match name {
        "auroc" => "AUROC".to_owned(),
        "ece" => "calibration error (ECE)".to_owned(),
        "worst_site_auroc" => "worst-site AUROC".to_owned(),
        other => other.replace('_', " "),
    }
}

/// What a role means for the reader; nothing for the usual one.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Generalisation => "",
        Role::Adaptation => "sees unlabelled target images",
        Role::Oracle => "upper reference",
    }
}

/// A cell in one line.
pub(crate) fn cell(cell: &Cell) -> String {
    let sources = match (cell.protocol, cell.sources.as_slice()) {
        (Protocol::SiteLabelMixture, [negatives, positives]) => {
            format!("negatives of {negatives} + positives of {positives}")
        }
        (_, sources) => sources.join(" + "),
    };
    format!(
        "{} / {}: {sources} → {}",
        cell.cohort, cell.protocol, cell.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_decimals_and_undefined_ones_a_dash() {
        assert_eq!(number(Some(0.12345)), "0.123");
        assert_eq!(number(Some(f64::NAN)), "–");
        assert_eq!(number(None), "–");
        assert_eq!(signed(Some(0.05)), "+0.050");
        assert_eq!(signed(Some(-0.05)), "−0.050");
        assert_eq!(signed(Some(-0.0001)), "0.000");
        assert_eq!(signed(None), "–");
    }

    #[test]
    fn a_single_seed_has_no_standard_error() {
        let one = Estimate::of(&[0.5]).unwrap();
        assert_eq!(estimate(Some(&one)), "0.500 (n = 1)");
        let two = Estimate::of(&[0.4, 0.6]).unwrap();
        // Population deviation 0.1 over √2.
        assert_eq!(estimate(Some(&two)), "0.500 ± 0.071 (n = 2)");
    }

    #[test]
    fn lists_and_counts_read_as_sentences() {
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&names), "a, b and c");
        assert_eq!(list(&names[..1]), "a");
        assert_eq!(count(1, "run"), "1 run");
        assert_eq!(count(0, "run"), "0 runs");
    }
}
