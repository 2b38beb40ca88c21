//! The sites of a cohort and the law that each of them follows.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Dials, PhantomSpec};

/// The share of a dial over which the sources are spread.
const SOURCE_SPREAD: f64 = 0.3;
/// How far P(referral) and P(unit) move from one half at a source, at the greatest confounding.
const TIE: f64 = 0.45;

/// What a site is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteRole {
    /// To train on.
    Source,
    /// Where the model is deployed.
    Target,
    /// Other patients of the target, labelled, as many as all sources have: to train the reference
    /// that no transfer from the sources should be expected to beat.
    TargetReference,
    /// A source in which what ties label and scanner together is cut; its patients are those of
    /// the source.
    InterventionalReference,
}

/// A site of a cohort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhantomSite {
    /// Its name, unique in the cohort.
    pub name: String,
    /// What it is for.
    pub role: SiteRole,
    /// For an interventional reference, the position of its source.
    pub source: Option<usize>,
    /// The positions of its samples in the cohort.
    pub samples: Range<usize>,
}

/// How far each mechanism is moved at a site, and what ties label and scanner together there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SiteLaw {
    pub(crate) population: f64,
    pub(crate) prevalence: f64,
    pub(crate) acquisition: f64,
    pub(crate) annotation: f64,
    pub(crate) manifestation: f64,
    pub(crate) selection: f64,
    /// P(referral = 1).
    pub(crate) referral: f64,
    /// P(unit = 1) averaged over referrals.
    pub(crate) unit: f64,
    /// What a referral adds to P(unit = 1), and its absence takes off.
    pub(crate) unit_by_referral: f64,
}

impl SiteLaw {
    /// The law at a share of each dial, without confounding.
    fn at(dials: &Dials, share: f64, selection_share: f64) -> Self {
        Self {
            population: dials.population * share,
            prevalence: dials.prevalence * share,
            acquisition: dials.acquisition * share,
            annotation: dials.annotation * share,
            manifestation: dials.manifestation * share,
            selection: dials.selection * selection_share,
            referral: 0.5,
            unit: 0.5,
            unit_by_referral: 0.0,
        }
    }

    fn target(dials: &Dials) -> Self {
        Self {
            unit_by_referral: -TIE * dials.confounding,
            ..Self::at(dials, 1.0, 0.0)
        }
    }

    /// A source before its label and its scanner are tied together.
    fn cut_source(spec: &PhantomSpec, place: usize) -> Self {
        let steps = spec.source_sites.saturating_sub(1).max(1) as f64;
        let share = SOURCE_SPREAD * place as f64 / steps;
        Self::at(&spec.dials, share, 1.0 - share)
    }

    /// Hospitals with many referrals have the one kind of scanner, the others the other kind; a
    /// single source has both, and the referred go to the one.
    fn source(spec: &PhantomSpec, place: usize) -> Self {
        let tie = TIE * spec.dials.confounding;
        let cut = Self::cut_source(spec, place);
        if spec.source_sites == 1 {
            return Self {
                unit_by_referral: tie,
                ..cut
            };
        }
        let sign = if place.is_multiple_of(2) { 1.0 } else { -1.0 };
        Self {
            referral: 0.5 + sign * tie,
            unit: 0.5 + sign * tie,
            ..cut
        }
    }
}

/// The sites of a specification with their laws: sources, target, target reference, and the
/// interventional references in the order of their sources.
pub(crate) fn sites(spec: &PhantomSpec) -> (Vec<PhantomSite>, Vec<SiteLaw>) {
    let (each, sources) = (spec.patients_per_site, spec.source_sites);
    let mut sites = Vec::new();
    let mut laws = Vec::new();
    let mut next = 0;
    let mut add = |name: String, role, source, count: usize, law| {
        sites.push(PhantomSite {
            name,
            role,
            source,
            samples: next..next + count,
        });
        next += count;
        laws.push(law);
    };
    for place in 0..sources {
        let name = format!("source-{}", place + 1);
        add(
            name,
            SiteRole::Source,
            None,
            each,
            SiteLaw::source(spec, place),
        );
    }
    let target = SiteLaw::target(&spec.dials);
    add("target".to_owned(), SiteRole::Target, None, each, target);
    let name = "target-reference".to_owned();
    add(
        name,
        SiteRole::TargetReference,
        None,
        each * sources,
        target,
    );
    for place in 0..sources {
        let name = format!("cut-{}", place + 1);
        let law = SiteLaw::cut_source(spec, place);
        add(
            name,
            SiteRole::InterventionalReference,
            Some(place),
            each,
            law,
        );
    }
    (sites, laws)
}

#[cfg(test)]
mod tests {
    use super::{SiteRole, sites};
    use crate::{Dials, PhantomSpec};

    fn spec(dials: Dials, source_sites: usize) -> PhantomSpec {
        PhantomSpec {
            dials,
            source_sites,
            patients_per_site: 10,
            ..PhantomSpec::default()
        }
    }

    #[test]
    fn without_dials_every_site_follows_the_same_law() {
        let (sites, laws) = sites(&spec(Dials::default(), 3));
        assert_eq!(sites.len(), 3 + 1 + 1 + 3);
        assert!(laws.iter().all(|law| law == &laws[0]));
        let reference = &sites[4];
        assert_eq!(reference.role, SiteRole::TargetReference);
        assert_eq!(reference.samples, 40..70);
        assert_eq!(sites[7].source, Some(2));
    }

    #[test]
    fn sources_lie_between_no_shift_and_three_tenths_of_it() {
        let dials = Dials {
            prevalence: 1.0,
            selection: 1.0,
            ..Dials::default()
        };
        let (_, laws) = sites(&spec(dials, 3));
        let shares: Vec<f64> = laws[..4].iter().map(|law| law.prevalence).collect();
        assert_eq!(shares, [0.0, 0.15, 0.3, 1.0]);
        let selected: Vec<f64> = laws[..4].iter().map(|law| law.selection).collect();
        assert_eq!(selected, [1.0, 0.85, 0.7, 0.0]);
        assert!(laws.iter().all(|law| law.acquisition.abs() < 1e-15));
    }

    #[test]
    fn confounding_is_reversed_in_the_target_and_cut_in_the_reference() {
        let dials = Dials {
            confounding: 1.0,
            ..Dials::default()
        };
        let (_, laws) = sites(&spec(dials, 2));
        assert!(laws[0].referral > 0.9 && laws[0].unit > 0.9);
        assert!(laws[1].referral < 0.1 && laws[1].unit < 0.1);
        assert!(laws[2].unit_by_referral < -0.4 && (laws[2].unit - 0.5).abs() < 1e-15);
        assert_eq!((laws[4].referral, laws[4].unit), (0.5, 0.5));
        let (_, single) = sites(&spec(dials, 1));
        assert!(single[0].unit_by_referral > 0.4);
    }
}
