//! Networks against `PyTorch`: outputs, losses and gradients from the same weights and inputs.
//!
//! `golden/make_networks.py` holds the formula of weights and inputs, and made the numbers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::log_softmax;
use ctl_nets::{
    Architecture, AutoencoderSpec, ConvVae, Hvae, HvaeSpec, Mode, NetworkSpec, Parameters, UNet,
    UNetSpec,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    output: Vec<f64>,
    loss: f64,
    gradients: BTreeMap<String, f64>,
}

const FIRST_INPUT: u64 = 1000;
const SHOWN: usize = 24;
/// Both sides compute in double precision; what is left is the order of sums.
const TOLERANCE: f64 = 1e-8;

fn golden(name: &str) -> Case {
    let mut all: BTreeMap<String, Case> =
        serde_json::from_str(include_str!("golden/networks.json")).unwrap();
    all.remove(name).unwrap()
}

/// Value `index` of tensor `tensor`, on [-1, 1).
fn number(tensor: u64, index: u64) -> f64 {
    const MASK: u64 = 0xffff_ffff;
    let mut h = (index * 2_654_435_761 + tensor * 2_246_822_519) & MASK;
    h ^= h >> 15;
    h = (h * 3_266_489_917) & MASK;
    h ^= h >> 13;
    h as f64 / 2f64.powi(31) - 1.0
}

fn numbers(tensor: u64, count: usize, scale: f64, centre: f64) -> Vec<f32> {
    (0..count as u64)
        .map(|index| (centre + scale * number(tensor, index)) as f32)
        .collect()
}

fn input(index: u64, shape: &[usize]) -> Tensor {
    let values = numbers(FIRST_INPUT + index, shape.iter().product(), 1.0, 0.0);
    let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    tensor.to_dtype(DType::F64).unwrap()
}

fn fill(parameters: &Parameters) {
    let mut snapshot = parameters.snapshot().unwrap();
    let mut shapes = parameters.shapes();
    shapes.sort_unstable();
    for (index, (name, shape)) in shapes.into_iter().enumerate() {
        let (scale, centre) = if !name.contains("bias") && shape.len() > 1 {
            let fan_in: usize = shape[1..].iter().product();
            ((3.0 / fan_in as f64).sqrt(), 0.0)
        } else if name.ends_with("weight") {
            (0.2, 1.0)
        } else {
            (0.1, 0.0)
        };
        let count = shape.iter().product();
        snapshot.insert(name.to_owned(), numbers(index as u64, count, scale, centre));
    }
    parameters.restore(&snapshot).unwrap();
}

fn double() -> Parameters {
    Parameters::new(0, "parity").in_double_precision()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * (1.0 + a.abs().max(b.abs()))
}

