//! Windows for display (PS3.3 section C.11.2.1).

use super::data::{DataSet, Source, Until};
use crate::Result;
use crate::error::ImagingError;
use dicom_dictionary_std::tags;
use std::path::Path;

/// The function between a window's ends (`VOI LUT Function`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum WindowShape {
    /// `LINEAR`: from `c − 0.5 − (w − 1)/2` to `c − 0.5 + (w − 1)/2`, made for integers.
    #[default]
    Linear,
    /// `LINEAR_EXACT`: from `c − w/2` to `c + w/2`.
    LinearExact,
    /// `SIGMOID`: `1 / (1 + exp(−4 (x − c)/w))`.
    Sigmoid,
}

/// The part of the range of values that a display shows.
///
/// Values are those after rescaling (Hounsfield units for CT).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Window {
    center: f64,
    width: f64,
    shape: WindowShape,
    /// What it is for, such as `LUNG`.
    explanation: Option<String>,
}

impl Window {
    /// A window.
    ///
    /// # Arguments
    /// * `center`, `width`: in units of the rescaled values; the width is at least 1 for
    ///   [`WindowShape::Linear`], above 0 for the others.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the width is too small or a number is not finite.
    pub fn new(center: f64, width: f64, shape: WindowShape) -> Result<Self> {
        let wide = match shape {
            WindowShape::Linear => width >= 1.0,
            WindowShape::LinearExact | WindowShape::Sigmoid => width > 0.0,
        };
        if !wide || !width.is_finite() || !center.is_finite() {
            return Err(ImagingError::argument(
                "window",
                "a finite center, a width of at least 1 (LINEAR) or above 0",
                format!("center {center}, width {width}"),
            ));
        }
        Ok(Self {
            center,
            width,
            shape,
            explanation: None,
        })
    }

    /// The same with a word on what it is for.
    #[must_use]
    pub fn explained(self, explanation: impl Into<String>) -> Self {
        Self {
            explanation: Some(explanation.into()),
            ..self
        }
    }

    /// The middle.
    pub fn center(&self) -> f64 {
        self.center
    }

    /// The width.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// The function between the ends.
    pub fn shape(&self) -> WindowShape {
        self.shape
    }

    /// What it is for, if the file says so.
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The brightness of a value.
    ///
    /// ```text
    /// LINEAR        ((x − (c − 0.5))/(w − 1) + 0.5)   clipped to [0, 1]
    /// LINEAR_EXACT  ((x − c)/w + 0.5)                 clipped to [0, 1]
    /// SIGMOID       1 / (1 + exp(−4 (x − c)/w))
    /// ```
    ///
    /// # Returns
    /// 0 for black to 1 for white (the other way round for `MONOCHROME1`); NaN for NaN.
    ///
    /// # References
    /// PS3.3 sections C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, output range 0 to 1.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::dicom::{Window, WindowShape};
    ///
    /// // The standard's example: center 2048, width 4096 shows 0 to 4095.
    /// let window = Window::new(2048.0, 4096.0, WindowShape::Linear)?;
    /// assert_eq!(window.apply(0.0), 0.0);
    /// assert_eq!(window.apply(4095.0), 1.0);
    /// let exact = Window::new(2048.0, 4096.0, WindowShape::LinearExact)?;
    /// assert_eq!(exact.apply(4096.0), 1.0);
    /// assert_eq!(exact.apply(1024.0), 0.25);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn apply(&self, value: f64) -> f64 {
        match self.shape {
            WindowShape::Linear => {
                let low = self.center - 0.5 - (self.width - 1.0) / 2.0;
                let high = self.center - 0.5 + (self.width - 1.0) / 2.0;
                if value.is_nan() {
                    value
                } else if value <= low {
                    0.0
                } else if value > high {
                    1.0
                } else {
                    ((value - (self.center - 0.5)) / (self.width - 1.0) + 0.5).clamp(0.0, 1.0)
                }
            }
            WindowShape::LinearExact => ((value - self.center) / self.width + 0.5).clamp(0.0, 1.0),
            WindowShape::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - self.center) / self.width).exp()),
        }
    }

    /// The windows of a file, in its order.
    ///
    /// # Returns
    /// None where the file has none.
    ///
    /// # Errors
    /// [`ImagingError::Io`] when the file cannot be read; [`ImagingError::Content`] when it is no
    /// DICOM file, it has other than as many widths as centers, a number is none or too small, or
    /// its function is unknown.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let source = Source::read_header(path)?;
        let set = source.sound_data_set(Until::Pixels)?;
        Self::of(&set, path)
    }

    pub(crate) fn of(set: &DataSet<'_>, path: &Path) -> Result<Vec<Self>> {
        let numbers = |tag, name: &str| {
            if set.word(tag).is_none() {
                return Ok(Vec::new());
            }
            set.numbers(tag).ok_or_else(|| {
                let found = set.text(tag).unwrap_or_default();
                ImagingError::content(path, format!("numbers as {name}"), found)
            })
        };
        let centers = numbers(tags::WINDOW_CENTER, "WindowCenter")?;
        let widths = numbers(tags::WINDOW_WIDTH, "WindowWidth")?;
        if centers.len() != widths.len() {
            return Err(ImagingError::content(
                path,
                format!("{} values of WindowWidth", centers.len()),
                widths.len().to_string(),
            ));
        }
        let shape = shape_of(set, path)?;
        let explanations = set.words(tags::WINDOW_CENTER_WIDTH_EXPLANATION);
        centers
            .into_iter()
            .zip(widths)
            .enumerate()
            .map(|(index, (center, width))| {
                let window = Self::new(center, width, shape).map_err(|_| {
                    let found = format!("center {center}, width {width}");
                    ImagingError::content(path, "a finite window that is wide enough", found)
                })?;
                Ok(match explanations.get(index) {
                    Some(text) if !text.is_empty() => window.explained(text.clone()),
                    _ => window,
                })
            })
            .collect()
    }
}

fn shape_of(set: &DataSet<'_>, path: &Path) -> Result<WindowShape> {
    match set.word(tags::VOILUT_FUNCTION).as_deref() {
        None | Some("LINEAR") => Ok(WindowShape::Linear),
        Some("LINEAR_EXACT") => Ok(WindowShape::LinearExact),
        Some("SIGMOID") => Ok(WindowShape::Sigmoid),
        Some(other) => Err(ImagingError::content(
            path,
            "LINEAR, LINEAR_EXACT or SIGMOID as VOILUTFunction",
            other,
        )),
    }
}

/// The brightness of values in a window.
///
/// # Arguments
/// * `values`: rescaled values.
/// * `window`: what of them is shown.
/// * `inverted`: whether low values are bright (`MONOCHROME1`).
///
/// # Returns
/// Numbers from 0 (black) to 1 (white), NaN for NaN.
///
/// # Examples
/// ```
/// use ctl_imaging::dicom::{Window, WindowShape, window};
///
/// let lung = Window::new(-600.0, 1501.0, WindowShape::Linear)?;
/// assert_eq!(window(&[-2000.0, -600.5, 400.0], &lung, false), [0.0, 0.5, 1.0]);
/// assert_eq!(window(&[-2000.0], &lung, true), [1.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn window(values: &[f32], window: &Window, inverted: bool) -> Vec<f32> {
    values
        .iter()
        .map(|&value| {
            let bright = window.apply(value.into()) as f32;
            if inverted { 1.0 - bright } else { bright }
        })
        .collect()
}
