//! What every reader says where there is no file, an empty one, a folder or a device.

use ctl_imaging::dicom::{StoredBits, attributes, info, read_pixels};
use ctl_imaging::npy::{LastAxis, read_npy, read_npy_volume};
use ctl_imaging::npz::{npz_names, read_npz};
use ctl_imaging::tiff::{PageAxis, read_pages, tiff_pages};
use ctl_imaging::volume::{Affine, VolumeFormat};
use ctl_imaging::{
    Colour, ImagingError, Result, bart, fastmri, idx, metaimage, nifti, nrrd, raster_size,
    read_raster,
};
use std::path::Path;

type Read = fn(&Path) -> Result<()>;

fn unit() -> Affine {
    Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()
}

/// Every reader, with the name of a file that it would take.
const READERS: [(&str, Read); 17] = [
    ("a.nii", |path| nifti::read(path).map(drop)),
    ("a.nii.gz", |path| nifti::info(path).map(drop)),
    ("a.hdr", |path| nifti::read_header(path).map(drop)),
    ("a.nrrd", |path| nrrd::read_nrrd(path).map(drop)),
    ("a.mha", |path| metaimage::read_metaimage(path).map(drop)),
    ("a.npy", |path| read_npy(path).map(drop)),
    ("b.npy", |path| {
        read_npy_volume(path, LastAxis::Voxels, unit()).map(drop)
    }),
    ("a.npz", |path| npz_names(path).map(drop)),
    ("b.npz", |path| read_npz(path, "a").map(drop)),
    ("a.tif", |path| tiff_pages(path).map(drop)),
    ("b.tif", |path| {
        read_pages(path, PageAxis::Slices, unit()).map(drop)
    }),
    ("a.png", |path| read_raster(path, Colour::Native).map(drop)),
    ("b.png", |path| raster_size(path).map(drop)),
    ("a.idx", |path| idx::read_idx(path).map(drop)),
    ("a.dcm", |path| info(path).map(drop)),
    ("b.dcm", |path| {
        read_pixels(path, StoredBits::default()).map(drop)
    }),
    ("c.dcm", |path| attributes(path).map(drop)),
];

#[test]
fn there_is_one_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, read) in READERS {
        let path = folder.path().join(name);
        let said = |expected: &str| {
            let error = read(&path).unwrap_err();
            let text = error.to_string();
            let is_of_the_file = matches!(
                error,
                ImagingError::Io { .. } | ImagingError::Content { .. }
            );
            assert!(is_of_the_file && text.contains(name), "{name}: {text}");
            assert!(text.contains(expected), "{name}: {text}");
        };
        said("cannot open");
        std::fs::write(&path, "").unwrap();
        said("an empty file");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        said("a folder");
    }
}

#[test]
fn pairs_and_archives_of_hdf5_are_no_exception() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cfl");
    let error = bart::read_bart(&path).unwrap_err();
    assert!(error.to_string().contains("a.hdr"), "{error}");
    std::fs::write(folder.path().join("a.h5"), "").unwrap();
    let error = fastmri::FastMri::open(&folder.path().join("a.h5"))
        .err()
        .unwrap();
    assert!(error.to_string().contains("a.h5"), "{error}");
}

#[test]
fn devices_are_not_waited_for() {
    let path = Path::new("/dev/null");
    if cfg!(unix) {
        let error = VolumeFormat::of(path).unwrap_err().to_string();
        assert!(error.contains("expected a regular file"), "{error}");
    }
}
