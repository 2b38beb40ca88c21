//! A written cohort is complete, readable and never half there.

use std::fs;
use std::path::Path;

use ctl_imaging::{AttributeValue, Cohort, Colour, VerifyOptions, read_raster, verify};
use ctl_phantom::{ChestCohort, ChestSpec, PhantomError, simulate_chest};

fn cohort() -> ChestCohort {
    let spec = ChestSpec {
        size: 20,
        images_per_site: 3,
        seed: u64::MAX,
        confounding: 1.0,
        ..ChestSpec::default()
    };
    simulate_chest(&spec).expect("the specification is valid")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the file was written")
}

#[test]
fn the_manifest_has_a_line_and_an_image_for_every_sample() {
    let parent = tempfile::tempdir().expect("a folder can be made");
    let dir = parent.path().join("chest");
    let cohort = cohort();
    cohort.write(&dir).expect("it can be written");

    let manifest = read(&dir.join("manifest.csv"));
    let lines: Vec<&str> = manifest.lines().collect();
    assert_eq!(lines[0], "path,label,site,patient,age,sex");
    assert_eq!(lines.len(), 1 + cohort.samples.len());
    for (line, sample) in lines[1..].iter().zip(&cohort.samples) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 6, "{line}");
        assert_eq!(cells[1], if sample.label { "1" } else { "0" });
        assert_eq!(cells[2], cohort.sites[sample.site].name);
        assert_eq!(cells[3], sample.patient);
        let age: f64 = cells[4].parse().expect("an age is a number");
        assert!((age - sample.attributes.age).abs() <= 0.05 + 1e-9);
        assert_eq!(cells[5], sample.attributes.sex.letter().to_string());

        let image = read_raster(&dir.join(cells[0]), Colour::Grey).expect("it is an image");
        assert_eq!(image.shape(), [1, 20, 20]);
        for (read, made) in image.samples().iter().zip(&sample.image) {
            assert!(
                (read - made).abs() <= 0.5 / 255.0 + 1e-6,
                "{read} against {made}"
            );
        }
    }
}

#[test]
fn the_cohort_opens_as_it_was_simulated() {
    let parent = tempfile::tempdir().expect("a folder can be made");
    let dir = parent.path().join("chest");
    let made = cohort();
    made.write(&dir).expect("it can be written");

    let report = verify(&dir, &VerifyOptions::default()).expect("it can be read");
    assert!(report.is_clean(), "{:?}", report.problems);
    let read = Cohort::open(&dir).expect("it is a cohort");
    assert_eq!(read.classes(), ["healthy", "diseased"]);
    let names: Vec<&str> = made.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(read.sites(), names);
    assert_eq!(read.records().len(), made.samples.len());
    for (record, sample) in read.records().iter().zip(&made.samples) {
        assert_eq!(record.label, Some(usize::from(sample.label)));
        assert_eq!(record.site, sample.site);
        assert_eq!(record.patient, sample.patient);
        let age = (10.0 * sample.attributes.age).round() / 10.0;
        assert!(
            matches!(record.attributes[0], AttributeValue::Number(read) if (read - age).abs() < 0.051)
        );
    }
}

#[test]
fn nothing_but_the_cohort_is_left_and_the_bytes_repeat() {
    let parent = tempfile::tempdir().expect("a folder can be made");
    for name in ["first", "second"] {
        cohort()
            .write(&parent.path().join(name))
            .expect("it can be written");
    }
    let mut left: Vec<_> = fs::read_dir(parent.path())
        .expect("it is a folder")
        .map(|entry| entry.expect("it can be listed").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["first", "second"]);
    let files = [
        "manifest.csv",
        "cohort.toml",
        "diagram.toml",
        "img/target-00002.png",
    ];
    for file in files {
        let bytes =
            |name: &str| fs::read(parent.path().join(name).join(file)).expect("it is there");
        assert_eq!(bytes("first"), bytes("second"), "{file}");
    }
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let parent = tempfile::tempdir().expect("a folder can be made");
    let dir = parent.path().join("chest");
    fs::create_dir(&dir).expect("a folder can be made");
    // An empty folder is as good as none.
    cohort().write(&dir).expect("it can be written");
    fs::write(dir.join("manifest.csv"), "mine").expect("a file can be written");
    assert!(matches!(cohort().write(&dir), Err(PhantomError::NotEmpty { path }) if path == dir));
    assert_eq!(read(&dir.join("manifest.csv")), "mine");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let parent = tempfile::tempdir().expect("a folder can be made");
    let file = parent.path().join("file");
    fs::write(&file, "in the way").expect("a file can be written");
    assert!(matches!(
        cohort().write(&file),
        Err(PhantomError::Io { .. })
    ));
    assert!(matches!(
        cohort().write(&file.join("below")),
        Err(PhantomError::Io { .. })
    ));
    assert_eq!(
        fs::read_dir(parent.path()).expect("it is a folder").count(),
        1
    );
}
