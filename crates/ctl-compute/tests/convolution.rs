//! Channels-last convolutions and linear layers: gradients against central differences in f64.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::Activation;
use ctl_compute::ops::{
    ConvOptions, ConvTransposeOptions, Function as Smooth, NormParams, activate, batch_norm,
    conv_transpose2d, conv_transpose3d, conv2d, conv2d_after, conv3d, linear,
};
use ctl_compute::random::{normal, stream};
use proptest::prelude::*;

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;
/// f32 against f64, relative to the largest value.
const SINGLE: f64 = 1e-5;
const ACTIVATIONS: [Activation; 2] = [Activation::Identity, Activation::Relu];

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

fn sample(shape: &[usize], purpose: &str) -> Var {
    let tensor = normal(&mut stream(11, "convolution", purpose), shape, 0.0, 1.0).unwrap();
    Var::from_tensor(&tensor.to_dtype(DType::F64).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap();
    flat.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// `Σ c · f(vars)` with fixed random `c`, so that no gradient cancels by symmetry.
fn scalar(f: Function<'_>, vars: &[Tensor]) -> Tensor {
    let out = f(vars);
    let c = sample(out.dims(), "weights of the outputs");
    let c = c.to_dtype(out.dtype()).unwrap();
    out.mul(&c).unwrap().sum_all().unwrap()
}

fn tensors(vars: &[Var]) -> Vec<Tensor> {
    vars.iter().map(|var| var.as_tensor().clone()).collect()
}

/// Checks the gradients of every variable, some elements each, and f32 against f64.
fn check(f: Function<'_>, vars: &[Var]) {
    let grads = scalar(f, &tensors(vars)).backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let analytic = values(grads.get(var).expect("gradient is missing"));
        let base = values(var);
        let at = |i: usize, delta: f64| {
            let mut moved = base.clone();
            moved[i] += delta;
            let mut tensors = tensors(vars);
            tensors[index] = Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap();
            scalar(f, &tensors).to_scalar::<f64>().unwrap()
        };
        for i in (0..base.len()).step_by(base.len().div_ceil(40)) {
            let expected = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
            let found = analytic[i];
            assert!(
                (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs()),
                "variable {index}, element {i}: {found} against {expected}"
            );
        }
    }
    check_single(f, vars);
}

fn check_single(f: Function<'_>, vars: &[Var]) {
    let single: Vec<Var> = vars
        .iter()
        .map(|var| Var::from_tensor(&var.to_dtype(DType::F32).unwrap()).unwrap())
        .collect();
    let narrow = scalar(f, &tensors(&single)).backward().unwrap();
    let wide = scalar(f, &tensors(vars)).backward().unwrap();
    assert_near(&f(&tensors(&single)), &f(&tensors(vars)));
    for (single, var) in single.iter().zip(vars) {
        assert_near(narrow.get(single).unwrap(), wide.get(var).unwrap());
    }
}

fn assert_near(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (values(found), values(expected));
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() <= SINGLE * scale, "{f} against {e}");
    }
}

