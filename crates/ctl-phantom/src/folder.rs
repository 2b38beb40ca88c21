//! Cohorts as folders: written beside their place first, then renamed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ctl_imaging::{ImagingError, Raster, write_folder};

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
    let written = write_folder(dir, |partial| {
        let made = make(partial, subfolders).map_err(E::from);
        made.and_then(|()| write(partial)).map_err(Written)
    });
    written.map_err(|Written(error)| error)
}

/// Either kind of failure of writing a folder.
struct Written<E>(E);

impl<E: From<PhantomError>> From<ImagingError> for Written<E> {
    fn from(error: ImagingError) -> Self {
        Self(PhantomError::from(error).into())
    }
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

fn io(path: &Path, source: std::io::Error) -> PhantomError {
    PhantomError::Io {
        path: path.to_owned(),
        source,
    }
}
