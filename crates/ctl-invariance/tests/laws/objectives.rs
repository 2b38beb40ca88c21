//! Objectives over environments: order, identical environments, relations between penalties.

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_invariance::methods::coral::{Coral, CoralConfig};
use ctl_invariance::methods::dann::{Dann, DannConfig};
use ctl_invariance::methods::erm::{Aggregation, Erm, ErmConfig};
use ctl_invariance::methods::group_dro::{GroupDro, GroupDroConfig};
use ctl_invariance::methods::irm::{Irm, IrmConfig, PenaltyForm, penalty};
use ctl_invariance::methods::mixup::{Mixup, MixupConfig};
use ctl_invariance::methods::mm_rex::{MmRex, MmRexConfig};
use ctl_invariance::methods::mmd::{Mmd, MmdConfig};
use ctl_invariance::methods::v_rex::{VRex, VRexConfig};
use ctl_invariance::{
    Augmentation, Batch, Discriminator, EnvironmentOutputs, Objective, SoftmaxCrossEntropy,
    TargetKind, WeightedTarget,
};
use proptest::prelude::*;

use crate::support::{CLASSES, FEATURES, assert_near, environment, evaluate, sample, scalar};

/// All penalties are in force from this step on.
const LATE: u64 = 1000;
const ENVIRONMENTS: usize = 4;

fn irm(penalty: PenaltyForm) -> Irm {
    Irm::new(IrmConfig {
        penalty,
        ..IrmConfig::default()
    })
}

fn dann() -> Dann {
    let layer = |out: usize, inputs: usize, name: &str| {
        let weight = sample(&[out, inputs], 1, name);
        (weight, sample(&[out], 2, name))
    };
    let layers = [
        layer(5, FEATURES, "first"),
        layer(ENVIRONMENTS, 5, "second"),
    ];
    let config = DannConfig {
        grad_penalty: 0.5,
        ..DannConfig::default()
    };
    Dann::new(config, Discriminator::from_weights(&layers).unwrap())
}

/// One of each objective.
fn all() -> Vec<(&'static str, Box<dyn Objective>)> {
    let pooled = ErmConfig {
        aggregation: Aggregation::Pooled,
    };
    let coral = CoralConfig::default();
    let mmd = MmdConfig::default();
    vec![
        ("erm", Box::new(Erm::default())),
        ("erm pooled", Box::new(Erm { config: pooled })),
        ("irm paper", Box::new(irm(PenaltyForm::Paper))),
        ("irm split", Box::new(irm(PenaltyForm::Split))),
        ("v-rex", Box::new(VRex::new(VRexConfig::default()))),
        ("mm-rex", Box::new(MmRex::new(MmRexConfig::default()))),
        (
            "group-dro",
            Box::new(GroupDro::new(GroupDroConfig { eta: 0.5 })),
        ),
        ("coral", Box::new(Coral { config: coral })),
        ("mmd", Box::new(Mmd { config: mmd })),
        ("dann", Box::new(dann())),
    ]
}

/// Three labelled environments and an unlabelled one, of different sizes.
fn mixed_environments(seed: u64) -> Vec<EnvironmentOutputs> {
    let mut environments: Vec<_> = (0..ENVIRONMENTS)
        .map(|index| environment(index, 2 + index, seed * 10 + index as u64))
        .collect();
    environments[ENVIRONMENTS - 1].targets.clear();
    environments
}

