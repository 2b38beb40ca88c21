//! The environments and the mechanisms that differ between them.

use serde::{Deserialize, Serialize};

use super::spec::ChestSpec;

/// Mean age at the reference site, in years.
const AGE_MEAN: f64 = 58.0;
/// Years by which the outermost sources' mean age differs from [`AGE_MEAN`].
const AGE_SPREAD: f64 = 3.0;
/// P(disease) where no dial moves it.
const PREVALENCE: f64 = 0.5;
/// Distance of the outermost sources' P(disease) from [`PREVALENCE`] at full confounding.
const PREVALENCE_SPREAD: f64 = 0.3;
/// P(disease) in the target when the prevalence dial stands at 1.
const RARE_PREVALENCE: f64 = 0.1;
/// P(tube | disease) - P(tube | no disease) at full confounding, in the first and last source.
const TUBE_GAPS: [f64; 2] = [0.9, 0.6];
/// The same difference in the target: the policy there is the reverse.
const TARGET_TUBE_GAP: f64 = -0.75;
/// The marker follows the tube's policy, by this much more weakly.
const MARKER_TO_TUBE: f64 = 0.5;
/// How far beyond the outermost source (at 1) the target's scanner lies when its dial is at 1.
const TARGET_SCANNER_POSITION: f64 = 3.5;

/// One hospital: the parameters of the mechanisms that its environment selects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// `site-a`, `site-b`, … for sources and `target` for the target.
    pub name: String,
    /// Whether this is the target site.
    pub target: bool,
    /// Mean age in years.
    pub age_mean: f64,
    /// P(disease), marginally over age.
    pub prevalence: f64,
    /// P(tube | disease) - P(tube | no disease), -1 to 1.
    pub tube_gap: f64,
    /// P(marker | disease) - P(marker | no disease), -1 to 1.
    pub marker_gap: f64,
    /// How films are taken here.
    pub scanner: ScannerMechanism,
}

/// Where a site's scanner lies, each value in units of the sources' half spread: -1 and 1 are the
/// outermost sources, and what is beyond no source has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScannerMechanism {
    /// Position of the log gain.
    pub gain: f64,
    /// Position of the log gamma.
    pub gamma: f64,
    /// Position of the log noise level.
    pub noise: f64,
    /// Position of the log blur width.
    pub blur: f64,
}

/// All sites of a specification: the sources, then the target.
pub(crate) fn sites(spec: &ChestSpec) -> Vec<Site> {
    let mut sites: Vec<Site> = (0..spec.source_sites)
        .map(|index| source(spec, index))
        .collect();
    sites.push(target(spec));
    sites
}

fn source(spec: &ChestSpec, index: usize) -> Site {
    let position = position(index, spec.source_sites);
    let [first, last] = TUBE_GAPS;
    let tube_gap =
        spec.confounding * (f64::midpoint(first, last) + position * (last - first) / 2.0);
    Site {
        name: format!("site-{}", char::from(b'a' + index as u8)),
        target: false,
        age_mean: AGE_MEAN + AGE_SPREAD * position,
        prevalence: PREVALENCE + PREVALENCE_SPREAD * spec.confounding * position,
        tube_gap,
        marker_gap: MARKER_TO_TUBE * tube_gap,
        scanner: ScannerMechanism::at(position),
    }
}

/// The target starts as a copy of the middle source and is moved from there by the dials.
fn target(spec: &ChestSpec) -> Site {
    let middle = position(spec.source_sites / 2, spec.source_sites);
    let tube_gap = spec.confounding * TARGET_TUBE_GAP;
    let away = ScannerMechanism {
        gain: TARGET_SCANNER_POSITION,
        gamma: TARGET_SCANNER_POSITION,
        noise: TARGET_SCANNER_POSITION,
        blur: TARGET_SCANNER_POSITION,
    };
    Site {
        name: "target".to_owned(),
        target: true,
        age_mean: AGE_MEAN + AGE_SPREAD * middle,
        prevalence: PREVALENCE + (RARE_PREVALENCE - PREVALENCE) * spec.prevalence,
        tube_gap,
        marker_gap: MARKER_TO_TUBE * tube_gap,
        scanner: ScannerMechanism::at(middle).towards(away, spec.acquisition),
    }
}

/// Where source `index` of `count` lies, evenly spaced from -1 to 1.
fn position(index: usize, count: usize) -> f64 {
    if count < 2 {
        return 0.0;
    }
    2.0 * index as f64 / (count - 1) as f64 - 1.0
}

impl ScannerMechanism {
    fn at(position: f64) -> Self {
        Self {
            gain: position,
            gamma: position,
            noise: position,
            blur: position,
        }
    }

    fn towards(self, other: Self, share: f64) -> Self {
        // At 0 the target must be the middle source to the last bit, hence this form.
        let mix = |from: f64, to: f64| from + share * (to - from);
        Self {
            gain: mix(self.gain, other.gain),
            gamma: mix(self.gamma, other.gamma),
            noise: mix(self.noise, other.noise),
            blur: mix(self.blur, other.blur),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sites;
    use crate::ChestSpec;

    #[test]
    fn without_dials_the_target_is_the_middle_source_under_another_name() {
        for source_sites in 1..=8 {
            let sites = sites(&ChestSpec {
                source_sites,
                ..ChestSpec::default()
            });
            let mut target = sites[source_sites].clone();
            assert!(target.target);
            target.target = false;
            target.name.clone_from(&sites[source_sites / 2].name);
            assert_eq!(target, sites[source_sites / 2]);
        }
    }

    #[test]
    fn confounding_spreads_the_sources_prevalence_symmetrically() {
        let spec = ChestSpec {
            confounding: 1.0,
            ..ChestSpec::default()
        };
        let prevalence: Vec<f64> = sites(&spec).iter().map(|site| site.prevalence).collect();
        let expected = [0.2, 0.5, 0.8, 0.5];
        for (found, expected) in prevalence.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{prevalence:?}");
        }
    }

    #[test]
    fn acquisition_moves_the_target_beyond_every_source() {
        let spec = ChestSpec {
            acquisition: 1.0,
            source_sites: 4,
            ..ChestSpec::default()
        };
        let sites = sites(&spec);
        for source in &sites[..4] {
            assert!(source.scanner.gain.abs() <= 1.0);
            assert!(sites[4].scanner.gain > 3.0 * source.scanner.gain.abs());
        }
    }
}
