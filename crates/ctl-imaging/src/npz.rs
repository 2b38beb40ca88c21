//! NPZ archives: NPY arrays by name.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::npy::{self, LastAxis, NpyArray, NpyContent};
use crate::volume::{Affine, Volume};
use crate::write::replace_file;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;
use zip::read::ZipFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Reads one array of an NPZ archive, stored or deflated.
///
/// # Arguments
/// * `path`: the archive.
/// * `name`: the array's name, without `.npy`.
///
/// # Returns
/// The array in C order.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read or a checksum does not fit;
/// [`ImagingError::Decode`] when it is no zip archive or uses another compression;
/// [`ImagingError::Content`] when it has no array of that name, and for what
/// [`read_npy`](npy::read_npy) refuses.
///
/// # Examples
/// ```no_run
/// use std::path::Path;
///
/// let images = ctl_imaging::npz::read_npz(Path::new("digits.npz"), "train_images")?;
/// assert_eq!(images.shape, [60_000, 28, 28]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn read_npz(path: &Path, name: &str) -> Result<NpyArray> {
    read_array(open(path)?, name, path)
}

/// Reads one array of an NPZ archive in memory; see [`read_npz`].
///
/// # Arguments
/// * `bytes`: the content of the archive.
/// * `name`: the array's name, without `.npy`.
/// * `origin`: where it came from, for errors.
///
/// # Returns
/// The array in C order.
///
/// # Errors
/// Those of [`read_npz`].
pub fn parse_npz(bytes: &[u8], name: &str, origin: &Path) -> Result<NpyArray> {
    read_array(archive(Cursor::new(bytes), origin)?, name, origin)
}

/// The names of the arrays in an NPZ archive, sorted.
///
/// # Arguments
/// * `path`: the archive.
///
/// # Returns
/// Names without `.npy`; members that are not arrays are left out.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read, [`ImagingError::Decode`] when it is no zip
/// archive.
pub fn npz_names(path: &Path) -> Result<Vec<String>> {
    Ok(names(&open(path)?))
}

/// Reads the shape of one array of an NPZ archive, without its elements.
///
/// # Arguments
/// * `path`: the archive.
/// * `name`: the array's name, without `.npy`.
///
/// # Returns
/// Length of each axis, slowest first.
///
/// # Errors
/// Those of [`read_npz`] that concern the header.
pub fn npz_shape(path: &Path, name: &str) -> Result<Vec<usize>> {
    let mut archive = open(path)?;
    let mut member = member(&mut archive, name, path)?;
    Ok(npy::read_layout(&mut member, path)?.shape)
}

/// Reads one array of an NPZ archive as an image with geometry.
///
/// # Arguments
/// * `path`, `name`: as for [`read_npz`].
/// * `last_axis`, `affine`: as for [`read_npy_volume`](npy::read_npy_volume).
///
/// # Errors
/// Those of [`read_npz`] and of [`read_npy_volume`](npy::read_npy_volume).
pub fn read_npz_volume(
    path: &Path,
    name: &str,
    last_axis: LastAxis,
    affine: Affine,
) -> Result<Volume> {
    let mut archive = open(path)?;
    let mut member = member(&mut archive, name, path)?;
    let volume = npy::read_volume_from(&mut member, path, last_axis, affine)?;
    bounded::expect_end(member, path)?;
    Ok(volume)
}

/// Writes an NPZ archive, replacing the file as a whole.
///
/// # Arguments
/// * `arrays`: names without `.npy`, each once, not empty and without `/` or `\`, with what
///   [`write_npy`](npy::write_npy) takes.
/// * `path`: the file.
/// * `compress`: whether to deflate, as `numpy.savez_compressed` does.
///
/// # Returns
/// Nothing; the same arrays give the same bytes, since no time is written.
///
/// # Errors
/// [`ImagingError::Argument`] when a name cannot be used, and for what
/// [`write_npy`](npy::write_npy) refuses; [`ImagingError::Io`] when the file cannot be written.
///
/// # Examples
/// ```
/// use ctl_imaging::npy::{NpyArray, NpyData};
/// use ctl_imaging::npz::{read_npz, write_npz};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pair.npz");
/// let labels = NpyArray { shape: vec![2], data: NpyData::U8(vec![3, 1]) };
/// write_npz(&[("labels", (&labels).into())], &path, true)?;
/// assert_eq!(read_npz(&path, "labels")?, labels);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npz(arrays: &[(&str, NpyContent<'_>)], path: &Path, compress: bool) -> Result<()> {
    for (index, (name, content)) in arrays.iter().enumerate() {
        let again = arrays[..index].iter().any(|(other, _)| other == name);
        if again || name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Err(ImagingError::argument(
                "name of an array",
                "a text given once, not empty, without / or \\",
                format!("{name:?}"),
            ));
        }
        content.check()?;
    }
    let method = if compress {
        CompressionMethod::Deflated
    } else {
        CompressionMethod::Stored
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .large_file(true);
    replace_file(path, |file| {
        let mut archive = ZipWriter::new(file);
        for (name, content) in arrays {
            archive
                .start_file(format!("{name}.npy"), options)
                .map_err(io::Error::other)?;
            content.write(&mut archive)?;
        }
        archive.finish().map_err(io::Error::other)?;
        Ok(())
    })
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let (file, _) = bounded::open_file(path)?;
    archive(BufReader::new(file), path)
}

fn archive<R: Read + Seek>(reader: R, path: &Path) -> Result<ZipArchive<R>> {
    ZipArchive::new(reader).map_err(|source| ImagingError::decode(path, "npz", source))
}

fn names<R: Read + Seek>(archive: &ZipArchive<R>) -> Vec<String> {
    let mut names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}

fn read_array<R: Read + Seek>(
    mut archive: ZipArchive<R>,
    name: &str,
    path: &Path,
) -> Result<NpyArray> {
    let mut member = member(&mut archive, name, path)?;
    let array = npy::read_from(&mut member, path)?;
    bounded::expect_end(member, path)?;
    Ok(array)
}

fn member<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    name: &str,
    path: &Path,
) -> Result<ZipFile<'a, R>> {
    let Some(index) = archive.index_for_name(&format!("{name}.npy")) else {
        let found = names(archive).join(", ");
        return Err(ImagingError::content(
            path,
            format!("an array `{name}`"),
            found,
        ));
    };
    archive
        .by_index(index)
        .map_err(|source| ImagingError::decode(path, "npz", source))
}
