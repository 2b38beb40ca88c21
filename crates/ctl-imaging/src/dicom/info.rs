//! What a file is, for people and for comparisons with other readers.

use super::data::{DataSet, Source, TransferSyntax, Until};
use super::pixels::{self, StoredBits};
use crate::Result;
use crate::bounded::read_file;
use crate::error::{ImagingError, chain};
use crate::hash::hexadecimal;
use crate::volume::{Samples, for_any_type};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The attributes that are told, by their keywords.
const TOLD: [(&str, Tag); 27] = [
    ("SOPClassUID", tags::SOP_CLASS_UID),
    ("Modality", tags::MODALITY),
    ("PatientID", tags::PATIENT_ID),
    ("PatientSex", tags::PATIENT_SEX),
    ("PatientAge", tags::PATIENT_AGE),
    ("StudyDate", tags::STUDY_DATE),
    ("Manufacturer", tags::MANUFACTURER),
    ("Rows", tags::ROWS),
    ("Columns", tags::COLUMNS),
    ("NumberOfFrames", tags::NUMBER_OF_FRAMES),
    ("SamplesPerPixel", tags::SAMPLES_PER_PIXEL),
    (
        "PhotometricInterpretation",
        tags::PHOTOMETRIC_INTERPRETATION,
    ),
    ("PlanarConfiguration", tags::PLANAR_CONFIGURATION),
    ("BitsAllocated", tags::BITS_ALLOCATED),
    ("BitsStored", tags::BITS_STORED),
    ("HighBit", tags::HIGH_BIT),
    ("PixelRepresentation", tags::PIXEL_REPRESENTATION),
    ("RescaleSlope", tags::RESCALE_SLOPE),
    ("RescaleIntercept", tags::RESCALE_INTERCEPT),
    ("WindowCenter", tags::WINDOW_CENTER),
    ("WindowWidth", tags::WINDOW_WIDTH),
    ("PixelSpacing", tags::PIXEL_SPACING),
    ("SliceThickness", tags::SLICE_THICKNESS),
    ("ImagePositionPatient", tags::IMAGE_POSITION_PATIENT),
    ("ImageOrientationPatient", tags::IMAGE_ORIENTATION_PATIENT),
    ("EchoTime", tags::ECHO_TIME),
    ("RepetitionTime", tags::REPETITION_TIME),
];

const MAGNETIC_FIELD: (&str, Tag) = ("MagneticFieldStrength", tags::MAGNETIC_FIELD_STRENGTH);

/// A file's transfer syntax, main attributes and pixels in numbers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DicomInfo {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256_file: String,
    /// Whether it starts with 128 bytes and `DICM`.
    pub has_preamble: bool,
    /// UID of the transfer syntax; `None` where the meta information does not say.
    pub transfer_syntax: Option<String>,
    /// Its name, if it is known.
    pub transfer_syntax_name: Option<String>,
    /// Attributes that are present, by their keywords.
    #[serde(flatten)]
    pub attributes: BTreeMap<&'static str, TagValue>,
    /// Number of elements of the data set, without those of its sequences.
    pub n_elements: usize,
    /// The pixels, if there are any that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel: Option<PixelInfo>,
    /// Why there are pixels that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_error: Option<String>,
    /// Whether pixels depend on the decoder's rounding.
    pub lossy: bool,
    /// What is wrong with the data set though some of it could be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum TagValue {
    /// A binary integer or an integer string.
    Integer(i64),
    /// Text, and a single decimal string as it is written; an empty one is `None`.
    Text(String),
    /// Several numbers.
    Numbers(Vec<Number>),
    /// Several texts.
    Texts(Vec<String>),
}

/// A number; those that JSON does not know are written as `"nan"`, `"inf"` and `"-inf"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i128),
    /// Another one.
    Real(f64),
}

impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match *self {
            Self::Integer(value) => match i64::try_from(value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_i128(value),
            },
            Self::Real(value) if value.is_nan() => serializer.serialize_str("nan"),
            Self::Real(f64::INFINITY) => serializer.serialize_str("inf"),
            Self::Real(f64::NEG_INFINITY) => serializer.serialize_str("-inf"),
            Self::Real(value) => serializer.serialize_f64(value),
        }
    }
}

