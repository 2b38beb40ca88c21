//! Writing files so that a reader sees the old one or the whole new one.

use crate::Result;
use crate::error::ImagingError;
use crate::raster::Raster;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Distinguishes the temporary files of threads that write into one folder.
static WRITES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn write_png(raster: &Raster, path: &Path) -> Result<()> {
    let bytes = encode_png(raster, path)?;
    replace_file(path, |file| file.write_all(&bytes))
}

pub(crate) fn encode_png(raster: &Raster, path: &Path) -> Result<Vec<u8>> {
    let colour = match raster.channels() {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        found => {
            let found = format!("{found} channels");
            return Err(ImagingError::argument(
                "raster to write as PNG",
                "1 or 3 channels",
                found,
            ));
        }
    };
    if raster.samples().iter().any(|sample| sample.is_nan()) {
        return Err(ImagingError::argument(
            "raster to write as PNG",
            "numbers",
            "NaN",
        ));
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(
            &interleaved(raster),
            raster.width() as u32,
            raster.height() as u32,
            colour,
        )
        .map_err(|source| ImagingError::encode(path, "png", source))?;
    Ok(bytes)
}

/// Bytes `[H, W, C]` of a raster `[C, H, W]`.
fn interleaved(raster: &Raster) -> Vec<u8> {
    let pixels = raster.height() * raster.width();
    let samples = raster.samples();
    (0..pixels)
        .flat_map(|pixel| samples[pixel..].iter().step_by(pixels))
        .map(|sample| (sample.clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect()
}

/// Writes a file so that under its name there is always the old content or the whole new one.
///
/// `write` fills a file of another name in the same folder, which is flushed to disk and renamed;
/// after a failure it is removed and what stood under `path` still stands there.
pub(crate) fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    replace_file_lasting(path, true, write)
}

/// Writes a file as [`replace_file`] does, and waits for the disk only if it is to be `durable`.
pub(crate) fn replace_file_lasting(
    path: &Path,
    durable: bool,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    Temporary::written(path, durable, write)?.replace()
}

/// Writes two files that belong together, as [`replace_file`] does each.
///
/// Neither takes its name before both are whole and, if `durable`, on disk. Only a failure between the two
/// renamings, the first file first, can leave the new one beside an old one.
pub(crate) fn replace_two(
    durable: bool,
    first: (&Path, impl FnOnce(&mut BufWriter<File>) -> io::Result<()>),
    second: (&Path, impl FnOnce(&mut BufWriter<File>) -> io::Result<()>),
) -> Result<()> {
    let one = Temporary::written(first.0, durable, first.1)?;
    let other = Temporary::written(second.0, durable, second.1)?;
    one.replace()?;
    other.replace()
}

/// A whole file under another name, removed unless it takes its own.
struct Temporary<'a> {
    hidden: PathBuf,
    path: &'a Path,
    durable: bool,
}

impl<'a> Temporary<'a> {
    fn written(
        path: &'a Path,
        durable: bool,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<Self> {
        if path.is_dir() {
            return Err(ImagingError::content(path, "a file to write", "a folder"));
        }
        let temporary = temporary_beside(path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|source| ImagingError::io(&temporary, "create", source))?;
        // From here on a failure removes it.
        let whole = Self {
            hidden: temporary,
            path,
            durable,
        };
        let failed = |source| ImagingError::io(path, "write", source);
        let mut buffered = BufWriter::new(file);
        write(&mut buffered).map_err(failed)?;
        // Dropping the buffer would lose the error of its last bytes.
        let file = buffered
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        if durable {
            file.sync_all()
                .map_err(|source| ImagingError::io(path, "flush", source))?;
        }
        Ok(whole)
    }

    fn replace(self) -> Result<()> {
        fs::rename(&self.hidden, self.path)
            .map_err(|source| ImagingError::io(self.path, "replace", source))?;
        if self.durable {
            sync_folder(self.path);
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // After the renaming there is none; and the write's own error is the one worth reporting,
        // so that a temporary file that cannot be removed either is left behind.
        let _ = fs::remove_file(&self.hidden);
    }
}

/// Makes the new name durable where folders can be synced; elsewhere the rename stands anyway.
fn sync_folder(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

fn temporary_beside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        ImagingError::argument("path to write", "a file name", path.display().to_string())
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let count = WRITES.fetch_add(1, Ordering::Relaxed);
    hidden.push(format!(".{}-{count}.tmp", std::process::id()));
    Ok(path.with_file_name(hidden))
}
