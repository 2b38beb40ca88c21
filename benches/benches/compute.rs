//! Operators with their gradients.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, uniform};
use ctl_compute::Result;
use ctl_compute::ops::{Activation, ConvOptions, conv2d};

/// Batch, height, width, channels.
const INPUT: [usize; 4] = [32, 24, 24, 16];
const KERNEL: [usize; 4] = [16, 16, 3, 3];

fn variable(shape: [usize; 4], purpose: &str) -> Result<Var> {
    let values = uniform(shape.iter().product(), purpose);
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Ok(Var::from_vec(values, &shape, &Device::Cpu)?)
}

/// The mean of a convolution's output, and its gradients for input and weights.
fn forward_backward(input: &Var, weight: &Var) -> Result<[Tensor; 2]> {
    let options = ConvOptions::same([3, 3]);
    let output = conv2d(input, weight, None, Activation::Identity, &options)?;
    let gradients = output.mean_all()?.backward()?;
    let of = |variable: &Var| gradients.get(variable).cloned();
    Ok([of(input), of(weight)].map(|g| g.expect("the output depends on both variables")))
}

fn conv2d_step(criterion: &mut Criterion) {
    let made = variable(INPUT, "input").and_then(|i| Ok((i, variable(KERNEL, "weight")?)));
    let (input, weight) = made.expect("shapes are fixed");
    let [b, h, w, c] = INPUT;
    let [o, _, u, v] = KERNEL;
    let id = format!("conv2d-forward-backward/{b}x{c}x{h}x{w}-{o}x{u}x{v}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| forward_backward(black_box(&input), black_box(&weight)));
    });
}

criterion_group!(benches, conv2d_step);
criterion_main!(benches);
