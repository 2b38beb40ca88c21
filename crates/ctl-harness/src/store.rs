//! Files that are either whole or absent.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{HarnessError, Result};

/// Beginning of the names of files that are being written.
pub(crate) const PARTIAL_PREFIX: &str = ".partial-";

/// Writes a file so that a reader, a full disk or a kill sees the old content or the new one.
///
/// Missing folders are made. The content goes to a temporary file in the same folder, is flushed to
/// the disk, and replaces the old file by renaming.
///
/// # Errors
/// When the folder cannot be made or the disk is full; nothing is left behind then.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let fault = |action: &'static str| {
        let path = path.to_path_buf();
        move |source| HarnessError::File {
            path,
            action,
            source,
        }
    };
    // The parent of a bare name is an empty path, which cannot be opened.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder).map_err(fault("make its folder"))?;
    let file = partial_file(folder).map_err(fault("write"))?;
    // The open file itself: errors of its wrapper name the temporary path.
    let mut inner = file.as_file();
    inner.write_all(content).map_err(fault("write"))?;
    inner.sync_all().map_err(fault("write"))?;
    file.persist(path).map_err(|e| fault("write")(e.error))?;
    flush_folder(folder).map_err(fault("write"))
}

/// A temporary file with the permissions that any new file of this user gets.
fn partial_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        // Before the umask, as `open` does it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The error's wrapper names the temporary path, which nobody asked for.
    let plain = |error: std::io::Error| match error.get_ref() {
        Some(_) => error.kind().into(),
        None => error,
    };
    builder.tempfile_in(folder).map_err(plain)
}

/// Makes a renaming last through a power cut; elsewhere than on Unix folders cannot be flushed.
fn flush_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Writes a value as JSON, see [`write_atomically`].
///
/// # Errors
/// As [`write_atomically`].
pub fn write_json_atomically<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| HarnessError::Stored {
        path: path.to_path_buf(),
        message: e.to_string(),
    })?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Reads a JSON file.
///
/// # Errors
/// When the file cannot be read or does not have the expected layout.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|source| HarnessError::File {
        path: path.to_path_buf(),
        action: "read",
        source,
    })?;
    let mut parser = serde_json::Deserializer::from_slice(&bytes);
    serde_path_to_error::deserialize(&mut parser).map_err(|error| HarnessError::Stored {
        path: path.to_path_buf(),
        message: match error.path().to_string().as_str() {
            // A file that ends too early, and its outermost value, have no path.
            "?" | "." => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        },
    })
}
