//! HDF5 files in the layout of the fastMRI data set.
//!
//! | name | content |
//! |---|---|
//! | `kspace` | `complex64`, `[slices, rows, columns]`, or `[slices, coils, rows, columns]` |
//! | `reconstruction_rss`, `reconstruction_esc` | floats, `[slices, rows, columns]` |
//! | `mask` | which columns were measured, in the files of a challenge |
//! | `ismrmrd_header` | XML of the scan: matrices and fields of view |
//! | attributes | `max`, `norm`, `patient_id`, `acquisition` |
//!
//! Slices are read one at a time; a file is never in memory as a whole.
//! ISMRMRD raw data (a group `dataset` of acquisitions) are another layout, and refused.
//!
//! # References
//! Zbontar et al. 2018, "fastMRI: an open dataset and benchmarks for accelerated MRI", section 4;
//! github.com/facebookresearch/fastMRI, `fastmri/data/README.md`.

mod dataset;
mod xml;

pub use xml::{IsmrmrdEncoding, IsmrmrdSpace};

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::kspace::Coils;
use crate::raw;
use crate::volume::{Affine, Samples, Volume};
use dataset::Array;
use hdf5_pure::{AttrValue, File};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How HDF5 files start (format specification, section II.A).
const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Which image a file holds beside its measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconstruction {
    /// Root of the sum of squares over coils (`reconstruction_rss`).
    RootSumOfSquares,
    /// Emulated single coil (`reconstruction_esc`).
    EmulatedSingleCoil,
}

impl Reconstruction {
    fn name(self) -> &'static str {
        match self {
            Self::RootSumOfSquares => "reconstruction_rss",
            Self::EmulatedSingleCoil => "reconstruction_esc",
        }
    }
}

/// An attribute of a file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FastMriAttribute {
    /// A number, such as `max`.
    Number(f64),
    /// A text, such as `patient_id`.
    Text(String),
}

/// A file that is open for reading slice by slice.
#[derive(Debug)]
pub struct FastMri {
    file: File,
    path: PathBuf,
    names: Vec<String>,
    attributes: BTreeMap<String, FastMriAttribute>,
    encoding: Option<IsmrmrdEncoding>,
}

impl FastMri {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ImagingError::Io`] when it cannot be opened; [`ImagingError::Decode`] when it is no HDF5
    /// or broken; [`ImagingError::Content`] when it is of another layout (no `kspace` and no
    /// reconstruction, ISMRMRD raw data), or its `ismrmrd_header` is not XML.
    ///
    /// # Examples
    /// ```no_run
    /// use ctl_imaging::fastmri::FastMri;
    /// use std::path::Path;
    ///
    /// let file = FastMri::open(Path::new("file1000000.h5"))?;
    /// let middle = file.kspace(file.kspace_shape()?[0] / 2)?;
    /// println!("{} coils of {:?}", middle.count(), middle.size());
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self> {
        let (mut file, _) = bounded::open_file(path)?;
        let mut start = Vec::new();
        Read::take(&mut file, MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(|source| ImagingError::io(path, "read", source))?;
        check_magic(&start, path)?;
        let file = File::open_streaming(path).map_err(|source| hdf5_error(path, source))?;
        Self::new(file, path)
    }

    /// Opens the content of a file; see [`open`](Self::open).
    ///
    /// # Arguments
    /// * `bytes`: the content of the file.
    /// * `origin`: where it came from, for errors.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn parse(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        check_magic(&bytes, origin)?;
        let file = File::from_bytes(bytes).map_err(|source| hdf5_error(origin, source))?;
        Self::new(file, origin)
    }

