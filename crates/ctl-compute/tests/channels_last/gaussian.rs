//! Draws from diagonal Gaussians and their divergences.

use candle_core::{DType, Device, Tensor};
use ctl_compute::ComputeError;
use ctl_compute::ops::{gaussian_divergence, gaussian_draw};

use super::support::{distance, first_order, same_everywhere, sample, second_order, values};

/// Shapes of the first and the second law, and `Z`.
const CASES: [([usize; 3], [usize; 3], usize); 3] = [
    ([2, 3, 4], [2, 3, 6], 2),
    ([1, 1, 2], [1, 1, 2], 1),
    ([3, 2, 7], [3, 2, 10], 3),
];

#[test]
fn a_draw_follows_its_parameters() {
    for (law, _, latent) in CASES {
        let vars = [sample(&law, "law")];
        let noise = sample(&[law[0], law[1], latent], "noise")
            .as_tensor()
            .detach();
        let f = |v: &[Tensor]| gaussian_draw(&v[0], &noise).unwrap();
        first_order(&f, &vars);
        second_order(&f, &vars);
        let (rows, noise) = (values(&vars[0]), values(&noise));
        let plain: Vec<f64> = (0..noise.len())
            .map(|i| {
                let row = &rows[i / latent * law[2]..];
                row[i % latent] + row[latent + i % latent].exp() * noise[i]
            })
            .collect();
        let found = f(&[vars[0].as_tensor().clone()]);
        assert!(distance(&found, &plain) < 1e-14);
    }
}

/// `log N(x; μ, e^s)`
fn log_density(x: f64, mean: f64, log: f64) -> f64 {
    let z = (x - mean) / log.exp();
    -0.5 * z * z - log - 0.5 * std::f64::consts::TAU.ln()
}

/// `∫ q (log q − log p)` by the trapezoidal rule, which is exact to rounding for such integrands.
fn divergence_by_quadrature(q: [f64; 2], p: [f64; 2]) -> f64 {
    const CELLS: i32 = 4000;
    let reach = 14.0 * q[1].exp();
    let step = 2.0 * reach / f64::from(CELLS);
    (0..=CELLS)
        .map(|i| {
            let x = q[0] - reach + step * f64::from(i);
            let own = log_density(x, q[0], q[1]);
            step * own.exp() * (own - log_density(x, p[0], p[1]))
        })
        .sum()
}

#[test]
fn a_divergence_is_the_integral_it_stands_for() {
    for (first, second, latent) in CASES {
        let vars = [sample(&first, "q"), sample(&second, "p")];
        let f = |v: &[Tensor]| gaussian_divergence(&v[0], &v[1], latent).unwrap();
        first_order(&f, &vars);
        second_order(&f, &vars);
        let (q, p) = (values(&vars[0]), values(&vars[1]));
        let law = |rows: &[f64], row: usize, width: usize, z: usize| {
            [rows[row * width + z], rows[row * width + latent + z]]
        };
        let plain: Vec<f64> = (0..first[0])
            .map(|image| {
                let rows = image * first[1]..(image + 1) * first[1];
                rows.flat_map(|row| (0..latent).map(move |z| (row, z)))
                    .map(|(row, z)| {
                        let q = law(&q, row, first[2], z);
                        divergence_by_quadrature(q, law(&p, row, second[2], z))
                    })
                    .sum()
            })
            .collect();
        let found = f(&[vars[0].as_tensor().clone(), vars[1].as_tensor().clone()]);
        assert!(distance(&found, &plain) < 1e-9);
    }
}

#[test]
fn equal_laws_are_no_distance_apart() {
    let q = sample(&[4, 5, 6], "q");
    let found = gaussian_divergence(q.as_tensor(), q.as_tensor(), 3).unwrap();
    assert_eq!(values(&found), [0.0; 4]);
}

#[test]
fn same_bits_on_levels_and_threads() {
    let vars = [sample(&[5, 700, 34], "q"), sample(&[5, 700, 41], "p")];
    same_everywhere(|v| gaussian_divergence(&v[0], &v[1], 17).unwrap(), &vars);
    same_everywhere(
        |v| {
            let noise = sample(&[5, 700, 17], "noise").as_tensor().detach();
            let noise = noise.to_dtype(v[0].dtype()).unwrap();
            let from_second = gaussian_draw(&v[1], &noise).unwrap();
            (gaussian_draw(&v[0], &noise).unwrap() + from_second).unwrap()
        },
        &vars,
    );
}

#[test]
fn misfits_are_named() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let law = zeros(&[2, 3, 4]);
    let cases = [
        (gaussian_draw(&law, &zeros(&[2, 3, 3])), "2 × 3"),
        (gaussian_draw(&law, &zeros(&[2, 1, 2])), "[2, 3, 4]"),
        (gaussian_divergence(&law, &zeros(&[2, 3, 3]), 2), "2 × 2"),
        (
            gaussian_divergence(&law, &zeros(&[1, 3, 4]), 2),
            "[2, 3, 4]",
        ),
        (gaussian_divergence(&law, &law, 0), "2 × 0"),
    ];
    for (result, expected) in cases {
        match result {
            Err(ComputeError::Shape { expected: e, .. }) => assert!(e.contains(expected), "{e}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
