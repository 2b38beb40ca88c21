//! The iteration of N4.

use super::N4;
use super::sharpen::Sharpener;
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::image::Image;
use crate::preprocess::lattice::{Axis, Fit, Lattice};
use crate::preprocess::mask::Region;

/// Voxels that an axis keeps when others are left out.
const FEWEST_VOXELS: usize = 16;

/// The log field as a spline, and how it was found.
pub(crate) struct Field {
    pub(crate) lattice: Lattice,
    /// Weights at all voxels of the image.
    pub(crate) full_axes: [Axis; 3],
    pub(crate) shrink: [usize; 3],
    /// Of every level.
    pub(crate) iterations: Vec<f64>,
    pub(crate) convergence: Vec<f64>,
}

pub(crate) fn field(settings: &N4, image: &Image) -> Result<Field> {
    let sampling = image.shape.map(|side| Sampling::new(side, settings.shrink));
    let (logs, counts) = logarithms(settings, image, &sampling)?;
    let sharpener = Sharpener::new(settings.bins, settings.fwhm, settings.wiener_noise);
    let mut pieces = settings.control_points - 3;
    let mut axes = axes_at(image, &sampling, pieces);
    let mut lattice = Lattice::zero(&axes);
    let (mut iterations, mut convergence) = (Vec::new(), Vec::new());
    for (level, &most) in settings.iterations.iter().enumerate() {
        if level > 0 {
            pieces *= 2;
            axes = axes_at(image, &sampling, pieces);
            lattice = lattice.refined();
        }
        let fit = Fit::new(&axes, &counts);
        let mut bias = lattice.evaluate(&axes);
        let (mut done, mut change) = (0, f64::INFINITY);
        while done < most && change > settings.convergence {
            let corrected: Vec<f64> = logs
                .iter()
                .zip(&bias)
                .map(|(log, bias)| log - bias)
                .collect();
            lattice.add(&fit.apply(&sharpener.residual(&corrected, &counts)));
            let next = lattice.evaluate(&axes);
            change = variation(&bias, &next, &counts);
            bias = next;
            done += 1;
        }
        iterations.push(f64::from(done as u32));
        convergence.push(change);
    }
    let full_axes = image
        .shape
        .map(|side| Axis::new(side, pieces, (0..side).map(|at| at as f64)));
    Ok(Field {
        lattice,
        full_axes,
        shrink: sampling.map(|axis| axis.factor),
        iterations,
        convergence,
    })
}

/// Which voxels along an axis are looked at: every `factor`-th, as many before as behind.
#[derive(Clone, Copy)]
struct Sampling {
    factor: usize,
    first: usize,
    count: usize,
}

impl Sampling {
    fn new(side: usize, shrink: usize) -> Self {
        let factor = shrink.min(side / FEWEST_VOXELS).max(1);
        let count = side / factor;
        Self {
            factor,
            first: (side - 1 - (count - 1) * factor) / 2,
            count,
        }
    }

    fn places(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |number| self.first + number * self.factor)
    }
}

fn axes_at(image: &Image, sampling: &[Sampling; 3], pieces: usize) -> [Axis; 3] {
    [0, 1, 2].map(|axis| {
        let places = sampling[axis].places().map(|place| place as f64);
        Axis::new(image.shape[axis], pieces, places)
    })
}

/// Logarithms of the voxels looked at, and which of them count.
fn logarithms(
    settings: &N4,
    image: &Image,
    sampling: &[Sampling; 3],
) -> Result<(Vec<f64>, Vec<bool>)> {
    let classes = match settings.region {
        Region::Mask => Some(image.foreground()?),
        Region::Whole => None,
    };
    let [width, height, _] = image.shape;
    let (mut logs, mut counts) = (Vec::new(), Vec::new());
    for k in sampling[2].places() {
        for j in sampling[1].places() {
            for i in sampling[0].places() {
                let at = i + width * (j + height * k);
                let value = f64::from(image.values[at]);
                let counted = value > 0.0 && classes.is_none_or(|classes| classes[at] != 0);
                logs.push(if counted { value.ln() } else { 0.0 });
                counts.push(counted);
            }
        }
    }
    let mut counted = logs.iter().zip(&counts).filter(|(_, counts)| **counts);
    let first = counted.next().map(|(log, _)| *log);
    if first.is_some_and(|first| counted.any(|(log, _)| log.total_cmp(&first).is_ne())) {
        return Ok((logs, counts));
    }
    Err(ImagingError::argument(
        "n4",
        "two different values above 0 in its region",
        if first.is_some() { "one" } else { "none" },
    ))
}

/// Coefficient of variation of the ratio of two fields, from their logarithms.
fn variation(before: &[f64], after: &[f64], counts: &[bool]) -> f64 {
    let each = before.iter().zip(after).zip(counts);
    let ratios: Vec<f64> = each
        .filter(|(_, counts)| **counts)
        .map(|((before, after), _)| (before - after).exp())
        .collect();
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt() / mean
}
