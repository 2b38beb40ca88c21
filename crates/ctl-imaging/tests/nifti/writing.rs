//! Choices of the writer, and what it refuses.

use crate::{counting, oblique, parsed, written};
use ctl_imaging::nifti::{self, Encoding, Extension, Version, WriteOptions};
use ctl_imaging::volume::{Affine, SampleType, Samples, Scaling, Volume};
use half::f16;
use rstest::rstest;

fn floats(values: &[f64]) -> Volume {
    Volume::new(&[values.len(), 1], Samples::F64(values.to_vec()), oblique()).unwrap()
}

fn encoded(encoding: Encoding) -> WriteOptions {
    WriteOptions {
        encoding,
        ..WriteOptions::default()
    }
}

fn refused(volume: &Volume, options: &WriteOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let error = nifti::write(&path, volume, options)
        .unwrap_err()
        .to_string();
    assert!(!path.exists());
    error
}

#[test]
fn a_rotation_has_both_forms_a_shear_has_one() {
    let image = parsed(&written(
        &counting(&[2, 2, 2]),
        "a.nii",
        &WriteOptions::default(),
    ))
    .unwrap();
    let header = &image.header;
    assert_eq!((header.qform_code, header.sform_code), (1, 1));
    assert_eq!(header.pixdim[..4], [1.0, 2.0, 2.5, 3.0]);
    // A third of a circle about (1, 1, 1).
    assert_eq!(header.quatern, [0.5; 3]);
    assert_eq!(header.qform().unwrap(), oblique().rows());

    let sheared = Affine::new([
        [2.0, 0.5, 0.0, 1.0],
        [0.0, 2.0, 0.0, 2.0],
        [0.0, 0.0, 2.0, 3.0],
    ])
    .unwrap();
    let volume = Volume::new(&[1, 1, 1], Samples::U8(vec![0]), sheared).unwrap();
    let image = parsed(&written(&volume, "a.nii", &WriteOptions::default())).unwrap();
    assert_eq!((image.header.qform_code, image.header.sform_code), (0, 1));
    assert_eq!(image.volume.affine(), &sheared);
}

#[test]
fn waiting_for_the_disk_changes_no_byte() {
    let volume = counting(&[3, 2, 2]);
    let hasty = WriteOptions {
        durable: false,
        ..WriteOptions::default()
    };
    for name in ["a.nii", "a.nii.gz"] {
        let bytes = written(&volume, name, &WriteOptions::default());
        assert_eq!(written(&volume, name, &hasty), bytes);
    }
    // A failure leaves the old file all the same.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    nifti::write(&path, &volume, &hasty).unwrap();
    let wrong = WriteOptions {
        encoding: Encoding::Unscaled(SampleType::Float16),
        ..hasty
    };
    assert!(nifti::write(&path, &volume, &wrong).is_err());
    assert_eq!(
        nifti::read(&path).unwrap().volume.samples(),
        volume.samples()
    );
}

#[test]
fn a_mirrored_image_has_a_negative_qfac() {
    // Radiological order, x to the left, turned by half a circle about y: columns −x, y, z.
    let affine = Affine::new([
        [-2.0, 0.0, 0.0, 10.0],
        [0.0, 2.0, 0.0, 20.0],
        [0.0, 0.0, 4.0, 30.0],
    ])
    .unwrap();
    let volume = Volume::new(&[1, 1, 1], Samples::U8(vec![0]), affine).unwrap();
    let header = parsed(&written(&volume, "a.nii", &WriteOptions::default()))
        .unwrap()
        .header;
    assert_eq!(header.pixdim[0], -1.0);
    assert_eq!(header.quatern, [0.0, 1.0, 0.0]);
    assert_eq!(header.qform().unwrap(), affine.rows());
}

#[test]
fn long_axes_need_version_two() {
    let volume = Volume::new(&[40_000, 1], Samples::U8(vec![3; 40_000]), oblique()).unwrap();
    let image = parsed(&written(&volume, "a.nii", &WriteOptions::default())).unwrap();
    assert_eq!(image.header.version, Version::Two);
    assert_eq!(image.volume, volume);
    let options = WriteOptions {
        version: Some(Version::One),
        ..WriteOptions::default()
    };
    assert_eq!(
        refused(&volume, &options),
        "shape to write as NIfTI-1: expected at most 32767 voxels along each axis (NIfTI-2 has no \
         such limit), found [40000, 1]"
    );
}

#[test]
fn automatic_scaling_uses_the_whole_type() {
    let volume = floats(&[-1.0, 0.25, 3.0]);
    let options = encoded(Encoding::Automatic(SampleType::UInt8));
    let read = parsed(&written(&volume, "a.nii", &options)).unwrap().volume;
    // From −1 in steps of a little over 4/255: 1.25 / (4/255) = 79.7.
    assert_eq!(read.samples(), &Samples::U8(vec![0, 80, 255]));
    let options = encoded(Encoding::Automatic(SampleType::Int16));
    let read = parsed(&written(&volume, "a.nii", &options)).unwrap().volume;
    // About the middle, 1, in steps of a little over 2/32767: −0.75 / (2/32767) = −12287.6.
    assert_eq!(read.samples(), &Samples::I16(vec![-32767, -12288, 32767]));
}

