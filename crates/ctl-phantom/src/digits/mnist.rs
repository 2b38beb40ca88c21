//! MNIST's four files.

use std::path::{Path, PathBuf};

use ctl_imaging::idx::{IdxArray, read_idx};

use super::{DigitError, Plane};

/// Height and width of a digit in pixels.
pub(super) const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
/// Digits are 0 to 9.
pub(super) const CLASSES: usize = 10;

/// Images and labels, the training digits first.
#[derive(Clone, Debug)]
pub(super) struct Mnist {
    images: Vec<u8>,
    labels: Vec<u8>,
    training: usize,
}

impl Mnist {
    /// Reads training and test digits from a folder, plain or gzipped.
    pub(super) fn read(folder: &Path) -> Result<Self, DigitError> {
        let (mut images, mut labels) = read_part(folder, "train")?;
        let training = labels.len();
        let (test_images, test_labels) = read_part(folder, "t10k")?;
        images.extend_from_slice(&test_images);
        labels.extend_from_slice(&test_labels);
        Ok(Self {
            images,
            labels,
            training,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Number of training digits, which come first.
    pub(super) fn training(&self) -> usize {
        self.training
    }

    /// The digit that a row shows.
    pub(super) fn digit(&self, row: usize) -> u8 {
        self.labels[row]
    }

    /// A row's picture, `None` beyond the last.
    pub(super) fn image(&self, row: usize) -> Option<Plane<u8>> {
        let pixels = self.images.get(row * PIXELS..(row + 1) * PIXELS)?;
        Plane::new([SIDE, SIDE], pixels.to_vec()).ok()
    }

    /// A row's name: its file and its place there.
    pub(super) fn name(&self, row: usize) -> String {
        match row.checked_sub(self.training) {
            None => format!("train-{row:05}"),
            Some(row) => format!("test-{row:05}"),
        }
    }

    /// Hash of all images and labels.
    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.training as u64).to_le_bytes());
        hasher.update(&self.images);
        hasher.update(&self.labels);
        hasher.finalize().to_hex().to_string()
    }
}

fn read_part(folder: &Path, part: &str) -> Result<(Vec<u8>, Vec<u8>), DigitError> {
    let (path, images) = read_file(folder, &format!("{part}-images-idx3-ubyte"))?;
    let count = match images.shape[..] {
        [count, SIDE, SIDE] if count > 0 => count,
        _ => return Err(content(path, "images of shape [N, 28, 28]", &images.shape)),
    };
    let (path, labels) = read_file(folder, &format!("{part}-labels-idx1-ubyte"))?;
    if labels.shape != [count] {
        let expected = format!("labels of shape [{count}]");
        return Err(content(path, &expected, &labels.shape));
    }
    if let Some(label) = labels.bytes.iter().find(|&&l| usize::from(l) >= CLASSES) {
        return Err(content(path, "digits from 0 to 9", label));
    }
    Ok((images.bytes, labels.bytes))
}

fn read_file(folder: &Path, name: &str) -> Result<(PathBuf, IdxArray), DigitError> {
    let zipped = folder.join(format!("{name}.gz"));
    let path = if zipped.exists() {
        zipped
    } else {
        folder.join(name)
    };
    let array = read_idx(&path)?;
    Ok((path, array))
}

fn content(path: PathBuf, expected: &str, found: &dyn std::fmt::Debug) -> DigitError {
    DigitError::Content {
        path,
        expected: expected.to_owned(),
        found: format!("{found:?}"),
    }
}
