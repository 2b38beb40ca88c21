//! Real cohorts, where they lie beside the workspace; skipped, saying so, where they do not.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use ctl_imaging::{
    Cohort, Colour, ImageRequest, ImageStore, MaskRole, VerifyOptions, discover, idx, npz,
    read_raster, verify,
};
use std::path::PathBuf;
use std::sync::Arc;

fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn mean(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len() as f64
}

#[test]
fn every_cohort_verifies() {
    let Some(folder) = data("") else { return };
    let found = discover(&folder).unwrap();
    assert!(found.cohorts.len() >= 6, "{found:?}");
    assert!(
        found
            .skipped
            .iter()
            .any(|(folder, _)| folder.ends_with("mnist"))
    );
    for cohort in found.cohorts {
        let report = verify(&cohort, &VerifyOptions::default()).unwrap();
        assert!(
            report.is_clean(),
            "{}: {:?}",
            cohort.display(),
            report.problems
        );
        let opened = Cohort::open(&cohort).unwrap();
        assert_eq!(opened.len(), report.rows);
    }
}

#[test]
fn chest_radiographs() {
    let Some(folder) = data("cxr_multisite") else {
        return;
    };
    let cohort = Arc::new(Cohort::open(&folder).unwrap());
    // The counts of SOURCE.md.
    assert_eq!(cohort.len(), 3187);
    assert_eq!(cohort.classes(), ["negative", "positive"]);
    assert_eq!(cohort.sites().len(), 6);
    let site = cohort
        .sites()
        .iter()
        .position(|site| site.starts_with("NIH"))
        .unwrap();
    let labels = cohort
        .records()
        .iter()
        .filter(|record| record.site == site)
        .map(|r| r.label);
    assert_eq!(
        labels.clone().filter(|&label| label == Some(0)).count(),
        500
    );
    assert_eq!(labels.filter(|&label| label == Some(1)).count(), 500);
    let names: Vec<_> = cohort
        .attribute_inputs()
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(names, ["age", "sex", "view"]);

    // The column `mean` was computed on bytes when the cohort was made.
    let store = ImageStore::new(Arc::clone(&cohort), ImageRequest::grey(64, 64), 1 << 26);
    let indices: Vec<usize> = (0..cohort.len()).step_by(100).collect();
    for (&index, image) in indices.iter().zip(store.load(&indices).unwrap()) {
        let published: f64 = cohort.cell(index, "mean").unwrap().parse().unwrap();
        let ours = mean(image.samples()) * 255.0;
        assert!(
            (ours - published).abs() < 0.006,
            "row {index}: {ours}, {published}"
        );
    }
}

#[test]
fn retinal_vessels() {
    let Some(folder) = data("retina_vessels_multidomain") else {
        return;
    };
    let cohort = Arc::new(Cohort::open(&folder).unwrap());
    assert_eq!((cohort.len(), cohort.sites().len()), (135, 4));
    let with_second = cohort
        .records()
        .iter()
        .filter(|r| r.second_observer_path.is_some())
        .count();
    assert_eq!(with_second, 48);
    let store = ImageStore::new(Arc::clone(&cohort), ImageRequest::rgb(320, 320), 1 << 28);
    let indices: Vec<usize> = (0..cohort.len()).step_by(10).collect();
    let masks = store.load_masks(&indices).unwrap();
    let regions = store
        .load_masks_of(MaskRole::EvaluateWithin, &indices)
        .unwrap();
    for ((&index, mask), region) in indices.iter().zip(masks).zip(regions) {
        // The masks are coverage maps: what was published is their mean, and a class is one half.
        let path = folder.join(cohort.records()[index].mask_path.as_ref().unwrap());
        let coverage = read_raster(&path, Colour::Native).unwrap();
        let region = region.unwrap();
        let within = |samples: &[f32]| -> f64 {
            samples
                .iter()
                .zip(region.samples())
                .map(|(a, b)| f64::from(a * b))
                .sum()
        };
        let ours = within(coverage.samples()) / within(region.samples());
        let published: f64 = cohort
            .cell(index, "vessel_frac_in_fov")
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (ours - published).abs() < 2e-3,
            "row {index}: {ours}, {published}"
        );
        let pairs = mask.samples().iter().zip(coverage.samples());
        assert!(
            pairs
                .clone()
                .all(|(&class, &share)| (class > 0.5) == (share >= 0.5))
        );
    }
}