/// candle's own convolution, in its layout.
fn candle(x: &Tensor, w: &Tensor, o: &ConvOptions<2>) -> Tensor {
    let x = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    let y = x
        .conv2d(w, o.padding[0], o.stride[0], o.dilation[0], o.groups)
        .unwrap();
    y.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

#[test]
fn conv2d_matches_differences_and_candle() {
    let cases: [([usize; 4], [usize; 4], ConvOptions<2>); 8] = [
        ([1, 1, 1, 1], [1, 1, 1, 1], ConvOptions::default()),
        ([2, 5, 7, 3], [17, 3, 3, 3], ConvOptions::same([3, 3])),
        (
            [1, 8, 8, 1],
            [5, 1, 7, 7],
            ConvOptions::same([7, 7]).with_stride([2, 2]),
        ),
        (
            [3, 6, 5, 4],
            [6, 2, 3, 3],
            ConvOptions::same([3, 3]).with_groups(2),
        ),
        (
            [2, 6, 6, 17],
            [17, 1, 3, 3],
            ConvOptions::same([3, 3]).with_groups(17),
        ),
        (
            [2, 9, 9, 2],
            [3, 2, 3, 3],
            ConvOptions::default()
                .with_dilation([2, 2])
                .with_stride([2, 2]),
        ),
        ([5, 2, 2, 64], [64, 64, 3, 3], ConvOptions::same([3, 3])),
        (
            [2, 7, 7, 3],
            [2, 3, 2, 2],
            ConvOptions::default().with_stride([3, 3]),
        ),
    ];
    for (input, weight, options) in cases {
        let vars = [
            sample(&input, "x"),
            sample(&weight, "w"),
            sample(&weight[..1], "b"),
        ];
        for activation in ACTIVATIONS {
            check(
                &|v| conv2d(&v[0], &v[1], Some(&v[2]), activation, &options).unwrap(),
                &vars,
            );
        }
        let ours = conv2d(&vars[0], &vars[1], None, Activation::Identity, &options).unwrap();
        assert_near(&ours, &candle(&vars[0], &vars[1], &options));
    }
}

#[test]
fn conv3d_matches_differences() {
    for (input, weight, options) in [
        ([1, 3, 4, 5, 2], [3, 2, 3, 3, 3], ConvOptions::same([3; 3])),
        (
            [2, 4, 3, 5, 4],
            [4, 2, 2, 1, 3],
            ConvOptions::default().with_stride([2, 1, 2]).with_groups(2),
        ),
    ] {
        let vars = [sample(&input, "x"), sample(&weight, "w")];
        check(
            &|v| conv3d(&v[0], &v[1], None, Activation::Identity, &options).unwrap(),
            &vars,
        );
    }
}

#[test]
fn depth_one_is_an_image() {
    let (x, w) = (sample(&[2, 5, 6, 3], "x"), sample(&[4, 3, 3, 3], "w"));
    let flat = conv2d(
        &x,
        &w,
        None,
        Activation::Identity,
        &ConvOptions::same([3, 3]),
    )
    .unwrap();
    let (x, w) = (x.unsqueeze(1).unwrap(), w.unsqueeze(2).unwrap());
    let deep = conv3d(
        &x,
        &w,
        None,
        Activation::Identity,
        &ConvOptions::same([1, 3, 3]),
    )
    .unwrap();
    assert_eq!(values(&flat), values(&deep));
}

#[test]
fn conv_transpose2d_matches_differences_and_candle() {
    let cases: [([usize; 4], [usize; 4], ConvTransposeOptions<2>); 5] = [
        ([1, 1, 1, 1], [1, 1, 2, 2], ConvTransposeOptions::default()),
        (
            [2, 3, 4, 5],
            [5, 3, 2, 2],
            ConvTransposeOptions::default().with_stride([2, 2]),
        ),
        (
            [2, 3, 3, 4],
            [4, 3, 4, 4],
            ConvTransposeOptions::default()
                .with_stride([2, 2])
                .with_padding([1, 1]),
        ),
        (
            [1, 4, 3, 2],
            [2, 3, 3, 3],
            ConvTransposeOptions::default()
                .with_stride([2, 2])
                .with_padding([1, 1])
                .with_output_padding([1, 1]),
        ),
        (
            [1, 3, 3, 2],
            [2, 1, 3, 3],
            ConvTransposeOptions::default()
                .with_dilation([3, 3])
                .with_output_padding([2, 2]),
        ),
    ];
    for (input, weight, options) in cases {
        let vars = [
            sample(&input, "x"),
            sample(&weight, "w"),
            sample(&weight[1..2], "b"),
        ];
        for activation in ACTIVATIONS {
            check(
                &|v| conv_transpose2d(&v[0], &v[1], Some(&v[2]), activation, &options).unwrap(),
                &vars,
            );
        }
        let ours =
            conv_transpose2d(&vars[0], &vars[1], None, Activation::Identity, &options).unwrap();
        let x = vars[0].permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
        let theirs = x
            .conv_transpose2d(
                &vars[1],
                options.padding[0],
                options.output_padding[0],
                options.stride[0],
                options.dilation[0],
            )
            .unwrap();
        assert_near(
            &ours,
            &theirs.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap(),
        );
    }
}

#[test]
fn conv_transpose2d_with_groups_matches_differences() {
    for (channels, outputs, groups) in [(4, 3, 2), (3, 1, 3), (17, 2, 17)] {
        let vars = [
            sample(&[2, 3, 2, channels], "x"),
            sample(&[channels, outputs, 3, 2], "w"),
            sample(&[outputs * groups], "b"),
        ];
        let options = ConvTransposeOptions::default()
            .with_stride([2, 1])
            .with_padding([1, 0])
            .with_groups(groups);
        for activation in ACTIVATIONS {
            check(
                &|v| conv_transpose2d(&v[0], &v[1], Some(&v[2]), activation, &options).unwrap(),
                &vars,
            );
        }
    }
}

#[test]
fn conv_transpose3d_with_groups_matches_differences() {
    let vars = [
        sample(&[1, 2, 3, 2, 4], "x"),
        sample(&[4, 3, 2, 2, 2], "w"),
        sample(&[6], "b"),
    ];
    let options = ConvTransposeOptions::default()
        .with_stride([2, 1, 2])
        .with_groups(2);
    let f = |v: &[Tensor]| {
        conv_transpose3d(&v[0], &v[1], Some(&v[2]), Activation::Identity, &options).unwrap()
    };
    check(&f, &vars);
    assert_eq!(f(&tensors(&vars)).dims(), [1, 4, 4, 4, 6]);
}

#[test]
fn linear_matches_differences() {
    for (input, outputs) in [(vec![1, 1], 1), (vec![7, 33], 10), (vec![2, 3, 17], 64)] {
        let width = input[input.len() - 1];
        let vars = [
            sample(&input, "x"),
            sample(&[outputs, width], "w"),
            sample(&[outputs], "b"),
        ];
        for activation in ACTIVATIONS {
            check(
                &|v| linear(&v[0], &v[1], Some(&v[2]), activation).unwrap(),
                &vars,
            );
        }
    }
}

#[test]
fn second_order_matches_differences() {
    let gradient_norm = |f: Function<'_>, v: &[Tensor]| {
        let grads = scalar(f, v).backward().unwrap();
        let parts = v
            .iter()
            .filter_map(|t| grads.get(t).map(|g| g.sqr().unwrap().sum_all().unwrap()));
        parts.reduce(|a, b| a.add(&b).unwrap()).unwrap()
    };
    if std::env::var_os("CANDLE_GRAD_DO_NOT_DETACH").is_none() {
        run_again_with_second_order();
        return;
    }
    let options = ConvOptions::same([3, 3]).with_stride([2, 1]);
    let conv = |v: &[Tensor]| {
        conv2d(&v[0], &v[1], Some(&v[2]), Activation::Relu, &options)
            .unwrap()
            .sqr()
            .unwrap()
    };
    let dense = |v: &[Tensor]| {
        linear(&v[0], &v[1], Some(&v[2]), Activation::Relu)
            .unwrap()
            .sqr()
            .unwrap()
    };
    let conv_vars = [
        sample(&[2, 4, 3, 2], "x"),
        sample(&[3, 2, 3, 3], "w"),
        sample(&[3], "b"),
    ];
    let dense_vars = [
        sample(&[4, 3], "x"),
        sample(&[5, 3], "w"),
        sample(&[5], "b"),
    ];
    let behind = |v: &[Tensor]| {
        let options = ConvOptions::same([3, 3]);
        let out = conv2d_after(Smooth::Tanh, &v[0], &v[1], &v[2], &options);
        out.unwrap().sqr().unwrap()
    };
    let cases: [(Function<'_>, &[Var]); 3] = [
        (&conv, &conv_vars),
        (&dense, &dense_vars),
        (&behind, &conv_vars),
    ];
    for (f, vars) in cases {
        let grads = gradient_norm(f, &tensors(vars)).backward().unwrap();
        for (index, var) in vars.iter().enumerate() {
            let analytic = values(grads.get(var).unwrap());
            let base = values(var);
            for i in 0..base.len() {
                let at = |delta: f64| {
                    let mut moved = base.clone();
                    moved[i] += delta;
                    let moved = Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap();
                    let vars: Vec<Var> = vars
                        .iter()
                        .enumerate()
                        .map(|(j, v)| {
                            Var::from_tensor(if j == index { &moved } else { v }).unwrap()
                        })
                        .collect();
                    gradient_norm(f, &tensors(&vars))
                        .to_scalar::<f64>()
                        .unwrap()
                };
                let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                assert!(
                    (analytic[i] - expected).abs() <= 1e-5 * (1.0 + expected.abs()),
                    "variable {index}, element {i}: {} against {expected}",
                    analytic[i]
                );
            }
        }
    }
}

/// candle reads the variable once, so the test runs itself in a process that has it.
fn run_again_with_second_order() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_order_matches_differences"])
        .env("CANDLE_GRAD_DO_NOT_DETACH", "1")
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
}

