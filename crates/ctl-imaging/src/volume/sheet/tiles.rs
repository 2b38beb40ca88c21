//! Pictures of one size in rows, as close to a square as whole ones come.

use crate::Result;
use crate::error::ImagingError;
use crate::raster::{MAX_SAMPLES, Raster};
use crate::resize::Filter;

/// Colours of a pixel.
const CHANNELS: usize = 3;
/// Longest side of a picture, pixels.
const MAX_SIDE: usize = 1024;

/// A sheet that is being filled.
pub(super) struct Tiles {
    /// Pixels of each.
    height: usize,
    width: usize,
    columns: usize,
    rows: usize,
    filled: usize,
    samples: Vec<f32>,
}

impl Tiles {
    /// An empty sheet, if it is not too large.
    ///
    /// # Arguments
    /// * `count`: how many pictures there will be.
    /// * `[rows, columns]`: pixels of each before they are made square.
    /// * `spacing`: their mm down and across.
    pub(super) fn new(count: usize, pixels: [usize; 2], spacing: [f64; 2]) -> Result<Self> {
        let [height, width] = square(pixels, spacing);
        let columns = (count as f64).sqrt().ceil().max(1.0) as usize;
        let rows = count.div_ceil(columns).max(1);
        // Sides of at most 1024 pixels and at most 400 pictures cannot overflow.
        let needed = CHANNELS * rows * height * columns * width;
        if needed > MAX_SAMPLES {
            let most = MAX_SAMPLES / (CHANNELS * height * width);
            return Err(ImagingError::argument(
                "slices of a sheet",
                format!("at most about {most} of {height} × {width} pixels"),
                count.to_string(),
            ));
        }
        Ok(Self {
            height,
            width,
            columns,
            rows,
            filled: 0,
            samples: vec![0.0; needed],
        })
    }

    /// Puts the next picture, with square pixels, in its place.
    pub(super) fn add(&mut self, picture: &Raster) -> Result<()> {
        let tile = picture.resized(self.height, self.width, Filter::AreaOrBilinear)?;
        let sheet_width = self.columns * self.width;
        let plane = self.rows * self.height * sheet_width;
        let top = self.filled / self.columns * self.height;
        let left = self.filled % self.columns * self.width;
        for (line, values) in tile.samples().chunks_exact(self.width).enumerate() {
            let (channel, row) = (line / self.height, line % self.height);
            let start = channel * plane + (top + row) * sheet_width + left;
            self.samples[start..start + self.width].copy_from_slice(values);
        }
        self.filled += 1;
        Ok(())
    }

    pub(super) fn joined(self) -> Result<Raster> {
        let (height, width) = (self.rows * self.height, self.columns * self.width);
        Raster::new(CHANNELS, height, width, self.samples)
    }
}

/// Rows and columns of square pixels of the finer spacing, bounded.
fn square([rows, columns]: [usize; 2], [down, across]: [f64; 2]) -> [usize; 2] {
    let finest = down.min(across);
    let height = rows as f64 * down / finest;
    let width = columns as f64 * across / finest;
    let shrink = (MAX_SIDE as f64 / height.max(width)).min(1.0);
    [height, width].map(|length| ((length * shrink).round() as usize).max(1))
}
