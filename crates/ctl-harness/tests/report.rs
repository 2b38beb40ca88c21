//! The report of a sweep that was made up, so that what it must say is known.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ctl_harness::record::{Counts, RECORD_SCHEMA, Record, Selection, Status};
use ctl_harness::report::{Format, terminal_rows, write};
use ctl_harness::spec::{CohortSpec, RunSpec, SPEC_SCHEMA, Training};
use ctl_harness::store::{write_atomically, write_json_atomically};
use ctl_harness::sweep::{Example, Examples, Layout, SWEEP_SCHEMA, SweepInfo};
use ctl_harness::table::Table;
use ctl_harness::vocabulary::{Protocol, Selector, Shift, Task};
use ctl_harness::{HarnessError, Registry};

const SEEDS: u64 = 3;
const HOSTILE: &str = "<script>alert(1)</script>|x";

/// Gain of a method over ERM on the target, under validation and under the oracle.
type Gains<'a> = &'a [(&'a str, f64, f64)];

/// A sweep folder in the making.
struct Made {
    folder: tempfile::TempDir,
    info: SweepInfo,
    protocol: Protocol,
    simulated: bool,
    target_by_class: [usize; 2],
}

impl Made {
    fn new() -> Self {
        let info = SweepInfo {
            schema: SWEEP_SCHEMA,
            suite: "made-up".into(),
            title: "Chest films at another hospital".into(),
            description: format!("A cohort is called {HOSTILE}."),
            resolved: "name = \"made-up\"\nseeds = 3\n".into(),
            command: "cargo xtask benchmark --suite made-up".into(),
            skipped: vec!["cohort films: site c has one class only".into()],
            runs: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            info,
            protocol: Protocol::LeaveOneSiteOut,
            simulated: false,
            target_by_class: [20, 20],
        }
    }

    /// How the cells that follow are made.
    fn of_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How many scored images the cells that follow have.
    fn with_counts(mut self, target_by_class: [usize; 2]) -> Self {
        self.target_by_class = target_by_class;
        self
    }

    fn simulated(mut self) -> Self {
        self.simulated = true;
        self
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Every method in every cell with every seed.
    fn with_runs(mut self, cells: &[(&str, &str)], gains: Gains<'_>) -> Self {
        for (index, (cohort, target)) in cells.iter().enumerate() {
            for (method, gain, oracle) in gains {
                for seed in 0..SEEDS {
                    let mut spec = spec(method, cohort, target, seed);
                    spec.protocol = self.protocol;
                    if self.simulated {
                        spec.data = CohortSpec::Phantom {
                            spec: ctl_phantom::PhantomSpec::default(),
                        };
                    }
                    let base = 0.70 - 0.04 * index as f64 + 0.01 * seed as f64;
                    let noise = noise(method, index as u64 + seed * SEEDS);
                    self.add(spec, [base + gain + noise, base + oracle + noise]);
                }
            }
        }
        self
    }

    fn add(&mut self, spec: RunSpec, targets: [f64; 2]) {
        let selections = [Selector::TrainingDomain, Selector::TargetOracle].into_iter();
        let record = Record {
            selections: selections.zip(targets.map(selection)).collect(),
            counts: Counts {
                in_distribution: 40,
                target: 40,
                target_by_class: self.target_by_class.into(),
                ..Counts::default()
            },
            ..record(spec, Status::Finished)
        };
        self.keep(&record);
        self.keep_predictions(&record.spec);
    }

    /// Forgets the runs of later seeds.
    fn keep_seeds(&mut self, seeds: u64) {
        let layout = Layout::new(self.root());
        let records = layout.read_records(&self.info).unwrap();
        let kept = records.iter().filter(|record| record.spec.seed < seeds);
        self.info.runs = kept.map(|record| record.spec.folder()).collect();
    }

    fn keep(&mut self, record: &Record) {
        let folder = record.spec.folder();
        let path = Layout::new(self.root()).record(&folder);
        write_json_atomically(&path, record).unwrap();
        self.info.runs.push(folder);
    }

    /// Forty samples a part; on the target every fifth is surely wrong.
    fn keep_predictions(&self, spec: &RunSpec) {
        let mut text = String::from("selector,part,id,site,patient,target,output_0,output_1\n");
        for part in ["in-distribution", "target"] {
            for i in 0..40 {
                let (class, patient) = (i % 2, i / 4);
                let wrong = part == "target" && i % 5 == 0;
                let right = 0.55 + 0.01 * f64::from(i);
                let output = if wrong { 1.0 - right } else { right };
                let positive = if class == 1 { output } else { 1.0 - output };
                let site = if part == "target" { &spec.target } else { "a" };
                let negative = 1.0 - positive;
                writeln!(
                    text,
                    "training-domain,{part},film-{i:02},\"{site}\",patient-{patient},{class},{negative},{positive}"
                )
                .unwrap();
            }
        }
        let folder = Layout::new(self.root()).run(&spec.folder());
        write_atomically(&folder.join("predictions.csv"), text.as_bytes()).unwrap();
    }

    fn with_picture(self) -> Self {
        let examples = Layout::new(self.root()).examples();
        std::fs::create_dir_all(&examples).unwrap();
        let gradient = |x: u32, y: u32| image::Luma([(x * 4 + y * 3) as u8]);
        let picture = image::GrayImage::from_fn(32, 32, gradient);
        picture.save(examples.join("films-0.png")).unwrap();
        let example = |file: &str| Example {
            file: file.into(),
            cohort: "films".into(),
            site: "a".into(),
            caption: HOSTILE.into(),
        };
        let list = Examples {
            schema: SWEEP_SCHEMA,
            examples: vec![example("films-0.png"), example("../sweep.json")],
            contents: BTreeMap::new(),
        };
        write_json_atomically(&examples.join("examples.json"), &list).unwrap();
        self
    }

    fn write(&self, format: Format) -> String {
        write_json_atomically(&Layout::new(self.root()).sweep(), &self.info).unwrap();
        let path = write(self.root(), format, &Registry::standard()).unwrap();
        assert_eq!(path, self.root().join(format.file_name()));
        std::fs::read_to_string(path).unwrap()
    }
}

/// Noise that differs between methods, so that pairs vary; plain training has none.
fn noise(method: &str, place: u64) -> f64 {
    if method == "erm" {
        return 0.0;
    }
    let salt: u64 = method.bytes().map(u64::from).sum();
    // Multiples of an odd number run through all remainders of 8: centred, and out of step.
    let step = (place * (2 * salt + 1) + salt) % 8;
    0.002 * (step as f64 - 3.5)
}

fn spec(method: &str, cohort: &str, target: &str, seed: u64) -> RunSpec {
    RunSpec {
        schema: SPEC_SCHEMA,
        method: method.into(),
        settings: serde_json::json!({}),
        task: Task::Classification,
        cohort: cohort.into(),
        data: CohortSpec::Folder {
            hash: "0".repeat(64),
            environment: None,
        },
        shift: if cohort == "films" {
            Shift::Acquisition
        } else {
            Shift::Prevalence
        },
        protocol: Protocol::LeaveOneSiteOut,
        sources: vec!["a".into(), "b".into()],
        target: target.into(),
        seed,
        draw: 0,
        training: Training::default(),
    }
}

fn record(spec: RunSpec, status: Status) -> Record {
    Record {
        schema: RECORD_SCHEMA,
        id: spec.id(),
        status,
        notes: match spec.method.as_str() {
            "irm" => vec!["one source only: the penalty has no effect".into()],
            _ => Vec::new(),
        },
        counts: Counts {
            target: 40,
            target_by_class: vec![20, 20],
            ..Counts::default()
        },
        evaluations: Vec::new(),
        selections: BTreeMap::new(),
        predictions: None,
        spec,
    }
}

fn selection(target: f64) -> Selection {
    let metrics = |auroc: f64| {
        let named = [
            ("auroc", auroc),
            ("accuracy", auroc - 0.05),
            ("balanced_accuracy", auroc - 0.06),
            ("ece", 0.12),
        ];
        named.map(|(name, value)| (name.to_owned(), value)).into()
    };
    Selection {
        step: 300,
        score: 0.9,
        in_distribution: metrics(0.91),
        target: metrics(target),
    }
}

const CELLS: [(&str, &str); 3] = [("films", "c"), ("films", "d"), ("slides", HOSTILE)];

/// IRM ahead by far, CORAL with the oracle only, DANN behind, and an upper reference.
fn winner() -> Made {
    let gains = [
        ("erm", 0.0, 0.01),
        ("irm", 0.12, 0.13),
        ("coral", 0.002, 0.08),
        ("mixup", 0.0, 0.01),
        ("dann", -0.08, 0.0),
        ("dann-target", 0.03, 0.035),
        ("erm-oracle", 0.25, 0.25),
    ];
    Made::new().with_runs(&CELLS, &gains).with_picture()
}

fn unfinished() -> Made {
    let mut made = winner();
    let diverged = record(spec("mmd", "films", "c", 0), Status::Diverged);
    made.keep(&diverged);
    made.info.runs.push("0123456789abcdef".into());
    made.info.runs.push("fedcba9876543210".into());
    made
}

#[test]
fn a_winner_is_named_with_its_difference() {
    let html = winner().write(Format::Html);
    assert!(
        html.contains("IRM does better than ERM on the target beyond noise: +0.1"),
        "no headline"
    );
    assert!(html.contains("What helps: IRM is better than ERM on the target by +0.1"));
    assert!(html.contains("(paired difference ± s.e. over 3 target sites; p "));
    assert!(html.contains(" after Holm&#x27;s correction for 5 methods)"));
    // CORAL has a higher mean than Mixup; DANN with target images would have the highest of all.
    let families = "Among methods that see sources only, the causal-family method with the highest \
                    mean, IRM, beats the correlation-based one, CORAL: +0.1";
    assert!(html.contains(families));
    assert!(html.contains("correction for 3 pairs). Both were picked by these very"));
    assert!(html.contains("Of the other pairs, IRM beats "));
    assert!(html.contains("Worse than ERM beyond noise: DANN"));
    assert!(html.contains(
        "Only with the oracle: when labelled target images choose the checkpoint, CORAL"
    ));
    assert!(
        html.contains("What breaks: plain training (ERM) has an AUROC of 0.910 on unseen patients")
    );
    assert!(html.contains("sees unlabelled target images"));
}

#[test]
fn a_tie_is_called_a_tie() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.001, 0.0),
        ("coral", -0.001, 0.0),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains("No method is better than ERM beyond noise over 3 target sites."));
    assert!(html.contains("under training-domain selection nothing does for certain"));
    assert!(html.contains("IRM, cannot be told apart from the correlation-based one, CORAL"));
    assert!(!html.contains("Only with the oracle:"));
    assert!(html.contains("The sweep kept no example images."));
}

