//! Image and attributes: what each part does, and what a missing attribute does.

use candle_core::{DType, Tensor};
use ctl_nets::{FusionSpec, IntermediateFusion, LateFusion, Mode, NetError, Network, NetworkInput};

use super::support::{drawn, parameters};

const SPEC: FusionSpec = FusionSpec {
    channels: 1,
    attributes: 2,
    outputs: 3,
};

fn outputs(network: &dyn Network, images: &Tensor, context: &Tensor) -> Vec<Vec<f64>> {
    let input = NetworkInput::new(images, Some(context));
    let out = network.forward(input, Mode::Evaluate).unwrap();
    out.outputs.to_vec2().unwrap()
}

fn late() -> LateFusion {
    LateFusion::from_parameters(parameters(), &SPEC).unwrap()
}

fn intermediate() -> IntermediateFusion {
    IntermediateFusion::from_parameters(parameters(), &SPEC).unwrap()
}

/// Values of two attributes and their indicators: both there, one missing, both missing.
fn attributes() -> Tensor {
    let rows = [[0.4f64, -1.2, 1.0, 1.0], [0.4, 0.0, 1.0, 0.0], [0.0; 4]];
    Tensor::new(&rows, &candle_core::Device::Cpu).unwrap()
}

/// `y = W x + b` of one row, by plain loops.
fn layer(weights: &[f32], bias: &[f32], x: &[f64]) -> Vec<f64> {
    let rows = weights.chunks(x.len()).zip(bias);
    rows.map(|(row, &b)| {
        let products = row.iter().zip(x).map(|(&w, x)| f64::from(w) * x);
        f64::from(b) + products.sum::<f64>()
    })
    .collect()
}

/// The attribute part by plain loops, the image part as its head says of its features.
#[test]
fn late_fusion_is_the_mean_of_two_networks() {
    let network = late();
    let weights = network.parameters().snapshot().unwrap();
    let apply = |name: &str, x: &[f64]| {
        let part = |kind: &str| &weights[&format!("{name}.{kind}")];
        layer(part("weight"), part("bias"), x)
    };
    let images = drawn("images", &[3, 1, 8, 8]);
    let context = attributes();
    let input = NetworkInput::new(&images, Some(&context));
    let out = network.forward(input, Mode::Evaluate).unwrap();
    let features: Vec<Vec<f64>> = out.features.to_vec2().unwrap();
    let found: Vec<Vec<f64>> = out.outputs.to_vec2().unwrap();
    let context: Vec<Vec<f64>> = context.to_vec2().unwrap();
    let rectified = |x: Vec<f64>| x.into_iter().map(|v| v.max(0.0)).collect::<Vec<_>>();
    for row in 0..3 {
        let hidden = rectified(apply("attributes.hidden1", &context[row]));
        let hidden = rectified(apply("attributes.hidden2", &hidden));
        let of_attributes = apply("attributes.head", &hidden);
        let (image, rest) = features[row].split_at(features[row].len() - hidden.len());
        assert!(rest.iter().zip(&hidden).all(|(a, b)| (a - b).abs() < 1e-12));
        let of_image = apply("image.head", image);
        for (k, found) in found[row].iter().enumerate() {
            let expected = f64::midpoint(of_image[k], of_attributes[k]);
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

#[test]
fn attributes_count_and_may_be_missing() {
    let networks: [&dyn Network; 2] = [&late(), &intermediate()];
    let image = drawn("image", &[1, 1, 8, 8]);
    let images = Tensor::cat(&[&image; 3], 0).unwrap();
    for network in networks {
        let found = outputs(network, &images, &attributes());
        assert!(found.iter().flatten().all(|v| v.is_finite()));
        // The same image with other attributes, or without, is another input.
        assert_ne!(found[0], found[1]);
        assert_ne!(found[1], found[2]);
        // At the mean is not the same as missing.
        let present = Tensor::new(&[[0.0f64, 0.0, 1.0, 1.0]], images.device()).unwrap();
        assert_ne!(outputs(network, &image, &present)[0], found[2]);
    }
}

#[test]
fn ill_contexts_are_errors() {
    let images = drawn("images", &[2, 1, 8, 8]);
    let networks: [(&str, &dyn Network); 2] = [
        ("fusion-late", &late()),
        ("fusion-intermediate", &intermediate()),
    ];
    for (name, network) in networks {
        for shape in [[2, 2], [2, 5], [1, 4]] {
            let context = Tensor::zeros(&shape, DType::F64, images.device()).unwrap();
            let input = NetworkInput::new(&images, Some(&context));
            let message = network.forward(input, Mode::Train).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("network {name}: context")),
                "{message}"
            );
        }
        let error = network.forward((&images).into(), Mode::Train).unwrap_err();
        assert!(error.to_string().ends_with("found none"), "{error}");
    }
    let none = FusionSpec {
        attributes: 0,
        ..SPEC
    };
    assert!(matches!(
        LateFusion::new(&none, 0, "t"),
        Err(NetError::Size { .. })
    ));
    assert!(matches!(
        IntermediateFusion::new(&none, 0, "t"),
        Err(NetError::Size { .. })
    ));
}
