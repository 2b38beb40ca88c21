//! Who is trained on and who is scored, on cohorts where that is easy to get wrong.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ctl_harness::Registry;
use ctl_harness::data::{Arrangement, CohortData, Part, Parts, load_folder, load_phantom, split};
use ctl_harness::plan::plan;
use ctl_harness::spec::{Shares, Training};
use ctl_harness::suite::Suite;
use ctl_harness::vocabulary::{Protocol, Task};
use ctl_imaging::{MaskRole, Raster};
use ctl_invariance::LearnsFrom;
use ctl_phantom::{Dials, PhantomSpec, SiteRole};

const SITES: [&str; 3] = ["east", "north", "west"];
const PATIENTS: usize = 40;

/// A row of a manifest: patient, site, label, split.
type Row = (String, &'static str, usize, &'static str);

fn write_cohort(folder: &Path, name: &str, rows: &[Row]) {
    std::fs::create_dir_all(folder).unwrap();
    let mut manifest = String::from("path,patient,site,label,split\n");
    for (index, (patient, site, label, split)) in rows.iter().enumerate() {
        let file = format!("{index}.png");
        let value = index as f32 / rows.len() as f32;
        Raster::new(1, 2, 2, vec![value; 4])
            .unwrap()
            .write_png(&folder.join(&file))
            .unwrap();
        writeln!(manifest, "{file},{patient},{site},{label},{split}").unwrap();
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
    let description = format!("schema = 1\nname = {name:?}\n");
    std::fs::write(folder.join("cohort.toml"), description).unwrap();
}

fn load(rows: &[Row]) -> CohortData {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path(), "cohort", rows);
    load_folder(
        folder.path(),
        Task::Classification,
        (&Training::default(), None),
    )
    .unwrap()
}

/// Two images of every patient; the patients of a site, or the same people everywhere.
fn rows(same_people: bool, split: impl Fn(usize) -> &'static str) -> Vec<Row> {
    let mut rows = Vec::new();
    for site in SITES {
        for patient in 0..PATIENTS {
            let id = if same_people {
                format!("p{patient}")
            } else {
                format!("{site}-{patient}")
            };
            for _ in 0..2 {
                rows.push((id.clone(), site, patient % 2, split(patient)));
            }
        }
    }
    rows
}

fn divided(
    cohort: &CohortData,
    protocol: Protocol,
    (sources, target): (&[String], &str),
    seed: u64,
) -> Parts {
    let arrangement = Arrangement {
        task: Task::Classification,
        protocol,
        sources,
        target,
        held_out: None,
        seed,
        learns_from: LearnsFrom::Sources,
        shares: Shares::default(),
        score_at_most: None,
    };
    split(cohort, &arrangement).unwrap()
}

fn patients<'a>(
    cohort: &'a CohortData,
    parts: impl IntoIterator<Item = &'a Part>,
) -> BTreeSet<&'a str> {
    let samples = parts.into_iter().flat_map(|part| &part.samples);
    samples
        .map(|&s| cohort.samples[s].patient.as_str())
        .collect()
}

/// Whoever is scored is in no part that is learnt from or chosen by.
fn assert_apart(cohort: &CohortData, parts: &Parts) {
    let seen = patients(
        cohort,
        parts
            .train
            .iter()
            .chain(&parts.validation)
            .chain([&parts.adaptation]),
    );
    let scored = patients(cohort, parts.in_distribution.iter().chain([&parts.target]));
    assert!(!seen.is_empty() && !scored.is_empty());
    assert_eq!(seen.intersection(&scored).next(), None);
}

fn names(sites: &[&str]) -> Vec<String> {
    sites.iter().map(|&site| site.to_owned()).collect()
}

#[test]
fn nobody_is_seen_and_scored_whoever_travels() {
    for same_people in [false, true] {
        let cohort = load(&rows(same_people, |_| ""));
        for seed in 0..10 {
            let sources = names(&["east", "north"]);
            let parts = divided(&cohort, Protocol::LeaveOneSiteOut, (&sources, "west"), seed);
            assert_apart(&cohort, &parts);
            assert!(parts.validation.iter().all(|part| !part.samples.is_empty()));
            assert_eq!(parts.notes.len(), usize::from(same_people));
            for target in ["east", "north"] {
                let parts = divided(
                    &cohort,
                    Protocol::SiteLabelMixture,
                    (&sources, target),
                    seed,
                );
                assert_apart(&cohort, &parts);
            }
            let own = names(&["east"]);
            let parts = divided(&cohort, Protocol::SingleSite, (&own, "east"), seed);
            assert_apart(&cohort, &parts);
        }
    }
}

