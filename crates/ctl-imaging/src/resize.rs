//! Changing the size of a plane: area averaging down, bilinear up, nearest for masks.

/// How new pixels are made from old ones. Each axis is treated separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// For pictures. An axis that shrinks is averaged over the exact area that a new pixel covers
    /// (fractions of pixels included), so the mean is kept; an axis that grows is interpolated
    /// linearly between half-pixel centres, with the border repeated.
    AreaOrBilinear,
    /// For masks and labels: the old pixel in which the new pixel's centre lies. No value is ever
    /// invented.
    Nearest,
}

/// The old pixels, with weights, that make up each new pixel of one axis.
struct Taps {
    /// First old pixel, and where this pixel's weights start in `weights`.
    starts: Vec<(usize, usize)>,
    weights: Vec<f64>,
}

impl Taps {
    fn new(from: usize, to: usize, filter: Filter) -> Self {
        let mut taps = Self {
            starts: Vec::with_capacity(to),
            weights: Vec::new(),
        };
        for index in 0..to {
            match filter {
                Filter::Nearest => taps.push_nearest(index, from, to),
                Filter::AreaOrBilinear if to < from => taps.push_area(index, from, to),
                Filter::AreaOrBilinear => taps.push_linear(index, from, to),
            }
        }
        taps
    }

    fn start_pixel(&mut self, first: usize) {
        self.starts.push((first, self.weights.len()));
    }

    /// `floor((index + ½)·from/to)`, in integers so that no rounding can shift a mask.
    fn push_nearest(&mut self, index: usize, from: usize, to: usize) {
        self.start_pixel((2 * index + 1) * from / (2 * to));
        self.weights.push(1.0);
    }

    /// The overlaps of old pixels with `[index, index + 1)·from/to`, in units of `1/to` of an old
    /// pixel so that they are exact, divided by their sum `from`.
    fn push_area(&mut self, index: usize, from: usize, to: usize) {
        let (begin, end) = (index * from, (index + 1) * from);
        let (first, last) = (begin / to, (end - 1) / to);
        self.start_pixel(first);
        for pixel in first..=last {
            let overlap = end.min((pixel + 1) * to) - begin.max(pixel * to);
            self.weights.push(overlap as f64 / from as f64);
        }
    }

    /// Linear interpolation at `(index + ½)·from/to − ½`, clamped to the outermost centres.
    fn push_linear(&mut self, index: usize, from: usize, to: usize) {
        let centre = (index as f64 + 0.5) * (from as f64 / to as f64) - 0.5;
        let centre = centre.clamp(0.0, (from - 1) as f64);
        let first = centre as usize;
        let fraction = centre - first as f64;
        self.start_pixel(first);
        self.weights.push(1.0 - fraction);
        if first + 1 < from {
            self.weights.push(fraction);
        }
    }

    /// First old pixel and weights of each new pixel, in order.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f64])> {
        let ends = self.starts.iter().skip(1).map(|&(_, offset)| offset);
        let ends = ends.chain(std::iter::once(self.weights.len()));
        self.starts
            .iter()
            .zip(ends)
            .map(|(&(first, offset), end)| (first, &self.weights[offset..end]))
    }
}

/// One plane `[from.0, from.1]` at the size `[to.0, to.1]`; all sides are at least 1.
pub(crate) fn plane(
    samples: &[f32],
    from: (usize, usize),
    to: (usize, usize),
    filter: Filter,
) -> Vec<f32> {
    if filter == Filter::Nearest {
        return nearest(samples, from, to);
    }
    let columns = Taps::new(from.1, to.1, filter);
    let narrowed: Vec<f64> = samples
        .chunks_exact(from.1)
        .flat_map(|row| combine_row(row, &columns))
        .collect();
    let rows = Taps::new(from.0, to.0, filter);
    let mut resized = Vec::with_capacity(to.0 * to.1);
    let mut sums = vec![0.0; to.1];
    for (first, weights) in rows.iter() {
        combine_rows(&narrowed, first, weights, &mut sums);
        resized.extend(sums.iter().map(|&sum| sum as f32));
    }
    resized
}

/// Copies instead of multiplying by 1, so that NaN beside a pixel cannot leak into it.
fn nearest(samples: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let columns = Taps::new(from.1, to.1, Filter::Nearest);
    let rows = Taps::new(from.0, to.0, Filter::Nearest);
    let mut resized = Vec::with_capacity(to.0 * to.1);
    for &(row, _) in &rows.starts {
        let line = &samples[row * from.1..(row + 1) * from.1];
        resized.extend(columns.starts.iter().map(|&(column, _)| line[column]));
    }
    resized
}

fn combine_row(row: &[f32], columns: &Taps) -> impl Iterator<Item = f64> {
    columns.iter().map(|(first, weights)| {
        weights
            .iter()
            .zip(&row[first..])
            .map(|(weight, &sample)| weight * f64::from(sample))
            .sum()
    })
}

fn combine_rows(narrowed: &[f64], first: usize, weights: &[f64], sums: &mut [f64]) {
    sums.fill(0.0);
    let width = sums.len();
    for (weight, row) in weights
        .iter()
        .zip(narrowed[first * width..].chunks_exact(width))
    {
        for (sum, sample) in sums.iter_mut().zip(row) {
            *sum += weight * sample;
        }
    }
}
