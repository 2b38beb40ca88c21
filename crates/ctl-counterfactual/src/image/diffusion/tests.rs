use candle_core::DType;
use ctl_compute::random::stream;

use super::super::toy::{self, SHAPE, contrasts, gap, kinds, others, values};
use super::bound::{Bound, estimate, log_masses};
use super::*;

fn config() -> DiffusionConfig {
    DiffusionConfig {
        widths: vec![4, 8],
        embedding: 8,
        sampling_steps: 10,
        guidance: 1.0,
        ..DiffusionConfig::default()
    }
}

fn mechanism(config: &DiffusionConfig, double: bool) -> DiffusionMechanism {
    let parameters = Parameters::new(2, "diffusion");
    let parameters = if double {
        parameters.in_double_precision()
    } else {
        parameters
    };
    DiffusionMechanism::from_parameters(parameters, config, SHAPE, toy::PARENTS).unwrap()
}

fn disturbed(config: &DiffusionConfig) -> DiffusionMechanism {
    let mechanism = mechanism(config, false);
    toy::disturb(mechanism.parameters(), 0.4);
    mechanism
}

fn near(found: f64, expected: f64, tolerance: f64) {
    let gap = (found - expected).abs() / expected.abs();
    assert!(gap < tolerance, "{found} against {expected}");
}

/// Products of `1 − β` and ratios of squared cosines, computed with Python; at the last time the
/// cosine is 0 and the step is cut to one that leaves a thousandth.
#[test]
fn shares_by_hand() {
    let linear = NoiseSchedule::Linear.alpha_bars(1000);
    near(linear[1], 0.9999, 1e-15);
    near(linear[2], 0.999_780_092_072_072_1, 1e-14);
    near(linear[500], 0.078_587_242_881_778_24, 1e-12);
    near(linear[1000], 4.035_829_765_375_675e-5, 1e-12);
    let shorter = NoiseSchedule::Linear.alpha_bars(100);
    near(shorter[1], 0.999, 1e-15);
    near(shorter[100], 2.039_008_975_564_078e-5, 1e-12);
    let cosine = NoiseSchedule::Cosine.alpha_bars(1000);
    near(cosine[1], 0.999_958_715_775_178, 1e-14);
    near(cosine[500], 0.493_843_590_440_637_7, 1e-12);
    near(cosine[1000], 2.428_766_907_034_851e-9, 1e-9);
    // By hand: β would be 0.05 and 10, of which the second is cut.
    let shortest = NoiseSchedule::Linear.alpha_bars(2);
    assert_eq!(shortest.len(), 3);
    near(shortest[1], 0.95, 1e-14);
    near(shortest[2], 0.95e-3, 1e-12);
    for shares in [linear, cosine] {
        near(shares[0], 1.0, 1e-15);
        assert!(shares.windows(2).all(|pair| pair[1] < pair[0]));
    }
}

/// Where the network says the truth, every step stays on `√ᾱ x₀ + √(1 − ᾱ) ε`.
#[test]
fn steps_lie_on_the_line_of_image_and_noise() {
    let shares = NoiseSchedule::Cosine.alpha_bars(1000);
    let (image, noise) = (0.7, -1.3);
    let at = |time: usize| shares[time].sqrt() * image + (1.0 - shares[time]).sqrt() * noise;
    for prediction in [Prediction::Noise, Prediction::Velocity] {
        let steps = DdimStep::all(&shares, 7, prediction);
        let times: Vec<usize> = steps.iter().map(|step| step.time).collect();
        assert_eq!(times, [142, 285, 428, 571, 714, 857, 1000]);
        let mut earlier = 0;
        for step in steps {
            let truth = match prediction {
                Prediction::Noise => noise,
                Prediction::Velocity => {
                    let share: f64 = shares[step.time];
                    share.sqrt() * noise - (1.0 - share).sqrt() * image
                }
            };
            let tensor = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
            let truth = tensor(truth);
            let down = step.generate(&tensor(at(step.time)), &truth).unwrap();
            near(values(&down)[0], at(earlier), 1e-9);
            let up = step.invert(&tensor(at(earlier)), &truth).unwrap();
            near(values(&up)[0], at(step.time), 1e-9);
            earlier = step.time;
        }
    }
}

