//! Optimisers and schedules against `PyTorch` (`tests/golden/make_optimisers.py`), and their
//! independence from levels and threads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "golden/read.rs"]
mod read;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use ctl_compute::kernels::level::{self, Level};
use ctl_compute::optim::{
    Adam, AdamParams, AdamW, Clipping, Ema, Optimiser, ParameterGroup, Schedule, Sgd, SgdParams,
    gradient_norm,
};
use ctl_compute::random::{normal, stream};

const STEPS: u64 = 6;

fn golden(name: &str) -> Vec<f64> {
    read::numbers(include_str!("golden/optimisers.json"))[name].clone()
}

fn variables() -> [Var; 2] {
    let of = |n: u8, f: fn(f32) -> f32| {
        let values: Vec<f32> = (0..n).map(|i| f(f32::from(i))).collect();
        Var::from_vec(values, usize::from(n), &Device::Cpu).unwrap()
    };
    [of(5, f32::sin), of(3, f32::cos)]
}

/// `Σ (θ − i / 10)² (1 + i) / 2`
fn loss(theta: &Tensor) -> Tensor {
    let n = theta.elem_count();
    let at = |f: fn(f32) -> f32| {
        let values = (0..n).map(|i| f(i as f32)).collect::<Vec<_>>();
        Tensor::from_vec(values, n, &Device::Cpu).unwrap()
    };
    let gap = (theta - at(|i| i / 10.0)).unwrap().sqr().unwrap();
    (gap * at(|i| 0.5 + 0.5 * i)).unwrap().sum_all().unwrap()
}

fn gradients(variables: &[Var; 2]) -> GradStore {
    let [a, b] = variables;
    (loss(a) + loss(b)).unwrap().backward().unwrap()
}

fn groups([a, b]: &[Var; 2]) -> Vec<ParameterGroup> {
    let second = ParameterGroup {
        variables: vec![b.clone()],
        learning_rate: Some(0.05),
        weight_decay: Some(0.2),
    };
    vec![vec![a.clone()].into(), second]
}

fn ends_at(
    name: &str,
    schedule: &Schedule,
    make: impl Fn(Vec<ParameterGroup>) -> Box<dyn Optimiser>,
) {
    let variables = variables();
    let mut optimiser = make(groups(&variables));
    for step in 0..STEPS {
        optimiser.set_rate_factor(schedule.factor(step));
        optimiser.step(&gradients(&variables)).unwrap();
    }
    let found = variables.iter().flat_map(|v| v.to_vec1::<f32>().unwrap());
    for (found, expected) in found.zip(golden(name)) {
        assert!(
            (f64::from(found) - expected).abs() < 2e-6,
            "{name}: {found} {expected}"
        );
    }
}

const ADAM: AdamParams = AdamParams {
    learning_rate: 0.1,
    beta1: 0.8,
    beta2: 0.95,
    epsilon: 1e-8,
    weight_decay: 0.1,
};

const SGD: SgdParams = SgdParams {
    learning_rate: 0.1,
    momentum: 0.7,
    weight_decay: 0.1,
    nesterov: false,
};

fn sgd(groups: Vec<ParameterGroup>, nesterov: bool, clipping: Clipping) -> Box<dyn Optimiser> {
    let params = SgdParams { nesterov, ..SGD };
    Box::new(
        Sgd::with_groups(groups, params)
            .unwrap()
            .clipped(clipping)
            .unwrap(),
    )
}

#[test]
fn six_steps_end_where_pytorch_ends() {
    let constant = Schedule::Constant;
    ends_at("adam", &constant, |g| {
        Box::new(Adam::with_groups(g, ADAM).unwrap())
    });
    ends_at("adamw", &constant, |g| {
        Box::new(AdamW::with_groups(g, ADAM).unwrap())
    });
    let cosine = Schedule::Cosine {
        steps: 5,
        floor: 0.0,
    };
    ends_at("scheduled", &cosine, |g| {
        Box::new(AdamW::with_groups(g, ADAM).unwrap())
    });
    ends_at("sgd", &constant, |g| sgd(g, false, Clipping::default()));
    ends_at("nesterov", &constant, |g| sgd(g, true, Clipping::default()));
    let norm = Clipping {
        norm: Some(0.5),
        value: None,
    };
    ends_at("clipped norm", &constant, |g| sgd(g, false, norm));
    let value = Clipping {
        norm: None,
        value: Some(0.3),
    };
    ends_at("clipped value", &constant, |g| sgd(g, false, value));
}

#[test]
fn schedules_follow_pytorch() {
    let warm = Schedule::WarmUp {
        steps: 5,
        start: 0.2,
        then: Box::default(),
    };
    let cycle = Schedule::OneCycle {
        steps: 12,
        rise: 0.3,
        initial: 25.0,
        last: 1e4,
    };
    for (name, schedule) in [
        (
            "step",
            Schedule::Step {
                every: 4,
                factor: 0.3,
            },
        ),
        (
            "cosine",
            Schedule::Cosine {
                steps: 12,
                floor: 0.1,
            },
        ),
        (
            "polynomial",
            Schedule::Polynomial {
                steps: 8,
                power: 2.0,
            },
        ),
        ("one cycle", cycle),
        ("warm up", warm),
    ] {
        schedule.validate().unwrap();
        for (step, expected) in golden(name).into_iter().enumerate() {
            let found = schedule.factor(step as u64);
            assert!(
                (found - expected).abs() < 1e-9,
                "{name} at {step}: {found} {expected}"
            );
        }
    }
}

