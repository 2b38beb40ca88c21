//! Experiments with true counterfactuals, a few updates long.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use ctl_counterfactual::{Acts, StructuralModel};
use ctl_phantom::Anatomy;

use super::ledger::{Experiment, Ledger, ModelKind, ModelOf};
use super::restarts::ReproduceOptions;
use super::trained::{trained, with_residual};
use super::{counterfactual_benchmark, counterfactual_phantoms};
use crate::truth::{Phantoms, Simulator, TruthReport};
use crate::{Silent, store::read_json};

fn few(kind: ModelKind) -> ModelOf {
    ModelOf {
        kind,
        budget: String::new(),
        steps: Some(2),
        images: Some(8),
    }
}

fn options(data: &Path, out: &Path) -> ReproduceOptions {
    ReproduceOptions {
        data: data.to_path_buf(),
        restarts: 1,
        jobs: 1,
        out: out.to_path_buf(),
        records: None,
        provenance: BTreeMap::new(),
    }
}

fn experiment(id: &str) -> Experiment {
    Ledger::shipped().unwrap().experiment(id).unwrap().clone()
}

/// Upright bars of different widths, as files of MNIST.
fn bars(folder: &Path) {
    for (part, count) in [("train", 8_u8), ("t10k", 8)] {
        let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
        for digit in 0..usize::from(count) {
            let lit =
                |i: usize| (8..20).contains(&(i / 28)) && (10..13 + digit % 3).contains(&(i % 28));
            images.extend((0..784).map(|i| if lit(i) { 250_u8 } else { 0 }));
        }
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [0, 0, 8, 1, 0, 0, 0, count]
            .into_iter()
            .chain((0..count).map(|_| 1));
        let labels: Vec<u8> = labels.collect();
        std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

fn names(report: &TruthReport) -> Vec<&str> {
    report.rivals.iter().map(|rival| &rival.name[..]).collect()
}

#[test]
#[ignore = "half a minute: `cargo xtask ci --full` runs it"]
fn digits_are_asked_about_by_every_mechanism() {
    let folder = tempfile::tempdir().unwrap();
    bars(folder.path());
    let out = folder.path().join("out");
    let experiment = experiment("counterfactual-benchmark-morphomnist");
    let (of, options) = (
        few(ModelKind::CounterfactualBenchmark),
        options(folder.path(), &out),
    );
    let run = || counterfactual_benchmark::run(&experiment, &of, &options, &Silent).unwrap();
    let report = run();
    let expected = [
        "no change",
        "true generator",
        "vae",
        "vae with residual",
        "hvae",
        "hvae with residual",
        "diffusion",
    ];
    assert_eq!(names(&report), expected);
    let [still, truth, ..] = &report.rivals[..] else {
        unreachable!()
    };
    for (still, truth) in still.cases.iter().zip(&truth.cases) {
        assert_eq!((truth.mae, truth.reversibility), (0.0, 0.0));
        assert!(
            still.mae > 1.0 && still.carried_out == Some(0.0),
            "{still:?}"
        );
        // The rule reads the intended thickness off the true image better than off the fact.
        if still.case != "do(intensity)" {
            let [truth, still] = [truth, still].map(|case| case.measured["thickness"]);
            assert!(truth < still, "{truth} {still}");
        }
    }
    // A residual gives facts back to rounding.
    assert!(report.rivals[3].composition[0] < 0.01 && report.rivals[2].composition[0] > 1.0);
    assert_eq!(report.models[0].pairs, 15);
    let budget = report.rivals[4].budget.as_ref().unwrap();
    assert_eq!((budget.updates, &budget.mechanism[..]), (2, "hvae"));
    assert!(budget.minutes.is_some());
    let text = report.to_markdown();
    for part in [
        "| vae with residual |",
        "### `do(thickness, intensity)`",
        "error of intensity",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let folder = out.join(&experiment.id);
    assert!(folder.join("strip.png").exists());
    // Nothing is done again.
    let at = || {
        std::fs::metadata(folder.join("scores/report.json"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = at();
    assert_eq!((run(), at()), (report, before));
}

#[test]
fn patients_are_asked_about_beside_their_oracles() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), folder.path());
    let experiment = experiment("counterfactual-chest");
    let of = (&few(ModelKind::CounterfactualChest), Anatomy::Chest);
    let report = counterfactual_phantoms::run(&experiment, of, &options, &Silent).unwrap();
    let mae = |name: &str, case: &str| {
        let rival = report
            .rivals
            .iter()
            .find(|rival| rival.name == name)
            .unwrap();
        rival
            .cases
            .iter()
            .find(|found| found.case == case)
            .map(|found| found.mae)
    };
    for case in [
        "do(scanner)",
        "do(device)",
        "do(disease)",
        "do(age)",
        "do(scanner, disease)",
    ] {
        let still = mae("no change", case).unwrap();
        let residual = mae("oracle, noise as residual", case).unwrap();
        assert_eq!(mae("true mechanism", case), Some(0.0));
        assert!(residual < still, "{case}: {residual} {still}");
    }
    // Intensity matching knows of the scanner alone.
    assert!(mae("intensity matching", "do(scanner, disease)").is_some());
    assert!(mae("intensity matching", "do(age)").is_none());
    let trained = report.trained().find(|rival| rival.name == "vae").unwrap();
    let calibration = trained.calibration.as_ref().unwrap();
    assert_eq!(
        calibration.attributes.keys().collect::<Vec<_>>(),
        ["age", "lab"]
    );
    assert_eq!(calibration.parents.len(), 5);
    assert!(
        folder
            .path()
            .join("counterfactual-chest/strip.png")
            .exists()
    );
}

/// With the residual the same weights give facts back; what training cost is kept beside it.
#[test]
fn the_residual_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let phantoms = Phantoms::new(Anatomy::Brain, 32, [8, 4], 0).unwrap();
    let of = few(ModelKind::CounterfactualBrain);
    let recipe = counterfactual_phantoms::recipe(&of);
    let train = || trained(&recipe, &phantoms, folder.path(), &Silent).unwrap();
    let (model, budget) = train();
    // Read again, not trained again.
    let (_, again) = train();
    assert_eq!(budget, again);
    let twin = with_residual(&model, &phantoms).unwrap().unwrap();
    let facts = phantoms.facts(phantoms.scored()).unwrap();
    let apart = |model: &dyn StructuralModel| {
        let back = model.counterfactual(&facts, &Acts::none(), 0).unwrap();
        let images = |images: Option<Tensor>| images.unwrap();
        let difference = (images(back.images) - images(facts.images.clone())).unwrap();
        difference
            .abs()
            .unwrap()
            .mean_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    assert!(apart(&twin) < 1e-5 && apart(&model) > 1e-3);
    let kept: serde_json::Value = read_json(&folder.path().join("vae/budget.json")).unwrap();
    assert!(kept["seconds"].as_f64().unwrap() > 0.0);
}
