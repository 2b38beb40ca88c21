//! Cohorts as folders: written beside their place first, then renamed.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ctl_imaging::Raster;

use crate::PhantomError;

/// Writes a folder that does not exist yet or is empty, or nothing.
///
/// # Arguments
/// - `dir`: where it is to be.
/// - `subfolders`: made before anything is written.
/// - `write`: writes into the folder that it is given, which becomes `dir` where it succeeds and
///   is removed where it does not.
pub(crate) fn whole<E: From<PhantomError>>(
    dir: &Path,
    subfolders: &[&str],
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    refuse_what_is_there(dir)?;
    // Of `.` and `..` only the whole path has a name.
    let whole = dir.canonicalize();
    let dir = whole.as_deref().unwrap_or(dir);
    let partial = partial_name(dir);
    // What a killed process of the same number left.
    match fs::remove_dir_all(&partial) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(io(&partial, source).into());
        }
        _ => {}
    }
    let written = make(&partial, subfolders)
        .map_err(E::from)
        .and_then(|()| write(&partial))
        .and_then(|()| Ok(fs::rename(&partial, dir).map_err(|source| io(dir, source))?));
    if written.is_err() {
        // The first error is the one to report; what cannot be removed stays under its own name,
        // which no reader takes for a cohort.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

/// Writes texts by name into a folder.
pub(crate) fn write_texts(dir: &Path, texts: &[(&str, String)]) -> Result<(), PhantomError> {
    for (name, text) in texts {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|source| io(&path, source))?;
    }
    Ok(())
}

/// The exogenous noises of samples as CSV, each as the shortest text that reads back to the same
/// number.
///
/// # Arguments
/// - `names`: of the noises; our own, without commas or quotes, as the ids are.
/// - `samples`: id and noises.
pub(crate) fn noises<'a>(
    names: &[&str],
    samples: impl Iterator<Item = (&'a str, &'a [f64])>,
) -> String {
    let mut text = format!("id,{}\n", names.join(","));
    for (id, noises) in samples {
        text.push_str(id);
        for noise in noises {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{noise:?}");
        }
        text.push('\n');
    }
    text
}

/// Writes an image `[C, H, W]` with 8 bits a channel; one channel is grey, three are colours.
pub(crate) fn write_png(
    path: &Path,
    [channels, height, width]: [usize; 3],
    pixels: Vec<f32>,
) -> Result<(), PhantomError> {
    Raster::new(channels, height, width, pixels)
        .and_then(|raster| raster.write_png(path))
        .map_err(|source| PhantomError::Image {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

fn make(dir: &Path, subfolders: &[&str]) -> Result<(), PhantomError> {
    for folder in subfolders.iter().map(|name| dir.join(name)) {
        fs::create_dir_all(&folder).map_err(|source| io(&folder, source))?;
    }
    Ok(())
}

fn refuse_what_is_there(dir: &Path) -> Result<(), PhantomError> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(PhantomError::NotEmpty {
            path: dir.to_owned(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io(dir, source)),
    }
}

/// A sibling of the folder, hidden and this process's own.
fn partial_name(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.partial-{}", std::process::id()))
}

fn io(path: &Path, source: std::io::Error) -> PhantomError {
    PhantomError::Io {
        path: path.to_owned(),
        source,
    }
}
