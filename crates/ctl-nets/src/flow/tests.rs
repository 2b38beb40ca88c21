use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::random::{normal, stream, uniform};

use super::*;
use crate::NetError;

fn spec(channels: usize, sides: [usize; 2], levels: usize) -> CouplingFlowSpec {
    CouplingFlowSpec {
        levels,
        steps: 2,
        hidden: 3,
        ..CouplingFlowSpec::small(channels, sides, 2)
    }
}

/// Every weight a little away from its first value, at which couplings do nothing.
fn disturb(parameters: &Parameters, size: f64) {
    let shapes = parameters.shapes();
    let names: Vec<&str> = shapes.iter().map(|(name, _)| *name).collect();
    for (name, var) in names.into_iter().zip(parameters.trained()) {
        // A triangle of many independent weights would hardly be invertible in single precision.
        let size = size / (var.dims()[var.rank() - 1] as f64).sqrt();
        let noise = normal(&mut stream(4, "flow", name), var.dims(), 0.0, size).unwrap();
        let noise = noise.to_dtype(var.dtype()).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
    }
}

fn disturbed(spec: &CouplingFlowSpec, double: bool) -> CouplingFlow {
    let parameters = Parameters::new(5, "flow");
    let parameters = if double {
        parameters.in_double_precision()
    } else {
        parameters
    };
    let flow = CouplingFlow::from_parameters(parameters, spec).unwrap();
    disturb(flow.parameters(), 0.2);
    flow
}

