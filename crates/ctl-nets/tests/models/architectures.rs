//! Every architecture, by its specification.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::gaussian_divergence;
use ctl_compute::random::{normal, stream};
use ctl_compute::runtime::join_threads;
use ctl_nets::{
    Architecture, AutoencoderSpec, ConvVae, Mode, NetError, Network, NetworkInput, NetworkOutput,
    NetworkSpec,
};

use super::support::{check_gradients, double, parameters, weighed};

const BATCH: usize = 3;

/// A specification, what stands beside its images, and the shape of an output.
struct Case {
    spec: NetworkSpec,
    context: Option<Tensor>,
    output: Vec<usize>,
}

fn random(purpose: &str, shape: &[usize]) -> Tensor {
    normal(&mut stream(2, "architectures", purpose), shape, 0.0, 1.0).unwrap()
}

/// Values of two attributes and their indicators, some and then all of them missing.
fn attributes() -> Tensor {
    let rows = [[0.4f32, -1.2, 1.0, 1.0], [0.0, 0.3, 0.0, 1.0], [0.0; 4]];
    Tensor::new(&rows, &Device::Cpu).unwrap()
}

/// Every third column, and which is the first of them differs between the images.
fn columns(width: usize) -> Tensor {
    let of = |place: usize| f32::from(u8::from((place % width + place / width).is_multiple_of(3)));
    let all: Vec<f32> = (0..BATCH * width).map(of).collect();
    Tensor::from_vec(all, (BATCH, width), &Device::Cpu).unwrap()
}

fn case(architecture: Architecture) -> Case {
    let mut spec = NetworkSpec {
        architecture,
        channels: 2,
        height: 16,
        width: 32,
        outputs: 3,
        attributes: 0,
        hidden: None,
    };
    let mut context = None;
    let output = match architecture {
        Architecture::Mlp
        | Architecture::SmallCnn
        | Architecture::MnistCnn
        | Architecture::ResNet18 => {
            spec.width = 9;
            vec![BATCH, 3]
        }
        Architecture::FusionLate | Architecture::FusionIntermediate => {
            spec.attributes = 2;
            context = Some(attributes());
            vec![BATCH, 3]
        }
        Architecture::ReconUNet
        | Architecture::ReconUNetConsistent
        | Architecture::Unrolled
        | Architecture::Autoencoder
        | Architecture::Vae => {
            spec.outputs = 2;
            context = match architecture {
                Architecture::Autoencoder => None,
                Architecture::Vae => Some(random("noise", &[BATCH, 64])),
                _ => Some(columns(spec.width)),
            };
            vec![BATCH, 2, spec.height, spec.width]
        }
        Architecture::UNet | Architecture::SmallUNet => vec![BATCH, 3, spec.height, spec.width],
    };
    Case {
        spec,
        context,
        output,
    }
}

impl Case {
    fn images(&self) -> Tensor {
        let spec = &self.spec;
        random("images", &[BATCH, spec.channels, spec.height, spec.width])
    }

    fn run(&self, network: &dyn Network, mode: Mode) -> NetworkOutput {
        let images = self.images();
        let input = NetworkInput::new(&images, self.context.as_ref());
        network.forward(input, mode).unwrap()
    }
}

