//! Rules over gradients: order, identical environments, finite differences.

use candle_core::{Device, Tensor, Var};
use ctl_compute::random::{permutation, stream};
use ctl_invariance::gradients::{
    EnvironmentRisk, InnerRule, LinearHead, MaskedGradient, MldgOrder, MldgSettings, Reduction,
    and_mask, dispersion, gradient_variance, mean_gradient, mldg, sample_gradients, sand_mask,
    smoothed_variance, variance_penalty,
};
use ctl_invariance::{
    BinaryLogistic, PixelCrossEntropy, Result, SampleLoss, SegmentationLoss, SoftmaxCrossEntropy,
    SquaredError,
};
use proptest::prelude::*;

use crate::support::{
    CLASSES, FEATURES, assert_near, class_labels, differences, flat, sample, scalar, variable,
};

const PIXELS: usize = 4;

/// Gradients of two parameters in some environments.
fn gradients(seed: u64, environments: usize) -> Vec<Vec<Tensor>> {
    let gradient = |index: usize| {
        let seed = seed * 10 + index as u64;
        vec![
            sample(&[3, 2], seed, "matrix"),
            sample(&[4], seed, "vector"),
        ]
    };
    (0..environments).map(gradient).collect()
}

/// Samples before a head, with targets that fit the loss; of pixels for the losses of images.
struct Environment {
    input: Var,
    target: Tensor,
    loss: &'static dyn SampleLoss,
}

fn environment(task: usize, rows: usize, seed: u64) -> Environment {
    let labels = |shape: &[usize]| {
        let count = shape.iter().product();
        let labels = Tensor::new(class_labels(count, CLASSES, seed), &Device::Cpu).unwrap();
        labels.reshape(shape).unwrap()
    };
    let (loss, target): (&'static dyn SampleLoss, _) = match task {
        0 => (&SoftmaxCrossEntropy, labels(&[rows])),
        1 => {
            let classes = sample(&[rows, CLASSES], seed, "labels").sign().unwrap();
            (&BinaryLogistic, ((classes + 1.0).unwrap() / 2.0).unwrap())
        }
        2 => (&SquaredError, sample(&[rows, CLASSES], seed, "targets")),
        3 => (&PixelCrossEntropy, labels(&[rows, PIXELS])),
        _ => (&SegmentationLoss, labels(&[rows, PIXELS])),
    };
    let shape = if task < 3 {
        vec![rows, FEATURES]
    } else {
        vec![rows, PIXELS, FEATURES]
    };
    Environment {
        input: variable(&shape, seed, "input"),
        target,
        loss,
    }
}

/// A head with weight and bias.
fn head(seed: u64) -> [Var; 2] {
    [
        variable(&[CLASSES, FEATURES], seed, "weight"),
        variable(&[CLASSES], seed, "bias"),
    ]
}

impl Environment {
    fn outputs(&self, [weight, bias]: &[Var; 2]) -> Tensor {
        let outputs = self.input.broadcast_matmul(&weight.t().unwrap()).unwrap();
        let outputs = outputs.broadcast_add(bias).unwrap();
        match self.input.rank() {
            3 => outputs.transpose(1, 2).unwrap().contiguous().unwrap(),
            _ => outputs,
        }
    }

    fn slopes(&self, head: &[Var; 2]) -> Tensor {
        self.loss
            .output_gradient(&self.outputs(head), &self.target)
            .unwrap()
    }

    fn risk(&self, head: &[Var; 2]) -> Tensor {
        let losses = self.loss.per_sample(&self.outputs(head), &self.target);
        losses.unwrap().mean_all().unwrap()
    }

    fn as_risk(&self) -> LinearHead<'static> {
        LinearHead {
            input: self.input.detach(),
            target: self.target.clone(),
            loss: self.loss,
        }
    }
}

fn iga(environments: &[Environment], head: &[Var; 2]) -> Tensor {
    let gradients = environments.iter().map(|e| {
        let [weight, bias] = mean_gradient(&e.input, &e.slopes(head)).unwrap();
        Tensor::cat(&[weight.flatten_all().unwrap(), bias], 0).unwrap()
    });
    dispersion(&gradients.collect::<Vec<_>>()).unwrap()
}

fn variances(environments: &[Environment], head: &[Var; 2]) -> Vec<Tensor> {
    let variance = |e: &Environment| {
        let samples = sample_gradients(&e.input, &e.slopes(head)).unwrap();
        gradient_variance(&samples).unwrap()
    };
    environments.iter().map(variance).collect()
}

fn fishr(environments: &[Environment], head: &[Var; 2], reduction: Reduction) -> Tensor {
    variance_penalty(&variances(environments, head), reduction).unwrap()
}

fn smoothed_fishr(environments: &[Environment], head: &[Var; 2]) -> Tensor {
    let variances = variances(environments, head).into_iter().enumerate();
    let smoothed = variances.map(|(index, variance)| {
        let previous = sample(&[CLASSES * (FEATURES + 1)], index as u64, "state");
        smoothed_variance(Some(&previous), &variance, 0.7)
            .unwrap()
            .0
    });
    variance_penalty(&smoothed.collect::<Vec<_>>(), Reduction::Sum).unwrap()
}

