//! State that survives an interruption.

use candle_core::DType;
use ctl_compute::optim::{Adam, Optimiser};
use ctl_invariance::methods::cdann::CdannConfig;
use ctl_invariance::methods::dann::DannConfig;
use ctl_invariance::methods::erm::Erm;
use ctl_invariance::methods::group_dro::{GroupDro, GroupDroConfig};
use ctl_invariance::methods::importance_weighting::ImportanceWeightingConfig;
use ctl_invariance::methods::selfreg::SelfRegConfig;
use ctl_invariance::{
    BuildContext, EnvironmentOutputs, MethodConfig, Objective, ObjectiveError, ObjectiveState,
};

use crate::support::{CLASSES, FEATURES, environment, evaluate, scalar};

const STEPS: u64 = 6;

/// Environments of one step, in single precision as in training.
fn environments(step: u64) -> Vec<EnvironmentOutputs> {
    let single = |index: usize| {
        let mut environment = environment(index, 3, step * 10 + index as u64);
        environment.features = environment.features.to_dtype(DType::F32).unwrap();
        environment.outputs = environment.outputs.to_dtype(DType::F32).unwrap();
        environment
    };
    (0..3).map(single).collect()
}

/// The state as it comes back from a checkpoint file.
fn stored(objective: &dyn Objective) -> ObjectiveState {
    let text = serde_json::to_string(&objective.state().unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn group_weights_continue_bit_for_bit() {
    let config = GroupDroConfig { eta: 0.1 };
    let mut whole = GroupDro::new(config);
    for step in 0..STEPS {
        evaluate(&mut whole, &environments(step), step);
    }
    let mut resumed = GroupDro::new(config);
    resumed.restore(&stored(&whole)).unwrap();
    for step in STEPS..2 * STEPS {
        let one = evaluate(&mut whole, &environments(step), step);
        let other = evaluate(&mut resumed, &environments(step), step);
        assert_eq!(scalar(&one.total).to_bits(), scalar(&other.total).to_bits());
        assert_eq!(whole.weights(), resumed.weights());
    }
}

/// An objective with weights of its own and their optimiser, with default settings.
fn built<C: MethodConfig>(seed: u64) -> (Box<dyn Objective>, Adam) {
    let context = BuildContext {
        environments: 3,
        features: FEATURES,
        outputs: CLASSES,
        seed,
        run: "laws",
    };
    let objective = C::default().build(&context).unwrap().objective;
    let own = objective.auxiliary().unwrap();
    let adam = Adam::new(own.variables, own.adam).unwrap();
    (objective, adam)
}

/// One step of the objective's own weights, as a run takes it; the network's total before it.
fn train((objective, adam): &mut (Box<dyn Objective>, Adam), step: u64) -> f64 {
    let mut environments = environments(step);
    environments[2].targets.clear();
    let value = evaluate(objective.as_mut(), &environments, step);
    let total = scalar(&value.total);
    let loss = match &value.auxiliary {
        Some(own) => (&value.total + own).unwrap(),
        None => value.total,
    };
    adam.step(&loss.backward().unwrap()).unwrap();
    total
}

fn continues_bit_for_bit<C: MethodConfig>() {
    let mut whole = built::<C>(0);
    let first = train(&mut whole, 0);
    for step in 1..STEPS {
        train(&mut whole, step);
    }
    let mut fresh = built::<C>(0);
    assert_ne!(
        train(&mut fresh, STEPS).to_bits(),
        train(&mut whole, STEPS).to_bits()
    );
    assert_eq!(train(&mut built::<C>(0), 0).to_bits(), first.to_bits());
    let mut resumed = built::<C>(0);
    resumed.0.restore(&stored(whole.0.as_ref())).unwrap();
    resumed.1.restore(&whole.1.state()).unwrap();
    for step in STEPS + 1..2 * STEPS {
        let (one, other) = (train(&mut whole, step), train(&mut resumed, step));
        assert_eq!(one.to_bits(), other.to_bits());
    }
    assert_eq!(whole.0.state().unwrap(), resumed.0.state().unwrap());
}

#[test]
fn own_weights_continue_bit_for_bit() {
    continues_bit_for_bit::<DannConfig>();
    continues_bit_for_bit::<CdannConfig>();
    continues_bit_for_bit::<SelfRegConfig>();
    continues_bit_for_bit::<ImportanceWeightingConfig>();
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let (mut dann, _) = built::<DannConfig>(0);
    let before = dann.state().unwrap();
    let mut short = before.clone();
    let last = short.keys().next_back().unwrap().clone();
    short.get_mut(&last).unwrap().pop();
    for values in short.values_mut() {
        values.fill(0.0);
    }
    let error = dann.restore(&short).unwrap_err();
    assert!(error.to_string().contains(&last), "{error}");
    assert!(matches!(error, ObjectiveError::State { .. }));
    assert!(dann.restore(&ObjectiveState::new()).is_err());
    assert_eq!(dann.state().unwrap(), before);
    let mut dro = GroupDro::new(GroupDroConfig::default());
    let odd = ObjectiveState::from([("weights".to_owned(), vec![0.5; 3])]);
    assert!(dro.restore(&odd).is_err());
}

#[test]
fn objectives_without_memory_have_no_state() {
    let mut erm = Erm::default();
    assert!(erm.state().unwrap().is_empty());
    erm.restore(&ObjectiveState::new()).unwrap();
}
