//! Noise that looks like what surrounds a hole.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::super::region::dilated;

/// The residual of each known pixel within `ring` pixels of the hole, with its place.
pub(super) fn residuals(
    plane: &[f64],
    hole: &[bool],
    size: [usize; 2],
    ring: usize,
) -> Vec<(usize, f64)> {
    let near = dilated(hole, size, ring);
    let mut residuals: Vec<(usize, f64)> = (0..plane.len())
        .filter(|&index| near[index] && !hole[index])
        .filter_map(|index| Some((index, residual(plane, hole, size, index)?)))
        .collect();
    let mean =
        residuals.iter().map(|(_, value)| value).sum::<f64>() / residuals.len().max(1) as f64;
    for (_, value) in &mut residuals {
        *value -= mean;
    }
    residuals
}

/// What a known pixel differs by from those around it; none where there are none.
fn residual(
    plane: &[f64],
    hole: &[bool],
    [height, width]: [usize; 2],
    index: usize,
) -> Option<f64> {
    let (y, x) = (index / width, index % width);
    let (mut sum, mut count) = (0.0, 0.0);
    for row in y.saturating_sub(1)..(y + 2).min(height) {
        for column in x.saturating_sub(1)..(x + 2).min(width) {
            let other = row * width + column;
            if !hole[other] {
                sum += plane[other];
                count += 1.0;
            }
        }
    }
    // The pixel itself is always among those counted.
    (count > 1.0).then(|| (plane[index] - sum / count) * (count / (count - 1.0)).sqrt())
}

/// Adds spot noise of the ring's residuals to the pixels of the hole.
pub(super) fn lay(
    plane: &mut [f64],
    hole: &[bool],
    size: [usize; 2],
    (ring, rng): (usize, &mut ChaCha8Rng),
) {
    let spot = residuals(plane, hole, size, ring);
    let [height, width] = size;
    let noise: Vec<f64> = (0..height * width)
        .map(|_| StandardNormal.sample(rng))
        .collect();
    let norm = (spot.len().max(1) as f64).sqrt();
    for index in (0..plane.len()).filter(|&index| hole[index]) {
        let (y, x) = (index / width, index % width);
        let term = |&(k, residual): &(usize, f64)| {
            let row = (y + height - k / width) % height;
            let column = (x + width - k % width) % width;
            residual * noise[row * width + column]
        };
        plane[index] += spot.iter().map(term).sum::<f64>() / norm;
    }
}
