//! Softmax, losses from logits, and dropout.

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::{
    Reduction, binary_cross_entropy, cross_entropy, dropout, log_softmax, softmax,
};
use ctl_compute::random::stream;
use rand::RngExt;

use super::support::{
    SINGLE, distance, first_order, pass, same_everywhere, sample, second_order, single, values,
};

const REDUCTIONS: [Reduction; 2] = [Reduction::Mean, Reduction::None];

fn classes(rows: &[usize], n: u32) -> Tensor {
    let mut rng = stream(0, "losses", "classes");
    let drawn = (0..rows.iter().product())
        .map(|_| rng.random_range(0..n))
        .collect();
    Tensor::from_vec::<_, u32>(drawn, rows, &Device::Cpu).unwrap()
}

#[test]
fn softmax_along_any_axis() {
    for shape in [vec![2, 3, 4], vec![1, 1, 1], vec![5, 1, 2]] {
        let vars = [sample(&shape, "x")];
        for dim in 0..3 {
            for f in [softmax, log_softmax] {
                first_order(&|v| f(&v[0], dim).unwrap(), &vars);
                second_order(&|v| f(&v[0], dim).unwrap(), &vars);
            }
        }
    }
}

#[test]
fn softmax_values_in_single_precision() {
    for shape in [vec![7, 10], vec![3, 5000], vec![2, 3, 64]] {
        let x = (sample(&shape, "x").as_tensor() * 5.0).unwrap();
        let x = x.to_dtype(DType::F32).unwrap();
        let dim = shape.len() - 1;
        let mut expected = Vec::new();
        for row in values(&x).chunks(shape[dim]) {
            let total: f64 = row.iter().map(|v| v.exp()).sum();
            expected.extend(row.iter().map(|v| v.exp() / total));
        }
        assert!(distance(&softmax(&x, dim).unwrap(), &expected) < SINGLE);
        let logs: Vec<f64> = expected.iter().map(|p| p.ln()).collect();
        assert!(distance(&log_softmax(&x, dim).unwrap(), &logs) < SINGLE);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "only the values are compared")]
fn cross_entropy_of_classes() {
    for rows in [vec![5], vec![2, 3], vec![1]] {
        let shape = [&rows[..], &[4]].concat();
        let (vars, classes) = ([sample(&shape, "z")], classes(&rows, 4));
        for reduction in REDUCTIONS {
            let f = |v: &[Tensor]| cross_entropy(&v[0], &classes, reduction).unwrap();
            first_order(&f, &vars);
            second_order(&f, &vars);
        }
        let logs = log_softmax(&vars[0], rows.len()).unwrap();
        let picked = logs
            .gather(&classes.unsqueeze(rows.len()).unwrap(), rows.len())
            .unwrap();
        let expected: Vec<f64> = values(&picked).iter().map(|v| -v).collect();
        let found = cross_entropy(&vars[0], &classes, Reduction::None).unwrap();
        assert!(distance(&found, &expected) < 1e-14);
    }
}

#[test]
fn binary_cross_entropy_of_probabilities() {
    for shape in [vec![1], vec![3, 5]] {
        let targets = sample(&shape, "t").as_tensor().sqr().unwrap();
        let vars = [sample(&shape, "x"), Var::from_tensor(&targets).unwrap()];
        for reduction in REDUCTIONS {
            let f = |v: &[Tensor]| binary_cross_entropy(&v[0], &v[1], reduction).unwrap();
            first_order(&f, &vars);
            second_order(&f, &vars);
        }
    }
    let x = (sample(&[40_000], "x").as_tensor() * 9.0)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let t = x.ge(0f32).unwrap().to_dtype(DType::F32).unwrap();
    let plain: Vec<f64> = values(&x)
        .iter()
        .map(|x| (-x.abs()).exp().ln_1p())
        .collect();
    let found = binary_cross_entropy(&x, &t, Reduction::None).unwrap();
    assert!(distance(&found, &plain) < SINGLE);
    let mean = plain.iter().sum::<f64>() / plain.len() as f64;
    let found = binary_cross_entropy(&x, &t, Reduction::Mean).unwrap();
    assert!((values(&found)[0] - mean).abs() < 1e-6 * mean);
}

#[test]
fn same_bits_on_levels_and_threads() {
    let vars = [sample(&[70, 30, 17], "x")];
    same_everywhere(|v| softmax(&v[0], 1).unwrap(), &vars);
    same_everywhere(|v| log_softmax(&v[0], 2).unwrap(), &vars);
    same_everywhere(
        |v| cross_entropy(&v[0], &classes(&[70, 30], 17), Reduction::None).unwrap(),
        &vars,
    );
    same_everywhere(
        |v| {
            let targets = v[0]
                .detach()
                .ge(0.0)
                .unwrap()
                .to_dtype(v[0].dtype())
                .unwrap();
            binary_cross_entropy(&v[0], &targets, Reduction::Mean).unwrap()
        },
        &vars,
    );
    same_everywhere(
        |v| dropout(&v[0], 0.3, &mut stream(1, "t", "d")).unwrap(),
        &vars,
    );
}

#[test]
fn dropout_keeps_the_mean_and_replays_its_mask() {
    let ones = Tensor::ones(100_000, DType::F64, &Device::Cpu).unwrap();
    let vars = [Var::from_tensor(&ones).unwrap()];
    let once = |v: &[Tensor]| dropout(&v[0], 0.25, &mut stream(1, "t", "dropout")).unwrap();
    let mean = values(&once(std::slice::from_ref(&ones)))
        .iter()
        .sum::<f64>()
        / 1e5;
    // Four standard errors: 4 · √(p / (1 − p) / n).
    assert!((mean - 1.0).abs() < 0.0073, "{mean}");
    let out = pass(&once, &vars);
    let zero = |t: &Tensor| {
        values(t)
            .iter()
            .map(|v| v.abs() < 1e-300)
            .collect::<Vec<_>>()
    };
    assert_eq!(zero(&out[0]), zero(&out[1]));
    let few = [sample(&[4, 5], "x")];
    first_order(&|v| once(v), &few);
    second_order(&|v| once(v), &few);
    assert!(dropout(&few[0], 1.0, &mut stream(1, "t", "dropout")).is_err());
}

#[test]
fn ill_operands_are_errors() {
    let z = sample(&[2, 3], "z");
    let index = |values: &[u32]| Tensor::new(values, &Device::Cpu).unwrap();
    let loss = |c: &Tensor| cross_entropy(&z, c, Reduction::Mean);
    let message = loss(&index(&[0, 3])).unwrap_err().to_string();
    assert!(
        message.contains("class must be below") && message.contains("3 of 3"),
        "{message}"
    );
    assert!(loss(&index(&[0])).is_err());
    assert!(loss(&Tensor::new(&[0i64, 1], &Device::Cpu).unwrap()).is_err());
    assert!(softmax(&z, 2).is_err());
    let narrow = &single(std::slice::from_ref(&z))[0];
    assert!(binary_cross_entropy(&z, narrow, Reduction::Mean).is_err());
    assert!(binary_cross_entropy(&z, &sample(&[3, 2], "t"), Reduction::Mean).is_err());
}
