//! Values between voxels: linear for images, nearest for masks.

use crate::Result;
use crate::preprocess::image::Image;
use crate::preprocess::mask::Mask;
use rayon::prelude::*;

/// Gives every voxel the value at another place.
///
/// A place outside of the image, by more than half a voxel, has the value `fill` and the class 0.
///
/// # Arguments
/// * `place`: for a voxel the fractional voxel index from which its value comes.
pub(crate) fn resample(
    image: &mut Image,
    fill: f32,
    place: impl Fn([usize; 3]) -> [f64; 3] + Sync,
) -> Result<()> {
    let [width, height, _] = image.shape;
    let voxel = |row: usize, i: usize| [i, row % height, row / height];
    let source = Source {
        shape: image.shape,
        values: &image.values,
    };
    let mut values = vec![0.0; image.values.len()];
    let rows = values.par_chunks_exact_mut(width).enumerate();
    rows.for_each(|(row, values)| {
        for (i, value) in values.iter_mut().enumerate() {
            *value = source.linear(place(voxel(row, i))).unwrap_or(fill);
        }
    });
    if let Some(mask) = &image.mask {
        let mut classes = vec![0; mask.classes().len()];
        let rows = classes.par_chunks_exact_mut(width).enumerate();
        rows.for_each(|(row, classes)| {
            for (i, class) in classes.iter_mut().enumerate() {
                let nearest = source.nearest(place(voxel(row, i)));
                *class = nearest.map_or(0, |nearest| mask.classes()[nearest]);
            }
        });
        image.mask = Some(Mask::new(image.shape, classes)?);
    }
    image.values = values;
    Ok(())
}

struct Source<'a> {
    shape: [usize; 3],
    values: &'a [f32],
}

impl Source<'_> {
    /// Whether a place lies within half a voxel of the image.
    fn holds(&self, place: [f64; 3]) -> bool {
        let sides = place.iter().zip(self.shape);
        sides
            .into_iter()
            .all(|(&at, side)| at >= -0.5 && at < side as f64 - 0.5)
    }

    fn nearest(&self, place: [f64; 3]) -> Option<usize> {
        let round = |axis: usize| {
            let last = self.shape[axis] - 1;
            ((place[axis] + 0.5).floor().max(0.0) as usize).min(last)
        };
        self.holds(place)
            .then(|| round(0) + self.shape[0] * (round(1) + self.shape[1] * round(2)))
    }

    fn linear(&self, place: [f64; 3]) -> Option<f32> {
        if !self.holds(place) {
            return None;
        }
        let mut below = [0; 3];
        let mut step = [0; 3];
        let mut rest = [0.0; 3];
        let mut stride = 1;
        for axis in 0..3 {
            let last = self.shape[axis] - 1;
            let at = place[axis].clamp(0.0, last as f64);
            let floor = at as usize;
            below[axis] = floor * stride;
            step[axis] = if floor < last { stride } else { 0 };
            rest[axis] = at - floor as f64;
            stride *= self.shape[axis];
        }
        let at = |x: usize, y: usize, z: usize| {
            let corner = below[0] + x * step[0] + below[1] + y * step[1] + below[2] + z * step[2];
            f64::from(self.values[corner])
        };
        let mix = |a: f64, b: f64, rest: f64| a + (b - a) * rest;
        let row = |y, z| mix(at(0, y, z), at(1, y, z), rest[0]);
        let plane = |z| mix(row(0, z), row(1, z), rest[1]);
        Some(mix(plane(0), plane(1), rest[2]) as f32)
    }
}
