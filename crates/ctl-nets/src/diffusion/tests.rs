use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use ctl_compute::random::{normal, stream};

use super::*;

fn spec(widths: &[usize]) -> DiffusionUNetSpec {
    DiffusionUNetSpec {
        channels: 2,
        sides: [4, 8],
        widths: widths.to_vec(),
        context: 3,
        time: 6,
    }
}

fn drawn(purpose: &str, shape: &[usize], dtype: DType) -> Tensor {
    let drawn = normal(&mut stream(1, "diffusion", purpose), shape, 0.0, 0.7).unwrap();
    drawn.to_dtype(dtype).unwrap()
}

fn disturbed(spec: &DiffusionUNetSpec, double: bool) -> DiffusionUNet {
    let parameters = Parameters::new(5, "diffusion");
    let parameters = if double {
        parameters.in_double_precision()
    } else {
        parameters
    };
    let network = DiffusionUNet::from_parameters(parameters, spec).unwrap();
    let shapes = network.parameters().shapes().into_iter();
    for ((name, shape), var) in shapes.zip(network.parameters().trained()) {
        let noise = (drawn(name, shape, var.dtype()) * 0.2).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
    }
    network
}

fn inputs(dtype: DType) -> (Tensor, Tensor) {
    let parents = drawn("parents", &[2, 3], dtype);
    (drawn("images", &[2, 2, 4, 8], dtype), parents)
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// One image with its parents, one without, so that every weight takes part.
#[test]
fn gradients() {
    const STEP: f64 = 1e-6;
    for widths in [vec![3], vec![4, 8, 5]] {
        let network = disturbed(&spec(&widths), true);
        let (images, parents) = inputs(DType::F64);
        let weights = drawn("weights", images.dims(), DType::F64);
        let loss = || {
            let out = network.forward(&images, &[3.0, 700.0], &parents, &[true, false]);
            let out = out.unwrap().tanh().unwrap().mul(&weights).unwrap();
            out.sum_all().unwrap()
        };
        let gradients = loss().backward().unwrap();
        let shapes = network.parameters().shapes().into_iter();
        for ((name, shape), var) in shapes.zip(network.parameters().trained()) {
            let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name}"));
            let direction = drawn(&format!("direction {name}"), shape, DType::F64);
            let slope: f64 = values(&gradient.mul(&direction).unwrap()).iter().sum();
            let centre = var.as_tensor().copy().unwrap();
            let at = |h: f64| {
                let moved = (&centre + (&direction * h).unwrap()).unwrap();
                var.set(&moved).unwrap();
                values(&loss())[0]
            };
            let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            var.set(&centre).unwrap();
            let gap = (quotient - slope).abs() / (1.0 + slope.abs());
            assert!(gap < 1e-6, "{name}: {slope} against {quotient}");
        }
    }
}

#[test]
fn the_output_is_zero_at_first_and_has_the_size_of_the_images() {
    let (images, parents) = inputs(DType::F32);
    let of = |network: &DiffusionUNet| {
        let out = network.forward(&images, &[1.0, 9.0], &parents, &[true; 2]);
        out.unwrap()
    };
    let fresh = DiffusionUNet::new(&spec(&[4, 8, 8]), 1, "t").unwrap();
    assert!(values(&of(&fresh)).iter().all(|&v| v == 0.0));
    let moved = of(&disturbed(&spec(&[4, 8, 8]), false));
    assert_eq!(moved.dims(), images.dims());
    assert!(values(&moved).iter().any(|v| v.abs() > 1e-2));
}

/// Withheld parents do not matter, those of the other image do; times always do.
#[test]
fn withheld_parents_have_no_part() {
    let network = disturbed(&spec(&[4, 8]), false);
    let (images, parents) = inputs(DType::F32);
    let other = (&parents + 1.0).unwrap();
    let of = |parents: &Tensor, times: [f64; 2]| {
        let out = network.forward(&images, &times, parents, &[true, false]);
        let out = out.unwrap();
        [0, 1].map(|row| values(&out.get(row).unwrap()))
    };
    let (before, after) = (of(&parents, [5.0; 2]), of(&other, [5.0; 2]));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    let later = of(&parents, [5.0, 6.0]);
    assert_eq!(before[0], later[0]);
    assert_ne!(before[1], later[1]);
}