fn copies(seed: u64, rows: usize) -> Vec<EnvironmentOutputs> {
    (0..3).map(|index| environment(index, rows, seed)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn order_of_the_environments_does_not_matter(seed in 0u64..10_000) {
        let environments = mixed_environments(seed);
        let order = permutation(&mut stream(seed, "laws", "order"), ENVIRONMENTS);
        let shuffled: Vec<_> = order.iter().map(|&i| environments[i].clone()).collect();
        for ((name, mut one), (_, mut other)) in all().into_iter().zip(all()) {
            for step in LATE..LATE + 2 {
                let a = evaluate(one.as_mut(), &environments, step);
                let b = evaluate(other.as_mut(), &shuffled, step);
                let (a, b) = (scalar(&a.total), scalar(&b.total));
                prop_assert!((a - b).abs() < 1e-11 * a.abs().max(1.0), "{name}: {a} and {b}");
            }
        }
    }

    #[test]
    fn identical_environments_have_no_penalty(seed in 0u64..10_000, rows in 1usize..6) {
        let environments = copies(seed, rows);
        let risk = scalar(&evaluate(&mut Erm::default(), &environments, LATE).total);
        for (name, mut objective) in all() {
            let value = evaluate(objective.as_mut(), &environments, LATE);
            let total = scalar(&value.total);
            if ["v-rex", "coral", "mmd", "mm-rex", "group-dro"].contains(&name) {
                prop_assert!((total - risk).abs() < 1e-12 * risk.max(1.0), "{name}");
            }
            if let Some(penalty) = value.term(&format!("{name}-penalty")).unwrap() {
                prop_assert!(penalty.abs() < 1e-12, "{name}: {penalty}");
            }
        }
    }

    #[test]
    fn worst_affine_combination_of_equal_risks_is_the_risk(seed in 0u64..10_000, lambda in -50.0f64..0.0) {
        let environments = copies(seed, 3);
        let config = MmRexConfig { lambda_min: lambda, ..MmRexConfig::default() };
        let value = evaluate(&mut MmRex::new(config), &environments, LATE);
        let risk = value.term("risk").unwrap().unwrap();
        assert_near(&[scalar(&value.total)], &[risk], 1e-12);
    }

    /// With halves e and o the paper's penalty is ((e + o) / 2)², which is at least e·o.
    #[test]
    fn squared_mean_bounds_the_product_of_halves(seed in 0u64..10_000, half in 1usize..5) {
        let environment = environment(0, 2 * half, seed);
        let of = |form| scalar(&penalty(&environment, &SoftmaxCrossEntropy, form).unwrap());
        let (paper, split) = (of(PenaltyForm::Paper), of(PenaltyForm::Split));
        prop_assert!(paper >= 0.0 && paper >= split - 1e-14, "{paper} and {split}");
    }

    /// Where each sample stands twice in a row, both halves are the whole.
    #[test]
    fn split_penalty_of_duplicated_samples_is_the_papers(seed in 0u64..10_000, rows in 1usize..6) {
        let mut doubled = environment(0, rows, seed);
        let twice: Vec<u32> = (0..rows as u32).flat_map(|row| [row, row]).collect();
        let twice = Tensor::new(twice, &Device::Cpu).unwrap();
        doubled.outputs = doubled.outputs.index_select(&twice, 0).unwrap();
        doubled.targets[0].target = doubled.targets[0].target.index_select(&twice, 0).unwrap();
        let of = |form| scalar(&penalty(&doubled, &SoftmaxCrossEntropy, form).unwrap());
        assert_near(&[of(PenaltyForm::Split)], &[of(PenaltyForm::Paper)], 1e-12);
    }

    #[test]
    fn group_weights_stay_a_distribution(seed in 0u64..1000, eta in 1e-3f64..1.0, scale in 0.1f64..1e4) {
        let mut dro = GroupDro::new(GroupDroConfig { eta });
        for step in 0..20 {
            let mut environments = copies(seed, 2);
            for (index, environment) in environments.iter_mut().enumerate() {
                let factor = scale * index as f64;
                environment.outputs = (&environment.outputs * factor).unwrap();
            }
            let total = scalar(&evaluate(&mut dro, &environments, step).total);
            prop_assert!(total.is_finite());
            prop_assert!(dro.weights().iter().all(|&w| w > 0.0 && w <= 1.0), "{:?}", dro.weights());
            let sum: f64 = dro.weights().iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
    }

    #[test]
    fn mixed_shares_are_weights(seed in 0u64..10_000, exponent in -3.0f64..2.0) {
        let alpha = 10f64.powf(exponent);
        let batches = (0..3).map(|environment| {
            let images = sample(&[4, 1, 2, 2], seed + environment as u64, "images");
            Batch {
                targets: vec![WeightedTarget {
                    weight: 1.0,
                    target: sample(&[4, CLASSES], seed, "targets"),
                }],
                ..Batch::new(environment, images, TargetKind::Classes)
            }
        });
        let mut rng = stream(seed, "laws", "mixup");
        let mixed = Mixup::new(MixupConfig { alpha }).apply(batches.collect(), &mut rng).unwrap();
        prop_assert_eq!(mixed.len(), 3);
        for batch in mixed {
            let shares: Vec<f64> = batch.targets.iter().map(|t| t.weight).collect();
            prop_assert!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{shares:?}");
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}

/// A weight that has all but vanished recovers once its environment is the worst.
#[test]
fn a_small_group_weight_recovers() {
    let mut dro = GroupDro::new(GroupDroConfig { eta: 1.0 });
    for worst in [1, 0, 1] {
        let mut environments = copies(0, 2);
        environments.truncate(2);
        environments[worst].outputs = (&environments[worst].outputs * 1e4).unwrap();
        evaluate(&mut dro, &environments, 0);
        assert!(dro.weights()[worst] > 0.99, "{:?}", dro.weights());
    }
}
