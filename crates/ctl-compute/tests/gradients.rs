//! Every operator's gradient against central differences in f64.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Tensor, Var};
use ctl_compute::ops::{
    Activation, Conv2dParams, batch_norm, batch_norm_with, channel_bias, conv2d,
    global_average_pool, group_norm, linear, log_softmax, max_pool2d, relu, softmax,
};
use ctl_compute::random::{normal, stream};
use proptest::prelude::*;

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;

fn sample(shape: &[usize], purpose: &str) -> Var {
    let tensor = normal(&mut stream(7, "gradients", purpose), shape, 0.0, 1.0).unwrap();
    Var::from_tensor(&tensor.to_dtype(candle_core::DType::F64).unwrap()).unwrap()
}

/// `Σ c · f(vars)` with fixed random `c`, so that no gradient cancels by symmetry.
fn scalar(f: &dyn Fn(&[Var]) -> Tensor, vars: &[Var]) -> Tensor {
    let out = f(vars);
    let c = sample(out.dims(), "weights of the outputs");
    out.mul(&c).unwrap().sum_all().unwrap()
}

fn check(f: &dyn Fn(&[Var]) -> Tensor, vars: &[Var]) {
    let grads = scalar(f, vars).backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let analytic = grads.get(var).expect("gradient is missing");
        let analytic = analytic.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let base = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let at = |i: usize, delta: f64| {
            let mut moved = base.clone();
            moved[i] += delta;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap())
                .unwrap();
            scalar(f, vars).to_scalar::<f64>().unwrap()
        };
        for (i, &found) in analytic.iter().enumerate() {
            let expected = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
            assert!(
                (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs()),
                "variable {index}, element {i}: {found} against {expected}"
            );
        }
        var.set(&Tensor::from_vec(base, var.shape(), &Device::Cpu).unwrap())
            .unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn conv2d_in_input_and_weight(
        batch in 1usize..3,
        channels in prop::sample::select(vec![1usize, 2, 3]),
        outs in prop::sample::select(vec![1usize, 2, 5]),
        height in 1usize..7, width in 1usize..7,
        kernel_h in 1usize..4, kernel_w in 1usize..4,
        stride in 1usize..4, padding in 0usize..3,
    ) {
        prop_assume!(height + 2 * padding >= kernel_h && width + 2 * padding >= kernel_w);
        let vars = [
            sample(&[batch, channels, height, width], "x"),
            sample(&[outs, channels, kernel_h, kernel_w], "w"),
        ];
        let params = Conv2dParams { stride, padding };
        check(&|v| conv2d(&v[0], &v[1], params).unwrap(), &vars);
        let ours = conv2d(&vars[0], &vars[1], params).unwrap();
        let theirs = vars[0].conv2d(&vars[1], padding, stride, 1, 1).unwrap();
        let gap = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        prop_assert!(gap < 1e-10, "forward differs from candle's by {gap}");
    }

    #[test]
    fn max_pool_of_any_window(
        height in 1usize..8, width in 1usize..8, window in 1usize..4, stride in 1usize..4,
    ) {
        prop_assume!(window <= height && window <= width);
        let vars = [sample(&[2, 2, height, width], "x")];
        check(&|v| max_pool2d(&v[0], window, stride).unwrap(), &vars);
    }
}

#[test]
fn norms_and_pooling() {
    for &(batch, channels, height, width) in &[(3, 4, 2, 3), (2, 2, 1, 1), (1, 2, 5, 3)] {
        let vars = [
            sample(&[batch, channels, height, width], "x"),
            sample(&[channels], "weight"),
            sample(&[channels], "bias"),
        ];
        check(&|v| batch_norm(&v[0], &v[1], &v[2], 1e-5).unwrap().0, &vars);
        check(
            &|v| group_norm(&v[0], 2, (&v[1], &v[2]), 1e-5).unwrap(),
            &vars,
        );
        for activation in [Activation::Identity, Activation::Relu] {
            let pair = [vars[0].clone(), vars[2].clone()];
            check(&|v| channel_bias(&v[0], &v[1], activation).unwrap(), &pair);
        }
        let mean = sample(&[channels], "mean").as_tensor().clone();
        let variance = sample(&[channels], "variance").sqr().unwrap();
        check(
            &|v| batch_norm_with(&v[0], &mean, &variance, (&v[1], &v[2]), 1e-5).unwrap(),
            &vars,
        );
        check(&|v| global_average_pool(&v[0]).unwrap(), &vars[..1]);
    }
}

#[test]
fn linear_and_relu() {
    for &(rows, inputs, outputs) in &[(1, 1, 1), (3, 4, 2), (17, 5, 3)] {
        let vars = [
            sample(&[rows, inputs], "x"),
            sample(&[outputs, inputs], "w"),
            sample(&[outputs], "b"),
        ];
        for activation in [Activation::Identity, Activation::Relu] {
            check(&|v| linear(&v[0], &v[1], &v[2], activation).unwrap(), &vars);
            let column_major = |v: &Var| v.t().unwrap().contiguous().unwrap().t().unwrap();
            check(
                &|v| linear(&column_major(&v[0]), &v[1], &v[2], activation).unwrap(),
                &vars,
            );
        }
        check(&|v| relu(&v[0]).unwrap(), &vars[..1]);
    }
}

#[test]
fn softmax_over_any_axis() {
    let vars = [sample(&[2, 3, 4], "x")];
    for dim in 0..3 {
        check(&|v| softmax(&v[0], dim).unwrap(), &vars);
        check(&|v| log_softmax(&v[0], dim).unwrap(), &vars);
    }
}

#[test]
fn ill_shapes_are_errors_that_name_the_operator() {
    let image = sample(&[1, 2, 4, 4], "x");
    let narrow = sample(&[1, 3, 3, 3], "w");
    let wide = sample(&[1, 2, 9, 9], "w");
    let fine = sample(&[1, 2, 3, 3], "w");
    let at = |stride, padding| Conv2dParams { stride, padding };
    for (weight, params) in [(&narrow, at(1, 0)), (&wide, at(1, 0)), (&fine, at(0, 0))] {
        let message = conv2d(&image, weight, params).unwrap_err().to_string();
        assert!(message.starts_with("conv2d: "), "{message}");
    }
    let (row, matrix) = (sample(&[1, 3], "row"), sample(&[2, 4], "matrix"));
    assert!(linear(&row, &matrix, &row, Activation::Relu).is_err());
    assert!(linear(&image, &matrix, &row, Activation::Relu).is_err());
    assert!(max_pool2d(&image, 5, 1).is_err());
    assert!(max_pool2d(&image, 2, 0).is_err());
    assert!(channel_bias(&image, &row, Activation::Relu).is_err());
    assert!(group_norm(&image, 3, (&fine, &fine), 1e-5).is_err());
    assert!(global_average_pool(&narrow.flatten_all().unwrap()).is_err());
}
