//! What the checks share: inputs, and gradients against finite differences.

use candle_core::{DType, Tensor};
use ctl_compute::random::{normal, stream};
use ctl_nets::Parameters;

pub(crate) fn double(tensor: &Tensor) -> Tensor {
    tensor.to_dtype(DType::F64).unwrap()
}

pub(crate) fn drawn(purpose: &str, shape: &[usize]) -> Tensor {
    double(&normal(&mut stream(1, "models", purpose), shape, 0.0, 0.7).unwrap())
}

pub(crate) fn parameters() -> Parameters {
    Parameters::new(5, "models").in_double_precision()
}

/// Moves every weight a little away from its first value: zero weights would hide wrong gradients.
fn disturb(parameters: &Parameters) {
    let shapes = parameters.shapes();
    let names: Vec<&str> = shapes.iter().map(|(name, _)| *name).collect();
    for (name, var) in names.into_iter().zip(parameters.trained()) {
        let noise = drawn(name, var.dims());
        var.set(&(var.as_tensor() + (noise * 0.1).unwrap()).unwrap())
            .unwrap();
    }
}

/// Compares the gradient of each weight along a random direction with the central difference.
pub(crate) fn check_gradients(name: &str, parameters: &Parameters, loss: impl Fn() -> Tensor) {
    const STEP: f64 = 1e-6;
    disturb(parameters);
    let gradients = loss().backward().unwrap();
    let shapes = parameters.shapes();
    for ((weight, shape), var) in shapes.into_iter().zip(parameters.trained()) {
        let gradient = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{name}: {weight}"));
        // Of length one, so that a step crosses as few kinks of `ReLU` as can be.
        let direction = drawn(&format!("direction {weight}"), shape);
        let length = direction.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
        let direction = direction.broadcast_div(&length).unwrap();
        let slope = gradient.mul(&direction).unwrap().sum_all().unwrap();
        let slope = slope.to_scalar::<f64>().unwrap();
        let centre = var.as_tensor().copy().unwrap();
        let at = |h: f64| {
            var.set(&(&centre + (&direction * h).unwrap()).unwrap())
                .unwrap();
            loss().to_scalar::<f64>().unwrap()
        };
        let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        var.set(&centre).unwrap();
        let gap = (quotient - slope).abs() / (1.0 + slope.abs());
        assert!(gap < 1e-5, "{name}, {weight}: {slope} against {quotient}");
    }
}

pub(crate) fn weighed(output: &Tensor) -> Tensor {
    let weights = drawn("weights of the loss", output.dims());
    output
        .tanh()
        .unwrap()
        .mul(&weights)
        .unwrap()
        .sum_all()
        .unwrap()
}
