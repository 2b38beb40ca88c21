//! A cohort on disk is one that the imaging crate and the advice read back.

use std::fs;

use ctl_graph::DiagramFile;
use ctl_imaging::{Cohort, VerifyOptions, verify};
use ctl_phantom::{PhantomError, PhantomSpec, SiteRole};

use super::{cohort, only};

#[test]
fn reads_back_as_what_it_was() {
    let spec = PhantomSpec {
        size: 32,
        patients_per_site: 4,
        source_sites: 2,
        seed: u64::MAX,
        dials: only("prevalence", 1.0),
        ..PhantomSpec::default()
    };
    let cohort = cohort(&spec);
    let parent = tempfile::tempdir().expect("a folder can be made");
    let dir = parent.path().join("brain");
    cohort.write(&dir).expect("it can be written");
    let text = |name: &str| fs::read_to_string(dir.join(name)).expect("it is there");
    let diagram = DiagramFile::parse(&text("diagram.toml")).expect("it reads back");
    assert_eq!(&diagram, cohort.diagram());
    let read: PhantomSpec = serde_json::from_str(&text("spec.json")).expect("it is JSON");
    assert_eq!(read, spec);
    let noises = text("noises.csv");
    let mut first = noises.lines().nth(1).expect("a row").split(',');
    assert_eq!(first.next(), Some(cohort.samples()[0].id.as_str()));
    let numbers: Vec<f64> = first.map(|n| n.parse().expect("a number")).collect();
    assert_eq!(numbers, cohort.samples()[0].noises);
    let report = verify(&dir, &VerifyOptions::default()).expect("it can be read");
    assert!(report.is_clean(), "{:?}", report.problems);
    let opened = Cohort::open(&dir).expect("it is a cohort");
    assert_eq!(opened.sites(), ["source-1", "source-2", "target"]);
    let is_given = |role| matches!(role, SiteRole::Source | SiteRole::Target);
    let given = cohort
        .samples()
        .iter()
        .filter(|s| is_given(cohort.sites()[s.site].role));
    for (record, sample) in opened.records().iter().zip(given) {
        assert_eq!(record.label, Some(sample.label));
        assert_eq!(
            (record.site, &record.patient),
            (sample.site, &sample.patient)
        );
    }
    assert!(matches!(
        cohort.write(&dir),
        Err(PhantomError::Folder(
            ctl_imaging::ImagingError::NotEmpty { .. }
        ))
    ));
}
