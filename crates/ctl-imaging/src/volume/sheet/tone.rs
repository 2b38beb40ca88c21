//! From numbers to brightness.

use super::SheetOptions;
use super::frame::Frame;
use crate::Result;
use crate::dicom::Window;
use crate::error::ImagingError;

/// Numbers that are shown black and white where nothing says so, as parts of all numbers.
const RANGE: [f64; 2] = [0.005, 0.995];

/// What makes brightness of numbers.
pub(super) struct Tone {
    curve: Curve,
    /// Whether low numbers are bright.
    inverted: bool,
}

enum Curve {
    /// Black at the first, white at the second.
    Ends([f64; 2]),
    /// The file's own.
    Window(Window),
}

impl Tone {
    /// The window asked for, or the file's, or one that fits the numbers.
    pub(super) fn of(image: &Frame, options: &SheetOptions) -> Result<Self> {
        let curve = match (options.window, &options.display.window) {
            (Some([low, high]), _) => {
                let is_sound = low.is_finite() && high.is_finite() && low < high;
                if !is_sound {
                    return Err(ImagingError::argument(
                        "window",
                        "two finite numbers, the second above the first",
                        format!("{low} to {high}"),
                    ));
                }
                Curve::Ends([low, high])
            }
            (None, Some(window)) => Curve::Window(window.clone()),
            (None, None) => Curve::Ends(percentiles(image.numbers())),
        };
        Ok(Self {
            curve,
            inverted: options.display.inverted,
        })
    }

    /// From 0, black, to 1, white; black for what is no number.
    pub(super) fn at(&self, number: f32) -> f32 {
        if number.is_nan() {
            return 0.0;
        }
        let number = f64::from(number);
        let bright = match &self.curve {
            Curve::Ends([low, high]) => {
                let range = if high > low { high - low } else { 1.0 };
                ((number - low) / range).clamp(0.0, 1.0)
            }
            Curve::Window(window) => window.apply(number),
        };
        (if self.inverted { 1.0 - bright } else { bright }) as f32
    }
}

/// Ends that show almost all numbers.
fn percentiles(numbers: &[f32]) -> [f64; 2] {
    let finite = numbers.iter().filter(|number| number.is_finite());
    let mut numbers: Vec<f32> = finite.copied().collect();
    if numbers.is_empty() {
        return [0.0, 1.0];
    }
    let last = numbers.len() - 1;
    RANGE.map(|part| {
        let place = (part * last as f64).round() as usize;
        f64::from(*numbers.select_nth_unstable_by(place, f32::total_cmp).1)
    })
}
