//! Transfer by hand, gradients through the best predictors, state.

use candle_core::{DType, Tensor};

use super::*;
use crate::EnvironmentOutputs;
use crate::methods::testing::{
    assert_gradient_of, assert_near, classification, environments_of, evaluate_at, flat, scalar,
    tensor, values,
};
use crate::{SoftmaxCrossEntropy, SquaredError};

fn config() -> TrmConfig {
    TrmConfig {
        matching_weight: 1.0,
        anneal_steps: 0,
        head_steps: 400,
        head_learning_rate: 0.3,
        hessian_terms: 300,
        hessian_scale: 0.3,
        ..TrmConfig::default()
    }
}

fn step<'a>(environments: &'a [EnvironmentOutputs], loss: &'a dyn SampleLoss) -> Step<'a> {
    Step {
        number: 0,
        environments,
        loss,
    }
}

/// A predictor with an intercept alone learns the mean of its environment, and pays the squared
/// distance in the other: features 0, targets 1 and 3 against 5.
#[test]
fn transfer_risk_by_hand() {
    let environment = |index, targets: &[f64]| {
        let rows = targets.len();
        let zeros = tensor(&vec![0.0; rows], &[rows, 1]);
        let target = tensor(targets, &[rows, 1]);
        EnvironmentOutputs::labelled(index, zeros.clone(), zeros, target)
    };
    let environments = [environment(0, &[1.0, 3.0]), environment(1, &[5.0])];
    let value = Trm::new(config())
        .evaluate(&step(&environments, &SquaredError))
        .unwrap();
    // Predictor 2 on target 5: 9. Predictor 5 on targets 1 and 3: 10.
    assert_near(value.term("transfer-risk").unwrap().unwrap(), 9.5);
    // The gradient of a predictor at its optimum is 0.
    assert!(value.term("gradient-matching").unwrap().unwrap().abs() < 1e-9);
}

/// At the optimum of every predictor the gradient is that of the transfer risk as a function of
/// the features, through the predictors: finite differences train them anew.
#[test]
fn the_gradient_goes_through_the_best_predictors() {
    let features = tensor(&values(8, 3), &[8, 1]);
    let targets = tensor(&values(8, 9), &[8, 1]);
    let environments = |x: &Tensor| -> Vec<_> {
        let part = |all: &Tensor, first, rows| all.narrow(0, first, rows).unwrap();
        let cuts = [(0, 0, 4), (1, 4, 4)];
        let environment = |(index, first, rows)| {
            let target = part(&targets, first, rows);
            let outputs = target.zeros_like().unwrap();
            EnvironmentOutputs::labelled(index, part(x, first, rows), outputs, target)
        };
        cuts.map(environment).to_vec()
    };
    let value = |x: &Tensor| {
        let environments = environments(x);
        Trm::new(config())
            .evaluate(&step(&environments, &SquaredError))
            .unwrap()
    };
    assert_gradient_of(
        &features,
        |x| value(x).total,
        |x| {
            let value = value(x);
            scalar(&value.total) + value.term("gradient-matching").unwrap().unwrap()
        },
    );
}

#[test]
fn hessian_products_are_those_of_finite_differences() {
    let logits = tensor(&values(10, 1), &[5, 2]);
    let features = tensor(&values(15, 2), &[5, 3]);
    let environments = environments_of((&features, &logits), &[0, 1, 1, 0, 1], &[5]);
    let place = Place::new(&environments[0]).unwrap();
    let (head, direction) = (
        tensor(&values(8, 4), &[2, 4]),
        tensor(&values(8, 5), &[2, 4]),
    );
    let loss = &SoftmaxCrossEntropy;
    let found = flat(&place.hessian_product(&head, &direction, loss).unwrap());
    let at = |by: f64| {
        let moved = (&head + (&direction * by).unwrap()).unwrap();
        flat(&place.gradient(&moved, loss).unwrap())
    };
    for ((found, ahead), behind) in found.into_iter().zip(at(1e-5)).zip(at(-1e-5)) {
        assert!((found - (ahead - behind) / 2e-5).abs() < 1e-9);
    }
}

