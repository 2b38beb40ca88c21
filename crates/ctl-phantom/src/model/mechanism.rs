//! The mechanisms that every part of the body shares, as plain functions.

use crate::site::SiteLaw;

/// Least age, and how many years above it there can be.
const AGE: (f64, f64) = (18.0, 77.0);
/// Logit of the median age's place in that range, what the population dial adds, and the spread.
const AGE_LOGIT: (f64, f64, f64) = (0.2, 1.2, 0.7);
/// What the population dial takes off P(man).
const FEWER_MEN: f64 = 0.2;
/// P(disease), and the share of it that the prevalence dial takes off.
const PREVALENCE: (f64, f64) = (0.5, 0.8);
/// How much of what P(disease) leaves free a referral takes.
const REFERRAL: f64 = 0.8;
/// Standard deviation of severity among the diseased, and the share that the dial takes off its
/// mean.
const SEVERITY: (f64, f64) = (0.5, 0.45);
/// Load per decade of age.
pub(crate) const LOAD_PER_DECADE: f64 = 0.25;
/// How far the manifestation dial scatters the lesions of the diseased.
const SCATTER: f64 = 1.5;
/// What the disease adds to the laboratory value, in its standard deviations.
pub(crate) const LAB: f64 = 1.2;
/// P(the laboratory value is known) of the youngest, and what age adds.
const TESTED: (f64, f64) = (0.65, 0.3);
/// Spread of raters at one site.
const RATER_SPREAD: f64 = 0.15;
/// Policy of a rater: slope, threshold, and how far a tone of 1 lowers the threshold.
const POLICY: (f64, f64, f64) = (3.5, 1.3, 1.2);
/// What a referral adds to the logit of the label that is read off an image.
const SUSPICION: f64 = 4.0;
/// P(label is wrong) at a tone of 1: for the healthy and for the diseased.
const MISTAKES: (f64, f64) = (0.35, 0.1);
/// Selection: least probability, slope on decades of age, slope on load, its centre.
const ENTERING: (f64, f64, f64, f64) = (0.1, 1.2, 1.2, 1.0);

/// `1 / (1 + exp(−x))`.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn indicator(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

/// Decades from 60 years.
pub(crate) fn decades(age: f64) -> f64 {
    (age - 60.0) / 10.0
}

/// Age in years.
pub(crate) fn age(law: &SiteLaw, noise: f64) -> f64 {
    let logit = AGE_LOGIT.0 + AGE_LOGIT.1 * law.population + AGE_LOGIT.2 * noise;
    AGE.0 + AGE.1 * logistic(logit)
}

/// The ages that can be.
pub(crate) fn age_range() -> [f64; 2] {
    [AGE.0, AGE.0 + AGE.1]
}

/// P(man).
pub(crate) fn men(law: &SiteLaw) -> f64 {
    0.5 - FEWER_MEN * law.population
}

/// P(unit = 1 | referral).
pub(crate) fn unit(law: &SiteLaw, referral: f64) -> f64 {
    law.unit + law.unit_by_referral * (2.0 * referral - 1.0)
}

/// P(disease | referral), whose mean over both kinds of referral is the prevalence.
///
/// # Arguments
/// - `referral`: 0 or 1, or `None` where referrals do not tell of the disease.
pub(crate) fn disease(law: &SiteLaw, referral: Option<f64>) -> f64 {
    let prevalence = PREVALENCE.0 * (1.0 - PREVALENCE.1 * law.prevalence);
    let told = referral.map_or(0.0, |referral| 2.0 * referral - 1.0);
    prevalence + told * REFERRAL * prevalence.min(1.0 - prevalence)
}

/// Mean and standard deviation of severity among the diseased; the healthy have none.
pub(crate) fn severity(law: &SiteLaw, mean: f64) -> (f64, f64) {
    (mean * (1.0 - SEVERITY.1 * law.manifestation), SEVERITY.0)
}