#[test]
fn tumour_masks() {
    let Some(folder) = data("lgg_multisequence_256") else {
        return;
    };
    let cohort = Arc::new(Cohort::open(&folder).unwrap());
    let report = verify(
        &folder,
        &VerifyOptions {
            decode: true,
            max_problems: 5,
        },
    )
    .unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    let store = ImageStore::new(Arc::clone(&cohort), ImageRequest::grey(256, 256), 0);
    let indices: Vec<usize> = (0..cohort.len()).step_by(20).collect();
    for (&index, mask) in indices.iter().zip(store.load_masks(&indices).unwrap()) {
        let published: f64 = cohort.cell(index, "mask_px_256").unwrap().parse().unwrap();
        let ours: f64 = mask.samples().iter().map(|&class| f64::from(class)).sum();
        assert!(
            (ours - published).abs() < 0.5,
            "row {index}: {ours}, {published}"
        );
    }
}

#[test]
fn handwritten_digits() {
    let Some(folder) = data("mnist") else { return };
    let images = idx::read_idx(&folder.join("train-images-idx3-ubyte.gz")).unwrap();
    assert_eq!(images.shape, [60_000, 28, 28]);
    // The mean pixel of SOURCE.md.
    let sum: u64 = images.bytes.iter().map(|&byte| u64::from(byte)).sum();
    assert!((sum as f64 / images.bytes.len() as f64 - 33.3184).abs() < 1e-4);
    let labels = idx::read_idx(&folder.join("t10k-labels-idx1-ubyte.gz")).unwrap();
    assert_eq!(
        (labels.shape, &labels.bytes[..5]),
        (vec![10_000], [7, 2, 1, 0, 4].as_slice())
    );
}

#[test]
fn archives_of_small_pictures() {
    let Some(folder) = data("medmnist_npz") else {
        return;
    };
    let path = folder.join("pneumoniamnist.npz");
    let images = npz::read_npz(&path, "train_images").unwrap();
    assert_eq!(images.shape, [4708, 28, 28]);
    let values = images.to_f64();
    // The mean of SOURCE.md.
    let mean = values.iter().sum::<f64>() / values.len() as f64 / 255.0;
    assert!((mean - 0.5719).abs() < 1e-4, "{mean}");

    let cohort = tempfile::tempdir().unwrap();
    std::fs::copy(&path, cohort.path().join("p.npz")).unwrap();
    let rows: Vec<String> = (0..524)
        .map(|index| format!("p.npz#val_images/{index}"))
        .collect();
    std::fs::write(
        cohort.path().join("manifest.csv"),
        format!("path\n{}\n", rows.join("\n")),
    )
    .unwrap();
    let report = verify(
        cohort.path(),
        &VerifyOptions {
            decode: true,
            max_problems: 5,
        },
    )
    .unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    let opened = Arc::new(Cohort::open(cohort.path()).unwrap());
    let store = ImageStore::new(opened, ImageRequest::grey(28, 28), 0);
    let all: Vec<usize> = (0..524).collect();
    let loaded = store.load(&all).unwrap();
    let golden = npz::read_npz(&path, "val_images").unwrap().to_f64();
    let ours = loaded.iter().flat_map(|image| image.samples());
    assert!(
        ours.zip(&golden)
            .all(|(ours, golden)| (f64::from(*ours) * 255.0 - golden).abs() < 1e-4)
    );
}
