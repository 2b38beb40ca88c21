//! What the header of a file says of each of its frames.

use super::keys::Keys;
use crate::Result;
use crate::dicom::data::{DataSet, Source, Until};
use crate::dicom::pixels::{Layout, Store};
use crate::error::ImagingError;
use crate::volume::Scaling;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a frame lies, in the patient coordinates of DICOM (left, posterior, superior; mm).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Centre of the first pixel.
    pub(super) position: [f64; 3],
    /// Direction of rows and of columns, unit vectors.
    pub(super) along_row: [f64; 3],
    pub(super) along_column: [f64; 3],
    /// Distance of rows and of columns (the order of `PixelSpacing`).
    pub(super) spacing: [f64; 2],
}

/// A frame of a file.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub(super) file: usize,
    pub(super) frame: usize,
    pub(super) place: Place,
    /// Distance of slices, where a single one has to tell it.
    pub(super) depth: Option<f64>,
    pub(super) scaling: Scaling,
    pub(super) keys: Keys,
    pub(super) stack: String,
}

/// A file with its frames.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) path: PathBuf,
    pub(super) series: String,
    pub(super) study: String,
    pub(super) modality: String,
    pub(super) description: String,
    pub(super) layout: Layout,
    /// Where in the file the values of its only frame lie, if they need no more than to be read.
    pub(super) plain: Option<Range<u64>>,
    pub(super) padding: Option<(i64, i64)>,
    pub(super) windows: Vec<crate::dicom::Window>,
    pub(super) planes: Vec<Plane>,
}

/// Classes of objects that are no images of the patient, by the start of their UIDs.
const NO_IMAGES: [(&str, &str); 10] = [
    (
        "1.2.840.10008.5.1.4.1.1.66.4",
        "a segmentation (SEG), which is out of scope",
    ),
    ("1.2.840.10008.5.1.4.1.1.66", "raw data or a registration"),
    (
        "1.2.840.10008.5.1.4.1.1.481.3",
        "a set of structures (RTSTRUCT), which is out of scope",
    ),
    ("1.2.840.10008.5.1.4.1.1.481.5", "a radiotherapy plan"),
    ("1.2.840.10008.5.1.4.1.1.481.8", "a radiotherapy plan"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.104.", "an encapsulated document"),
    ("1.2.840.10008.1.3.10", "a directory (DICOMDIR)"),
];

impl Header {
    /// Reads a file's header; `file` is its number in the list of files.
    pub(super) fn read(path: &Path, file: usize) -> Result<Self> {
        let source = Source::read_header(path)?;
        let set = source.sound_data_set(Until::Pixels)?;
        refuse_other_objects(&set, path)?;
        let layout = Layout::of(&set, path)?;
        if set.has(tags::MODALITY_LUT_SEQUENCE) {
            return Err(ImagingError::content(
                path,
                "rescaling by slope and intercept",
                "a modality look-up table (ModalityLUTSequence), which is not read",
            ));
        }
        let text = |tag| set.word(tag).unwrap_or_default();
        let series = text(tags::SERIES_INSTANCE_UID);
        if series.is_empty() {
            return Err(ImagingError::content(path, "a SeriesInstanceUID", "none"));
        }
        let frames = Frames {
            set: &set,
            path,
            file,
        };
        Ok(Self {
            path: path.to_owned(),
            series,
            study: text(tags::STUDY_INSTANCE_UID),
            modality: text(tags::MODALITY),
            description: text(tags::SERIES_DESCRIPTION),
            padding: padding(&set),
            windows: crate::dicom::Window::of(&set, path)?,
            planes: frames.planes(layout.frames)?,
            plain: plain(&source, &set, &layout),
            layout,
        })
    }
}

/// Where the values of a file of one frame and one channel lie, if there are neither more nor less.
fn plain(source: &Source, set: &DataSet<'_>, layout: &Layout) -> Option<Range<u64>> {
    let is_plain = layout.frames == 1
        && layout.samples == 1
        && layout.store == Store::Integers
        && layout.bits_allocated >= 8;
    let place = source.plain_pixels(set)?;
    let bytes = layout.frame_values() as u64 * u64::from(layout.bits_allocated / 8);
    (is_plain && place.end - place.start == bytes + bytes % 2)
        .then_some(place.start..place.start + bytes)
}

fn refuse_other_objects(set: &DataSet<'_>, path: &Path) -> Result<()> {
    match other_object(set) {
        Some(what) => Err(ImagingError::content(path, "an image", what)),
        None if set.has(tags::ROWS) => Ok(()),
        None => Err(ImagingError::content(path, "an image", "no rows of pixels")),
    }
}

/// What an object is that is no image of the patient, where its class says so.
fn other_object(set: &DataSet<'_>) -> Option<&'static str> {
    let class = set.word(tags::SOP_CLASS_UID).unwrap_or_default();
    let mut known = NO_IMAGES.iter();
    let known = known.find(|(start, _)| class.starts_with(start));
    known.map(|&(_, what)| what)
}

/// What a well-formed file is that no volume is made of, with the series that it belongs to:
/// another object than an image, or an image that does not say where it lies (a photograph, a
/// radiograph). `None` for all else, which should have been read.
///
/// # Errors
/// When the file is malformed.
pub(crate) fn unplaced_kind(path: &Path) -> Result<Option<(&'static str, String)>> {
    let source = Source::read_header(path)?;
    let set = source.sound_data_set(Until::Pixels)?;
    let placed = [
        tags::IMAGE_POSITION_PATIENT,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    ];
    let kind = match other_object(&set) {
        Some(what) => what,
        None if !set.has(tags::ROWS) => "an object without pixels",
        None if !placed.iter().any(|&tag| set.has(tag)) => {
            "an image that does not say where it lies"
        }
        None => return Ok(None),
    };
    let series = set.word(tags::SERIES_INSTANCE_UID).unwrap_or_default();
    Ok(Some((kind, series)))
}

/// `PixelPaddingValue` and the limit of its range, which is the value itself where there is none.
///
/// Signed pixels' are often written as unsigned ones; they are brought to the range of the pixels.
fn padding(set: &DataSet<'_>) -> Option<(i64, i64)> {
    let stored = |tag| {
        let value = set.integer(tag)?;
        let wraps = set.is_signed() && (1 << 15..1 << 16).contains(&value);
        Some(if wraps { value - (1 << 16) } else { value })
    };
    let value = stored(tags::PIXEL_PADDING_VALUE)?;
    Some((
        value,
        stored(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value),
    ))
}

/// The frames of a file.
struct Frames<'a> {
    set: &'a DataSet<'a>,
    path: &'a Path,
    file: usize,
}

/// Where an attribute of a frame is looked for, first to last.
struct Scope<'a> {
    own: Option<&'a DataSet<'a>>,
    shared: Option<&'a DataSet<'a>>,
    top: &'a DataSet<'a>,
}

