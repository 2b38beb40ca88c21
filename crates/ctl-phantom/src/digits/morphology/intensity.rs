//! How bright a stroke is, and strokes of another brightness.

use super::super::{DigitError, Plane};
use super::stroke;

/// Greatest grey level.
const WHITE: f64 = 255.0;

/// Median grey level of the stroke: of the pixels in the upper half of the picture's range.
///
/// # Arguments
/// - `image`: `[H, W]`, grey levels 0 to 255.
///
/// # Errors
/// [`DigitError::Blank`] for a constant picture.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::Plane;
/// use ctl_phantom::digits::morphology::{median_intensity, with_intensity};
///
/// let image = Plane::new([2, 3], vec![0, 40, 120, 200, 160, 180])?;
/// assert_eq!(median_intensity(&image)?, 170.0);
/// let darker = with_intensity(&image, 85.0);
/// assert_eq!(darker.values(), [0, 20, 60, 100, 80, 90]);
/// # Ok::<(), ctl_phantom::digits::DigitError>(())
/// ```
///
/// # References
/// Pawlowski, Castro & Glocker (2020), "Deep structural causal models for tractable counterfactual
/// inference", appendix A.1, and its authors' program.
pub fn median_intensity(image: &Plane<u8>) -> Result<f64, DigitError> {
    let mask = stroke(image)?;
    let pixels = image.values().iter().zip(mask.values());
    let bright = pixels.filter(|(_, set)| **set).map(|(&value, _)| value);
    let mut levels: Vec<u8> = bright.collect();
    levels.sort_unstable();
    let middle = levels.len() / 2;
    let lower = levels[middle - usize::from(levels.len().is_multiple_of(2))];
    Ok(f64::midpoint(f64::from(lower), f64::from(levels[middle])))
}

/// A picture scaled so that the median grey level of its stroke is the one given.
///
/// Grey levels above 255 become 255, and fractions are cut off. A picture without a stroke stays as
/// it is.
///
/// # Arguments
/// - `image`: `[H, W]`, grey levels 0 to 255.
/// - `intensity`: grey level, 0 to 255.
pub fn with_intensity(image: &Plane<u8>, intensity: f64) -> Plane<u8> {
    let Ok(median) = median_intensity(image) else {
        return image.clone();
    };
    let factor = intensity / median;
    image.map(|value| (f64::from(value) * factor).clamp(0.0, WHITE) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_takes_the_stroke_alone() {
        let image = Plane::new([1, 5], vec![10, 10, 10, 131, 250]).unwrap();
        assert!((median_intensity(&image).unwrap() - 190.5).abs() < 1e-12);
        // 129 lies below half of the range.
        let image = Plane::new([1, 5], vec![10, 10, 10, 129, 250]).unwrap();
        assert!((median_intensity(&image).unwrap() - 250.0).abs() < 1e-12);
    }

    #[test]
    fn blank_pictures_have_no_median_and_stay() {
        let blank = Plane::new([2, 2], vec![0_u8; 4]).unwrap();
        let error = median_intensity(&blank).unwrap_err();
        assert!(matches!(error, DigitError::Blank { value: 0 }));
        assert_eq!(with_intensity(&blank, 100.0), blank);
    }

    #[test]
    fn bright_pixels_saturate() {
        let image = Plane::new([1, 4], vec![0, 100, 100, 160]).unwrap();
        assert_eq!(with_intensity(&image, 200.0).values(), [0, 200, 200, 255]);
    }
}