/// Weights of a few updates: what a fresh or a disturbed network says of the noise leads far away
/// from images, where every value is cut.
fn trained(config: &DiffusionConfig) -> DiffusionMechanism {
    let mechanism = mechanism(config, false);
    toy::train(&mechanism, 60, 1e-2);
    mechanism
}

/// The error of the path is of first order in its steps; corrections take most of it away.
#[test]
fn abduction_and_prediction_are_inverse_in_the_limit() {
    for prediction in [Prediction::Noise, Prediction::Velocity] {
        let config = DiffusionConfig {
            prediction,
            ..config()
        };
        let weights = trained(&config).parameters().snapshot().unwrap();
        let with = |sampling_steps: usize, refinements: usize| {
            let config = DiffusionConfig {
                sampling_steps,
                refinements,
                ..config.clone()
            };
            let mechanism = mechanism(&config, false);
            mechanism.parameters().restore(&weights).unwrap();
            let (images, parents) = kinds(4, "round trip");
            let rng = &mut stream(0, "diffusion", "unused");
            let noise = mechanism.abduct(&images, &parents, rng).unwrap();
            gap(&mechanism.predict(&noise, &parents).unwrap(), &images)
        };
        let [coarse, middle, fine] = [10, 40, 160].map(|steps| with(steps, 0));
        assert!(
            middle < coarse / 2.0 && fine < middle / 2.0,
            "{coarse} {middle} {fine}"
        );
        assert!(fine < 0.05, "{fine}");
        let corrected = with(10, 5);
        assert!(corrected < coarse / 10.0, "{coarse} {corrected}");
    }
}

/// The path once more, from the textbook formula, with the velocities with and without parents mixed
/// in a given way.
fn path(
    mechanism: &DiffusionMechanism,
    noise: &Tensor,
    parents: &Tensor,
    weights: [f64; 2],
) -> Tensor {
    let shares = NoiseSchedule::Linear.alpha_bars(1000);
    let mixed = |a: &Tensor, b: &Tensor, weights: [f64; 2]| -> Tensor {
        ((a * weights[0]).unwrap() + (b * weights[1]).unwrap()).unwrap()
    };
    let mut x = noise.to_dtype(DType::F64).unwrap();
    for index in (0..10).rev() {
        let at = |share: f64| [share.sqrt(), (1.0 - share).sqrt()];
        let [earlier, later] = [index, index + 1].map(|index| at(shares[100 * index]));
        let times = vec![100.0 * (index + 1) as f64; noise.dims()[0]];
        let say = |seen: bool| -> Tensor {
            let (noisy, seen) = (x.to_dtype(DType::F32).unwrap(), vec![seen; times.len()]);
            let out = mechanism.network.forward(&noisy, &times, parents, &seen);
            out.unwrap().to_dtype(DType::F64).unwrap()
        };
        let velocity = mixed(&say(true), &say(false), weights);
        let image = mixed(&x, &velocity, [later[0], -later[1]]);
        let noise = mixed(&x, &velocity, [later[1], later[0]]);
        x = mixed(&image, &noise, earlier);
    }
    x.affine(0.5, 0.5).unwrap().clamp(0.0, 1.0).unwrap()
}

#[test]
fn guidance_of_one_is_the_conditional_model() {
    let (_, parents) = kinds(4, "guidance");
    for (guidance, mix) in [(1.0, [1.0, 0.0]), (0.0, [0.0, 1.0]), (3.0, [3.0, -2.0])] {
        let mechanism = disturbed(&DiffusionConfig {
            guidance,
            prediction: Prediction::Velocity,
            ..config()
        });
        let rng = &mut stream(0, "diffusion", "noise");
        let noise = mechanism.draw_noise(4, rng).unwrap();
        let found = mechanism.predict(&noise, &parents).unwrap();
        // Most values are not cut.
        let inside = values(&found).into_iter().filter(|v| *v > 0.0 && *v < 1.0);
        let inside = inside.count();
        assert!(inside > 32, "{guidance}: {inside}");
        let error = gap(&found, &path(&mechanism, &noise.latents[0], &parents, mix));
        assert!(error < 1e-5, "{guidance}: {error}");
        let moved = gap(
            &found,
            &mechanism.predict(&noise, &others(&parents)).unwrap(),
        );
        assert_eq!(moved > 1e-2, guidance > 0.0, "{guidance}: {moved}");
        assert!(guidance > 0.0 || moved == 0.0, "{moved}");
    }
}

