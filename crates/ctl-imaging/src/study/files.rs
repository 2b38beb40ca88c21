//! Which files an image consists of.

use crate::Result;
use crate::folder::files_below;
use crate::metaimage;
use crate::nifti;
use crate::nrrd;
use crate::sidecar::path_beside;
use crate::volume::VolumeFormat;
use std::path::{Path, PathBuf};

/// Every file whose content makes an image: of a folder all files in it, of a header of its own the
/// data files besides, otherwise the file itself.
///
/// What cannot be opened stands for itself, so that whoever reads it says what is wrong.
pub(crate) fn companions(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        return files_below(path);
    }
    let mut files = vec![path.to_owned()];
    match VolumeFormat::of(path) {
        Ok(VolumeFormat::Nifti) => files = nifti::files_of(path),
        Ok(VolumeFormat::Nrrd) => {
            for name in nrrd::read_nrrd_header(path)?.data_files() {
                files.push(path_beside(path, name)?);
            }
        }
        Ok(VolumeFormat::MetaImage) => {
            for name in metaimage::read_metaimage_header(path)?.data_files() {
                files.push(path_beside(path, name)?);
            }
        }
        Ok(VolumeFormat::Dicom) | Err(_) => {}
    }
    Ok(files)
}