#[test]
fn the_page_is_complete_and_needs_nothing_from_outside() {
    let html = winner().write(Format::Html);
    for absent in [
        "NaN",
        "nan</",
        "http://",
        "https://",
        "<script",
        "undefined",
        "src=\"/",
    ] {
        assert!(!html.contains(absent), "{absent}");
    }
    for method in [
        "erm",
        "irm",
        "coral",
        "mixup",
        "dann",
        "dann-target",
        "erm-oracle",
    ] {
        assert!(html.contains(&format!("<code>{method}</code>")), "{method}");
    }
    for selector in Selector::ALL {
        assert!(html.contains(selector.as_str()), "{selector}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert_eq!(
        html.matches("src=\"data:image/png;base64,iVBORw0KGgo")
            .count(),
        1
    );
    assert!(html.contains("example picture ..&#x2f;sweep.json is not shown"));
    assert!(html.contains("not run"));
    assert!(html.contains("Friedman χ²"));
    assert!(
        html.contains("<span>ERM 0.910 at home, 0.710 on the target; best other method IRM 0.8")
    );
    assert!(html.contains("20 of class 0 and 20 of class 1"));
    assert!(html.contains("site c has one class only"));
    // The surest mistake is the last wrong sample: film-35, class 1, 0.90 sure of class 0.
    assert!(html.contains(">film-35</td>"));
    let open = html.matches("<svg").count();
    assert_eq!((open, html.matches("</svg>").count()), (8, 8));
}

#[test]
fn an_unfinished_sweep_says_what_is_missing() {
    let made = unfinished();
    let planned = CELLS.len() * 7 * 3 + 3;
    let html = made.write(Format::Html);
    let sentence = format!("This sweep is unfinished: 2 of {planned} planned runs are missing");
    assert!(html.contains(&sentence));
    assert!(html.contains("1 diverged."));
    let markdown = made.write(Format::Markdown);
    assert!(markdown.contains(&sentence));
    assert!(markdown.contains("| MMD (`mmd`) | correlation |  | 0.500 | 0.500 | 0.500 | 0.000 | – | 1 | 1 | 1 (1 scored as 0.5) |"));
}

#[test]
fn a_method_that_lacks_cells_is_marked_and_not_compared() {
    let made = Made::new()
        .with_runs(&CELLS, &[("erm", 0.0, 0.0), ("irm", 0.0, 0.0)])
        .with_runs(&CELLS[..1], &[("mixup", 0.2, 0.2)]);
    let html = made.write(Format::Html);
    assert!(html.contains("Mixup, best of 1 method by this figure, 1 of 2 cells"));
    assert!(html.contains("No method is better than ERM beyond noise over 3 target sites."));
    assert!(html.contains("ERM has figures in more cells: Mixup (1 of 3 cells)."));
}

#[test]
fn a_sweep_without_records_has_a_report() {
    let mut made = Made::new();
    made.info.runs.push("0123456789abcdef".into());
    let html = made.write(Format::Html);
    assert!(html.contains("1 of 1 planned run is missing"));
    assert!(html.contains("Nothing can be compared yet"));
    assert!(!html.contains("NaN"));
    assert_eq!(made.write(Format::Csv).lines().count(), 1);
}

#[test]
fn markdown_has_a_row_for_every_method_in_every_table() {
    let markdown = winner().write(Format::Markdown);
    let overview = markdown.split("### Every cell").next().unwrap();
    for method in [
        "erm",
        "irm",
        "coral",
        "mixup",
        "dann",
        "dann-target",
        "erm-oracle",
    ] {
        let code = format!("(`{method}`)");
        assert_eq!(overview.matches(&code).count(), 1, "{method}");
        assert_eq!(markdown.matches(&code).count(), 1 + CELLS.len(), "{method}");
    }
    assert!(!markdown.contains("<script>") && !markdown.contains("NaN"));
    for table in markdown
        .split("\n\n")
        .filter(|block| block.starts_with("| "))
    {
        let bars = |line: &str| line.matches('|').count() - line.matches("\\|").count();
        let head = bars(table.lines().next().unwrap());
        for line in table.lines().filter(|line| line.starts_with('|')) {
            assert_eq!(bars(line), head, "{line}");
        }
    }
}

#[test]
fn csv_has_a_line_per_cell_method_selector_part_and_metric() {
    let csv_text = winner().write(Format::Csv);
    let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 3 * 7 * 2 * 2 * 4);
    let wanted = ["films", "c", "erm", "training-domain", "target", "auroc"];
    let columns = ["cohort", "target", "method", "selector", "part", "metric"];
    let same = |row: &&csv::StringRecord| {
        let mut pairs = columns.iter().zip(wanted);
        pairs.all(|(name, value)| &row[column(name)] == value)
    };
    let row = rows.iter().find(same).unwrap();
    // 0.70, 0.71, 0.72.
    let mean: f64 = row[column("mean")].parse().unwrap();
    assert!((mean - 0.71).abs() < 1e-9, "{mean}");
    assert_eq!(&row[column("seeds")], "3");
}

