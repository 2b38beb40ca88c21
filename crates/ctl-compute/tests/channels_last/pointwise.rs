//! Activations, sums and concatenation.

use candle_core::{DType, Tensor};
use ctl_compute::ops::{
    Function, Rectifier, activate, add_activated, concat_channels, leaky_relu, relu,
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
fn ill_operands_are_errors() {
    let (x, y) = (sample(&[2, 3], "x"), sample(&[3, 3], "y"));
    assert!(add_activated(&x, &y, Rectifier::Relu).is_err());
    assert!(add_activated(&x, &single(std::slice::from_ref(&x))[0], Rectifier::Relu).is_err());
    assert!(concat_channels(&[]).is_err());
    assert!(concat_channels(&[&x, &y]).is_err());
    assert!(leaky_relu(&x, 1.0).is_err());
}