#[test]
fn whole_numbers_that_fit_are_not_scaled() {
    let labels = floats(&[0.0, 1.0, 255.0]);
    let options = encoded(Encoding::Automatic(SampleType::UInt8));
    let read = parsed(&written(&labels, "a.nii", &options)).unwrap().volume;
    assert_eq!(read.scaling(), Scaling::NONE);
    assert_eq!(read.samples(), &Samples::U8(vec![0, 1, 255]));
}

#[test]
fn an_explicit_scaling_is_rounded_before_it_is_used() {
    let scaling = Scaling {
        slope: 0.1,
        intercept: -1000.0,
    };
    let volume = floats(&[-1000.0, 100.0, 2276.7]);
    let options = encoded(Encoding::Scaled(SampleType::Int16, scaling));
    let read = parsed(&written(&volume, "a.nii", &options)).unwrap().volume;
    assert_eq!(read.samples(), &Samples::I16(vec![0, 11_000, 32_767]));
    assert_eq!(read.scaling().slope, f64::from(0.1_f32));
}

#[rstest]
#[case(&[1.0, f64::NAN], Encoding::Unscaled(SampleType::Int16), "NaN")]
#[case(&[1.0, f64::NAN], Encoding::Automatic(SampleType::Int16), "NaN")]
#[case(&[f64::INFINITY, 0.0], Encoding::Automatic(SampleType::UInt8), "0 to inf")]
#[case(&[-1.0, 7.0], Encoding::Unscaled(SampleType::UInt16), "-1 to 7")]
#[case(&[0.0, 255.5], Encoding::Unscaled(SampleType::UInt8), "0 to 255.5")]
fn numbers_that_do_not_fit_are_refused(
    #[case] values: &[f64],
    #[case] encoding: Encoding,
    #[case] found: &str,
) {
    let error = refused(&floats(values), &encoded(encoding));
    assert!(
        error.starts_with("values to store: expected numbers that"),
        "{error}"
    );
    assert!(error.ends_with(&format!("found {found}")), "{error}");
}

#[test]
fn scalings_beyond_single_precision_need_version_two() {
    let scaling = Scaling {
        slope: 1e-60,
        intercept: 0.0,
    };
    let volume = floats(&[1e-60, 3e-60]);
    let options = encoded(Encoding::Scaled(SampleType::UInt8, scaling));
    let error = refused(&volume, &options);
    assert!(error.contains("single precision"), "{error}");
    let options = WriteOptions {
        version: Some(Version::Two),
        ..options
    };
    let read = parsed(&written(&volume, "a.nii", &options)).unwrap().volume;
    assert_eq!(read.samples(), &Samples::U8(vec![1, 3]));
}

#[test]
fn half_precision_becomes_single() {
    let halves = vec![f16::from_f32(0.5), f16::MAX, f16::NEG_INFINITY];
    let volume = Volume::new(&[3, 1], Samples::F16(halves), oblique()).unwrap();
    let read = parsed(&written(&volume, "a.nii", &WriteOptions::default()))
        .unwrap()
        .volume;
    let expected = vec![0.5, 65504.0, f32::NEG_INFINITY];
    assert_eq!(read.samples(), &Samples::F32(expected));
    let error = refused(&volume, &encoded(Encoding::Unscaled(SampleType::Float16)));
    assert!(error.contains("found float16"), "{error}");
}

#[test]
fn complex_images_stay_complex() {
    let values = vec![num_complex::Complex::new(1.0_f32, -2.0)];
    let volume = Volume::new(&[1, 1], Samples::Complex64(values), oblique()).unwrap();
    let wide = encoded(Encoding::Unscaled(SampleType::Complex128));
    let read = parsed(&written(&volume, "a.nii", &wide)).unwrap().volume;
    let expected = vec![num_complex::Complex::new(1.0_f64, -2.0)];
    assert_eq!(read.samples(), &Samples::Complex128(expected));
    let error = refused(&volume, &encoded(Encoding::Automatic(SampleType::Int16)));
    assert!(error.contains("complex"), "{error}");
}

#[test]
fn scaled_complex_numbers_keep_both_parts() {
    let values = vec![num_complex::Complex::new(1.0_f32, -2.0)];
    let scaling = Scaling {
        slope: 0.5,
        intercept: 3.0,
    };
    let volume = Volume::new(&[1, 1], Samples::Complex64(values.clone()), oblique())
        .and_then(|volume| volume.with_scaling(scaling))
        .unwrap();
    let kept = parsed(&written(&volume, "a.nii", &WriteOptions::default())).unwrap();
    assert_eq!(kept.volume.samples(), &Samples::Complex64(values));
    assert_eq!(kept.volume.scaling(), scaling);
    for kind in [SampleType::Complex64, SampleType::Complex128] {
        let bytes = written(&volume, "a.nii", &encoded(Encoding::Unscaled(kind)));
        let read = parsed(&bytes).unwrap().volume;
        let wide = read.to_type(SampleType::Complex128).unwrap();
        // 1 · 0.5 + 3 and −2 · 0.5.
        let expected = vec![num_complex::Complex::new(3.5_f64, -1.0)];
        assert_eq!(wide.samples(), &Samples::Complex128(expected), "{kind}");
        assert_eq!(read.scaling(), Scaling::NONE);
    }
}