/// With nearly all parents withheld the loss does not see them, but abduction and prediction do.
#[test]
fn parents_are_withheld_in_training_only() {
    let of = |dropped: f64| {
        let mechanism = disturbed(&DiffusionConfig {
            dropped,
            ..config()
        });
        let (images, parents) = kinds(4, "dropped");
        let loss = |parents: &Tensor| {
            let rng = &mut stream(0, "diffusion", "loss");
            let loss = mechanism.loss(&images, parents, 0, rng).unwrap();
            values(&loss.total)[0]
        };
        let noise = |parents: &Tensor| {
            let rng = &mut stream(0, "diffusion", "unused");
            mechanism.abduct(&images, parents, rng).unwrap()
        };
        let fact = noise(&parents);
        let abducted = gap(&fact.latents[0], &noise(&others(&parents)).latents[0]);
        let image = |parents: &Tensor| mechanism.predict(&fact, parents).unwrap();
        let predicted = gap(&image(&parents), &image(&others(&parents)));
        assert!(
            abducted > 1e-3 && predicted > 1e-3,
            "{abducted} {predicted}"
        );
        (loss(&parents) - loss(&others(&parents))).abs()
    };
    assert!(of(0.0) > 1e-4, "{}", of(0.0));
    let withheld = of(1.0 - 1e-12);
    assert!(withheld == 0.0, "{withheld}");
}

#[test]
fn gradients_of_both_losses() {
    for prediction in [Prediction::Noise, Prediction::Velocity] {
        let config = DiffusionConfig {
            prediction,
            dropped: 0.5,
            ..config()
        };
        let mechanism = mechanism(&config, true);
        toy::disturb(mechanism.parameters(), 0.4);
        toy::check_gradients(&mechanism);
    }
}

/// A fresh network says nothing, which costs the variance of the noise, 1.
#[test]
fn training_learns_what_the_parent_does() {
    for prediction in [Prediction::Noise, Prediction::Velocity] {
        let config = DiffusionConfig {
            prediction,
            widths: vec![16, 16],
            embedding: 16,
            sampling_steps: 25,
            guidance: 2.0,
            ..config()
        };
        let mechanism = mechanism(&config, false);
        let before = toy::loss(&mechanism);
        toy::train(&mechanism, 150, 1e-2);
        let after = toy::loss(&mechanism);
        let (images, parents) = kinds(8, "edited");
        let rng = &mut stream(0, "diffusion", "unused");
        let noise = mechanism.abduct(&images, &parents, rng).unwrap();
        let edited = mechanism.predict(&noise, &others(&parents)).unwrap();
        assert!(after < before / 2.0, "{before} {after}");
        for (fact, edited) in contrasts(&images).into_iter().zip(contrasts(&edited)) {
            // A factual contrast is 0.6 to either side.
            assert!(fact.abs() > 0.5 && fact * edited < -0.1, "{fact} {edited}");
        }
    }
}

/// The mean of a bound of a fresh network over many images, and the standard error of its chain.
fn parts(config: &DiffusionConfig) -> ([f64; 3], f64) {
    const BATCH: usize = 400;
    let mechanism = mechanism(config, true);
    // Grey level 153, 0.2 inside.
    let images = Tensor::full(0.2, (BATCH, 1, 4, 4), &Device::Cpu).unwrap();
    let parents = Tensor::zeros((BATCH, toy::PARENTS), DType::F64, &Device::Cpu).unwrap();
    let rng = &mut stream(0, "diffusion", "bound");
    let Bound { prior, chain, last } = estimate(&mechanism, &images, &parents, rng).unwrap();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / BATCH as f64;
    let centre = mean(&chain);
    let squares: f64 = chain.iter().map(|value| (value - centre).powi(2)).sum();
    (
        [mean(&prior), centre, mean(&last)],
        squares.sqrt() / BATCH as f64,
    )
}

