//! A sweep folder whose records are made up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ctl_harness::Registry;
use ctl_harness::record::{Counts, RECORD_SCHEMA, Record, Selection, Status};
use ctl_harness::report::{Format, write};
use ctl_harness::spec::{CohortSpec, RunSpec, SPEC_SCHEMA, Training};
use ctl_harness::store::{write_atomically, write_json_atomically};
use ctl_harness::sweep::{Example, Examples, Layout, SWEEP_SCHEMA, SweepInfo};
use ctl_harness::vocabulary::{OracleCheckpoint, Protocol, Selector, Shift, Task};

pub(crate) const SEEDS: u64 = 3;
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>|x";

/// Gain of a method over ERM on the target, under validation and under the oracle.
pub(crate) type Gains<'a> = &'a [(&'a str, f64, f64)];

/// A sweep folder in the making.
pub(crate) struct Made {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) info: SweepInfo,
    pub(crate) protocol: Protocol,
    pub(crate) simulated: bool,
    pub(crate) target_by_class: [usize; 2],
}

impl Made {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn of_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How many scored images the cells that follow have.
    pub(crate) fn with_counts(mut self, target_by_class: [usize; 2]) -> Self {
        self.target_by_class = target_by_class;
        self
    }

    pub(crate) fn simulated(mut self) -> Self {
        self.simulated = true;
        self
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Every method in every cell with every seed.
    pub(crate) fn with_runs(mut self, cells: &[(&str, &str)], gains: Gains<'_>) -> Self {
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

    pub(crate) fn add(&mut self, spec: RunSpec, targets: [f64; 2]) {
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
    pub(crate) fn keep_seeds(&mut self, seeds: u64) {
        let layout = Layout::new(self.root());
        let records = layout.read_records(&self.info).unwrap();
        let kept = records.iter().filter(|record| record.spec.seed < seeds);
        self.info.runs = kept.map(|record| record.spec.folder()).collect();
    }

    pub(crate) fn keep(&mut self, record: &Record) {
        let folder = record.spec.folder();
        let path = Layout::new(self.root()).record(&folder);
        write_json_atomically(&path, record).unwrap();
        self.info.runs.push(folder);
    }

    /// Forty samples a part; on the target every fifth is surely wrong.
    pub(crate) fn keep_predictions(&self, spec: &RunSpec) {
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

    pub(crate) fn with_picture(self) -> Self {
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

    pub(crate) fn write(&self, format: Format) -> String {
        write_json_atomically(&Layout::new(self.root()).sweep(), &self.info).unwrap();
        let path = write(self.root(), format, &Registry::standard()).unwrap();
        assert_eq!(path, self.root().join(format.file_name()));
        std::fs::read_to_string(path).unwrap()
    }
}

/// Noise that differs between methods, so that pairs vary; plain training has none.
pub(crate) fn noise(method: &str, place: u64) -> f64 {
    if method == "erm" {
        return 0.0;
    }
    let salt: u64 = method.bytes().map(u64::from).sum();
    // Multiples of an odd number run through all remainders of 8: centred, and out of step.
    let step = (place * (2 * salt + 1) + salt) % 8;
    0.002 * (step as f64 - 3.5)
}

pub(crate) fn spec(method: &str, cohort: &str, target: &str, seed: u64) -> RunSpec {
    RunSpec {
        schema: SPEC_SCHEMA,
        method: method.into(),
        settings: serde_json::json!({}),
        task: Task::Classification,
        cohort: cohort.into(),
        data: CohortSpec::Folder {
            hash: "0".repeat(64),
            environment: None,
            diagram: None,
        },
        shift: if cohort == "films" {
            Shift::Acquisition
        } else {
            Shift::Prevalence
        },
        protocol: Protocol::LeaveOneSiteOut,
        sources: vec!["a".into(), "b".into()],
        target: target.into(),
        held_out: None,
        oracle_checkpoint: OracleCheckpoint::Best,
        seed,
        draw: 0,
        training: Training::default(),
    }
}

pub(crate) fn record(spec: RunSpec, status: Status) -> Record {
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
        generator: None,
        spec,
    }
}

pub(crate) fn selection(target: f64) -> Selection {
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

pub(crate) const CELLS: [(&str, &str); 3] = [("films", "c"), ("films", "d"), ("slides", HOSTILE)];

/// IRM ahead by far, CORAL with the oracle only, DANN behind, and an upper reference.
pub(crate) fn winner() -> Made {
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

pub(crate) fn unfinished() -> Made {
    let mut made = winner();
    let diverged = record(spec("mmd", "films", "c", 0), Status::Diverged);
    made.keep(&diverged);
    made.info.runs.push("0123456789abcdef".into());
    made.info.runs.push("fedcba9876543210".into());
    made
}
