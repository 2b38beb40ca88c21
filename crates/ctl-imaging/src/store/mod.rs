//! Images of a cohort, decoded when they are first asked for.

mod volumes;

use crate::Result;
use crate::address::ImageAddress;
use crate::cohort::{Cohort, MaskRule, Record};
use crate::error::ImagingError;
use crate::mask::{self, MaskRole};
use crate::problem::{Problem, ProblemKind};
use crate::raster::{Colour, Raster};
use crate::resize::Filter;
use crate::source::Source;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use volumes::Volumes;

/// Whether an image is a single pixel, which shows nothing and is what a failed export leaves.
pub(crate) fn is_a_point([height, width]: [usize; 2]) -> bool {
    height * width == 1
}

/// What an image must be that is none.
pub(crate) const MORE_THAN_A_POINT: &str = "an image of more than one pixel";

/// What a cached raster takes besides its samples.
const OVERHEAD_BYTES: usize = 64;

/// The size and colours in which images are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageRequest {
    /// Rows, at least 1.
    pub height: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Channels.
    pub colour: Colour,
}

impl ImageRequest {
    /// One channel of `height` × `width` pixels.
    pub fn grey(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            colour: Colour::Grey,
        }
    }

    /// Three channels of `height` × `width` pixels.
    pub fn rgb(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            colour: Colour::Rgb,
        }
    }
}

/// The images and masks of a cohort at one size, decoded in parallel on demand.
///
/// What is decoded stays in memory until `cache_limit_bytes` are full; what comes later is decoded
/// again each time. Array files (NPY, NPZ, IDX) are held uncompressed up to the same limit once
/// more, always at least the one in use. While decoding, each thread holds one image besides.
/// Results do not depend on the number of threads, nor on what is cached.
///
/// Where the cohort's rows name volumes, its images are slices: floats as the steps of `[volumes]`
/// leave them. When a volume is decoded, all its slices are kept as far as there is room; decoded
/// volumes are held up to the same limit once more.
#[derive(Debug)]
pub struct ImageStore {
    cohort: Arc<Cohort>,
    request: ImageRequest,
    source: Source,
    free_bytes: AtomicUsize,
    images: Vec<Slot>,
    /// What the files were, of those that have been decoded.
    seen: Vec<OnceLock<Seen>>,
    masks: [Vec<Slot>; 3],
    /// Where images are slices of volumes.
    volumes: Option<Volumes>,
}

/// An image before it was resized.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Rows and columns.
    size: [usize; 2],
    /// Height and width of a pixel in millimetres, where its file says so.
    pixel_mm: Option<[f64; 2]>,
}

type Slot = OnceLock<Arc<Raster>>;

impl ImageStore {
    /// A store that has read nothing yet.
    ///
    /// # Arguments
    /// * `cohort`: whose images.
    /// * `request`: size and colours of every image; masks take the size.
    /// * `cache_limit_bytes`: the most that decoded images and masks may hold together; 0 caches
    ///   nothing.
    ///
    /// # Returns
    /// The store. An impossible size is reported by the first [`load`](Self::load).
    pub fn new(cohort: Arc<Cohort>, request: ImageRequest, cache_limit_bytes: usize) -> Self {
        let slots = || {
            std::iter::repeat_with(Slot::new)
                .take(cohort.len())
                .collect()
        };
        Self {
            request,
            source: Source::new(cohort.root(), cache_limit_bytes),
            free_bytes: AtomicUsize::new(cache_limit_bytes),
            images: slots(),
            seen: std::iter::repeat_with(OnceLock::new)
                .take(cohort.len())
                .collect(),
            masks: [slots(), slots(), slots()],
            volumes: Volumes::of(&cohort, cache_limit_bytes),
            cohort,
        }
    }

    /// The cohort whose images these are.
    pub fn cohort(&self) -> &Arc<Cohort> {
        &self.cohort
    }

    /// Size and colours of the images.
    pub fn request(&self) -> ImageRequest {
        self.request
    }