/// A network that says nothing takes `c x_t` for the image, `c = 1 / a` where it should say the noise
/// and `c = a` where it should say the velocity: off by `(c a − 1) x₀ + c σ ε`. The levels cost
/// `−ln ∫ φ` over their width around a mean that is off by as much, in the mean over `ε`.
#[test]
fn the_bound_of_a_fresh_network_by_hand() {
    for prediction in [Prediction::Noise, Prediction::Velocity] {
        let config = DiffusionConfig {
            train_steps: 60,
            bound_draws: 30,
            prediction,
            ..config()
        };
        let ([prior, chain, last], error) = parts(&config);
        let shares = NoiseSchedule::Linear.alpha_bars(60);
        // Factors of the image and of the noise.
        let off = |time: usize| {
            let [a, s] = [shares[time], 1.0 - shares[time]].map(f64::sqrt);
            let c = match prediction {
                Prediction::Noise => 1.0 / a,
                Prediction::Velocity => a,
            };
            [c * a - 1.0, c * s]
        };
        let ratio = |time: usize| shares[time] / (1.0 - shares[time]);
        let expected: f64 = (2..=60)
            .map(|t| {
                let [image, noise] = off(t);
                let square = (0.2 * image).powi(2) + noise.powi(2);
                8.0 * (ratio(t - 1) - ratio(t)) * square
            })
            .sum();
        let gap = (chain - expected).abs();
        assert!(gap < 4.0 * error, "{chain} {expected} {error}");
        assert!(error < 0.03 * expected, "{error} {expected}");
        let share = shares[60];
        let expected = 8.0 * (share * 0.04 + (1.0 - share) - 1.0 - (1.0 - share).ln());
        near(prior, expected, 1e-6);
        let deviation = (1.0 - shares[1]).sqrt();
        let [image, noise] = off(1);
        let normal = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let expected = simpson(-8.0, 8.0, &|drawn| {
            let mean = image * 0.2 + noise * drawn;
            let density = |x: f64| normal((x - mean) / deviation) / deviation;
            -normal(drawn) * simpson(-1.0 / 255.0, 1.0 / 255.0, &density).ln()
        });
        // Of 400 · 16 draws.
        near(last, 16.0 * expected, 0.05);
    }
}

