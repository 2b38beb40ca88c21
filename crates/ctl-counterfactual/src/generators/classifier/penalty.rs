//! What a change of an image costs beside what the classifier says.

/// Rounds the corner of the total variation at 0, in pixel values.
const CORNER: f64 = 0.01;

/// `Σ (√(∂_y δ² + ∂_x δ² + ε²) − ε)` over all channels, forward differences that are 0 at the far
/// borders, and its gradient.
///
/// # References
/// Rudin, Osher & Fatemi 1992, with the corner rounded as in Acar & Vogel 1994.
pub(super) fn total_variation(change: &[f64], [_, height, width]: [usize; 3]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; change.len()];
    let mut sum = 0.0;
    let planes = change.chunks_exact(height * width);
    for (plane, gradient) in planes.zip(gradient.chunks_exact_mut(height * width)) {
        for index in 0..plane.len() {
            let down = (index / width + 1 < height).then_some(index + width);
            let right = (index % width + 1 < width).then_some(index + 1);
            let step = |to: Option<usize>| to.map_or(0.0, |to| plane[to] - plane[index]);
            let (along_y, along_x) = (step(down), step(right));
            let norm = (along_y.powi(2) + along_x.powi(2) + CORNER.powi(2)).sqrt();
            sum += norm - CORNER;
            for (to, along) in [(down, along_y), (right, along_x)] {
                if let Some(to) = to {
                    gradient[to] += along / norm;
                    gradient[index] -= along / norm;
                }
            }
        }
    }
    (sum, gradient)
}

/// The proximal step of `t λ ‖δ‖₁` with `x + δ` in [0, 1], at `δ − t g`.
///
/// The function is a sum over pixels, each convex in one variable, and 0 is allowed wherever `x` lies
/// in [0, 1]: shrinking and then cutting off is exact.
pub(super) fn proximal_step(
    (image, change): (&[f64], &[f64]),
    gradient: &[f64],
    (step, threshold): (f64, f64),
) -> Vec<f64> {
    let pixels = image.iter().zip(change).zip(gradient);
    pixels
        .map(|((&value, &change), &gradient)| {
            let moved = change - step * gradient;
            let shrunk = (moved.abs() - threshold).max(0.0).copysign(moved);
            // A pixel that lies outside may stay where it is.
            shrunk.clamp((-value).min(0.0), (1.0 - value).max(0.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_variation_by_hand_and_by_differences() {
        // One step of 0.3 over a column of two pixels, twice.
        let (found, _) = total_variation(&[0.0, 0.3, 0.0, 0.3], [1, 2, 2]);
        let expected = 2.0 * ((0.09f64 + 1e-4).sqrt() - 0.01);
        assert!((found - expected).abs() < 1e-12);
        assert!(total_variation(&[0.7; 12], [2, 2, 3]).0.abs() < 1e-15);
        let change: Vec<f64> = (0..24).map(|i| (f64::from(i) * 1.3).sin() * 0.05).collect();
        let shape = [2, 3, 4];
        let (_, gradient) = total_variation(&change, shape);
        for index in 0..24 {
            let at = |by: f64| {
                let mut change = change.clone();
                change[index] += by;
                total_variation(&change, shape).0
            };
            let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((gradient[index] - expected).abs() < 1e-7, "{index}");
        }
    }

    /// Against the minimum of `½ (δ − v)² + t |δ|` over a fine grid of what is allowed.
    #[test]
    fn the_step_minimises_what_it_stands_for() {
        let (step, threshold) = (0.5, 0.1);
        for (value, change, gradient) in [
            (0.5, 0.0, -0.1),
            (0.5, 0.2, -0.3),
            (0.9, 0.05, -1.0),
            (0.2, 0.0, 1.5),
            (0.0, 0.0, 1.0),
            (1.0, -0.3, -0.2),
        ] {
            let found = proximal_step((&[value], &[change]), &[gradient], (step, threshold))[0];
            let to = change - step * gradient;
            let cost = |change: f64| 0.5 * (change - to).powi(2) + threshold * change.abs();
            let grid = (0..=20_000).map(|i| f64::from(i) / 20_000.0 - value);
            let best = grid.min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap();
            assert!(
                (found - best).abs() < 1e-4,
                "{value} {change}: {found} {best}"
            );
        }
    }
}
