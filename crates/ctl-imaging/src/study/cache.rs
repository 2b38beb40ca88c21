//! Prepared studies on disk, by the content of their files and by what is done to them.

use super::files::companions;
use super::prepare::{Preparation, Study};
use super::store::StudyFiles;
use crate::Result;
use crate::bounded;
use crate::cohort::Cohort;
use crate::error::ImagingError;
use crate::mask::MaskRole;
use crate::nifti::{self, Version, WriteOptions};
use crate::preprocess::Mask;
use crate::volume::{SampleType, Scaling, Volume};
use std::fs;
use std::path::{Path, PathBuf};

/// Changes with what a prepared study is, so that no cache outlives it.
const DOMAIN: &str = "ctl-imaging prepared study v1";

/// A folder of prepared studies.
///
/// Each is `KEY.nii`, with `KEY.annotation.nii` and the like beside it. The image is written last:
/// where it is, everything is.
#[derive(Debug)]
pub(super) struct StudyCache {
    folder: PathBuf,
}

impl StudyCache {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|source| ImagingError::io(folder, "create", source))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// What a study is known by: the content of its files, and every setting.
    pub(super) fn key(
        files: &StudyFiles,
        cohort: &Cohort,
        preparation: &Preparation,
    ) -> Result<String> {
        let root = cohort.root();
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        let settings = serde_json::to_string(&(preparation.spacing, preparation.interpolation));
        let settings = settings
            .map_err(|error| ImagingError::decode(&root.join(&files.image), "JSON", error))?;
        hasher.update(settings.as_bytes());
        hasher.update(preparation.steps.content_hash()?.as_bytes());
        hash_files(&root.join(&files.image), &mut hasher)?;
        for role in MaskRole::ALL {
            hasher.update(&[u8::from(files.mask(role).is_some())]);
            if let Some(file) = files.mask(role) {
                let rule = format!("{:?}", role.rule(cohort.mask()));
                hasher.update(&(rule.len() as u64).to_le_bytes());
                hasher.update(rule.as_bytes());
                hash_files(&root.join(file), &mut hasher)?;
            }
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The study of a key, where there is one.
    pub(super) fn read(&self, key: &str, files: &StudyFiles) -> Result<Option<Study>> {
        let path = self.image(key);
        if !path.exists() {
            return Ok(None);
        }
        let image = nifti::read(&path)?.volume;
        if image.sample_type() != SampleType::Float32 || image.scaling() != Scaling::NONE {
            let found = format!("{} of {:?}", image.sample_type(), image.scaling());
            return Err(damaged(&path, found));
        }
        let mask = |role: MaskRole| {
            let path = self.mask(key, role);
            let wanted = files.mask(role).map(|_| nifti::read(&path));
            let mask = wanted
                .transpose()?
                .map(|read| of_volume(&read.volume, &path));
            let mask: Option<Mask> = mask.transpose()?;
            match mask {
                Some(mask) if mask.shape() != image.spatial_shape() => {
                    Err(damaged(&path, format!("{:?}", mask.shape())))
                }
                mask => Ok(mask),
            }
        };
        Ok(Some(Study {
            annotation: mask(MaskRole::Annotation)?,
            second_observer: mask(MaskRole::SecondObserver)?,
            evaluate_within: mask(MaskRole::EvaluateWithin)?,
            image,
            provenance: None,
        }))
    }

    /// Keeps a study.
    pub(super) fn write(&self, key: &str, study: &Study) -> Result<()> {
        // The second version holds the affine in double precision.
        let options = WriteOptions {
            version: Some(Version::Two),
            ..WriteOptions::default()
        };
        for role in MaskRole::ALL {
            if let Some(mask) = study.mask(role) {
                let labels = mask.to_volume(*study.image.affine())?;
                nifti::write(&self.mask(key, role), &labels, &options)?;
            }
        }
        nifti::write(&self.image(key), &study.image, &options)
    }

    fn image(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.nii"))
    }

    fn mask(&self, key: &str, role: MaskRole) -> PathBuf {
        self.folder.join(format!("{key}.{}.nii", role.as_str()))
    }
}

fn of_volume(labels: &Volume, path: &Path) -> Result<Mask> {
    Mask::from_volume(labels).map_err(|error| error.in_file(path))
}

fn damaged(path: &Path, found: String) -> ImagingError {
    let expected = "a prepared study (delete the file: it is made again)";
    ImagingError::content(path, expected, found)
}

/// Whether a file holds nothing, as some do that mark a folder.
fn is_empty(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// Hashes number, lengths and content of all files of an image.
fn hash_files(path: &Path, hasher: &mut blake3::Hasher) -> Result<()> {
    let files = companions(path)?;
    hasher.update(&(files.len() as u64).to_le_bytes());
    for file in &files {
        if is_empty(file) {
            hasher.update(&0_u64.to_le_bytes());
            continue;
        }
        let (content, length) = bounded::open_file(file)?;
        hasher.update(&length.to_le_bytes());
        let read = hasher.update_reader(content);
        read.map_err(|source| ImagingError::io(file, "read", source))?;
    }
    Ok(())
}
