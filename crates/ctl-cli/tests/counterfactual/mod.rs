//! A model of a small cohort, from its file to pictures and scores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use ctl_counterfactual::Records;
use ctl_harness::counterfactual::{Study, StudyFile};
use rstest::rstest;

use crate::support::{cohort, ctl, stderr};

const MODEL: &str = r#"
schema = 1
edges = "site -> image; label -> image; age -> label; age -> image"
[nodes.site]
kind = "categorical"
[nodes.label]
kind = "categorical"
[nodes.age]
kind = "continuous"
lower = 0
upper = 130
[nodes.image]
kind = "image"
size = [16, 16]
[image]
mechanism = "vae"
widths = [4, 8]
hidden = 16
latent = 4
[training.attributes]
steps = 20
batch = 16
[training.image]
steps = 12
batch = 8
"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        cohort(&folder.path().join("cohort"), 12);
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn train(&self, text: &str) -> Output {
        std::fs::write(self.path("model.toml"), text).unwrap();
        let [file, data, out] = ["model.toml", "cohort", "model"].map(|name| self.path(name));
        ctl(&[
            "counterfactual",
            "train",
            &file,
            "--data",
            &data,
            "--out",
            &out,
        ])
    }
}

fn ask(words: &[&str]) -> Output {
    ctl(&[&["counterfactual"][..], words].concat())
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn pixels(path: &Path) -> Vec<f32> {
    let raster = ctl_imaging::read_raster(path, ctl_imaging::Colour::Grey).unwrap();
    raster.samples().to_vec()
}

#[test]
fn from_a_cohort_to_pictures_and_scores() {
    let place = Place::new();
    let trained = said(&place.train(MODEL));
    for words in ["age: log p", "site: log p", "image: 12 updates"] {
        assert!(trained.contains(words), "{trained}");
    }
    // Everything is done already: the same words, at once.
    assert_eq!(said(&place.train(MODEL)), trained);
    let [model, data, out] = ["model", "cohort", "edited"].map(|name| place.path(name));
    let manifest = std::fs::read_to_string(place.path("cohort/manifest.csv")).unwrap();
    let image = manifest.lines().nth(1).unwrap().split(',').next().unwrap();
    let words = [
        "edit", &model, image, "--data", &data, "--do", "age=400", "--out", &out,
    ];
    let refused = ask(&words);
    assert_eq!(refused.status.code(), Some(2));
    let message = stderr(&refused);
    assert!(
        message.contains("age: expected a number between 0 and 130, found 400"),
        "{message}"
    );
    assert!(!Path::new(&out).exists());
    let words = [
        "edit", &model, image, "--data", &data, "--do", "age=129", "--out", &out, "--json",
    ];
    let edited = ask(&words);
    let told = stderr(&edited);
    assert_eq!(
        told.matches("age = 129 lies").count(),
        1,
        "said once: {told}"
    );
    assert!(
        told.contains("age = 129 lies") && told.contains("extrapolation"),
        "{told}"
    );
    let edited: serde_json::Value = serde_json::from_str(&said(&edited)).unwrap();
    assert_eq!(edited["acts"], "do(age = 129.0000)");
    let picture = |name: &str| pixels(&PathBuf::from(&out).join(name));
    assert_eq!(picture("counterfactual.png").len(), 16 * 16);
    assert_eq!(picture("sheet.png").len(), 16 * (4 * 16 + 3 * 2));
    // The picture alone, with its attributes by hand, is the same image at the same size.
    let file = format!("{data}/{image}");
    let by_hand = place.path("by-hand");
    let words = [
        "edit", &model, &file, "--fact", "age=50", "--fact", "label=0", "--do", "age=60", "--out",
        &by_hand,
    ];
    let refused = ask(&words);
    let message = stderr(&refused);
    assert!(
        message.contains("node site: expected a column of values, found none"),
        "{message}"
    );

    let scored = ask(&[
        "score", &model, "--data", &data, "--images", "8", "--steps", "10", "--json",
    ]);
    let card: serde_json::Value = serde_json::from_str(&said(&scored)).unwrap();
    assert_eq!(card["composition"].as_array().unwrap().len(), 10);
    let interventions = card["interventions"].as_array().unwrap();
    let names: Vec<&str> = interventions
        .iter()
        .map(|i| i["attribute"].as_str().unwrap())
        .collect();
    assert_eq!(
        BTreeSet::from_iter(names),
        BTreeSet::from(["age", "label", "site"])
    );
    assert!(interventions[0]["realism"]["frechet"].as_f64().unwrap() > 0.0);
    assert!(card["calibration"]["age"].as_f64().unwrap() <= 1.0);

    let drawn = place.path("drawn");
    let words = [
        "sample", &model, "--count", "5", "--do", "age=50", "--out", &drawn,
    ];
    said(&ask(&words));
    let manifest = std::fs::read_to_string(place.path("drawn/manifest.csv")).unwrap();
    assert_eq!(manifest.lines().count(), 6);
    assert!(
        manifest
            .lines()
            .skip(1)
            .all(|line| line.contains(",50,") || line.ends_with(",50") || line.contains(",50\r")),
        "{manifest}"
    );
    let again = ask(&words);
    assert!(
        stderr(&again).contains("is there already"),
        "{}",
        stderr(&again)
    );
    // What was drawn is a cohort.
    let verified = ctl(&["data", "verify", &drawn]);
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[rstest]
#[case("[nodes.age]", "[nodes.weight]", 2, "weight")]
#[case(
    "size = [16, 16]",
    "lower = 1",
    2,
    "nodes.image.lower: is not a key of this kind"
)]
#[case("size = [16, 16]", "size = [18, 16]", 3, "positive multiples of 2")]
#[case(
    "mechanism = \"vae\"",
    "mechanism = \"gan\"",
    2,
    "unknown variant `gan`"
)]
#[case(
    "latent = 4",
    "latent = 4\nbeta = -1.0",
    2,
    "vae: beta must be finite and at least 0"
)]
#[case(
    "upper = 130",
    "upper = 30",
    3,
    "column age: age: expected a number between 0 and 30"
)]
#[case(
    "kind = \"categorical\"",
    "kind = \"categorical\"\ncategories = [\"north\", \"south\"]",
    3,
    "column site: site: expected one of the categories north, south"
)]
#[case("label -> image", "image -> label", 2, "no children of the image")]
#[case(
    "mechanism = \"vae\"\nwidths = [4, 8]\nhidden = 16\nlatent = 4",
    "mechanism = \"flow\"\n[fine-tuning]\nsteps = 4",
    2,
    "fine-tuning: mechanism must be vae or hvae, found flow: its inversion is exact"
)]
#[case(
    "[training.image]",
    "[fine-tuning]\nmargin = -1\n[training.image]",
    2,
    "fine-tuning: margin must be finite and at least 0, found -1"
)]
#[case(
    "[training.image]",
    "[fine-tuning]\nlearning_rate = 1\n[training.image]",
    2,
    "unknown field `learning_rate`"
)]
#[case("schema = 1", "schema = 7", 2, "schema: 7 is not known, expected 1")]
fn ill_models_are_refused(
    #[case] old: &str,
    #[case] new: &str,
    #[case] code: i32,
    #[case] expected: &str,
) {
    let place = Place::new();
    assert!(MODEL.contains(old));
    let refused = place.train(&MODEL.replacen(old, new, 1));
    let message = stderr(&refused);
    assert!(message.contains(expected), "{message}");
    assert_eq!(refused.status.code(), Some(code), "{message}");
    assert!(
        !Path::new(&place.path("model")).exists(),
        "nothing is left behind"
    );
}