    fn new(file: File, path: &Path) -> Result<Self> {
        let failed = |source| hdf5_error(path, source);
        let (declared, bytes) = (file.superblock().eof_address, file.file_size());
        if declared > bytes {
            let found = format!("{bytes} (truncated)");
            return Err(ImagingError::content(
                path,
                format!("{declared} bytes of HDF5"),
                found,
            ));
        }
        let root = file.root();
        let names = root.datasets().map_err(failed)?;
        let groups = root.groups().map_err(failed)?;
        let holds_images = names
            .iter()
            .any(|name| name == "kspace" || name.starts_with("reconstruction_"));
        if !holds_images {
            let found = if groups.iter().any(|name| name == "dataset") {
                "a group `dataset`, which is ISMRMRD raw data".to_owned()
            } else {
                format!("datasets {names:?}")
            };
            let expected = "a dataset `kspace` or `reconstruction_…` (the layout of fastMRI)";
            return Err(ImagingError::content(path, expected, found));
        }
        let attributes = root.attrs().map_err(failed)?;
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, attribute(value)?)))
            .collect();
        let mut opened = Self {
            file,
            path: path.to_owned(),
            names,
            attributes,
            encoding: None,
        };
        if let Some(text) = opened.array("ismrmrd_header")? {
            opened.encoding = Some(xml::parse_encoding(&text.text()?, path)?);
        }
        Ok(opened)
    }

    /// Names of the datasets at the top of the file, in its order.
    pub fn datasets(&self) -> &[String] {
        &self.names
    }

    /// Attributes of the file that are numbers or texts.
    pub fn attributes(&self) -> &BTreeMap<String, FastMriAttribute> {
        &self.attributes
    }

    /// Matrices and fields of view of the scan, where the file has an `ismrmrd_header`.
    pub fn encoding(&self) -> Option<&IsmrmrdEncoding> {
        self.encoding.as_ref()
    }

    /// Shape of `kspace`: `[slices, rows, columns]` or `[slices, coils, rows, columns]`.
    ///
    /// # Errors
    /// [`ImagingError::Content`] when there is none, or it is of another type or rank.
    pub fn kspace_shape(&self) -> Result<Vec<usize>> {
        Ok(self.complex()?.shape)
    }

    /// The measurements of one slice.
    ///
    /// # Arguments
    /// * `slice`: counted from 0.
    ///
    /// # Returns
    /// One plane of `rows × columns` a coil; one coil in files of single coils.
    ///
    /// # Errors
    /// [`ImagingError::Content`] when there is no `kspace` or no such slice, or a value is not
    /// finite; [`ImagingError::Decode`] when the file is broken.
    pub fn kspace(&self, slice: usize) -> Result<Coils> {
        let array = self.complex()?;
        let values = match array.rows(slice, 1)? {
            Samples::Complex64(values) => values,
            other => {
                let found = other.sample_type().name();
                return Err(ImagingError::content(&self.path, "complex64 values", found));
            }
        };
        let [.., height, width] = array.shape.as_slice() else {
            return Err(array.wrong_rank("3 or 4 axes"));
        };
        Coils::new(*height, *width, values).map_err(|error| error.in_file(&self.path))
    }

    /// A reconstruction as an image.
    ///
    /// # Arguments
    /// * `which`: the dataset.
    /// * `affine`: from `(column, row, slice)` to mm: the layout keeps neither position nor
    ///   direction (see [`spacing`](Self::spacing) for what it does keep).
    ///
    /// # Returns
    /// `None` when the file has no such image; otherwise `[columns, rows, slices]`.
    ///
    /// # Errors
    /// [`ImagingError::Content`] when the dataset is not of floats `[slices, rows, columns]`;
    /// [`ImagingError::Decode`] when the file is broken.
    pub fn reconstruction(&self, which: Reconstruction, affine: Affine) -> Result<Option<Volume>> {
        let Some(array) = self.array(which.name())? else {
            return Ok(None);
        };
        let &[slices, rows, columns] = array.shape.as_slice() else {
            return Err(array.wrong_rank("3 axes"));
        };
        let mut samples = raw::none(array.encoding()?.kind);
        for slice in 0..slices {
            array.append_rows(&mut samples, slice, 1)?;
        }
        let volume = Volume::new(&[columns, rows, slices], samples, affine);
        volume.map(Some).map_err(|error| error.in_file(&self.path))
    }

    /// Which columns of `kspace` were measured, where the file says so.
    ///
    /// # Errors
    /// [`ImagingError::Content`] when `mask` is not one axis of numbers;
    /// [`ImagingError::Decode`] when the file is broken.
    pub fn mask(&self) -> Result<Option<Vec<bool>>> {
        let Some(array) = self.array("mask")? else {
            return Ok(None);
        };
        let &[columns] = array.shape.as_slice() else {
            return Err(array.wrong_rank("1 axis"));
        };
        let samples = array.rows(0, columns)?;
        let is_measured = |index| samples.get(index).is_some_and(|value| value != 0.0);
        Ok(Some((0..columns).map(is_measured).collect()))
    }

    /// Distance of neighbours along columns, rows and slices of a reconstruction in mm, from the
    /// field of view and matrix of `reconSpace`.
    ///
    /// The third is the thickness of a slice: what lies between slices the layout does not keep.
    pub fn spacing(&self) -> Option<[f64; 3]> {
        let IsmrmrdSpace {
            matrix,
            field_of_view,
        } = self.encoding.as_ref()?.reconstruction;
        Some([0, 1, 2].map(|axis: usize| field_of_view[axis] / matrix[axis] as f64))
    }

    fn array(&self, name: &'static str) -> Result<Option<Array<'_>>> {
        if !self.names.iter().any(|known| known == name) {
            return Ok(None);
        }
        Array::open(&self.file, name, &self.path).map(Some)
    }

    fn complex(&self) -> Result<Array<'_>> {
        let Some(array) = self.array("kspace")? else {
            return Err(ImagingError::content(
                &self.path,
                "a dataset `kspace`",
                "none",
            ));
        };
        array.encoding()?;
        if matches!(array.shape.len(), 3 | 4) {
            Ok(array)
        } else {
            Err(array.wrong_rank("3 or 4 axes"))
        }
    }
}

/// Whether a file starts like HDF5.
pub(crate) fn can_read(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MAGIC)
}

fn check_magic(start: &[u8], path: &Path) -> Result<()> {
    if can_read(start) {
        return Ok(());
    }
    let found = format!("bytes {:02x?}", &start[..start.len().min(8)]);
    Err(ImagingError::content(path, "an HDF5 file", found))
}

fn hdf5_error(path: &Path, source: hdf5_pure::Error) -> ImagingError {
    ImagingError::decode(path, "hdf5", source)
}

fn attribute(value: AttrValue) -> Option<FastMriAttribute> {
    use FastMriAttribute::{Number, Text};
    Some(match value {
        AttrValue::F32(number) => Number(number.into()),
        AttrValue::F64(number) => Number(number),
        AttrValue::I8(number) => Number(number.into()),
        AttrValue::I16(number) => Number(number.into()),
        AttrValue::I32(number) => Number(number.into()),
        AttrValue::I64(number) => Number(number as f64),
        AttrValue::U8(number) => Number(number.into()),
        AttrValue::U16(number) => Number(number.into()),
        AttrValue::U32(number) => Number(number.into()),
        AttrValue::U64(number) => Number(number as f64),
        AttrValue::String(text)
        | AttrValue::AsciiString(text)
        | AttrValue::VarLenString(text)
        | AttrValue::VarLenAsciiString(text)
        | AttrValue::StringSized { value: text, .. }
        | AttrValue::AsciiStringSized { value: text, .. } => Text(text),
        _ => return None,
    })
}
