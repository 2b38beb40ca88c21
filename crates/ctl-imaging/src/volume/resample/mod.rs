//! The same image on another grid.

mod general;
mod labels;
mod route;
mod separable;
mod spline;
mod taps;

use super::{Grid, Samples, Scaling, Value, Volume, map_any_type};
use crate::Result;
use crate::bounded::MAX_ARRAY_BYTES;
use crate::error::ImagingError;
use rayon::prelude::*;
use route::Route;
use std::borrow::Cow;

/// How values between voxel centres are made.
///
/// All of them read points up to half a voxel beyond the outermost centres, the whole field of
/// view: the outermost values continue for `Nearest` and `Linear`, and are mirrored at the
/// outermost centres for `CubicBSpline`. Points farther out get the fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The value of the closest voxel; of two at the same distance the one of the larger index.
    /// Stored values keep their type and scaling.
    Nearest,
    /// Linear along each axis. Gives single precision, unscaled.
    Linear,
    /// The cubic B-spline through the values. Gives single precision, unscaled.
    CubicBSpline,
}

/// How labels between voxel centres are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelInterpolation {
    /// The label of the closest voxel.
    Nearest,
    /// Every label's own map of zeros and ones is interpolated linearly, and the largest wins; of
    /// equal ones the smallest label.
    LinearArgmax,
}

impl Volume {
    /// The same image on another grid.
    ///
    /// A point of the grid gets the value that the image has at its place in the patient. Frames
    /// and components are interpolated each on its own. Linear interpolation of values that are
    /// not finite spreads them to the neighbours, never from a voxel centre.
    ///
    /// # Arguments
    /// * `grid`: where the result's voxels lie.
    /// * `interpolation`: how values between voxel centres are made.
    /// * `fill`: the number (scaled, such as −1000 HU) of points outside the field of view. For
    ///   `Nearest` it is stored as the closest value that the image's type has.
    ///
    /// # Returns
    /// An image of `grid`'s shape and affine. For `Nearest` its values are stored as this image's
    /// are, otherwise as `float32` without scaling.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when
    /// - the result would have more than 4 GiB,
    /// - an image of two axes would become deeper than one voxel,
    /// - complex values are to be interpolated other than by `Nearest`,
    /// - an image for `CubicBSpline` has values that are not finite,
    /// - the fill does not fit the image's type (`Nearest`).
    ///
    /// # Complexity
    /// Linear in the voxels of the grid. Grids whose axes run along the image's (any change of
    /// spacing, a box, axes exchanged or reversed) are interpolated one axis after the other.
    ///
    /// # References
    /// Unser, "Splines: a perfect fit for signal and image processing", 1999. Values agree with
    /// `scipy.ndimage.map_coordinates` of `order` 0, 1 and 3 within the outermost centres, and of
    /// mode `nearest`, `nearest` and `mirror` in the half voxel beyond.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Grid, Interpolation, Samples, Volume};
    ///
    /// let affine = Affine::from_spacing([2.0, 1.0, 1.0], [0.0; 3])?;
    /// let volume = Volume::new(&[3, 1, 1], Samples::I16(vec![0, 10, 40]), affine)?;
    /// let grid = Grid::new([5, 1, 1], Affine::from_spacing([1.0; 3], [1.0, 0.0, 0.0])?)?;
    /// let moved = volume.resampled_to(&grid, Interpolation::Linear, -1.0)?;
    /// // x = 1 … 5 mm; centres lie at 0, 2 and 4 mm, and the field of view ends at 5 mm.
    /// assert_eq!(moved.samples(), &Samples::F32(vec![5.0, 10.0, 25.0, 40.0, 40.0]));
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn resampled_to(
        &self,
        grid: &Grid,
        interpolation: Interpolation,
        fill: f64,
    ) -> Result<Self> {
        if interpolation == Interpolation::Nearest {
            let scaling = self.scaling();
            let stored = (fill - scaling.intercept) / scaling.slope;
            return self.picked(grid, LabelInterpolation::Nearest, stored);
        }
        self.refuse_complex()?;
        let shape = self.shape_on(grid, size_of::<f32>())?;
        let (image, route) = self.routed(grid);
        let fill = fill as f32;
        let samples = match interpolation {
            Interpolation::CubicBSpline => {
                let values = image.to_f64();
                refuse_infinite(&values)?;
                image.each_image(Cow::Owned(values), |values| cubic(values, &route, fill))
            }
            Interpolation::Linear | Interpolation::Nearest => image.linear(&route, fill),
        };
        Ok(Self {
            shape,
            samples: Samples::F32(samples),
            affine: *grid.affine(),
            scaling: Scaling::NONE,
            ..self.without_samples()
        })
    }