/// A model that is trained is fine-tuned once its file says so, and not again.
#[test]
fn trained_models_are_fine_tuned() {
    const TUNING: &str = r#"
[fine-tuning]
steps = 6
batch = 4
attributes = ["age", "site"]
margin = 0.5
[fine-tuning.predictors]
widths = [4]
hidden = 8
steps = 5
"#;
    let place = Place::new();
    let trained = said(&place.train(MODEL));
    let file = MODEL.to_owned() + TUNING;
    let output = place.train(&file);
    let told = stderr(&output);
    let again = told.lines().any(|line| line.starts_with("image: loss"));
    assert!(!again, "{told}");
    for words in ["predictor of age: loss", "fine-tuning of image: loss"] {
        assert!(told.contains(words), "{told}");
    }
    let tuned = said(&output);
    assert!(
        tuned.contains("fine-tuning: 6 updates, 0 skipped, effectiveness loss"),
        "{tuned}"
    );
    assert_eq!(tuned.lines().count(), trained.lines().count() + 1);
    assert_eq!(said(&place.train(&file)), tuned);
    let refused = place.train(MODEL);
    let message = stderr(&refused);
    assert!(
        message.contains("expected the fine-tuning that was begun there"),
        "{message}"
    );
    let [model, drawn] = ["model", "drawn"].map(|name| place.path(name));
    said(&ask(&["sample", &model, "--count", "2", "--out", &drawn]));
}

