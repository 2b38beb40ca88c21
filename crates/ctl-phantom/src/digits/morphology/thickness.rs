//! Dilation and erosion of a mask by the published brush.

use super::super::{DigitError, Plane};
use super::Morphology;

/// The brush is cut from a disk drawn this many times finer.
const BRUSH_SCALE: usize = 16;
/// Reach of the Gaussian that smooths the fine disk, 4 standard deviations of 16/3 pixels.
const BRUSH_REACH: usize = 21;
/// Greatest thickness that can be asked for, in pixels.
const MAX_THICKNESS: f64 = 64.0;

/// The mask at another thickness.
pub(super) fn with_thickness(
    morphology: &Morphology,
    thickness: f64,
) -> Result<Plane<bool>, DigitError> {
    if !(0.0..=MAX_THICKNESS).contains(&thickness) {
        return Err(DigitError::Value {
            name: "thickness",
            expected: "a number of pixels from 0 to 64",
            found: thickness,
        });
    }
    let change = thickness - morphology.thickness();
    let radius = (morphology.scale as f64 * change.abs() / 2.0) as usize;
    let brush = Brush::new(radius);
    Ok(if change >= 0.0 {
        brush.dilate(&morphology.mask)
    } else {
        // What a mask loses is what its ground gains. Beyond the picture is neither.
        brush
            .dilate(&morphology.mask.map(|set| !set))
            .map(|gained| !gained)
    })
}

/// A symmetric brush: how far it reaches to either side, by row from its middle outwards.
struct Brush {
    reach: Vec<u16>,
}

impl Brush {
    /// The brush of a radius in pixels.
    ///
    /// A disk of `16 r` fine pixels is smoothed, then sampled every 16 pixels; the brush is where
    /// the samples are not 0, so where the window of the smoothing meets the disk.
    fn new(radius: usize) -> Self {
        let disk = (BRUSH_SCALE * radius).pow(2);
        let gap = |offset: usize| Self::gap(offset, radius).pow(2);
        let reach = |y: usize| {
            let fits = |x: &usize| gap(y) + gap(*x) <= disk;
            (0..=radius).rev().find(fits).unwrap_or(0) as u16
        };
        Self {
            reach: (0..=radius).map(reach).collect(),
        }
    }

    /// Fine pixels between the disk's middle and the window around a sample.
    ///
    /// A sample lies between two fine pixels, and the nearer one counts.
    fn gap(offset: usize, radius: usize) -> usize {
        let (fine, coarse) = (2 * BRUSH_SCALE * radius + 1, 2 * radius + 1);
        (offset * fine / coarse).saturating_sub(BRUSH_REACH)
    }

    fn dilate(&self, mask: &Plane<bool>) -> Plane<bool> {
        let [height, _] = mask.shape();
        let sideways = sideways_distance(mask);
        let mut dilated = Plane::filled(mask.shape(), false);
        for y in 0..height {
            for (offset, &reach) in self.reach.iter().enumerate() {
                let above = y.checked_sub(offset);
                let below = Some(y + offset).filter(|&row| row < height && offset > 0);
                for row in above.into_iter().chain(below) {
                    let values = dilated.row_mut(y).iter_mut().zip(sideways.row(row));
                    values.for_each(|(value, &distance)| *value |= distance <= reach);
                }
            }
        }
        dilated
    }
}

/// Distance to the nearest set pixel in the same row, `u16::MAX` where there is none.
fn sideways_distance(mask: &Plane<bool>) -> Plane<u16> {
    let mut distance = mask.map(|set| if set { 0 } else { u16::MAX });
    for y in 0..mask.shape()[0] {
        let row = distance.row_mut(y);
        for x in 1..row.len() {
            row[x] = row[x].min(row[x - 1].saturating_add(1));
        }
        for x in (1..row.len()).rev() {
            row[x - 1] = row[x - 1].min(row[x].saturating_add(1));
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Number of pixels of the brush, which the authors' program gives as the count of samples
    /// that are not 0: `(_get_disk(r, 16) != 0).sum()`.
    #[test]
    fn brushes_have_the_published_size() {
        for (radius, expected) in PUBLISHED_SIZES {
            let brush = Brush::new(radius);
            let rows = brush.reach.iter().map(|&reach| 2 * usize::from(reach) + 1);
            let size = 2 * rows.sum::<usize>() - (2 * usize::from(brush.reach[0]) + 1);
            assert_eq!(size, expected, "radius {radius}");
        }
    }

    const PUBLISHED_SIZES: [(usize, usize); 10] = [
        (0, 1),
        (1, 9),
        (2, 25),
        (5, 121),
        (7, 221),
        (9, 349),
        (12, 577),
        (20, 1477),
        (33, 3809),
        (60, 12_065),
    ];

    proptest! {
        #[test]
        fn dilation_is_the_union_of_brushes(
            bits in prop::collection::vec(prop::bool::weighted(0.05), 30 * 31),
            radius in 0_usize..14,
        ) {
            let mask = Plane::new([30, 31], bits).unwrap();
            let brush = Brush::new(radius);
            let dilated = brush.dilate(&mask);
            for y in 0..30_usize {
                for x in 0..31_usize {
                    let touched = (0..30_usize).any(|v| (0..31_usize).any(|u| {
                        let (dy, dx) = (y.abs_diff(v), x.abs_diff(u));
                        mask.row(v)[u] && dy <= radius && dx <= usize::from(brush.reach[dy])
                    }));
                    prop_assert_eq!(dilated.row(y)[x], touched);
                }
            }
        }
    }
}
