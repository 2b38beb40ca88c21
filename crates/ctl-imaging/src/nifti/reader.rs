//! A file that is open: its header is known, its data are read when they are asked for.

use super::check::Plan;
use super::elements::{Element, interleaved, with_element};
use super::extension::Extension;
use super::geometry;
use super::head::Head;
use super::header::Header;
use super::names::Names;
use super::source::{Place, Source};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, SampleType, Samples, Scaling, Value, Volume};
use std::path::{Path, PathBuf};

/// An open file, for looking at parts of an image without reading the whole.
///
/// Plain files are read at the places that are needed; compressed ones are unpacked from their
/// start up to the last byte that is needed, and not beyond. Files are never mapped into memory:
/// one that somebody shortens meanwhile gives an error, where a map would end the process.
///
/// # Examples
/// ```
/// use ctl_imaging::nifti::{self, Reader, WriteOptions};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
/// let path = folder.path().join("ct.nii.gz");
/// let affine = Affine::from_spacing([1.0, 1.0, 5.0], [0.0; 3])?;
/// let volume = Volume::new(&[2, 2, 2], Samples::I16((0..8).collect()), affine)?;
/// nifti::write(&path, &volume, &WriteOptions::default())?;
///
/// let reader = Reader::open(&path)?;
/// let upper = reader.slice(2, 1)?;
/// assert_eq!(upper.samples(), &Samples::I16(vec![4, 5, 6, 7]));
/// assert_eq!(upper.affine().origin(), [0.0, 0.0, 5.0]);
/// assert_eq!(reader.value(&[1, 0, 1])?, 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    /// Whether header and data have a file each.
    pub(super) paired: bool,
    pub(super) source: Source,
    pub(super) header: Header,
    extensions: Vec<Extension>,
    pub(super) plan: Plan,
    pub(super) shape: Vec<usize>,
}

/// Makes single-precision numbers of bytes.
type SingleDecode = Box<dyn Fn(&[u8], &mut [f32]) + Sync>;

impl Reader {
    /// Opens `.nii`, `.nii.gz` or either file of a `.hdr`/`.img` pair, and reads the header.
    ///
    /// Compression is told by content, not by name.
    ///
    /// # Errors
    /// [`ImagingError::Io`] when a file cannot be read; [`ImagingError::Content`] when it is no
    /// `NIfTI` file, its header is impossible, its datatype is one that we do not read, or a file
    /// that is not compressed ends before its data do.
    pub fn open(path: &Path) -> Result<Self> {
        let names = Names::of(path);
        let source = Source::open(&names.header)?;
        let head = Head::read(&source, names.are_pair(), &names.header)?;
        if names.are_pair() {
            Self::new(head, Source::open(&names.data)?, path, true)
        } else {
            Self::new(head, source, path, false)
        }
    }

