//! Operators made of candle's own against the kernels: values and derivatives of both orders.

use candle_core::{Device, Tensor, Var};
use ctl_compute::ops::{
    Activation, ChannelStatistics, ConvOptions, ConvTransposeOptions, Function, Interpolation,
    NormParams, Rectifier, Reduction, Windows, activate, add_activated, add_all, average_pool2d,
    average_pool3d, batch_norm, batch_norm_with, binary_cross_entropy, channels_from,
    concat_channels, conv_transpose2d, conv_transpose3d, conv2d, conv2d_after, conv3d,
    cross_entropy, dropout, gaussian_divergence, gaussian_draw, global_average_pool,
    global_max_pool, group_norm, layer_norm, leaky_relu, linear, log_softmax, max_pool2d,
    max_pool3d, relu, rescale, resize, softmax, without_kernels,
};
use ctl_compute::optim::{Adam, AdamParams, Ema, Optimiser};
use ctl_compute::random::stream;
use proptest::prelude::*;

use super::support::{Op, bits, distance, pass, sample, single, twice, values};

/// Relative, in double precision; candle's own error function is good to 1e-14.
const TOLERANCE: f64 = 1e-11;

/// Values, gradients and gradients of gradients are the same on both ways.
fn agree(what: &str, f: Op, vars: &[Var]) {
    for run in [pass, twice] {
        let kernels = run(f, vars);
        let composites = without_kernels(|| run(f, vars));
        for (index, (kernel, composite)) in kernels.iter().zip(&composites).enumerate() {
            assert_eq!(kernel.dims(), composite.dims(), "{what}");
            let gap = distance(composite, &values(kernel));
            assert!(gap < TOLERANCE, "{what}, result {index}: {gap}");
        }
    }
}

