//! Cohorts from small files in the format of MNIST, and files that are none.

use std::fs;
use std::path::Path;

use ctl_graph::DiagramFile;
use ctl_imaging::{Cohort, Colour, VerifyOptions, read_raster, verify};
use ctl_phantom::digits::{DigitCohort, DigitError, DigitKind, DigitSample, DigitSpec, ImageCount};
use tempfile::TempDir;

const KINDS: [DigitKind; 4] = [
    DigitKind::Morpho,
    DigitKind::ColoredIrm,
    DigitKind::ColoredDomainbed,
    DigitKind::Rotated,
];

/// Bars of several widths, `train` and `test` of them, labelled 0, 1, 2, … in turn.
fn folder(train: u32, test: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", train), ("t10k", test)] {
        let mut images = header(3, &[count, 28, 28]);
        for image in 0..count as usize {
            let right = 14 + image % 5;
            let lit = |at: usize| (5..22).contains(&(at / 28)) && (11..right).contains(&(at % 28));
            images.extend((0..784).map(|at| if lit(at) { 250 } else { 0 }));
        }
        let mut labels = header(1, &[count]);
        labels.extend((0..count).map(|image| (image % 10) as u8));
        write(&folder, part, "images-idx3", &images);
        write(&folder, part, "labels-idx1", &labels);
    }
    folder
}

fn header(axes: u8, sides: &[u32]) -> Vec<u8> {
    let sides = sides.iter().flat_map(|side| side.to_be_bytes());
    [0, 0, 8, axes].into_iter().chain(sides).collect()
}

fn write(folder: &TempDir, part: &str, what: &str, bytes: &[u8]) {
    fs::write(folder.path().join(format!("{part}-{what}-ubyte")), bytes).unwrap();
}

fn make(folder: &Path, kind: DigitKind) -> Result<DigitCohort, DigitError> {
    DigitCohort::from_idx(folder, &DigitSpec::new(kind))
}

#[test]
fn every_kind_is_made_from_plain_files() {
    let folder = folder(12, 6);
    for (kind, sizes) in
        KINDS
            .into_iter()
            .zip([vec![12, 6], vec![5, 5, 2], vec![6, 6, 6], vec![3; 6]])
    {
        let cohort = make(folder.path(), kind).unwrap();
        let found: Vec<usize> = (0..cohort.sites().len())
            .map(|site| cohort.samples().iter().filter(|s| s.site == site).count())
            .collect();
        assert_eq!(found, sizes, "{kind:?}");
        let count = cohort.samples().len();
        let images = cohort.images(0..count).unwrap();
        assert_eq!(
            images.len(),
            count * cohort.shape().iter().product::<usize>()
        );
        assert!(images.iter().all(|value| (0.0..=1.0).contains(value)));
        for sample in cohort.samples() {
            assert!(sample.label < cohort.classes());
            assert_eq!(sample.noises.len(), cohort.variables().len());
        }
        assert!(cohort.diagram().unwrap().node("image").is_ok());
    }
}

#[test]
fn the_colours_of_a_counterfactual_site_follow_its_flip() {
    let folder = folder(600, 6);
    let cohort = make(folder.path(), DigitKind::ColoredIrm).unwrap();
    let colour = |sample: &DigitSample| cohort.attribute(sample, "colour").unwrap() > 0.5;
    let mut changed = [0; 2];
    for (index, sample) in cohort.samples().iter().enumerate() {
        if sample.site == 0 {
            for (site, changed) in changed.iter_mut().enumerate() {
                let twin = cohort
                    .counterfactual(index, &[("site", site as f64 + 1.0)])
                    .unwrap();
                *changed += usize::from(colour(&twin) != colour(sample));
            }
            // The label passes on what is done to it, since the noise of the colour stays.
            let label = 1 - sample.label;
            let twin = cohort
                .counterfactual(index, &[("label", label as f64)])
                .unwrap();
            assert_eq!(twin.label, label);
            assert_ne!(colour(&twin), colour(sample));
        }
    }
    // From a flip of 0.2 to 0.1 a tenth of 250 colours change, to 0.9 seven tenths.
    assert!((10..=42).contains(&changed[0]), "{changed:?}");
    assert!((140..=210).contains(&changed[1]), "{changed:?}");
}

