//! A cohort of three small volumes whose axes run in different directions.

use crate::support::write;
use ctl_imaging::volume::{Affine, Orientation, Samples, Volume, write_volume};
use std::path::Path;
use tempfile::TempDir;

/// Voxels to the right, to the front and to the head.
pub(crate) const SHAPE: [usize; 3] = [4, 3, 5];

/// The affine of every volume along its closest axes.
pub(crate) fn affine() -> Affine {
    Affine::from_spacing([1.0, 2.0, 3.0], [-10.0, 5.0, 0.0]).unwrap()
}

/// The number at a voxel of a study.
pub(crate) fn number(study: usize, [i, j, k]: [usize; 3]) -> i16 {
    i16::try_from(1000 * study + 100 * i + 10 * j + k).unwrap()
}

/// Whether the annotation marks a voxel.
pub(crate) fn marked([i, j, k]: [usize; 3]) -> bool {
    i >= 2 && j == 1 && k <= 2
}

/// Values at every voxel, first axis fastest.
pub(crate) fn everywhere<T>(value: impl Fn([usize; 3]) -> T) -> Vec<T> {
    let mut all = Vec::new();
    for k in 0..SHAPE[2] {
        for j in 0..SHAPE[1] {
            for i in 0..SHAPE[0] {
                all.push(value([i, j, k]));
            }
        }
    }
    all
}

/// The image of a study, as it should be prepared but for its type.
pub(crate) fn image(study: usize) -> Volume {
    let values = everywhere(|voxel| number(study, voxel));
    Volume::new(&SHAPE, Samples::I16(values), affine()).unwrap()
}

pub(crate) fn labels() -> Volume {
    let values = everywhere(|voxel| u8::from(marked(voxel)));
    Volume::new(&SHAPE, Samples::U8(values), affine()).unwrap()
}

/// A cohort of three studies, each of another orientation and format.
pub(crate) fn cohort(description: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = "path,mask_path,site,patient,label\n".to_owned();
    for (study, (codes, ending)) in [("LPS", "nii.gz"), ("ASR", "nrrd"), ("RAS", "nii")]
        .into_iter()
        .enumerate()
    {
        let turned = Orientation::parse(codes).unwrap();
        let save = |name: &str, volume: &Volume| {
            let path = folder.path().join(name);
            write_volume(&path, &volume.reoriented(turned).unwrap()).unwrap();
        };
        save(&format!("{study}.{ending}"), &image(study));
        save(&format!("{study}-mask.{ending}"), &labels());
        let site = ["north", "south"][study % 2];
        let row = format!(
            "{study}.{ending},{study}-mask.{ending},{site},p{study},{}\n",
            study % 2
        );
        manifest.push_str(&row);
    }
    write(folder.path(), "manifest.csv", manifest.as_bytes());
    write(folder.path(), "cohort.toml", description.as_bytes());
    folder
}

/// Replaces a file of a cohort.
pub(crate) fn replace(folder: &Path, name: &str, volume: &Volume) {
    write_volume(&folder.join(name), volume).unwrap();
}