/// A cell that holds a marker for what is not known is an error that names its line, and leaves its row
/// out where the model file says so.
#[test]
fn values_that_are_not_known() {
    let place = Place::new();
    let path = place.path("cohort/manifest.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let age = headers.iter().position(|header| header == "age").unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for (row, record) in reader.records().enumerate() {
        let record = record.unwrap();
        let cells = record.iter().enumerate();
        let cells = cells.map(|(column, cell)| {
            if (row, column) == (1, age) {
                "NA"
            } else {
                cell
            }
        });
        writer.write_record(cells).unwrap();
    }
    std::fs::write(&path, writer.into_inner().unwrap()).unwrap();
    let message = stderr(&place.train(MODEL));
    assert!(
        message.contains("line 3, column age: the value is not known"),
        "{message}"
    );
    let kept = MODEL.replacen("schema = 1", "schema = 1\ndrop-missing = true", 1);
    let output = place.train(&kept);
    said(&output);
    assert!(
        stderr(&output).contains("a value is not known: 1 of"),
        "{}",
        stderr(&output)
    );
}

/// The model file of the example is read, and where its cohort is at hand it fits.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn the_model_file_of_the_example_fits_its_cohort() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let name = "examples/counterfactual/films.toml";
    let file = StudyFile::read(&root.join(name)).unwrap();
    let columns: BTreeSet<&str> = file.columns().collect();
    assert_eq!(columns, BTreeSet::from(["label", "site", "view"]));
    assert!(file.fine_tuning.is_some());
    let folder = root.join("../shared/data/cxr_multisite");
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let study = Study::open(&file, name, &folder, 0).unwrap();
    let schema = study.spec().schema().unwrap();
    assert_eq!(schema.image_shape(), Some([1, 64, 64]));
    // Of one site alone the manifest says who is tested; the others are there as well.
    let scored = study.scored().unwrap().records(1_000, 0).unwrap();
    let site = schema.attribute("site").unwrap();
    let sites = scored
        .columns
        .column(site)
        .iter()
        .map(|&site| site as usize);
    assert!(sites.collect::<BTreeSet<usize>>().len() > 3);
}

/// Of a site without a test part some patients are scored, of one that has it those of that part, and
/// nobody is scored who trains, at whichever site.
#[test]
fn sites_without_a_test_part_are_divided_by_patient() {
    let place = Place::new();
    let manifest = place.folder.path().join("cohort/manifest.csv");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap();
    let column = |name: &str| head.split(',').position(|cell| cell == name).unwrap();
    let site = column("site");
    assert!(!head.split(',').any(|cell| cell == "split"));
    let mut count = 0;
    let mut changed = format!("{head},split\n");
    let mut seen = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let is_first = cells[site] == "source-1";
        seen += usize::from(is_first);
        let split = match (cells[site], seen) {
            ("source-1", 1..=3) => "test",
            // All of this site train, as the manifest says.
            ("source-1" | "source-2", _) => "train",
            _ => "",
        };
        changed.extend([line, ",", split, "\n"]);
        count += 1;
    }
    std::fs::write(&manifest, changed).unwrap();
    let file = StudyFile::parse("model.toml", MODEL).unwrap();
    let study = Study::open(&file, "model.toml", &place.folder.path().join("cohort"), 0).unwrap();
    let schema = study.spec().schema().unwrap();
    let site = schema.attribute("site").unwrap();
    let sites = |records: &Records| -> Vec<String> {
        let values = records.columns.column(site).iter();
        values
            .map(|&value| schema.show_value(site, value))
            .collect()
    };
    let trained = sites(&study.training().unwrap().records(1_000, 0).unwrap());
    let tested = sites(&study.scored().unwrap().records(1_000, 0).unwrap());
    assert_eq!(trained.len() + tested.len(), count);
    assert_eq!(tested.iter().filter(|site| *site == "source-1").count(), 3);
    assert!(!tested.contains(&"source-2".to_owned()));
    let is_free = |site: &&String| !["source-1", "source-2"].contains(&site.as_str());
    let others = |sites: Vec<String>| sites.iter().filter(is_free).count();
    let [trained, tested] = [trained, tested].map(others);
    assert!(tested > 1 && trained > tested, "{trained} {tested}");
}
