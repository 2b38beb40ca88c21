//! Smooth random maps.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// A map `[H, W]` that varies slowly from 0 to 1: standard normal control points on a grid of
/// `cells × cells` cells, interpolated by uniform quadratic B-splines, and stretched.
///
/// # References
/// De Boor 1978, "A Practical Guide to Splines", chapter IX.
pub(crate) fn smooth_map(
    [height, width]: [usize; 2],
    cells: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    // Each cell sees three points along each axis.
    let side = cells + 2;
    let points: Vec<f64> = (0..side * side)
        .map(|_| StandardNormal.sample(rng))
        .collect();
    stretched(&splines(&points, cells, [height, width]))
}

/// Quadratic B-splines through the grid of control points, at the middle of each pixel.
fn splines(points: &[f64], cells: usize, [height, width]: [usize; 2]) -> Vec<f64> {
    let side = cells + 2;
    let mut map = Vec::with_capacity(height * width);
    for y in 0..height {
        let (row, of_rows) = weights(y, height, cells);
        for x in 0..width {
            let (column, of_columns) = weights(x, width, cells);
            let along = |i: usize| {
                let start = (row + i) * side + column;
                let values = points[start..start + 3].iter().zip(of_columns);
                values.map(|(value, weight)| value * weight).sum::<f64>()
            };
            let rows = of_rows.iter().enumerate();
            map.push(rows.map(|(i, weight)| weight * along(i)).sum());
        }
    }
    map
}

/// The first control point that a pixel sees along an axis, and the weights of the three.
fn weights(place: usize, side: usize, cells: usize) -> (usize, [f64; 3]) {
    let along = (place as f64 + 0.5) / side as f64 * cells as f64;
    let t = along.fract();
    let weights = [0.5 * (1.0 - t).powi(2), 0.5 + t * (1.0 - t), 0.5 * t * t];
    (along as usize, weights)
}

fn stretched(map: &[f64]) -> Vec<f32> {
    let low = map.iter().copied().fold(f64::INFINITY, f64::min);
    let range = map.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let share = |value: &f64| {
        if range > 0.0 {
            ((value - low) / range) as f32
        } else {
            0.5
        }
    };
    map.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctl_compute::random::stream;

    /// Splines reproduce whatever is linear: point i stands at i − ½ cells.
    #[test]
    fn linear_points_give_a_linear_map() {
        let (cells, sides) = (3, [6usize, 5]);
        let points: Vec<f64> = (0..25u32)
            .map(|i| 2.0 * (f64::from(i / 5) - 0.5) - (f64::from(i % 5) - 0.5))
            .collect();
        let map = splines(&points, cells, sides);
        for (index, found) in map.iter().enumerate() {
            let place = |at: usize, side: usize| (at as f64 + 0.5) / side as f64 * 3.0;
            let expected = 2.0 * place(index / 5, 6) - place(index % 5, 5);
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn maps_reach_both_ends_and_are_smooth() {
        let map = smooth_map([32, 32], 4, &mut stream(0, "t", "map"));
        let near = |value: f32| map.iter().any(|v| (v - value).abs() < 1e-6);
        assert!(near(0.0) && near(1.0) && map.iter().all(|v| (0.0..=1.0).contains(v)));
        // Eight pixels a cell: between neighbours a spline moves by less than 1/8 of the range of
        // its points, which is at most a few times that of the map.
        let steps = map.chunks_exact(32).flat_map(|row| row.windows(2));
        assert!(
            steps
                .map(|pair| (pair[1] - pair[0]).abs())
                .fold(0.0, f32::max)
                < 0.3
        );
        assert_eq!(stretched(&[2.0; 3]), [0.5; 3]);
    }
}