/// The gradient of a penalty against central differences in every leaf.
fn check(environments: &[Environment], head: &[Var; 2], penalty: &dyn Fn() -> Tensor) {
    let store = penalty().backward().unwrap();
    let inputs = environments.iter().map(|e| &e.input);
    for leaf in inputs.chain(head) {
        let expected = differences(leaf, &|| scalar(&penalty()));
        assert_near(&flat(store.get(leaf).unwrap()), &expected, 1e-6);
    }
}

#[test]
fn penalties_are_differentiated_by_one_backward_pass() {
    for task in 0..5 {
        let head = head(task as u64);
        let environment = |(i, rows)| environment(task, rows, 7 + i as u64);
        let environments: Vec<_> = [3, 2, 4].into_iter().enumerate().map(environment).collect();
        check(&environments, &head, &|| iga(&environments, &head));
        check(&environments, &head, &|| {
            fishr(&environments, &head, Reduction::Mean)
        });
        check(&environments, &head, &|| {
            smoothed_fishr(&environments, &head)
        });
    }
}

/// The closed form is what automatic differentiation of the risk gives.
#[test]
fn mean_gradients_are_those_of_the_risk() {
    for task in 0..5 {
        let (head, environment) = (head(3), environment(task, 5, 11));
        let store = environment.risk(&head).backward().unwrap();
        let input = &environment.input;
        let found = mean_gradient(input, &environment.slopes(&head)).unwrap();
        let samples = sample_gradients(input, &environment.slopes(&head)).unwrap();
        let of_samples = flat(&samples.mean(0).unwrap());
        for (gradient, leaf) in found.iter().zip(&head) {
            assert_near(&flat(gradient), &flat(store.get(leaf).unwrap()), 1e-12);
        }
        assert_near(
            &of_samples,
            &[flat(&found[0]), flat(&found[1])].concat(),
            1e-12,
        );
        let weights = head.map(|leaf| leaf.detach());
        let at = environment.as_risk().at(&weights, 5).unwrap();
        assert_near(&flat(&at.gradient[0]), &flat(&found[0]), 1e-12);
    }
}

/// The derivative of `R_i(θ) + β R_j(θ − η G_i(θ))` with Adam's first step and without.
#[test]
fn second_order_is_the_derivative_of_the_total() {
    for (task, rule) in [
        (0, InnerRule::Sgd),
        (2, InnerRule::Adam),
        (3, InnerRule::Sgd),
    ] {
        let environments = [
            environment(task, 4, 1).as_risk(),
            environment(task, 3, 2).as_risk(),
        ];
        let environments: Vec<&dyn EnvironmentRisk> = environments
            .iter()
            .map(|e| e as &dyn EnvironmentRisk)
            .collect();
        let settings = MldgSettings {
            rule,
            inner_rate: 0.3,
            beta: 0.8,
            order: MldgOrder::Second,
        };
        let head = head(5);
        let run = || {
            let weights: Vec<Tensor> = head.iter().map(|leaf| leaf.detach()).collect();
            mldg(&weights, &environments, &[(0, 1)], &settings).unwrap()
        };
        let gradient = run().gradient;
        for (leaf, gradient) in head.iter().zip(gradient) {
            let expected = differences(leaf, &|| scalar(&run().total));
            assert_near(&flat(&gradient), &expected, 1e-6);
        }
    }
}

fn masked(found: Result<MaskedGradient>) -> Vec<f64> {
    let found = found.unwrap();
    found
        .gradient
        .iter()
        .chain(&found.masks)
        .flat_map(flat)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn order_of_the_environments_does_not_matter(
        seed in 0u64..10_000, tau in 0.0f64..=1.0, k in 0.1f64..10.0, task in 0usize..5,
    ) {
        let order = permutation(&mut stream(seed, "laws", "order"), 4);
        let given = gradients(seed, 4);
        let shuffled: Vec<_> = order.iter().map(|&i| given[i].clone()).collect();
        assert_near(&masked(and_mask(&shuffled, tau)), &masked(and_mask(&given, tau)), 1e-12);
        let smooth = masked(sand_mask(&given, tau, k));
        assert_near(&masked(sand_mask(&shuffled, tau, k)), &smooth, 1e-10);

        let head = head(seed);
        let at = |&i: &usize| environment(task, 2 + i, seed * 10 + i as u64);
        let one: Vec<_> = (0..4).map(|i| at(&i)).collect();
        let other: Vec<_> = order.iter().map(at).collect();
        for (a, b) in [
            (iga(&one, &head), iga(&other, &head)),
            (fishr(&one, &head, Reduction::Mean), fishr(&other, &head, Reduction::Mean)),
            (fishr(&one, &head, Reduction::Sum), fishr(&other, &head, Reduction::Sum)),
        ] {
            assert_near(&[scalar(&a)], &[scalar(&b)], 1e-11);
        }
    }

    #[test]
    fn identical_environments_are_let_be(seed in 0u64..10_000, tau in 0.0f64..=1.0, task in 0usize..5) {
        let same = vec![gradients(seed, 1)[0].clone(); 3];
        // An entry that nobody masks: normal values are not 0.
        for (found, given) in and_mask(&same, tau).unwrap().gradient.iter().zip(&same[0]) {
            assert_near(&flat(found), &flat(given), 1e-9);
        }
        let head = head(seed);
        let environments: Vec<_> = (0..3).map(|_| environment(task, 4, seed)).collect();
        prop_assert!(scalar(&iga(&environments, &head)) < 1e-25);
        prop_assert!(scalar(&fishr(&environments, &head, Reduction::Sum)) < 1e-25);
    }
}