#[test]
fn too_few_cells_for_ranks_are_explained() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1), ("coral", 0.0, 0.0)];
    let html = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .write(Format::Html);
    assert!(html.contains("Ranks need at least 3 independent units and 3 methods"));
    assert!(html.contains("here are 2 target sites and 3 such methods."));
}

#[test]
fn damaged_predictions_are_named_and_the_rest_is_reported() {
    let made = winner();
    let broken = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root())
        .run(&broken)
        .join("predictions.csv");
    write_atomically(
        &path,
        b"selector,part,id,site,target,output_0\ntraining-domain,target,a,b,x,1\n",
    )
    .unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains(&format!(
        "predictions.csv of run {broken} (irm) is not used"
    )));
    assert!(html.contains(">film-35</td>"));
}

#[test]
fn predictions_that_were_cut_short_are_named_and_not_used() {
    let made = winner();
    let cut = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root()).run(&cut).join("predictions.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(1 + 40 + 33).collect();
    write_atomically(&path, kept.join("\n").as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains(&format!(
        "predictions.csv of run {cut} (irm) is not used: expected 40 rows of part target under \
         training-domain selection, as the record counts, found 33"
    )));
}

#[test]
fn predictions_that_were_changed_are_named_and_not_used() {
    let mut made = winner();
    let run = spec("irm", "films", "c", 0);
    let folder = Layout::new(made.root()).run(&run.folder());
    let bytes = std::fs::read(folder.join("predictions.csv")).unwrap();
    let mut record = Record::read(&folder.join("record.json")).unwrap();
    record.predictions = Some(blake3::hash(&bytes).to_hex().to_string());
    made.info.runs.retain(|name| *name != run.folder());
    made.keep(&record);
    assert!(!made.write(Format::Html).contains("is not used"));
    let text = String::from_utf8(bytes).unwrap().replacen(",0,", ",1,", 1);
    write_atomically(&folder.join("predictions.csv"), text.as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains("(irm) is not used: its hash is not the one in the record"));
}

