//! Centred orthonormal Fourier transforms of complex planes.
//!
//! Plans are the portable ones on every processor: those of single instruction sets round
//! differently, and a run must not depend on the machine.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftDirection, FftNum, FftPlannerScalar};

use super::float::Float;
use super::parallel::for_each_chunk;

/// A float type with a store of plans.
pub(crate) trait Planned: Float + FftNum {
    /// The plan of a length, made once.
    fn plan(length: usize, direction: FftDirection) -> Arc<dyn Fft<Self>>;
}

type Planner<T> = LazyLock<Mutex<FftPlannerScalar<T>>>;

fn planned<T: FftNum>(
    planner: &Planner<T>,
    length: usize,
    direction: FftDirection,
) -> Arc<dyn Fft<T>> {
    // A planner that panicked holds whole plans only: they are added when they are done.
    let mut planner = planner.lock().unwrap_or_else(PoisonError::into_inner);
    planner.plan_fft(length, direction)
}

impl Planned for f32 {
    fn plan(length: usize, direction: FftDirection) -> Arc<dyn Fft<Self>> {
        static PLANNER: Planner<f32> = LazyLock::new(|| Mutex::new(FftPlannerScalar::new()));
        planned(&PLANNER, length, direction)
    }
}

impl Planned for f64 {
    fn plan(length: usize, direction: FftDirection) -> Arc<dyn Fft<Self>> {
        static PLANNER: Planner<f64> = LazyLock::new(|| Mutex::new(FftPlannerScalar::new()));
        planned(&PLANNER, length, direction)
    }
}

/// Where index `k` of a transform stands when zero frequency is at `⌊n / 2⌋`.
fn centred(k: usize, n: usize) -> usize {
    (k + n / 2) % n
}

fn run<T: FftNum>(plan: &dyn Fft<T>, values: &mut [Complex<T>]) {
    let zero = Complex::new(T::zero(), T::zero());
    let mut scratch = vec![zero; plan.get_inplace_scratch_len()];
    plan.process_with_scratch(values, &mut scratch);
}

/// The two-dimensional transform of planes of one size.
pub(crate) struct Transform<T: Planned> {
    size: [usize; 2],
    along_rows: Arc<dyn Fft<T>>,
    along_columns: Arc<dyn Fft<T>>,
    scale: T,
}

impl<T: Planned> Transform<T> {
    /// Of planes `[H, W]`, neither of them 0.
    pub(crate) fn new(size: [usize; 2], direction: FftDirection) -> Self {
        let [height, width] = size;
        Self {
            size,
            along_rows: T::plan(width, direction),
            along_columns: T::plan(height, direction),
            scale: T::of(1.0 / ((height * width) as f64).sqrt()),
        }
    }

    /// Transforms a plane in place.
    pub(crate) fn apply(&self, plane: &mut [Complex<T>]) {
        let [height, width] = self.size;
        let mut rows = Vec::with_capacity(plane.len());
        for row in 0..height {
            let from = centred(row, height) * width;
            rows.extend((0..width).map(|column| plane[from + centred(column, width)]));
        }
        run(&*self.along_rows, &mut rows);
        let mut columns = Vec::with_capacity(plane.len());
        for column in 0..width {
            columns.extend((0..height).map(|row| rows[row * width + column]));
        }
        run(&*self.along_columns, &mut columns);
        for column in 0..width {
            for row in 0..height {
                let place = centred(row, height) * width + centred(column, width);
                plane[place] = columns[column * height + row] * self.scale;
            }
        }
    }

    /// Transforms images `[B, 2, H, W]`, real part first.
    pub(crate) fn apply_all(&self, images: &[T]) -> Vec<T> {
        map_images(images, self.size, |plane| self.apply(plane))
    }
}

/// Applies a map to each complex plane of `[B, 2, H, W]`.
fn map_images<T: Planned>(
    images: &[T],
    [height, width]: [usize; 2],
    map: impl Fn(&mut [Complex<T>]) + Sync + Send,
) -> Vec<T> {
    let pixels = height * width;
    let mut out = images.to_vec();
    for_each_chunk(&mut out, 2 * pixels, |_, image| {
        let (real, imaginary) = image.split_at_mut(pixels);
        let parts = real.iter().zip(imaginary.iter());
        let mut plane: Vec<_> = parts.map(|(&re, &im)| Complex::new(re, im)).collect();
        map(&mut plane);
        for ((re, im), value) in real.iter_mut().zip(imaginary).zip(plane) {
            (*re, *im) = (value.re, value.im);
        }
    });
    out
}

/// `Fᴴ M F x` of images `[B, 2, H, W]` with the weights `M` of columns `[B, W]`.
///
/// A weight that is the same along a column leaves the transform along it undone, so that rows
/// are transformed alone; and as a circular convolution commutes with a shift, only the weights
/// have to be brought to the uncentred order.
pub(crate) fn project<T: Planned>(
    images: &[T],
    columns: &[T],
    [height, width]: [usize; 2],
) -> Vec<T> {
    let forward = T::plan(width, FftDirection::Forward);
    let backward = T::plan(width, FftDirection::Inverse);
    let scale = T::of(1.0 / width as f64);
    let image_len = 2 * height * width;
    let mut out = images.to_vec();
    for_each_chunk(&mut out, image_len, |index, image| {
        let weights: Vec<T> = (0..width)
            .map(|k| columns[index * width + centred(k, width)] * scale)
            .collect();
        let projected = map_images(image, [height, width], |plane| {
            run(&*forward, plane);
            for row in plane.chunks_exact_mut(width) {
                for (value, &weight) in row.iter_mut().zip(&weights) {
                    *value = *value * weight;
                }
            }
            run(&*backward, plane);
        });
        image.copy_from_slice(&projected);
    });
    out
}
