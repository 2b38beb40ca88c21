//! Reconstruction networks: the measured frequencies stay, the rest is learned.

use candle_core::Tensor;
use ctl_compute::ops::fourier::{fft2, ifft2};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{normal, stream};
use ctl_nets::{Mode, NetError, Network, NetworkInput, ReconUNet, Unrolled, UnrolledSpec};

use super::support::{drawn, parameters};

const SIDES: [usize; 2] = [8, 12];
const SPEC: UnrolledSpec = UnrolledSpec {
    cascades: 3,
    hidden: 2,
    width: 4,
};

/// Every third column and the middle two.
fn columns(batch: usize) -> Tensor {
    let row = (0..SIDES[1]).map(|c| f64::from(u8::from(c % 3 == 0 || c == 5 || c == 6)));
    let row: Vec<f64> = row.collect();
    Tensor::new(row.as_slice(), &candle_core::Device::Cpu)
        .unwrap()
        .reshape((1, SIDES[1]))
        .unwrap()
        .broadcast_as((batch, SIDES[1]))
        .unwrap()
        .contiguous()
        .unwrap()
}

fn masked(frequencies: &Tensor, columns: &Tensor) -> Tensor {
    let mask = columns
        .reshape((columns.dims()[0], 1, 1, SIDES[1]))
        .unwrap();
    frequencies.broadcast_mul(&mask).unwrap()
}

fn zero_filled(images: &Tensor, columns: &Tensor) -> Tensor {
    ifft2(&masked(&fft2(images).unwrap(), columns)).unwrap()
}

fn largest(tensor: &Tensor) -> f64 {
    let values: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn consistent_networks() -> [Box<dyn Network>; 2] {
    [
        Box::new(ReconUNet::from_parameters(parameters(), &[4, 6], true).unwrap()),
        Box::new(Unrolled::from_parameters(parameters(), &SPEC).unwrap()),
    ]
}

/// The transform of the output equals the measurement at the sampled columns, and not elsewhere.
#[test]
fn measured_frequencies_stay() {
    let columns = columns(2);
    let measured = zero_filled(&drawn("images", &[2, 2, SIDES[0], SIDES[1]]), &columns);
    let input = NetworkInput::new(&measured, Some(&columns));
    for network in consistent_networks() {
        let out = network.forward(input, Mode::Train).unwrap().outputs;
        let change = (fft2(&out).unwrap() - fft2(&measured).unwrap()).unwrap();
        assert!(largest(&masked(&change, &columns)) < 1e-12);
        assert!(largest(&change) > 1e-2);
    }
}

/// Without the projection the output is the input and what the U-Net adds, at every frequency.
#[test]
fn consistency_is_an_option_of_the_residual_u_net() {
    let columns = columns(2);
    let measured = zero_filled(&drawn("images", &[2, 2, SIDES[0], SIDES[1]]), &columns);
    let free = ReconUNet::from_parameters(parameters(), &[4, 6], false).unwrap();
    let out = free
        .forward((&measured).into(), Mode::Train)
        .unwrap()
        .outputs;
    let change = (fft2(&out).unwrap() - fft2(&measured).unwrap()).unwrap();
    assert!(largest(&masked(&change, &columns)) > 1e-2);
    // With it, what is left of the change is what the projection lets through.
    let bound = ReconUNet::from_parameters(parameters(), &[4, 6], true).unwrap();
    let input = NetworkInput::new(&measured, Some(&columns));
    let found = bound.forward(input, Mode::Train).unwrap().outputs;
    let kept = (&change - masked(&change, &columns)).unwrap();
    let expected = (&measured + ifft2(&kept).unwrap()).unwrap();
    assert!(largest(&(found - expected).unwrap()) < 1e-12);
}

/// Cascades have weights of their own.
#[test]
fn sizes_of_the_cascade() {
    let network = Unrolled::new(&SPEC, 0, "t").unwrap();
    let block = (9 * 2 + 1) * 4 + (9 * 4 + 1) * 4 + (9 * 4 + 1) * 2;
    assert_eq!(network.parameters().count(), SPEC.cascades * block);
    for key in 0..3 {
        let mut ill = SPEC;
        *[&mut ill.cascades, &mut ill.hidden, &mut ill.width][key] = 0;
        assert!(matches!(
            Unrolled::new(&ill, 0, "t"),
            Err(NetError::Size { .. })
        ));
    }
}

#[test]
fn missing_columns_are_an_error() {
    let images = drawn("images", &[2, 2, SIDES[0], SIDES[1]]);
    let other = columns(1);
    for network in consistent_networks() {
        for context in [None, Some(&other)] {
            let input = NetworkInput::new(&images, context);
            let error = network.forward(input, Mode::Train).unwrap_err();
            assert!(
                error.to_string().contains("context must be [B, W]"),
                "{error}"
            );
        }
    }
}

/// Smooth images, which fewer columns determine: a few steps halve the error of zero filling.
#[test]
fn the_cascade_learns() {
    let rng = &mut stream(5, "reconstruction", "images");
    let centres = normal(rng, (16, 2), 0.0, 1.5)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let [height, width] = SIDES;
    let blobs: Vec<f32> = centres
        .iter()
        .flat_map(|centre| {
            let value = move |place: usize| {
                let (r, c) = (place / width, place % width);
                let (y, x) = (r as f32 - 4.0 - centre[0], c as f32 - 6.0 - centre[1]);
                (-(y * y + x * x) / 8.0).exp()
            };
            (0..2 * height * width).map(move |i| if i < height * width { value(i) } else { 0.0 })
        })
        .collect();
    let truth = Tensor::from_vec(blobs, (16, 2, height, width), &candle_core::Device::Cpu).unwrap();
    let columns = columns(16).to_dtype(truth.dtype()).unwrap();
    let measured = zero_filled(&truth, &columns);
    let network = Unrolled::new(&SPEC, 1, "t").unwrap();
    let params = AdamParams {
        learning_rate: 3e-3,
        ..AdamParams::default()
    };
    let mut adam = Adam::new(network.parameters().trained(), params).unwrap();
    let error = |image: &Tensor| (image - &truth).unwrap().sqr().unwrap().mean_all().unwrap();
    let loss = || {
        let input = NetworkInput::new(&measured, Some(&columns));
        error(&network.forward(input, Mode::Train).unwrap().outputs)
    };
    for _ in 0..150 {
        adam.step(&loss().backward().unwrap()).unwrap();
    }
    let scalar = |t: Tensor| t.to_scalar::<f32>().unwrap();
    let (before, after) = (scalar(error(&measured)), scalar(loss()));
    assert!(after < 0.5 * before, "{before} to {after}");
}
