//! Networks that methods build around the suite's: their weights survive files and snapshots.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::random::{normal, stream};
use ctl_invariance::Method;
use ctl_nets::{Architecture, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec, Origin};
use safetensors::tensor::SafeTensors;

use crate::Registry;

const SIDE: usize = 16;
const ATTRIBUTES: usize = 2;
/// One of every kind of network that methods meet.
const KINDS: [Architecture; 8] = [
    Architecture::Mlp,
    Architecture::SmallCnn,
    Architecture::SmallUNet,
    Architecture::FusionLate,
    Architecture::ReconUNet,
    Architecture::Unrolled,
    Architecture::Autoencoder,
    Architecture::Vae,
];

fn spec(architecture: Architecture) -> NetworkSpec {
    let complex = matches!(
        architecture,
        Architecture::ReconUNet | Architecture::Unrolled
    );
    let restores = matches!(architecture, Architecture::Autoencoder | Architecture::Vae);
    NetworkSpec {
        architecture,
        channels: if complex { 2 } else { 1 },
        height: SIDE,
        width: SIDE,
        outputs: if restores { 1 } else { 2 },
        attributes: ATTRIBUTES,
        hidden: None,
    }
}

/// Random weights and running statistics, as a few steps would leave them.
fn disturb(network: &dyn Network) {
    let mut snapshot = network.parameters().snapshot().unwrap();
    for (name, values) in &mut snapshot {
        let noise = normal(&mut stream(5, name, "noise"), values.len(), 0.0, 0.1).unwrap();
        let noise = noise.to_vec1::<f32>().unwrap();
        for (value, noise) in values.iter_mut().zip(noise) {
            *value += noise.abs();
        }
    }
    network.parameters().restore(&snapshot).unwrap();
}

fn forward(spec: &NetworkSpec, network: &dyn Network, mode: Mode) -> NetworkOutput {
    let drawn = |shape: &[usize]| normal(&mut stream(1, "wrapped", "input"), shape, 0.0, 1.0);
    let images = drawn(&[4, spec.channels, SIDE, SIDE]).unwrap();
    let context = match spec.architecture {
        Architecture::FusionLate => Some(drawn(&[4, 2 * ATTRIBUTES]).unwrap()),
        Architecture::ReconUNet | Architecture::Unrolled => {
            Some(Tensor::ones((4, SIDE), DType::F32, &Device::Cpu).unwrap())
        }
        _ => None,
    };
    let origin = Origin {
        environments: &[0, 0, 1, 1],
        step: 2,
    };
    let input = NetworkInput {
        origin: (mode == Mode::Train).then_some(origin),
        ..NetworkInput::new(&images, context.as_ref())
    };
    network.forward(input, mode).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn outputs(spec: &NetworkSpec, network: &dyn Network) -> Vec<f32> {
    values(&forward(spec, network, Mode::Evaluate).outputs)
}

fn build(method: &dyn Method, spec: &NetworkSpec, seed: u64) -> Box<dyn Network> {
    let settings = method.defaults();
    method.network(&settings, spec, (seed, "wrapped")).unwrap()
}

/// Every method's network, of every kind, through a file and through a snapshot.
#[test]
fn networks_of_methods_are_saved_loaded_and_restored() {
    let registry = Registry::standard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for architecture in KINDS {
        let spec = spec(architecture);
        let plain = spec.build(0, "wrapped").unwrap();
        for method in registry.iter() {
            let what = format!("{} around {}", method.info().id, architecture.name());
            let network = build(method, &spec, 0);
            let parameters = network.parameters();
            forward(&spec, network.as_ref(), Mode::Train);
            disturb(network.as_ref());
            let expected = outputs(&spec, network.as_ref());

            let bytes = parameters.to_safetensors(&BTreeMap::new()).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let stored = parameters.trained().len() + parameters.buffers().count();
            assert_eq!(file.len(), stored, "{what}: a name is used twice");
            for (name, _) in plain.parameters().shapes() {
                assert!(file.tensor(name).is_ok(), "{what}: {name} is missing");
            }
            std::fs::write(&path, &bytes).unwrap();
            let loaded = build(method, &spec, 9);
            assert_ne!(outputs(&spec, loaded.as_ref()), expected, "{what}");
            loaded.parameters().load(&path).unwrap();
            assert_eq!(outputs(&spec, loaded.as_ref()), expected, "{what}");

            let restored = build(method, &spec, 9);
            let snapshot = parameters.snapshot().unwrap();
            restored.parameters().restore(&snapshot).unwrap();
            assert_eq!(outputs(&spec, restored.as_ref()), expected, "{what}");
        }
    }
}

/// Methods that change maps in training only leave the network as it is in use.
#[test]
fn in_evaluation_changed_maps_are_plain() {
    let registry = Registry::standard();
    for architecture in KINDS {
        let spec = spec(architecture);
        let plain = spec.build(0, "wrapped").unwrap();
        let expected = forward(&spec, plain.as_ref(), Mode::Evaluate);
        for id in ["mixstyle", "sagnet", "rsc", "mcd"] {
            let what = format!("{id} around {}", architecture.name());
            let network = build(registry.get(id).unwrap(), &spec, 0);
            let found = forward(&spec, network.as_ref(), Mode::Evaluate);
            assert_eq!(values(&found.outputs), values(&expected.outputs), "{what}");
            assert_eq!(
                found.penalty.as_ref().map(values),
                expected.penalty.as_ref().map(values),
                "{what}"
            );
            assert_eq!(
                found.feature_map.as_ref().map(values),
                expected.feature_map.as_ref().map(values),
                "{what}"
            );
        }
    }
}
