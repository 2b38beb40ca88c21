//! U-Nets and autoencoders: shapes, gradients against finite differences, ill sizes, files.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::random::{normal, stream, uniform};
use ctl_nets::{AutoencoderSpec, ConvVae, Hvae, HvaeSpec, Mode, NetError, UNet, UNetSpec};

use super::support::{check_gradients, double, drawn, parameters, weighed};

fn u_net(dimensions: usize, widths: &[usize]) -> UNetSpec {
    UNetSpec {
        dimensions,
        channels: 2,
        outputs: 3,
        widths: widths.to_vec(),
    }
}

fn vae() -> AutoencoderSpec {
    AutoencoderSpec {
        channels: 2,
        sides: [8, 8],
        widths: vec![4, 5],
        latent: 3,
    }
}

fn hvae() -> HvaeSpec {
    HvaeSpec {
        channels: 2,
        context: 2,
        latent: 3,
        bottleneck: 2,
        widths: vec![4, 6, 8],
        ..HvaeSpec::morphomnist()
    }
    .with_stages("4b1d2,2b1d2,1b1", "1b1,2b2,4b1")
    .unwrap()
}

#[test]
fn gradients_of_u_nets() {
    for (spec, shape) in [
        (u_net(2, &[2, 3, 4]), vec![2, 2, 8, 4]),
        (u_net(3, &[2, 3]), vec![2, 2, 4, 2, 4]),
    ] {
        let network = UNet::from_parameters(parameters(), &spec).unwrap();
        let images = drawn("images", &shape);
        check_gradients(&format!("{spec:?}"), network.parameters(), || {
            weighed(&network.logits(&images, Mode::Train).unwrap())
        });
    }
}

#[test]
fn gradients_of_autoencoders() {
    let network = ConvVae::from_parameters(parameters(), &vae()).unwrap();
    let (images, noise) = (drawn("images", &[2, 2, 8, 8]), drawn("noise", &[2, 3]));
    check_gradients("conv-vae", network.parameters(), || {
        let out = network.reconstruct(&images, &noise).unwrap();
        out.loss(&images).unwrap()
    });
    let network = Hvae::from_parameters(parameters(), &hvae()).unwrap();
    let images = uniform(&mut stream(1, "models", "grey"), (2, 2, 4, 4), (-0.9, 0.9));
    let (images, parents) = (double(&images.unwrap()), drawn("parents", &[2, 2]));
    let shapes = network.spec().latent_shapes(2);
    let noise: Vec<_> = shapes.iter().map(|shape| drawn("noise", shape)).collect();
    check_gradients("hvae", network.parameters(), || {
        let out = network.forward(&images, &parents, &noise).unwrap();
        out.loss(0.7).unwrap()
    });
}

#[test]
fn outputs_have_the_documented_shapes() {
    for (spec, side) in [
        (u_net(2, &[4]), 5),
        (u_net(2, &[4, 6, 8]), 12),
        (u_net(3, &[4, 6]), 6),
    ] {
        let network = UNet::from_parameters(parameters(), &spec).unwrap();
        let mut shape = vec![2, 2];
        shape.extend(vec![side; spec.dimensions]);
        let out = network
            .logits(&drawn("images", &shape), Mode::Train)
            .unwrap();
        shape[1] = 3;
        assert_eq!(out.dims(), shape, "{spec:?}");
    }
    let network = ConvVae::from_parameters(parameters(), &vae()).unwrap();
    let out = network
        .reconstruct(&drawn("images", &[3, 2, 8, 8]), &drawn("noise", &[3, 3]))
        .unwrap();
    assert_eq!(out.reconstruction.dims(), [3, 2, 8, 8]);
    assert_eq!(
        (out.mean.dims(), out.log_variance.dims()),
        (&[3, 3][..], &[3, 3][..])
    );
}

