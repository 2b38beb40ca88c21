//! Exact Euclidean distance to the edge of a mask.

/// A distance that no image has.
const FAR: f64 = 1e12;

/// Distance in pixels from each pixel's centre to the edge of a mask: positive inside.
///
/// The edge lies half a pixel from the centres of the pixels at it. Without any pixel inside all
/// distances are strongly negative, without any outside strongly positive.
///
/// # Arguments
/// - `mask`: `[size, size]`, 0 or 1.
///
/// # References
/// Felzenszwalb & Huttenlocher (2012), *Distance transforms of sampled functions*.
pub(crate) fn signed_distance(mask: &[u8], size: usize) -> Vec<f32> {
    let inside = squared_distance(mask, size, 0);
    let outside = squared_distance(mask, size, 1);
    let pairs = mask.iter().zip(inside.iter().zip(&outside));
    let signed = pairs.map(|(&pixel, (&to_outside, &to_inside))| {
        if pixel == 1 {
            to_outside.sqrt() - 0.5
        } else {
            0.5 - to_inside.sqrt()
        }
    });
    signed.map(|distance| distance as f32).collect()
}

/// Squared distance of each pixel to the nearest that has a value.
fn squared_distance(mask: &[u8], size: usize, value: u8) -> Vec<f64> {
    let start = |&pixel: &u8| if pixel == value { 0.0 } else { FAR };
    let mut grid: Vec<f64> = mask.iter().map(start).collect();
    let mut column = vec![0.0; size];
    let mut work = Envelope::new(size);
    for x in 0..size {
        for y in 0..size {
            column[y] = grid[y * size + x];
        }
        work.transform(&mut column);
        for y in 0..size {
            grid[y * size + x] = column[y];
        }
    }
    grid.chunks_exact_mut(size)
        .for_each(|row| work.transform(row));
    grid
}

/// The lower envelope of parabolas.
struct Envelope {
    roots: Vec<usize>,
    starts: Vec<f64>,
    heights: Vec<f64>,
}

impl Envelope {
    fn new(size: usize) -> Self {
        Self {
            roots: vec![0; size],
            starts: vec![0.0; size + 1],
            heights: vec![0.0; size],
        }
    }

    fn transform(&mut self, line: &mut [f64]) {
        self.heights.copy_from_slice(line);
        let mut last = 0;
        self.roots[0] = 0;
        (self.starts[0], self.starts[1]) = (f64::NEG_INFINITY, f64::INFINITY);
        for place in 1..line.len() {
            let mut meets = self.meet(self.roots[last], place);
            while meets <= self.starts[last] {
                last -= 1;
                meets = self.meet(self.roots[last], place);
            }
            last += 1;
            self.roots[last] = place;
            self.starts[last] = meets;
            self.starts[last + 1] = f64::INFINITY;
        }
        let mut lowest = 0;
        for (place, value) in line.iter_mut().enumerate() {
            while self.starts[lowest + 1] < place as f64 {
                lowest += 1;
            }
            let root = self.roots[lowest];
            let step = place as f64 - root as f64;
            *value = step * step + self.heights[root];
        }
    }

    /// Where the parabolas at two places meet.
    fn meet(&self, left: usize, right: usize) -> f64 {
        let at = |place: usize| self.heights[place] + (place * place) as f64;
        (at(right) - at(left)) / (2.0 * (right as f64 - left as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::signed_distance;

    #[test]
    fn agrees_with_the_nearest_pixel_by_search() {
        let size = 9;
        let mask: Vec<u8> = (0..81_usize)
            .map(|place| u8::from((place * 7919 + 13) % 5 == 0 || place % 17 == 3))
            .collect();
        let found = signed_distance(&mask, size);
        for (place, &pixel) in mask.iter().enumerate() {
            let others = (0..81).filter(|&other| mask[other] != pixel);
            let nearest = others
                .map(|other| {
                    let x = (other % size).abs_diff(place % size);
                    let y = (other / size).abs_diff(place / size);
                    (x * x + y * y) as f32
                })
                .fold(f32::INFINITY, f32::min);
            let distance = nearest.sqrt() - 0.5;
            let expected = if pixel == 1 { distance } else { -distance };
            assert!((found[place] - expected).abs() < 1e-5, "{place}");
        }
    }

    #[test]
    fn a_mask_without_an_edge_is_far_from_it() {
        assert!(signed_distance(&[0; 16], 4).iter().all(|&d| d < -1000.0));
        assert!(signed_distance(&[1; 16], 4).iter().all(|&d| d > 1000.0));
    }
}
