//! Small cohorts on disk.

use ctl_imaging::Raster;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A cohort of these files; names that end in `.png` are not looked into.
pub(crate) fn cohort(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path(), name, content.as_bytes());
    }
    folder
}

/// A file below `folder`, with the folders that it needs.
pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A grey picture of bytes.
pub(crate) fn grey(folder: &Path, name: &str, size: (usize, usize), bytes: &[u8]) {
    let samples = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Raster::new(1, size.0, size.1, samples)
        .unwrap()
        .write_png(&path)
        .unwrap();
}
