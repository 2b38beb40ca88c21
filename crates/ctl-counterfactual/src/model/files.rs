//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::{CounterfactualError, Result};

pub(crate) fn file_error(
    path: &Path,
    action: &'static str,
) -> impl FnOnce(std::io::Error) -> CounterfactualError {
    let path = path.to_path_buf();
    move |source| CounterfactualError::File {
        path,
        action,
        source,
    }
}

/// Writes beside the place, syncs and renames.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(file_error(path, "write the file"))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(file_error(path, "read the file"))
}

pub(crate) fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|source| CounterfactualError::Description {
            path: path.to_path_buf(),
            source,
        })?;
    write_atomically(path, (text + "\n").as_bytes())
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|source| CounterfactualError::Description {
        path: path.to_path_buf(),
        source,
    })
}
