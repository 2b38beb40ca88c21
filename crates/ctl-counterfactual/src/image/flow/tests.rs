use ctl_compute::random::{stream, uniform};

use super::super::toy::{self, SHAPE, contrasts, gap, kinds, others, values};
use super::*;

fn config() -> ImageFlowConfig {
    ImageFlowConfig {
        levels: 2,
        steps: 2,
        hidden: 4,
        ..ImageFlowConfig::default()
    }
}

fn mechanism(config: &ImageFlowConfig, double: bool) -> FlowMechanism {
    let parameters = Parameters::new(2, "flow");
    let parameters = if double {
        parameters.in_double_precision()
    } else {
        parameters
    };
    FlowMechanism::from_parameters(parameters, config, SHAPE, toy::PARENTS).unwrap()
}

#[test]
fn abduction_and_prediction_are_inverse() {
    for (double, tolerance) in [(false, 1e-5), (true, 1e-9)] {
        let mechanism = mechanism(&config(), double);
        toy::disturb(mechanism.parameters(), 0.2);
        let (images, parents) = kinds(5, "inverse");
        let rng = &mut stream(0, "flow", "unused");
        let noise = mechanism.abduct(&images, &parents, rng).unwrap();
        let shapes: Vec<_> = noise.latents.iter().map(|l| l.dims().to_vec()).collect();
        assert_eq!(shapes, [[5, 2, 2, 2], [5, 1, 1, 8]]);
        let back = mechanism.predict(&noise, &parents).unwrap();
        let error = gap(&back, &images.to_dtype(back.dtype()).unwrap());
        assert!(error < tolerance, "{error}");
        let other = mechanism.predict(&noise, &others(&parents)).unwrap();
        assert!(gap(&other, &back) > 1e-3);
        // Black and white have a level of their own as well.
        let ends = images.round().unwrap();
        let noise = mechanism.abduct(&ends, &parents, rng).unwrap();
        let back = mechanism.predict(&noise, &parents).unwrap();
        assert!(gap(&back, &ends) < tolerance);
    }
}

/// A fresh flow turns the logits only, so that its density is that of independent standard normal
/// logits: `Π φ(y) |dy/du| / 256` at `u = (k + v) / 256`.
#[test]
fn the_density_of_a_fresh_flow_by_hand() {
    let mechanism = mechanism(&config(), true);
    let (images, parents) = kinds(3, "density");
    let rng = || stream(7, "flow", "dequantisation");
    let found = mechanism.log_prob(&images, &parents, &mut rng()).unwrap();
    let noise = values(&uniform(&mut rng(), images.shape(), (0.0, 1.0)).unwrap());
    let terms = values(&images).into_iter().zip(noise).map(|(x, v)| {
        let u = ((x * 255.0).round() + v) / 256.0;
        let s: f64 = 0.05 + 0.9 * u;
        let y = (s / (1.0 - s)).ln();
        let normal = (-0.5 * y * y).exp() / std::f64::consts::TAU.sqrt();
        (normal * 0.9 / (s * (1.0 - s)) / 256.0).ln()
    });
    let terms: Vec<f64> = terms.collect();
    for (found, terms) in found.unwrap().into_iter().zip(terms.chunks(16)) {
        let expected: f64 = terms.iter().sum();
        assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    }
}

/// `loss` is the mean of `−log_prob` over the values of the images.
#[test]
fn the_loss_is_the_density() {
    let mechanism = mechanism(&config(), true);
    toy::disturb(mechanism.parameters(), 0.2);
    let (images, parents) = kinds(4, "loss");
    let rng = || stream(7, "flow", "dequantisation");
    let loss = mechanism.loss(&images, &parents, 1, &mut rng()).unwrap();
    let found = mechanism.log_prob(&images, &parents, &mut rng()).unwrap();
    let mean = found.unwrap().iter().sum::<f64>() / 4.0 / 16.0;
    assert!((values(&loss.total)[0] + mean).abs() < 1e-12);
    toy::check_gradients(&mechanism);
}