/// `sin` and `cos` of 2 and of 2 / 100: 10000 to the power of a half is 100.
#[test]
fn waves_by_hand() {
    let expected = [
        0.909_297_426_8,
        0.019_998_666_7,
        -0.416_146_836_5,
        0.999_800_006_7,
    ];
    for (found, expected) in waves(&[2.0], 4).into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
}

#[test]
fn groups_divide_and_hold_four_channels_where_there_are_more() {
    for (channels, expected) in [
        (1, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (8, 2),
        (12, 3),
        (32, 8),
        (36, 6),
    ] {
        assert_eq!(groups(channels), expected, "{channels}");
    }
}

#[test]
fn weights_have_the_names_and_shapes_of_modules() {
    let network = disturbed(&spec(&[4, 8]), false);
    let shapes: BTreeMap<_, _> = network.parameters().shapes().into_iter().collect();
    for (name, shape) in [
        ("time.0.weight", vec![6, 6]),
        ("parents.0.weight", vec![6, 3]),
        ("null", vec![6]),
        ("stem.weight", vec![4, 2, 3, 3]),
        ("down0.shrink.weight", vec![4, 4, 3, 3]),
        ("down1.block.shortcut.weight", vec![8, 4, 1, 1]),
        ("up0.enlarge.weight", vec![4, 8, 3, 3]),
        ("up0.block.conv1.weight", vec![4, 8, 3, 3]),
        ("up0.block.embedding.weight", vec![8, 6]),
        ("head.weight", vec![2, 4, 3, 3]),
    ] {
        assert_eq!(shapes[name], shape, "{name}");
    }
}

/// A change that makes settings ill, and the key that the error names.
type Case = (fn(&mut DiffusionUNetSpec), &'static str);

#[test]
fn ill_sizes_are_errors() {
    let refused = |result: Result<()>, key: &str| match result {
        Err(NetError::Size { key: found, .. }) => assert_eq!(found, key),
        other => panic!("{key}: {other:?}"),
    };
    let good = spec(&[4, 8]);
    let cases: [Case; 9] = [
        (|s| s.channels = 0, "channels and context"),
        (|s| s.context = 0, "channels and context"),
        (|s| s.widths.clear(), "widths"),
        (|s| s.widths[1] = 0, "widths"),
        (|s| s.widths = vec![1; 70], "widths"),
        (|s| s.widths = vec![4; 4], "sides"),
        (|s| s.sides = [0, 4], "sides"),
        (|s| s.time = 5, "time"),
        (|s| s.time = 0, "time"),
    ];
    for (change, key) in cases {
        let mut changed = good.clone();
        change(&mut changed);
        refused(DiffusionUNet::new(&changed, 0, "t").map(drop), key);
    }
    let network = DiffusionUNet::new(&good, 0, "t").unwrap();
    let (images, parents) = inputs(DType::F32);
    let of = |images: &Tensor, times: &[f64], parents: &Tensor, present: &[bool]| {
        network.forward(images, times, parents, present).map(drop)
    };
    let turned = images.t().unwrap().contiguous().unwrap();
    refused(of(&turned, &[1.0; 2], &parents, &[true; 2]), "images");
    let fewer = parents.narrow(1, 0, 2).unwrap();
    refused(of(&images, &[1.0; 2], &fewer, &[true; 2]), "parents");
    refused(
        of(&images, &[1.0], &parents, &[true; 2]),
        "times and presences",
    );
    refused(
        of(&images, &[1.0; 2], &parents, &[true; 3]),
        "times and presences",
    );
}
