//! Numbers and names as words.

use ctl_invariance::Role;

use super::contrast::{Contrast, LEAST_UNITS, Units};
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

/// Mean, standard error and number of seeds.
pub(crate) fn estimate(estimate: Option<&Estimate>) -> String {
    match estimate {
        None => MISSING.to_owned(),
        Some(e) => {
            let value = with_error(Some(e.mean), e.standard_error);
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

/// Independent units by kind.
pub(crate) fn units(units: Units) -> String {
    match (units.sites, units.seeds) {
        (sites, 0) => count(sites, "target site"),
        (0, seeds) => count(seeds, "seed"),
        (sites, seeds) => format!(
            "{} and {}",
            count(sites, "target site"),
            count(seeds, "seed")
        ),
    }
}

/// Why there is no test.
pub(crate) fn not_tested(units: Units) -> String {
    let kind = match (units.sites, units.seeds) {
        (_, 0) => "target sites",
        (0, _) => "seeds",
        _ => "target sites and seeds",
    };
    let counted = count(units.count(), "independent unit");
    format!("not tested: {counted} ({kind}), {LEAST_UNITS} are needed")
}

/// A difference and all that is known of its noise; `corrected` is how many of what a p-value was
/// adjusted for.
pub(crate) fn evidence(
    contrast: &Contrast,
    p: Option<f64>,
    corrected: (usize, &str),
    metric: &str,
) -> String {
    let difference = signed(Some(contrast.difference));
    if contrast.units.count() < LEAST_UNITS {
        let reason = not_tested(contrast.units);
        return format!("{difference} {metric} (mean paired difference; {reason})");
    }
    let value = match contrast.standard_error {
        Some(error) => format!("{difference} ± {error:.3}"),
        None => difference,
    };
    let test = match (p, corrected) {
        (Some(p), (number, what)) if number > 1 => {
            format!(
                "{} after Holm's correction for {}",
                p_value(p),
                count(number, what)
            )
        }
        (Some(p), _) => p_value(p),
        (None, _) => "they do not vary, which gives no measure of noise".to_owned(),
    };
    let units = units(contrast.units);
    format!("{value} {metric} (paired difference ± s.e. over {units}; {test})")
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
        "dice" => "Dice".to_owned(),
        "worst_site_dice" => "worst-site Dice".to_owned(),
        "best_dice" => "best Dice over thresholds".to_owned(),
        "hd95" => "HD95 (mm, or pixels)".to_owned(),
        "assd" => "ASSD (mm, or pixels)".to_owned(),
        "nsd" => "NSD at 2 mm (or pixels)".to_owned(),
        "missed_share" => "images with nothing found".to_owned(),
        "empty_kept_empty" => "empty images left empty".to_owned(),
        "ssim" => "SSIM".to_owned(),
        "psnr" => "PSNR (dB)".to_owned(),
        "nmse" => "NMSE".to_owned(),
        "zero_filled_ssim" => "SSIM of the zero-filled image".to_owned(),
        "pixel_auroc" => "pixel AUROC".to_owned(),
        "aupro" => "AUPRO to 0.3 FPR".to_owned(),
        "auroc_without_attributes" => "AUROC without attributes".to_owned(),
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
    fn a_difference_names_its_units_and_whether_it_was_tested() {
        let contrast = |sites, seeds, p| Contrast {
            difference: 0.05,
            standard_error: p,
            p,
            units: Units { sites, seeds },
        };
        let words = |c: &Contrast| evidence(c, c.p, (4, "method"), "AUROC");
        assert_eq!(
            words(&contrast(3, 0, Some(0.02))),
            "+0.050 ± 0.020 AUROC (paired difference ± s.e. over 3 target sites; p = 0.020 after \
             Holm's correction for 4 methods)"
        );
        assert_eq!(
            words(&contrast(0, 2, None)),
            "+0.050 AUROC (mean paired difference; not tested: 2 independent units (seeds), 3 are \
             needed)"
        );
        assert!(words(&contrast(2, 1, None)).contains("over 2 target sites and 1 seed; they do"));
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
