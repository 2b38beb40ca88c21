//! What imports have in common: walking, copying and linking files.

use crate::Result;
use crate::error::ImagingError;
use crate::metaimage;
use crate::nrrd;
use crate::volume::{VolumeFormat, VolumeHeader, read_volume_header};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders below which nothing is looked for: deeper ones are links that go in a circle.
const MAX_DEPTH: usize = 32;

/// All files below a folder with their paths relative to it, sorted; what is hidden is left out.
pub(super) fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(root, &PathBuf::new(), &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    if below.components().count() > MAX_DEPTH {
        let expected = format!("at most {MAX_DEPTH} folders in one another");
        return Err(ImagingError::content(&folder, expected, "more"));
    }
    let io = |source| ImagingError::io(&folder, "list", source);
    for entry in fs::read_dir(&folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let path = below.join(&name);
        if root.join(&path).is_dir() {
            walk(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A path as a manifest writes it, or an error for one that is no text.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| ImagingError::content(path, "a file name in UTF-8", "bytes that are not"))
}

/// Copies a file to a place that nothing else has, with the folders above it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    make_room(from, to)?;
    // The source may be what is missing, so that it is the one to name.
    fs::copy(from, to).map_err(|source| ImagingError::io(from, "copy", source))?;
    Ok(())
}

/// Makes a symbolic link to a file where it lies.
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    make_room(from, to)?;
    let whole = from
        .canonicalize()
        .map_err(|source| ImagingError::io(from, "open", source))?;
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(&whole, to);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(&whole, to);
    linked.map_err(|source| ImagingError::io(to, "link", source))
}

fn make_room(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| ImagingError::io(folder, "create", e))?;
    }
    if to.exists() {
        let found = "another file of this name";
        return Err(ImagingError::content(from, "a place of its own", found));
    }
    Ok(())
}

/// The header of an image with a place in the patient.
///
/// # Errors
/// When a file is none, or its values lie in further files, which a copy would leave behind.
pub(super) fn check_volume(path: &Path) -> Result<VolumeHeader> {
    let values = match VolumeFormat::of(path)? {
        VolumeFormat::Nrrd => nrrd::read_nrrd_header(path)?.data_files().to_vec(),
        VolumeFormat::MetaImage => metaimage::read_metaimage_header(path)?
            .data_files()
            .to_vec(),
        _ => Vec::new(),
    };
    if let Some(file) = values.first() {
        let expected = "values behind the header (save the image with them attached)";
        let found = format!("values in {file}, which a copy would leave behind");
        return Err(ImagingError::content(path, expected, found));
    }
    read_volume_header(path)
}

/// Why a cohort does not take an image, if it does not.
pub(super) fn unfit(header: &VolumeHeader) -> Option<String> {
    let (frames, components) = (header.frames, header.components);
    let wanted = "a cohort takes one frame of one component";
    (frames != 1 || components != 1)
        .then(|| format!("{frames} frames of {components} components: {wanted}"))
}
