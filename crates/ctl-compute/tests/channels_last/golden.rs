//! Conventions that are `PyTorch`'s: numbers of `tests/golden/make_channels_last.py`.

use candle_core::{Device, Tensor, Var};
use ctl_compute::ops::{
    ChannelStatistics, Function, Interpolation, NormParams, Rectifier, Reduction, Windows,
    activate, average_pool2d, average_pool3d, batch_norm, batch_norm_with, binary_cross_entropy,
    cross_entropy, group_norm, instance_norm, layer_norm, log_softmax, max_pool2d, rescale, resize,
};

use super::read;
use super::support::distance;

/// The stored numbers have 12 digits.
const TOLERANCE: f64 = 1e-10;

/// `sin(1.7 i)` over the elements in order.
fn wave(shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let sines = (0..count).map(|i: usize| (1.7 * i as f64).sin()).collect();
    Tensor::from_vec::<_, f64>(sines, shape, &Device::Cpu).unwrap()
}

fn check(name: &str, found: &Tensor) {
    let expected = &read::numbers(include_str!("../golden/channels_last.json"))[name];
    let gap = distance(found, expected);
    assert!(gap < TOLERANCE, "{name}: {gap}");
}

fn check_with_gradient(name: &str, shape: &[usize], f: impl Fn(&Tensor) -> Tensor) {
    let x = Var::from_tensor(&wave(shape)).unwrap();
    let y = f(&x);
    check(name, &y);
    let cosines: Vec<f64> = (0..y.elem_count()).map(|i| (i as f64).cos()).collect();
    let weights = Tensor::from_vec(cosines, y.shape(), &Device::Cpu).unwrap();
    let grads = (y * weights)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    check(&format!("{name} gradient"), grads.get(&x).unwrap());
}

#[test]
fn pooling() {
    let w = Windows {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
    };
    let shape = [2, 5, 6, 3];
    check_with_gradient("max pool 3 2 1", &shape, |x| max_pool2d(x, &w).unwrap());
    check_with_gradient("average pool 3 2 1", &shape, |x| {
        average_pool2d(x, &w, true).unwrap()
    });
    check_with_gradient("average pool 3 2 1 inside", &shape, |x| {
        average_pool2d(x, &w, false).unwrap()
    });
    let w = Windows {
        kernel: [2, 3, 2],
        stride: [1, 2, 2],
        padding: [1, 1, 0],
    };
    check_with_gradient("average pool 3d", &[1, 4, 5, 6, 2], |x| {
        average_pool3d(x, &w, true).unwrap()
    });
}

#[test]
fn interpolation() {
    let (small, large) = ([1, 3, 4, 2], [1, 5, 7, 2]);
    let nearest = |size| move |x: &Tensor| resize(x, size, Interpolation::Nearest).unwrap();
    check_with_gradient("nearest 5 7", &small, nearest(&[5, 7]));
    check_with_gradient("nearest 2 3", &large, nearest(&[2, 3]));
    for (kind, align_corners) in [("linear ", false), ("linear corners ", true)] {
        let linear = Interpolation::Linear { align_corners };
        let to = |size| move |x: &Tensor| resize(x, size, linear).unwrap();
        check_with_gradient(&format!("{kind}5 7"), &small, to(&[5, 7]));
        check_with_gradient(&format!("{kind}2 3"), &large, to(&[2, 3]));
        check_with_gradient(&format!("{kind}factor 1.5"), &large, |x| {
            rescale(x, &[1.5, 1.5], linear).unwrap()
        });
        check_with_gradient(&format!("{kind}volume"), &[1, 2, 4, 3, 2], to(&[4, 3, 5]));
    }
}

#[test]
fn normalisation() {
    let vector = |f: fn(f64) -> f64| {
        Tensor::from_vec((0..4).map(|i| f(f64::from(i))).collect(), 4, &Device::Cpu).unwrap()
    };
    let (weight, bias) = (vector(|i| 1.0 + 0.1 * i), vector(|i| 0.2 * i - 0.3));
    let (params, shape) = (NormParams::new(&weight, &bias), [3, 2, 3, 4]);
    check_with_gradient("batch norm relu", &shape, |x| {
        batch_norm(x, &params.activation(Rectifier::Relu))
            .unwrap()
            .0
    });
    check_with_gradient("group norm", &shape, |x| group_norm(x, 2, &params).unwrap());
    check_with_gradient("instance norm", &shape, |x| {
        instance_norm(x, &params).unwrap()
    });
    check_with_gradient("layer norm", &shape, |x| layer_norm(x, &params).unwrap());

    let mean = Var::from_tensor(&weight.zeros_like().unwrap()).unwrap();
    let variance = Var::from_tensor(&weight.ones_like().unwrap()).unwrap();
    for _ in 0..2 {
        let (_, statistics) = batch_norm(&wave(&shape), &params).unwrap();
        statistics.move_running(&mean, &variance, 0.1).unwrap();
    }
    check("running mean", &mean);
    check("running variance", &variance);
    let running = ChannelStatistics::from_tensors(&mean, &variance).unwrap();
    check(
        "evaluation",
        &batch_norm_with(&wave(&shape), &running, &params).unwrap(),
    );
}

#[test]
fn activations_and_losses() {
    let line = (wave(&[12]) * 4.0).unwrap();
    for (name, function) in [
        ("gelu", Function::Gelu),
        ("gelu tanh", Function::GeluTanh),
        ("silu", Function::Silu),
        ("softplus", Function::Softplus),
    ] {
        check(name, &activate(&line, function).unwrap());
    }
    check("log softmax", &log_softmax(&wave(&[2, 3, 4]), 1).unwrap());
    let classes = Tensor::new(&[0u32, 2, 1, 3, 3, 0], &Device::Cpu).unwrap();
    check(
        "cross entropy",
        &cross_entropy(&wave(&[6, 4]), &classes, Reduction::Mean).unwrap(),
    );
    let (logits, targets) = ((wave(&[8]) * 3.0).unwrap(), wave(&[8]).sqr().unwrap());
    check(
        "binary",
        &binary_cross_entropy(&logits, &targets, Reduction::Mean).unwrap(),
    );
}
