//! What a lesion adds to the tissue that it lies in.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::super::inpaint::{InpaintConfig, filled, inpaint};
use super::super::region::{depths, dilated};
use crate::{CounterfactualError, Result};

/// How a lesion is laid into an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Blend {
    /// `x ← H(x) + g A` under the lesion and its margin, with `H(x)` the receiving image filled from
    /// around them: for harmonic fillings the solution of `Δx = g Δd` with the values of the
    /// receiving image at the rim. The lesion brings its own texture.
    #[default]
    Poisson,
    /// `x ← x + α g A` with `α` growing linearly over so many pixels from the rim inwards: the
    /// texture of the receiving image stays.
    Feathered {
        /// Pixels over which the lesion fades in, 0 for a hard edge.
        width: usize,
    },
}

/// A pixel of a lesion or of its margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LesionPixel {
    /// Row within the smallest box around lesion and margin.
    pub y: usize,
    /// Column within that box.
    pub x: usize,
    /// Steps from the nearest pixel that is neither lesion nor margin.
    pub depth: usize,
    /// Where in its own image the pixel was, row after row.
    pub source: usize,
    /// Whether it is of the lesion, and not of the margin alone.
    pub core: bool,
}

/// The appearance of a lesion, `A = d − H(d)`: an image less the same image without it.
///
/// # References
/// Pérez, Gangnet & Blake 2003, "Poisson Image Editing", section 3: with harmonic fillings
/// `H(x) + A` is their seamless cloning, because `Δ A = Δ d` and `A = 0` at the rim.
#[derive(Clone, Debug)]
pub struct Lesion {
    size: [usize; 2],
    pixels: Vec<LesionPixel>,
    /// Of every channel, in the order of the pixels.
    appearance: Vec<Vec<f64>>,
}

impl Lesion {
    /// Takes a lesion from an image.
    ///
    /// # Arguments
    /// - `image`: `[C, H, W]`.
    /// - `lesion`: `[H, W]`.
    /// - `margin`: pixels around the lesion that belong to its appearance, for edges that are not
    ///   sharp.
    ///
    /// # Errors
    /// When sizes do not fit together, there is no lesion, or its image cannot be filled.
    pub fn of(
        image: &[f64],
        [channels, height, width]: [usize; 3],
        (lesion, margin): (&[bool], usize),
        config: &InpaintConfig,
    ) -> Result<Self> {
        check(image, [channels, height, width], lesion)?;
        let support = dilated(lesion, [height, width], margin);
        let members: Vec<usize> = (0..support.len()).filter(|&i| support[i]).collect();
        let Some((top, bottom, left, right)) = extent(&members, width) else {
            return Err(CounterfactualError::Value {
                subject: "lesion".into(),
                expected: "at least one pixel".into(),
                found: "none".into(),
            });
        };
        let depths = depths(&support, [height, width]);
        let pixel = |&source: &usize| LesionPixel {
            y: source / width - top,
            x: source % width - left,
            depth: depths[source],
            source,
            core: lesion[source],
        };
        let mut appearance = Vec::with_capacity(channels);
        for plane in image.chunks_exact(height * width) {
            let background = filled(plane, &support, [height, width], config)?;
            let difference = |&index: &usize| plane[index] - background[index];
            appearance.push(members.iter().map(difference).collect());
        }
        Ok(Self {
            size: [bottom - top + 1, right - left + 1],
            pixels: members.iter().map(pixel).collect(),
            appearance,
        })
    }

    /// Its pixels and those of its margin.
    pub fn pixels(&self) -> &[LesionPixel] {
        &self.pixels
    }

    /// `A` at each of [`Lesion::pixels`] in one channel, if there is such a channel.
    pub fn appearance(&self, channel: usize) -> Option<&[f64]> {
        self.appearance.get(channel).map(Vec::as_slice)
    }

    /// Where the upper left corner of its box may lie so that lesion and margin are on free pixels,
    /// row after row.
    ///
    /// # Arguments
    /// - `free`: `[H, W]`.
    ///
    /// # Complexity
    /// O(H W n) for n pixels, mostly less: a place is left at its first pixel that is not free.
    pub fn places(&self, free: &[bool], [height, width]: [usize; 2]) -> Vec<[usize; 2]> {
        if free.len() != height * width {
            return Vec::new();
        }
        let rows = (height + 1).saturating_sub(self.size[0]);
        let columns = (width + 1).saturating_sub(self.size[1]);
        let fits = |&[top, left]: &[usize; 2]| {
            let mut pixels = self.pixels.iter();
            pixels.all(|pixel| free[(top + pixel.y) * width + left + pixel.x])
        };
        (0..rows)
            .flat_map(|top| (0..columns).map(move |left| [top, left]))
            .filter(fits)
            .collect()
    }