/// The latents of an image under its own parents lead back to what the posterior path computed;
/// under other parents to another image.
#[test]
fn latents_of_an_hvae_decode_to_the_same_image() {
    let network = Hvae::new(&hvae(), 3, "models").unwrap();
    let rng = &mut stream(1, "models", "latents");
    let images = uniform(rng, (2, 2, 4, 4), (-0.9, 0.9)).unwrap();
    let parents = normal(rng, (2, 2), 0.0, 1.0).unwrap();
    let noise = network.draw_noise(2, rng).unwrap();
    let out = network.forward(&images, &parents, &noise).unwrap();
    let decode = |parents: &Tensor| network.decode(&out.latents, parents).unwrap();
    let (mean, log_scale) = decode(&parents);
    assert_eq!(
        (mean.dims(), log_scale.dims()),
        (&[2, 2, 4, 4][..], &[2, 2, 4, 4][..])
    );
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(&mean), values(&decode(&parents).0));
    assert_ne!(values(&mean), values(&decode(&(&parents + 1.0).unwrap()).0));
    // Priors start at mean 0 and deviation 1, so that the noise itself is the sample.
    let (sample, _) = network.sample(&noise, &parents).unwrap();
    let (given, _) = network.decode(&noise, &parents).unwrap();
    for (a, b) in values(&sample).iter().zip(values(&given)) {
        assert!((a - b).abs() < 0.5, "{a} {b}");
    }
}

#[test]
fn ill_sizes_are_errors() {
    let refused = |result: Result<(), NetError>, what: &str| {
        assert!(matches!(result, Err(NetError::Size { .. })), "{what}");
    };
    for spec in [
        u_net(1, &[2]),
        u_net(2, &[]),
        u_net(2, &[2, 0]),
        u_net(3, &[1; 40]),
    ] {
        refused(UNet::new(&spec, 0, "t").map(drop), &format!("{spec:?}"));
    }
    let network = UNet::from_parameters(parameters(), &u_net(2, &[2, 3])).unwrap();
    for shape in [
        vec![1, 2, 5, 4],
        vec![1, 1, 4, 4],
        vec![1, 2, 4, 4, 4],
        vec![1, 2, 0, 4],
    ] {
        let images = Tensor::zeros(shape.clone(), DType::F64, &Device::Cpu).unwrap();
        let result = network.logits(&images, Mode::Train).map(drop);
        refused(result, &format!("{shape:?}"));
    }
    for (side, widths, latent) in [
        (6, vec![2, 2], 1),
        (8, vec![], 1),
        (8, vec![2], 0),
        (0, vec![2], 1),
        (8, vec![1; 70], 1),
    ] {
        let spec = AutoencoderSpec {
            sides: [8, side],
            widths,
            latent,
            ..vae()
        };
        refused(ConvVae::new(&spec, 0, "t").map(drop), &format!("{spec:?}"));
    }
    for (encoder, decoder) in [
        ("4b1d2,2b1d2,1b1", "1b1,2b1"),
        ("4b1d2,2b1d2,1b1", "1b1,2b0,4b1"),
        ("4b1d2,2b1,1b1", "1b1,2b1,4b1"),
        ("4b1d2,2b1d2,2b1", "2b1,2b1,4b1"),
        ("4b1d3,2b1d2,1b1", "1b1,2b1,4b1"),
        ("4b0d2,2b1d2,1b1", "1b1,2b1,4b1"),
    ] {
        let spec = hvae().with_stages(encoder, decoder).unwrap();
        refused(
            Hvae::new(&spec, 0, "t").map(drop),
            &format!("{encoder} {decoder}"),
        );
    }
    for code in ["", "4", "4b", "b1", "4b1d", "-4b1", "4b99999999"] {
        refused(hvae().with_stages(code, "1b1").map(drop), code);
    }
}

#[test]
fn weights_survive_a_round_trip_under_the_published_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let written = Hvae::new(&hvae(), 1, "models").unwrap();
    let bytes = written.parameters().to_safetensors(&BTreeMap::new());
    std::fs::write(&path, bytes.unwrap()).unwrap();
    let read = Hvae::new(&hvae(), 2, "models").unwrap();
    read.parameters().load(&path).unwrap();
    let snapshot = |network: &Hvae| network.parameters().snapshot().unwrap();
    assert_eq!(snapshot(&written), snapshot(&read));
    let shapes: BTreeMap<_, _> = read.parameters().shapes().into_iter().collect();
    for (name, shape) in [
        ("encoder.stem.weight", vec![4, 2, 7, 7]),
        ("encoder.blocks.1.width_proj.weight", vec![6, 4, 1, 1]),
        ("decoder.blocks.3.posterior.conv.3.weight", vec![2, 2, 3, 3]),
        ("decoder.blocks.0.prior.conv.3.weight", vec![4, 4, 1, 1]),
        ("decoder.bias.2", vec![1, 4, 4, 4]),
        ("likelihood.x_logscale.bias", vec![2]),
    ] {
        assert_eq!(shapes[name], shape, "{name}");
    }
}