#[test]
fn gradients_of_data_are_not_computed() {
    let x = Tensor::ones((1, 4, 4, 2), DType::F32, &Device::Cpu).unwrap();
    let w = Var::ones((3, 2, 3, 3), DType::F32, &Device::Cpu).unwrap();
    let y = conv2d(
        &x,
        &w,
        None,
        Activation::Identity,
        &ConvOptions::same([3, 3]),
    )
    .unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_none() && grads.get(&w).is_some());
}

#[test]
fn a_convolution_behind_an_activation_is_the_two_of_them() {
    let vars = [
        sample(&[2, 5, 4, 3], "x"),
        sample(&[2, 3, 3, 3], "w"),
        sample(&[2], "b"),
    ];
    let options = ConvOptions::same([3, 3]);
    let fused = |v: &[Tensor]| conv2d_after(Smooth::Gelu, &v[0], &v[1], &v[2], &options).unwrap();
    let apart = |v: &[Tensor]| {
        let x = activate(&v[0], Smooth::Gelu).unwrap();
        conv2d(&x, &v[1], Some(&v[2]), Activation::Identity, &options).unwrap()
    };
    check(&fused, &vars);
    check_single(&fused, &vars);
    let v = tensors(&vars);
    assert_eq!(values(&fused(&v)), values(&apart(&v)));
    let [a, b] = [scalar(&fused, &v), scalar(&apart, &v)].map(|s| s.backward().unwrap());
    for var in &vars {
        assert_eq!(values(a.get(var).unwrap()), values(b.get(var).unwrap()));
    }
}