/// Every image of a site is used once, whatever its patient's images elsewhere are for.
#[test]
fn nothing_is_left_out_of_a_source() {
    for same_people in [false, true] {
        let cohort = load(&rows(same_people, |_| ""));
        let sources = names(&["east", "north"]);
        let parts = divided(&cohort, Protocol::LeaveOneSiteOut, (&sources, "west"), 3);
        let all = parts
            .train
            .iter()
            .chain(&parts.validation)
            .chain(&parts.in_distribution);
        let used: usize = all.map(|part| part.samples.len()).sum();
        assert_eq!(used, 2 * 2 * PATIENTS);
    }
}

#[test]
fn a_prescribed_split_is_kept_and_what_it_lacks_is_cut_out_of_train() {
    let fifths = |patient: usize| {
        if patient.is_multiple_of(5) {
            "test"
        } else {
            "train"
        }
    };
    let cohort = load(&rows(false, fifths));
    let sources = names(&["east", "north"]);
    let parts = divided(&cohort, Protocol::LeaveOneSiteOut, (&sources, "west"), 0);
    assert_apart(&cohort, &parts);
    for (part, site) in parts.in_distribution.iter().zip(["east", "north"]) {
        let expected: BTreeSet<String> = (0..PATIENTS)
            .filter(|&p| fifths(p) == "test")
            .map(|p| format!("{site}-{p}"))
            .collect();
        let found = patients(&cohort, [part]);
        assert_eq!(found, expected.iter().map(String::as_str).collect());
    }
    assert!(parts.validation.iter().all(|part| !part.samples.is_empty()));
    assert_eq!(parts.notes.len(), 2, "{:?}", parts.notes);
    assert!(parts.notes[0].contains("has no val"), "{:?}", parts.notes);
}

#[test]
fn a_whole_prescribed_split_is_kept_as_it_is() {
    let split_of = |patient: usize| ["train", "train", "val", "test"][patient % 4];
    let cohort = load(&rows(false, split_of));
    let sources = names(&["east"]);
    let parts = divided(&cohort, Protocol::LeaveOneSiteOut, (&sources, "west"), 0);
    let count = |part: &Part| part.samples.len();
    let counts = [
        &parts.train[0],
        &parts.validation[0],
        &parts.in_distribution[0],
    ]
    .map(count);
    assert_eq!(counts, [40, 20, 20]);
    assert!(parts.notes.is_empty());
}

/// A single site keeps the split of its manifest where every patient has a part and no part is
/// empty; else it is divided by the seed.
#[test]
fn a_single_site_keeps_a_complete_split_only() {
    let parts_of = |split_of: fn(usize) -> &'static str| {
        let cohort = load(&rows(false, split_of));
        let east = names(&["east"]);
        let parts = divided(&cohort, Protocol::SingleSite, (&east, "east"), 3);
        assert_apart(&cohort, &parts);
        assert_eq!(parts.in_distribution[0], parts.target);
        let all = [&parts.train[0], &parts.validation[0], &parts.target];
        let counts = all.map(|part| part.samples.len());
        (
            counts,
            parts.adaptation == parts.validation[0],
            parts.notes.len(),
        )
    };
    let complete = parts_of(|p| ["train", "train", "val", "test"][p % 4]);
    assert_eq!(complete, ([40, 20, 20], true, 1));
    let by_seed = parts_of(|_| "");
    assert_eq!((by_seed.0[2], by_seed.1), (20, false));
    for incomplete in [
        parts_of(|p| ["train", "train", "val", ""][p % 4]),
        parts_of(|p| ["train", "train", "val", "val"][p % 4]),
    ] {
        assert_eq!(incomplete.0, by_seed.0);
        assert!(!incomplete.1);
    }
}

/// A diagram that cannot be read is an error, not a cohort that is left out; one that can is part of
/// what determines a run.
#[test]
fn a_diagram_of_a_folder_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path(), "cohort", &rows(false, |_| ""));
    let registry = Registry::standard();
    let planned = || plan(&folders_suite(), &registry, Some(folder.path()));
    let plain = planned().unwrap();
    let path = folder.path().join("diagram.toml");
    std::fs::write(&path, "schema = 1\nedges = \"label -> \"\n").unwrap();
    let error = planned().unwrap_err().to_string();
    assert!(error.contains("diagram.toml"), "{error}");
    std::fs::write(&path, "schema = 1\nedges = \"label -> image\"\n").unwrap();
    let known = planned().unwrap();
    assert_eq!(known.runs.len(), plain.runs.len());
    assert_ne!(known.runs[0].spec.id(), plain.runs[0].spec.id());
}

