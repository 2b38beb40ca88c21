//! Arrays of BART.

use super::golden::unit;
use ctl_imaging::ImagingError;
use ctl_imaging::bart::{BartArray, parse_bart, read_bart, write_bart};
use ctl_imaging::kspace::Complex;
use rstest::rstest;
use std::fs;
use std::path::Path;

fn values(count: usize) -> Vec<Complex<f32>> {
    (0..count)
        .map(|v| Complex::new(v as f32, -0.5 * v as f32))
        .collect()
}

/// Bytes as the format's description says: pairs of little-endian singles.
fn data(count: usize) -> Vec<u8> {
    values(count)
        .iter()
        .flat_map(|v| [v.re, v.im])
        .flat_map(f32::to_le_bytes)
        .collect()
}

#[test]
fn dimensions_stand_below_their_heading() {
    let header =
        b"# Dimensions\n2 3 1 1 1 1 1 1 1 1 1 1 1 1 1 1 \n# Command\nphantom x \n# Files\n";
    let array = parse_bart(header, &data(6), Path::new("x")).unwrap();
    assert_eq!(array.dimensions(), [2, 3]);
    assert_eq!(array.values(), values(6));
    // Older versions of the toolbox wrote the command first.
    let header = b"# Command\nfft 3 \n# Dimensions\n6 \n";
    assert_eq!(
        parse_bart(header, &data(6), Path::new("x"))
            .unwrap()
            .dimensions(),
        [6]
    );
}

#[rstest]
#[case("", "`# Dimensions`")]
#[case("2 3 \n", "`# Dimensions`")]
#[case("# Dimensions", "`# Dimensions`")]
#[case("# Dimensions\n\n", "1 to 16 numbers above 0")]
#[case("# Dimensions\n2 0 \n", "1 to 16 numbers above 0")]
#[case("# Dimensions\n2 -3 \n", "1 to 16 numbers above 0")]
#[case("# Dimensions\n2 x \n", "1 to 16 numbers above 0")]
#[case(
    "# Dimensions\n1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
    "1 to 16 numbers above 0"
)]
#[case(
    "# Dimensions\n4000000000 4000000000 4000000000\n",
    "an array of at most"
)]
#[case(
    "# Dimensions\n1000 1000 100\n",
    "800000000 bytes of data, found 48 (truncated)"
)]
#[case("# Dimensions\n7 \n", "56 bytes of data, found 48 (truncated)")]
#[case("# Dimensions\n5 \n", "the declared bytes of data, found more")]
fn faults_are_named(#[case] header: &str, #[case] message: &str) {
    let error = parse_bart(header.as_bytes(), &data(6), Path::new("x")).unwrap_err();
    assert!(matches!(error, ImagingError::Content { .. }), "{error:?}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn both_files_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.v2");
    write_bart(&BartArray::new(&[2, 1, 1, 3], values(6)).unwrap(), &path).unwrap();
    let header = fs::read_to_string(folder.path().join("scan.v2.hdr")).unwrap();
    assert_eq!(header, "# Dimensions\n2 1 1 3 1 1 1 1 1 1 1 1 1 1 1 1 \n");
    assert_eq!(
        fs::read(folder.path().join("scan.v2.cfl")).unwrap(),
        data(6)
    );
    assert_eq!(read_bart(&path).unwrap().dimensions(), [2, 1, 1, 3]);
    fs::remove_file(folder.path().join("scan.v2.cfl")).unwrap();
    assert!(matches!(read_bart(&path), Err(ImagingError::Io { .. })));
}

#[test]
fn volumes_have_axes_of_space_and_frames() {
    let volume = |dimensions: &[usize]| {
        let count = dimensions.iter().product();
        BartArray::new(dimensions, values(count))
            .unwrap()
            .into_volume(unit())
    };
    assert_eq!(volume(&[2]).unwrap().shape(), [2, 1, 1]);
    // Coils, echoes and times are kept in their order; axes of length 1 are not.
    let mut dimensions = [1; 16];
    (dimensions[0], dimensions[3], dimensions[10]) = (2, 4, 3);
    assert_eq!(volume(&dimensions).unwrap().shape(), [2, 1, 1, 4, 3]);
    assert!(volume(&[1, 1, 1, 2, 2, 2, 2, 2]).is_err());
    assert!(BartArray::new(&[2, 0], Vec::new()).is_err());
    assert!(BartArray::new(&[2; 17], values(4)).is_err());
    assert!(BartArray::new(&[2, 2], values(3)).is_err());
}
