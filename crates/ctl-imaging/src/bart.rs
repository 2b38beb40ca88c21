//! Arrays of the BART toolbox: a text header `.hdr` and complex numbers `.cfl`.
//!
//! # References
//! Uecker et al. 2015, "Berkeley advanced reconstruction toolbox"; `doc/` of the toolbox,
//! "data format": up to 16 dimensions, the first fastest, `complex64` little-endian.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::raw::{self, Encoding};
use crate::volume::{Affine, MAX_AXES, SampleType, Samples, Volume};
use crate::write::replace_two;
use num_complex::Complex;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Dimensions of every array of the toolbox.
pub const MAX_DIMENSIONS: usize = 16;

/// Longest header that is read; the toolbox adds the commands that led to the array.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The line above the dimensions.
const DIMENSIONS: &str = "# Dimensions";

/// An array of complex numbers, first axis fastest.
///
/// BART's axes have fixed meanings: 0 to 2 readout and phase encodings (or space), 3 coils,
/// 4 maps, 5 echoes, 10 time, 13 slices, and so on.
#[derive(Debug, Clone, PartialEq)]
pub struct BartArray {
    dimensions: Vec<usize>,
    values: Vec<Complex<f32>>,
}

impl BartArray {
    /// An array of up to [`MAX_DIMENSIONS`] axes; axes of length 1 at the end are dropped.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there are no axes or more, an empty one, or another number
    /// of values.
    pub fn new(dimensions: &[usize], values: Vec<Complex<f32>>) -> Result<Self> {
        let count = dimensions
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        let is_ranked = (1..=MAX_DIMENSIONS).contains(&dimensions.len());
        if !is_ranked || count != Some(values.len()) || values.is_empty() {
            return Err(ImagingError::argument(
                "BART array",
                format!("1 to {MAX_DIMENSIONS} axes, none empty, with a value for each place"),
                format!("{dimensions:?} with {} values", values.len()),
            ));
        }
        let kept = dimensions.iter().rposition(|&side| side > 1).unwrap_or(0);
        Ok(Self {
            dimensions: dimensions[..=kept].to_vec(),
            values,
        })
    }

    /// Length of each axis, fastest first, without axes of length 1 at the end.
    pub fn dimensions(&self) -> &[usize] {
        &self.dimensions
    }

    /// The values, first axis fastest.
    pub fn values(&self) -> &[Complex<f32>] {
        &self.values
    }

    /// The array as an image: axes 0 to 2 are those of space, longer ones beyond are frames.
    ///
    /// # Arguments
    /// * `affine`: from voxel indices to mm, since the format says nothing of places.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when more than four axes beyond the third are longer than 1.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::bart::BartArray;
    /// use ctl_imaging::kspace::Complex;
    /// use ctl_imaging::volume::Affine;
    ///
    /// let values = (0..8).map(|v| Complex::new(v as f32, 0.0)).collect();
    /// // Two voxels in a row, four coils.
    /// let array = BartArray::new(&[2, 1, 1, 4], values)?;
    /// let volume = array.into_volume(Affine::from_spacing([1.0; 3], [0.0; 3])?)?;
    /// assert_eq!(volume.shape(), [2, 1, 1, 4]);
    /// assert_eq!(volume.value(&[1, 0, 0, 3]), Some(7.0));
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn into_volume(self, affine: Affine) -> Result<Volume> {
        let side = |axis: usize| self.dimensions.get(axis).copied().unwrap_or(1);
        let beyond = self.dimensions.iter().skip(3).copied();
        let longer = beyond.filter(|&side| side > 1);
        let shape: Vec<usize> = [side(0), side(1), side(2)]
            .into_iter()
            .chain(longer)
            .collect();
        if shape.len() > MAX_AXES {
            return Err(ImagingError::argument(
                "BART array to make a volume of",
                format!("at most {} axes beyond the third", MAX_AXES - 3),
                format!("{:?}", self.dimensions),
            ));
        }
        Volume::new(&shape, Samples::Complex64(self.values), affine)
    }
}

/// Reads an array of BART.
///
/// # Arguments
/// * `path`: the `.cfl` or `.hdr` file, or the name that both share.
///
/// # Returns
/// The values with their dimensions.
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be read; [`ImagingError::Content`] when the header has
/// no dimensions, more than 16 or an empty one, or the values are more or fewer.
pub fn read_bart(path: &Path) -> Result<BartArray> {
    let (header_path, data_path) = both_files(path);
    let (file, _) = bounded::open_file(&header_path)?;
    let dimensions = read_dimensions(file, &header_path)?;
    let (file, _) = bounded::open_file(&data_path)?;
    read_values(&dimensions, &mut BufReader::new(file), &data_path)
}

/// Reads an array of BART from memory; see [`read_bart`].
///
/// # Arguments
/// * `header`: the content of the `.hdr` file.
/// * `data`: the content of the `.cfl` file.
/// * `origin`: where they came from, for errors.
///
/// # Errors
/// Those of [`read_bart`].
///
/// # Examples
/// ```
/// use ctl_imaging::bart::parse_bart;
/// use std::path::Path;
///
/// let data = [0, 0, 128, 63, 0, 0, 0, 64];
/// let array = parse_bart(b"# Dimensions\n1 1 1 \n", &data, Path::new("one"))?;
/// assert_eq!((array.values()[0].re, array.values()[0].im), (1.0, 2.0));
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn parse_bart(header: &[u8], mut data: &[u8], origin: &Path) -> Result<BartArray> {
    let dimensions = read_dimensions(header, origin)?;
    read_values(&dimensions, &mut data, origin)
}

