//! What a volume holds, and what it refuses.

use ctl_imaging::ImagingError;
use ctl_imaging::volume::{
    Affine, Orientation, SampleType, Samples, Scaling, SeriesStep, SeriesUnit, Volume,
};
use num_complex::Complex;
use rstest::rstest;

fn unit() -> Affine {
    Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()
}

#[test]
fn the_first_axis_is_fastest_and_components_lie_together() {
    let samples = Samples::U8((0..24).collect());
    let volume = Volume::with_components(&[2, 3, 2], 2, samples, unit()).unwrap();
    // Voxel (1, 2, 1) is number 1 + 2·2 + 6·1 = 11, its first component value 22.
    assert_eq!(volume.value(&[1, 2, 1]), Some(22.0));
    assert_eq!(volume.value(&[1, 3, 1]), None);
    assert_eq!(volume.value(&[1, 2]), None);
    assert_eq!(volume.voxels(), 12);
}

#[test]
fn numbers_are_scaled_before_they_are_rounded() {
    // In single precision 16777217 is 16777216, so casting first would give 8388608.
    let volume = Volume::new(&[1, 1], Samples::I32(vec![16_777_217]), unit())
        .and_then(|volume| {
            volume.with_scaling(Scaling {
                slope: 0.5,
                intercept: -8_388_608.0,
            })
        })
        .unwrap();
    assert_eq!(volume.to_f32(), [0.5]);
    assert_eq!(volume.to_f64(), [0.5]);
    assert_eq!(volume.value(&[0, 0]), Some(0.5));
}

#[test]
fn another_type_holds_the_scaled_numbers_or_is_refused() {
    let volume = Volume::new(&[2, 1], Samples::I16(vec![1, 3]), unit())
        .and_then(|volume| {
            volume.with_scaling(Scaling {
                slope: 100.0,
                intercept: 0.0,
            })
        })
        .unwrap();
    let wide = volume.to_type(SampleType::UInt16).unwrap();
    assert_eq!(wide.samples(), &Samples::U16(vec![100, 300]));
    assert_eq!(wide.scaling(), Scaling::NONE);
    let error = volume.to_type(SampleType::UInt8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "values to store: expected numbers from 0 to 255 for uint8, found 300"
    );
}

#[test]
fn integers_of_sixty_four_bits_keep_all_digits() {
    // Double precision has neither of these; 2⁵³ + 1 would become 2⁵³.
    let whole = vec![(1_i64 << 53) + 1, i64::MAX];
    let volume = Volume::new(&[2, 1], Samples::I64(whole.clone()), unit()).unwrap();
    let unsigned = volume.to_type(SampleType::UInt64).unwrap();
    let expected = vec![(1_u64 << 53) + 1, i64::MAX.unsigned_abs()];
    assert_eq!(unsigned.samples(), &Samples::U64(expected));
    let back = unsigned.to_type(SampleType::Int64).unwrap();
    assert_eq!(back.samples(), &Samples::I64(whole));

    let large = Volume::new(&[1, 1], Samples::U64(vec![u64::MAX]), unit()).unwrap();
    let error = large.to_type(SampleType::Int64).unwrap_err().to_string();
    assert!(
        error.ends_with("for int64, found 18446744073709551615"),
        "{error}"
    );
    let negative = Volume::new(&[1, 1], Samples::I64(vec![-1]), unit()).unwrap();
    assert!(negative.to_type(SampleType::UInt64).is_err());
}

#[test]
fn complex_numbers_are_scaled_in_both_parts_or_refused() {
    let volume = Volume::new(
        &[1, 1],
        Samples::Complex128(vec![Complex::new(1.0, -2.0)]),
        unit(),
    )
    .unwrap();
    let scaled = |slope: f64| {
        let scaling = Scaling {
            slope,
            intercept: 3.0,
        };
        volume.clone().with_scaling(scaling).unwrap()
    };
    let single = scaled(0.5).to_type(SampleType::Complex64).unwrap();
    // The intercept is real.
    assert_eq!(
        single.samples(),
        &Samples::Complex64(vec![Complex::new(3.5, -1.0)])
    );
    let error = scaled(1e300).to_type(SampleType::Complex64).unwrap_err();
    assert!(
        error.to_string().contains("numbers that complex64 has"),
        "{error}"
    );
}

#[rstest]
#[case::no_axes(&[], 1)]
#[case::one_axis(&[4], 4)]
#[case::eight_axes(&[1, 1, 1, 1, 1, 1, 1, 1], 1)]
#[case::an_empty_axis(&[4, 0, 2], 0)]
#[case::too_few_values(&[2, 2], 3)]
#[case::uncountable(&[usize::MAX, 3, 2], 6)]
fn ill_shapes_are_refused(#[case] shape: &[usize], #[case] values: usize) {
    let refused = Volume::new(shape, Samples::U8(vec![0; values]), unit());
    assert!(matches!(refused, Err(ImagingError::Argument { .. })));
}

#[rstest]
#[case::flat([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 2.0, 0.0]])]
#[case::nan([[1.0, 0.0, 0.0, f64::NAN], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])]
#[case::zeros([[0.0; 4]; 3])]
fn affines_that_cannot_be_inverted_are_refused(#[case] rows: [[f64; 4]; 3]) {
    assert!(Affine::new(rows).is_err());
}

#[test]
fn tiny_voxels_are_not_taken_for_flat_ones() {
    let affine = Affine::from_spacing([1e-6, 1e-6, 1e-6], [0.0; 3]).unwrap();
    assert!(
        affine
            .spacing()
            .iter()
            .all(|side| (side - 1e-6).abs() < 1e-18)
    );
}

#[rstest]
#[case(0.0, 0.0)]
#[case(f64::NAN, 0.0)]
#[case(1.0, f64::INFINITY)]
fn ill_scalings_are_refused(#[case] slope: f64, #[case] intercept: f64) {
    let volume = Volume::new(&[1, 1], Samples::U8(vec![0]), unit()).unwrap();
    assert!(volume.with_scaling(Scaling { slope, intercept }).is_err());
}

#[test]
fn a_series_knows_its_step() {
    let step = SeriesStep {
        step: 2.5,
        unit: SeriesUnit::Second,
    };
    let volume = Volume::new(&[1, 1, 1, 2], Samples::U8(vec![0; 2]), unit()).unwrap();
    assert_eq!(volume.frames(), 2);
    assert_eq!(volume.with_series(step).unwrap().series(), step);
}

#[test]
fn there_are_forty_eight_orientations() {
    let all = Orientation::all();
    let codes: std::collections::BTreeSet<String> = all.iter().map(Orientation::codes).collect();
    assert_eq!(codes.len(), 48);
    for orientation in all {
        assert_eq!(
            Orientation::parse(&orientation.codes()).unwrap(),
            orientation
        );
    }
}

#[test]
fn an_oblique_affine_is_named_after_its_closest_axes() {
    // 30° about the head–foot axis: x of the image runs mostly to the left.
    let (sin, cos) = 30_f64.to_radians().sin_cos();
    let affine = Affine::new([
        [-2.0 * cos, -2.0 * sin, 0.0, 7.0],
        [-2.0 * sin, 2.0 * cos, 0.0, 8.0],
        [0.0, 0.0, -5.0, 9.0],
    ])
    .unwrap();
    assert_eq!(affine.axis_codes(), "LAI");
    let [x, y, z] = affine.spacing();
    assert!((x - 2.0).abs() < 1e-12 && (y - 2.0).abs() < 1e-12 && (z - 5.0).abs() < 1e-12);
    assert!((affine.voxel_volume() - 20.0).abs() < 1e-12);
}
