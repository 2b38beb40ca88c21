//! Activations, sums and concatenation.

use candle_core::{DType, Tensor};
use ctl_compute::ops::{
    Activation, ConvOptions, Function, Rectifier, activate, add_activated, add_all, channels_from,
    concat_channels, conv2d, leaky_relu, linear, relu, without_kernels,
};

use super::support::{
    distance, first_order, same_everywhere, sample, second_order, single, values,
};

const FUNCTIONS: [Function; 7] = [
    Function::Sigmoid,
    Function::Erf,
    Function::Tanh,
    Function::Softplus,
    Function::Silu,
    Function::Gelu,
    Function::GeluTanh,
];

#[test]
fn gradients_of_both_orders() {
    let x = (sample(&[3, 7], "x").as_tensor() * 2.0).unwrap();
    let vars = [
        candle_core::Var::from_tensor(&x).unwrap(),
        sample(&[3, 7], "y"),
    ];
    for function in FUNCTIONS {
        first_order(&|v| activate(&v[0], function).unwrap(), &vars[..1]);
        second_order(&|v| activate(&v[0], function).unwrap(), &vars[..1]);
    }
    first_order(&|v| relu(&v[0]).unwrap(), &vars[..1]);
    second_order(&|v| leaky_relu(&v[0], 0.2).unwrap(), &vars[..1]);
    for activation in [Rectifier::Identity, Rectifier::Relu] {
        first_order(&|v| add_activated(&v[0], &v[1], activation).unwrap(), &vars);
        second_order(&|v| add_activated(&v[0], &v[1], activation).unwrap(), &vars);
    }
}

/// Training that has left the range of numbers must show, whatever activation is fused to a product.
#[test]
fn what_is_not_a_number_passes_a_rectifier() {
    let ill = |shape: &[usize]| {
        let x = sample(shape, "x").to_dtype(DType::F32).unwrap();
        (&x * f64::NAN).unwrap()
    };
    let is_nan = |tensor: &Tensor| {
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.iter().all(|v| v.is_nan())
    };
    for (channels, outputs) in [(1, 1), (3, 17), (16, 64)] {
        let image = ill(&[1, 5, 5, channels]);
        let weight = sample(&[outputs, channels, 3, 3], "w")
            .to_dtype(DType::F32)
            .unwrap();
        let options = ConvOptions::default();
        let out = conv2d(&image, &weight, None, Activation::Relu, &options).unwrap();
        assert!(is_nan(&out), "conv2d of {channels} to {outputs}");
        let rows = ill(&[4, channels]);
        let weight = sample(&[outputs, channels], "v")
            .to_dtype(DType::F32)
            .unwrap();
        let out = linear(&rows, &weight, None, Activation::Relu).unwrap();
        assert!(is_nan(&out), "linear of {channels} to {outputs}");
    }
    assert!(is_nan(&relu(&ill(&[7])).unwrap()));
    without_kernels(|| assert!(is_nan(&relu(&ill(&[7])).unwrap())));
}

/// In double precision every function is its textbook formula.
#[test]
fn values_in_double_precision() {
    let x = (sample(&[200], "x").as_tensor() * 3.0).unwrap();
    let plain = |f: fn(f64) -> f64| values(&x).into_iter().map(f).collect::<Vec<_>>();
    let check = |function, f| {
        let gap = distance(&activate(&x, function).unwrap(), &plain(f));
        assert!(gap < 1e-14, "{function:?}: {gap}");
    };
    check(Function::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
    check(Function::Tanh, f64::tanh);
    check(Function::Softplus, |x| (1.0 + x.exp()).ln());
    check(Function::Silu, |x| x / (1.0 + (-x).exp()));
    check(Function::GeluTanh, |x| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    });
}

#[test]
fn single_precision_stays_near_double() {
    let x = (sample(&[20_000], "x").as_tensor() * 4.0).unwrap();
    let narrow = x.to_dtype(DType::F32).unwrap();
    let same = narrow.to_dtype(DType::F64).unwrap();
    for function in FUNCTIONS {
        let gap = distance(
            &activate(&narrow, function).unwrap(),
            &values(&activate(&same, function).unwrap()),
        );
        assert!(gap < 3e-7, "{function:?}: {gap}");
    }
}