/// A number that every part of an output moves.
fn loss(out: &NetworkOutput) -> Tensor {
    let parts = [
        Some(&out.features),
        out.feature_map.as_ref(),
        out.penalty.as_ref(),
    ];
    let parts = parts.into_iter().flatten().map(weighed);
    parts.fold(weighed(&out.outputs), |sum, part| (sum + part).unwrap())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn shapes_are_the_documented_ones() {
    for architecture in Architecture::ALL {
        let case = case(architecture);
        let network = case.spec.build(0, "t").unwrap();
        for mode in [Mode::Train, Mode::Evaluate] {
            let out = case.run(&*network, mode);
            assert_eq!(out.outputs.dims(), case.output, "{architecture:?}");
            assert_eq!(out.features.dims(), [BATCH, network.feature_width()]);
            if let Some(map) = &out.feature_map {
                assert_eq!((map.rank(), map.dims()[0]), (4, BATCH));
            }
            if let Some(head) = network.head() {
                let again = head.forward(&out.features).unwrap();
                assert_eq!(numbers(&again), numbers(&out.outputs), "{architecture:?}");
            }
            assert!(numbers(&out.outputs).iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for architecture in Architecture::ALL {
        let case = case(architecture);
        let network = case.spec.build_from(parameters()).unwrap();
        let images = double(&case.images());
        let context = case.context.as_ref().map(double);
        let input = || NetworkInput::new(&images, context.as_ref());
        check_gradients(architecture.name(), network.parameters(), || {
            loss(&network.forward(input(), Mode::Train).unwrap())
        });
    }
}

#[test]
fn weights_depend_on_the_seed_and_the_run_alone() {
    for architecture in Architecture::ALL {
        let build = |seed, run| {
            let network = case(architecture).spec.build(seed, run).unwrap();
            network.parameters().snapshot().unwrap()
        };
        assert_eq!(build(1, "a"), build(1, "a"));
        assert_ne!(build(1, "a"), build(2, "a"));
        assert_ne!(build(1, "a"), build(1, "b"));
    }
}

#[test]
fn weights_survive_a_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for architecture in Architecture::ALL {
        let case = case(architecture);
        let [written, read] = [1, 2].map(|seed| case.spec.build(seed, "t").unwrap());
        // So that running statistics are not the first ones.
        case.run(&*written, Mode::Train);
        let bytes = written.parameters().to_safetensors(&BTreeMap::new());
        std::fs::write(&path, bytes.unwrap()).unwrap();
        read.parameters().load(&path).unwrap();
        let outputs = [&written, &read].map(|n| numbers(&case.run(&**n, Mode::Evaluate).outputs));
        assert_eq!(outputs[0], outputs[1], "{architecture:?}");
    }
}

/// Output and all gradients of a training pass on a pool of so many threads.
fn pass_on(threads: usize, architecture: Architecture) -> Vec<u32> {
    let pass = move || {
        let _pool = join_threads(threads).unwrap();
        let case = case(architecture);
        let network = case.spec.build(0, "t").unwrap();
        let out = case.run(&*network, Mode::Train);
        let loss = loss_in_single(&out);
        let gradients = loss.backward().unwrap();
        let vars = network.parameters().trained();
        let all = vars.iter().filter_map(|var| gradients.get(var).cloned());
        all.chain([out.outputs])
            .flat_map(|tensor| numbers(&tensor))
            .map(f32::to_bits)
            .collect()
    };
    std::thread::spawn(pass).join().unwrap()
}

fn loss_in_single(out: &NetworkOutput) -> Tensor {
    let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
    loss(&NetworkOutput {
        features: wide(&out.features),
        outputs: wide(&out.outputs),
        feature_map: out.feature_map.as_ref().map(wide),
        penalty: out.penalty.as_ref().map(wide),
        head: None,
    })
}

#[test]
fn same_bytes_on_one_and_two_threads() {
    for architecture in Architecture::ALL {
        assert_eq!(
            pass_on(1, architecture),
            pass_on(2, architecture),
            "{architecture:?}"
        );
    }
}

#[test]
fn names_and_specifications_read_back() {
    for architecture in Architecture::ALL {
        let text = serde_json::to_string(&architecture).unwrap();
        assert_eq!(text, format!("\"{}\"", architecture.name()));
        let spec = case(architecture).spec;
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec);
        let unknown = text.replace("height", "depth");
        assert!(serde_json::from_str::<NetworkSpec>(&unknown).is_err());
    }
    let old = r#"{"architecture":"mlp","channels":1,"height":2,"width":3,"outputs":4}"#;
    let spec: NetworkSpec = serde_json::from_str(old).unwrap();
    assert_eq!(spec.attributes, 0);
}

fn fault(spec: &NetworkSpec) -> String {
    match spec.build(0, "t").map(drop) {
        Err(error @ NetError::Size { .. }) => error.to_string(),
        other => panic!("{spec:?}: {other:?}"),
    }
}

#[test]
fn ill_sizes_name_architecture_and_key() {
    for architecture in Architecture::ALL {
        let good = case(architecture).spec;
        let name = architecture.name();
        for (key, ill) in [
            (
                "channels",
                NetworkSpec {
                    channels: 0,
                    ..good
                },
            ),
            ("outputs", NetworkSpec { outputs: 0, ..good }),
            ("height", NetworkSpec { height: 0, ..good }),
            ("width", NetworkSpec { width: 0, ..good }),
        ] {
            let message = fault(&ill);
            let start = format!("network {name}: {key} must be ");
            assert!(
                message.starts_with(&start) && message.ends_with("found 0"),
                "{message}"
            );
        }
        let granularity = architecture.granularity();
        if granularity > 1 {
            let ill = NetworkSpec {
                height: granularity + 1,
                ..good
            };
            let message = fault(&ill);
            assert!(
                message.contains(&format!("a multiple of {granularity}")),
                "{message}"
            );
        }
        let network = good.build(0, "t").unwrap();
        let other = random("other", &[2, good.channels + 1, good.height, good.width]);
        let context = case(architecture).context;
        let input = NetworkInput::new(&other, context.as_ref());
        assert!(network.forward(input, Mode::Evaluate).is_err(), "{name}");
    }
}

#[test]
fn what_goes_in_must_be_able_to_come_out() {
    for architecture in [
        Architecture::ReconUNet,
        Architecture::ReconUNetConsistent,
        Architecture::Unrolled,
        Architecture::Autoencoder,
        Architecture::Vae,
    ] {
        let good = case(architecture).spec;
        let message = fault(&NetworkSpec { outputs: 1, ..good });
        let start = format!("network {}: outputs must be ", architecture.name());
        assert!(message.starts_with(&start), "{message}");
    }
    for architecture in [Architecture::FusionLate, Architecture::FusionIntermediate] {
        let good = case(architecture).spec;
        let message = fault(&NetworkSpec {
            attributes: 0,
            hidden: None,
            ..good
        });
        assert!(
            message.contains("attributes must be at least 1, found 0"),
            "{message}"
        );
    }
}

/// Noise moves the outputs in training alone; the penalty is the divergence as another operator
/// has it.
#[test]
fn the_variational_autoencoder_as_a_network() {
    let case = case(Architecture::Vae);
    let network = case.spec.build(0, "t").unwrap();
    let [trained, evaluated] = [Mode::Train, Mode::Evaluate].map(|mode| case.run(&*network, mode));
    assert_ne!(numbers(&trained.outputs), numbers(&evaluated.outputs));
    assert_eq!(numbers(&trained.features), numbers(&evaluated.features));
    let images = case.images();
    let without = network.forward((&images).into(), Mode::Train).unwrap();
    assert_eq!(numbers(&without.outputs), numbers(&evaluated.outputs));
    let map = without.feature_map.unwrap();
    assert_eq!(
        map.dims(),
        [BATCH, 32, case.spec.height / 4, case.spec.width / 4]
    );

    let spec = AutoencoderSpec::small(2, [case.spec.height, case.spec.width]);
    let (mean, log_variance) = ConvVae::new(&spec, 0, "t")
        .unwrap()
        .encode(&images)
        .unwrap();
    assert_eq!(numbers(&mean), numbers(&trained.features));
    let law = Tensor::cat(&[&mean, &(log_variance * 0.5).unwrap()], 1).unwrap();
    let divergence = gaussian_divergence(&law, &law.zeros_like().unwrap(), 64).unwrap();
    // Twice the variance 0.05 over the number of values.
    let factor = 0.1 / (2 * case.spec.height * case.spec.width) as f32;
    for (penalty, kl) in numbers(&trained.penalty.unwrap())
        .iter()
        .zip(numbers(&divergence))
    {
        assert!(
            *penalty > 0.0 && (penalty - factor * kl).abs() < 1e-5 * penalty,
            "{penalty} {kl}"
        );
    }
    let short = random("short", &[BATCH, 63]);
    let input = NetworkInput::new(&images, Some(&short));
    let message = network.forward(input, Mode::Train).unwrap_err().to_string();
    assert!(
        message.starts_with("network vae: context must be [B, Z]"),
        "{message}"
    );
}