/// Shares start alike and follow the environment in which a predictor is worst.
#[test]
fn shares_by_hand() {
    let environments: Vec<_> = (0..3)
        .map(|e| classification(e, &[[0.0, 0.0]], &[0]))
        .collect();
    let places: Vec<_> = environments
        .iter()
        .map(|e| Place::new(e).unwrap())
        .collect();
    let others = [&places[1], &places[2]];
    let mut trm = Trm::new(TrmConfig {
        eta: 0.5,
        ..TrmConfig::default()
    });
    assert_eq!(trm.shares_of(0, &others), [0.5, 0.5]);
    trm.update_shares(0, &others, &[1.0, 3.0]);
    let expected = 1f64.exp() / (1.0 + 1f64.exp());
    assert!((trm.shares_of(0, &others)[1] - expected).abs() < 1e-12);
    assert_eq!(trm.shares_of(2, &[&places[0], &places[1]]), [0.5, 0.5]);
    let state = trm.state().unwrap();
    let mut other = Trm::new(TrmConfig::default());
    other.restore(&state).unwrap();
    assert_eq!(other.shares, trm.shares);
}

#[test]
fn state_goes_on_where_it_was_left_and_a_wrong_one_is_an_error() {
    let logits = tensor(&values(14, 3), &[7, 2]);
    let environments: Vec<_> = environments_of((&logits, &logits), &[0, 1, 0, 1, 1, 0, 0], &[3, 4])
        .into_iter()
        .map(|mut e| {
            e.features = e.features.to_dtype(DType::F32).unwrap();
            e.outputs = e.outputs.to_dtype(DType::F32).unwrap();
            e
        })
        .collect();
    let total = |trm: &mut Trm| {
        let value = evaluate_at(trm, &environments, 300);
        value.total.to_scalar::<f32>().unwrap().to_bits()
    };
    let mut whole = Trm::new(TrmConfig::default());
    let first = total(&mut whole);
    let mut resumed = Trm::new(TrmConfig::default());
    resumed.restore(&whole.state().unwrap()).unwrap();
    let second = total(&mut whole);
    assert_ne!(first, second);
    assert_eq!(total(&mut resumed), second);
    for (key, values) in [
        ("head 0", vec![]),
        ("head x", vec![1.0]),
        ("share 0 1", vec![1.0]),
        ("tail", vec![1.0]),
    ] {
        let state = ObjectiveState::from([(key.to_owned(), values)]);
        assert!(resumed.restore(&state).is_err(), "{key}");
    }
    assert_eq!(resumed.state().unwrap(), whole.state().unwrap());
    let short = ObjectiveState::from([("head 0".to_owned(), vec![1.0; 5])]);
    resumed.restore(&short).unwrap();
    let loss = &SoftmaxCrossEntropy;
    let late = Step {
        number: 300,
        environments: &environments,
        loss,
    };
    let message = resumed.evaluate(&late).unwrap_err().to_string();
    assert!(
        message.contains("head 0") && message.contains("5 numbers"),
        "{message}"
    );
}

#[test]
fn plain_training_comes_before_and_images_are_an_error() {
    let pixels = tensor(&[0.0; 8], &[1, 2, 2, 2]);
    let mask = Tensor::zeros((1, 2, 2), DType::U32, &candle_core::Device::Cpu).unwrap();
    let features = tensor(&[0.0, 0.0], &[1, 2]);
    let environments = [0, 1].map(|index| {
        EnvironmentOutputs::labelled(index, features.clone(), pixels.clone(), mask.clone())
    });
    let at = |number| {
        let loss = &crate::PixelCrossEntropy;
        Trm::new(TrmConfig::default()).evaluate(&Step {
            number,
            environments: &environments,
            loss,
        })
    };
    assert_near(scalar(&at(199).unwrap().total), 2f64.ln());
    let message = at(200).unwrap_err().to_string();
    assert!(message.contains("[1, 2, 2, 2]"), "{message}");
}
