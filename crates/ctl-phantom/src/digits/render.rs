//! From a digit and its attributes to a picture.

use super::mnist::SIDE;
use super::morphology::{GENERATING_SCALE, Morphology, with_intensity};
use super::{DigitError, DigitKind, DigitSpec, Plane, rotate};

/// The IRM paper keeps every second pixel of every second row.
const IRM_STRIDE: usize = 2;
/// Grey level of white.
const WHITE: f32 = 255.0;

/// Channels, height and width of a kind of cohort.
pub(super) fn shape(kind: DigitKind) -> [usize; 3] {
    match kind {
        DigitKind::Morpho | DigitKind::Rotated => [1, SIDE, SIDE],
        DigitKind::ColoredIrm => [2, SIDE / IRM_STRIDE, SIDE / IRM_STRIDE],
        DigitKind::ColoredDomainbed => [2, SIDE, SIDE],
    }
}

/// The picture, `[C, H, W]`, 0 to 1.
pub(super) fn render(
    spec: &DigitSpec,
    image: &Plane<u8>,
    attribute: impl Fn(&str) -> Result<f64, DigitError>,
) -> Result<Vec<f32>, DigitError> {
    match spec.kind {
        DigitKind::Morpho => {
            let morphology = Morphology::new(image, GENERATING_SCALE)?;
            let morphed = morphology.with_thickness(attribute("thickness")?)?;
            Ok(unit(&with_intensity(&morphed, attribute("intensity")?)))
        }
        DigitKind::ColoredIrm => Ok(coloured(image, IRM_STRIDE, attribute("colour")? > 0.5)),
        DigitKind::ColoredDomainbed => Ok(coloured(image, 1, attribute("colour")? > 0.5)),
        DigitKind::Rotated => {
            let turned = rotate(image, attribute("angle")?, spec.interpolation);
            Ok(unit(&turned))
        }
    }
}

fn unit(image: &Plane<u8>) -> Vec<f32> {
    let grey = |&value: &u8| f32::from(value) / WHITE;
    image.values().iter().map(grey).collect()
}

/// The digit in the channel of its colour, the other channel black.
fn coloured(image: &Plane<u8>, stride: usize, colour: bool) -> Vec<f32> {
    let rows = image.rows().step_by(stride);
    let pixels = rows.flat_map(|row| row.iter().step_by(stride));
    let drawn: Vec<f32> = pixels.map(|&value| f32::from(value) / WHITE).collect();
    let black = vec![0.0; drawn.len()];
    let channels = if colour {
        [black, drawn]
    } else {
        [drawn, black]
    };
    channels.concat()
}
