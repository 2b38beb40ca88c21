//! A fingerprint of a cohort, for records of runs.

use crate::Result;
use crate::bounded;
use crate::cohort::{Cohort, Record};
use crate::error::ImagingError;
use crate::mask::MaskRole;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// Keeps these hashes apart from all others and from later definitions.
const DOMAIN: &str = "ctl-imaging data_hash v1";

/// Stands for a file that a cohort does not have.
const ABSENT: [u8; blake3::OUT_LEN] = [0; blake3::OUT_LEN];

/// What of the images goes into a [`data_hash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashDepth {
    /// Their lengths in bytes: a hundred thousand images take about a second.
    Sizes,
    /// Their content: every byte is read.
    Contents,
}

/// The blake3 hash of a cohort, in hexadecimal.
///
/// It covers the bytes of `manifest.csv` and `cohort.toml` as they were when the cohort was
/// opened, and of each image and mask file that the manifest names, in sorted order, the path and
/// the length ([`HashDepth::Sizes`]) or the content ([`HashDepth::Contents`]). Files that the
/// manifest does not name, times and the cohort's own location do not matter. The two depths
/// never give the same hash.
///
/// # Arguments
/// * `cohort`: an opened cohort.
/// * `depth`: how much of each image is looked at.
///
/// # Returns
/// 64 hexadecimal digits.
///
/// # Errors
/// [`ImagingError::Io`] when a file that the manifest names cannot be examined or read.
///
/// # Examples
/// ```
/// use ctl_imaging::{Cohort, HashDepth, data_hash};
///
/// # let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a.png"), "pixels")?;
/// std::fs::write(folder.path().join("manifest.csv"), "path\na.png\n")?;
/// let cohort = Cohort::open(folder.path())?;
/// let before = data_hash(&cohort, HashDepth::Contents)?;
/// std::fs::write(folder.path().join("a.png"), "PIXELS")?;
/// assert_ne!(data_hash(&cohort, HashDepth::Contents)?, before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn data_hash(cohort: &Cohort, depth: HashDepth) -> Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(match depth {
        HashDepth::Sizes => b"sizes\0",
        HashDepth::Contents => b"bytes\0",
    });
    hasher.update(cohort.manifest_digest().as_bytes());
    let description = cohort
        .description_digest()
        .map_or(ABSENT, |digest| *digest.as_bytes());
    hasher.update(&description);
    let files: Vec<String> = files(cohort)?.into_iter().collect();
    let digests: Vec<Result<Vec<u8>>> = files
        .par_iter()
        .map(|file| digest(&cohort.root().join(file), depth))
        .collect();
    for (file, digest) in files.iter().zip(digests) {
        hasher.update(&(file.len() as u64).to_le_bytes());
        hasher.update(file.as_bytes());
        hasher.update(&digest?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Every file that a cohort names, once.
fn files(cohort: &Cohort) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for record in cohort.records() {
        files.insert(record.address()?.file().to_owned());
        for address in mask_addresses(record) {
            files.insert(address?.file().to_owned());
        }
    }
    Ok(files)
}

fn mask_addresses(record: &Record) -> impl Iterator<Item = Result<crate::ImageAddress>> {
    [
        MaskRole::Annotation,
        MaskRole::SecondObserver,
        MaskRole::EvaluateWithin,
    ]
    .into_iter()
    .filter_map(|role| record.mask_address(role).transpose())
}

fn digest(path: &Path, depth: HashDepth) -> Result<Vec<u8>> {
    match depth {
        HashDepth::Sizes => {
            let metadata = path.metadata();
            let metadata = metadata.map_err(|source| ImagingError::io(path, "examine", source))?;
            Ok(metadata.len().to_le_bytes().to_vec())
        }
        HashDepth::Contents => {
            let (file, _) = bounded::open_file(path)?;
            let mut hasher = blake3::Hasher::new();
            let read = hasher.update_reader(file);
            read.map_err(|source| ImagingError::io(path, "read", source))?;
            Ok(hasher.finalize().as_bytes().to_vec())
        }
    }
}