fn simpson(from: f64, to: f64, of: &dyn Fn(f64) -> f64) -> f64 {
    const PARTS: usize = 200;
    let width = (to - from) / PARTS as f64;
    let weight = |index: usize| match index {
        0 | PARTS => 1.0,
        index if index % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let terms = (0..=PARTS).map(|index| weight(index) * of(from + width * index as f64));
    terms.sum::<f64>() * width / 3.0
}

/// All grey levels together have mass one, and far ones no more than they should.
#[test]
fn masses_of_grey_levels() {
    let levels: Vec<f64> = (0..256).map(|k| f64::from(k) / 127.5 - 1.0).collect();
    for (mean, deviation) in [(0.1, 0.01), (-0.999, 0.01), (1.02, 0.3), (0.0, 0.002)] {
        let masses = log_masses(&levels, &[mean; 256], deviation).unwrap();
        let total: f64 = masses.iter().map(|mass| mass.exp()).sum();
        assert!((total - 1.0).abs() < 1e-6, "{mean} {deviation}: {total}");
        assert!(masses.iter().all(|mass| mass.is_finite()));
    }
    // The level 100/255 above the mean, 39.2 deviations of 0.02 away.
    let distance: f64 = 200.0 / 255.0 / 0.02;
    let [near_end, far_end] = [-1.0, 1.0].map(|side: f64| distance + side / 255.0 / 0.02);
    let width = 2.0 / 255.0 / 0.02;
    let density = |z: f64| -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln() + f64::ln(width);
    let mass = log_masses(&[levels[200]], &[levels[100]], 0.02).unwrap()[0];
    assert!(
        density(far_end) < mass && mass < density(near_end),
        "{mass}"
    );
    // Logarithm of φ integrated over the level with exp(½ z₀²) taken out.
    let exact = simpson(near_end, far_end, &|z| {
        (0.5 * (distance * distance - z * z)).exp()
    });
    let exact = exact.ln() - 0.5 * distance * distance - 0.5 * std::f64::consts::TAU.ln();
    assert!(mass <= exact && exact - mass < 15.0, "{mass} {exact}");
}

#[test]
fn a_bound_of_no_draws_is_none() {
    let (images, parents) = kinds(2, "bound");
    let rng = &mut stream(0, "diffusion", "bound");
    let mut bound = |bound_draws: usize| {
        let mechanism = disturbed(&DiffusionConfig {
            bound_draws,
            ..config()
        });
        mechanism.log_prob(&images, &parents, rng).unwrap()
    };
    assert!(bound(0).is_none());
    assert!(
        bound(2)
            .unwrap()
            .iter()
            .all(|&bound| bound.is_finite() && bound < 0.0)
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trained = |seed: u64| {
        let keys = (seed, "diffusion");
        let mechanism = DiffusionMechanism::new(&config(), SHAPE, toy::PARENTS, keys).unwrap();
        toy::train(&mechanism, 2, 1e-2);
        mechanism
    };
    let one = toy::bits(&trained(1), 1);
    assert_eq!(one, toy::bits(&trained(1), 1));
    let (weights, draws) = (toy::bits(&trained(2), 1), toy::bits(&trained(1), 2));
    for part in 0..one.len() {
        // The drawn noise does not depend on weights, nor abduction and its image on draws.
        assert_eq!(one[part] == weights[part], part == 4, "{part}");
        assert_eq!(one[part] == draws[part], [2, 3].contains(&part), "{part}");
    }
}

/// A change that makes settings ill, and the key that the error names.
type Case = (fn(&mut DiffusionConfig), &'static str);

#[test]
fn ill_settings_are_errors() {
    let cases: [Case; 16] = [
        (|c| c.widths.clear(), "widths"),
        (|c| c.widths[1] = 0, "widths"),
        (|c| c.embedding = 7, "embedding"),
        (|c| c.embedding = 0, "embedding"),
        (|c| c.train_steps = 1, "train-steps"),
        (|c| c.train_steps = 1_000_000, "train-steps"),
        (|c| c.sampling_steps = 0, "sampling-steps"),
        (|c| c.sampling_steps = 1001, "sampling-steps"),
        (|c| c.refinements = 101, "refinements"),
        (|c| c.guidance = -0.1, "guidance"),
        (|c| c.guidance = f64::NAN, "guidance"),
        (|c| c.dropped = 1.0, "dropped"),
        (|c| c.dropped = f64::NAN, "dropped"),
        (|c| (c.guidance, c.dropped) = (2.0, 0.0), "dropped"),
        (|c| (c.guidance, c.dropped) = (0.0, 0.0), "dropped"),
        (|c| c.bound_draws = 1001, "bound-draws"),
    ];
    for (change, key) in cases {
        let mut config = config();
        change(&mut config);
        match DiffusionMechanism::new(&config, SHAPE, toy::PARENTS, (0, "t")).err() {
            Some(CounterfactualError::Setting { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{key}: {other:?}"),
        }
    }
    let unguided = DiffusionConfig {
        dropped: 0.0,
        ..config()
    };
    assert!(unguided.validate().is_ok());
}

#[test]
fn ill_inputs_are_errors() {
    toy::refuses_ill_shapes(&mechanism(&config(), false));
    for (shape, parents) in [([1, 4, 5], 2), ([0, 4, 4], 2), (SHAPE, 0)] {
        let refused = DiffusionMechanism::new(&config(), shape, parents, (0, "t")).err();
        let is_net = matches!(refused, Some(CounterfactualError::Net(_)));
        assert!(is_net, "{shape:?}");
    }
    let text = serde_json::to_string(&config()).unwrap();
    let words = r#""schedule":"linear","prediction":"velocity""#;
    assert!(text.contains(words), "{text}");
    let read: DiffusionConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(read, config());
    assert!(serde_json::from_str::<DiffusionConfig>(r#"{ "steps": 2 }"#).is_err());
}
