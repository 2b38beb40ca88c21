//! Batch, group, instance and layer normalisation.

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::{
    ChannelStatistics, NormParams, Rectifier, batch_norm, batch_norm_with, channel_bias,
    group_norm, instance_norm, layer_norm,
};
use proptest::prelude::*;

use super::support::{
    SINGLE, distance, first_order, same_everywhere, sample, second_order, single, values,
};

const ACTIVATIONS: [Rectifier; 3] = [
    Rectifier::Identity,
    Rectifier::Relu,
    Rectifier::Leaky { slope: 0.1 },
];

/// Normalises the groups that `group_of(sample, pixel, channel)` names, by plain sums.
fn plainly(
    x: &[f64],
    [pixels, channels]: [usize; 2],
    [weight, bias]: [&[f64]; 2],
    group_of: impl Fn(usize, usize) -> usize,
) -> Vec<f64> {
    let at = |i: usize| group_of(i / channels / pixels, i % channels);
    let groups = (0..x.len()).map(at).max().unwrap() + 1;
    let moment = |power: i32, centre: &[f64]| {
        let (mut sums, mut counts) = (vec![0.0; groups], vec![0.0; groups]);
        for (i, v) in x.iter().enumerate() {
            sums[at(i)] += (v - centre[at(i)]).powi(power);
            counts[at(i)] += 1.0;
        }
        sums.iter()
            .zip(counts)
            .map(|(s, n)| s / n)
            .collect::<Vec<_>>()
    };
    let mean = moment(1, &vec![0.0; groups]);
    let variance = moment(2, &mean);
    x.iter()
        .enumerate()
        .map(|(i, v)| {
            let normal = (v - mean[at(i)]) / (variance[at(i)] + 1e-5).sqrt();
            normal * weight[i % channels] + bias[i % channels]
        })
        .collect()
}

fn operands(shape: &[usize]) -> Vec<Var> {
    let channels = [*shape.last().unwrap()];
    vec![
        sample(shape, "x"),
        sample(&channels, "weight"),
        sample(&channels, "bias"),
        sample(shape, "residual"),
    ]
}

fn params(v: &[Tensor], activation: Rectifier) -> NormParams<'_> {
    NormParams::new(&v[1], &v[2]).activation(activation)
}

#[test]
fn gradients_of_both_orders() {
    for shape in [
        vec![3, 2, 2, 4],
        vec![1, 3, 1, 2],
        vec![2, 2, 1, 2, 2],
        vec![4, 2],
    ] {
        let vars = operands(&shape);
        for activation in ACTIVATIONS {
            let run = |f: &dyn Fn(&[Tensor]) -> Tensor, vars: &[Var]| {
                first_order(f, vars);
                second_order(f, vars);
            };
            let of = |v: &[Tensor]| batch_norm(&v[0], &params(v, activation)).unwrap().0;
            run(&of, &vars[..3]);
            run(
                &|v| group_norm(&v[0], 2, &params(v, activation)).unwrap(),
                &vars[..3],
            );
            run(
                &|v| layer_norm(&v[0], &params(v, activation)).unwrap(),
                &vars[..3],
            );
            run(
                &|v| channel_bias(&v[0], &v[1], activation).unwrap(),
                &vars[..2],
            );
            let with = |v: &[Tensor]| {
                group_norm(&v[0], 1, &params(v, activation).residual(&v[3])).unwrap()
            };
            run(&with, &vars);
        }
    }
}

