//! NPY and NPZ arrays as volumes.

use super::golden::{bytes, unit};
use ctl_imaging::ImagingError;
use ctl_imaging::npy::{
    LastAxis, NpyArray, NpyData, parse_npy_volume, read_npy, read_npy_volume, write_npy,
};
use ctl_imaging::npz::{npz_names, read_npz, read_npz_volume, write_npz};
use ctl_imaging::volume::{Samples, Scaling, Volume};
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) hex: String,
    shape: Vec<usize>,
    kind: String,
    real: Vec<f64>,
    imaginary: Vec<f64>,
}

pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/volume_npy.json")).unwrap()
}

fn imaginary(samples: &Samples) -> Vec<f64> {
    match samples {
        Samples::Complex64(values) => values.iter().map(|v| v.im.into()).collect(),
        Samples::Complex128(values) => values.iter().map(|v| v.im).collect(),
        other => vec![0.0; other.len()],
    }
}

#[test]
fn arrays_have_the_values_that_numpy_wrote() {
    let cases = cases();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let path = Path::new(&case.name);
        let volume = parse_npy_volume(&bytes(&case.hex), path, LastAxis::Voxels, unit()).unwrap();
        assert_eq!(volume.shape(), case.shape, "{}", case.name);
        assert_eq!(volume.sample_type().name(), case.kind, "{}", case.name);
        assert_eq!(volume.to_f64(), case.real, "{}", case.name);
        assert_eq!(imaginary(volume.samples()), case.imaginary, "{}", case.name);
    }
}

#[test]
fn a_last_axis_of_components_lies_fastest() {
    // `[[[0, 1, 2], [3, 4, 5]]]` of shape (1, 2, 3): voxel (0, 1) has 3, 4, 5.
    let array = NpyArray {
        shape: vec![1, 2, 3],
        data: NpyData::U8(vec![0, 1, 2, 3, 4, 5]),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    write_npy(&array, &path).unwrap();
    let volume = read_npy_volume(&path, LastAxis::Components, unit()).unwrap();
    assert_eq!(
        (volume.shape(), volume.components()),
        ([1, 2].as_slice(), 3)
    );
    assert_eq!(volume.samples(), &Samples::U8(vec![0, 1, 2, 3, 4, 5]));
    let voxels = read_npy_volume(&path, LastAxis::Voxels, unit()).unwrap();
    assert_eq!(voxels.value(&[0, 1, 2]), Some(5.0));
    assert_eq!(voxels.value(&[0, 1, 0]), Some(3.0));
}

#[test]
fn arrays_that_are_no_volumes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    for shape in [vec![4], vec![2, 0], vec![1; 8]] {
        let elements = shape.iter().product();
        let array = NpyArray {
            shape,
            data: NpyData::U8(vec![7; elements]),
        };
        write_npy(&array, &path).unwrap();
        let error = read_npy_volume(&path, LastAxis::Voxels, unit()).unwrap_err();
        assert!(matches!(error, ImagingError::Content { .. }), "{error:?}");
        assert!(error.to_string().contains("2 to 7 axes"), "{error}");
    }
}

#[test]
fn arrays_of_every_type_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    for data in [
        NpyData::Bool(vec![0, 1]),
        NpyData::U8(vec![0, 255]),
        NpyData::U16(vec![1, 65535]),
        NpyData::U32(vec![1, u32::MAX]),
        NpyData::U64(vec![1, u64::MAX]),
        NpyData::I8(vec![-1, 1]),
        NpyData::I16(vec![-2, 1]),
        NpyData::I32(vec![-3, 1]),
        NpyData::I64(vec![i64::MIN, 1]),
        NpyData::F32(vec![0.1, f32::INFINITY]),
        NpyData::F64(vec![0.1, -0.0]),
    ] {
        let array = NpyArray {
            shape: vec![2],
            data,
        };
        write_npy(&array, &path).unwrap();
        assert_eq!(read_npy(&path).unwrap(), array);
        assert_eq!(fs::read(&path).unwrap().len() % 64, array_bytes(&array));
    }
}

/// Bytes of two elements.
fn array_bytes(array: &NpyArray) -> usize {
    match array.data {
        NpyData::Bool(_) | NpyData::U8(_) | NpyData::I8(_) => 2,
        NpyData::U16(_) | NpyData::I16(_) => 4,
        NpyData::U32(_) | NpyData::I32(_) | NpyData::F32(_) => 8,
        _ => 16,
    }
}

#[test]
fn archives_hold_arrays_and_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let labels = NpyArray {
        shape: vec![2],
        data: NpyData::I64(vec![-1, 4]),
    };
    let samples = Samples::from_f64(
        (0..12).map(f64::from),
        ctl_imaging::volume::SampleType::Complex64,
    );
    let volume = Volume::with_components(&[2, 1, 3], 2, samples.unwrap(), unit()).unwrap();
    for compress in [false, true] {
        let arrays = [("labels", (&labels).into()), ("image", (&volume).into())];
        write_npz(&arrays, &path, compress).unwrap();
        let first = fs::read(&path).unwrap();
        write_npz(&arrays, &path, compress).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(npz_names(&path).unwrap(), ["image", "labels"]);
        assert_eq!(read_npz(&path, "labels").unwrap(), labels);
        let read = read_npz_volume(&path, "image", LastAxis::Components, unit()).unwrap();
        assert_eq!(read, volume);
    }
}

#[test]
fn what_cannot_be_written_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let array = NpyArray {
        shape: vec![2],
        data: NpyData::U8(vec![1, 2]),
    };
    for name in ["", "a/b", "a\\b", "twice"] {
        let arrays = [("twice", (&array).into()), (name, (&array).into())];
        let error = write_npz(&arrays, &path, false).unwrap_err();
        assert!(error.to_string().starts_with("name of an array"), "{error}");
    }
    let wrong = NpyArray {
        shape: vec![3],
        data: NpyData::U8(vec![1, 2]),
    };
    assert!(write_npz(&[("a", (&wrong).into())], &path, false).is_err());
    let scaling = Scaling {
        slope: 2.0,
        intercept: 0.0,
    };
    let volume = Volume::new(&[2, 1], Samples::U8(vec![1, 2]), unit()).unwrap();
    assert!(write_npy(&volume.with_scaling(scaling).unwrap(), &path).is_err());
    assert!(!path.exists());
}
