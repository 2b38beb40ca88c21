//! The collimator's blades: beyond them no rays pass, and the film is shown black.

/// Share of the films on which one of the blades is seen.
const SEEN: f64 = 0.22;
/// Most of the film's width that a blade covers.
const REACH: f64 = 0.07;

/// Blackens what the blades cover. Each blade's position is a number from 0 to 1, of which the
/// lowest are within the film: left, right, upper, lower.
pub(crate) fn collimate(film: &mut [f32], size: usize, blades: &[f64; 4]) {
    let covered = blades.map(|blade| REACH * (1.0 - blade / SEEN).max(0.0) * size as f64);
    if covered.iter().all(|&blade| blade <= 0.0) {
        return;
    }
    let passed = |pixel: usize, [before, after]: [f64; 2]| {
        let low = (pixel as f64 + 1.0 - before).clamp(0.0, 1.0);
        let high = (size as f64 - after - pixel as f64).clamp(0.0, 1.0);
        low.min(high) as f32
    };
    let [left, right, upper, lower] = covered;
    for (row, line) in film.chunks_exact_mut(size).enumerate() {
        let share = passed(row, [upper, lower]);
        for (column, value) in line.iter_mut().enumerate() {
            *value *= share * passed(column, [left, right]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::collimate;

    #[test]
    fn blades_within_the_film_cut_its_edges_only() {
        let mut film = vec![1.0; 100];
        collimate(&mut film, 10, &[0.5; 4]);
        assert_eq!(film, vec![1.0; 100]);
        collimate(&mut film, 10, &[0.0, 0.5, 0.5, 0.5]);
        assert!((film[0] - 0.3).abs() < 1e-6 && (film[1] - 1.0).abs() < 1e-6);
        assert!((film[9] - 1.0).abs() < 1e-6);
    }
}