#[test]
fn predictions_of_an_earlier_version_are_read_and_say_that_patients_are_unknown() {
    let made = winner();
    assert!(
        !made
            .write(Format::Html)
            .contains("images taken as independent")
    );
    let folder = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root())
        .run(&folder)
        .join("predictions.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let without: Vec<String> = text
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.remove(4);
            cells.join(",")
        })
        .collect();
    write_atomically(&path, without.join("\n").as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert_eq!(
        html.matches("unknown, images taken as independent").count(),
        1
    );
    assert!(!html.contains("is not used"));
}

#[test]
fn a_folder_without_a_sweep_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let error = write(folder.path(), format, &Registry::standard()).unwrap_err();
        assert!(error.to_string().contains("sweep.json"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_unknown_format_lists_those_there_are() {
    let error = Format::parse("docx").unwrap_err();
    assert!(matches!(error, HarnessError::Unknown { .. }));
    assert!(error.to_string().contains("html, md, csv"), "{error}");
}

#[test]
fn terminal_rows_average_over_cells() {
    let made = unfinished();
    made.write(Format::Csv);
    let layout = Layout::new(made.root());
    let records = layout.read_records(&layout.read_info().unwrap()).unwrap();
    let rows = terminal_rows(&Table::of(&records, &Registry::standard()));
    let order: Vec<&str> = rows.iter().map(|row| row.method.as_str()).collect();
    assert_eq!((order[0], order[6], order[7]), ("irm", "mmd", "erm-oracle"));
    let erm = rows.iter().find(|row| row.method == "erm").unwrap();
    // Cell means 0.71, 0.67, 0.63.
    assert!((erm.target.unwrap().mean - 0.67).abs() < 1e-9);
    assert!((erm.regret.unwrap() - 0.01).abs() < 1e-9);
    assert_eq!((erm.cells, erm.seeds, erm.diverged), (3, (3, 3), 0));
    let mmd = rows.iter().find(|row| row.method == "mmd").unwrap();
    assert!((mmd.target.unwrap().mean - 0.5).abs() < 1e-12);
    assert_eq!((mmd.cells, mmd.diverged, mmd.at_chance), (1, 1, 1));
}

#[test]
fn a_winner_that_sees_target_images_is_not_left_to_stand_alone() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.06, 0.06),
        ("dann-target", 0.14, 0.14),
    ];
    let made = Made::new().with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    let sentence = "It sees unlabelled target images, which ERM does not; of the methods that see \
                    sources only, IRM has the highest mean (+0.0";
    assert!(html.contains(sentence));
}