impl<'a> Scope<'a> {
    /// The item of a functional group, or the data set itself for attributes that stand there.
    fn find<T>(&self, group: Tag, get: impl Fn(&DataSet<'a>) -> Option<T>) -> Option<T> {
        let within = |set: Option<&DataSet<'a>>| set?.first_item(group).and_then(|item| get(&item));
        within(self.own)
            .or_else(|| within(self.shared))
            .or_else(|| get(self.top))
    }
}

impl Frames<'_> {
    fn planes(&self, count: usize) -> Result<Vec<Plane>> {
        let groups = |tag| {
            let items = self.set.items(tag);
            items.map_err(|fault| ImagingError::content(self.path, fault.expected, fault.found))
        };
        let shared = groups(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
        let own = groups(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?;
        if !own.is_empty() && own.len() != count {
            return Err(ImagingError::content(
                self.path,
                format!("functional groups of {count} frames"),
                own.len().to_string(),
            ));
        }
        if count > 1 && own.is_empty() && !self.set.has(tags::GRID_FRAME_OFFSET_VECTOR) {
            return Err(ImagingError::content(
                self.path,
                "functional groups that tell where each frame lies",
                format!("{count} frames without"),
            ));
        }
        // A header may declare more frames than anything in the file stands for.
        (0..count)
            .map(|frame| {
                let scope = Scope {
                    own: own.get(frame),
                    shared: shared.first(),
                    top: self.set,
                };
                self.plane(frame, &scope)
            })
            .collect()
    }

    fn plane(&self, frame: usize, scope: &Scope<'_>) -> Result<Plane> {
        let mut place = self.place(scope)?;
        if let Some(offset) = self.grid_offset(frame, &place)? {
            let normal = cross(place.along_row, place.along_column);
            for (value, part) in place.position.iter_mut().zip(normal) {
                *value += part * offset;
            }
        }
        let measures = tags::PIXEL_MEASURES_SEQUENCE;
        let number = |tag| {
            scope
                .find(measures, |set| set.number(tag))
                .filter(|&value| value.is_finite() && value > 0.0)
        };
        Ok(Plane {
            file: self.file,
            frame,
            place,
            depth: number(tags::SPACING_BETWEEN_SLICES).or_else(|| number(tags::SLICE_THICKNESS)),
            scaling: self.scaling(scope)?,
            keys: Keys::of(
                |group, tag| scope.find(group, |set| set.number(tag)),
                |group, tag| scope.find(group, |set| set.finite(tag)),
            ),
            stack: scope
                .find(tags::FRAME_CONTENT_SEQUENCE, |set| set.word(tags::STACK_ID))
                .unwrap_or_default(),
        })
    }

    fn missing(&self, name: &str) -> ImagingError {
        ImagingError::content(
            self.path,
            format!("{name} of finite numbers, to place it in the patient"),
            "none",
        )
    }

    fn place(&self, scope: &Scope<'_>) -> Result<Place> {
        let position = scope
            .find(tags::PLANE_POSITION_SEQUENCE, |set| {
                set.finite(tags::IMAGE_POSITION_PATIENT)
            })
            .ok_or_else(|| self.missing("ImagePositionPatient"))?;
        let [a, b, c, d, e, f] = scope
            .find(tags::PLANE_ORIENTATION_SEQUENCE, |set| {
                set.finite(tags::IMAGE_ORIENTATION_PATIENT)
            })
            .ok_or_else(|| self.missing("ImageOrientationPatient"))?;
        let spacing: [f64; 2] = scope
            .find(tags::PIXEL_MEASURES_SEQUENCE, |set| {
                set.finite(tags::PIXEL_SPACING)
            })
            .ok_or_else(|| self.missing("PixelSpacing"))?;
        if spacing.iter().any(|&value| value <= 0.0) {
            let found = format!("{spacing:?}");
            return Err(ImagingError::content(
                self.path,
                "PixelSpacing above 0",
                found,
            ));
        }
        let (row, column) = (unit([a, b, c]), unit([d, e, f]));
        match (row, column) {
            (Some(along_row), Some(along_column))
                if dot(along_row, along_column).abs() < ORTHOGONAL =>
            {
                Ok(Place {
                    position,
                    along_row,
                    along_column,
                    spacing,
                })
            }
            _ => Err(ImagingError::content(
                self.path,
                "ImageOrientationPatient of two perpendicular unit vectors",
                format!("{:?}", [a, b, c, d, e, f]),
            )),
        }
    }

    /// How far along the normal a frame of a dose grid lies from the first (PS3.3 section C.8.8.3.2).
    fn grid_offset(&self, frame: usize, place: &Place) -> Result<Option<f64>> {
        let tag = tags::GRID_FRAME_OFFSET_VECTOR;
        if !self.set.has(tag) || self.set.has(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
            return Ok(None);
        }
        let offsets = self.set.numbers(tag).unwrap_or_default();
        let offset = offsets
            .get(frame)
            .copied()
            .filter(|value| value.is_finite());
        let first = offsets.first().copied().unwrap_or_default();
        let offset = offset.ok_or_else(|| {
            let expected = format!("a finite GridFrameOffsetVector of frame {frame}");
            ImagingError::content(self.path, expected, format!("{} values", offsets.len()))
        })?;
        // A first offset other than 0 makes them patient coordinates, of axial grids alone.
        if first != 0.0 && place.along_row[2].abs() + place.along_column[2].abs() > ORTHOGONAL {
            return Err(ImagingError::content(
                self.path,
                "a GridFrameOffsetVector that starts with 0",
                first.to_string(),
            ));
        }
        Ok(Some(offset - first))
    }

    fn scaling(&self, scope: &Scope<'_>) -> Result<Scaling> {
        let group = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
        let number = |tag| scope.find(group, |set| set.has(tag).then(|| set.number(tag)));
        let slope = match number(tags::RESCALE_SLOPE) {
            None => number(tags::DOSE_GRID_SCALING).unwrap_or(Some(1.0)),
            present => present.flatten(),
        };
        let intercept = number(tags::RESCALE_INTERCEPT).unwrap_or(Some(0.0));
        match (slope, intercept) {
            (Some(slope), Some(intercept))
                if slope != 0.0 && slope.is_finite() && intercept.is_finite() =>
            {
                Ok(Scaling { slope, intercept })
            }
            (slope, intercept) => Err(ImagingError::content(
                self.path,
                "a finite RescaleSlope that is not 0 and a finite RescaleIntercept",
                format!("{slope:?}, {intercept:?}"),
            )),
        }
    }
}

/// Cosine of the angle between rows and columns up to which they are taken for perpendicular.
const ORTHOGONAL: f64 = 1e-3;

fn unit(vector: [f64; 3]) -> Option<[f64; 3]> {
    let length = dot(vector, vector).sqrt();
    ((length - 1.0).abs() < 1e-2).then(|| vector.map(|part| part / length))
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
