//! Networks: published sizes, seeds, gradients through the whole graph, saving and loading.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::random::{normal, stream};
use ctl_nets::{Architecture, Mode, NetError, NetworkSpec};

const ALL: [Architecture; 4] = [
    Architecture::Mlp,
    Architecture::SmallCnn,
    Architecture::MnistCnn,
    Architecture::ResNet18,
];

fn spec(architecture: Architecture, side: usize) -> NetworkSpec {
    NetworkSpec {
        architecture,
        channels: 2,
        height: side,
        width: side,
        outputs: 3,
        attributes: 0,
        hidden: None,
    }
}

fn images(batch: usize, side: usize) -> Tensor {
    normal(
        &mut stream(1, "networks", "images"),
        (batch, 2, side, side),
        0.0,
        1.0,
    )
    .unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Counted by hand from the published tables: `DomainBed`'s CNN without its head has
/// (2·9+1)·64 + (64·9+1)·128 + 2·(128·9+1)·128 + norms 2·(64+3·128); ResNet-18's trunk for
/// 3-channel images has 11,176,512 weights in torchvision, of which the stem's 7×7 has 9,408.
#[test]
fn sizes_are_the_published_ones() {
    let count = |a, side| spec(a, side).build(0, "t").unwrap().parameters().count();
    let cnn = 19 * 64 + 577 * 128 + 2 * 1153 * 128 + 2 * (64 + 3 * 128);
    assert_eq!(count(Architecture::MnistCnn, 28), cnn + 129 * 3);
    assert_eq!(
        count(Architecture::ResNet18, 64),
        11_176_512 - 9408 + 6272 + 513 * 3
    );
    assert_eq!(count(Architecture::Mlp, 4), 33 * 256 + 257 * 256 + 257 * 3);
}

#[test]
fn every_network_takes_any_image_size_down_to_one_pixel() {
    for architecture in ALL {
        for side in [1, 2, 5, 28, 48] {
            let network = spec(architecture, side).build(0, "t").unwrap();
            let out = network
                .forward((&images(2, side)).into(), Mode::Train)
                .unwrap();
            assert_eq!(out.outputs.dims(), [2, 3], "{architecture:?} at {side}");
            let finite = numbers(&out.outputs).iter().all(|v| v.is_finite());
            assert!(finite, "{architecture:?} at {side}");
        }
    }
}

#[test]
fn weights_depend_on_the_seed_and_the_run_alone() {
    for architecture in ALL {
        let build = |seed, run| {
            let network = spec(architecture, 8).build(seed, run).unwrap();
            network.parameters().snapshot().unwrap()
        };
        assert_eq!(build(1, "a"), build(1, "a"));
        assert_ne!(build(1, "a"), build(2, "a"));
        assert_ne!(build(1, "a"), build(1, "b"));
    }
}

/// Along its own direction a gradient's slope is its length; a wrong gradient points elsewhere and
/// the difference quotient falls short of it.
/// In single precision and across `ReLU` kinks the quotient is good to about 1 %.
#[test]
fn gradient_of_every_network_along_itself() {
    for architecture in ALL {
        let network = spec(architecture, 9).build(3, "t").unwrap();
        let input = images(4, 9);
        let c = normal(&mut stream(4, "networks", "c"), (4, 3), 0.0, 1.0).unwrap();
        let loss = || {
            let out = network
                .forward((&input).into(), Mode::Train)
                .unwrap()
                .outputs;
            out.tanh().unwrap().mul(&c).unwrap().sum_all().unwrap()
        };
        let grads = loss().backward().unwrap();
        let vars = network.parameters().trained();
        let gradient: Vec<Tensor> = vars
            .iter()
            .map(|v| grads.get(v).expect("every weight has a gradient").clone())
            .collect();
        let squares = |t: &Tensor| {
            numbers(t)
                .iter()
                .map(|&v| f64::from(v).powi(2))
                .sum::<f64>()
        };
        let length = gradient.iter().map(squares).sum::<f64>().sqrt();
        let shift = |h: f64| {
            for (var, g) in vars.iter().zip(&gradient) {
                var.set(&(var.as_tensor() + (g * (h / length)).unwrap()).unwrap())
                    .unwrap();
            }
        };
        // A step that changes the loss by about 0.05 each way.
        let h = 0.05 / length;
        let value = || f64::from(loss().to_scalar::<f32>().unwrap());
        shift(h);
        let above = value();
        shift(-2.0 * h);
        let quotient = (above - value()) / (2.0 * h);
        let gap = (quotient - length).abs() / length;
        assert!(gap < 0.02, "{architecture:?}: {length} against {quotient}");
    }
}

/// The stem sees the same batch twice: with momentum 0.1 its running mean goes 0, 0.1 m, 0.19 m,
/// its running variance 1, 0.9 + 0.1 v, 0.81 + 0.19 v.
#[test]
fn batch_norm_keeps_running_statistics() {
    let network = spec(Architecture::ResNet18, 8).build(0, "t").unwrap();
    let input = images(6, 8);
    let before = numbers(
        &network
            .forward((&input).into(), Mode::Evaluate)
            .unwrap()
            .outputs,
    );
    let read = || {
        let snapshot = network.parameters().snapshot().unwrap();
        let mean = snapshot["stem.norm.running_mean"].clone();
        (mean, snapshot["stem.norm.running_var"].clone())
    };
    network.forward((&input).into(), Mode::Train).unwrap();
    let (mean_1, variance_1) = read();
    network.forward((&input).into(), Mode::Train).unwrap();
    let (mean_2, variance_2) = read();
    for c in 0..64 {
        assert!((mean_2[c] - 1.9 * mean_1[c]).abs() < 1e-5);
        let expected = 0.81 + 1.9 * (variance_1[c] - 0.9);
        assert!((variance_2[c] - expected).abs() < 1e-4 * expected.abs());
    }
    let after = numbers(
        &network
            .forward((&input).into(), Mode::Evaluate)
            .unwrap()
            .outputs,
    );
    assert_ne!(before, after);
    assert_eq!(read().0, mean_2, "evaluation leaves the statistics alone");
}

#[test]
fn weights_survive_a_round_trip_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for architecture in ALL {
        let network = spec(architecture, 8).build(1, "t").unwrap();
        let bytes = network
            .parameters()
            .to_safetensors(&BTreeMap::new())
            .unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let other = spec(architecture, 8).build(2, "t").unwrap();
        other.parameters().load(&path).unwrap();
        let input = images(2, 8);
        let a = numbers(
            &network
                .forward((&input).into(), Mode::Evaluate)
                .unwrap()
                .outputs,
        );
        let b = numbers(
            &other
                .forward((&input).into(), Mode::Evaluate)
                .unwrap()
                .outputs,
        );
        assert_eq!(a, b, "{architecture:?}");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(
            other.parameters().load(&path),
            Err(NetError::Format { .. })
        ));
    }
    let small = spec(Architecture::SmallCnn, 8).build(0, "t").unwrap();
    std::fs::write(
        &path,
        small.parameters().to_safetensors(&BTreeMap::new()).unwrap(),
    )
    .unwrap();
    let mlp = spec(Architecture::Mlp, 8).build(0, "t").unwrap();
    assert!(matches!(
        mlp.parameters().load(&path),
        Err(NetError::Weights { .. })
    ));
    let missing = folder.path().join("none");
    assert!(matches!(
        mlp.parameters().load(&missing),
        Err(NetError::File { .. })
    ));
}

#[test]
fn ill_sizes_are_errors() {
    for key in 0..4 {
        let mut ill = spec(Architecture::SmallCnn, 8);
        match key {
            0 => ill.channels = 0,
            1 => ill.height = 0,
            2 => ill.width = 0,
            _ => ill.outputs = 0,
        }
        assert!(matches!(ill.build(0, "t"), Err(NetError::Size { .. })));
    }
    let network = spec(Architecture::SmallCnn, 8).build(0, "t").unwrap();
    let grey = Tensor::zeros((1, 1, 8, 8), DType::F32, &Device::Cpu).unwrap();
    assert!(network.forward((&grey).into(), Mode::Evaluate).is_err());
}
