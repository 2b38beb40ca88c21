//! Files in the layout of fastMRI, written by h5py.

use super::golden::unit;
use ctl_imaging::ImagingError;
use ctl_imaging::fastmri::{FastMri, FastMriAttribute, Reconstruction};
use ctl_imaging::kspace::Complex;
use ctl_imaging::volume::SampleType;
use std::path::{Path, PathBuf};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/fastmri")
        .join(name)
}

/// The number at a place of `kspace`, as the script counts them.
fn at(coils: usize, [slice, coil, row, column]: [usize; 4]) -> Complex<f32> {
    let number = (((slice * coils + coil) * 8 + row) * 6 + column) as f32;
    Complex::new(number, -0.5 * number)
}

#[test]
fn slices_of_kspace_are_read_one_by_one() {
    for (name, coils, rank) in [
        ("multicoil.h5", 2, 4),
        ("chunked.h5", 2, 4),
        ("singlecoil.h5", 1, 3),
    ] {
        let file = FastMri::open(&golden(name)).unwrap();
        assert_eq!(file.kspace_shape().unwrap().len(), rank, "{name}");
        for slice in 0..3 {
            let read = file.kspace(slice).unwrap();
            assert_eq!((read.count(), read.size()), (coils, (8, 6)), "{name}");
            for (coil, plane) in read.planes().enumerate() {
                assert_eq!(plane[0], at(coils, [slice, coil, 0, 0]), "{name}");
                assert_eq!(plane[7 * 6 + 5], at(coils, [slice, coil, 7, 5]), "{name}");
            }
        }
        let text = file.kspace(3).unwrap_err().to_string();
        assert!(
            text.contains("a slice of `kspace` below 3, found 3"),
            "{text}"
        );
    }
}

#[test]
fn reconstructions_are_volumes() {
    let file = FastMri::open(&golden("chunked.h5")).unwrap();
    let volume = file
        .reconstruction(Reconstruction::RootSumOfSquares, unit())
        .unwrap()
        .unwrap();
    assert_eq!(volume.shape(), [6, 6, 3]);
    // Column 2 of row 4 of slice 1.
    assert_eq!(volume.value(&[2, 4, 1]), Some(62.0));
    assert_eq!(
        file.reconstruction(Reconstruction::EmulatedSingleCoil, unit())
            .unwrap(),
        None
    );

    let single = FastMri::open(&golden("singlecoil.h5")).unwrap();
    let volume = single
        .reconstruction(Reconstruction::EmulatedSingleCoil, unit())
        .unwrap()
        .unwrap();
    assert_eq!(volume.sample_type(), SampleType::Float64);
    assert_eq!(volume.value(&[5, 5, 2]), Some(107.0));
}

#[test]
fn headers_masks_and_attributes_are_told() {
    for name in ["multicoil.h5", "chunked.h5", "singlecoil.h5"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        let file = FastMri::parse(bytes, Path::new(name)).unwrap();
        let mask = file.mask().unwrap().unwrap();
        assert_eq!(mask, [true, false, true, false, true, false], "{name}");
        let encoding = file.encoding().unwrap();
        assert_eq!(encoding.encoded.matrix, [8, 6, 1]);
        assert_eq!(encoding.encoded.field_of_view.to_vec(), [280.0, 161.5, 4.5]);
        assert_eq!(file.spacing(), Some([25.0, 20.0, 4.5]));
        let attribute = |name: &str| file.attributes().get(name).cloned();
        assert_eq!(
            attribute("max"),
            Some(FastMriAttribute::Number(107.0)),
            "{name}"
        );
        assert_eq!(attribute("norm"), Some(FastMriAttribute::Number(12.5)));
        let text = |text: &str| Some(FastMriAttribute::Text(text.to_owned()));
        assert_eq!(attribute("patient_id"), text("simulated-1"), "{name}");
        assert_eq!(attribute("acquisition"), text("CORPD_FBK"));
    }
}

#[test]
fn other_layouts_are_refused() {
    let text = FastMri::open(&golden("raw.h5")).unwrap_err().to_string();
    assert!(text.contains("ISMRMRD raw data"), "{text}");
    let double = FastMri::open(&golden("double.h5")).unwrap();
    let text = double.kspace(0).unwrap_err().to_string();
    assert!(text.contains("pairs r, i of float32 as `kspace`"), "{text}");
    let script = golden("../make_volume_formats.py");
    let text = FastMri::open(&script).unwrap_err().to_string();
    assert!(text.contains("an HDF5 file"), "{text}");
    assert!(matches!(
        FastMri::open(&golden("none.h5")),
        Err(ImagingError::Io { .. })
    ));
}

/// Reads everything that a file offers.
pub(crate) fn read_everything(bytes: Vec<u8>) -> ctl_imaging::Result<()> {
    let file = FastMri::parse(bytes, Path::new("x.h5"))?;
    let shape = file.kspace_shape()?;
    for slice in 0..shape[0].min(8) {
        file.kspace(slice)?;
    }
    for which in [
        Reconstruction::RootSumOfSquares,
        Reconstruction::EmulatedSingleCoil,
    ] {
        file.reconstruction(which, unit())?;
    }
    file.mask()?;
    Ok(())
}

#[test]
fn truncated_files_are_refused() {
    for name in ["multicoil.h5", "chunked.h5", "singlecoil.h5"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        read_everything(bytes.clone()).unwrap();
        for cut in (0..bytes.len()).step_by(197) {
            assert!(
                read_everything(bytes[..cut].to_vec()).is_err(),
                "{name} {cut}"
            );
        }
    }
}