    /// Lays the lesion into an image.
    ///
    /// # Arguments
    /// - `image`: `[C, H, W]`; values may leave [0, 1].
    /// - `place`: of the upper left corner of the lesion's box.
    /// - `blend`, `gains`: how, and the factor `g` on the appearance in every channel.
    ///
    /// # Returns
    /// Pixels of the image that are now lesion, each with the pixel of the lesion's own image that
    /// it comes from.
    ///
    /// # Errors
    /// When channels or sizes do not fit, or the image cannot be filled.
    pub fn paste(
        &self,
        image: &mut [f64],
        [channels, height, width]: [usize; 3],
        (place, blend, gains): ([usize; 2], Blend, &[f64]),
        config: &InpaintConfig,
    ) -> Result<Vec<(usize, usize)>> {
        let fits = place[0] + self.size[0] <= height && place[1] + self.size[1] <= width;
        let suits = self.appearance.len() == channels && gains.len() == channels;
        if !fits || !suits || image.len() != channels * height * width {
            return Err(CounterfactualError::Shape {
                subject: "image under a lesion",
                expected: format!(
                    "{} channels, each with a gain, and room for {:?} at {place:?}",
                    self.appearance.len(),
                    self.size
                ),
                found: format!(
                    "{} values as [{channels}, {height}, {width}], {} gains",
                    image.len(),
                    gains.len()
                ),
            });
        }
        let at = |pixel: &LesionPixel| (place[0] + pixel.y) * width + place[1] + pixel.x;
        let mut support = vec![false; height * width];
        for pixel in &self.pixels {
            support[at(pixel)] = true;
        }
        let planes = image.chunks_exact_mut(height * width);
        for ((plane, appearance), gain) in planes.zip(&self.appearance).zip(gains) {
            if blend == Blend::Poisson {
                let background = filled(plane, &support, [height, width], config)?;
                plane.copy_from_slice(&background);
            }
            for (pixel, difference) in self.pixels.iter().zip(appearance) {
                let alpha = match blend {
                    Blend::Poisson => 1.0,
                    Blend::Feathered { width } => {
                        (pixel.depth as f64 / (width + 1) as f64).min(1.0)
                    }
                };
                plane[at(pixel)] += alpha * gain * difference;
            }
        }
        let core = self.pixels.iter().filter(|pixel| pixel.core);
        Ok(core.map(|pixel| (at(pixel), pixel.source)).collect())
    }
}

/// First and last row, first and last column.
fn extent(members: &[usize], width: usize) -> Option<(usize, usize, usize, usize)> {
    let rows = || members.iter().map(|index| index / width);
    let columns = || members.iter().map(|index| index % width);
    Some((
        rows().min()?,
        rows().max()?,
        columns().min()?,
        columns().max()?,
    ))
}

/// Takes a lesion out of an image: it and its margin are filled from what surrounds them, with
/// texture where the settings ask for it.
///
/// # Arguments
/// - `image`: `[C, H, W]`; only lesion and margin change. Values may leave [0, 1].
/// - `lesion`, `margin`: `[H, W]`, and the pixels around it that change with it.
///
/// # Errors
/// When sizes do not fit together, a setting is out of range, or nothing of the image would stay.
pub fn remove_lesion(
    image: &mut [f64],
    [channels, height, width]: [usize; 3],
    (lesion, margin): (&[bool], usize),
    (config, rng): (&InpaintConfig, &mut ChaCha8Rng),
) -> Result<()> {
    check(image, [channels, height, width], lesion)?;
    let hole = dilated(lesion, [height, width], margin);
    for plane in image.chunks_exact_mut(height * width) {
        let healthy = inpaint(plane, &hole, [height, width], (config, &mut *rng))?;
        plane.copy_from_slice(&healthy);
    }
    Ok(())
}

fn check(image: &[f64], [channels, height, width]: [usize; 3], lesion: &[bool]) -> Result<()> {
    let count = height * width;
    if count > 0 && image.len() == channels * count && lesion.len() == count {
        return Ok(());
    }
    Err(CounterfactualError::Shape {
        subject: "image with a lesion",
        expected: format!("[{channels}, {height}, {width}] and a mask [{height}, {width}]"),
        found: format!("{} values and {} pixels", image.len(), lesion.len()),
    })
}
