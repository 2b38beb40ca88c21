//! A fingerprint of a cohort, for records of runs.

use crate::Result;
use crate::address::ImageAddress;
use crate::bounded;
use crate::cohort::{Cohort, Record};
use crate::error::{ImagingError, chain};
use crate::mask::MaskRole;
use crate::problem::{Problem, ProblemKind};
use crate::study::companions;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

/// Keeps these hashes apart from all others and from later definitions.
const DOMAIN: &str = "ctl-imaging data_hash v1";

/// Stands for a file that a cohort does not have.
const ABSENT: [u8; blake3::OUT_LEN] = [0; blake3::OUT_LEN];

/// The masks that a record can have.
const ROLES: [MaskRole; 3] = [
    MaskRole::Annotation,
    MaskRole::SecondObserver,
    MaskRole::EvaluateWithin,
];

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
/// [`ImagingError::Cohort`] with row and column of the manifest when a file that it names cannot be
/// examined or read.
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
        .map(|file| digest(&cohort.root().join(file), depth, cohort.volumes().is_some()))
        .collect();
    for (file, digest) in files.iter().zip(digests) {
        hasher.update(&(file.len() as u64).to_le_bytes());
        hasher.update(file.as_bytes());
        hasher.update(&digest.map_err(|error| located(cohort, file, error))?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The error of a file at the first cell of the manifest that names it.
fn located(cohort: &Cohort, file: &str, error: ImagingError) -> ImagingError {
    let naming = |record| Some((record, column_naming(cohort, record, file)?));
    let Some((record, column)) = cohort.records().iter().find_map(naming) else {
        return error;
    };
    let expected = format!("a readable file at {file}");
    let (kind, found) = match &error {
        ImagingError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            (ProblemKind::MissingImage, "no such file".to_owned())
        }
        _ => (ProblemKind::UnreadableImage, chain(&error)),
    };
    let problem = Problem::new(&cohort.manifest_path(), kind, expected, found);
    problem.at_row(record.row).in_column(column).into()
}

/// The column by which a record names a file.
fn column_naming<'a>(cohort: &'a Cohort, record: &Record, file: &str) -> Option<&'a str> {
    let names = |address: Result<ImageAddress>| address.is_ok_and(|a| a.file() == file);
    if names(record.address()) {
        return Some("path");
    }
    let mut roles = ROLES.into_iter();
    let role = roles.find(|&role| record.mask_address(role).transpose().is_some_and(names))?;
    cohort.mask()?.column_of(role)
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

fn mask_addresses(record: &Record) -> impl Iterator<Item = Result<ImageAddress>> {
    ROLES
        .into_iter()
        .filter_map(|role| record.mask_address(role).transpose())
}

/// The digest of a file; of an image of several files (a DICOM series, a header with its data) the
/// digest of theirs, each after its name.
fn digest(path: &Path, depth: HashDepth, of_volumes: bool) -> Result<Vec<u8>> {
    if !of_volumes {
        return digest_of_file(path, depth);
    }
    let files = if path.exists() {
        companions(path)?
    } else {
        Vec::new()
    };
    if let [] | [_] = files[..]
        && !path.is_dir()
    {
        return digest_of_file(path, depth);
    }
    let folder = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    let mut hasher = blake3::Hasher::new();
    for file in &files {
        let name = folder.and_then(|folder| file.strip_prefix(folder).ok());
        let name = name.unwrap_or(file).to_string_lossy();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        let digest = digest_of_file(file, depth)?;
        hasher.update(&(digest.len() as u64).to_le_bytes());
        hasher.update(&digest);
    }
    Ok(hasher.finalize().as_bytes().to_vec())
}

fn digest_of_file(path: &Path, depth: HashDepth) -> Result<Vec<u8>> {
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

/// Bytes as pairs of digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
