use ctl_compute::random::stream;
use proptest::prelude::*;

use super::*;
use crate::attribute::{AttributeTraining, train_attribute};
use crate::{Columns, Encoding, Schema};
use ctl_graph::Diagram;

/// A flow of one attribute with one parent, away from its start.
fn bent(lower: Option<f64>, upper: Option<f64>) -> (AttributeFlow, Rows) {
    let kind = Kind::Continuous { lower, upper };
    let kinds = [("parent", Kind::REAL), ("child", kind.clone())];
    let schema = Schema::new(Diagram::parse("parent -> child").unwrap(), &kinds).unwrap();
    let children = vec![1.5, 3.0, 4.5, 6.0];
    let columns = [
        ("parent", vec![-2.0, -0.5, 0.4, 3.0]),
        ("child", children.clone()),
    ];
    let columns = Columns::new(&schema, &columns).unwrap();
    let encoding = Encoding::fit(&schema, schema.attribute("child").unwrap(), &columns);
    let rows = encoding.encode(&columns);
    let flow = AttributeFlow::new(FlowConfig::default(), &kind, &children, 1, (0, "t")).unwrap();
    let mut weights = flow.parameters().snapshot().unwrap();
    for (name, values) in &mut weights {
        for (index, value) in values.iter_mut().enumerate() {
            if name.starts_with("output") {
                *value = ((index * 37 % 19) as f32 - 9.0) / 12.0;
            }
        }
    }
    flow.parameters().restore(&weights).unwrap();
    (flow, rows)
}

const BOUNDS: [(Option<f64>, Option<f64>); 4] = [
    (None, None),
    (Some(1.0), None),
    (None, Some(7.0)),
    (Some(1.0), Some(7.0)),
];

proptest! {
    #[test]
    fn inverts(bounds in 0..4usize, noise in -4.0..4.0f64, row in 0..4usize) {
        let (lower, upper) = BOUNDS[bounds];
        let (flow, rows) = bent(lower, upper);
        let parents = rows.select(&[row]);
        let values = flow.predict(&[noise], &parents).unwrap();
        prop_assert!(flow_holds(lower, upper, values[0]));
        // On a bound, doubles end before the noise does.
        prop_assume!(is_clear(lower, upper, values[0]));
        let rng = &mut stream(0, "t", "abduct");
        let back = flow.abduct(&values, &parents, rng).unwrap();
        prop_assert!((back[0] - noise).abs() < 1e-5, "{} {noise}", back[0]);
        let again = flow.predict(&back, &parents).unwrap();
        prop_assert!((again[0] - values[0]).abs() < 1e-9 * values[0].abs().max(1.0));
    }
}

/// The density of every individual integrates to the chance of its range, which is nearly all of the
/// line (trapezoids between the values of evenly spaced noises).
#[test]
fn densities_integrate_to_one() {
    let mut whole = 0;
    for (lower, upper) in BOUNDS {
        let (flow, rows) = bent(lower, upper);
        for row in [0, 2] {
            let noises: Vec<f64> = (0..=3_000).map(|i| f64::from(i) / 250.0 - 6.0).collect();
            let parents = rows.select(&vec![row; noises.len()]);
            let values = flow.predict(&noises, &parents).unwrap();
            let clear = |&i: &usize| is_clear(lower, upper, values[i]);
            let inside: Vec<usize> = (0..values.len()).filter(clear).collect();
            let ends = [inside[0], inside[inside.len() - 1]].map(|i| noises[i]);
            let normal = |x: f64| erfc(-x / std::f64::consts::SQRT_2) / 2.0;
            let chance = normal(ends[1]) - normal(ends[0]);
            let values: Vec<f64> = inside.iter().map(|&i| values[i]).collect();
            let parents = rows.select(&vec![row; values.len()]);
            let density = flow.log_prob(&values, &parents).unwrap();
            let pairs = values.windows(2).zip(density.windows(2));
            let total: f64 = pairs
                .map(|(v, d)| (v[1] - v[0]) * f64::midpoint(d[0].exp(), d[1].exp()))
                .sum();
            assert!(
                (total - chance).abs() < 1e-3,
                "{lower:?} {upper:?} {row}: {total} {chance}"
            );
            assert!(values.windows(2).all(|v| v[0] < v[1]), "rises");
            whole += usize::from(chance > 0.999);
        }
    }
    assert!(whole >= 5, "only {whole} cover the line");
}

/// Whether a value is so far from the bounds that doubles tell it from its neighbours.
fn is_clear(lower: Option<f64>, upper: Option<f64>, value: f64) -> bool {
    lower.is_none_or(|bound| value - bound > 1e-9) && upper.is_none_or(|bound| bound - value > 1e-9)
}

fn flow_holds(lower: Option<f64>, upper: Option<f64>, value: f64) -> bool {
    Kind::Continuous { lower, upper }.holds(value)
}

#[test]
fn the_loss_is_the_mean_of_the_densities() {
    for (lower, upper) in BOUNDS {
        let (flow, rows) = bent(lower, upper);
        let values = [1.6, 2.0, 5.0, 6.9];
        let loss = flow
            .loss(&values, &rows)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let exact: f64 = flow.log_prob(&values, &rows).unwrap().iter().sum::<f64>() / -4.0;
        assert!((f64::from(loss) - exact).abs() < 1e-4, "{loss} {exact}");
    }
}

