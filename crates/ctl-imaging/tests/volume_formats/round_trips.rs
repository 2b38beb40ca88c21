//! What is written is read back, to the last bit.

use ctl_imaging::bart::{BartArray, read_bart, write_bart};
use ctl_imaging::kspace::Complex;
use ctl_imaging::metaimage::{MetaOptions, read_metaimage, write_metaimage};
use ctl_imaging::npy::{LastAxis, read_npy_volume, write_npy};
use ctl_imaging::npz::{read_npz_volume, write_npz};
use ctl_imaging::nrrd::{NrrdOptions, read_nrrd, write_nrrd};
use ctl_imaging::volume::{Affine, SampleType, Samples, Volume};
use ctl_imaging::{Colour, Raster, read_raster};
use proptest::prelude::*;

/// Directions that span space: three edges that lean on the axes by less than they are long.
fn affines() -> impl Strategy<Value = Affine> {
    let lean = -0.3_f64..0.3;
    let leans = prop::array::uniform6(lean);
    let sides = prop::array::uniform3(0.01_f64..10.0);
    (leans, sides, prop::array::uniform3(-500.0_f64..500.0)).prop_map(|(l, s, o)| {
        Affine::new([
            [s[0], l[0] * s[1], l[1] * s[2], o[0]],
            [l[2] * s[0], s[1], l[3] * s[2], o[1]],
            [l[4] * s[0], l[5] * s[1], -s[2], o[2]],
        ])
        .unwrap()
    })
}

fn volumes(kinds: Vec<SampleType>) -> impl Strategy<Value = Volume> {
    let shapes = prop::collection::vec(1_usize..4, 3..6);
    (
        shapes,
        1_usize..4,
        prop::sample::select(kinds),
        affines(),
        any::<u64>(),
    )
        .prop_map(|(shape, components, kind, affine, seed)| {
            let count = shape.iter().product::<usize>() * components;
            let numbers = (0..count as u64).map(|n| (seed.wrapping_mul(n + 1) % 100) as f64);
            let samples = Samples::from_f64(numbers, kind).unwrap();
            Volume::with_components(&shape, components, samples, affine).unwrap()
        })
}

fn all_but(left_out: &[SampleType]) -> Vec<SampleType> {
    let kinds = SampleType::ALL.into_iter();
    kinds.filter(|kind| !left_out.contains(kind)).collect()
}

/// Equal but for the rounding of directions that were divided by their lengths.
fn assert_close(ours: &Affine, theirs: &Affine) {
    for (a, b) in ours
        .rows()
        .as_flattened()
        .iter()
        .zip(theirs.rows().as_flattened())
    {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nrrd(volume in volumes(all_but(&[SampleType::Float16])), compress in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.nrrd");
        let options = NrrdOptions { compress, pairs: Vec::new() };
        write_nrrd(&volume, &path, &options).unwrap();
        prop_assert_eq!(read_nrrd(&path).unwrap(), volume);
    }

    #[test]
    fn metaimage(
        volume in volumes(all_but(&[
            SampleType::Float16,
            SampleType::Complex64,
            SampleType::Complex128,
        ])),
        compress in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.mha");
        write_metaimage(&volume, &path, MetaOptions { compress }).unwrap();
        let read = read_metaimage(&path).unwrap();
        assert_close(read.affine(), volume.affine());
        prop_assert_eq!(read.shape(), volume.shape());
        prop_assert_eq!(read.components(), volume.components());
        prop_assert_eq!(read.samples(), volume.samples());
    }

    #[test]
    fn npy_and_npz(volume in volumes(all_but(&[])), compress in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let last_axis = if volume.components() > 1 { LastAxis::Components } else { LastAxis::Voxels };
        let path = folder.path().join("x.npy");
        write_npy(&volume, &path).unwrap();
        prop_assert_eq!(&read_npy_volume(&path, last_axis, *volume.affine()).unwrap(), &volume);
        let path = folder.path().join("x.npz");
        write_npz(&[("v", (&volume).into())], &path, compress).unwrap();
        prop_assert_eq!(&read_npz_volume(&path, "v", last_axis, *volume.affine()).unwrap(), &volume);
    }

    #[test]
    fn bart(dimensions in prop::collection::vec(1_usize..4, 1..7), seed in any::<u32>()) {
        let folder = tempfile::tempdir().unwrap();
        let count: usize = dimensions.iter().product();
        let part = |n: usize| (seed.wrapping_mul(n as u32 + 1) % 1000) as f32 / 8.0;
        let values = (0..count).map(|n| Complex::new(part(n), -part(n + 7))).collect();
        let array = BartArray::new(&dimensions, values).unwrap();
        write_bart(&array, &folder.path().join("x")).unwrap();
        prop_assert_eq!(read_bart(&folder.path().join("x.hdr")).unwrap(), array);
    }

    #[test]
    fn png(
        height in 1_usize..9,
        width in 1_usize..9,
        channels in prop::sample::select(vec![1_usize, 3]),
        levels in prop::collection::vec(any::<u8>(), 192),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        let samples = levels[..channels * height * width].iter().map(|&level| f32::from(level) / 255.0);
        let raster = Raster::new(channels, height, width, samples.collect()).unwrap();
        raster.write_png(&path).unwrap();
        prop_assert_eq!(read_raster(&path, Colour::Native).unwrap(), raster);
    }
}
