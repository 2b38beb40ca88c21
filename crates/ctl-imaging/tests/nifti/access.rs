//! Slices, frames, boxes and voxels are those of the whole.

use crate::{counting, oblique, written};
use ctl_imaging::nifti::{Encoding, Reader, WriteOptions};
use ctl_imaging::volume::{SampleType, Samples, Scaling, Volume};
use proptest::prelude::*;
use rstest::rstest;
use std::path::Path;

fn reader(volume: &Volume, name: &str) -> Reader {
    let bytes = written(volume, name, &WriteOptions::default());
    Reader::from_bytes(bytes, Path::new(name)).unwrap()
}

#[rstest]
#[case("a.nii")]
#[case("a.nii.gz")]
fn slices_are_those_of_the_whole(#[case] name: &str) {
    let volume = counting(&[4, 3, 2, 2]);
    let reader = reader(&volume, name);
    for axis in 0..3 {
        for index in 0..volume.shape()[axis] {
            let mut start = [0; 3];
            let mut size = [4, 3, 2];
            start[axis] = index as isize;
            size[axis] = 1;
            let expected = volume.boxed(start, size, 0.0).unwrap();
            assert_eq!(reader.slice(axis, index).unwrap(), expected);
        }
    }
    let error = reader.slice(3, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "axis of a slice: expected below 3, found 3"
    );
    assert!(reader.slice(0, 4).is_err());
}

#[rstest]
#[case("a.nii")]
#[case("a.nii.gz")]
fn frames_count_the_fourth_axis_first(#[case] name: &str) {
    let reader = reader(&counting(&[2, 2, 1, 3, 2]), name);
    // Four voxels a frame; frame 4 is time 1 of the second series.
    let frame = reader.frame(4).unwrap();
    assert_eq!(frame.shape(), [2, 2, 1]);
    assert_eq!(frame.samples(), &Samples::I16(vec![16, 17, 18, 19]));
    assert_eq!(frame.affine(), &oblique());
    let error = reader.frame(6).unwrap_err();
    assert_eq!(error.to_string(), "frame: expected below 6, found 6");
}

#[test]
fn one_slice_of_a_compressed_file_does_not_need_the_rest() {
    let volume = noise(&[64, 64, 16]);
    let mut bytes = written(&volume, "a.nii.gz", &WriteOptions::default());
    bytes.truncate(bytes.len() / 2);
    let reader = Reader::from_bytes(bytes, Path::new("half.nii.gz")).unwrap();
    let slice = reader.slice(2, 1).unwrap();
    assert_eq!(
        slice.samples(),
        volume.boxed([0, 0, 1], [64, 64, 1], 0.0).unwrap().samples()
    );
    let error = reader.slice(2, 15).unwrap_err().to_string();
    assert!(error.contains("truncated"), "{error}");
    assert!(reader.volume().is_err());
}

