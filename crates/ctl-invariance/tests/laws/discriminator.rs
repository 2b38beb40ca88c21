//! Discriminators: the way of the gradients, the gradient penalty, ill input.

use candle_core::{DType, Tensor, Var};
use ctl_invariance::methods::dann::{Dann, DannConfig};
use ctl_invariance::{
    Discriminator, DiscriminatorSpec, EnvironmentOutputs, Objective, ObjectiveError,
};

use crate::support::{
    FEATURES, assert_near, differences, environment, evaluate, flat, sample, scalar, variable,
};

const SPEC: DiscriminatorSpec = DiscriminatorSpec {
    features: FEATURES,
    width: 6,
    depth: 3,
    environments: 2,
};

/// Two environments in single precision whose features and logits are leaves.
fn leaves() -> (Vec<EnvironmentOutputs>, Vec<Var>, Vec<Var>) {
    let single = |tensor: &Tensor| Var::from_tensor(&tensor.to_dtype(DType::F32).unwrap()).unwrap();
    let mut environments: Vec<_> = (0..2).map(|e| environment(e, 3 + e, e as u64)).collect();
    let features: Vec<_> = environments.iter().map(|e| single(&e.features)).collect();
    let logits: Vec<_> = environments.iter().map(|e| single(&e.outputs)).collect();
    for (index, environment) in environments.iter_mut().enumerate() {
        environment.features = features[index].as_tensor().clone();
        environment.outputs = logits[index].as_tensor().clone();
    }
    (environments, features, logits)
}

fn dann() -> Dann {
    let config = DannConfig {
        grad_penalty: 0.3,
        ..DannConfig::default()
    };
    Dann::new(config, Discriminator::new(SPEC, 0, "laws").unwrap())
}

#[test]
fn total_moves_the_network_and_auxiliary_the_discriminator() {
    let (environments, features, logits) = leaves();
    let mut dann = dann();
    let value = evaluate(&mut dann, &environments, 0);
    let own = dann.auxiliary().unwrap().variables;
    assert_eq!(own.len(), 2 * SPEC.depth);
    let auxiliary = value.auxiliary.as_ref().unwrap();
    let (network, discriminator) = (
        value.total.backward().unwrap(),
        auxiliary.backward().unwrap(),
    );
    for leaf in features.iter().chain(&logits) {
        assert!(network.get(leaf).is_some() && discriminator.get(leaf).is_none());
    }
    for weight in &own {
        assert!(network.get(weight).is_none() && discriminator.get(weight).is_some());
    }
    let reversed = value.term("discriminator-loss").unwrap().unwrap();
    assert_near(&[scalar(auxiliary)], &[reversed], 0.0);
}

/// `total = risk − λ L_D`, so the features' gradient is −λ times the discriminator loss's own.
#[test]
fn features_climb_the_discriminator_loss() {
    let (environments, features, _) = leaves();
    let value = evaluate(&mut dann(), &environments, 0);
    let discriminator = Discriminator::new(SPEC, 0, "laws").unwrap();
    let joined: Vec<_> = features.iter().map(Var::as_tensor).collect();
    let joined = Tensor::cat(&joined, 0).unwrap();
    let index = [0, 0, 0, 1, 1, 1, 1];
    let [cross_entropy, penalty] = discriminator.loss(&joined, &index, true).unwrap();
    let own = (cross_entropy + (penalty * 0.3).unwrap()).unwrap();
    let (total, own) = (value.total.backward().unwrap(), own.backward().unwrap());
    for leaf in &features {
        let negated = (own.get(leaf).unwrap() * -1.0).unwrap();
        assert_near(&flat(total.get(leaf).unwrap()), &flat(&negated), 1e-6);
    }
}

