//! What the tests of image mechanisms share: images of two kinds, training, gradients.

use candle_core::{DType, Device, Tensor};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{normal, stream, uniform};
use ctl_nets::Parameters;

use super::{ImageMechanism, ImageNoise};

pub(super) const SHAPE: [usize; 3] = [1, 4, 4];
/// Grey value of the bright half of an image; the other is as far below the middle.
pub(super) const BRIGHT: f32 = 0.8;
pub(super) const PARENTS: usize = 2;

/// Grey images, bright on the left under the first parent and on the right under the second, the
/// kinds in turn, with noise up to a tenth.
pub(super) fn kinds(batch: usize, purpose: &str) -> (Tensor, Tensor) {
    let is_bright = |index: usize| (index % 4 < 2) == (index / 16).is_multiple_of(2);
    let clean = (0..16 * batch).map(|i| if is_bright(i) { BRIGHT } else { 1.0 - BRIGHT });
    let clean = Tensor::from_iter(clean, &Device::Cpu).unwrap();
    let clean = clean.reshape((batch, 1, 4, 4)).unwrap();
    let rng = &mut stream(1, "toy", purpose);
    let noise = uniform(rng, (batch, 1, 4, 4), (-0.1, 0.1)).unwrap();
    // On grey levels, as images are.
    let images = (((clean + noise).unwrap() * 255.0).unwrap().round().unwrap() / 255.0).unwrap();
    let parents = (0..batch).flat_map(|row| [(row + 1) % 2, row % 2]);
    let parents = Tensor::from_iter(parents.map(|p| p as f32), &Device::Cpu).unwrap();
    (images, parents.reshape((batch, PARENTS)).unwrap())
}

/// The other parent of each image.
pub(super) fn others(parents: &Tensor) -> Tensor {
    parents.affine(-1.0, 1.0).unwrap()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

pub(super) fn gap(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Mean of the left half less that of the right, of each image.
pub(super) fn contrasts(images: &Tensor) -> Vec<f64> {
    let half = |start| images.narrow(3, start, 2).unwrap().flatten_from(1).unwrap();
    let difference = half(0).mean(1).unwrap() - half(2).mean(1).unwrap();
    values(&difference.unwrap())
}

/// Every weight a little away from its first value, at which the last layers are zero.
pub(crate) fn disturb(parameters: &Parameters, size: f64) {
    let shapes = parameters.shapes();
    let names: Vec<&str> = shapes.iter().map(|(name, _)| *name).collect();
    for (name, var) in names.into_iter().zip(parameters.trained()) {
        let size = size / (var.dims()[var.rank() - 1] as f64).sqrt();
        let noise = normal(&mut stream(4, "toy", name), var.dims(), 0.0, size).unwrap();
        let noise = noise.to_dtype(var.dtype()).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
    }
}

/// The loss over the same images, times and noises whenever it is asked.
pub(super) fn loss(mechanism: &dyn ImageMechanism) -> f64 {
    let (images, parents) = kinds(64, "held out");
    let rng = &mut stream(1, "toy", "loss");
    let loss = mechanism.loss(&images, &parents, 1, rng).unwrap();
    values(&loss.total)[0]
}

pub(super) fn train(mechanism: &dyn ImageMechanism, steps: u64, learning_rate: f64) {
    let params = AdamParams {
        learning_rate,
        ..AdamParams::default()
    };
    let mut adam = Adam::new(mechanism.parameters().trained(), params).unwrap();
    for step in 0..steps {
        let (images, parents) = kinds(32, &format!("step {step}"));
        let rng = &mut stream(2, "toy", &format!("step {step}"));
        let loss = mechanism.loss(&images, &parents, step, rng).unwrap();
        adam.step(&loss.total.backward().unwrap()).unwrap();
    }
}

/// Every weight's gradient along a random direction against the central difference of the loss.
pub(super) fn check_gradients(mechanism: &dyn ImageMechanism) {
    let (images, parents) = kinds(4, "gradients");
    check_gradients_of(mechanism.parameters(), 1, &|| {
        let rng = &mut stream(3, "toy", "loss");
        let loss = mechanism.loss(&images, &parents, 1, rng).unwrap();
        let sum: f64 = loss.terms.iter().map(|(_, term)| values(term)[0]).sum();
        assert!((values(&loss.total)[0] - sum).abs() < 1e-12);
        loss.total
    });
}

/// The same of any loss of weights in double precision, for every so many of them.
pub(crate) fn check_gradients_of(parameters: &Parameters, every: usize, loss: &dyn Fn() -> Tensor) {
    const STEP: f64 = 1e-6;
    let gradients = loss().backward().unwrap();
    let all = parameters.shapes().into_iter().zip(parameters.trained());
    for ((name, shape), var) in all.step_by(every) {
        let direction = normal(&mut stream(5, "toy", name), shape, 0.0, 1.0).unwrap();
        let direction = direction.to_dtype(DType::F64).unwrap();
        // A loss that does not depend on a weight may say so by leaving its gradient out.
        let slope: f64 = gradients.get(&var).map_or(0.0, |gradient| {
            values(&gradient.mul(&direction).unwrap()).iter().sum()
        });
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

/// The bits of a loss, a density, an abducted and a drawn noise and their images.
pub(super) fn bits(mechanism: &dyn ImageMechanism, seed: u64) -> Vec<Vec<u64>> {
    let (images, parents) = kinds(3, "bits");
    let rng = &mut stream(seed, "toy", "bits");
    let loss = mechanism.loss(&images, &parents, 1, rng).unwrap().total;
    let density = mechanism.log_prob(&images, &parents, rng).unwrap().unwrap();
    let mut found = vec![values(&loss), density];
    let abducted = mechanism.abduct(&images, &parents, rng).unwrap();
    let drawn = mechanism.draw_noise(3, rng).unwrap();
    for noise in [abducted, drawn] {
        found.push(noise.latents.iter().flat_map(values).collect());
        found.push(values(&mechanism.predict(&noise, &parents).unwrap()));
    }
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    found.into_iter().map(bits).collect()
}

/// Ill shapes of images, parents and noises are refused by whatever takes them.
pub(super) fn refuses_ill_shapes(mechanism: &dyn ImageMechanism) {
    let (images, parents) = kinds(2, "ill");
    let rng = &mut stream(0, "toy", "ill");
    let noise = mechanism.draw_noise(2, rng).unwrap();
    let narrow = images.narrow(3, 0, 2).unwrap();
    let fewer = parents.narrow(0, 0, 1).unwrap();
    let thin = parents.narrow(1, 0, 1).unwrap();
    for (images, parents) in [(&narrow, &parents), (&images, &fewer), (&images, &thin)] {
        assert!(mechanism.loss(images, parents, 0, rng).is_err());
        assert!(mechanism.log_prob(images, parents, rng).is_err());
        assert!(mechanism.abduct(images, parents, rng).is_err());
    }
    assert!(mechanism.predict(&noise, &parents).is_ok());
    for parents in [&fewer, &thin] {
        assert!(mechanism.predict(&noise, parents).is_err());
    }
    let none = ImageNoise {
        latents: Vec::new(),
        residual: None,
    };
    assert!(mechanism.predict(&none, &parents).is_err());
    let residual = ImageNoise {
        residual: Some(images),
        ..noise
    };
    assert!(mechanism.predict(&residual, &parents).is_err());
}
