//! Losses per sample: derivatives, extremes, weighted targets.

use candle_core::{DType, Device, Tensor, Var};
use ctl_invariance::{
    BinaryLogistic, EnvironmentOutputs, PixelCrossEntropy, SampleLoss, SegmentationLoss,
    SoftmaxCrossEntropy, SquaredError, WeightedTarget,
};
use proptest::prelude::*;

use crate::support::{assert_near, class_labels, differences, flat, sample, scalar, variable};

/// A loss, the shape of its outputs, and targets for them.
struct Setting {
    loss: &'static dyn SampleLoss,
    outputs: Vec<usize>,
    targets: Tensor,
}

fn indices(shape: &[usize], classes: usize, seed: u64) -> Tensor {
    let labels = class_labels(shape.iter().product(), classes, seed);
    Tensor::from_vec(labels, shape, &Device::Cpu).unwrap()
}

fn settings(seed: u64) -> [Setting; 6] {
    let flags = indices(&[3, 2], 2, seed).to_dtype(DType::F64).unwrap();
    [
        Setting {
            loss: &SoftmaxCrossEntropy,
            outputs: vec![3, 4],
            targets: indices(&[3], 4, seed),
        },
        Setting {
            loss: &PixelCrossEntropy,
            outputs: vec![2, 3, 2, 2],
            targets: indices(&[2, 2, 2], 3, seed),
        },
        Setting {
            loss: &SegmentationLoss,
            outputs: vec![2, 3, 3, 2],
            targets: indices(&[2, 3, 2], 3, seed),
        },
        Setting {
            loss: &BinaryLogistic,
            outputs: vec![3, 2],
            targets: flags,
        },
        Setting {
            loss: &SquaredError,
            outputs: vec![3, 2],
            targets: sample(&[3, 2], seed, "targets"),
        },
        Setting {
            loss: &SquaredError,
            outputs: vec![3],
            targets: sample(&[3], seed, "targets"),
        },
    ]
}

impl Setting {
    /// The sum over samples: its gradient holds every sample's own derivative.
    fn sum(&self, outputs: &Tensor) -> Tensor {
        let losses = self.loss.per_sample(outputs, &self.targets).unwrap();
        losses.sum_all().unwrap()
    }

    fn gradient(&self, outputs: &Tensor) -> Tensor {
        self.loss.output_gradient(outputs, &self.targets).unwrap()
    }

