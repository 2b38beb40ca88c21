//! Objectives over environments: order, identical environments, relations between penalties.

use candle_core::{Device, Tensor, Var};
use ctl_compute::random::{permutation, stream};
use ctl_invariance::methods::birm::{Birm, BirmConfig};
use ctl_invariance::methods::causirl::{Causirl, Cuts, Distance};
use ctl_invariance::methods::cdann::{Cdann, CdannConfig};
use ctl_invariance::methods::coral::{Coral, CoralConfig};
use ctl_invariance::methods::counterfactual_invariance::{
    CounterfactualInvariance, CounterfactualInvarianceConfig, Form,
};
use ctl_invariance::methods::dann::{Dann, DannConfig};
use ctl_invariance::methods::deep_coral::{DeepCoral, DeepCoralConfig};
use ctl_invariance::methods::eqrm::{Bandwidth, Eqrm, EqrmConfig, RiskQuantile};
use ctl_invariance::methods::erm::{Aggregation, Erm, ErmConfig};
use ctl_invariance::methods::group_dro::{GroupDro, GroupDroConfig};
use ctl_invariance::methods::ib_erm::{IbErm, IbErmConfig};
use ctl_invariance::methods::ib_irm::{IbIrm, IbIrmConfig};
use ctl_invariance::methods::importance_weighting::{
    ImportanceWeighting, ImportanceWeightingConfig,
};
use ctl_invariance::methods::irm::{Irm, IrmConfig, PenaltyForm, penalty};
use ctl_invariance::methods::mixup::{Mixup, MixupConfig};
use ctl_invariance::methods::mm_rex::{MmRex, MmRexConfig};
use ctl_invariance::methods::mmd::{Mmd, MmdConfig};
use ctl_invariance::methods::rdm::{Rdm, RdmConfig};
use ctl_invariance::methods::sd::{Sd, SdConfig};
use ctl_invariance::methods::selfreg::{SelfReg, SelfRegConfig};
use ctl_invariance::methods::trm::{Trm, TrmConfig};
use ctl_invariance::methods::v_rex::{VRex, VRexConfig};
use ctl_invariance::{
    Augmentation, Batch, Discriminator, EnvironmentOutputs, Independence, IndependenceConfig,
    IndependenceKind, IndependencePenalty, Objective, Projection, SoftmaxCrossEntropy, TargetKind,
    WeightedTarget,
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

/// Two layers in double precision that tell so many classes apart.
fn discriminator(classes: usize) -> Discriminator {
    let layer = |out: usize, inputs: usize, name: &str| {
        let weight = sample(&[out, inputs], 1, name);
        (weight, sample(&[out], 2, name))
    };
    let layers = [layer(5, FEATURES, "first"), layer(classes, 5, "second")];
    Discriminator::from_weights(&layers).unwrap()
}

fn dann() -> Dann {
    let config = DannConfig {
        grad_penalty: 0.5,
        ..DannConfig::default()
    };
    Dann::new(config, discriminator(ENVIRONMENTS))
}

fn cdann() -> Cdann {
    let config = CdannConfig {
        grad_penalty: 0.5,
        ..CdannConfig::default()
    };
    let embedding = Var::from_tensor(&sample(&[CLASSES, FEATURES], 1, "embedding")).unwrap();
    Cdann::new(config, discriminator(ENVIRONMENTS), Some(embedding))
}

fn causirl(distance: Distance) -> Causirl {
    let run = "laws".to_owned();
    Causirl::new(1.0, distance, Cuts::Drawn { seed: 1, run })
}

fn invariance(form: Form) -> CounterfactualInvariance {
    let config = CounterfactualInvarianceConfig {
        form,
        ..CounterfactualInvarianceConfig::default()
    };
    CounterfactualInvariance { config }
}

fn independence(kind: IndependenceKind) -> IndependencePenalty {
    let variables = vec!["environment".to_owned()];
    let config = IndependenceConfig::default();
    IndependencePenalty::new(&[Independence { kind, variables }], config).unwrap()
}

fn eqrm(bandwidth: Bandwidth) -> Eqrm {
    let config = EqrmConfig {
        bandwidth,
        burn_in_steps: 0,
        ..EqrmConfig::default()
    };
    Eqrm { config }
}

fn selfreg() -> SelfReg {
    let projection = Projection::in_double_precision(FEATURES, 2, "laws").unwrap();
    SelfReg::new(SelfRegConfig::default(), projection, 1, "laws")
}

/// One of each objective that came after the first ten.
fn later() -> Vec<(&'static str, Box<dyn Objective>)> {
    let rdm = RdmConfig {
        anneal_steps: 0,
        ..RdmConfig::default()
    };
    let mmd = Distance::Mmd(MmdConfig::default().gammas);
    let (deep_coral, sd) = (DeepCoralConfig::default(), SdConfig::default());
    let (ib_erm, ib_irm) = (IbErmConfig::default(), IbIrmConfig::default());
    let weighting = ImportanceWeightingConfig::default();
    let weighting = ImportanceWeighting::new(weighting, discriminator(2));
    let within = IndependenceKind::ConditionalOnLabel;
    vec![
        ("deep-coral", Box::new(DeepCoral { config: deep_coral })),
        ("cdann", Box::new(cdann())),
        ("sd", Box::new(Sd { config: sd })),
        ("selfreg", Box::new(selfreg())),
        ("importance-weighting", Box::new(weighting)),
        ("ib-erm", Box::new(IbErm { config: ib_erm })),
        ("ib-irm", Box::new(IbIrm { config: ib_irm })),
        ("causirl coral", Box::new(causirl(Distance::Coral))),
        ("causirl mmd", Box::new(causirl(mmd))),
        ("eqrm", Box::new(eqrm(Bandwidth::GaussOptimal))),
        ("eqrm silverman", Box::new(eqrm(Bandwidth::Silverman))),
        ("rdm", Box::new(Rdm { config: rdm })),
        ("trm", Box::new(Trm::new(TrmConfig::default()))),
        (
            "birm",
            Box::new(Birm::new(BirmConfig::default(), 1, "laws")),
        ),
        (
            "counterfactual-invariance",
            Box::new(invariance(Form::Conditional)),
        ),
        (
            "counterfactual-invariance marginal",
            Box::new(invariance(Form::Marginal)),
        ),
        ("independence", Box::new(independence(within))),
    ]
}

/// One of each objective.
fn all() -> Vec<(&'static str, Box<dyn Objective>)> {
    let mut all = first_ten();
    all.extend(later());
    all
}

fn first_ten() -> Vec<(&'static str, Box<dyn Objective>)> {
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

/// Objectives that are the risk where all environments are the same.
const EQUAL_TO_RISK: [&str; 10] = [
    "v-rex",
    "coral",
    "mmd",
    "mm-rex",
    "group-dro",
    "deep-coral",
    "eqrm",
    "eqrm silverman",
    "counterfactual-invariance",
    "independence",
];

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
        // Without a target there is nothing to weight by.
        let all = all().into_iter().filter(|(name, _)| *name != "importance-weighting");
        for (name, mut objective) in all {
            let value = evaluate(objective.as_mut(), &environments, LATE);
            let total = scalar(&value.total);
            let is_risk = EQUAL_TO_RISK.contains(&name);
            if is_risk {
                prop_assert!((total - risk).abs() < 1e-12 * risk.max(1.0), "{name}");
            }
            // The variance of the losses remains.
            if is_risk || name == "rdm" {
                let penalty = value.term(&format!("{name}-penalty")).unwrap().unwrap_or(0.0);
                prop_assert!(penalty.abs() < 1e-12, "{name}: {penalty}");
            }
        }
    }

    /// The quantile moves with all risks, grows with its level, and weighs as much as they do.
    #[test]
    fn risk_quantiles_move_with_the_risks(
        risks in prop::collection::vec(0.0f64..5.0, 1..7),
        shift in -3.0f64..3.0,
        alpha in 0.05f64..0.9,
    ) {
        for kind in [Bandwidth::GaussOptimal, Bandwidth::Silverman] {
            let one = RiskQuantile::of(&risks, alpha, kind);
            let moved: Vec<f64> = risks.iter().map(|r| r + shift).collect();
            let other = RiskQuantile::of(&moved, alpha, kind);
            prop_assert!((other.value - one.value - shift).abs() < 1e-9);
            prop_assert!((one.gradient.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(RiskQuantile::of(&risks, alpha + 0.05, kind).value >= one.value);
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