/// Pixels in numbers, before any look-up table or rescaling; Y, Cb and Cr are colours already.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PixelInfo {
    /// `[frames, rows, columns, channels]` without axes of one frame and one channel.
    pub shape: Vec<usize>,
    /// The type as `NumPy` names it, in the file's byte order.
    pub dtype: String,
    /// Smallest value.
    pub min: Number,
    /// Largest value.
    pub max: Number,
    /// Sum of all values.
    pub sum: Number,
    /// SHA-256 of the values as little-endian bytes, the last axis fastest.
    pub sha256_c_le: String,
}

/// Describes a file.
///
/// As much is told of a broken data set as can be read, with a warning: this is the function to
/// look at broken files with. Pixels are those of pydicom's `pixel_array` (`BitsStored` lowest
/// bits, whatever `HighBit` says).
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read; [`ImagingError::Content`] when not even one
/// element is found.
///
/// # Examples
/// ```no_run
/// let info = ctl_imaging::dicom::info("slice.dcm".as_ref())?;
/// println!("{:?} {:?}", info.transfer_syntax_name, info.attributes.get("Modality"));
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn info(path: &Path) -> Result<DicomInfo> {
    info_of_bytes(read_file(path)?, path)
}

/// Describes a file that has been read already; see [`info`].
///
/// # Arguments
/// * `file`: its bytes.
/// * `path`: how it is called.
///
/// # Errors
/// [`ImagingError::Content`] as for [`info`].
pub fn info_of_bytes(file: Vec<u8>, path: &Path) -> Result<DicomInfo> {
    let bytes = file.len() as u64;
    let sha256_file = hexadecimal(&Sha256::digest(&file));
    let source = Source::of_bytes(file, path)?;
    let set = source.data_set(Until::End);
    if set.elements().is_empty() {
        let found = set.fault().map_or("none", |fault| &fault.found);
        return Err(ImagingError::content(path, "a DICOM data set", found));
    }
    let mut told = DicomInfo {
        path: path.to_owned(),
        bytes,
        sha256_file,
        has_preamble: source.has_preamble(),
        transfer_syntax: source.syntax().map(|syntax| syntax.uid.clone()),
        transfer_syntax_name: source
            .syntax()
            .and_then(|syntax| syntax.name)
            .map(str::to_owned),
        attributes: TOLD
            .into_iter()
            .chain([MAGNETIC_FIELD])
            .filter_map(|(name, tag)| Some((name, value(&set, tag)?)))
            .collect(),
        n_elements: set.distinct(),
        pixel: None,
        pixel_error: None,
        lossy: source.syntax().is_some_and(TransferSyntax::is_lossy),
        warnings: warnings(&source, &set),
    };
    if set
        .elements()
        .iter()
        .any(|element| super::data::is_pixels(element.tag))
    {
        match pixels::decode(&source, &set, StoredBits::Lowest) {
            Ok(pixels) => told.pixel = Some(describe(&pixels, source.encoding().big_endian)),
            Err(error) => told.pixel_error = Some(chain(&error)),
        }
    }
    Ok(told)
}

/// What is wrong with a file though some of it could be read.
fn warnings(source: &Source, set: &DataSet<'_>) -> Vec<String> {
    let first = set.elements().first().map(|element| element.tag.group());
    let is_marked = source.has_preamble() || source.syntax().is_some() || first == Some(0x0008);
    let unmarked = (!is_marked).then(|| {
        "neither preamble nor meta information nor a first element of group 0008: what there is \
         was taken for a data set"
            .to_owned()
    });
    let fault = set.fault().map(|fault| source.fault(fault).to_string());
    unmarked.into_iter().chain(fault).collect()
}