type Maker = fn(Vec<Var>) -> Box<dyn Optimiser>;

/// Weights after three steps over buffers of several pieces, as bits.
fn trained(make: Maker) -> Vec<u32> {
    let theta = normal(&mut stream(2, "t", "theta"), 50_001, 0.0, 1.0).unwrap();
    let theta = Var::from_tensor(&theta).unwrap();
    let mut optimiser = make(vec![theta.clone()]);
    let mut ema = Ema::new(vec![theta.clone()], 0.9).unwrap();
    for _ in 0..3 {
        let loss = theta.sqr().unwrap().sum_all().unwrap();
        optimiser.step(&loss.backward().unwrap()).unwrap();
        ema.update().unwrap();
    }
    ema.swap().unwrap();
    theta
        .to_vec1::<f32>()
        .unwrap()
        .into_iter()
        .map(f32::to_bits)
        .collect()
}

#[test]
fn same_bits_on_levels_and_threads() {
    let makers: [Maker; 2] = [
        |v| {
            let clipping = Clipping {
                norm: Some(1.0),
                value: Some(0.01),
            };
            Box::new(AdamW::new(v, ADAM).unwrap().clipped(clipping).unwrap())
        },
        |v| Box::new(Sgd::new(v, SGD).unwrap()),
    ];
    for make in makers {
        let reference = trained(make);
        let best = level::selected();
        for level in Level::available() {
            level::force(level).unwrap();
            assert_eq!(trained(make), reference, "level {}", level.name());
            level::force(best).unwrap();
        }
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert_eq!(
                pool.install(|| trained(make)),
                reference,
                "{threads} threads"
            );
        }
    }
}

#[test]
fn state_of_all_groups_is_restored_and_foreign_state_refused() {
    let variables = variables();
    let mut adam = AdamW::with_groups(groups(&variables), ADAM).unwrap();
    adam.step(&gradients(&variables)).unwrap();
    let state = adam.state();
    assert_eq!(
        state.moments.iter().map(Vec::len).collect::<Vec<_>>(),
        [5, 5, 3, 3]
    );
    let mut other = AdamW::with_groups(groups(&variables), ADAM).unwrap();
    other.restore(&state).unwrap();
    assert_eq!(other.state(), state);
    other.reset();
    assert_eq!(other.state().step, 0);
    let mut sgd = Sgd::with_groups(groups(&variables), SGD).unwrap();
    assert!(sgd.restore(&state).is_err());
}

#[test]
fn norm_of_all_gradients() {
    let [a, b] = variables();
    let grads = ((a.as_tensor() * 3.0).unwrap().sum_all().unwrap()
        + (b.as_tensor() * 4.0).unwrap().sum_all().unwrap())
    .unwrap()
    .backward()
    .unwrap();
    let norm = gradient_norm([&a, &b].into_iter(), &grads).unwrap();
    // 5 · 3² + 3 · 4²
    assert!((norm - 93f64.sqrt()).abs() < 1e-12, "{norm}");
}

#[test]
fn ill_settings_are_errors() {
    let [a, _] = variables();
    let group = ParameterGroup {
        learning_rate: Some(-1.0),
        ..vec![a.clone()].into()
    };
    assert!(Adam::with_groups(vec![group.clone()], ADAM).is_err());
    assert!(Sgd::with_groups(vec![group], SGD).is_err());
    let clipping = Clipping {
        norm: Some(0.0),
        value: None,
    };
    assert!(Sgd::new(vec![a], SGD).unwrap().clipped(clipping).is_err());
}

#[test]
fn variables_of_another_type_are_refused_by_name() {
    let wide = Var::from_vec(vec![1.0_f64, 2.0], 2, &Device::Cpu).unwrap();
    let message = |error: ctl_compute::ComputeError| error.to_string();
    let error = Adam::new(vec![wide.clone()], ADAM).err().unwrap();
    assert_eq!(message(error), "adam: variables must be f32, found f64");
    let error = Sgd::new(vec![wide], SGD).err().unwrap();
    assert_eq!(message(error), "sgd: variables must be f32, found f64");
}

/// A gradient that is no number makes the norm none, and no other gradient may pass as if there were
/// no bound.
#[test]
fn clipping_lets_no_step_pass_whose_norm_is_not_a_number() {
    let [a, b] = variables();
    let grads = ((a.as_tensor() * f64::NAN).unwrap().sum_all().unwrap()
        + (b.as_tensor() * 1e6).unwrap().sum_all().unwrap())
    .unwrap()
    .backward()
    .unwrap();
    let clipping = Clipping {
        norm: Some(1.0),
        value: None,
    };
    let mut sgd = Sgd::new(vec![a, b.clone()], SGD)
        .unwrap()
        .clipped(clipping)
        .unwrap();
    sgd.step(&grads).unwrap();
    assert!(b.to_vec1::<f32>().unwrap().iter().all(|v| v.is_nan()));
}