fn operands(input: &[usize], weight: &[usize], channels: usize) -> [Var; 3] {
    [
        sample(input, "x"),
        sample(weight, "w"),
        sample(&[channels], "b"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn convolutions_of_images(
        batch in 1usize..3, height in 1usize..7, width in 1usize..7,
        groups in 1usize..3, channels in (1usize..3, 1usize..4),
        kernel in prop::array::uniform2(1usize..4), stride in prop::array::uniform2(1usize..4),
        padding in prop::array::uniform2(0usize..3), dilation in prop::array::uniform2(1usize..3),
    ) {
        let sizes = [height, width];
        let reach = |a: usize| (kernel[a] - 1) * dilation[a] + 1;
        prop_assume!((0..2).all(|a| sizes[a] + 2 * padding[a] >= reach(a)));
        let options = ConvOptions { stride, padding, dilation, groups };
        let (group_in, outputs) = (channels.0, channels.1 * groups);
        let vars = operands(
            &[batch, height, width, group_in * groups],
            &[outputs, group_in, kernel[0], kernel[1]],
            outputs,
        );
        let f = |v: &[Tensor]| {
            conv2d(&v[0], &v[1], Some(&v[2]), Activation::Relu, &options).unwrap()
        };
        agree("conv2d", &f, &vars);
    }

    #[test]
    fn transposed_convolutions_of_images(
        batch in 1usize..3, sizes in prop::array::uniform2(1usize..5),
        groups in 1usize..3, channels in (1usize..3, 1usize..4),
        kernel in prop::array::uniform2(1usize..4), stride in prop::array::uniform2(1usize..4),
        padding in prop::array::uniform2(0usize..3), dilation in prop::array::uniform2(1usize..3),
        extra: bool,
    ) {
        let output_padding = stride.map(|s| usize::from(extra && s > 1));
        let full = |a: usize| {
            (sizes[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1 + output_padding[a]
        };
        prop_assume!((0..2).all(|a| full(a) > 2 * padding[a]));
        let options = ConvTransposeOptions { stride, padding, output_padding, dilation, groups };
        let (inputs, group_out) = (channels.0 * groups, channels.1);
        let vars = operands(
            &[batch, sizes[0], sizes[1], inputs],
            &[inputs, group_out, kernel[0], kernel[1]],
            group_out * groups,
        );
        let f = |v: &[Tensor]| {
            conv_transpose2d(&v[0], &v[1], Some(&v[2]), Activation::Identity, &options).unwrap()
        };
        agree("conv_transpose2d", &f, &vars);
    }

    #[test]
    fn windows_of_images(
        sizes in prop::array::uniform2(1usize..6), kernel in prop::array::uniform2(1usize..4),
        stride in prop::array::uniform2(1usize..4), padded: bool, count: bool,
    ) {
        let padding = kernel.map(|k| if padded { k / 2 } else { 0 });
        prop_assume!((0..2).all(|a| kernel[a] <= sizes[a] + 2 * padding[a]));
        let w = Windows { kernel, stride, padding };
        let vars = [sample(&[2, sizes[0], sizes[1], 3], "x")];
        agree("max_pool2d", &|v| max_pool2d(&v[0], &w).unwrap(), &vars);
        agree("average_pool2d", &|v| average_pool2d(&v[0], &w, count).unwrap(), &vars);
    }
}

#[test]
fn convolutions_of_volumes() {
    let options = ConvOptions {
        stride: [2, 1, 2],
        padding: [1, 0, 1],
        dilation: [1, 2, 1],
        groups: 2,
    };
    let vars = operands(&[2, 4, 5, 3, 4], &[6, 2, 3, 2, 3], 6);
    let f =
        |v: &[Tensor]| conv3d(&v[0], &v[1], Some(&v[2]), Activation::Identity, &options).unwrap();
    agree("conv3d", &f, &vars);
    let options = ConvTransposeOptions {
        stride: [2, 1, 3],
        padding: [1, 0, 1],
        output_padding: [1, 0, 2],
        dilation: [1, 2, 1],
        groups: 2,
    };
    let vars = operands(&[2, 2, 3, 2, 4], &[4, 3, 3, 2, 2], 6);
    let f = |v: &[Tensor]| {
        conv_transpose3d(&v[0], &v[1], Some(&v[2]), Activation::Relu, &options).unwrap()
    };
    agree("conv_transpose3d", &f, &vars);
}

#[test]
fn products() {
    let vars = operands(&[2, 3, 5], &[4, 5], 4);
    for activation in [Activation::Identity, Activation::Relu] {
        let f = |v: &[Tensor]| linear(&v[0], &v[1], Some(&v[2]), activation).unwrap();
        agree("linear", &f, &vars);
    }
    let vars = operands(&[2, 4, 5, 3], &[2, 3, 3, 3], 2);
    let options = ConvOptions::same([3, 3]);
    let f = |v: &[Tensor]| conv2d_after(Function::Gelu, &v[0], &v[1], &v[2], &options).unwrap();
    agree("conv2d_after", &f, &vars);
}

#[test]
fn empty_batches_stay_empty() {
    let [_, w, b] = operands(&[1, 4, 4, 3], &[5, 3, 3, 3], 5);
    let x = Tensor::zeros((0, 4, 4, 3), w.dtype(), &Device::Cpu).unwrap();
    let options = ConvOptions::same([3, 3]);
    let y = without_kernels(|| conv2d(&x, &w, Some(&b), Activation::Relu, &options)).unwrap();
    assert_eq!(y.dims(), [0, 4, 4, 5]);
}

#[test]
fn pooling_of_volumes_and_of_everything() {
    let w = Windows {
        kernel: [2, 3, 2],
        stride: [1, 2, 2],
        padding: [1, 1, 0],
    };
    let vars = [sample(&[2, 4, 5, 6, 2], "x")];
    agree("max_pool3d", &|v| max_pool3d(&v[0], &w).unwrap(), &vars);
    for count in [true, false] {
        let f = |v: &[Tensor]| average_pool3d(&v[0], &w, count).unwrap();
        agree("average_pool3d", &f, &vars);
    }
    let f = |v: &[Tensor]| global_average_pool(&v[0]).unwrap();
    agree("global_average_pool", &f, &vars);
    let f = |v: &[Tensor]| global_max_pool(&v[0]).unwrap();
    agree("global_max_pool", &f, &vars);
}

#[test]
fn ties_and_what_is_not_a_number() {
    let flat = Var::new(&[[[[1f32], [1.0]], [[1.0], [1.0]]]], &Device::Cpu).unwrap();
    let tiles = Windows::tiles(2);
    let pooled = without_kernels(|| max_pool2d(&flat, &tiles)).unwrap();
    let grads = pooled.sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&flat).unwrap()), [1.0, 0.0, 0.0, 0.0]);
    for position in 0..4 {
        let mut pixels = vec![f32::NEG_INFINITY; 4];
        pixels[position] = f32::NAN;
        let image = Tensor::from_vec(pixels, (1, 2, 2, 1), &Device::Cpu).unwrap();
        let pooled = without_kernels(|| max_pool2d(&image, &tiles)).unwrap();
        assert!(values(&pooled)[0].is_nan());
    }
}

#[test]
fn resampling() {
    let images = [sample(&[2, 5, 7, 3], "x")];
    let volumes = [sample(&[1, 2, 4, 3, 2], "x")];
    for kind in [
        Interpolation::Nearest,
        Interpolation::Linear {
            align_corners: false,
        },
        Interpolation::Linear {
            align_corners: true,
        },
    ] {
        agree(
            "resize",
            &|v| resize(&v[0], &[3, 11], kind).unwrap(),
            &images,
        );
        agree(
            "rescale",
            &|v| rescale(&v[0], &[1.5, 0.7], kind).unwrap(),
            &images,
        );
        agree(
            "volume",
            &|v| resize(&v[0], &[4, 4, 5], kind).unwrap(),
            &volumes,
        );
    }
}

#[test]
fn normalisation() {
    let vars = [
        sample(&[2, 3, 2, 4], "x"),
        sample(&[4], "weight"),
        sample(&[4], "bias"),
        sample(&[2, 3, 2, 4], "residual"),
    ];
    let given = ChannelStatistics {
        count: 0,
        mean: vec![0.3, -0.2, 0.0, 1.0],
        variance: vec![0.5, 2.0, 1.0, 0.1],
    };
    for activation in [
        Rectifier::Identity,
        Rectifier::Relu,
        Rectifier::Leaky { slope: 0.1 },
    ] {
        type Norm<'a> = &'a dyn Fn(&Tensor, &NormParams<'_>) -> Tensor;
        let norms: [(&str, Norm<'_>); 4] = [
            ("batch_norm", &|x, p| batch_norm(x, p).unwrap().0),
            ("batch_norm_with", &|x, p| {
                batch_norm_with(x, &given, p).unwrap()
            }),
            ("group_norm", &|x, p| group_norm(x, 2, p).unwrap()),
            ("layer_norm", &|x, p| layer_norm(x, p).unwrap()),
        ];
        for (name, norm) in norms {
            let plain = |v: &[Tensor]| {
                let params = NormParams::new(&v[1], &v[2]).activation(activation);
                norm(&v[0], &params)
            };
            agree(name, &plain, &vars[..3]);
            let with_residual = |v: &[Tensor]| {
                let params = NormParams::new(&v[1], &v[2]).activation(activation);
                norm(&v[0], &params.residual(&v[3]))
            };
            agree(name, &with_residual, &vars);
        }
    }
    let params = NormParams::new(&vars[1], &vars[2]);
    let [kernel, composite] = [
        batch_norm(&vars[0], &params).unwrap().1,
        without_kernels(|| batch_norm(&vars[0], &params)).unwrap().1,
    ];
    assert_eq!(kernel.count, composite.count);
    for (a, b) in kernel.variance.iter().zip(&composite.variance) {
        assert!((a - b).abs() < TOLERANCE);
    }
}

#[test]
fn activations_sums_and_channels() {
    let vars = ["x", "y", "z"].map(|purpose| sample(&[3, 7], purpose));
    for function in [
        Function::Sigmoid,
        Function::Erf,
        Function::Tanh,
        Function::Softplus,
        Function::Silu,
        Function::Gelu,
        Function::GeluTanh,
    ] {
        let f = |v: &[Tensor]| activate(&v[0], function).unwrap();
        agree(&format!("{function:?}"), &f, &vars[..1]);
        let far = Tensor::new(&[-1e4f64, -100.0, 0.0, 100.0, 1e4], &Device::Cpu).unwrap();
        let composite = without_kernels(|| activate(&far, function)).unwrap();
        let kernel = values(&activate(&far, function).unwrap());
        assert!(distance(&composite, &kernel) < TOLERANCE, "{function:?}");
    }
    agree("relu", &|v| relu(&v[0]).unwrap(), &vars[..1]);
    agree(
        "leaky_relu",
        &|v| leaky_relu(&v[0], 0.2).unwrap(),
        &vars[..1],
    );
    for activation in [Rectifier::Identity, Rectifier::Relu] {
        let f = |v: &[Tensor]| add_activated(&v[0], &v[1], activation).unwrap();
        agree("add_activated", &f, &vars[..2]);
    }
    let f = |v: &[Tensor]| add_all(&[&v[0], &v[1], &v[2]]).unwrap();
    agree("add_all", &f, &vars);
    assert!(without_kernels(|| add_all(&[&vars[0]])).is_err());
    let f = |v: &[Tensor]| concat_channels(&[&v[0], &v[1], &v[2]]).unwrap();
    agree("concat_channels", &f, &vars);
    agree(
        "channels_from",
        &|v| channels_from(&v[0], 2).unwrap(),
        &vars[..1],
    );
}

#[test]
fn losses_and_laws() {
    let vars = [sample(&[2, 3, 4], "x"), sample(&[2, 3, 6], "y")];
    for dim in 0..3 {
        agree("softmax", &|v| softmax(&v[0], dim).unwrap(), &vars[..1]);
        agree(
            "log_softmax",
            &|v| log_softmax(&v[0], dim).unwrap(),
            &vars[..1],
        );
    }
    let classes = Tensor::new(&[[0u32, 3, 1], [2, 2, 0]], &Device::Cpu).unwrap();
    let targets = Var::from_tensor(&sample(&[2, 3, 4], "t").sqr().unwrap()).unwrap();
    let pair = [vars[0].clone(), targets];
    for reduction in [Reduction::Mean, Reduction::None] {
        let f = |v: &[Tensor]| cross_entropy(&v[0], &classes, reduction).unwrap();
        agree("cross_entropy", &f, &vars[..1]);
        let f = |v: &[Tensor]| binary_cross_entropy(&v[0], &v[1], reduction).unwrap();
        agree("binary_cross_entropy", &f, &pair);
    }
    let noise = sample(&[2, 3, 2], "noise").as_tensor().detach();
    agree(
        "gaussian_draw",
        &|v| gaussian_draw(&v[0], &noise).unwrap(),
        &vars[..1],
    );
    let f = |v: &[Tensor]| gaussian_divergence(&v[0], &v[1], 2).unwrap();
    agree("gaussian_divergence", &f, &vars);
    let f = |v: &[Tensor]| dropout(&v[0], 0.4, &mut stream(1, "t", "composites")).unwrap();
    agree("dropout", &f, &vars[..1]);
}

/// Weights and their average after three steps, as bits.
fn trained() -> [Vec<u32>; 2] {
    let theta = single(&[sample(&[50, 7], "theta")]).remove(0);
    let mut adam = Adam::new(vec![theta.clone()], AdamParams::default()).unwrap();
    let mut average = Ema::new(vec![theta.clone()], 0.9).unwrap();
    for _ in 0..3 {
        let loss = theta.sqr().unwrap().sum_all().unwrap();
        adam.step(&loss.backward().unwrap()).unwrap();
        average.update().unwrap();
    }
    let weights = bits(&theta);
    average.swap().unwrap();
    [weights, bits(&theta)]
}

#[test]
fn optimisers_on_copies_give_the_same_bits() {
    assert_eq!(without_kernels(trained), trained());
}
