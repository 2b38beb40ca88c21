use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ctl_compute::random::{normal, stream, uniform};
use ctl_graph::Diagram;

use super::*;
use crate::{
    Act, Columns, DeepScm, FitOptions, ImageSpec, Kind, ModelSpec, Records, Schema,
    StructuralModel, VaeConfig, VaeMechanism,
};

const SIDE: usize = 16;

fn spec(residual: bool) -> ModelSpec {
    let nodes = [
        ("level", Kind::REAL),
        ("half", Kind::named(&["left", "right"])),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    ModelSpec {
        edges: "level -> image; half -> image".to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: crate::FlowConfig::default(),
        categories: crate::CategoriesConfig::default(),
        image: Some(ImageSpec::Vae(VaeConfig {
            widths: vec![4, 8],
            hidden: 16,
            latent: 2,
            residual,
            ..VaeConfig::default()
        })),
    }
}

/// One half of the image has the level, the other is dark; some noise.
fn image(level: f64, half: f64, row: u64) -> Vec<f32> {
    let noise = uniform(&mut stream(row, "t", "noise"), SIDE * SIDE, (0.0, 0.05)).unwrap();
    let noise = noise.to_vec1::<f32>().unwrap();
    let lit = |p: usize| (p % SIDE >= SIDE / 2) == (half > 0.5);
    (0..SIDE * SIDE)
        .map(|p| noise[p] + if lit(p) { level as f32 } else { 0.1 })
        .collect()
}

fn records(schema: &Schema, levels: Vec<f64>, halves: Vec<f64>) -> Records {
    let count = levels.len();
    let pixels = levels.iter().zip(&halves).enumerate();
    let pixels: Vec<f32> = pixels
        .flat_map(|(row, (&level, &half))| image(level, half, row as u64))
        .collect();
    let images = Tensor::from_vec(pixels, (count, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    let columns = [("level", levels), ("half", halves)];
    Records::new(
        schema,
        Columns::new(schema, &columns).unwrap(),
        Some(images),
    )
    .unwrap()
}

fn data(schema: &Schema, count: usize) -> Records {
    let levels = normal(&mut stream(0, "t", "levels"), count, 0.6, 0.08).unwrap();
    let levels = levels.to_vec1::<f32>().unwrap();
    let levels = levels.iter().map(|&level| f64::from(level)).collect();
    records(
        schema,
        levels,
        (0..count).map(|row| (row % 2) as f64).collect(),
    )
}

fn predictors(schema: &Schema, data: &Records) -> Predictors {
    let config = PredictorConfig {
        widths: vec![4, 8],
        hidden: 16,
        steps: 150,
        batch: 32,
        learning_rate: 5e-3,
    };
    Predictors::train(schema, data, &config, 0, &mut |_| ()).unwrap()
}

/// What the predictors learn from facts tells true counterfactuals from images that did not change.
#[test]
fn predictors_measure_effectiveness() {
    let schema = spec(false).schema().unwrap();
    let facts = data(&schema, 200);
    let predictors = predictors(&schema, &facts);
    let own = predictors.errors(&facts).unwrap();
    assert!(own["half"] == 0.0 && own["level"] < 0.03, "{own:?}");
    let level = schema.attribute("level").unwrap();
    let brighter: Vec<f64> = facts
        .columns
        .column(level)
        .iter()
        .map(|l| l + 0.15)
        .collect();
    // What is said of each individual makes the errors, and untrained predictors say otherwise.
    let said = predictors.predictions(&facts).unwrap();
    let pairs = said["level"].iter().zip(facts.columns.column(level));
    let mean = pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 200.0;
    assert!((mean - own["level"]).abs() < 1e-12);
    let untrained = Predictors::new(&schema, &facts.columns, &PredictorConfig::default(), 0);
    assert!(untrained.unwrap().errors(&facts).unwrap()["half"] > 0.1);
    let half = schema.attribute("half").unwrap();
    let halves = facts.columns.column(half).to_vec();
    let truth = records(&schema, brighter, halves);
    let effective = predictors.errors(&truth).unwrap();
    assert!(effective["level"] < 0.06, "{effective:?}");
    let unchanged = Records {
        columns: truth.columns.clone(),
        images: facts.images.clone(),
    };
    let idle = predictors.errors(&unchanged).unwrap();
    assert!(idle["level"] > 0.12, "{idle:?}");
    let near = realism(&predictors, &facts, &facts).unwrap();
    let far = realism(&predictors, &facts, &truth).unwrap();
    assert!(
        near.frechet.abs() < 1e-6 && far.frechet > 0.01,
        "{near:?} {far:?}"
    );
    assert!(far.kernel > near.kernel);
}

/// A predictor of a cause is told the effects that the diagram gives it, and no more.
#[test]
fn predictors_are_conditioned_on_effects() {
    let kinds = [
        ("thickness", Kind::REAL),
        ("intensity", Kind::REAL),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    let edges = "thickness -> intensity -> image; thickness -> image";
    let schema = Schema::new(Diagram::parse(edges).unwrap(), &kinds).unwrap();
    let values = || vec![1.0, 2.0, 3.0, 4.0];
    let columns = [("thickness", values()), ("intensity", values())];
    let columns = Columns::new(&schema, &columns).unwrap();
    let images = uniform(&mut stream(0, "t", "x"), (4, 1, SIDE, SIDE), (0.0, 1.0)).unwrap();
    let facts = Records::new(&schema, columns, Some(images)).unwrap();
    let config = PredictorConfig {
        widths: vec![2],
        hidden: 4,
        steps: 1,
        ..PredictorConfig::default()
    };
    let all = Predictors::train(&schema, &facts, &config, 0, &mut |_| ()).unwrap();
    let inputs: BTreeMap<&str, usize> = all
        .all()
        .iter()
        .map(|p| {
            let shapes = p.parameters().shapes();
            let squeeze = shapes
                .iter()
                .find(|(name, _)| *name == "squeeze.weight")
                .unwrap();
            (schema.diagram().name(p.node()), squeeze.1[1])
        })
        .collect();
    let flat = 2 * (SIDE / 2) * (SIDE / 2);
    assert_eq!(
        inputs,
        BTreeMap::from([("intensity", flat), ("thickness", flat + 1)])
    );
}

/// With the residual in the noise every cycle gives the image back; without, something is lost.
#[test]
fn composition_and_reversibility() {
    let facts = data(&spec(false).schema().unwrap(), 12);
    let score = |residual: bool| {
        let model = DeepScm::new(&spec(residual), &facts.columns, 0).unwrap();
        let acts = model.act(&[("level", Act::set(0.7))]).unwrap().acts;
        let composed = composition(&model, &facts, 2, 0).unwrap();
        let reversed = reversibility(&model, &facts, &acts, 1, 0).unwrap();
        (composed.l1, reversed.l1)
    };
    let (composed, _) = score(true);
    assert!(
        composed.len() == 2 && composed[0] < 0.01 && composed[1] < 0.01,
        "{composed:?}"
    );
    let (composed, reversed) = score(false);
    assert!(composed[0] > 5.0, "{composed:?}");
    assert!(reversed.len() == 1 && reversed[0] > 5.0, "{reversed:?}");
}

/// An image that stays is minimal, one that becomes somebody else's is not; an encoder with parents
/// is refused.
#[test]
fn minimality_prefers_what_stays() {
    let schema = spec(false).schema().unwrap();
    let facts = data(&schema, 40);
    let config = VaeConfig {
        widths: vec![4, 8],
        hidden: 16,
        latent: 2,
        ..VaeConfig::default()
    };
    let encoder = VaeMechanism::new(&config, [1, SIDE, SIDE], 0, (0, "t")).unwrap();
    let mut options = FitOptions::default();
    options.image.steps = 60;
    options.image.averaging = 0.0;
    let nobody = crate::Encoding::none();
    crate::train_image("image", (&nobody, &encoder), &facts, &options, &mut |_| ()).unwrap();
    let groups: Vec<(usize, usize)> = (0..40).map(|row| (row % 2, 1 - row % 2)).collect();
    let stays = minimality(&encoder, &facts, &facts, &groups)
        .unwrap()
        .mean();
    let others: Vec<usize> = (0..40).map(|row| (row + 7) % 40).collect();
    let moved = Records {
        columns: facts.columns.clone(),
        images: facts.select(&others).unwrap().images,
    };
    let moves = minimality(&encoder, &facts, &moved, &groups)
        .unwrap()
        .mean();
    assert!(moves > stays + 0.05, "{moves} {stays}");
    let told = VaeMechanism::new(&config, [1, SIDE, SIDE], 3, (0, "t")).unwrap();
    assert!(minimality(&told, &facts, &facts, &groups).is_err());
}

/// By hand: one image off by 51 grey levels everywhere, one exact.
#[test]
fn true_errors_by_hand() {
    let schema = spec(false).schema().unwrap();
    let truth = data(&schema, 2);
    let images = truth.images.clone().unwrap();
    let off = Tensor::from_vec(vec![0.2f32, 0.0], (2, 1, 1, 1), &Device::Cpu).unwrap();
    let ours = Records {
        columns: truth.columns.clone(),
        images: Some(images.broadcast_add(&off).unwrap()),
    };
    let found = true_error(&ours, &truth).unwrap();
    assert!((found.by_individual[0] - 51.0).abs() < 1e-3 && found.by_individual[1] == 0.0);
    assert!((found.mae - 25.5).abs() < 1e-3);
    // 10 log10 (255² / 51²)
    assert!((found.psnr.unwrap() - 10.0 * 25f64.log10()).abs() < 1e-3);
    assert!(found.ssim < 1.0 && found.ssim > 0.4, "{}", found.ssim);
    let same = true_error(&truth, &truth).unwrap();
    assert_eq!((same.mae, same.psnr), (0.0, None));
    assert!((same.ssim - 1.0).abs() < 1e-9);
    let fewer = truth.select(&[0]).unwrap();
    assert!(true_error(&fewer, &truth).is_err());
}