    /// The same image with voxels of another spacing over the same field of view.
    ///
    /// # Arguments
    /// * `spacing`: mm between neighbouring centres along each axis, above 0; the grid is that of
    ///   [`Grid::with_spacing`]. An image of two axes stays one voxel deep when the third spacing
    ///   is at least its own.
    /// * `interpolation`: how values between voxel centres are made.
    ///
    /// # Returns
    /// As of [`resampled_to`](Self::resampled_to); no voxel centre lies outside the field of view.
    ///
    /// # Errors
    /// Those of [`Grid::with_spacing`] and [`resampled_to`](Self::resampled_to).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Interpolation, Samples, Volume};
    ///
    /// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
    /// let volume = Volume::new(&[4, 1], Samples::U8(vec![0, 2, 4, 6]), affine)?;
    /// let coarse = volume.resampled_to_spacing([2.0, 1.0, 1.0], Interpolation::Linear)?;
    /// assert_eq!(coarse.samples(), &Samples::F32(vec![1.0, 5.0]));
    /// assert_eq!(coarse.affine().origin(), [0.5, 0.0, 0.0]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn resampled_to_spacing(
        &self,
        spacing: [f64; 3],
        interpolation: Interpolation,
    ) -> Result<Self> {
        let grid = self.grid().with_spacing(spacing)?;
        // A number that every type can store, in the place of one that nothing will get.
        let unused = self.scaling().intercept;
        self.resampled_to(&grid, interpolation, unused)
    }

    /// The same label map on another grid, in the same type and scaling.
    ///
    /// # Arguments
    /// * `grid`: where the result's voxels lie.
    /// * `interpolation`: how labels between voxel centres are chosen.
    /// * `outside`: stored label of points outside the field of view, usually the background's.
    ///
    /// # Returns
    /// A map whose labels are among those of this one, and `outside` where the grid reaches
    /// outside.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the result would have more than 4 GiB, a map of two axes
    /// would become deeper than one voxel, the label does not fit the map's type, or complex
    /// values are given to `LinearArgmax`.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, LabelInterpolation, Samples, Volume};
    ///
    /// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
    /// let map = Volume::new(&[4, 1], Samples::U8(vec![0, 0, 4, 4]), affine)?;
    /// let grid = map.grid().with_spacing([0.8, 1.0, 1.0])?;
    /// let finer = map.labels_resampled_to(&grid, LabelInterpolation::LinearArgmax, 0)?;
    /// // The middle voxel lies halfway between a 0 and a 4.
    /// assert_eq!(finer.samples(), &Samples::U8(vec![0, 0, 0, 4, 4]));
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn labels_resampled_to(
        &self,
        grid: &Grid,
        interpolation: LabelInterpolation,
        outside: i64,
    ) -> Result<Self> {
        if interpolation == LabelInterpolation::LinearArgmax {
            self.refuse_complex()?;
        }
        self.picked(grid, interpolation, outside as f64)
    }

    /// Stored values chosen for every voxel of a grid.
    fn picked(&self, grid: &Grid, interpolation: LabelInterpolation, fill: f64) -> Result<Self> {
        // Says whether the type has such a value.
        Samples::from_f64([fill], self.sample_type())?;
        let whole = self.sample_type().is_integer();
        let fill = if whole { fill.round() } else { fill };
        let shape = self.shape_on(grid, self.sample_type().bytes())?;
        let (image, route) = self.routed(grid);
        let samples = map_any_type!(image.samples(), stored => {
            let fill = Value::from_f64(fill);
            image.each_image(Cow::Borrowed(stored), |values| match interpolation {
                LabelInterpolation::LinearArgmax => labels::largest_share(&values, &route, fill),
                LabelInterpolation::Nearest if route.is_straight() => {
                    separable::nearest_values(&values, &route, fill)
                }
                LabelInterpolation::Nearest => general::nearest_values(&values, &route, fill),
            })
        });
        Ok(Self {
            shape,
            samples,
            affine: *grid.affine(),
            ..self.without_samples()
        })
    }

    /// The image with its axes in the order of an aligned grid's, and the way from there to here.
    fn routed(&self, grid: &Grid) -> (Cow<'_, Self>, Route) {
        let route = Route::new(&self.grid(), grid);
        match route.order() {
            Some(order) if order != [0, 1, 2] => match self.permuted(order) {
                Ok(turned) => {
                    let route = Route::new(&turned.grid(), grid);
                    (Cow::Owned(turned), route)
                }
                // A flat image that would stand upright is interpolated as if it were oblique.
                Err(_) => (Cow::Borrowed(self), route),
            },
            _ => (Cow::Borrowed(self), route),
        }
    }

    /// The shape on another grid, if it is one that we would allocate.
    fn shape_on(&self, grid: &Grid, bytes: usize) -> Result<Vec<usize>> {
        let shape = self.shape_with(grid.shape())?;
        let bytes = shape
            .iter()
            .try_fold(self.components * bytes, |all, &side| all.checked_mul(side));
        if bytes.is_none_or(|bytes| bytes as u64 > MAX_ARRAY_BYTES) {
            return Err(ImagingError::argument(
                "grid to resample to",
                format!("an image of at most {MAX_ARRAY_BYTES} bytes"),
                format!("{shape:?} of {} components", self.components),
            ));
        }
        Ok(shape)
    }

    fn refuse_complex(&self) -> Result<()> {
        if self.sample_type().is_complex() {
            return Err(ImagingError::argument(
                "image to interpolate",
                "real values, or nearest interpolation",
                self.sample_type().name(),
            ));
        }
        Ok(())
    }

    /// Linear interpolation of the numbers in single precision. Those that are stored in types
    /// that single precision holds are read where they are.
    fn linear(&self, route: &Route, fill: f32) -> Vec<f32> {
        macro_rules! all {
            ($values:expr) => {
                self.each_image($values, |values| linear(&values, route, fill))
            };
        }
        match (self.samples(), self.scaling()) {
            (Samples::U8(values), Scaling::NONE) => all!(Cow::Borrowed(values)),
            (Samples::I8(values), Scaling::NONE) => all!(Cow::Borrowed(values)),
            (Samples::U16(values), Scaling::NONE) => all!(Cow::Borrowed(values)),
            (Samples::I16(values), Scaling::NONE) => all!(Cow::Borrowed(values)),
            (Samples::F32(values), Scaling::NONE) => all!(Cow::Borrowed(values)),
            _ => all!(Cow::Owned(self.to_f32())),
        }
    }

    /// Applies `image` to every component of every frame, each on its own.
    fn each_image<T: Copy + Send + Sync, U: Copy + Default>(
        &self,
        values: Cow<'_, [T]>,
        image: impl Fn(Cow<'_, [T]>) -> Vec<U>,
    ) -> Vec<U> {
        if self.frames() == 1 && self.components == 1 {
            return image(values);
        }
        let frame = values.len() / self.frames();
        let mut all = Vec::new();
        for frame in values.chunks_exact(frame) {
            if self.components == 1 {
                all.extend(image(Cow::Borrowed(frame)));
                continue;
            }
            let start = all.len();
            for component in 0..self.components {
                let one = frame.iter().skip(component).step_by(self.components);
                let made = image(Cow::Owned(one.copied().collect()));
                all.resize(start + made.len() * self.components, U::default());
                let places = all[start + component..].iter_mut();
                for (place, value) in places.step_by(self.components).zip(made) {
                    *place = value;
                }
            }
        }
        all
    }
}

fn linear<T: Copy + Into<f64> + Sync>(values: &[T], route: &Route, fill: f32) -> Vec<f32> {
    if route.is_straight() {
        separable::interpolated(values, route, taps::linear, fill)
    } else {
        general::linear(values, route, fill)
    }
}

fn cubic(values: Cow<'_, [f64]>, route: &Route, fill: f32) -> Vec<f32> {
    let mut coefficients = values.into_owned();
    spline::prefilter(&mut coefficients, route.from);
    if route.is_straight() {
        separable::interpolated(&coefficients, route, taps::cubic, fill)
    } else {
        general::interpolated(&coefficients, route, taps::cubic, fill)
    }
}

/// One value that is not finite would spread over the whole image.
fn refuse_infinite(values: &[f64]) -> Result<()> {
    match values.par_iter().find_first(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(ImagingError::argument(
            "values for cubic interpolation",
            "finite numbers",
            value.to_string(),
        )),
    }
}