#[test]
fn instances_and_given_statistics() {
    let vars = operands(&[2, 3, 2, 3]);
    let statistics = ChannelStatistics {
        count: 0,
        mean: vec![0.3, -0.2, 0.0],
        variance: vec![0.5, 2.0, 1.0],
    };
    for activation in ACTIVATIONS {
        let with = |v: &[Tensor]| {
            let params = params(v, activation).residual(&v[3]);
            batch_norm_with(&v[0], &statistics, &params).unwrap()
        };
        first_order(&with, &vars);
        second_order(&with, &vars);
        let of =
            |v: &[Tensor]| batch_norm_with(&v[0], &statistics, &params(v, activation)).unwrap();
        first_order(&of, &vars[..3]);
        second_order(&of, &vars[..3]);
        let of = |v: &[Tensor]| instance_norm(&v[0], &params(v, activation)).unwrap();
        first_order(&of, &vars[..3]);
        second_order(&of, &vars[..3]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn single_precision_gives_the_plain_sums_values(
        batch in 1usize..4, height in 1usize..24, width in 1usize..24,
        channels in prop::sample::select(vec![1usize, 3, 17, 64]), shift in -20f64..20.0,
    ) {
        let vars = operands(&[batch, height, width, channels]);
        // One value per group leaves nothing to normalise but rounding.
        prop_assume!(height * width > 1);
        let x = (vars[0].as_tensor() + shift).unwrap().to_dtype(DType::F32).unwrap();
        let affine = single(&vars[1..3]);
        let params = NormParams::new(&affine[0], &affine[1]);
        let (w, b) = (values(&affine[0]), values(&affine[1]));
        let plain = |group: &dyn Fn(usize, usize) -> usize| {
            plainly(&values(&x), [height * width, channels], [&w, &b], group)
        };
        // Rounding of a mean that is `shift` deviations away.
        let tolerance = SINGLE * (1.0 + shift.abs());
        let batch = batch_norm(&x, &params).unwrap().0;
        prop_assert!(distance(&batch, &plain(&|_, c| c)) < tolerance);
        let instance = instance_norm(&x, &params).unwrap();
        prop_assert!(distance(&instance, &plain(&|s, c| s * channels + c)) < tolerance);
        let group = group_norm(&x, 1, &params).unwrap();
        prop_assert!(distance(&group, &plain(&|s, _| s)) < tolerance);
    }
}

#[test]
fn same_bits_on_levels_and_threads() {
    for channels in [2, 6, 34, 64] {
        let vars = operands(&[3, 40, 37, channels]);
        same_everywhere(
            |v| batch_norm(&v[0], &params(v, Rectifier::Relu)).unwrap().0,
            &vars[..3],
        );
        same_everywhere(
            |v| {
                batch_norm(&v[0], &params(v, Rectifier::Relu).residual(&v[3]))
                    .unwrap()
                    .0
            },
            &vars,
        );
        same_everywhere(
            |v| group_norm(&v[0], 2, &params(v, Rectifier::Relu)).unwrap(),
            &vars[..3],
        );
        same_everywhere(
            |v| layer_norm(&v[0], &params(v, Rectifier::Identity)).unwrap(),
            &vars[..3],
        );
    }
}

/// Gradients in single precision against those in double, on one pixel and on odd sizes.
#[test]
fn every_width_of_channels() {
    const RELU: Rectifier = Rectifier::Relu;
    for channels in [1, 3, 17, 64] {
        for shape in [
            [1, 1, 1, channels],
            [1, 5, 7, channels],
            [3, 2, 3, channels],
        ] {
            let vars = operands(&shape);
            let vars = &vars[..3];
            same_everywhere(|v| batch_norm(&v[0], &params(v, RELU)).unwrap().0, vars);
            same_everywhere(|v| instance_norm(&v[0], &params(v, RELU)).unwrap(), vars);
            same_everywhere(|v| group_norm(&v[0], 1, &params(v, RELU)).unwrap(), vars);
            same_everywhere(|v| layer_norm(&v[0], &params(v, RELU)).unwrap(), vars);
        }
    }
}

/// A million values 1000 deviations from 0: sums of squares in single precision would lose them.
#[test]
fn large_images_far_from_zero() {
    let x = (sample(&[1, 512, 512, 4], "x").as_tensor() + 1000.0).unwrap();
    let x = x.to_dtype(DType::F32).unwrap();
    let wide = values(&x);
    let found = ChannelStatistics::of(&x).unwrap();
    for c in 0..4 {
        let column: Vec<f64> = wide[c..].iter().step_by(4).copied().collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64;
        assert!((found.mean[c] - mean).abs() < 1e-5 * mean);
        assert!((found.variance[c] - variance).abs() < 1e-4 * variance);
    }
}

#[test]
fn a_pass_of_batches_gives_the_statistics_of_all_data() {
    let x = sample(&[7, 5, 4, 3], "x").as_tensor().clone();
    let whole = ChannelStatistics::of(&x).unwrap();
    let mut joined = ChannelStatistics::default();
    for (first, len) in [(0, 1), (1, 4), (5, 2)] {
        let part = ChannelStatistics::of(&x.narrow(0, first, len).unwrap()).unwrap();
        joined = joined.join(&part).unwrap();
    }
    assert_eq!(joined.count, whole.count);
    for (a, b) in joined.mean.iter().zip(&whole.mean) {
        assert!((a - b).abs() < 1e-12);
    }
    for (a, b) in joined.variance.iter().zip(&whole.variance) {
        assert!((a - b).abs() < 1e-12);
    }
}

/// Values 1 and 3: mean 2, unbiased variance 2; a momentum of 0.1 from 0 and 1.
#[test]
fn running_statistics_move_by_the_unbiased_estimate() {
    let x = Tensor::new(&[[1f32], [3.0]], &Device::Cpu).unwrap();
    let statistics = ChannelStatistics::of(&x).unwrap();
    let mean = Var::new(&[0f32], &Device::Cpu).unwrap();
    let variance = Var::new(&[1f32], &Device::Cpu).unwrap();
    statistics.move_running(&mean, &variance, 0.1).unwrap();
    assert!((values(&mean)[0] - 0.2).abs() < 1e-7);
    assert!((values(&variance)[0] - 1.1).abs() < 1e-7);
    assert!(statistics.move_running(&mean, &variance, 1.5).is_err());
}

#[test]
fn ill_operands_are_errors_that_name_the_operator() {
    let vars = operands(&[2, 3, 3, 4]);
    let (x, weight, bias) = (&vars[0], &vars[1], &vars[2]);
    let short = sample(&[3], "short");
    let fine = NormParams::new(weight, bias);
    let errors = [
        batch_norm(x, &NormParams::new(&short, bias)).map(|o| o.0),
        batch_norm(x, &fine.epsilon(0.0)).map(|o| o.0),
        batch_norm(x, &fine.residual(&short)).map(|o| o.0),
        batch_norm(x, &fine.activation(Rectifier::Leaky { slope: -1.0 })).map(|o| o.0),
        batch_norm_with(x, &ChannelStatistics::default(), &fine),
    ];
    for error in errors {
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with("batch_norm"), "{message}");
    }
    for groups in [0, 3] {
        let message = group_norm(x, groups, &fine).unwrap_err().to_string();
        assert!(message.starts_with("group_norm: groups"), "{message}");
    }
    assert!(layer_norm(x, &NormParams::new(&short, &short)).is_err());
    let half = weight.to_dtype(DType::F32).unwrap();
    let message = batch_norm(x, &NormParams::new(&half, bias))
        .unwrap_err()
        .to_string();
    assert!(message.contains("dtype"), "{message}");
}