#[test]
fn the_first_step_alone_fits_the_normalisations() {
    let mechanism = mechanism(&config(), false);
    let (images, parents) = kinds(4, "first");
    let at = |step: u64| {
        let rng = &mut stream(7, "flow", "dequantisation");
        let loss = mechanism.loss(&images, &parents, step, rng).unwrap();
        let is_fitted = mechanism.network().is_initialised().unwrap();
        (values(&loss.total)[0], is_fitted)
    };
    let (before, is_fitted) = at(1);
    assert!(!is_fitted);
    let (fitted, is_fitted) = at(0);
    assert!(is_fitted && fitted < before - 0.1, "{before} {fitted}");
    toy::disturb(mechanism.parameters(), 0.1);
    let weights = || mechanism.parameters().snapshot().unwrap();
    let disturbed = weights();
    let rng = &mut stream(8, "flow", "dequantisation");
    mechanism.loss(&images, &parents, 0, rng).unwrap();
    assert_eq!(disturbed, weights());
}

/// Uniform grey levels would cost `ln 256 = 5.55` nats a value.
#[test]
fn training_learns_what_the_parent_does() {
    let mechanism = mechanism(&config(), false);
    let before = toy::loss(&mechanism);
    toy::train(&mechanism, 60, 1e-2);
    let after = toy::loss(&mechanism);
    assert!(after < before - 0.3, "{before} {after}");
    let (images, parents) = kinds(16, "edited");
    let rng = &mut stream(0, "flow", "unused");
    let noise = mechanism.abduct(&images, &parents, rng).unwrap();
    let back = mechanism.predict(&noise, &parents).unwrap();
    assert!(gap(&back, &images) < 1e-5, "{}", gap(&back, &images));
    let edited = mechanism.predict(&noise, &others(&parents)).unwrap();
    let pairs = contrasts(&images).into_iter().zip(contrasts(&edited));
    for (fact, edited) in pairs {
        // A factual contrast is 0.6 to either side.
        assert!(fact.abs() > 0.5 && fact * edited < -0.1, "{fact} {edited}");
    }
    // A parent makes its own kind more likely than the other.
    let rng = || stream(7, "flow", "dequantisation");
    let own = mechanism.log_prob(&images, &parents, &mut rng()).unwrap();
    let other = mechanism
        .log_prob(&images, &others(&parents), &mut rng())
        .unwrap();
    for (own, other) in own.unwrap().into_iter().zip(other.unwrap()) {
        assert!(own > other, "{own} {other}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trained = |seed: u64| {
        let mechanism = FlowMechanism::new(&config(), SHAPE, toy::PARENTS, (seed, "flow")).unwrap();
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
type Case = (fn(&mut ImageFlowConfig), &'static str);

#[test]
fn ill_inputs_and_settings_are_errors() {
    let mechanism = mechanism(&config(), false);
    toy::refuses_ill_shapes(&mechanism);
    let (images, parents) = kinds(2, "ill");
    let rng = &mut stream(0, "flow", "unused");
    for images in [(&images + 0.5).unwrap(), (&images * f64::NAN).unwrap()] {
        let error = mechanism.abduct(&images, &parents, rng).unwrap_err();
        assert!(
            matches!(error, CounterfactualError::Value { .. }),
            "{error}"
        );
    }
    let cases: [Case; 9] = [
        (|c| c.levels = 0, "levels"),
        (|c| c.levels = 9, "levels"),
        (|c| c.steps = 0, "steps"),
        (|c| c.steps = 65, "steps"),
        (|c| c.hidden = 0, "hidden"),
        (|c| c.log_scale_bound = 0.0, "log-scale-bound"),
        (|c| c.log_scale_bound = f64::NAN, "log-scale-bound"),
        (|c| c.alpha = 0.0, "alpha"),
        (|c| c.alpha = 0.5, "alpha"),
    ];
    for (change, key) in cases {
        let mut config = config();
        change(&mut config);
        match FlowMechanism::new(&config, SHAPE, toy::PARENTS, (0, "t")).err() {
            Some(CounterfactualError::Setting { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{key}: {other:?}"),
        }
    }
    for (shape, parents) in [([1, 4, 6], 2), ([0, 4, 4], 2), (SHAPE, 0)] {
        let refused = FlowMechanism::new(&config(), shape, parents, (0, "t")).err();
        assert!(
            matches!(refused, Some(CounterfactualError::Net(_))),
            "{shape:?}"
        );
    }
    let text = serde_json::to_string(&config()).unwrap();
    assert_eq!(
        serde_json::from_str::<ImageFlowConfig>(&text).unwrap(),
        config()
    );
    assert!(serde_json::from_str::<ImageFlowConfig>(r#"{ "level": 2 }"#).is_err());
}
