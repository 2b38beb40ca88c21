//! Nearest and linear interpolation; `golden.rs` holds the conventions.

use candle_core::Tensor;
use ctl_compute::ops::{Interpolation, rescale, resize};
use proptest::prelude::*;

use super::support::{
    SINGLE, distance, first_order, same_everywhere, sample, second_order, single, values,
};

const KINDS: [Interpolation; 3] = [
    Interpolation::Nearest,
    Interpolation::Linear {
        align_corners: false,
    },
    Interpolation::Linear {
        align_corners: true,
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gradients_between_any_sizes(
        from in prop::array::uniform2(1usize..6), to in prop::array::uniform2(1usize..9),
        channels in prop::sample::select(vec![1usize, 3]), kind in 0usize..3,
    ) {
        let vars = [sample(&[2, from[0], from[1], channels], "x")];
        first_order(&|v| resize(&v[0], &to, KINDS[kind]).unwrap(), &vars);
        second_order(&|v| resize(&v[0], &to, KINDS[kind]).unwrap(), &vars);
    }

    /// `⟨A x, y⟩ = ⟨x, Aᵀ y⟩` in single precision, whatever the factor.
    #[test]
    fn gradient_is_the_adjoint(
        depth in 1usize..5, height in 1usize..9, width in 1usize..9,
        channels in prop::sample::select(vec![1usize, 3, 17, 64]),
        factor in 0.4f64..3.0, kind in 0usize..3,
    ) {
        prop_assume!([depth, height, width].iter().all(|&n| n as f64 * factor >= 1.0));
        let x = &single(&[sample(&[1, depth, height, width, channels], "x")])[0];
        let y = rescale(x, &[factor; 3], KINDS[kind]).unwrap();
        let u = &single(&[sample(y.dims(), "u")])[0];
        let product = (y * u.as_tensor()).unwrap().sum_all().unwrap();
        let grads = product.backward().unwrap();
        let dot = |a: &Tensor, b: &Tensor| {
            values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum::<f64>()
        };
        let size = values(u).iter().map(|v| v.abs()).sum::<f64>();
        let left = values(&product)[0];
        let right = dot(x, grads.get(x).unwrap());
        prop_assert!((left - right).abs() <= SINGLE * (1.0 + size), "{left} {right}");
    }
}

/// Interpolating a plane gives the plane: linear weights are exact for it.
#[test]
fn a_ramp_stays_a_ramp() {
    let ramp: Vec<f64> = (0..7).map(f64::from).collect();
    let ramp = Tensor::from_vec(ramp, (1, 7, 1), &candle_core::Device::Cpu).unwrap();
    let fine = resize(
        &ramp,
        &[13],
        Interpolation::Linear {
            align_corners: true,
        },
    )
    .unwrap();
    let expected: Vec<f64> = (0..13).map(|i| f64::from(i) / 2.0).collect();
    assert!(distance(&fine, &expected) < 1e-14);
}

#[test]
fn same_bits_on_levels_and_threads() {
    for channels in [1, 3, 64] {
        let vars = [sample(&[2, 9, 14, channels], "x")];
        same_everywhere(|v| resize(&v[0], &[18, 28], KINDS[1]).unwrap(), &vars);
        same_everywhere(|v| resize(&v[0], &[5, 28], KINDS[0]).unwrap(), &vars);
    }
}

#[test]
fn ill_sizes_are_errors_that_name_the_operator() {
    let x = sample(&[1, 4, 4, 2], "x");
    for size in [&[4usize][..], &[4, 0], &[usize::MAX, 2], &[4, 4, 4]] {
        let message = resize(&x, size, Interpolation::Nearest)
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("resize: "), "{message}");
    }
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12, 0.1] {
        let message = rescale(&x, &[factor; 2], KINDS[1]).unwrap_err().to_string();
        assert!(message.starts_with("rescale: "), "{message}");
    }
}