#[test]
fn large_arguments_stay_finite() {
    let x = Tensor::new(&[-1e4f32, -100.0, 100.0, 1e4], &candle_core::Device::Cpu).unwrap();
    for function in FUNCTIONS {
        let y = values(&activate(&x, function).unwrap());
        assert!(y.iter().all(|v| v.is_finite()), "{function:?}: {y:?}");
    }
}

#[test]
fn same_bits_on_levels_and_threads() {
    let vars = [sample(&[3, 50, 177], "x"), sample(&[3, 50, 177], "y")];
    same_everywhere(|v| activate(&v[0], Function::Gelu).unwrap(), &vars[..1]);
    same_everywhere(|v| activate(&v[0], Function::Silu).unwrap(), &vars[..1]);
    same_everywhere(|v| activate(&v[0], Function::Tanh).unwrap(), &vars[..1]);
    same_everywhere(|v| relu(&v[0]).unwrap(), &vars[..1]);
    same_everywhere(
        |v| add_activated(&v[0], &v[1], Rectifier::Relu).unwrap(),
        &vars,
    );
}

#[test]
fn concatenation_and_its_parts() {
    for (a, b) in [(1, 1), (3, 17), (64, 2)] {
        let vars = [
            sample(&[2, 3, a], "a"),
            sample(&[2, 3, b], "b"),
            sample(&[2, 3, 1], "c"),
        ];
        let joined = |v: &[Tensor]| concat_channels(&[&v[0], &v[1], &v[2]]).unwrap();
        first_order(&joined, &vars);
        second_order(&joined, &vars);
        let candle = Tensor::cat(&[vars[0].as_tensor(), &vars[1], &vars[2]], 2).unwrap();
        let ours = joined(
            &vars
                .iter()
                .map(|v| v.as_tensor().clone())
                .collect::<Vec<_>>(),
        );
        assert_eq!(values(&ours), values(&candle));
    }
}

#[test]
fn channels_are_cut_out() {
    let vars = [sample(&[2, 3, 5], "x")];
    for first in [0, 2, 4] {
        let cut = |v: &[Tensor]| channels_from(&v[0], first).unwrap();
        first_order(&cut, &vars);
        second_order(&cut, &vars);
        let candle = vars[0].narrow(2, first, 5 - first).unwrap();
        let ours = cut(&[vars[0].as_tensor().clone()]);
        assert_eq!(values(&ours), values(&candle));
    }
    assert!(channels_from(&vars[0], 5).is_err());
}

#[test]
fn sums_of_two_and_three() {
    let vars = ["a", "b", "c"].map(|purpose| sample(&[3, 7], purpose));
    let sum = |v: &[Tensor]| add_all(&[&v[0], &v[1], &v[2]]).unwrap();
    first_order(&sum, &vars);
    second_order(&sum, &vars);
    let [a, b, c] = &vars.each_ref().map(|v| values(v));
    let expected: Vec<f64> = (0..a.len()).map(|i| a[i] + b[i] + c[i]).collect();
    let tensors = vars.each_ref().map(|v| v.as_tensor().clone());
    assert_eq!(values(&sum(&tensors)), expected);
    let two = add_all(&[&tensors[0], &tensors[1]]).unwrap();
    let expected: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + b).collect();
    assert_eq!(values(&two), expected);
    assert!(add_all(&[]).is_err());
    assert!(add_all(&[&tensors[0], &sample(&[7, 3], "d")]).is_err());
    let large = ["a", "b", "c"].map(|purpose| sample(&[40_000], purpose));
    same_everywhere(|v| add_all(&[&v[0], &v[1], &v[2]]).unwrap(), &large);
}

#[test]
fn ill_operands_are_errors() {
    let (x, y) = (sample(&[2, 3], "x"), sample(&[3, 3], "y"));
    assert!(add_activated(&x, &y, Rectifier::Relu).is_err());
    assert!(add_activated(&x, &single(std::slice::from_ref(&x))[0], Rectifier::Relu).is_err());
    assert!(concat_channels(&[]).is_err());
    assert!(concat_channels(&[&x, &y]).is_err());
    assert!(leaky_relu(&x, 1.0).is_err());
}