    /// `⟨∂ℓ/∂z, z⟩`, from which IRM's penalty is made.
    fn slope(&self, outputs: &Tensor) -> Tensor {
        let products = self.gradient(outputs).mul(outputs).unwrap();
        products.sum_all().unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn closed_form_is_the_derivative_and_is_differentiable(seed in 0u64..10_000) {
        for setting in settings(seed) {
            let outputs = variable(&setting.outputs, seed, "outputs");
            let numeric = differences(&outputs, &|| scalar(&setting.sum(&outputs)));
            assert_near(&flat(&setting.gradient(&outputs)), &numeric, 1e-8);
            let second = setting.slope(&outputs).backward().unwrap();
            let second = flat(second.get(&outputs).unwrap());
            let numeric = differences(&outputs, &|| scalar(&setting.slope(&outputs)));
            assert_near(&second, &numeric, 1e-7);
        }
    }

    #[test]
    fn weighted_targets_are_a_weighted_sum(seed in 0u64..10_000, share in 0.0f64..1.0) {
        let pairs = settings(seed).into_iter().zip(settings(seed + 1));
        for (setting, other) in pairs {
            let outputs = sample(&setting.outputs, seed, "outputs");
            let parts = [(share, &setting), (1.0 - share, &other)];
            let targets = parts.map(|(weight, from)| WeightedTarget {
                weight,
                target: from.targets.clone(),
            });
            let mixed = EnvironmentOutputs::new(0, outputs.clone(), outputs.clone(), targets.into());
            let sum = |f: &dyn Fn(&Setting) -> Tensor| -> Vec<f64> {
                let [a, b] = parts.map(|(weight, from)| flat(&(f(from) * weight).unwrap()));
                a.iter().zip(b).map(|(a, b)| a + b).collect()
            };
            let losses = sum(&|from| from.loss.per_sample(&outputs, &from.targets).unwrap());
            assert_near(&flat(&mixed.losses(setting.loss).unwrap()), &losses, 1e-12);
            let gradients = sum(&|from| from.gradient(&outputs));
            let found = flat(&mixed.output_gradient(setting.loss).unwrap());
            assert_near(&found, &gradients, 1e-12);
        }
    }
}

/// Rectifier and absolute value have kinks at 0, the losses have none.
#[test]
fn automatic_gradient_is_the_closed_form_at_zero() {
    for setting in settings(3) {
        let zeros = Tensor::zeros(setting.outputs.as_slice(), DType::F64, &Device::Cpu).unwrap();
        let outputs = Var::from_tensor(&zeros).unwrap();
        let automatic = setting.sum(&outputs).backward().unwrap();
        let automatic = flat(automatic.get(&outputs).unwrap());
        assert_near(&automatic, &flat(&setting.gradient(&outputs)), 1e-12);
    }
}

#[test]
fn losses_and_gradients_are_finite_for_huge_outputs() {
    for dtype in [DType::F32, DType::F64] {
        for mut setting in settings(5) {
            if setting.targets.dtype() == DType::F64 {
                setting.targets = setting.targets.to_dtype(dtype).unwrap();
            }
            let signs = sample(&setting.outputs, 5, "outputs").sign().unwrap();
            let outputs = (signs * 1e4).unwrap().to_dtype(dtype).unwrap();
            let outputs = Var::from_tensor(&outputs).unwrap();
            let total = setting.sum(&outputs);
            let automatic = total.backward().unwrap();
            for values in [
                flat(&total),
                flat(&setting.gradient(&outputs)),
                flat(automatic.get(&outputs).unwrap()),
            ] {
                assert!(values.iter().all(|v| v.is_finite()), "{values:?}");
            }
        }
    }
}

/// A confidently wrong sample costs its margin: −log softmax = 20 000 for logits ±10 000.
#[test]
fn huge_losses_are_exact() {
    let outputs = Tensor::new(&[[1e4f64, -1e4]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[1u32], &Device::Cpu).unwrap();
    let loss = SoftmaxCrossEntropy.per_sample(&outputs, &labels).unwrap();
    assert_near(&flat(&loss), &[2e4], 0.0);
    let targets = Tensor::new(&[[0f64, 1.0]], &Device::Cpu).unwrap();
    let loss = BinaryLogistic.per_sample(&outputs, &targets).unwrap();
    assert_near(&flat(&loss), &[1e4], 0.0);
}

#[test]
fn ill_shaped_outputs_and_targets_are_errors() {
    let float = |shape: &[usize]| sample(shape, 0, "ill");
    let classes = |shape: &[usize]| indices(shape, 2, 0);
    let cases: [(&dyn SampleLoss, Tensor, Tensor); 8] = [
        (&SoftmaxCrossEntropy, float(&[3]), classes(&[3])),
        (&SoftmaxCrossEntropy, float(&[3, 2]), classes(&[2])),
        (
            &SoftmaxCrossEntropy,
            float(&[3, 1]),
            Tensor::ones(3, DType::U32, &Device::Cpu).unwrap(),
        ),
        (
            &SoftmaxCrossEntropy,
            float(&[2, 3, 2, 2]),
            classes(&[2, 2, 2]),
        ),
        (&PixelCrossEntropy, float(&[3, 2]), classes(&[3])),
        (
            &PixelCrossEntropy,
            float(&[2, 3, 2, 2]),
            classes(&[2, 2, 1]),
        ),
        (&BinaryLogistic, float(&[3, 1]), float(&[3])),
        (&SquaredError, float(&[3, 2]), float(&[3, 1])),
    ];
    for (loss, outputs, targets) in cases {
        let shapes = format!("{:?} against {:?}", outputs.dims(), targets.dims());
        assert!(loss.per_sample(&outputs, &targets).is_err(), "{shapes}");
        assert!(
            loss.output_gradient(&outputs, &targets).is_err(),
            "{shapes}"
        );
    }
}
