//! Damaged and unusual cohorts: what `data verify` finds, and what `benchmark` makes of them.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

#[path = "counterfactual/mod.rs"]
mod counterfactual;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use rstest::rstest;
use support::{cohort, ctl, stderr};

const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = ["erm"]
[training]
network = "small-cnn"
size = 20
steps = 5
batch_size = 4
evaluate_every = 5
[folders]
protocols = ["leave-one-site-out"]
shift = "combined"
min_per_class = 5
"#;

fn suite(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn benchmark(suite: &Path, data: &Path, out: &Path, methods: &str) -> Output {
    let [suite, data, out] = [suite, data, out].map(|path| path.to_str().unwrap());
    let named = [
        "--suite",
        suite,
        "--data",
        data,
        "--out",
        out,
        "--method",
        methods,
        "--task",
        "classification",
    ];
    ctl(&[&["benchmark"][..], &named].concat())
}

/// Replaces the first line that holds `old`; what a careless hand does to a manifest.
fn edit(folder: &Path, file: &str, old: &str, new: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} holds {old}");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
}

fn first_image(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    text.lines()
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .to_owned()
}

type Damage = fn(&Path);

fn missing_image(folder: &Path) {
    std::fs::remove_file(folder.join(first_image(folder))).unwrap();
}

fn truncated_png(folder: &Path) {
    let path = folder.join(first_image(folder));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
}

fn label_outside(folder: &Path) {
    let image = first_image(folder);
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let line = text.lines().nth(1).unwrap().to_owned();
    let mut cells: Vec<&str> = line.split(',').collect();
    cells[2] = "7";
    assert!(line.starts_with(&image));
    edit(folder, "manifest.csv", &line, &cells.join(","));
}

fn two_splits(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
    lines[0].push_str(",split");
    for (index, line) in lines.iter_mut().enumerate().skip(1) {
        line.push_str(if index % 2 == 0 { ",train" } else { ",test" });
    }
    let patient = lines[1].split(',').nth(4).unwrap().to_owned();
    let other = lines[2].split(',').nth(4).unwrap().to_owned();
    lines[2] = lines[2].replacen(&other, &patient, 1);
    std::fs::write(folder.join("manifest.csv"), lines.join("\n")).unwrap();
}

fn unknown_key(folder: &Path) {
    edit(folder, "cohort.toml", "schema", "colour = 1\nschema");
}

/// Two images with masks of the values 0 and 9.
fn segmented(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let manifest = "path,mask_path\na.png,am.png\nb.png,bm.png\n";
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
    let description = "schema = 1\n[mask]\nvalues = [0, 9]\n";
    std::fs::write(folder.join("cohort.toml"), description).unwrap();
    for name in ["a.png", "b.png"] {
        grey(&folder.join(name), 2, 3, &[10, 20, 30, 40, 50, 60]);
    }
    for name in ["am.png", "bm.png"] {
        grey(&folder.join(name), 2, 3, &[0, 9, 0, 9, 0, 9]);
    }
}

fn grey(path: &Path, height: usize, width: usize, bytes: &[u8]) {
    let samples = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let raster = ctl_imaging::Raster::new(1, height, width, samples).unwrap();
    raster.write_png(path).unwrap();
}

fn mask_outside(folder: &Path) {
    grey(&folder.join("bm.png"), 2, 3, &[0, 9, 0, 9, 0, 7]);
}

fn mask_of_another_size(folder: &Path) {
    grey(&folder.join("bm.png"), 3, 2, &[0, 9, 0, 9, 0, 9]);
}

fn missing_mask(folder: &Path) {
    std::fs::remove_file(folder.join("bm.png")).unwrap();
}

fn verify(folder: &Path, decode: bool) -> (Option<i32>, String) {
    let mut arguments = vec!["data", "verify", folder.to_str().unwrap()];
    arguments.extend(decode.then_some("--decode"));
    let output = ctl(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &stderr(&output))
}

