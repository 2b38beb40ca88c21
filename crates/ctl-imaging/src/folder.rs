//! Writing a whole folder, so that a reader sees nothing or all of it.

use crate::error::ImagingError;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Writes a folder that does not exist yet or is empty, or nothing.
///
/// All is written into a hidden folder beside it first, which is renamed at the end. Where writing
/// fails it is removed; where the process is killed it stays under its own name, which no reader
/// takes for a cohort.
///
/// # Arguments
/// * `folder`: where it is to be; folders above it are made.
/// * `write`: writes into the folder that it is given, which is new and empty.
///
/// # Errors
/// [`ImagingError::NotEmpty`] when the folder holds something, [`ImagingError::Io`] when the file
/// system refuses, and what `write` says.
///
/// # Examples
/// ```
/// use ctl_imaging::{ImagingError, write_folder};
///
/// let parent = tempfile::tempdir()?;
/// let cohort = parent.path().join("cohort");
/// let manifest = |folder: &std::path::Path| {
///     std::fs::write(folder.join("manifest.csv"), "path\n").map_err(|_| ImagingError::NotEmpty {
///         path: folder.to_owned(),
///     })
/// };
/// write_folder(&cohort, manifest)?;
/// assert!(cohort.join("manifest.csv").exists());
/// assert!(write_folder(&cohort, manifest).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_folder<E: From<ImagingError>>(
    folder: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    refuse_what_is_there(folder)?;
    // Of `.` and `..` only the whole path has a name.
    let whole = folder.canonicalize();
    let folder = whole.as_deref().unwrap_or(folder);
    let partial = partial_name(folder);
    new_folder(&partial)?;
    let written = write(&partial).and_then(|()| {
        let renamed = fs::rename(&partial, folder);
        Ok(renamed.map_err(|source| ImagingError::io(folder, "create", source))?)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

/// All files in a folder and the folders in it, sorted. Links to folders are not followed, which
/// could lead in circles.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, ImagingError> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ImagingError> {
    let failed = |source| ImagingError::io(folder, "list", source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&entry.path(), files)?;
        } else if !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// An empty folder that was not there a moment ago.
fn new_folder(partial: &Path) -> Result<(), ImagingError> {
    let io = |action| move |source| ImagingError::io(partial, action, source);
    // What a killed process of the same number left.
    match fs::remove_dir_all(partial) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(io("remove")(source));
        }
        _ => {}
    }
    if let Some(above) = partial.parent() {
        fs::create_dir_all(above).map_err(io("create"))?;
    }
    fs::create_dir(partial).map_err(io("create"))
}

fn refuse_what_is_there(folder: &Path) -> Result<(), ImagingError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ImagingError::NotEmpty {
            path: folder.to_owned(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ImagingError::io(folder, "write", source)),
    }
}

/// A sibling of the folder, hidden and this process's own.
fn partial_name(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.partial-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_not_taken_over() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cohort");
        let left = partial_name(&folder);
        fs::create_dir(&left).unwrap();
        fs::write(left.join("old"), "old").unwrap();
        write_folder(&folder, |new| {
            assert_eq!(fs::read_dir(new).unwrap().count(), 0);
            fs::write(new.join("new"), "new").unwrap();
            Ok::<(), ImagingError>(())
        })
        .unwrap();
        assert!(folder.join("new").exists() && !folder.join("old").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_and_what_is_there_stays() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cohort");
        let failing = |new: &Path| {
            fs::write(new.join("half"), "half").unwrap();
            Err(ImagingError::argument("test", "nothing", "a failure"))
        };
        assert!(write_folder(&folder, failing).is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("mine"), "mine").unwrap();
        let error = write_folder(&folder, failing).unwrap_err();
        assert!(matches!(error, ImagingError::NotEmpty { .. }), "{error}");
        assert!(folder.join("mine").exists());
    }
}