#[test]
fn methods_that_see_target_images_are_compared_among_themselves() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("irm", 0.1, 0.1),
        ("coral-target", -0.1, -0.1),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(!html.contains("Causal or correlation-based?"));
}

/// Three cells at two seeds have six pairs of cell and seed, and two independent units.
#[test]
fn two_seeds_of_a_simulation_are_not_tested() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.2, 0.2), ("coral", 0.1, 0.1)];
    let mut made = Made::new().simulated().with_runs(&CELLS, &gains);
    made.keep_seeds(2);
    let html = made.write(Format::Html);
    assert!(html.contains(
        "Whether any method is better than ERM is open. Not tested: 2 independent units (seeds), \
         3 are needed."
    ));
    assert!(html.contains("What helps: this sweep cannot tell."));
    assert!(
        html.contains("Causal or correlation-based? Not tested. Among methods that see sources")
    );
    assert!(!html.contains("p = 0.") && !html.contains("p &lt; 0."));
}

#[test]
fn three_seeds_of_a_simulation_are_three_units() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.2, 0.2)];
    let made = Made::new().simulated().with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("IRM does better than ERM on the target beyond noise: +0."));
    assert!(html.contains("(paired difference ± s.e. over 3 seeds; p"));
}

#[test]
fn a_best_method_says_that_it_was_picked_by_the_figure_shown() {
    let html = winner().write(Format::Html);
    let detail = "AUROC, best of 5 methods, picked by this very figure, which flatters it";
    assert!(html.contains(detail));
    assert!(html.contains("IRM, best of 1 method by this figure"));
}