#[rstest]
#[case::missing(missing_image, false, "manifest.csv:2:path: ")]
#[case::truncated(truncated_png, true, "manifest.csv:2:path: ")]
#[case::label(label_outside, false, "manifest.csv:2:label: ")]
#[case::splits(two_splits, false, "manifest.csv:3:split: ")]
#[case::key(unknown_key, false, "cohort.toml:1:colour: ")]
fn a_damaged_cohort_is_refused_with_file_row_and_column(
    #[case] damage: Damage,
    #[case] decode: bool,
    #[case] place: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cohort");
    cohort(&path, 8);
    assert_eq!(verify(&path, true).0, Some(0));
    damage(&path);
    let (code, text) = verify(&path, decode);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(place), "{place:?} in {text}");
    assert!(text.contains(" 1 faults"), "{text}");
}

#[rstest]
#[case::class(mask_outside, true, "found 7 at pixel row 1, column 2 in bm.png")]
#[case::size(mask_of_another_size, false, "found 3x2 in bm.png")]
#[case::missing(missing_mask, false, "no such file")]
fn damaged_masks_are_refused_with_file_row_and_column(
    #[case] damage: Damage,
    #[case] decode: bool,
    #[case] says: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cohort");
    segmented(&path);
    assert_eq!(verify(&path, true).0, Some(0));
    damage(&path);
    let (code, text) = verify(&path, decode);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("manifest.csv:3:mask_path: "), "{text}");
    assert!(text.contains(says), "{says:?} in {text}");
}

/// The records of a sweep, by run.
fn records(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let runs = std::fs::read_dir(out.join("runs")).unwrap();
    let files = runs.map(|run| run.unwrap().path().join("record.json"));
    files
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .collect()
}

/// One error, once with the place of the damage in a new folder, and once in the folder of an
/// earlier sweep, which stays as it was.
#[rstest]
#[case::missing(missing_image, "manifest.csv:2:path: ")]
#[case::truncated(truncated_png, "manifest.csv:2:path: ")]
#[case::label(label_outside, "manifest.csv:2:label: ")]
#[case::splits(two_splits, "manifest.csv:3:split: ")]
#[case::key(unknown_key, "cohort.toml:1:colour: ")]
fn a_damaged_cohort_stops_a_benchmark_and_finished_runs_stay(
    #[case] damage: Damage,
    #[case] place: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    cohort(&data, 24);
    let suite = suite(folder.path(), SUITE);
    let out = folder.path().join("out");
    let sound = benchmark(&suite, &data, &out, "erm");
    assert!(sound.status.success(), "{}", stderr(&sound));
    let before = records(&out);
    assert!(!before.is_empty());
    damage(&data);
    let fresh = benchmark(&suite, &data, &folder.path().join("fresh"), "erm,irm");
    let again = benchmark(&suite, &data, &out, "erm,irm");
    for output in [&fresh, &again] {
        let text = stderr(output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{text}");
    }
    assert!(
        stderr(&fresh).contains(place),
        "{place:?} in {}",
        stderr(&fresh)
    );
    assert_eq!(records(&out), before);
}

/// A single pixel is what a failed export leaves.
#[test]
fn an_image_of_one_pixel_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cohort");
    std::fs::create_dir_all(&data).unwrap();
    let mut manifest = String::from("path,label,site\n");
    for index in 0..48 {
        let file = format!("{index}.png");
        let side = if index == 7 { 1 } else { 4 };
        grey(
            &data.join(&file),
            side,
            side,
            &vec![(index * 5) as u8; side * side],
        );
        let row = [
            file,
            (index % 2).to_string(),
            ["a", "b", "c"][index % 3].into(),
        ];
        manifest.push_str(&row.join(","));
        manifest.push('\n');
    }
    std::fs::write(data.join("manifest.csv"), manifest).unwrap();
    let path = suite(folder.path(), SUITE);
    let out = folder.path().join("out");
    let output = benchmark(&path, &data, &out, "erm");
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("manifest.csv:9"), "{text}");
    assert!(text.contains("more than one pixel, found 1x1"), "{text}");
    let verified = ctl(&["data", "verify", data.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(3));
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(text.contains("manifest.csv:9:path"), "{text}");
    assert!(text.contains("more than one pixel, found 1x1"), "{text}");
}