/// Mean of the load; its standard deviation given severity is 1.
pub(crate) fn load(age: f64, severity: f64) -> f64 {
    LOAD_PER_DECADE * decades(age) + severity
}

/// Mean of the spread; its standard deviation is 1.
pub(crate) fn spread(law: &SiteLaw, disease: f64) -> f64 {
    SCATTER * law.manifestation * disease
}

/// P(the laboratory value is known).
pub(crate) fn tested(age: f64) -> f64 {
    TESTED.0 + TESTED.1 * logistic(decades(age))
}

/// A rater's tone: 0 draws the lesion's edge, 1 draws wide and calls early.
pub(crate) fn rater(law: &SiteLaw, noise: f64) -> f64 {
    law.annotation + RATER_SPREAD * noise
}

/// P(label | shown load, tone, referral) where the label is read off the image.
///
/// # Arguments
/// - `referral`: 0 or 1, or `None` where the rater does not know of it.
pub(crate) fn reading(shown: f64, tone: f64, referral: Option<f64>) -> f64 {
    let told = referral.map_or(0.0, |referral| 2.0 * referral - 1.0);
    let (slope, threshold, lowered) = POLICY;
    logistic(slope * (shown - threshold + lowered * tone) + SUSPICION * told)
}

/// P(label | disease, tone) where the disease causes the image.
pub(crate) fn record(disease: f64, tone: f64) -> f64 {
    let tone = tone.clamp(0.0, 1.0);
    if disease > 0.5 {
        1.0 - MISTAKES.1 * tone
    } else {
        MISTAKES.0 * tone
    }
}

/// P(entering the data | age, load).
pub(crate) fn entering(law: &SiteLaw, age: f64, load: f64) -> f64 {
    let (least, by_age, by_load, centre) = ENTERING;
    let wanted = logistic(-by_age * decades(age) - by_load * (load - centre));
    1.0 - law.selection * (1.0 - least) * (1.0 - wanted)
}

/// 1 with a probability, for a uniform noise.
pub(crate) fn event(probability: f64, noise: f64) -> f64 {
    indicator(noise < probability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dials, PhantomSpec, site};

    fn laws(dials: Dials) -> Vec<SiteLaw> {
        let spec = PhantomSpec {
            dials,
            source_sites: 2,
            ..PhantomSpec::default()
        };
        site::sites(&spec).1
    }

    #[test]
    fn referrals_leave_the_prevalence_as_it_is() {
        let dials = Dials {
            prevalence: 0.7,
            ..Dials::default()
        };
        for law in laws(dials) {
            let mean = f64::midpoint(disease(&law, Some(0.0)), disease(&law, Some(1.0)));
            assert!((mean - disease(&law, None)).abs() < 1e-15);
            assert!(disease(&law, Some(0.0)) > 0.0);
        }
    }

    #[test]
    fn probabilities_stay_probabilities_at_the_ends_of_the_dials() {
        let dials = Dials {
            population: 1.0,
            prevalence: 1.0,
            selection: 1.0,
            confounding: 1.0,
            annotation: 1.0,
            ..Dials::default()
        };
        let inside = |p: f64| (0.0..=1.0).contains(&p);
        for law in laws(dials) {
            assert!(inside(men(&law)) && inside(unit(&law, 0.0)) && inside(unit(&law, 1.0)));
            for age in age_range() {
                assert!(inside(tested(age)));
                assert!([-6.0, 9.0].iter().all(|&load| {
                    let p = entering(&law, age, load);
                    inside(p) && p >= ENTERING.0 - 1e-12
                }));
            }
        }
        assert!(inside(record(1.0, 3.0)) && inside(record(0.0, -3.0)));
    }

    #[test]
    fn without_a_dial_nobody_is_turned_away() {
        for law in laws(Dials::default()) {
            assert!((entering(&law, 95.0, 8.0) - 1.0).abs() < 1e-15);
        }
    }
}