/// Finite differences of the exact densities along some weights, against the gradient of the loss.
#[test]
fn gradients_are_those_of_finite_differences() {
    let (flow, rows) = bent(Some(1.0), None);
    let values = [1.6, 2.0, 5.0, 6.9];
    let gradients = flow.loss(&values, &rows).unwrap().backward().unwrap();
    let names: Vec<String> = flow
        .parameters()
        .shapes()
        .iter()
        .map(|s| s.0.to_owned())
        .collect();
    let start = flow.parameters().snapshot().unwrap();
    let exact = |name: &str, index: usize, by: f32| {
        let mut weights = start.clone();
        weights.get_mut(name).unwrap()[index] += by;
        flow.parameters().restore(&weights).unwrap();
        flow.log_prob(&values, &rows).unwrap().iter().sum::<f64>() / -4.0
    };
    let mut compared = 0;
    for (name, var) in names.iter().zip(flow.parameters().trained()) {
        let gradient = gradients.get(&var).unwrap().flatten_all().unwrap();
        let gradient = gradient.to_vec1::<f32>().unwrap();
        for index in (0..gradient.len()).step_by(gradient.len().div_ceil(5)) {
            let step = 1.0 / 256.0;
            let slope =
                (exact(name, index, step) - exact(name, index, -step)) / 2.0 / f64::from(step);
            let found = f64::from(gradient[index]);
            assert!(
                (found - slope).abs() < 2e-3 * (1.0 + slope.abs()),
                "{name} {index}: {found} {slope}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 20);
}

/// Data of `child = exp(0.5 parent + 0.3 ε) + 1`: the flow's density comes close to the true one,
/// its noises to the true noises, and the same seed gives the same weights.
#[test]
fn learns_a_known_mechanism() {
    use rand_distr::{Distribution, StandardNormal};
    let rng = &mut stream(0, "t", "data");
    let mut normal = || -> f64 { StandardNormal.sample(rng) };
    let parents: Vec<f64> = (0..3_000).map(|_| normal()).collect();
    let noises: Vec<f64> = (0..3_000).map(|_| normal()).collect();
    let children: Vec<f64> = parents
        .iter()
        .zip(&noises)
        .map(|(p, e)| (0.5 * p + 0.3 * e).exp() + 1.0)
        .collect();
    let kind = Kind::Continuous {
        lower: Some(1.0),
        upper: None,
    };
    let kinds = [("parent", Kind::REAL), ("child", kind.clone())];
    let schema = Schema::new(Diagram::parse("parent -> child").unwrap(), &kinds).unwrap();
    let columns = [("parent", parents.clone()), ("child", children.clone())];
    let columns = Columns::new(&schema, &columns).unwrap();
    let rows =
        Encoding::fit(&schema, schema.attribute("child").unwrap(), &columns).encode(&columns);
    let fitted = || {
        let flow =
            AttributeFlow::new(FlowConfig::default(), &kind, &children, 1, (3, "t")).unwrap();
        let options = AttributeTraining {
            steps: 300,
            batch: 256,
            evaluate_every: 50,
            ..AttributeTraining::default()
        };
        let data = (&children[..], &rows);
        let mut ticks = 0;
        let fit = train_attribute(&flow, "child", data, &options, 3, &mut |_| ticks += 1).unwrap();
        assert_eq!(ticks, 300);
        (flow, fit)
    };
    let (flow, fit) = fitted();
    let truth = |p: f64, c: f64| {
        let log = (c - 1.0).ln();
        let noise = (log - 0.5 * p) / 0.3;
        -noise * noise / 2.0 - LOG_ROOT_TAU - 0.3f64.ln() - log
    };
    let best: f64 = parents
        .iter()
        .zip(&children)
        .map(|(&p, &c)| truth(p, c))
        .sum::<f64>()
        / 3_000.0;
    assert!(
        (fit.training - best).abs() < 0.03,
        "{} of {best}",
        fit.training
    );
    let start = AttributeFlow::new(FlowConfig::default(), &kind, &children, 1, (3, "t")).unwrap();
    let before = start
        .log_prob(&children, &rows)
        .unwrap()
        .iter()
        .sum::<f64>()
        / 3_000.0;
    assert!(before < best - 0.4, "{before} before training");
    let found = flow
        .abduct(&children, &rows, &mut stream(0, "t", "a"))
        .unwrap();
    let error = found
        .iter()
        .zip(&noises)
        .map(|(f, e)| (f - e).abs())
        .sum::<f64>()
        / 3_000.0;
    assert!(error < 0.1, "mean error of the noises {error}");
    let ranks = flow.rank(&children, &rows).unwrap().unwrap();
    let mean = ranks.iter().sum::<f64>() / 3_000.0;
    assert!((mean - 0.5).abs() < 0.03, "{mean}");
    let again = fitted().0.parameters().snapshot().unwrap();
    assert_eq!(flow.parameters().snapshot().unwrap(), again);
}

#[test]
fn ill_settings_are_errors() {
    for config in [
        FlowConfig {
            hidden: 0,
            ..FlowConfig::default()
        },
        FlowConfig {
            bins: 1,
            ..FlowConfig::default()
        },
        FlowConfig {
            tail: f64::NAN,
            ..FlowConfig::default()
        },
    ] {
        assert!(AttributeFlow::new(config, &Kind::REAL, &[0.0], 0, (0, "t")).is_err());
    }
    let new = |kind: &Kind, values: &[f64]| {
        AttributeFlow::new(FlowConfig::default(), kind, values, 0, (0, "t"))
    };
    assert!(new(&Kind::categories(2), &[0.0]).is_err());
    assert!(new(&Kind::REAL, &[]).is_err());
}
