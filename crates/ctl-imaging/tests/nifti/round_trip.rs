//! What is written is read back.

use ctl_imaging::nifti::{self, Encoding, Endianness, Extension, Space, Version, WriteOptions};
use ctl_imaging::volume::{Affine, SampleType, Samples, Scaling, SeriesStep, SeriesUnit, Volume};
use proptest::prelude::*;

/// Samples of a type from any bits.
fn samples(kind: SampleType, bits: &[u64]) -> Samples {
    macro_rules! cast {
        ($variant:ident, $number:ty) => {
            Samples::$variant(bits.iter().map(|&bits| bits as $number).collect())
        };
    }
    let float = |bits: u64| f32::from_bits(bits as u32);
    let double = |bits: u64| f64::from_bits(bits);
    let complex = |bits: u64| num_complex::Complex::new(float(bits), float(bits >> 32));
    let wide = |bits: u64| num_complex::Complex::new(double(bits), double(bits.rotate_left(9)));
    match kind {
        SampleType::UInt8 => cast!(U8, u8),
        SampleType::Int8 => cast!(I8, i8),
        SampleType::UInt16 => cast!(U16, u16),
        SampleType::Int16 => cast!(I16, i16),
        SampleType::UInt32 => cast!(U32, u32),
        SampleType::Int32 => cast!(I32, i32),
        SampleType::UInt64 => cast!(U64, u64),
        SampleType::Int64 => cast!(I64, i64),
        SampleType::Float16 | SampleType::Float32 => {
            Samples::F32(bits.iter().map(|&bits| float(bits)).collect())
        }
        SampleType::Float64 => Samples::F64(bits.iter().map(|&bits| double(bits)).collect()),
        SampleType::Complex64 => {
            Samples::Complex64(bits.iter().map(|&bits| complex(bits)).collect())
        }
        SampleType::Complex128 => {
            Samples::Complex128(bits.iter().map(|&bits| wide(bits)).collect())
        }
    }
}

/// Small images of every type, of one to four values a voxel, with places that single precision
/// holds.
fn volumes() -> impl Strategy<Value = Volume> {
    let shape = prop::collection::vec(1_usize..4, 2..5);
    (
        shape,
        1_usize..5,
        0..SampleType::ALL.len(),
        any::<[u64; 4]>(),
        -40_i8..40,
    )
        .prop_map(|(shape, components, kind, seed, tilt)| {
            let count = shape.iter().product::<usize>() * components;
            let bits: Vec<u64> = (0..count)
                .map(|index| seed[index % 4].rotate_left(index as u32 * 7 % 64))
                .collect();
            let tilt = f64::from(tilt) / 64.0;
            let affine = Affine::new([
                [-2.0, tilt, 0.0, 90.0],
                [tilt, 2.5, 0.0, -126.25],
                [0.0, 0.0, 3.0, -72.0],
            ])
            .unwrap();
            let kind = SampleType::ALL[kind];
            let axes = shape.len();
            let volume =
                Volume::with_components(&shape, components, samples(kind, &bits), affine).unwrap();
            if axes < 4 {
                return volume;
            }
            let unit = SeriesUnit::Millisecond;
            volume
                .with_series(SeriesStep { step: 2500.0, unit })
                .unwrap()
        })
}

fn options() -> impl Strategy<Value = WriteOptions> {
    let version = prop_oneof![
        Just(None),
        Just(Some(Version::One)),
        Just(Some(Version::Two))
    ];
    let endianness = prop_oneof![Just(Endianness::Little), Just(Endianness::Big)];
    let extension = (any::<i32>(), prop::collection::vec(any::<u8>(), 0..40));
    let extensions = prop::collection::vec(extension, 0..3);
    (
        version,
        endianness,
        extensions,
        0_u32..10,
        "[a-zA-Zäß ]{0,30}",
    )
        .prop_map(
            |(version, endianness, extensions, level, descrip)| WriteOptions {
                version,
                endianness,
                level,
                descrip,
                space: Space::Mni,
                extensions: extensions
                    .into_iter()
                    .map(|(code, content)| Extension { code, content })
                    .collect(),
                ..WriteOptions::default()
            },
        )
}