/// Values that do not compress.
fn noise(shape: &[usize]) -> Volume {
    let count: usize = shape.iter().product();
    let mut state = 1_u32;
    let values = (0..count).map(|_| {
        // The generator of Numerical Recipes, section 7.1.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    });
    Volume::new(shape, Samples::I16(values.collect()), oblique()).unwrap()
}

#[test]
fn large_images_are_read_chunk_by_chunk() {
    // Longer than a chunk of 256 KiB, in planes longer than the gap that is read along.
    let volume = noise(&[200, 150, 30]);
    for name in ["a.nii", "a.nii.gz"] {
        let reader = reader(&volume, name);
        assert_eq!(reader.volume().unwrap(), volume);
        assert_eq!(reader.to_f32().unwrap(), volume.to_f32());
        let mut memory = vec![f32::NAN; 900_000];
        reader.fill_f32(&mut memory).unwrap();
        assert_eq!(memory, volume.to_f32());
        let error = reader.fill_f32(&mut memory[1..]).unwrap_err().to_string();
        assert!(
            error.ends_with("expected 900000 places, found 899999"),
            "{error}"
        );
        for (start, size) in [
            ([199, 0, 0], [1, 150, 30]),
            ([0, 149, 0], [200, 1, 30]),
            ([7, 9, 2], [190, 3, 28]),
            ([0, 10, 0], [200, 140, 30]),
        ] {
            let expected = volume
                .boxed(start.map(|at| at as isize), size, 0.0)
                .unwrap();
            assert_eq!(reader.boxed(&start, &size).unwrap(), expected);
        }
    }
}

#[test]
fn single_precision_is_scaled_in_double() {
    let volume = Volume::new(&[1, 1], Samples::I32(vec![16_777_217]), oblique())
        .and_then(|volume| {
            volume.with_scaling(Scaling {
                slope: 0.5,
                intercept: -8_388_608.0,
            })
        })
        .unwrap();
    let reader = reader(&volume, "a.nii");
    // Casting first would lose the last unit.
    assert_eq!(reader.to_f32().unwrap(), [0.5]);
    assert_eq!(reader.value(&[0, 0]).unwrap(), 0.5);
}

#[test]
fn vectors_are_cut_with_all_their_components() {
    let values: Vec<f32> = (0..24).map(|value| value as f32).collect();
    let volume = Volume::with_components(&[2, 2, 2], 3, Samples::F32(values), oblique()).unwrap();
    let reader = reader(&volume, "a.nii");
    assert_eq!((reader.shape(), reader.components()), (&[2, 2, 2][..], 3));
    assert_eq!(reader.volume().unwrap(), volume);
    assert_eq!(reader.to_f32().unwrap(), volume.to_f32());
    let mut memory = [0.0; 24];
    reader.fill_f32(&mut memory).unwrap();
    assert_eq!(memory, volume.to_f32()[..]);
    let slice = reader.slice(0, 1).unwrap();
    // Voxels 1, 3, 5 and 7, three components each.
    let expected = [3, 4, 5, 9, 10, 11, 15, 16, 17, 21, 22, 23];
    assert_eq!(slice.to_f32(), expected.map(|value| value as f32));
    assert_eq!(reader.value(&[1, 1, 1]).unwrap(), 21.0);
}

#[test]
fn boxes_beyond_the_image_are_refused() {
    let reader = reader(&counting(&[4, 3, 2]), "a.nii");
    for (start, size) in [
        (vec![0, 0, 0], vec![5, 1, 1]),
        (vec![4, 0, 0], vec![1, 1, 1]),
        (vec![0, 0, 0], vec![0, 1, 1]),
        (vec![usize::MAX, 0, 0], vec![2, 1, 1]),
        (vec![0, 0], vec![1, 1]),
    ] {
        let error = reader.boxed(&start, &size).unwrap_err().to_string();
        assert!(
            error.starts_with("box of voxels: expected one within [4, 3, 2]"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    std::fs::write(
        &path,
        written(&counting(&[4, 3, 2]), "a.nii", &WriteOptions::default()),
    )
    .unwrap();
    let reader = Reader::open(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(370).unwrap();
    let error = reader.volume().unwrap_err().to_string();
    assert!(error.ends_with("found fewer (truncated)"), "{error}");
    assert_eq!(reader.value(&[1, 0, 0]).unwrap(), 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_box_is_that_of_the_whole(
        corner in prop::array::uniform3(0_usize..4),
        size in prop::array::uniform3(1_usize..5),
        gzip in any::<bool>(),
    ) {
        let volume = counting(&[5, 6, 7, 2]);
        let shape = [5, 6, 7];
        let size = [0, 1, 2].map(|axis| size[axis].min(shape[axis] - corner[axis]));
        let reader = reader(&volume, if gzip { "a.nii.gz" } else { "a.nii" });
        let [i, j, k] = corner;
        let found = reader.boxed(&[i, j, k, 0], &[size[0], size[1], size[2], 2]).unwrap();
        let expected = volume.boxed(corner.map(|at| at as isize), size, 0.0).unwrap();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn every_type_is_cut_as_it_is_read() {
    let volume = counting(&[3, 2, 2]);
    for kind in SampleType::ALL {
        if kind == SampleType::Float16 {
            continue;
        }
        let options = WriteOptions {
            encoding: Encoding::Unscaled(kind),
            ..WriteOptions::default()
        };
        let bytes = written(&volume, "a.nii", &options);
        let reader = Reader::from_bytes(bytes, Path::new("a.nii")).unwrap();
        let slice = reader.slice(1, 1).unwrap();
        assert_eq!(slice.sample_type(), kind);
        assert_eq!(slice.to_f64(), [3.0, 4.0, 5.0, 9.0, 10.0, 11.0]);
        assert_eq!(reader.value(&[2, 1, 0]).unwrap(), 5.0);
    }
}

#[test]
fn a_voxel_is_found_by_the_axes_of_its_file_too() {
    let mut bytes = written(&counting(&[5, 1]), "a.nii", &WriteOptions::default());
    bytes[40] = 1;
    let line = Reader::from_bytes(bytes, Path::new("line")).unwrap();
    assert_eq!(line.info().unwrap().shape, [5]);
    assert_eq!(line.value(&[3]).unwrap(), 3.0);
    assert_eq!(line.value(&[3, 0]).unwrap(), 3.0);
    assert!(line.value(&[5]).is_err());

    let samples = Samples::I16((0..12).collect());
    let vectors = Volume::with_components(&[2, 2, 1], 3, samples, oblique()).unwrap();
    let vectors = reader(&vectors, "a.nii");
    assert_eq!(vectors.info().unwrap().shape, [2, 2, 1, 1, 3]);
    // The second component of the last voxel, whose three are 9, 10 and 11.
    assert_eq!(vectors.value(&[1, 1, 0, 0, 1]).unwrap(), 10.0);
    assert_eq!(vectors.value(&[1, 1, 0]).unwrap(), 9.0);
    let error = vectors.value(&[1, 1, 0, 0, 3]).unwrap_err().to_string();
    assert_eq!(error, "component of a voxel: expected one below 3, found 3");
    assert!(vectors.value(&[1, 1, 0, 1, 0]).is_err());
}
