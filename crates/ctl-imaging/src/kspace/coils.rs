//! Complex planes of several receiver coils.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::npy;
use num_complex::Complex;
use std::io::{BufReader, Read};
use std::path::Path;

/// One complex plane per coil, all of one size: raw data or images.
#[derive(Debug, Clone, PartialEq)]
pub struct Coils {
    height: usize,
    width: usize,
    values: Vec<Complex<f32>>,
}

impl Coils {
    /// Planes of `height × width` values, one after another, row by row.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a size is 0, or the values are not whole planes of finite
    /// numbers.
    pub fn new(height: usize, width: usize, values: Vec<Complex<f32>>) -> Result<Self> {
        let pixels = height.checked_mul(width).filter(|&pixels| pixels > 0);
        let whole = pixels.is_some_and(|pixels| values.len().is_multiple_of(pixels));
        if !whole || values.is_empty() {
            let found = format!("{} values for planes of {height} × {width}", values.len());
            return Err(ImagingError::argument(
                "coils",
                "one plane or more, none empty",
                found,
            ));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(ImagingError::argument(
                "coils",
                "finite values",
                value.to_string(),
            ));
        }
        Ok(Self {
            height,
            width,
            values,
        })
    }

    /// Number of coils, at least 1.
    pub fn count(&self) -> usize {
        self.values.len() / (self.height * self.width)
    }

    /// Height and width of a plane in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// The planes, each row by row.
    pub fn planes(&self) -> impl Iterator<Item = &[Complex<f32>]> {
        self.values.chunks_exact(self.height * self.width)
    }

    /// The planes to be changed in place, as by a Fourier transform.
    pub fn planes_mut(&mut self) -> impl Iterator<Item = &mut [Complex<f32>]> {
        self.values.chunks_exact_mut(self.height * self.width)
    }

    /// `√Σ_c |x_c|²`, the coils combined without knowledge of their sensitivities.
    ///
    /// # Returns
    /// `height × width` magnitudes.
    ///
    /// # References
    /// Roemer et al. 1990, "The NMR phased array", section on the sum of squares.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::kspace::{Coils, Complex};
    ///
    /// let coils = Coils::new(1, 1, vec![Complex::new(0.0, 3.0), Complex::new(4.0, 0.0)])?;
    /// assert_eq!(coils.root_sum_of_squares(), [5.0]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn root_sum_of_squares(&self) -> Vec<f32> {
        let mut squares = vec![0.0_f64; self.height * self.width];
        for plane in self.planes() {
            for (sum, value) in squares.iter_mut().zip(plane) {
                *sum += f64::from(value.re).powi(2) + f64::from(value.im).powi(2);
            }
        }
        squares.into_iter().map(|sum| sum.sqrt() as f32).collect()
    }
}

/// Reads an NPY file of complex numbers of single precision.
///
/// # Arguments
/// * `path`: `complex64` of shape `[coils, H, W]`, or `[H, W]` for one coil.
///
/// # Errors
/// Those of [`read_npy`](npy::read_npy); [`ImagingError::Content`] when the elements are of
/// another type, the shape has another number of axes or an empty one, or a value is not finite.
pub fn read_coils(path: &Path) -> Result<Coils> {
    let (file, _) = bounded::open_file(path)?;
    read_from(&mut BufReader::new(file), path)
}

/// Reads the same from memory.
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
///
/// # Errors
/// Those of [`read_coils`].
pub fn parse_coils(mut bytes: &[u8], origin: &Path) -> Result<Coils> {
    read_from(&mut bytes, origin)
}

fn read_from(reader: &mut impl Read, path: &Path) -> Result<Coils> {
    let (shape, values) = npy::read_complex_from(reader, path)?;
    let (&[height, width] | &[_, height, width]) = shape.as_slice() else {
        let found = format!("shape {shape:?}");
        return Err(ImagingError::content(
            path,
            "an array [coils, H, W] or [H, W]",
            found,
        ));
    };
    Coils::new(height, width, values).map_err(|error| match error {
        ImagingError::Argument {
            expected, found, ..
        } => ImagingError::content(path, expected, found),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, order: &str, shape: &str, numbers: &[f32]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        let big = descr.starts_with('>');
        bytes.extend(numbers.iter().flat_map(|v| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        }));
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Coils> {
        parse_coils(bytes, Path::new("coils.npy"))
    }

    #[test]
    fn both_byte_orders_and_memory_orders() {
        let numbers: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let little = parse(&npy("<c8", "False", "(2, 2, 3)", &numbers)).unwrap();
        assert_eq!((little.count(), little.size()), (2, (2, 3)));
        assert_eq!(little.planes().nth(1).unwrap()[4], Complex::new(20.0, 21.0));
        assert_eq!(
            parse(&npy(">c8", "False", "(2, 2, 3)", &numbers)).unwrap(),
            little
        );
        let fortran = parse(&npy("<c8", "True", "(2, 2, 3)", &numbers)).unwrap();
        // In Fortran order the coil runs fastest: element [1, 1, 2] is the last either way,
        // element [1, 0, 0] the second.
        assert_eq!(fortran.planes().nth(1).unwrap()[0], Complex::new(2.0, 3.0));
        let single = parse(&npy("<c8", "False", "(4, 3)", &numbers)).unwrap();
        assert_eq!((single.count(), single.size()), (1, (4, 3)));
    }

    #[test]
    fn squares_are_summed_over_coils() {
        let numbers = [1.0, 2.0, 0.0, 0.0, 2.0, 0.0, 3.0, -4.0];
        let coils = parse(&npy("<c8", "False", "(2, 1, 2)", &numbers)).unwrap();
        assert_eq!(coils.root_sum_of_squares(), [3.0, 5.0]);
    }

    #[test]
    fn what_is_not_coils_is_an_error() {
        let four = [0.0; 8];
        for (bytes, message) in [
            (npy("<f4", "False", "(1, 2, 4)", &four), "complex64"),
            (npy("<c16", "False", "(1, 2, 2)", &[0.0; 16]), "complex64"),
            (npy("<c8", "False", "(4,)", &four), "[coils, H, W]"),
            (npy("<c8", "False", "(1, 1, 2, 2)", &four), "[coils, H, W]"),
            (npy("<c8", "False", "(0, 2, 2)", &[]), "none empty"),
            (npy("<c8", "False", "(2, 0, 2)", &[]), "none empty"),
            (npy("<c8", "False", "(1, 2, 3)", &four), "truncated"),
            (npy("<c8", "False", "(1, 1, 1)", &[f32::NAN, 0.0]), "finite"),
        ] {
            let text = parse(&bytes).unwrap_err().to_string();
            assert!(
                text.starts_with("coils.npy: expected") && text.contains(message),
                "{text}"
            );
        }
        assert!(Coils::new(usize::MAX, 2, Vec::new()).is_err());
    }
}