    /// Loads images, in parallel.
    ///
    /// # Arguments
    /// * `indices`: positions in [`Cohort::records`], in any order, also repeatedly.
    ///
    /// # Returns
    /// The images `[C, height, width]` in the order of `indices`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an index is not below the number of records, when the
    /// requested size is 0, or when an array's channels cannot be converted; otherwise
    /// [`ImagingError::Image`] with the manifest's row and, as its source, what reading the image
    /// reports ([`ImagingError::Content`] when it is a single pixel, or when 32- or 64-bit integers
    /// are to be an image: their maximum says nothing about their range). Of several failures the
    /// first in the order of `indices` is returned.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Cohort, ImageRequest, ImageStore, Raster};
    /// use std::sync::Arc;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// Raster::new(1, 2, 2, vec![1.0; 4])?.write_png(&folder.path().join("a.png"))?;
    /// std::fs::write(folder.path().join("manifest.csv"), "path\na.png\n")?;
    /// let cohort = Arc::new(Cohort::open(folder.path())?);
    /// let store = ImageStore::new(cohort, ImageRequest::rgb(2, 2), 1 << 20);
    /// assert_eq!(store.load(&[0])?[0].shape(), [3, 2, 2]);
    /// assert!(store.load(&[1]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(&self, indices: &[usize]) -> Result<Vec<Arc<Raster>>> {
        if self.volumes.is_some() {
            return self.slice_images(indices);
        }
        in_order(indices, |index| {
            let record = self.record(index)?;
            let image = self.cached(&self.images[index], || self.read_image(index, record));
            image.map_err(|error| self.at_row(record, error))
        })
    }

    /// Rows and columns of an image before it was resized.
    ///
    /// # Arguments
    /// * `index`: a position in [`Cohort::records`]; the image is decoded if it was not before.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Cohort, ImageRequest, ImageStore, Raster};
    /// use std::sync::Arc;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// Raster::new(1, 4, 6, vec![1.0; 24])?.write_png(&folder.path().join("a.png"))?;
    /// std::fs::write(folder.path().join("manifest.csv"), "path\na.png\n")?;
    /// let cohort = Arc::new(Cohort::open(folder.path())?);
    /// let store = ImageStore::new(cohort, ImageRequest::grey(2, 2), 1 << 20);
    /// assert_eq!(store.source_size(0)?, [4, 6]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn source_size(&self, index: usize) -> Result<[usize; 2]> {
        Ok(self.seen(index)?.size)
    }

    /// Height and width of a pixel of an image in millimetres, before it was resized: of a slice as
    /// its volume says, of a picture as `pixel_mm` in `cohort.toml` does.
    ///
    /// # Arguments
    /// * `index`: a position in [`Cohort::records`]; the image is decoded if it was not before.
    ///
    /// # Returns
    /// `None` where nobody says.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn source_pixel_mm(&self, index: usize) -> Result<Option<[f64; 2]>> {
        if self.volumes.is_none() {
            self.record(index)?;
            return Ok(self.cohort.pixel_mm().map(|side| [side; 2]));
        }
        Ok(self.seen(index)?.pixel_mm)
    }

    fn seen(&self, index: usize) -> Result<Seen> {
        let record = self.record(index)?;
        if let Some(seen) = self.seen[index].get() {
            return Ok(*seen);
        }
        let seen = if self.volumes.is_some() {
            self.slice_seen(index)
        } else {
            self.decoded(index, record).map(|raster| Seen {
                size: [raster.height(), raster.width()],
                pixel_mm: None,
            })
        };
        seen.map_err(|error| self.at_row(record, error))
    }

    /// Loads the masks that models are trained on, in parallel; see [`load`](Self::load).
    ///
    /// # Arguments
    /// * `indices`: positions in [`Cohort::records`].
    ///
    /// # Returns
    /// Rasters `[1, height, width]` whose samples are class indices (0.0, 1.0, …), resized to the
    /// nearest pixel.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and [`ImagingError::Cohort`] naming row and column when a
    /// record has no mask, or when a pixel is outside the classes.
    pub fn load_masks(&self, indices: &[usize]) -> Result<Vec<Arc<Raster>>> {
        let masks = self.load_masks_of(MaskRole::Annotation, indices)?;
        let required = |(mask, &index): (Option<Arc<Raster>>, &usize)| {
            mask.ok_or_else(|| self.no_mask(index).into())
        };
        masks.into_iter().zip(indices).map(required).collect()
    }

    /// Loads masks of a role, in parallel; see [`load_masks`](Self::load_masks).
    ///
    /// # Arguments
    /// * `role`: whose annotation, or the region to evaluate within.
    /// * `indices`: positions in [`Cohort::records`].
    ///
    /// # Returns
    /// The masks, `None` for records without one.
    ///
    /// # Errors
    /// Those of [`load_masks`](Self::load_masks) but for the missing mask.
    pub fn load_masks_of(
        &self,
        role: MaskRole,
        indices: &[usize],
    ) -> Result<Vec<Option<Arc<Raster>>>> {
        if self.volumes.is_some() {
            return self.slice_masks(role, indices);
        }
        in_order(indices, |index| {
            let record = self.record(index)?;
            let Some(address) = record.mask_address(role)? else {
                return Ok(None);
            };
            let slot = &self.masks[role as usize][index];
            self.cached(slot, || self.read_mask(record, role, &address))
                .map(Some)
        })
    }

    fn record(&self, index: usize) -> Result<&Record> {
        self.cohort.records().get(index).ok_or_else(|| {
            let expected = format!("a position below {}", self.cohort.len());
            ImagingError::argument("image index", expected, index.to_string())
        })
    }

    /// The picture of a record as it lies in its file.
    fn decoded(&self, index: usize, record: &Record) -> Result<Raster> {
        let address = record.address()?;
        let decoded = self.source.picture(&address)?;
        decoded.check_is_picture(&address.file_in(self.cohort.root()))?;
        let raster = decoded.raster;
        if is_a_point([raster.height(), raster.width()]) {
            let path = address.file_in(self.cohort.root());
            return Err(ImagingError::content(&path, MORE_THAN_A_POINT, "1x1"));
        }
        self.seen[index].get_or_init(|| Seen {
            size: [raster.height(), raster.width()],
            pixel_mm: None,
        });
        Ok(raster)
    }

    fn read_image(&self, index: usize, record: &Record) -> Result<Raster> {
        let ImageRequest {
            height,
            width,
            colour,
        } = self.request;
        let raster = self.decoded(index, record)?;
        let raster = if raster.has(colour) {
            raster
        } else {
            raster.to_colour(colour)?
        };
        resized(raster, height, width, Filter::AreaOrBilinear)
    }

    /// The error of a file with the row that names it; a caller's mistake has none.
    fn at_row(&self, record: &Record, error: ImagingError) -> ImagingError {
        match error {
            ImagingError::Argument { .. } | ImagingError::Image { .. } => error,
            _ => ImagingError::Image {
                manifest: self.cohort.manifest_path(),
                row: record.row,
                source: Box::new(error),
            },
        }
    }

    fn read_mask(&self, record: &Record, role: MaskRole, address: &ImageAddress) -> Result<Raster> {
        let rule = self.rule(role);
        let classes = mask::classify(&self.source.mask(address)?, rule).map_err(|fault| {
            let found = format!("{} in {address}", fault.found);
            self.problem(
                record,
                role,
                ProblemKind::MaskOutsideClasses,
                fault.expected,
                found,
            )
        })?;
        resized(
            classes,
            self.request.height,
            self.request.width,
            Filter::Nearest,
        )
    }

    fn rule(&self, role: MaskRole) -> &MaskRule {
        role.rule(self.cohort.mask())
    }

    fn no_mask(&self, index: usize) -> Problem {
        let record = &self.cohort.records()[index];
        let (expected, found) = ("the path of a mask".to_owned(), "none".to_owned());
        self.problem(
            record,
            MaskRole::Annotation,
            ProblemKind::BadValue,
            expected,
            found,
        )
    }

    fn problem(
        &self,
        record: &Record,
        role: MaskRole,
        kind: ProblemKind,
        expected: String,
        found: String,
    ) -> Problem {
        let file = self.cohort.manifest_path();
        let problem = Problem::new(&file, kind, expected, found).at_row(record.row);
        match self.cohort.mask().and_then(|mask| mask.column_of(role)) {
            Some(column) => problem.in_column(column),
            None => problem,
        }
    }

    /// What the slot holds, or what `read` gives, kept in the slot while there is room.
    fn cached(&self, slot: &Slot, read: impl Fn() -> Result<Raster>) -> Result<Arc<Raster>> {
        if let Some(raster) = slot.get() {
            return Ok(Arc::clone(raster));
        }
        let raster = Arc::new(read()?);
        let bytes = size_of_val(raster.samples()) + OVERHEAD_BYTES;
        let reserved = self
            .free_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            });
        // Another thread may have filled the slot meanwhile, with the same pixels.
        if reserved.is_ok() && slot.set(Arc::clone(&raster)).is_err() {
            self.free_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(raster)
    }
}

/// The raster at that size, without a copy where it has it already.
fn resized(raster: Raster, height: usize, width: usize, filter: Filter) -> Result<Raster> {
    if (raster.height(), raster.width()) == (height, width) {
        return Ok(raster);
    }
    raster.resized(height, width, filter)
}

/// Applies `load` in parallel; of several failures the first in order is the result.
fn in_order<T: Send>(
    indices: &[usize],
    load: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let loaded: Vec<Result<T>> = indices.par_iter().map(|&index| load(index)).collect();
    loaded.into_iter().collect()
}