#[test]
fn mixtures_are_averaged_by_themselves_and_labelled() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .of_protocol(Protocol::SiteLabelMixture)
        .with_runs(&CELLS[..1], &[("erm", -0.3, -0.3), ("irm", 0.0, 0.0)]);
    let (html, markdown) = (made.write(Format::Html), made.write(Format::Markdown));
    // 0.71 and 0.67 on unseen sites; 0.41 on the mixture.
    assert!(html.contains("0.690 on the target; the move costs 0.220"));
    assert!(html.contains("Kept apart: in 1 cell where site and label coincide in training"));
    assert!(html.contains("where telling the sites apart is enough, and 0.410 on both classes"));
    assert!(html.contains("<em class=\"mark\">mixture</em>"));
    assert!(html.contains("<dt>mixture</dt>"));
    let erm = "| ERM (`erm`) | baseline |  | 0.910 ± 0.000 | ";
    let rows: Vec<&str> = markdown.lines().filter(|l| l.starts_with(erm)).collect();
    assert_eq!(rows.len(), 2, "one row on either ground");
    assert!(rows[0].contains("| 0.690 ±") && rows[1].contains("| 0.410 ±"));
    assert!(markdown.contains("| classification | AUROC | acquisition | 2 |"));
    assert!(markdown.contains("| classification | AUROC | acquisition, mixture | 1 |"));
}

#[test]
fn a_sweep_of_mixtures_does_not_speak_of_a_move() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new().of_protocol(Protocol::SiteLabelMixture);
    let html = made.with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains(
        "in 3 cells where site and label coincide in training (mixture), plain training (ERM) has"
    ));
    assert!(!html.contains("the move costs") && !html.contains("Kept apart:"));
    assert!(html.contains("ERM on the mixture"));
}