#[test]
fn integers_of_sixty_four_bits_keep_all_digits() {
    let whole = vec![(1_i64 << 53) + 1, i64::MAX];
    let volume = Volume::new(&[2, 1], Samples::I64(whole), oblique()).unwrap();
    for encoding in [Encoding::Unscaled, Encoding::Automatic] {
        let bytes = written(&volume, "a.nii", &encoded(encoding(SampleType::UInt64)));
        let read = parsed(&bytes).unwrap().volume;
        let expected = vec![(1_u64 << 53) + 1, i64::MAX.unsigned_abs()];
        assert_eq!(read.samples(), &Samples::U64(expected));
    }
}

#[test]
fn finite_numbers_do_not_become_infinite() {
    let single = encoded(Encoding::Unscaled(SampleType::Float32));
    let error = refused(&floats(&[0.0, 1e300]), &single);
    assert!(error.contains("numbers that float32 can hold"), "{error}");
    let read = parsed(&written(&floats(&[f64::INFINITY, 1.0]), "a.nii", &single)).unwrap();
    let expected = Samples::F32(vec![f32::INFINITY, 1.0]);
    assert_eq!(read.volume.samples(), &expected);
}

#[test]
fn colours_and_vectors_take_their_own_forms() {
    let colours = Volume::with_components(&[2, 1], 3, Samples::U8((0..6).collect()), oblique());
    let header = parsed(&written(
        &colours.unwrap(),
        "a.nii",
        &WriteOptions::default(),
    ))
    .unwrap()
    .header;
    assert_eq!(
        (header.datatype, header.bitpix, header.dim[0]),
        (128, 24, 2)
    );

    let samples = Samples::I16((0..6).collect());
    let vectors = Volume::with_components(&[2, 1, 1], 3, samples, oblique()).unwrap();
    let bytes = written(&vectors, "a.nii", &WriteOptions::default());
    let image = parsed(&bytes).unwrap();
    assert_eq!(image.header.dim, [5, 2, 1, 1, 1, 3, 1, 1]);
    assert_eq!(image.header.intent_code, 1007);
    // Plane after plane in the file: both first components, then both second ones.
    let stored: Vec<u8> = bytes[352..].iter().step_by(2).copied().collect();
    assert_eq!(stored, [0, 3, 1, 4, 2, 5]);
    assert_eq!(image.volume, vectors);

    let five = Samples::I16((0..2).collect());
    let five = Volume::with_components(&[1, 1, 1, 1, 1], 2, five, oblique()).unwrap();
    let error = refused(&five, &WriteOptions::default());
    assert!(error.starts_with("image of vectors to write"), "{error}");
}

#[rstest]
#[case("a.png", WriteOptions::default(), "name of an image to write")]
#[case("a.nii", WriteOptions { level: 10, ..WriteOptions::default() }, "level of compression")]
#[case("a.nii", WriteOptions { descrip: "x".repeat(80), ..WriteOptions::default() }, "descrip")]
fn options_out_of_range_are_refused(
    #[case] name: &str,
    #[case] options: WriteOptions,
    #[case] subject: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let error = nifti::write(&path, &counting(&[2, 2]), &options).unwrap_err();
    assert!(error.to_string().starts_with(subject), "{error}");
}

#[test]
fn data_follow_the_extensions_at_a_multiple_of_sixteen() {
    let options = WriteOptions {
        extensions: vec![Extension::text(6, "seventeen letters")],
        ..WriteOptions::default()
    };
    let bytes = written(&counting(&[2, 1]), "a.nii", &options);
    // 348 + 4, then 8 + 17 filled up to 32.
    assert_eq!(bytes.len(), 352 + 32 + 4);
    assert_eq!(bytes[352..360], [32, 0, 0, 0, 6, 0, 0, 0]);
    let image = parsed(&bytes).unwrap();
    assert_eq!(image.header.vox_offset, 384.0);
    assert_eq!(image.extensions[0].trimmed(), b"seventeen letters");
}

#[test]
fn places_in_other_units_become_millimetres() {
    let mut bytes = written(&counting(&[2, 2, 2]), "a.nii", &WriteOptions::default());
    for (unit, factor) in [(1, 1000.0), (3, 0.001), (0, 1.0)] {
        bytes[123] = unit;
        let image = parsed(&bytes).unwrap();
        let rows = oblique().rows().map(|row| row.map(|value| value * factor));
        assert_eq!(image.volume.affine().rows(), rows);
        assert_eq!(image.header.srow, oblique().rows());
    }
}