/// Writes an array of BART, both files replaced when both are whole, the header last.
///
/// # Arguments
/// * `array`: the values.
/// * `path`: as for [`read_bart`].
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be written.
///
/// # Examples
/// ```
/// use ctl_imaging::bart::{BartArray, read_bart, write_bart};
/// use ctl_imaging::kspace::Complex;
///
/// # let folder = tempfile::tempdir()?;
/// let array = BartArray::new(&[2, 1], vec![Complex::new(1.0, -1.0), Complex::new(0.5, 0.0)])?;
/// write_bart(&array, &folder.path().join("pair"))?;
/// assert_eq!(read_bart(&folder.path().join("pair.cfl"))?, array);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_bart(array: &BartArray, path: &Path) -> Result<()> {
    let (header_path, data_path) = both_files(path);
    let ones = std::iter::repeat(&1);
    let sides = array.dimensions.iter().chain(ones).take(MAX_DIMENSIONS);
    let words: Vec<String> = sides.map(ToString::to_string).collect();
    let header = format!("{DIMENSIONS}\n{} \n", words.join(" "));
    let values = |file: &mut BufWriter<File>| {
        for piece in array.values.chunks(1 << 16) {
            let bytes: Vec<u8> = piece
                .iter()
                .flat_map(|value| [value.re, value.im])
                .flat_map(f32::to_le_bytes)
                .collect();
            file.write_all(&bytes)?;
        }
        Ok(())
    };
    replace_two(
        true,
        (&data_path, values),
        (&header_path, |file| file.write_all(header.as_bytes())),
    )
}

/// Whether a file is one of an array of BART, by its name, and of a header by its first line.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for the reader that tells formats apart")
)]
pub(crate) fn can_read(first_bytes: &[u8], name: &Path) -> bool {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("cfl") => true,
        Some("hdr") => first_bytes.starts_with(DIMENSIONS.as_bytes()),
        _ => false,
    }
}

/// The header and the values of a name with or without its ending.
fn both_files(path: &Path) -> (PathBuf, PathBuf) {
    let ending = path.extension().and_then(|extension| extension.to_str());
    let base = if matches!(ending, Some("cfl" | "hdr")) {
        path.with_extension("")
    } else {
        path.to_owned()
    };
    // Appended rather than replaced: `scan.v1` has no ending of ours.
    let named = |ending: &str| {
        let mut name = base.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    (named(".hdr"), named(".cfl"))
}

/// The numbers in the line below `# Dimensions`; other sections are left out.
fn read_dimensions(reader: impl Read, path: &Path) -> Result<Vec<usize>> {
    let mut text = Vec::new();
    reader
        .take(MAX_HEADER_BYTES)
        .read_to_end(&mut text)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim_end);
    let line = lines
        .find(|line| *line == DIMENSIONS)
        .and_then(|_| lines.next());
    let wrong = |found: String| {
        let expected = format!("`{DIMENSIONS}` and below it 1 to {MAX_DIMENSIONS} numbers above 0");
        ImagingError::content(path, expected, found)
    };
    let line = line.ok_or_else(|| wrong("none".to_owned()))?;
    let sides: Option<Vec<usize>> = line
        .split_whitespace()
        .map(|word| word.parse().ok().filter(|&side| side > 0))
        .collect();
    sides
        .filter(|sides| (1..=MAX_DIMENSIONS).contains(&sides.len()))
        .ok_or_else(|| wrong(format!("{:?}", line.chars().take(80).collect::<String>())))
}

fn read_values(dimensions: &[usize], reader: &mut dyn Read, path: &Path) -> Result<BartArray> {
    let encoding = Encoding::little(SampleType::Complex64);
    bounded::array_bytes(dimensions, encoding.kind.bytes(), path)?;
    let count = dimensions.iter().product();
    let samples = raw::read_samples(reader, count, encoding, path)?;
    bounded::expect_end(reader, path)?;
    let Samples::Complex64(values) = samples else {
        return Err(ImagingError::content(path, "complex values", "others"));
    };
    BartArray::new(dimensions, values).map_err(|error| error.in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_have_one_name() {
        for name in ["a/scan.v1", "a/scan.v1.cfl", "a/scan.v1.hdr"] {
            let (header, data) = both_files(Path::new(name));
            assert_eq!(header, Path::new("a/scan.v1.hdr"));
            assert_eq!(data, Path::new("a/scan.v1.cfl"));
        }
    }

    #[test]
    fn headers_are_recognised_by_their_first_line() {
        let header = b"# Dimensions\n2 2\n";
        assert!(can_read(header, Path::new("x.hdr")));
        assert!(can_read(&[0; 8], Path::new("x.cfl")));
        // Analyze and NIfTI pairs end in .hdr as well.
        assert!(!can_read(&[0x5c, 1, 0, 0], Path::new("x.hdr")));
        assert!(!can_read(header, Path::new("x.txt")));
    }
}