#[test]
fn other_patients_of_one_site_are_a_reference_and_no_transfer() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new()
        .of_protocol(Protocol::SingleSite)
        .with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("other patients of the same site"));
    assert!(html.contains("Nothing moves, so these figures are a reference"));
    assert!(html.contains("acquisition, same site"));
    assert!(!html.contains("the move costs"));
}

#[test]
fn cells_with_few_samples_are_marked_and_enter_no_mean() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1), ("coral", 0.0, 0.0)];
    let made = Made::new()
        .with_runs(&CELLS[..2], &gains)
        .with_counts([31, 9])
        .with_runs(
            &[("slides", "z")],
            &[("erm", -0.3, -0.3), ("irm", 0.3, 0.3)],
        );
    let html = made.write(Format::Html);
    assert!(html.contains("0.690 on the target"));
    assert!(
        html.contains("fewer than 10 target samples of a class, or 5 where there are no classes: slides &#x2f; leave-one-site-out")
    );
    assert!(html.contains("<em class=\"mark\">few samples</em>"));
    assert!(
        html.contains("31 of class 0 and 9 of class 1"),
        "the cell is still shown"
    );
    assert!(html.contains("not tested: 2 independent units (target sites)"));
    assert!(
        html.contains("here are 2 target sites and 3 such methods"),
        "ranks leave it out"
    );
    let csv = made.write(Format::Csv);
    let marked = csv.lines().filter(|line| line.ends_with(",true")).count();
    assert_eq!(marked, 2 * 2 * 2 * 4, "every line of the cell and no other");
}

#[test]
fn a_sweep_of_cells_with_few_samples_compares_nothing() {
    let gains = [("erm", 0.0, 0.0), ("irm", 0.1, 0.1)];
    let made = Made::new().with_counts([9, 31]).with_runs(&CELLS, &gains);
    let html = made.write(Format::Html);
    assert!(html.contains("every cell scores too few target samples of a class"));
    assert!(!html.contains("NaN"));
}

#[test]
fn a_method_that_diverges_everywhere_scores_chance() {
    let mut made = Made::new().with_runs(&CELLS, &[("erm", 0.0, 0.0)]);
    for (cohort, target) in CELLS {
        for seed in 0..SEEDS {
            made.keep(&record(spec("mmd", cohort, target, seed), Status::Diverged));
        }
    }
    let html = made.write(Format::Html);
    // ERM scores 0.71, 0.67 and 0.63.
    assert!(html.contains("MMD (picked by that very figure), differs from ERM by −0.170"));
    assert!(html.contains("Scored as chance (0.5)"));
    assert!(html.contains("before its first evaluation: MMD (9)."));
    assert!(html.contains("9 (9 scored as 0.5)"));
}

#[test]
fn a_diverged_draw_gives_way_to_one_that_did_not() {
    let mut made = Made::new();
    let mut failed = spec("erm", "films", "c", 0);
    made.add(failed.clone(), [0.7, 0.7]);
    failed.draw = 1;
    made.keep(&record(failed, Status::Diverged));
    let layout = Layout::new(made.root());
    let records = layout.read_records(&made.info).unwrap();
    let table = Table::of(&records, &Registry::standard());
    assert_eq!(table.lines[0].target_by_seed, [0.7]);
    assert_eq!((table.lines[0].diverged, table.lines[0].at_chance), (1, 0));
}

#[test]
fn group_dro_is_a_baseline_and_no_causal_method() {
    let gains = [
        ("erm", 0.0, 0.0),
        ("group-dro", 0.2, 0.2),
        ("coral", 0.1, 0.1),
    ];
    let html = Made::new().with_runs(&CELLS, &gains).write(Format::Html);
    assert!(html.contains("GroupDRO does better than ERM on the target beyond noise"));
    assert!(!html.contains("Causal or correlation-based?"));
    assert!(html.contains("ERM itself; GroupDRO +0."));
}