/// Equal to the last bit, NaN included.
fn bits_of(volume: &Volume) -> String {
    format!("{:?} {:?}", volume.scaling(), volume.samples())
}

/// A two-dimensional image of vectors becomes one voxel deep, since the fifth axis is the
/// components'.
fn deep_shape(volume: &Volume) -> Vec<usize> {
    let mut shape = volume.shape().to_vec();
    let is_colour = matches!(volume.samples(), Samples::U8(_)) && volume.components() != 2;
    if volume.components() > 1 && !is_colour {
        shape.resize(shape.len().max(3), 1);
        if shape.len() == 4 && shape[3] == 1 {
            shape.truncate(3);
        }
    }
    shape
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn values_place_and_extensions_come_back(
        volume in volumes(),
        options in options(),
        name in prop::sample::select(vec!["a.nii", "a.nii.gz", "a.hdr", "a.img.gz"]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        nifti::write(&path, &volume, &options).unwrap();
        let image = nifti::read(&path).unwrap();
        let read = &image.volume;
        prop_assert_eq!(read.shape(), deep_shape(&volume));
        prop_assert_eq!(read.components(), volume.components());
        prop_assert_eq!(bits_of(read), bits_of(&volume));
        prop_assert_eq!(read.affine(), volume.affine());
        if read.shape().len() == volume.shape().len() {
            prop_assert_eq!(read.series(), volume.series());
        }
        prop_assert_eq!(&image.header.descrip, &options.descrip);
        prop_assert_eq!(image.header.sform_code, 4);
        prop_assert_eq!(image.header.endianness, options.endianness);
        prop_assert!(image.warnings.is_empty(), "{:?}", image.warnings);
        for (found, given) in image.extensions.iter().zip(&options.extensions) {
            prop_assert_eq!(found.code, given.code);
            prop_assert!(found.content.starts_with(&given.content));
            prop_assert_eq!((found.content.len() + 8) % 16, 0);
        }
        prop_assert_eq!(image.extensions.len(), options.extensions.len());

        // Written again like the first, it is the same file.
        let again = folder.path().join(format!("again{}", &name[1..]));
        let like = WriteOptions { level: options.level, ..WriteOptions::like(&image) };
        nifti::write(&again, read, &like).unwrap();
        prop_assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    }

    #[test]
    fn automatic_scaling_covers_the_range(
        numbers in prop::collection::vec(-1e6_f64..1e6, 1..20),
        scale in prop::sample::select(vec![1e-30, 1e-3, 1.0, 1e9, 1e25]),
        kind in prop::sample::select(SampleType::ALL[..8].to_vec()),
        version in prop::sample::select(vec![Version::One, Version::Two]),
    ) {
        let numbers: Vec<f64> = numbers.iter().map(|number| number * scale).collect();
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let volume = Volume::new(&[numbers.len(), 1], Samples::F64(numbers.clone()), affine).unwrap();
        let options = WriteOptions {
            version: Some(version),
            encoding: Encoding::Automatic(kind),
            ..WriteOptions::default()
        };
        let read = crate::parsed(&crate::written(&volume, "a.nii", &options)).unwrap().volume;
        prop_assert_eq!(read.sample_type(), kind);
        let Scaling { slope, .. } = read.scaling();
        let largest = numbers.iter().fold(0.0_f64, |most, number| most.max(number.abs()));
        for (found, expected) in read.to_f64().iter().zip(&numbers) {
            // Half a step, and what double precision loses of 64-bit steps.
            let allowed = slope * 0.501 + largest * 1e-14;
            prop_assert!((found - expected).abs() <= allowed, "{} {} {}", found, expected, slope);
        }
    }
}