fn inputs(flow: &CouplingFlow, batch: usize) -> (Tensor, Tensor) {
    let [height, width] = flow.spec().sides;
    let rng = &mut stream(1, "flow", "inputs");
    let shape = (batch, flow.spec().channels, height, width);
    let images = uniform(rng, shape, (0.0, 1.0)).unwrap();
    let parents = normal(rng, (batch, flow.spec().context), 0.0, 1.0).unwrap();
    let of = |t: Tensor| t.to_dtype(flow.dtype()).unwrap();
    (of(images), of(parents))
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

fn gap(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn what_goes_in_comes_back() {
    for (double, tolerance) in [(false, 1e-5), (true, 1e-9)] {
        for (channels, sides, levels) in [(1, [8, 8], 2), (2, [4, 8], 1), (3, [8, 16], 3)] {
            let flow = disturbed(&spec(channels, sides, levels), double);
            let (images, parents) = inputs(&flow, 3);
            let out = flow.forward(&images, &parents).unwrap();
            let shapes: Vec<_> = out.latents.iter().map(|l| l.dims().to_vec()).collect();
            assert_eq!(shapes, flow.spec().latent_shapes(3));
            let back = flow.inverse(&out.latents, &parents).unwrap();
            assert_eq!(back.dims(), images.dims());
            let error = gap(&back, &images);
            assert!(error < tolerance, "{channels} {sides:?}: {error}");
            // Parents take part: under others another image comes back.
            let other = flow.inverse(&out.latents, &(parents + 1.0).unwrap());
            assert!(gap(&other.unwrap(), &images) > 1e-3);
        }
    }
}

/// `ln |det|` by elimination with pivots.
fn log_determinant(mut rows: Vec<Vec<f64>>) -> f64 {
    let mut total = 0.0;
    for step in 0..rows.len() {
        let best = (step..rows.len())
            .max_by(|&a, &b| rows[a][step].abs().total_cmp(&rows[b][step].abs()))
            .unwrap();
        rows.swap(step, best);
        let pivot = rows[step].clone();
        total += pivot[step].abs().ln();
        for row in rows.iter_mut().skip(step + 1) {
            let factor = row[step] / pivot[step];
            row.iter_mut()
                .zip(&pivot)
                .for_each(|(a, b)| *a -= factor * b);
        }
    }
    total
}

/// The matrix of central differences of all latent values by all image values.
#[test]
fn the_log_determinant_is_that_of_the_jacobian() {
    const STEP: f64 = 1e-5;
    for (channels, sides, levels) in [(1, [2, 2], 1), (2, [2, 4], 1), (1, [4, 4], 2)] {
        let flow = disturbed(&spec(channels, sides, levels), true);
        let (image, parents) = inputs(&flow, 1);
        let latents = |image: Vec<f64>| -> Vec<f64> {
            let shape = (1, channels, sides[0], sides[1]);
            let image = Tensor::from_vec(image, shape, &Device::Cpu).unwrap();
            let out = flow.forward(&image, &parents).unwrap();
            out.latents.iter().flat_map(values).collect()
        };
        let centre = values(&image);
        let rows = (0..centre.len()).map(|index| {
            let at = |step: f64| {
                let mut moved = centre.clone();
                moved[index] += step;
                latents(moved)
            };
            let pairs = at(STEP).into_iter().zip(at(-STEP));
            pairs.map(|(a, b)| (a - b) / (2.0 * STEP)).collect()
        });
        let expected = log_determinant(rows.collect());
        let found = flow.forward(&image, &parents).unwrap().log_determinant;
        let found = values(&found)[0];
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        assert!(found.abs() > 0.1, "{found} says nothing");
    }
}

/// The trapezoidal rule over the logit of each of the four values of a 2×2 image, from −8 to 8, with
/// `du = s (1 − s) / (1 − 2α) dy`: what the logit maps to the whole real line.
#[test]
fn the_density_integrates_to_one() {
    const POINTS: usize = 21;
    const REACH: f64 = 8.0;
    let flow = disturbed(&spec(1, [2, 2], 1), false);
    let step = 2.0 * REACH / (POINTS - 1) as f64;
    let logistic = |index: usize| 1.0 / (1.0 + (REACH - step * index as f64).exp());
    let place = |index: usize| ((logistic(index) - 0.05) / 0.9) as f32;
    let slope = |index: usize| logistic(index) * (1.0 - logistic(index)) / 0.9 * step;
    let inner = POINTS.pow(3);
    let parents = Tensor::new(&[[0.3f32, -0.8]], &Device::Cpu).unwrap();
    let parents = parents.broadcast_as((inner, 2)).unwrap();
    let parents = parents.contiguous().unwrap();
    let mut total = 0.0;
    for first in 0..POINTS {
        let point = |i: usize| [first, i / POINTS / POINTS, i / POINTS % POINTS, i % POINTS];
        let points: Vec<f32> = (0..inner).flat_map(point).map(place).collect();
        let images = Tensor::from_vec(points, (inner, 1, 2, 2), &Device::Cpu).unwrap();
        let out = flow.forward(&images, &parents).unwrap();
        let density = values(&out.log_density().unwrap()).into_iter().enumerate();
        let part = |(i, log): (usize, f64)| log.exp() * point(i).map(slope).iter().product::<f64>();
        total += density.map(part).sum::<f64>();
    }
    assert!((total - 1.0).abs() < 1e-3, "{total}");
}

#[test]
fn gradients_of_the_density() {
    const STEP: f64 = 1e-6;
    let flow = disturbed(&spec(2, [4, 4], 2), true);
    let (images, parents) = inputs(&flow, 2);
    let loss = || {
        let out = flow.forward(&images, &parents).unwrap();
        out.log_density().unwrap().mean_all().unwrap()
    };
    let gradients = loss().backward().unwrap();
    let shapes = flow.parameters().shapes().into_iter();
    for ((name, shape), var) in shapes.zip(flow.parameters().trained()) {
        let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name}"));
        let direction = normal(&mut stream(2, "direction", name), shape, 0.0, 1.0).unwrap();
        let direction = direction.to_dtype(DType::F64).unwrap();
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

/// Couplings begin neutral and mixings as rotations, so that the latents of one step are the
/// normalised values turned: lengths show it.
#[test]
fn the_first_batch_is_normalised_once_fitted() {
    let spec = CouplingFlowSpec {
        steps: 1,
        ..spec(1, [8, 8], 1)
    };
    let flow = CouplingFlow::new(&spec, 1, "flow").unwrap();
    let (images, parents) = inputs(&flow, 16);
    let images = (images * 0.3).unwrap();
    let rows = || {
        let out = flow.forward(&images, &parents).unwrap();
        out.latents[0].reshape(((), 4)).unwrap()
    };
    assert!(!flow.is_initialised().unwrap());
    let before = values(&rows().mean(0).unwrap());
    assert!(before.iter().any(|mean| mean.abs() > 0.5), "{before:?}");
    flow.initialise(&images, &parents).unwrap();
    assert!(flow.is_initialised().unwrap());
    let rows = rows();
    let means = values(&rows.mean(0).unwrap());
    assert!(means.iter().all(|mean| mean.abs() < 1e-4), "{means:?}");
    let square = values(&rows.sqr().unwrap().mean_all().unwrap())[0];
    assert!((square - 1.0).abs() < 1e-4, "{square}");
}

#[test]
fn mixings_begin_as_rotations_and_differ() {
    for channels in [2, 4, 12] {
        let p = &mut Parameters::new(3, "flow").in_double_precision();
        let mixing = Mixing::new(p, "a", channels).unwrap();
        let weight = mixing.weight().unwrap();
        let product = weight.matmul(&weight.t().unwrap()).unwrap();
        let eye = Tensor::eye(channels, DType::F64, &Device::Cpu).unwrap();
        // Normal draws are single precision, the rotation made from them is not.
        assert!(gap(&product, &eye) < 1e-9, "{channels}");
        assert!(values(&mixing.log_determinant().unwrap())[0].abs() < 1e-9);
        assert!(gap(&weight, &eye) > 0.1);
        let other = Mixing::new(p, "b", channels).unwrap();
        assert!(gap(&weight, &other.weight().unwrap()) > 0.1);
    }
}

#[test]
fn a_stored_flow_is_the_same_map() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let written = disturbed(&spec(1, [4, 4], 2), false);
    let (images, parents) = inputs(&written, 2);
    written.initialise(&images, &parents).unwrap();
    let bytes = written.parameters().to_safetensors(&BTreeMap::new());
    std::fs::write(&path, bytes.unwrap()).unwrap();
    let read = CouplingFlow::new(written.spec(), 99, "other").unwrap();
    let density = |flow: &CouplingFlow| {
        let out = flow.forward(&images, &parents).unwrap();
        values(&out.log_density().unwrap())
    };
    assert_ne!(density(&written), density(&read));
    read.parameters().load(&path).unwrap();
    assert_eq!(density(&written), density(&read));
    assert!(read.is_initialised().unwrap());
    let shapes: BTreeMap<_, _> = read.parameters().shapes().into_iter().collect();
    assert_eq!(shapes["levels.1.0.mixing.lower"], [8, 8]);
    assert_eq!(shapes["levels.0.1.coupling.last.weight"], [4, 3, 3, 3]);
}

/// A change that makes settings ill, and the key that the error names.
type Case = (fn(&mut CouplingFlowSpec), &'static str);

#[test]
fn ill_sizes_are_errors() {
    let refused = |result: Result<()>, key: &str| match result {
        Err(NetError::Size { key: found, .. }) => assert_eq!(found, key),
        other => panic!("{key}: {other:?}"),
    };
    let good = spec(1, [4, 4], 2);
    let counts = "channels, context, levels, steps, hidden";
    let cases: [Case; 10] = [
        (|s| s.channels = 0, counts),
        (|s| s.levels = 0, counts),
        (|s| s.hidden = 0, counts),
        (|s| s.sides = [4, 6], "sides"),
        (|s| s.sides = [0, 4], "sides"),
        (|s| s.levels = 70, "sides"),
        (|s| s.log_scale_bound = 0.0, "log_scale_bound"),
        (|s| s.log_scale_bound = f64::NAN, "log_scale_bound"),
        (|s| s.alpha = 0.5, "alpha"),
        (|s| s.alpha = f64::NAN, "alpha"),
    ];
    for (change, key) in cases {
        let mut changed = good.clone();
        change(&mut changed);
        refused(CouplingFlow::new(&changed, 0, "t").map(drop), key);
    }
    let flow = disturbed(&good, false);
    let (images, parents) = inputs(&flow, 2);
    let narrow = images.narrow(3, 0, 2).unwrap();
    refused(flow.forward(&narrow, &parents).map(drop), "images");
    let fewer = parents.narrow(0, 0, 1).unwrap();
    refused(flow.forward(&images, &fewer).map(drop), "parents");
    let latents = flow.forward(&images, &parents).unwrap().latents;
    refused(flow.inverse(&latents[..1], &parents).map(drop), "latents");
    refused(flow.inverse(&latents, &fewer).map(drop), "latents");
    let wide = parents.t().unwrap().narrow(0, 0, 1).unwrap();
    refused(
        flow.inverse(&latents, &wide.contiguous().unwrap())
            .map(drop),
        "latents",
    );
}
