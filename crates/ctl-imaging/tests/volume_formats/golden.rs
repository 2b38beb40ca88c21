//! Files of other programs with what they hold.

use ctl_imaging::volume::{Affine, Volume};
use ctl_imaging::{metaimage, nrrd};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// Relative rounding of affines that were turned from directions and spacings.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) header: String,
    pub(crate) files: std::collections::BTreeMap<String, String>,
    kind: String,
    shape: Vec<usize>,
    affine: [[f64; 4]; 3],
    components: usize,
    values: Vec<f64>,
    step: Option<f64>,
}

impl Case {
    pub(crate) fn write(&self, folder: &Path) {
        for (name, hex) in &self.files {
            fs::write(folder.join(name), bytes(hex)).unwrap();
        }
    }

    fn check(&self, volume: &Volume) {
        let name = &self.name;
        assert_eq!(volume.shape(), self.shape, "{name}");
        assert_eq!(volume.components(), self.components, "{name}");
        assert_eq!(volume.sample_type().name(), self.kind, "{name}");
        assert_eq!(volume.to_f64(), self.values, "{name}");
        if let Some(step) = self.step {
            assert!((volume.series().step - step).abs() < TOLERANCE, "{name}");
        }
        let rows = volume.affine().rows();
        for (ours, theirs) in rows.as_flattened().iter().zip(self.affine.as_flattened()) {
            let difference = (ours - theirs).abs();
            assert!(
                difference <= TOLERANCE * (1.0 + theirs.abs()),
                "{name}: {ours}, {theirs}"
            );
        }
    }
}

pub(crate) fn nrrd_cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/volume_nrrd.json")).unwrap()
}

pub(crate) fn metaimage_cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/volume_metaimage.json")).unwrap()
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|c| (c as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub(crate) fn unit() -> Affine {
    Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()
}

#[test]
fn nrrd_has_the_values_and_places_that_simpleitk_reads() {
    let cases = nrrd_cases();
    assert_eq!(cases.len(), 41);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let read = nrrd::read_nrrd(&folder.path().join(&case.header));
        case.check(&read.unwrap_or_else(|error| panic!("{}: {error}", case.name)));
    }
}

#[test]
fn metaimage_has_the_values_and_places_that_simpleitk_reads() {
    let cases = metaimage_cases();
    assert_eq!(cases.len(), 35);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let read = metaimage::read_metaimage(&folder.path().join(&case.header));
        case.check(&read.unwrap_or_else(|error| panic!("{}: {error}", case.name)));
    }
}