    /// A reader of the bytes of a single file, plain or gzip.
    ///
    /// # Arguments
    /// * `origin`: what errors call it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        let source = Source::from_bytes(bytes, origin)?;
        let head = Head::read(&source, false, origin)?;
        Self::new(head, source, origin, false)
    }

    fn new(head: Head, source: Source, path: &Path, paired: bool) -> Result<Self> {
        let plan = head.plan;
        source.expect_length(plan.offset.saturating_add(plan.bytes()))?;
        Ok(Self {
            path: path.to_owned(),
            paired,
            source,
            header: head.header,
            extensions: head.extensions,
            shape: plan.volume_shape(),
            plan,
        })
    }

    /// The header as it stands in the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Header extensions.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// What was odd in the header and how it was taken.
    pub fn warnings(&self) -> &[String] {
        &self.plan.warnings
    }

    /// Voxels along each axis of [`volume`](Self::volume).
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Values a voxel: 3 or 4 of colours, components of vectors, else 1.
    pub fn components(&self) -> usize {
        self.plan.datatype.components * self.plan.vector.unwrap_or(1)
    }

    /// Type of the stored values.
    pub fn sample_type(&self) -> SampleType {
        self.plan.datatype.kind
    }

    /// What makes numbers of stored values.
    pub fn scaling(&self) -> Scaling {
        self.plan.scaling
    }

    /// From voxel indices to mm.
    ///
    /// # Errors
    /// [`ImagingError::Content`] when the header's matrix has numbers that are not finite, or
    /// cannot be inverted. Values can be read all the same.
    pub fn affine(&self) -> Result<Affine> {
        let rows = geometry::in_millimetres(self.plan.affine, self.plan.unit_mm);
        Affine::new(rows).map_err(|_| {
            ImagingError::content(
                &self.path,
                "a finite matrix to space that can be inverted",
                format!("{rows:?}"),
            )
        })
    }

    /// The whole image.
    ///
    /// # Errors
    /// Those of [`affine`](Self::affine); [`ImagingError::Content`] or [`ImagingError::Io`] when
    /// data end early or a checksum is wrong.
    pub fn volume(&self) -> Result<Volume> {
        let affine = self.affine()?;
        let order = self.header.endianness;
        let samples = with_element!(self.sample_type(), T => {
            let decode = |bytes: &[u8], out: &mut [T]| T::decode(bytes, order, out, |value| value);
            T::samples(self.together(self.source.numbers(self.place(), &decode)?))
        });
        self.assembled(&self.shape, samples, affine)
    }

    /// All numbers of the image in single precision, without keeping the stored ones.
    ///
    /// # Returns
    /// What [`Volume::to_f32`] of [`volume`](Self::volume) gives, scaled in double precision
    /// before it is rounded.
    ///
    /// # Errors
    /// Those of [`volume`](Self::volume), but for the affine, which is not needed.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let decode = self.single_precision();
        let numbers = self.source.numbers(self.place(), &*decode)?;
        Ok(self.together(numbers))
    }

    /// The numbers of [`to_f32`](Self::to_f32), in memory that is there already.
    ///
    /// Who loads many images into the same memory is spared what the system takes for new pages,
    /// which for plain files is more than the reading.
    ///
    /// # Arguments
    /// * `out`: one place for each component of each voxel.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there are more or fewer places; else those of
    /// [`to_f32`](Self::to_f32), after which some may have been filled.
    pub fn fill_f32(&self, out: &mut [f32]) -> Result<()> {
        let place = self.place();
        if out.len() != place.count {
            return Err(ImagingError::argument(
                "memory for the numbers of an image",
                format!("{} places", place.count),
                out.len().to_string(),
            ));
        }
        if self.plan.vector.is_some() {
            out.copy_from_slice(&self.to_f32()?);
            return Ok(());
        }
        self.source.fill(place, out, &*self.single_precision())
    }

    /// Makes scaled numbers of bytes.
    fn single_precision(&self) -> SingleDecode {
        let order = self.header.endianness;
        let scaling = self.scaling();
        let Scaling { slope, intercept } = scaling;
        let exact = scaling.in_single_precision(self.sample_type());
        with_element!(self.sample_type(), T => {
            if scaling == Scaling::NONE {
                Box::new(move |bytes: &[u8], out: &mut [f32]| {
                    T::decode(bytes, order, out, Value::to_f32);
                })
            } else if let Some((slope, intercept)) = exact {
                Box::new(move |bytes: &[u8], out: &mut [f32]| {
                    T::decode(bytes, order, out, |value| value.to_f32() * slope + intercept);
                })
            } else {
                Box::new(move |bytes: &[u8], out: &mut [f32]| {
                    let number = |value: T| (value.to_f64() * slope + intercept) as f32;
                    T::decode(bytes, order, out, number);
                })
            }
        })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            offset: self.plan.offset,
            count: self.plan.voxels * self.plan.datatype.components,
            item_bytes: self.sample_type().bytes(),
        }
    }

    /// Components together, where the file has them plane after plane.
    pub(super) fn together<T: Copy + Default>(&self, numbers: Vec<T>) -> Vec<T> {
        match self.plan.vector {
            Some(vector) => interleaved(&numbers, vector),
            None => numbers,
        }
    }

    pub(super) fn assembled(
        &self,
        shape: &[usize],
        samples: Samples,
        affine: Affine,
    ) -> Result<Volume> {
        Volume::with_components(shape, self.components(), samples, affine)?
            .with_scaling(self.plan.scaling)?
            .with_series(self.plan.series)
    }
}