/// Masks are drawn by a first observer everywhere and by a second one in the east.
fn two_observers() -> CohortData {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = String::from("path,patient,site,mask_path,other\n");
    for site in SITES {
        for patient in 0..PATIENTS {
            let stem = format!("{site}-{patient}");
            let files = [".png", "-first.png", "-second.png"].map(|end| format!("{stem}{end}"));
            for file in &files {
                let raster = Raster::new(1, 2, 2, vec![0.0; 4]).unwrap();
                raster.write_png(&folder.path().join(file)).unwrap();
            }
            let [image, first, second] = files;
            let second = if site == "east" {
                second
            } else {
                String::new()
            };
            writeln!(manifest, "{image},{stem},{site},{first},{second}").unwrap();
        }
    }
    std::fs::write(folder.path().join("manifest.csv"), manifest).unwrap();
    let description = "schema = 1\n[mask]\nvalues = [0, 255]\nsecond_observer = \"other\"\n";
    std::fs::write(folder.path().join("cohort.toml"), description).unwrap();
    let training = Training::default();
    load_folder(folder.path(), Task::Segmentation, (&training, None)).unwrap()
}

#[test]
fn the_target_reference_learns_from_the_observer_who_scores() {
    let cohort = two_observers();
    let sources = names(&SITES);
    let of = |learns_from: LearnsFrom| {
        let arrangement = Arrangement {
            task: Task::Segmentation,
            protocol: Protocol::SecondObserver,
            sources: &sources,
            target: "east",
            held_out: None,
            seed: 1,
            learns_from,
            shares: Shares::default(),
            score_at_most: None,
        };
        split(&cohort, &arrangement).unwrap()
    };
    let plain = of(LearnsFrom::Sources);
    assert_eq!(plain.train_observer, MaskRole::Annotation);
    assert_eq!(plain.target_observer, MaskRole::SecondObserver);
    let reference = of(LearnsFrom::Target);
    assert_eq!(reference.train_observer, MaskRole::SecondObserver);
    assert_eq!(reference.target, plain.target);
    assert_apart(&cohort, &reference);
    let trained = patients(&cohort, &reference.train);
    let open = patients(&cohort, [&plain.adaptation]);
    assert!(trained.is_subset(&open) && trained.len() < open.len());
}

/// Who stands for the target is scored there and seen nowhere else, and the target stays unseen.
#[test]
fn a_source_that_is_left_out_takes_the_targets_place() {
    let sources = names(&["east", "north", "west"]);
    for same_people in [false, true] {
        let mut rows = rows(same_people, |_| "");
        let target: Vec<Row> = rows.iter().filter(|row| row.1 == "east").cloned().collect();
        let named = |(patient, _, label, split): Row| {
            let patient = if same_people {
                patient
            } else {
                format!("t-{patient}")
            };
            (patient, "south", label, split)
        };
        rows.extend(target.into_iter().map(named));
        let cohort = load(&rows);
        for (seed, left_out) in [(0, "east"), (1, "north"), (2, "west")] {
            let of = |held_out| {
                let arrangement = Arrangement {
                    task: Task::Classification,
                    protocol: Protocol::LeaveOneSiteOut,
                    sources: &sources,
                    target: "south",
                    held_out,
                    seed,
                    learns_from: LearnsFrom::Sources,
                    shares: Shares::default(),
                    score_at_most: None,
                };
                split(&cohort, &arrangement).unwrap()
            };
            let (whole, parts) = (of(None), of(Some(left_out)));
            assert_apart(&cohort, &parts);
            assert_eq!((parts.train.len(), parts.validation.len()), (2, 2));
            let site = |part: &Part, name: &str| {
                let mut samples = part.samples.iter();
                samples.all(|&s| cohort.sites[cohort.samples[s].site] == name)
            };
            assert!(site(&parts.target, left_out) && site(&parts.adaptation, left_out));
            for part in parts.train.iter().chain(&parts.validation) {
                assert!(
                    !part
                        .samples
                        .iter()
                        .any(|s| parts.target.samples.contains(s))
                );
                assert!(!site(part, left_out) && !site(part, "south"));
            }
            // The run with all sources scores nobody who chooses or trains here.
            let scored = patients(&cohort, whole.in_distribution.iter().chain([&whole.target]));
            let seen = parts.train.iter().chain(&parts.validation);
            let seen = patients(&cohort, seen.chain([&parts.adaptation, &parts.target]));
            assert_eq!(scored.intersection(&seen).next(), None);
        }
    }
}

