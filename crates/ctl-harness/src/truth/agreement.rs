//! Whether what can be measured without the truth orders answers as the truth does.

use ctl_metrics::regression::{kendall_tau_b, spearman};
use serde::{Deserialize, Serialize};

use super::{CaseScore, RivalScore};

/// What can be measured without the truth; less is better of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// Error of the reconstruction.
    Composition1,
    /// Error after all null interventions.
    Composition10,
    /// Error after there and back.
    Reversibility,
    /// Error of what predictors read off the counterfactual.
    Effectiveness,
    /// Error of what a rule reads off it.
    Measured,
    /// Fréchet distance between facts and counterfactuals.
    Frechet,
    /// Kernel distance.
    Kernel,
    /// Counterfactual latent divergence.
    Minimality,
}

impl Proxy {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Composition1,
        Self::Composition10,
        Self::Reversibility,
        Self::Effectiveness,
        Self::Measured,
        Self::Frechet,
        Self::Kernel,
        Self::Minimality,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Composition1 => "composition, 1 cycle",
            Self::Composition10 => "composition, last cycle",
            Self::Reversibility => "reversibility",
            Self::Effectiveness => "effectiveness, predictors",
            Self::Measured => "effectiveness, measured",
            Self::Frechet => "Fréchet, own features",
            Self::Kernel => "kernel, own features",
            Self::Minimality => "minimality",
        }
    }

    /// Its value for a rival and an intervention, where there is one.
    pub fn of(self, rival: &RivalScore, case: &CaseScore) -> Option<f64> {
        match self {
            Self::Composition1 => Some(rival.composition[0]),
            Self::Composition10 => Some(rival.composition[1]),
            Self::Reversibility => Some(case.reversibility),
            Self::Effectiveness => Some(case.effectiveness),
            Self::Measured => case.measured_effectiveness,
            Self::Frechet => Some(case.realism.frechet),
            Self::Kernel => Some(case.realism.kernel),
            Self::Minimality => case.minimality,
        }
    }
}

/// How a proxy orders answers, against how the truth does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The proxy.
    pub proxy: Proxy,
    /// Pairs of a rival and an intervention that were compared.
    pub pairs: usize,
    /// Rank correlation with the true mean absolute error over the pairs, 1 where the orders are the
    /// same; none where one does not vary.
    pub spearman: Option<f64>,
    /// Kendall's τ-b of the same.
    pub kendall: Option<f64>,
    /// Of two rivals under the same intervention: how often the proxy prefers the one that is nearer
    /// to the truth, and how many such couples differ in both.
    pub couples: [usize; 2],
}

/// Compares every proxy with the truth.
///
/// # Arguments
/// - `rivals`: those whose answers are compared
///
/// # Returns
/// One for each proxy that two pairs have at least.
pub fn agreements(rivals: &[&RivalScore]) -> Vec<Agreement> {
    let all = Proxy::ALL.into_iter();
    all.filter_map(|proxy| agreement(proxy, rivals)).collect()
}

fn agreement(proxy: Proxy, rivals: &[&RivalScore]) -> Option<Agreement> {
    let mut pairs: Vec<(&str, f64, f64)> = Vec::new();
    for rival in rivals {
        for case in &rival.cases {
            let value = proxy.of(rival, case).filter(|value| value.is_finite());
            pairs.extend(value.map(|value| (&case.case[..], value, case.mae)));
        }
    }
    if pairs.len() < 2 {
        return None;
    }
    let (ours, truth): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(_, a, b)| (a, b)).unzip();
    let mut couples = [0, 0];
    for (place, one) in pairs.iter().enumerate() {
        for other in pairs[place + 1..].iter().filter(|other| other.0 == one.0) {
            let order = (one.1 - other.1) * (one.2 - other.2);
            couples[0] += usize::from(order > 0.0);
            couples[1] += usize::from(order != 0.0);
        }
    }
    Some(Agreement {
        proxy,
        pairs: pairs.len(),
        spearman: spearman(&ours, &truth).ok(),
        kendall: kendall_tau_b(&ours, &truth).ok(),
        couples,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ctl_counterfactual::Realism;

    use super::*;

    /// A rival with a value of every proxy and a true error, by intervention.
    fn rival(name: &str, cases: &[(&str, f64, f64)]) -> RivalScore {
        let case = |&(case, value, mae): &(&str, f64, f64)| CaseScore {
            case: case.to_owned(),
            predicted: BTreeMap::from([("age".to_owned(), value)]),
            effectiveness: value,
            measured: BTreeMap::new(),
            measured_effectiveness: None,
            reversibility: value,
            realism: Realism {
                frechet: value,
                kernel: -value,
            },
            minimality: Some(value),
            mae,
            psnr: None,
            ssim: 1.0,
            where_changed: [Some(mae), None],
            changed: 0.5,
            carried_out: Some(1.0),
            attributes: BTreeMap::new(),
            within: BTreeMap::from([("composition".to_owned(), Some(0.5))]),
        };
        RivalScore {
            name: name.to_owned(),
            budget: None,
            individuals: 3,
            composition: [1.0, 2.0],
            calibration: None,
            cases: cases.iter().map(case).collect(),
        }
    }

    fn of(found: &[Agreement], proxy: Proxy) -> &Agreement {
        found.iter().find(|one| one.proxy == proxy).unwrap()
    }

    #[test]
    fn orders_are_compared_over_pairs_and_within_interventions() {
        // Over all pairs the ranks 1 2 3 4 meet 1 2 4 3; within each intervention one couple, of
        // which the second is the wrong way round.
        let a = rival("a", &[("do(x)", 1.0, 10.0), ("do(y)", 3.0, 40.0)]);
        let b = rival("b", &[("do(x)", 2.0, 20.0), ("do(y)", 4.0, 30.0)]);
        let found = agreements(&[&a, &b]);
        let same = of(&found, Proxy::Effectiveness);
        assert!((same.spearman.unwrap() - 0.8).abs() < 1e-12);
        assert!((same.kendall.unwrap() - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!((same.pairs, same.couples), (4, [1, 2]));
        let reversed = of(&found, Proxy::Kernel);
        assert!((reversed.spearman.unwrap() + 0.8).abs() < 1e-12);
        assert_eq!(reversed.couples, [1, 2]);
        // The same for all: no order, and no couple that differs.
        let flat = of(&found, Proxy::Composition1);
        assert_eq!((flat.spearman, flat.couples), (None, [0, 0]));
        assert!(found.iter().all(|one| one.proxy != Proxy::Measured));
        assert!(agreements(&[]).is_empty());
    }
}
