//! A picture of one channel in memory.

use super::DigitError;

/// Values in rows, `[H, W]`.
///
/// # Examples
///
/// ```
/// use ctl_phantom::digits::Plane;
///
/// let plane = Plane::new([2, 3], vec![1_u8, 2, 3, 4, 5, 6])?;
/// assert_eq!(plane.row(1), [4, 5, 6]);
/// assert!(Plane::new([2, 2], vec![0_u8; 3]).is_err());
/// # Ok::<(), ctl_phantom::digits::DigitError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane<T> {
    height: usize,
    width: usize,
    values: Vec<T>,
}

impl<T: Copy> Plane<T> {
    /// A picture from its values, row by row.
    ///
    /// # Errors
    /// [`DigitError::Shape`] where a side is 0 or the number of values is not `H·W`.
    pub fn new([height, width]: [usize; 2], values: Vec<T>) -> Result<Self, DigitError> {
        let expected = height.checked_mul(width).filter(|&count| count > 0);
        if expected != Some(values.len()) {
            return Err(DigitError::Shape {
                height,
                width,
                found: values.len(),
            });
        }
        Ok(Self {
            height,
            width,
            values,
        })
    }

    pub(super) fn filled([height, width]: [usize; 2], value: T) -> Self {
        Self {
            height,
            width,
            values: vec![value; height * width],
        }
    }

    /// The same shape with every value replaced.
    pub(super) fn map<U>(&self, function: impl Fn(T) -> U) -> Plane<U> {
        Plane {
            height: self.height,
            width: self.width,
            values: self.values.iter().map(|&value| function(value)).collect(),
        }
    }

    /// Height and width.
    pub fn shape(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// All values, row by row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// One row.
    ///
    /// # Panics
    /// Where `y` is not below the height, as indexing does.
    pub fn row(&self, y: usize) -> &[T] {
        &self.values[y * self.width..][..self.width]
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.values[y * self.width..][..self.width]
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[T]> {
        self.values.chunks_exact(self.width)
    }

    pub(super) fn transposed(&self) -> Self {
        let values = (0..self.width)
            .flat_map(|x| self.rows().map(move |row| row[x]))
            .collect();
        Self {
            height: self.width,
            width: self.height,
            values,
        }
    }
}