#[test]
fn a_source_is_left_out_of_two_or_more_and_must_be_one() {
    let cohort = load(&rows(false, |_| ""));
    let message = |protocol, sources: &[&str], held_out| {
        let sources = names(sources);
        let arrangement = Arrangement {
            task: Task::Classification,
            protocol,
            sources: &sources,
            target: "west",
            held_out: Some(held_out),
            seed: 0,
            learns_from: LearnsFrom::Sources,
            shares: Shares::default(),
            score_at_most: None,
        };
        split(&cohort, &arrangement).unwrap_err().to_string()
    };
    let (out, mixture) = (Protocol::LeaveOneSiteOut, Protocol::SiteLabelMixture);
    for (protocol, sources, held_out, says) in [
        (out, &["east", "north"][..], "south", "one of east, north"),
        (out, &["east"], "east", "1 sources"),
        (mixture, &["east", "north"], "east", "site-label-mixture"),
    ] {
        let text = message(protocol, sources, held_out);
        assert!(text.contains("held_out") && text.contains(says), "{text}");
    }
}

/// On a cohort with one target site, whoever chooses must not choose by what was learnt.
#[test]
fn the_target_reference_is_not_chosen_by_what_it_learnt_from() {
    let cohort = load(&rows(false, |_| ""));
    let sources = names(&["east", "north"]);
    for seed in 0..5 {
        let arrangement = Arrangement {
            task: Task::Classification,
            protocol: Protocol::LeaveOneSiteOut,
            sources: &sources,
            target: "west",
            held_out: None,
            seed,
            learns_from: LearnsFrom::Target,
            shares: Shares::default(),
            score_at_most: None,
        };
        let parts = split(&cohort, &arrangement).unwrap();
        let trained = patients(&cohort, &parts.train);
        let chosen_by = patients(&cohort, [&parts.adaptation, &parts.validation[0]]);
        assert!(!trained.is_empty() && !chosen_by.is_empty());
        assert_eq!(trained.intersection(&chosen_by).next(), None);
        assert_apart(&cohort, &parts);
    }
}

/// The patients of the sources come once more without confounding, under their own names.
#[test]
fn nobody_is_seen_unconfounded_and_scored() {
    let spec = PhantomSpec {
        patients_per_site: 60,
        size: 32,
        dials: Dials {
            confounding: 1.0,
            ..Dials::default()
        },
        ..PhantomSpec::default()
    };
    let cohort = load_phantom(&spec, Task::Classification).unwrap();
    let name = |&site: &usize| cohort.sites[site].clone();
    let of = |role: SiteRole| -> Vec<String> { cohort.sites_for(role).iter().map(name).collect() };
    let (sources, target) = (of(SiteRole::Source), of(SiteRole::Target).concat());
    for learns_from in [
        LearnsFrom::Sources,
        LearnsFrom::UnconfoundedSources,
        LearnsFrom::Target,
    ] {
        for seed in 0..3 {
            let arrangement = Arrangement {
                task: Task::Classification,
                protocol: Protocol::NamedTarget,
                sources: &sources,
                target: &target,
                held_out: None,
                seed,
                learns_from,
                shares: Shares::default(),
                score_at_most: None,
            };
            let parts = split(&cohort, &arrangement).unwrap();
            assert_apart(&cohort, &parts);
        }
    }
}

fn folders_suite() -> Suite {
    let text = r#"
schema = 1
name = "folders"
title = "Folders"
methods = ["erm"]
[folders]
shift = "combined"
protocols = ["leave-one-site-out"]
"#;
    Suite::parse(text, "folders", &Registry::standard()).unwrap()
}

