//! The best possible prediction: calibrated under the target's law, and as strong as promised.

use ctl_phantom::{CausalDirection, Dials, PhantomSpec, SiteRole};

use super::{cohort, only};
use crate::statistics::auroc;

fn study(dials: Dials, direction: CausalDirection) -> PhantomSpec {
    PhantomSpec {
        direction,
        patients_per_site: 4000,
        source_sites: 1,
        seed: 21,
        dials,
        ..PhantomSpec::default()
    }
}

/// Predictions and labels of the target.
fn target(spec: &PhantomSpec, multimodal: bool) -> (Vec<f64>, Vec<usize>) {
    let cohort = cohort(spec);
    let target = cohort
        .sites()
        .iter()
        .find(|site| site.role == SiteRole::Target);
    let samples = target.expect("there is a target").samples.clone();
    let predict = |index| {
        if multimodal {
            cohort.bayes_multimodal(index)
        } else {
            cohort.bayes(index)
        }
    };
    let labels = samples.clone().map(|index| cohort.samples()[index].label);
    (samples.map(predict).collect(), labels.collect())
}

/// In each of ten bins of the prediction the labels' frequency is the mean prediction, within
/// four standard errors.
fn assert_calibrated(predictions: &[f64], labels: &[usize], subject: &str) {
    for bin in 0..10_usize {
        let inside = |p: f64| ((p * 10.0) as usize).min(9) == bin;
        let pairs = predictions.iter().zip(labels).filter(|(p, _)| inside(**p));
        let (mut found, mut expected, mut variance) = (0.0, 0.0, 0.0);
        for (&p, &label) in pairs {
            found += label as f64;
            expected += p;
            variance += p * (1.0 - p);
        }
        let bound = 4.0 * variance.sqrt() + 1.0;
        assert!(
            (found - expected).abs() <= bound,
            "{subject}, bin {bin}: {found} for {expected}"
        );
    }
}

#[test]
fn calibrated_under_every_shift_in_both_directions() {
    let all = Dials {
        population: 0.5,
        prevalence: 0.5,
        acquisition: 0.5,
        annotation: 0.5,
        manifestation: 0.5,
        selection: 0.5,
        confounding: 0.8,
    };
    let mut studies = vec![("none", Dials::default()), ("all", all)];
    let dials = [
        "population",
        "prevalence",
        "annotation",
        "manifestation",
        "confounding",
    ];
    studies.extend(dials.map(|dial| (dial, only(dial, 1.0))));
    for (name, dials) in studies {
        for direction in [CausalDirection::Causal, CausalDirection::Anticausal] {
            let (predictions, labels) = target(&study(dials, direction), false);
            assert_calibrated(&predictions, &labels, &format!("{name} {direction:?}"));
        }
    }
}

#[test]
fn attributes_make_it_better_and_leave_it_calibrated() {
    let spec = study(Dials::default(), CausalDirection::Anticausal);
    let (image, labels) = target(&spec, false);
    let (both, _) = target(&spec, true);
    assert_calibrated(&both, &labels, "multimodal");
    let log_loss = |predictions: &[f64]| {
        let loss = |(p, &label): (&f64, &usize)| -(if label == 1 { *p } else { 1.0 - p }).ln();
        predictions.iter().zip(&labels).map(loss).sum::<f64>() / labels.len() as f64
    };
    assert!(log_loss(&both) < log_loss(&image) - 0.02);
}

#[test]
fn hard_enough_to_tell_methods_apart() {
    for direction in [CausalDirection::Causal, CausalDirection::Anticausal] {
        let (predictions, labels) = target(&study(Dials::default(), direction), false);
        let area = auroc(&predictions[..2000], &labels[..2000]);
        assert!((0.93..=0.985).contains(&area), "{direction:?}: {area}");
    }
}