/// A gradient with a past would hold every gradient it came from as long as it lives.
#[test]
fn gradients_of_weights_have_no_past() {
    let vars = [
        sample(&[2, 5, 5, 2], "x"),
        sample(&[3, 2, 3, 3], "w"),
        sample(&[3], "b"),
        sample(&[3], "scale"),
        sample(&[3], "shift"),
    ];
    let v = tensors(&vars);
    let y = conv2d(
        &v[0],
        &v[1],
        Some(&v[2]),
        Activation::Relu,
        &ConvOptions::same([3, 3]),
    )
    .unwrap();
    let (y, _) = batch_norm(&y, &NormParams::new(&v[3], &v[4])).unwrap();
    let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    for var in &vars {
        assert!(!grads.get(var).unwrap().track_op());
    }
}

#[test]
fn faults_name_operator_expectation_and_finding() {
    let make = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let (x, w) = (make(&[1, 4, 4, 6]), make(&[4, 6, 3, 3]));
    let options = ConvOptions::<2>::default();
    let run = |x: &Tensor, w: &Tensor, b: Option<&Tensor>, o: &ConvOptions<2>| {
        conv2d(x, w, b, Activation::Identity, o)
            .unwrap_err()
            .to_string()
    };
    let large = ConvOptions::default().with_padding([usize::MAX / 2, 0]);
    for (error, part) in [
        (run(&make(&[4, 4, 6]), &w, None, &options), "[4, 4, 6]"),
        (run(&x, &make(&[4, 5, 3, 3]), None, &options), "6 channels"),
        (run(&x, &make(&[6, 3, 3]), None, &options), "[6, 3, 3]"),
        (run(&x, &w, Some(&make(&[5])), &options), "a bias [4]"),
        (run(&x, &w, None, &options.with_stride([0, 1])), "stride"),
        (
            run(&x, &w, None, &options.with_dilation([0, 1])),
            "dilation",
        ),
        (run(&x, &make(&[4, 6, 3, 5]), None, &options), "kernel"),
        (run(&x, &make(&[4, 6, 0, 1]), None, &options), "kernel"),
        (run(&x, &w, None, &large), "conv2d"),
        (
            run(&x, &make(&[4, 2, 3, 3]), None, &options.with_groups(3)),
            "groups",
        ),
        (run(&x, &w, None, &options.with_groups(0)), "groups"),
        (
            run(&x, &w.to_dtype(DType::F64).unwrap(), None, &options),
            "f64",
        ),
        (
            run(&x.to_dtype(DType::U8).unwrap(), &w, None, &options),
            "u8",
        ),
    ] {
        assert!(
            error.starts_with("conv2d") && error.contains(part),
            "{error} lacks {part}"
        );
    }
    let transposed = ConvTransposeOptions::default().with_output_padding([1, 0]);
    let error = conv_transpose2d(
        &x,
        &make(&[6, 2, 2, 2]),
        None,
        Activation::Identity,
        &transposed,
    );
    assert!(error.unwrap_err().to_string().contains("output_padding"));
    let cut = ConvTransposeOptions::default().with_padding([4, 0]);
    assert!(conv_transpose2d(&x, &make(&[6, 2, 2, 2]), None, Activation::Identity, &cut).is_err());
    assert!(linear(&x, &make(&[2, 5]), None, Activation::Identity).is_err());
}