/// Three layers in double precision; the gates of the rectifiers do not flip within the step.
fn deep(seed: u64) -> Discriminator {
    let sizes = [FEATURES, 6, 5, 3];
    let layers: Vec<_> = sizes
        .windows(2)
        .map(|size| {
            let name = format!("layer {size:?}");
            let weight = sample(&[size[1], size[0]], seed, &name);
            (weight, sample(&[size[1]], seed + 1, &name))
        })
        .collect();
    Discriminator::from_weights(&layers).unwrap()
}

#[test]
fn gradient_penalty_has_the_right_gradient() {
    let index = [0, 1, 2, 1, 0];
    for seed in 0..4 {
        let discriminator = deep(seed);
        let features = variable(&[index.len(), FEATURES], seed, "features");
        let penalty = |frozen| {
            let [_, penalty] = discriminator.loss(&features, &index, frozen).unwrap();
            penalty
        };
        let frozen = penalty(true).backward().unwrap();
        let numeric = differences(&features, &|| scalar(&penalty(true)));
        assert_near(&flat(frozen.get(&features).unwrap()), &numeric, 1e-6);
        let own = penalty(false).backward().unwrap();
        for weight in discriminator.variables() {
            let numeric = differences(&weight, &|| scalar(&penalty(false)));
            // The last bias moves the penalty too: it moves the softmax.
            let gradient = own.get(&weight).map_or(vec![0.0; numeric.len()], flat);
            assert_near(&gradient, &numeric, 1e-6);
        }
    }
}

/// The penalty is the mean squared norm of each row's own input gradient.
#[test]
fn gradient_penalty_is_the_norm_of_the_input_gradient() {
    let index = [2, 0, 1];
    let discriminator = deep(9);
    let features = variable(&[index.len(), FEATURES], 9, "features");
    let sum = || {
        let [mean, _] = discriminator.loss(&features, &index, true).unwrap();
        scalar(&mean) * index.len() as f64
    };
    let squares: f64 = differences(&features, &sum).iter().map(|g| g * g).sum();
    let [_, penalty] = discriminator.loss(&features, &index, true).unwrap();
    assert_near(&[scalar(&penalty)], &[squares / index.len() as f64], 1e-7);
}

#[test]
fn ill_environments_and_sizes_are_errors() {
    let discriminator = deep(0);
    let features = sample(&[2, FEATURES], 0, "features");
    for index in [vec![0, 3], vec![3, 0], vec![0], vec![0, 1, 2]] {
        let error = discriminator.loss(&features, &index, false).unwrap_err();
        assert!(
            matches!(error, ObjectiveError::Environments { .. }),
            "{index:?}: {error}"
        );
    }
    let narrow = sample(&[2, FEATURES - 1], 0, "features");
    assert!(discriminator.loss(&narrow, &[0, 1], false).is_err());
    assert!(Discriminator::from_weights(&[]).is_err());
    let (weight, bias) = (sample(&[3, 2], 0, "w"), sample(&[2], 0, "b"));
    assert!(Discriminator::from_weights(&[(weight, bias)]).is_err());
    for ill in [
        DiscriminatorSpec {
            features: 0,
            ..SPEC
        },
        DiscriminatorSpec { width: 0, ..SPEC },
        DiscriminatorSpec { depth: 0, ..SPEC },
        DiscriminatorSpec {
            environments: 0,
            ..SPEC
        },
    ] {
        assert!(Discriminator::new(ill, 0, "laws").is_err(), "{ill:?}");
    }
}

/// The discriminator sees the index that an environment carries, not its place in the step.
#[test]
fn an_index_outside_the_discriminator_is_an_error() {
    let (mut environments, ..) = leaves();
    environments[0].environment = 2;
    let step = ctl_invariance::Step {
        number: 0,
        environments: &environments,
        loss: &ctl_invariance::SoftmaxCrossEntropy,
    };
    let message = dann().evaluate(&step).unwrap_err().to_string();
    assert!(
        message.contains("below 2") && message.contains("found 2"),
        "{message}"
    );
}
