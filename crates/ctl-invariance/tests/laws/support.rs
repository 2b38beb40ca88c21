//! Random environments, and central differences.

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::random::{normal, stream};
use ctl_invariance::{EnvironmentOutputs, Objective, SampleLoss, SoftmaxCrossEntropy, Step, Value};
use rand::RngExt;

pub(crate) const CLASSES: usize = 3;
pub(crate) const FEATURES: usize = 4;
const DIFFERENCE_STEP: f64 = 1e-5;

/// Standard normal values in double precision.
pub(crate) fn sample(shape: &[usize], seed: u64, purpose: &str) -> Tensor {
    let tensor = normal(&mut stream(seed, "laws", purpose), shape, 0.0, 1.0).unwrap();
    tensor.to_dtype(DType::F64).unwrap()
}

pub(crate) fn variable(shape: &[usize], seed: u64, purpose: &str) -> Var {
    Var::from_tensor(&sample(shape, seed, purpose)).unwrap()
}

pub(crate) fn class_labels(count: usize, classes: usize, seed: u64) -> Vec<u32> {
    let mut rng = stream(seed, "laws", "labels");
    (0..count)
        .map(|_| rng.random_range(0..classes as u32))
        .collect()
}

/// A classification environment with independent logits and features.
pub(crate) fn environment(index: usize, rows: usize, seed: u64) -> EnvironmentOutputs {
    let labels = class_labels(rows, CLASSES, seed);
    EnvironmentOutputs::labelled(
        index,
        sample(&[rows, FEATURES], seed, "features"),
        sample(&[rows, CLASSES], seed, "logits"),
        Tensor::new(labels, &Device::Cpu).unwrap(),
    )
}

pub(crate) fn evaluate(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
    number: u64,
) -> Value {
    let loss: &dyn SampleLoss = &SoftmaxCrossEntropy;
    let step = Step {
        number,
        environments,
        loss,
    };
    objective.evaluate(&step).unwrap()
}

pub(crate) fn scalar(tensor: &Tensor) -> f64 {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.to_scalar().unwrap()
}

pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

pub(crate) fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        let allowed = tolerance * b.abs().max(1.0);
        assert!((a - b).abs() <= allowed, "{a} is not near {b}");
    }
}

/// Central differences of `f` with respect to every value of `variable`.
pub(crate) fn differences(variable: &Var, f: &dyn Fn() -> f64) -> Vec<f64> {
    let base = flat(variable);
    let mut out = Vec::new();
    for index in 0..base.len() {
        let at = |offset: f64| {
            let mut moved = base.clone();
            moved[index] += offset;
            set(variable, &moved);
            f()
        };
        out.push((at(DIFFERENCE_STEP) - at(-DIFFERENCE_STEP)) / (2.0 * DIFFERENCE_STEP));
    }
    set(variable, &base);
    out
}

fn set(variable: &Var, values: &[f64]) {
    let tensor = Tensor::from_slice(values, variable.shape(), &Device::Cpu).unwrap();
    variable.set(&tensor).unwrap();
}