fn compare(name: &str, parameters: &Parameters, output: &Tensor, loss: &Tensor) {
    let expected = golden(name);
    let flat: Vec<f64> = output.flatten_all().unwrap().to_vec1().unwrap();
    let count = flat.len().min(SHOWN);
    assert_eq!(count, expected.output.len(), "{name}");
    for (place, value) in expected.output.iter().enumerate() {
        let found = flat[place * flat.len() / count];
        assert!(close(found, *value), "{name}: output {found}, not {value}");
    }
    let found = loss.to_scalar::<f64>().unwrap();
    assert!(
        close(found, expected.loss),
        "{name}: loss {found}, not {}",
        expected.loss
    );
    let gradients = loss.backward().unwrap();
    let names = parameters.shapes().into_iter().map(|(name, _)| name);
    let vars = parameters.trained();
    assert_eq!(vars.len(), expected.gradients.len(), "{name}");
    for (weight, var) in names.zip(&vars) {
        let gradient = gradients
            .get(var)
            .unwrap_or_else(|| panic!("{name}: {weight}"));
        let squares = gradient.sqr().unwrap().sum_all().unwrap();
        let found = squares.to_scalar::<f64>().unwrap().sqrt();
        let length = expected.gradients[weight];
        assert!(
            close(found, length),
            "{name}: gradient of {weight} {found}, not {length}"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a first derivative, by other operators than the library's"
)]
fn cross_entropy(outputs: &Tensor) -> Tensor {
    let (batch, classes) = outputs.dims2().unwrap();
    let labels: Vec<u32> = (0..batch).map(|row| (row % classes) as u32).collect();
    let labels = Tensor::from_vec(labels, (batch, 1), &Device::Cpu).unwrap();
    let chosen = log_softmax(outputs, 1).unwrap().gather(&labels, 1).unwrap();
    chosen.mean_all().unwrap().neg().unwrap()
}

#[test]
fn classifiers() {
    for (name, architecture, height, classes) in [
        ("mlp", Architecture::Mlp, 4, 3),
        ("mnist-cnn", Architecture::MnistCnn, 9, 3),
        ("resnet18", Architecture::ResNet18, 48, 3),
    ] {
        let spec = NetworkSpec {
            architecture,
            channels: 2,
            height,
            width: height,
            outputs: classes,
            attributes: 0,
            hidden: None,
        };
        let network = spec.build_from(double()).unwrap();
        fill(network.parameters());
        let images = input(0, &[3, 2, height, height]);
        let outputs = network
            .forward((&images).into(), Mode::Train)
            .unwrap()
            .outputs;
        let loss = cross_entropy(&outputs);
        compare(name, network.parameters(), &outputs, &loss);
    }
}

/// `max(z, 0) − z y + log(1 + e^{−|z|})`, mean.
fn binary_cross_entropy(logits: &Tensor, masks: &Tensor) -> Tensor {
    let soft = (logits.abs().unwrap().neg().unwrap().exp().unwrap() + 1.0)
        .unwrap()
        .log()
        .unwrap();
    let hinge = (logits.relu().unwrap() - logits.mul(masks).unwrap()).unwrap();
    (hinge + soft).unwrap().mean_all().unwrap()
}

#[test]
fn u_nets() {
    let flat = UNetSpec {
        widths: vec![4, 6, 8],
        ..UNetSpec::images(2, 1)
    };
    let solid = UNetSpec {
        widths: vec![3, 5, 7],
        ..UNetSpec::volumes(1, 1)
    };
    for (name, spec, shape) in [
        ("unet", flat, vec![2, 2, 8, 12]),
        ("unet3d", solid, vec![2, 1, 4, 8, 12]),
    ] {
        let network = UNet::from_parameters(double(), &spec).unwrap();
        fill(network.parameters());
        let images = input(0, &shape);
        let masks = images.narrow(1, 0, 1).unwrap().gt(0.0).unwrap();
        let outputs = network.logits(&images, Mode::Train).unwrap();
        let loss = binary_cross_entropy(&outputs, &masks.to_dtype(DType::F64).unwrap());
        compare(name, network.parameters(), &outputs, &loss);
    }
}

#[test]
fn convolutional_vae() {
    let spec = AutoencoderSpec {
        channels: 1,
        sides: [16, 16],
        widths: vec![6, 8],
        latent: 5,
    };
    let network = ConvVae::from_parameters(double(), &spec).unwrap();
    fill(network.parameters());
    let images = input(0, &[2, 1, 16, 16]);
    let out = network.reconstruct(&images, &input(1, &[2, 5])).unwrap();
    let loss = out.loss(&images).unwrap();
    compare("conv-vae", network.parameters(), &out.reconstruction, &loss);
}

fn tiny_hvae() -> HvaeSpec {
    HvaeSpec {
        context: 2,
        latent: 3,
        bottleneck: 2,
        widths: vec![4, 8, 12],
        ..HvaeSpec::morphomnist()
    }
    .with_stages("4b1d2,2b1d2,1b1", "1b1,2b1,4b2")
    .unwrap()
}

/// White and black corners, so that the open bins of the likelihood are met.
fn edged(images: &Tensor) -> Tensor {
    let mut values: Vec<f64> = images.flatten_all().unwrap().to_vec1().unwrap();
    values[..2].copy_from_slice(&[1.0, -1.0]);
    Tensor::from_vec(values, images.shape(), &Device::Cpu).unwrap()
}

#[test]
fn hierarchical_vae() {
    for (name, spec) in [("hvae", tiny_hvae()), ("hvae32", HvaeSpec::morphomnist())] {
        let network = Hvae::from_parameters(double(), &spec).unwrap();
        fill(network.parameters());
        let side = spec.side();
        let mut images = input(0, &[2, 1, side, side]);
        if name == "hvae" {
            images = edged(&images);
        }
        let noise = spec.latent_shapes(2).into_iter().enumerate();
        let noise: Vec<Tensor> = noise
            .map(|(block, [b, h, w, z])| {
                // The script's channels come first.
                let drawn = input(2 + block as u64, &[b, z, h, w]);
                drawn.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
            })
            .collect();
        let parents = input(1, &[2, spec.context]);
        let out = network.forward(&images, &parents, &noise).unwrap();
        let mean = |t: &Tensor| t.mean_all().unwrap();
        let both = Tensor::stack(&[mean(&out.distortion), mean(&out.kl)], 0).unwrap();
        compare(name, network.parameters(), &both, &out.loss(1.0).unwrap());
    }
}
