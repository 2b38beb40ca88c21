//! Volumes to `.mha` files.

use crate::Result;
use crate::error::ImagingError;
use crate::raw;
use crate::volume::{SampleType, Scaling, Volume};
use crate::write::replace_file;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use std::path::Path;

/// How a `MetaImage` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetaOptions {
    /// Whether data are compressed with zlib.
    pub compress: bool,
}

/// Writes a volume as one `.mha` file, replacing the file as a whole.
///
/// # Arguments
/// * `volume`: real, of any type but half precision, unscaled (see [`Volume::to_type`]). A volume
///   of two axes is written with a third of one voxel, which keeps its affine; the unit of a
///   fourth axis is lost, since the format has none.
/// * `path`: the file, by convention named `.mha`.
/// * `options`: whether to compress.
///
/// # Errors
/// [`ImagingError::Argument`] when the volume is complex, scaled or of half precision;
/// [`ImagingError::Io`] when the file cannot be written.
///
/// # Examples
/// ```
/// use ctl_imaging::metaimage::{MetaOptions, read_metaimage, write_metaimage};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pair.mha");
/// let affine = Affine::from_spacing([1.0, 1.0, 2.5], [5.0, 0.0, 0.0])?;
/// let volume = Volume::new(&[2, 1, 1], Samples::I16(vec![-1, 300]), affine)?;
/// write_metaimage(&volume, &path, MetaOptions { compress: true })?;
/// assert_eq!(read_metaimage(&path)?, volume);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_metaimage(volume: &Volume, path: &Path, options: MetaOptions) -> Result<()> {
    let kind = type_name(volume.sample_type());
    let kind = kind.filter(|_| volume.scaling() == Scaling::NONE);
    let kind = kind.ok_or_else(|| {
        ImagingError::argument(
            "volume to write as MetaImage",
            "unscaled real values of a type other than float16 (see `to_type`)",
            format!("{} scaled by {:?}", volume.sample_type(), volume.scaling()),
        )
    })?;
    let compressed = if options.compress {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        // Writing into memory cannot fail.
        let written = raw::write_samples(volume.samples(), &mut encoder);
        let bytes = written.and_then(|()| encoder.finish());
        Some(bytes.map_err(|source| ImagingError::io(path, "compress", source))?)
    } else {
        None
    };
    let size = compressed.as_ref().map(Vec::len);
    let header = header(volume, kind, size);
    replace_file(path, |file| {
        file.write_all(header.as_bytes())?;
        match &compressed {
            Some(bytes) => file.write_all(bytes),
            None => raw::write_samples(volume.samples(), file),
        }
    })
}

fn header(volume: &Volume, kind: &str, compressed_bytes: Option<usize>) -> String {
    let [width, height, depth] = volume.spatial_shape();
    let beyond = volume.shape().iter().skip(3).copied();
    let sizes: Vec<usize> = [width, height, depth].into_iter().chain(beyond).collect();
    let axes = sizes.len();
    let affine = volume.affine();
    let [x, y, z] = affine.origin();
    let mut offset = vec![0.0 - x, 0.0 - y, z + 0.0];
    offset.resize(axes, 0.0);
    let mut spacing = affine.spacing().to_vec();
    spacing.resize(axes, 1.0);
    if axes > 3 && volume.series().step > 0.0 {
        spacing[3] = volume.series().step;
    }
    let mut lines = vec![
        ("ObjectType", "Image".to_owned()),
        ("NDims", axes.to_string()),
        ("BinaryData", "True".to_owned()),
        ("BinaryDataByteOrderMSB", "False".to_owned()),
        ("CompressedData", word(compressed_bytes.is_some())),
    ];
    if let Some(bytes) = compressed_bytes {
        lines.push(("CompressedDataSize", bytes.to_string()));
    }
    lines.push(("TransformMatrix", words(&matrix(volume, axes))));
    lines.push(("Offset", words(&offset)));
    lines.push(("CenterOfRotation", words(&vec![0.0; axes])));
    lines.push(("ElementSpacing", words(&spacing)));
    lines.push(("DimSize", words(&sizes)));
    if volume.components() > 1 {
        lines.push(("ElementNumberOfChannels", volume.components().to_string()));
    }
    lines.push(("ElementType", kind.to_owned()));
    lines.push(("ElementDataFile", "LOCAL".to_owned()));
    let lines: Vec<String> = lines
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    lines.join("\n") + "\n"
}

/// Rows are the directions of voxel axes in LPS, and unit vectors beyond space.
fn matrix(volume: &Volume, axes: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; axes * axes];
    for (axis, [x, y, z]) in volume.affine().directions().into_iter().enumerate() {
        matrix[axis * axes..axis * axes + 3].copy_from_slice(&[0.0 - x, 0.0 - y, z + 0.0]);
    }
    for axis in 3..axes {
        matrix[axis * axes + axis] = 1.0;
    }
    matrix
}

fn word(truth: bool) -> String {
    if truth { "True" } else { "False" }.to_owned()
}

fn words<T: ToString>(values: &[T]) -> String {
    let words: Vec<String> = values.iter().map(ToString::to_string).collect();
    words.join(" ")
}

fn type_name(kind: SampleType) -> Option<&'static str> {
    Some(match kind {
        SampleType::UInt8 => "MET_UCHAR",
        SampleType::Int8 => "MET_CHAR",
        SampleType::UInt16 => "MET_USHORT",
        SampleType::Int16 => "MET_SHORT",
        SampleType::UInt32 => "MET_UINT",
        SampleType::Int32 => "MET_INT",
        SampleType::UInt64 => "MET_ULONG_LONG",
        SampleType::Int64 => "MET_LONG_LONG",
        SampleType::Float32 => "MET_FLOAT",
        SampleType::Float64 => "MET_DOUBLE",
        SampleType::Float16 | SampleType::Complex64 | SampleType::Complex128 => return None,
    })
}