/// The value of an attribute, `None` where it is absent.
fn value(set: &DataSet<'_>, tag: Tag) -> Option<TagValue> {
    let element = set.get(tag)?;
    let vr = set.vr(element);
    if let Some(VR::DS | VR::IS) = vr {
        return Some(decimal(set, tag, vr == Some(VR::IS)));
    }
    if let Some(text) = set.text(tag) {
        let parts: Vec<String> = text
            .split('\\')
            .map(|part| part.trim_end_matches([' ', '\0']).to_owned())
            .collect();
        return Some(match parts.len() {
            1 => TagValue::Text(text),
            _ => TagValue::Texts(parts),
        });
    }
    let integers = set.integers(tag)?;
    Some(match integers[..] {
        [] => TagValue::Text("None".to_owned()),
        [single] => TagValue::Integer(single),
        _ => TagValue::Numbers(
            integers
                .iter()
                .map(|&value| Number::Integer(value.into()))
                .collect(),
        ),
    })
}

fn decimal(set: &DataSet<'_>, tag: Tag, integer: bool) -> TagValue {
    let words = set.words(tag);
    match (&words[..], set.numbers(tag), set.integer(tag)) {
        ([], ..) => TagValue::Text("None".to_owned()),
        ([_], _, Some(value)) if integer => TagValue::Integer(value),
        ([_, _, ..], Some(numbers), _) => {
            TagValue::Numbers(numbers.into_iter().map(Number::Real).collect())
        }
        ([single], ..) => TagValue::Text(single.clone()),
        _ => TagValue::Texts(words),
    }
}

fn describe(pixels: &pixels::Pixels, big_endian: bool) -> PixelInfo {
    let kind = pixels.samples.sample_type();
    let dtype = if big_endian && kind.bytes() > 1 {
        let letter = match kind.name().chars().next() {
            Some('u') => 'u',
            Some('f') => 'f',
            _ => 'i',
        };
        format!(">{letter}{}", kind.bytes())
    } else {
        kind.name().to_owned()
    };
    let (min, max, sum) = extremes(&pixels.samples);
    PixelInfo {
        shape: pixels.shape(),
        dtype,
        min,
        max,
        sum,
        sha256_c_le: hexadecimal(&Sha256::digest(little_endian(&pixels.samples))),
    }
}

fn extremes(samples: &Samples) -> (Number, Number, Number) {
    macro_rules! integers {
        ($values:expr) => {{
            let wide = || $values.iter().map(|&value| i128::from(value));
            (
                Number::Integer(wide().min().unwrap_or_default()),
                Number::Integer(wide().max().unwrap_or_default()),
                Number::Integer(wide().sum()),
            )
        }};
    }
    match samples {
        Samples::U8(values) => integers!(values),
        Samples::I8(values) => integers!(values),
        Samples::U16(values) => integers!(values),
        Samples::I16(values) => integers!(values),
        Samples::U32(values) => integers!(values),
        Samples::I32(values) => integers!(values),
        Samples::U64(values) => integers!(values),
        Samples::I64(values) => integers!(values),
        other => {
            use crate::volume::Value;
            let values: Vec<f64> = for_any_type!(other, values => values.iter().map(|&value| Value::to_f64(value)).collect());
            // As NumPy does, one number that is none makes all of them none.
            let fold = |choose: fn(f64, f64) -> f64| {
                let chosen = values.iter().copied().reduce(choose);
                let poisoned = values.iter().any(|value| value.is_nan());
                Number::Real(if poisoned {
                    f64::NAN
                } else {
                    chosen.unwrap_or_default()
                })
            };
            let sum = Number::Real(values.iter().sum());
            (fold(f64::min), fold(f64::max), sum)
        }
    }
}

/// All values as little-endian bytes.
fn little_endian(samples: &Samples) -> Vec<u8> {
    macro_rules! bytes {
        ($($variant:ident),+) => {
            match samples {
                $(Samples::$variant(values) => {
                    values.iter().flat_map(|value| value.to_le_bytes()).collect()
                })+
                Samples::Complex64(_) | Samples::Complex128(_) => Vec::new(),
            }
        };
    }
    bytes!(U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64)
}
