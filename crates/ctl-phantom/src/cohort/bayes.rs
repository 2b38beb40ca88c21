//! The best possible prediction under the target's law, from all that the image shows.

use ctl_graph::graph::CausalDirection;

use super::PhantomCohort;
use crate::PhantomSample;
use crate::model::mechanism as law_of;
use crate::site::{SiteLaw, SiteRole};

/// Nodes of the quadrature over a standard normal noise, and how far they reach.
const NODES: usize = 121;
/// Standard deviations beyond which less than 10⁻⁹ of the mass lies.
const REACH: f64 = 6.0;

impl PhantomCohort {
    /// `P(label = 1 | all that the image shows, without its noise)` under the target's law.
    ///
    /// What the image shows is load, spread, the body's measures and the kind of scanner. Where
    /// the disease causes the image, age, sex and referral are integrated out; where the label is
    /// read off it, tone of the rater and referral.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    ///
    /// # Complexity
    /// A quadrature over 121 nodes.
    pub fn bayes(&self, index: usize) -> f64 {
        self.bayes_of(&self.samples[index])
    }

    /// The best possible prediction for a sample at hand.
    pub fn bayes_of(&self, sample: &PhantomSample) -> f64 {
        let law = self.target_law();
        let shown = self.shown(sample);
        match self.spec.direction {
            CausalDirection::Causal => self.best_reading(law, &shown),
            CausalDirection::Anticausal => {
                let weight = |disease| shown.weight(law, self, disease);
                self.recorded(law, weight(0.0), weight(1.0))
            }
        }
    }

    /// The same where age, sex and, if it was taken, the laboratory value are known besides: the
    /// best possible multimodal prediction.
    ///
    /// # Panics
    /// For an index beyond the last sample.
    pub fn bayes_multimodal(&self, index: usize) -> f64 {
        let sample = &self.samples[index];
        let law = self.target_law();
        let shown = self.shown(sample);
        let lab = sample.attributes.get(2).copied().flatten();
        let (age, sex) = (
            sample.values[self.model.places.age],
            sample.values[self.model.places.sex],
        );
        let told = |disease: f64| lab.map_or(1.0, |lab| density(lab, law_of::LAB * disease, 1.0));
        let weight = |disease: f64| {
            let seen = shown.likelihood(law, self, disease, (age, sex));
            told(disease) * shown.prior(law, self, disease) * seen
        };
        match self.spec.direction {
            CausalDirection::Anticausal => self.recorded(law, weight(0.0), weight(1.0)),
            // Attributes tell a rater's reading nothing that the image does not.
            CausalDirection::Causal => self.best_reading(law, &shown),
        }
    }

    fn target_law(&self) -> &SiteLaw {
        let target = self
            .sites
            .iter()
            .position(|site| site.role == SiteRole::Target);
        // A cohort always has a target; the last site follows no weaker law.
        &self.laws[target.unwrap_or(self.laws.len() - 1)]
    }

    fn is_confounded(&self) -> bool {
        self.spec.dials.confounding > 0.0
    }

    fn shown<'a>(&self, sample: &'a PhantomSample) -> Shown<'a> {
        let places = &self.model.places;
        Shown {
            load: sample.values[places.load],
            spread: sample.values[places.spread],
            unit: sample.values[places.unit],
            measures: &sample.values[places.measures.clone()],
        }
    }

    /// P(label) from what weighs for health and for disease, with the record's mistakes.
    fn recorded(&self, law: &SiteLaw, healthy: f64, diseased: f64) -> f64 {
        let disease = diseased / (healthy + diseased);
        if self.spec.dials.annotation <= 0.0 {
            return disease;
        }
        let record = |state| over_normal(|u| law_of::record(state, law_of::rater(law, u)));
        disease * record(1.0) + (1.0 - disease) * record(0.0)
    }

    fn best_reading(&self, law: &SiteLaw, shown: &Shown<'_>) -> f64 {
        let read = |referral: Option<f64>| {
            over_normal(|u| law_of::reading(shown.load, law_of::rater(law, u), referral))
        };
        if !self.is_confounded() {
            return read(None);
        }
        let [without, with] = [0.0, 1.0].map(|r| shown.referral(law, r));
        let told = |referral| read(Some(referral));
        (without * told(0.0) + with * told(1.0)) / (without + with)
    }
}

/// What an image shows.
struct Shown<'a> {
    load: f64,
    spread: f64,
    unit: f64,
    measures: &'a [f64],
}

impl Shown<'_> {
    /// P(referral, unit).
    fn referral(&self, law: &SiteLaw, referral: f64) -> f64 {
        let unit = law_of::unit(law, referral);
        let shown = if self.unit > 0.5 { unit } else { 1.0 - unit };
        let share = if referral > 0.5 {
            law.referral
        } else {
            1.0 - law.referral
        };
        share * shown
    }

    /// P(disease, unit).
    fn prior(&self, law: &SiteLaw, cohort: &PhantomCohort, disease: f64) -> f64 {
        let share = |p: f64| if disease > 0.5 { p } else { 1.0 - p };
        if !cohort.is_confounded() {
            return share(law_of::disease(law, None));
        }
        let by = |r: f64| self.referral(law, r) * share(law_of::disease(law, Some(r)));
        by(0.0) + by(1.0)
    }

    /// p(load, spread, measures | disease, age, sex).
    fn likelihood(
        &self,
        law: &SiteLaw,
        cohort: &PhantomCohort,
        disease: f64,
        (age, sex): (f64, f64),
    ) -> f64 {
        let (mean, sd) = law_of::severity(law, cohort.spec.severity);
        let load = law_of::load(age, disease * mean);
        let load = density(self.load, load, (1.0 + disease * sd * sd).sqrt());
        let spread = density(self.spread, law_of::spread(law, disease), 1.0);
        let measures = cohort.body.measures().iter().zip(self.measures);
        measures.fold(load * spread, |product, (measure, &value)| {
            product * density(value, measure.mean(law_of::decades(age), sex), measure.sd)
        })
    }

    /// p(disease, everything shown), age and sex integrated out.
    fn weight(&self, law: &SiteLaw, cohort: &PhantomCohort, disease: f64) -> f64 {
        let men = law_of::men(law);
        let by_sex = |sex: f64| {
            over_normal(|u| self.likelihood(law, cohort, disease, (law_of::age(law, u), sex)))
        };
        self.prior(law, cohort, disease) * ((1.0 - men) * by_sex(0.0) + men * by_sex(1.0))
    }
}

/// The normal density.
fn density(value: f64, mean: f64, sd: f64) -> f64 {
    let z = (value - mean) / sd;
    (-0.5 * z * z).exp() / (sd * std::f64::consts::TAU.sqrt())
}

/// The mean of a function of a standard normal variable, by the trapezoid rule, which converges
/// faster than any power of the step for a smooth function that vanishes at both ends.
fn over_normal(function: impl Fn(f64) -> f64) -> f64 {
    let step = 2.0 * REACH / (NODES - 1) as f64;
    let nodes = (0..NODES).map(|node| node as f64 * step - REACH);
    nodes
        .map(|u| density(u, 0.0, 1.0) * function(u) * step)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::over_normal;

    #[test]
    fn quadrature_gives_known_means() {
        assert!((over_normal(|_| 1.0) - 1.0).abs() < 1e-8);
        assert!((over_normal(|u| u * u) - 1.0).abs() < 1e-7);
        // E[exp(u)] = exp(1/2).
        assert!((over_normal(f64::exp) - 0.5_f64.exp()).abs() < 1e-6);
    }
}