#[test]
fn empty_batches_stay_empty() {
    let x = Tensor::zeros((0, 4, 4, 3), DType::F32, &Device::Cpu).unwrap();
    let w = Var::ones((5, 3, 3, 3), DType::F32, &Device::Cpu).unwrap();
    let y = conv2d(
        &x,
        &w,
        None,
        Activation::Identity,
        &ConvOptions::same([3, 3]),
    )
    .unwrap();
    assert_eq!(y.dims(), [0, 4, 4, 5]);
}

/// Batch 1, one pixel and odd sizes that the stride does not divide, at channels below, beside and
/// above a vector's width.
#[test]
fn every_width_of_channels() {
    let conv = ConvOptions::same([3; 3]).with_stride([2; 3]);
    let back = ConvTransposeOptions::default()
        .with_stride([2; 3])
        .with_padding([1; 3]);
    for channels in [1, 3, 17, 64] {
        for [depth, height, width] in [[1, 1, 1], [3, 5, 7]] {
            let volume = sample(&[1, depth, height, width, channels], "x");
            let vars = [volume, sample(&[channels, channels, 3, 3, 3], "w")];
            let act = Activation::Identity;
            check(&|v| conv3d(&v[0], &v[1], None, act, &conv).unwrap(), &vars);
            check(
                &|v| conv_transpose3d(&v[0], &v[1], None, act, &back).unwrap(),
                &vars,
            );
            let image = sample(&[1, height, width, channels], "x");
            let vars = [image, sample(&[channels, channels, 3, 3], "w")];
            let flat = ConvOptions::same([3; 2]).with_stride([2; 2]);
            check(&|v| conv2d(&v[0], &v[1], None, act, &flat).unwrap(), &vars);
            let flat = ConvTransposeOptions::default()
                .with_stride([2; 2])
                .with_padding([1; 2]);
            check(
                &|v| conv_transpose2d(&v[0], &v[1], None, act, &flat).unwrap(),
                &vars,
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_volume(
        sizes in prop::array::uniform3(1usize..5), groups in 1usize..3,
        channels in (prop::sample::select(vec![1usize, 3]), prop::sample::select(vec![1usize, 2])),
        kernel in prop::array::uniform3(1usize..4), stride in prop::array::uniform3(1usize..3),
        padding in prop::array::uniform3(0usize..3), dilation in prop::array::uniform3(1usize..3),
    ) {
        let reach = |a: usize| (kernel[a] - 1) * dilation[a] + 1;
        prop_assume!((0..3).all(|a| sizes[a] + 2 * padding[a] >= reach(a)));
        let [d, h, w] = sizes;
        let vars = [
            sample(&[2, d, h, w, channels.0 * groups], "x"),
            sample(&[channels.1 * groups, channels.0, kernel[0], kernel[1], kernel[2]], "w"),
        ];
        let options = ConvOptions { stride, padding, dilation, groups };
        check(&|v| conv3d(&v[0], &v[1], None, Activation::Identity, &options).unwrap(), &vars);
    }

    #[test]
    fn any_transposed_volume(
        sizes in prop::array::uniform3(1usize..4), groups in 1usize..3,
        channels in (prop::sample::select(vec![1usize, 3]), prop::sample::select(vec![1usize, 2])),
        kernel in prop::array::uniform3(1usize..4), stride in prop::array::uniform3(1usize..4),
        padding in prop::array::uniform3(0usize..3), dilation in prop::array::uniform3(1usize..3),
        extra: bool,
    ) {
        let output_padding = stride.map(|s| usize::from(extra && s > 1));
        let full = |a: usize| {
            (sizes[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1 + output_padding[a]
        };
        prop_assume!((0..3).all(|a| full(a) > 2 * padding[a]));
        let [d, h, w] = sizes;
        let vars = [
            sample(&[2, d, h, w, channels.0 * groups], "x"),
            sample(&[channels.0 * groups, channels.1, kernel[0], kernel[1], kernel[2]], "w"),
        ];
        let options = ConvTransposeOptions { stride, padding, output_padding, dilation, groups };
        let act = Activation::Identity;
        check(&|v| conv_transpose3d(&v[0], &v[1], None, act, &options).unwrap(), &vars);
    }

    #[test]
    fn any_geometry(
        batch in 1usize..4,
        groups in 1usize..4,
        group_in in prop::sample::select(vec![1usize, 2, 5]),
        group_out in prop::sample::select(vec![1usize, 3, 17]),
        height in 1usize..9, width in 1usize..9,
        kernel in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4),
        padding in (0usize..4, 0usize..4), dilation in (1usize..3, 1usize..3),
    ) {
        let reach = |k: usize, d: usize| (k - 1) * d + 1;
        prop_assume!(height + 2 * padding.0 >= reach(kernel.0, dilation.0));
        prop_assume!(width + 2 * padding.1 >= reach(kernel.1, dilation.1));
        let vars = [
            sample(&[batch, height, width, group_in * groups], "x"),
            sample(&[group_out * groups, group_in, kernel.0, kernel.1], "w"),
        ];
        let options = ConvOptions {
            stride: stride.into(), padding: padding.into(), dilation: dilation.into(), groups,
        };
        check(&|v| conv2d(&v[0], &v[1], None, Activation::Identity, &options).unwrap(), &vars);
    }
}
