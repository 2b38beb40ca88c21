//! A file that is open: its header is known, its data are read where they are asked for.

use super::check::Plan;
use super::elements::{Element, interleaved, with_element};
use super::extension::{self, Extension};
use super::fields;
use super::geometry;
use super::header::Header;
use super::names::Names;
use super::region::{self, Region};
use super::source::{Place, Source};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, SampleType, Samples, Scaling, Value, Volume};
use std::io::Read;
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
    path: PathBuf,
    source: Source,
    header: Header,
    extensions: Vec<Extension>,
    pub(super) plan: Plan,
    shape: Vec<usize>,
}

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
            Self::new(head, Source::open(&names.data)?, path)
        } else {
            Self::new(head, source, path)
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
        Self::new(head, source, origin)
    }

    fn new(head: Head, source: Source, path: &Path) -> Result<Self> {
        let plan = head.plan;
        source.expect_length(plan.offset.saturating_add(plan.bytes()))?;
        Ok(Self {
            path: path.to_owned(),
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
        let samples = with_element!(self.sample_type(), T => {
            T::samples(self.together(self.source.numbers(self.place(), |value: T| value)?))
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
        let scaling = self.scaling();
        let numbers = with_element!(self.sample_type(), T => {
            if scaling == Scaling::NONE {
                self.source.numbers(self.place(), |value: T| value.to_f64() as f32)
            } else {
                let Scaling { slope, intercept } = scaling;
                self.source.numbers(self.place(), move |value: T| {
                    (value.to_f64() * slope + intercept) as f32
                })
            }
        })?;
        Ok(self.together(numbers))
    }

    /// One slice, of all frames, one voxel thick.
    ///
    /// # Arguments
    /// * `axis`: axis of space that is cut: 0, 1 or 2.
    /// * `index`: voxel along it.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such axis or index; else those of
    /// [`volume`](Self::volume).
    pub fn slice(&self, axis: usize, index: usize) -> Result<Volume> {
        if axis >= self.shape.len().min(3) {
            return Err(ImagingError::argument(
                "axis of a slice",
                format!("below {}", self.shape.len().min(3)),
                axis.to_string(),
            ));
        }
        let mut start = vec![0; self.shape.len()];
        let mut size = self.shape.clone();
        start[axis] = index;
        size[axis] = 1;
        self.boxed(&start, &size)
    }

    /// One three-dimensional image of a series.
    ///
    /// # Arguments
    /// * `index`: which, counted over all axes beyond the third, the fourth fastest.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there are not so many; else those of
    /// [`volume`](Self::volume).
    pub fn frame(&self, index: usize) -> Result<Volume> {
        let mut start = vec![0; self.shape.len()];
        let mut size = self.shape.clone();
        let mut left = index;
        for (axis, &side) in self.shape.iter().enumerate().skip(3) {
            start[axis] = left % side;
            size[axis] = 1;
            left /= side;
        }
        if left > 0 {
            let frames: usize = self.shape.iter().skip(3).product();
            return Err(ImagingError::argument(
                "frame",
                format!("below {frames}"),
                index.to_string(),
            ));
        }
        let frame = self.boxed(&start, &size)?;
        let spatial = &self.shape[..self.shape.len().min(3)];
        self.assembled(spatial, frame.into_samples(), self.affine()?)
    }

    /// A box of voxels; its affine leads to the same places as that of the whole.
    ///
    /// # Arguments
    /// * `start`: first voxel along each axis of [`shape`](Self::shape).
    /// * `size`: voxels along each, at least 1.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the box is not within the image; else those of
    /// [`volume`](Self::volume).
    pub fn boxed(&self, start: &[usize], size: &[usize]) -> Result<Volume> {
        let region = self.region(start, size)?;
        let affine = moved(&self.affine()?, start)?;
        let samples = with_element!(self.sample_type(), T => {
            let order = self.header.endianness;
            let read = region::read(&self.source, &self.plan, order, &region, |value: T| value)?;
            T::samples(self.together(read))
        });
        self.assembled(size, samples, affine)
    }

    /// The number at a voxel, scaled, of its first component.
    ///
    /// # Arguments
    /// * `voxel`: one index for each axis of [`shape`](Self::shape).
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an index is missing, too many or out of range; else those
    /// of [`to_f32`](Self::to_f32).
    pub fn value(&self, voxel: &[usize]) -> Result<f64> {
        let region = self.region(voxel, &vec![1; voxel.len()])?;
        let order = self.header.endianness;
        let numbers = with_element!(self.sample_type(), T => {
            region::read(&self.source, &self.plan, order, &region, |value: T| value.to_f64())
        })?;
        let first = numbers.first().copied().unwrap_or(f64::NAN);
        Ok(self.scaling().apply(first))
    }

    /// A box over the axes of the file.
    fn region(&self, start: &[usize], size: &[usize]) -> Result<Region> {
        let axes = self.shape.len();
        let within = start.len() == axes
            && size.len() == axes
            && (0..axes).all(|axis| {
                let end = start[axis].checked_add(size[axis]);
                size[axis] > 0 && end.is_some_and(|end| end <= self.shape[axis])
            });
        if !within {
            return Err(ImagingError::argument(
                "box of voxels",
                format!("one within {:?}", self.shape),
                format!("{size:?} from {start:?}"),
            ));
        }
        let (mut start, mut size) = (start.to_vec(), size.to_vec());
        start.resize(self.plan.shape.len(), 0);
        size.resize(self.plan.shape.len(), 1);
        if let Some(vector) = self.plan.vector {
            size[4] = vector;
        }
        Ok(Region { start, size })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            offset: self.plan.offset,
            count: self.plan.voxels * self.plan.datatype.components,
            order: self.header.endianness,
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Components together, where the file has them plane after plane.
    fn together<T: Copy + Default>(&self, numbers: Vec<T>) -> Vec<T> {
        match self.plan.vector {
            Some(vector) => interleaved(&numbers, vector),
            None => numbers,
        }
    }

    fn assembled(&self, shape: &[usize], samples: Samples, affine: Affine) -> Result<Volume> {
        Volume::with_components(shape, self.components(), samples, affine)?
            .with_scaling(self.plan.scaling)?
            .with_series(self.plan.series)
    }
}

/// The affine of a box: its first voxel is another one.
fn moved(affine: &Affine, start: &[usize]) -> Result<Affine> {
    let first = [0, 1, 2].map(|axis| start.get(axis).map_or(0.0, |&start| start as f64));
    let origin = affine.to_world(first);
    let mut rows = affine.rows();
    for (row, origin) in rows.iter_mut().zip(origin) {
        row[3] = origin;
    }
    Affine::new(rows)
}

/// All that stands before the data.
pub(super) struct Head {
    pub(super) header: Header,
    extensions: Vec<Extension>,
    plan: Plan,
}

impl Head {
    fn read(source: &Source, paired: bool, path: &Path) -> Result<Self> {
        let start = source.start(fields::LONGEST + 4)?;
        let header = fields::parse(&start, path)?;
        let mut plan = Plan::new(&header, paired, path)?;
        let flag = header.version.header_bytes();
        let mut extensions = Vec::new();
        if start.len() >= flag + 4 && start[flag] != 0 {
            let first = flag as u64 + 4;
            let room = (!paired).then(|| plan.offset - first);
            let mut stream = source.stream();
            std::io::copy(&mut stream.by_ref().take(first), &mut std::io::sink())
                .map_err(|source| ImagingError::io(path, "read", source))?;
            let (found, odd) = extension::read(&mut stream, room, header.endianness, path)?;
            extensions = found;
            plan.warnings.extend(odd);
        }
        Ok(Self {
            header,
            extensions,
            plan,
        })
    }
}

/// The header alone, as it stands in the file; what is impossible in it is not looked at.
pub(super) fn header_of(path: &Path) -> Result<Header> {
    let names = Names::of(path);
    let start = Source::open(&names.header)?.start(fields::LONGEST)?;
    fields::parse(&start, &names.header)
}