#[test]
fn one_site_is_measured_in_distribution_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let one: Vec<Row> = rows(false, |_| "")
        .into_iter()
        .filter(|row| row.1 == "east")
        .collect();
    write_cohort(folder.path(), "alone", &one);
    let registry = Registry::standard();
    let plan = plan(&folders_suite(), &registry, Some(folder.path())).unwrap();
    assert!(
        plan.runs
            .iter()
            .all(|run| run.spec.protocol == Protocol::SingleSite)
    );
    assert!(!plan.runs.is_empty());
    assert!(
        plan.skipped[0].contains("two are needed"),
        "{:?}",
        plan.skipped
    );
}

#[test]
fn two_cohorts_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for place in ["a", "b"] {
        write_cohort(&folder.path().join(place), "twin", &rows(false, |_| ""));
    }
    let registry = Registry::standard();
    let error = plan(&folders_suite(), &registry, Some(folder.path())).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("twin") && text.contains("cohort.toml"),
        "{text}"
    );
}

#[test]
fn an_exchanged_image_of_equal_length_is_other_data() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path(), "cohort", &rows(false, |_| ""));
    let spec = || {
        load_folder(
            folder.path(),
            Task::Classification,
            (&Training::default(), None),
        )
        .unwrap()
        .spec
    };
    let before = spec();
    let image = folder.path().join("0.png");
    let mut bytes = std::fs::read(&image).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&image, bytes).unwrap();
    assert_ne!(spec(), before);
}

/// Three people, as in some cohorts of raw measurements: nobody is left to validate.
#[test]
fn a_cohort_of_three_people_validates_on_images_and_says_so() {
    let mut rows = Vec::new();
    for site in SITES {
        for index in 0..30 {
            rows.push((format!("p{}", index % 3), site, index % 3 / 2, ""));
        }
    }
    let cohort = load(&rows);
    let sources = names(&["east", "north"]);
    for learns_from in [LearnsFrom::Sources, LearnsFrom::Target] {
        let arrangement = Arrangement {
            task: Task::Reconstruction,
            protocol: Protocol::LeaveOneSiteOut,
            sources: &sources,
            target: "west",
            held_out: None,
            seed: 0,
            learns_from,
            shares: Shares::default(),
            score_at_most: None,
        };
        let parts = split(&cohort, &arrangement).unwrap();
        let scored = patients(&cohort, [&parts.target]);
        let seen = parts.train.iter().chain(&parts.validation);
        let seen = patients(&cohort, seen.chain([&parts.adaptation]));
        assert_eq!(seen.intersection(&scored).next(), None);
        assert!(parts.validation.iter().any(|part| !part.samples.is_empty()));
        assert!(!parts.adaptation.samples.is_empty());
        let images: Vec<usize> = (parts.train.iter().chain(&parts.validation))
            .flat_map(|part| part.samples.clone())
            .collect();
        let distinct: BTreeSet<usize> = images.iter().copied().collect();
        assert_eq!(distinct.len(), images.len());
    }
}

/// Four fifths train and one validates, a fifth of the target is open; at most so many are scored.
#[test]
fn shares_and_the_number_scored_can_be_chosen() {
    let cohort = load(&rows(false, |_| ""));
    let sources = names(&SITES[..2]);
    let arrangement = Arrangement {
        task: Task::Classification,
        protocol: Protocol::LeaveOneSiteOut,
        sources: &sources,
        target: SITES[2],
        seed: 3,
        learns_from: LearnsFrom::Sources,
        shares: Shares {
            validation: 0.2,
            test: 0.0,
            open: 0.2,
        },
        score_at_most: None,
        held_out: None,
    };
    let parts = split(&cohort, &arrangement).unwrap();
    // Two images of each of 40 patients at a site.
    let sizes = |parts: &[Part]| -> Vec<usize> { parts.iter().map(|p| p.samples.len()).collect() };
    assert_eq!(sizes(&parts.train), [64, 64]);
    assert_eq!(sizes(&parts.validation), [16, 16]);
    assert_eq!(parts.in_distribution, parts.validation);
    assert_eq!(parts.adaptation.samples.len(), 16);
    assert_eq!(parts.target.samples.len(), 64);
    assert!(parts.notes.iter().any(|note| note.contains("who validate")));
    let few = Arrangement {
        score_at_most: Some(10),
        ..arrangement
    };
    let thinned = split(&cohort, &few).unwrap();
    assert_eq!(thinned.train, parts.train);
    assert_eq!(sizes(&thinned.validation), [10, 10]);
    assert_eq!(thinned.target.samples.len(), 10);
    let all = &parts.target.samples;
    assert!(thinned.target.samples.iter().all(|s| all.contains(s)));
}
