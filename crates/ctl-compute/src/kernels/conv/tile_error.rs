//! Why Winograd's scheme stops at tiles of 2 × 2: the error of larger ones, measured.

/// `m × m` outputs from `(m + 2) × (m + 2)` inputs and a 3 × 3 kernel (Lavin & Gray 2016).
struct Scheme {
    outputs: usize,
    /// Transform of the input.
    input: Vec<Vec<f32>>,
    /// Transform of the kernel.
    kernel: Vec<Vec<f32>>,
    /// Transform back to the output.
    output: Vec<Vec<f32>>,
}

fn matrix<const N: usize>(rows: &[[f32; N]]) -> Vec<Vec<f32>> {
    rows.iter().map(|row| row.to_vec()).collect()
}

fn two() -> Scheme {
    Scheme {
        outputs: 2,
        input: matrix(&[
            [1.0, 0.0, -1.0, 0.0],
            [0.0, 1.0, 1.0, 0.0],
            [0.0, -1.0, 1.0, 0.0],
            [0.0, 1.0, 0.0, -1.0],
        ]),
        kernel: matrix(&[
            [1.0, 0.0, 0.0],
            [0.5, 0.5, 0.5],
            [0.5, -0.5, 0.5],
            [0.0, 0.0, 1.0],
        ]),
        output: matrix(&[[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]]),
    }
}

fn four() -> Scheme {
    let [a, b, c, d] = [1.0 / 4.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 12.0];
    Scheme {
        outputs: 4,
        input: matrix(&[
            [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
            [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
            [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
            [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
            [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
            [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
        ]),
        kernel: matrix(&[
            [a, 0.0, 0.0],
            [-b, -b, -b],
            [-b, b, -b],
            [c, d, b],
            [c, -d, b],
            [0.0, 0.0, 1.0],
        ]),
        output: matrix(&[
            [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
            [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
            [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
            [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
        ]),
    }
}

/// `a x aᵀ` in single precision.
fn sandwich(a: &[Vec<f32>], x: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let times = |rows: &[Vec<f32>], columns: &dyn Fn(usize, usize) -> f32, n: usize| {
        let dot = |row: &Vec<f32>, j| {
            let terms = row.iter().enumerate().map(|(k, &v)| v * columns(k, j));
            terms.fold(0.0, |sum, term| sum + term)
        };
        rows.iter()
            .map(|row| (0..n).map(|j| dot(row, j)).collect())
            .collect::<Vec<Vec<f32>>>()
    };
    let left = times(a, &|k, j| x[k][j], x[0].len());
    times(&left, &|k, j| a[j][k], a.len())
}

/// Numbers on ±0.5 from a congruential generator.
fn square(side: usize, state: &mut u64) -> Vec<Vec<f32>> {
    let mut next = || {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..side)
        .map(|_| (0..side).map(|_| next()).collect())
        .collect()
}

/// Largest error of the scheme over `tiles` tiles, relative to the largest value.
fn largest_error(scheme: &Scheme, channels: usize, tiles: usize) -> f64 {
    let (m, mut state) = (scheme.outputs, 1);
    let (mut error, mut largest) = (0.0f64, 0.0f64);
    for _ in 0..tiles {
        let mut sums = vec![vec![0f32; m + 2]; m + 2];
        let mut exact = vec![vec![0f64; m]; m];
        for _ in 0..channels {
            let (x, w) = (square(m + 2, &mut state), square(3, &mut state));
            let (u, v) = (sandwich(&scheme.input, &x), sandwich(&scheme.kernel, &w));
            for (i, j) in (0..m + 2).flat_map(|i| (0..m + 2).map(move |j| (i, j))) {
                sums[i][j] = u[i][j].mul_add(v[i][j], sums[i][j]);
            }
            for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
                for tap in 0..9 {
                    let (a, b) = (tap / 3, tap % 3);
                    exact[i][j] += f64::from(x[i + a][j + b]) * f64::from(w[a][b]);
                }
            }
        }
        let found = sandwich(&scheme.output, &sums);
        for (found, exact) in found.iter().flatten().zip(exact.iter().flatten()) {
            error = error.max((f64::from(*found) - exact).abs());
            largest = largest.max(exact.abs());
        }
    }
    error / largest
}

/// Every operator is held to 1e-5 of the largest value.
#[test]
fn tiles_of_four_lose_a_digit_that_tiles_of_two_keep() {
    let [small, large] = [two(), four()].map(|scheme| largest_error(&scheme, 256, 400));
    assert!(small < 1e-6, "{small}");
    assert!(large > 8.0 * small, "{large} against {small}");
    assert!(large > 5e-6, "{large}");
}