#[test]
fn the_make_up_of_a_cohort_is_printed_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("films");
    cohort(&data, 12);
    let path = data.to_str().unwrap();
    let page = folder.path().join("films.html");
    let shown = ctl(&["data", "stats", path, "--html", page.to_str().unwrap()]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    assert!(
        std::fs::read_to_string(&page)
            .unwrap()
            .contains("data:image/png")
    );

    let json = ctl(&["data", "stats", path, "--json"]);
    let stats: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let images = stats["sites"].as_array().unwrap().iter();
    let images: u64 = images.map(|site| site["images"].as_u64().unwrap()).sum();
    assert_eq!(Some(images), stats["images"].as_u64());

    let nothing = ctl(&["data", "stats", folder.path().to_str().unwrap()]);
    assert_eq!(nothing.status.code(), Some(3), "{}", stderr(&nothing));
}

/// Volumes of three sites, two slices used of each; who is ill has a bright box, which is masked.
fn volumes(folder: &Path) {
    use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
    std::fs::create_dir_all(folder).unwrap();
    let affine = Affine::from_spacing([0.8, 0.9, 3.0], [0.0; 3]).unwrap();
    let mut manifest = String::from("path,mask_path,label,site,patient\n");
    for patient in 0..36 {
        let ill = patient % 2 == 1;
        let in_box =
            |voxel: usize| (6..14).contains(&(voxel % 20)) && (6..14).contains(&(voxel / 20 % 20));
        let marks = (0..1600).map(|voxel| u8::from(in_box(voxel)));
        let values = (0..1600).map(|voxel| {
            let noise = (voxel * 7919 + patient * 104_729) % 97;
            i16::try_from(noise).unwrap() + if ill && in_box(voxel) { 400 } else { 0 }
        });
        let save = |name: &str, samples: Samples| {
            let volume = Volume::new(&[20, 20, 4], samples, affine).unwrap();
            write_volume(&folder.join(name), &volume).unwrap();
        };
        let (image, mask) = (
            format!("{patient}.nii.gz"),
            format!("{patient}-mask.nii.gz"),
        );
        save(&image, Samples::I16(values.collect()));
        save(&mask, Samples::U8(marks.collect()));
        let site = ["a", "b", "c"][patient / 2 % 3];
        let row = [
            image,
            mask,
            usize::from(ill).to_string(),
            site.into(),
            format!("p{patient}"),
        ];
        manifest.push_str(&row.join(","));
        manifest.push('\n');
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
    std::fs::write(
        folder.join("cohort.toml"),
        "schema = 1\n[volumes]\nevery = 2\n",
    )
    .unwrap();
}

#[test]
fn slices_of_volumes_are_verified_described_and_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("volumes");
    volumes(&data);
    assert_eq!(verify(&data, true).0, Some(0));
    let json = ctl(&["data", "stats", data.to_str().unwrap(), "--json"]);
    let stats: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&stats["images"], &stats["patients"]),
        (&72.into(), &36.into())
    );
    // Millimetres down and across, which the files hold in single precision.
    let spacing = &stats["sites"][0]["spacing"];
    for (axis, expected) in [(0, 0.9), (1, 0.8)] {
        let median = spacing[axis]["median"].as_f64().unwrap();
        assert!((median - expected).abs() < 1e-6, "{spacing}");
    }
    let suite = suite(folder.path(), &SUITE.replace("steps = 5", "steps = 60"));
    let out = folder.path().join("out");
    let output = benchmark(&suite, &data, &out, "erm");
    assert!(output.status.success(), "{}", stderr(&output));
    for record in records(&out).into_values() {
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let auroc = &record["selections"]["target-oracle"]["target"]["auroc"];
        assert!(auroc.as_f64().unwrap() > 0.9, "{auroc}");
    }
}