#[test]
fn wrong_interventions_and_indices_are_errors() {
    let folder = folder(12, 6);
    let cohort = make(folder.path(), DigitKind::Rotated).unwrap();
    let refused = |name: &str, value: f64| cohort.counterfactual(0, &[(name, value)]).unwrap_err();
    assert_eq!(
        refused("thickness", 2.0).to_string(),
        "variable thickness: expected one of site, angle"
    );
    assert!(matches!(refused("digit", 2.0), DigitError::Variable { .. }));
    for (name, value) in [
        ("angle", 400.0),
        ("angle", f64::NAN),
        ("site", 6.0),
        ("site", 0.5),
    ] {
        assert!(
            matches!(refused(name, value), DigitError::Value { .. }),
            "{name} {value}"
        );
    }
    let morpho = make(folder.path(), DigitKind::Morpho).unwrap();
    for (name, value) in [("thickness", -1.0), ("intensity", 256.0)] {
        let error = morpho.counterfactual(0, &[(name, value)]).unwrap_err();
        assert!(matches!(error, DigitError::Value { .. }), "{name} {value}");
    }
    assert!(matches!(
        cohort.image(18),
        Err(DigitError::NoSuchSample {
            index: 18,
            count: 18
        })
    ));
    assert!(cohort.images(17..19).is_err());
    let mut foreign = cohort.samples()[0].clone();
    foreign.source = 1000;
    assert!(cohort.render(&foreign).is_err());
    foreign.source = 0;
    foreign.attributes.clear();
    assert!(matches!(
        cohort.render(&foreign),
        Err(DigitError::Variable { .. })
    ));
}

#[test]
fn files_that_are_no_digits_are_errors() {
    let refused = |part: &str, what: &str, bytes: &[u8]| {
        let folder = folder(12, 6);
        write(&folder, part, what, bytes);
        make(folder.path(), DigitKind::Morpho).unwrap_err()
    };
    let mut small = header(3, &[1, 2, 2]);
    small.extend([1, 2, 3, 4]);
    assert!(matches!(
        refused("train", "images-idx3", &small),
        DigitError::Content { .. }
    ));
    let mut few = header(1, &[2]);
    few.extend([1, 2]);
    assert!(matches!(
        refused("t10k", "labels-idx1", &few),
        DigitError::Content { .. }
    ));
    let mut eleven = header(1, &[6]);
    eleven.extend([1, 2, 3, 4, 5, 11]);
    let error = refused("t10k", "labels-idx1", &eleven);
    assert!(
        error
            .to_string()
            .ends_with("expected digits from 0 to 9, found 11"),
        "{error}"
    );
    assert!(matches!(
        refused("train", "images-idx3", b"none"),
        DigitError::Read(_)
    ));

    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        make(empty.path(), DigitKind::Morpho),
        Err(DigitError::Read(_))
    ));
    let few = folder(3, 1);
    let error = make(few.path(), DigitKind::Rotated).unwrap_err();
    assert!(
        error.to_string().contains("enough digits for 6 sites"),
        "{error}"
    );
    let spec = DigitSpec {
        images: ImageCount::AtMost(0),
        ..DigitSpec::new(DigitKind::Morpho)
    };
    assert!(matches!(
        DigitCohort::from_idx(few.path(), &spec),
        Err(DigitError::Setting { key: "images", .. })
    ));
}

/// The folder is a cohort: it verifies pixel by pixel, and its images are those that were drawn.
#[test]
fn every_kind_is_written_as_a_cohort() {
    let source = folder(12, 6);
    for kind in KINDS {
        let cohort = make(source.path(), kind).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("digits");
        cohort.write(&dir).unwrap();
        let options = VerifyOptions {
            decode: true,
            ..VerifyOptions::default()
        };
        let report = verify(&dir, &options).unwrap();
        assert!(report.is_clean(), "{kind:?}: {:?}", report.problems);
        let opened = Cohort::open(&dir).unwrap();
        assert_eq!(opened.len(), cohort.samples().len());
        assert_eq!(opened.classes().len(), cohort.classes());
        assert!(opened.attribute_inputs().is_empty());
        let mut sites = cohort.sites().to_vec();
        sites.sort_unstable();
        let mut found = opened.sites().to_vec();
        found.sort_unstable();
        assert_eq!(found, sites);
        for (index, record) in opened.records().iter().enumerate() {
            assert_eq!(record.label, Some(cohort.samples()[index].label));
            let colour = if cohort.shape()[0] > 1 {
                Colour::Rgb
            } else {
                Colour::Grey
            };
            let raster = read_raster(&dir.join(&record.path), colour).unwrap();
            let drawn = cohort.image(index).unwrap();
            for (found, expected) in raster.samples().iter().zip(drawn) {
                assert!((found - expected).abs() <= 0.5 / 255.0 + 1e-6);
            }
        }
        let text = fs::read_to_string(dir.join("diagram.toml")).unwrap();
        let study = DiagramFile::parse(&text).unwrap();
        assert_eq!(study.diagram(), &cohort.diagram().unwrap());
        let again = cohort.write(&dir).unwrap_err();
        assert!(again.to_string().contains("not empty"), "{again}");
    }
}
