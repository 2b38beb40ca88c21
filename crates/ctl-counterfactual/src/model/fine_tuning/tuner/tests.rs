use std::path::Path;

use candle_core::Device;
use ctl_compute::random::{normal, uniform};
use rstest::rstest;

use super::*;
use crate::image::toy::{check_gradients_of, disturb, values};
use crate::{
    DeepScm, FitOptions, FlowConfig, HvaeConfig, HvaeMechanism, ImageSpec, ImageTraining, Kind,
    ModelSpec, PredictorConfig, Records, StructuralModel, VaeConfig, VaeMechanism,
};

const SIDE: usize = 4;

fn vae() -> VaeConfig {
    VaeConfig {
        widths: vec![4],
        hidden: 8,
        latent: 3,
        ..VaeConfig::default()
    }
}

fn hvae() -> HvaeConfig {
    HvaeConfig {
        widths: vec![4, 4, 4],
        encoder: "4b1d2,2b1d2,1b1".to_owned(),
        decoder: "1b1,2b1,4b1".to_owned(),
        latent: 2,
        bottleneck: 2,
        ..HvaeConfig::default()
    }
}

/// age → level → image ← half, and a site that nothing descends from.
fn spec(image: ImageSpec) -> ModelSpec {
    let nodes = [
        ("age", Kind::REAL),
        ("level", Kind::REAL),
        ("half", Kind::named(&["left", "right"])),
        ("site", Kind::named(&["north", "south"])),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    ModelSpec {
        edges: "age -> level -> image; half -> image; site".to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: FlowConfig {
            hidden: 8,
            ..FlowConfig::default()
        },
        categories: crate::CategoriesConfig::default(),
        image: Some(image),
    }
}

/// One half of an image has the level, the other is dark; some noise.
fn data(spec: &ModelSpec, count: usize) -> Records {
    let schema = spec.schema().unwrap();
    let drawn = normal(&mut stream(0, "t", "data"), (count, 2), 0.0, 1.0).unwrap();
    let drawn = drawn.to_vec2::<f32>().unwrap();
    let ages: Vec<f64> = drawn.iter().map(|row| f64::from(row[0])).collect();
    let level = |row: &Vec<f32>| 0.6 + 0.08 * (f64::from(row[0]) + f64::from(row[1])).tanh();
    let levels: Vec<f64> = drawn.iter().map(level).collect();
    let halves: Vec<f64> = (0..count).map(|row| (row % 2) as f64).collect();
    let pixels = (0..count * SIDE * SIDE).map(|index| {
        let (row, column) = (index / (SIDE * SIDE), index % SIDE);
        let is_lit = usize::from(column >= SIDE / 2) == row % 2;
        if is_lit { levels[row] as f32 } else { 0.2 }
    });
    let images = Tensor::from_iter(pixels, &Device::Cpu).unwrap();
    let images = images.reshape((count, 1, SIDE, SIDE)).unwrap();
    let noise = uniform(&mut stream(0, "t", "noise"), images.shape(), (-0.1, 0.1)).unwrap();
    let sites = (0..count).map(|row| (row / 2 % 2) as f64).collect();
    let columns = [
        ("age", ages),
        ("level", levels),
        ("half", halves),
        ("site", sites),
    ];
    let columns = Columns::new(&schema, &columns).unwrap();
    Records::new(&schema, columns, Some((images + noise).unwrap())).unwrap()
}

fn predictors(steps: u64) -> PredictorConfig {
    PredictorConfig {
        widths: vec![8],
        hidden: 16,
        steps,
        batch: 32,
        learning_rate: 5e-3,
    }
}

fn settings(steps: u64) -> FineTuning {
    FineTuning {
        steps,
        batch: 16,
        warmup: 5,
        averaging: 0.9,
        checkpoint_every: 4,
        predictors: predictors(10),
        ..FineTuning::default()
    }
}

fn options(steps: u64) -> FitOptions {
    FitOptions {
        seed: 1,
        attributes: crate::AttributeTraining {
            steps: 20,
            batch: 64,
            evaluate_every: 20,
            ..Default::default()
        },
        image: ImageTraining {
            steps,
            batch: 32,
            learning_rate: 5e-3,
            warmup: 5,
            averaging: 0.9,
            checkpoint_every: 7,
            ..Default::default()
        },
        fine_tuning: None,
        folder: None,
    }
}

fn weights(model: &DeepScm) -> BTreeMap<String, Vec<f32>> {
    model.image().unwrap().parameters().snapshot().unwrap()
}

/// A model whose image has this mechanism in double precision, away from its start.
fn double(image: ImageSpec) -> (DeepScm, Records) {
    let spec = spec(image);
    let facts = data(&spec, 6);
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let parameters = Parameters::new(0, "t").in_double_precision();
    let (encoding, _) = model.image.take().unwrap();
    let (shape, width) = ([1, SIDE, SIDE], encoding.width());
    let mechanism: Box<dyn ImageMechanism> = match &spec.image {
        Some(ImageSpec::Vae(c)) => {
            Box::new(VaeMechanism::from_parameters(parameters, c, shape, width).unwrap())
        }
        Some(ImageSpec::Hvae(c)) => {
            Box::new(HvaeMechanism::from_parameters(parameters, c, shape, width).unwrap())
        }
        other => panic!("{other:?}"),
    };
    disturb(mechanism.parameters(), 0.2);
    // Broad laws: far out on their tails the likelihood is made of rounding, and so are differences.
    let mut weights = mechanism.parameters().snapshot().unwrap();
    for (name, values) in &mut weights {
        match &name[..] {
            "likelihood.x_logscale.bias" => values.fill(1.5),
            "likelihood.x_loc.weight" | "likelihood.x_logscale.weight" => {
                for value in values {
                    *value *= 0.1;
                }
            }
            _ => {}
        }
    }
    mechanism.parameters().restore(&weights).unwrap();
    model.image = Some((encoding, mechanism));
    (model, facts)
}

fn has_residual(model: &DeepScm) -> bool {
    match &model.spec().image {
        Some(ImageSpec::Vae(config)) => config.residual,
        Some(ImageSpec::Hvae(config)) => config.residual,
        _ => false,
    }
}

/// Through abduction, intervention, prediction and predictors, and the bound: with a violated
/// constraint and a kept one, with and without the residual in the noise.
#[rstest]
#[case(ImageSpec::Vae(vae()), 6.0)]
#[case(ImageSpec::Vae(VaeConfig { residual: true, ..vae() }), 6.0)]
#[case(ImageSpec::Vae(VaeConfig { belief: crate::Belief::Draw, ..vae() }), 100.0)]
#[case(ImageSpec::Hvae(hvae()), 6.0)]
#[case(ImageSpec::Hvae(HvaeConfig { residual: true, free_bits: 0.01, ..hvae() }), 6.0)]
fn gradients_are_those_of_finite_differences(#[case] image: ImageSpec, #[case] limit: f64) {
    let (model, facts) = double(image);
    let settings = settings(1);
    let parameters = |run: &str| Parameters::new(7, run).in_double_precision();
    let tuner = Tuner::with_parameters(&model, &facts, &settings, 0, &parameters).unwrap();
    let lagrangian = Lagrangian {
        tuner: &tuner,
        multiplier: Multiplier {
            lambda: 0.5,
            limit,
            damping: 0.25,
            rate: 0.0,
        },
    };
    let loss = |place: u64| lagrangian.loss(&[0, 1, 2, 3, 4, 5], place).unwrap();
    let bound = values(&loss(0).terms[1].1)[0];
    let is_violated = lagrangian.multiplier.weight(bound) > 0.0;
    assert_eq!(is_violated, limit < 50.0, "{bound}");
    let half = model.schema().attribute("half").unwrap();
    let changes = |place: &u64| {
        let place = format!("step {place}");
        let after = tuner.attributes_after(&facts.columns, half, &place);
        let stays = after.unwrap().column(half) == facts.columns.column(half);
        tuner.cause(&place) == half && !stays
    };
    let place = (0..100).find(changes).unwrap();
    let parameters = tuner.mechanism.parameters();
    // Blocks of a hierarchy have eight weights: each of the eight has its turn somewhere.
    let every = if parameters.trained().len() > 40 {
        5
    } else {
        1
    };
    check_gradients_of(parameters, every, &|| loss(place).total);
    check_gradients_of(parameters, every, &|| loss(place).terms[0].1.clone());
    // What the predictors say alone reaches both ends of the mechanism; the first one only where the
    // residual does not make up for what the latent variables say.
    let gradients = loss(place).terms[0].1.backward().unwrap();
    let weights = parameters.trained();
    let (first, last) = (0, weights.len() - 4);
    let reached = if has_residual(&model) {
        vec![last]
    } else {
        vec![first, last]
    };
    for index in reached {
        let gradient = gradients.get(&weights[index]).map(values);
        let gradient = gradient.unwrap_or_default();
        assert!(
            gradient.iter().any(|g| g.abs() > 1e-9),
            "{:?}",
            parameters.shapes()[index]
        );
    }
}

/// A mechanism whose latent variables say everything leaves the parents half unused; fine-tuned, its
/// counterfactuals show what they should, to predictors that it has never met, while the bound stays
/// within the margin, which it leaves without the constraint.
#[test]
fn counterfactuals_become_effective_while_the_bound_holds() {
    let spec = spec(ImageSpec::Vae(VaeConfig {
        beta: 0.02,
        latent: 8,
        ..vae()
    }));
    let facts = data(&spec, 256);
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    model.fit(&facts, &options(400), &mut |_| ()).unwrap();
    let judges = Predictors::train(model.schema(), &facts, &predictors(200), 5, &mut |_| ());
    let judges = judges.unwrap();
    let errors = |model: &DeepScm| {
        let acts = [("half", Act::Shuffle { seed: 3 })];
        let acts = Acts::new(model.schema(), &acts).unwrap();
        let after = model.counterfactual(&facts, &acts, 3).unwrap();
        judges.errors(&after).unwrap()
    };
    let (before, start) = (errors(&model), weights(&model));
    assert!(
        before["half"] > 0.4 && before["level"] > 0.035,
        "{before:?}"
    );
    let held = FineTuning {
        batch: 32,
        learning_rate: 1e-2,
        margin: 0.02,
        predictors: predictors(150),
        ..settings(200)
    };
    let fit = model.fine_tune(&facts, &held, 1, &mut |_| ()).unwrap();
    let after = errors(&model);
    assert!(after["half"] < 0.1 && after["level"] < 0.027, "{after:?}");
    assert!(
        fit.after.effectiveness < fit.before.effectiveness - 3.0,
        "{fit:?}"
    );
    assert!(
        (fit.limit - 1.02 * fit.before.bound).abs() < 1e-12,
        "{fit:?}"
    );
    assert!(fit.after.bound <= fit.limit && fit.lambda >= 0.0, "{fit:?}");
    assert_eq!((fit.steps, fit.skipped), (200, 0));
    assert_eq!(model.report().unwrap().fine_tuning.as_ref(), Some(&fit));
    let image = model.image().unwrap().parameters();
    image.restore(&start).unwrap();
    let free = FineTuning {
        damping: 0.0,
        lambda_rate: 0.0,
        ..held
    };
    let free = model.fine_tune(&facts, &free, 1, &mut |_| ()).unwrap();
    assert_eq!(free.before, fit.before);
    assert!(free.after.bound > free.limit + 0.2, "{free:?}");
}

/// Stopped among the predictors and among the updates, and gone on with: as in one go, bit for bit.
#[test]
fn stopped_fine_tuning_goes_on_where_it_was() {
    struct Failing<'a>(&'a Records, std::cell::Cell<u64>);
    impl Examples for Failing<'_> {
        fn columns(&self) -> &Columns {
            &self.0.columns
        }
        fn images(&self, rows: &[usize]) -> Result<Option<Tensor>> {
            let left = self.1.get().checked_sub(1);
            let left = left.ok_or_else(|| CounterfactualError::Training {
                node: "image".to_owned(),
                message: "the disk is gone".to_owned(),
            })?;
            self.1.set(left);
            Examples::images(self.0, rows)
        }
    }
    let spec = spec(ImageSpec::Vae(vae()));
    let facts = data(&spec, 48);
    let new = || DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let mut options = options(10);
    options.fine_tuning = Some(settings(10));
    let mut whole = new();
    let report = whole.fit(&facts, &options, &mut |_| ()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    options.folder = Some(folder.path().to_path_buf());
    let first_training = |folder: &Path| FitOptions {
        folder: Some(folder.to_path_buf()),
        ..self::options(10)
    };
    // The training without fine-tuning is not another one, and its weights are where that begins.
    let mut model = new();
    let first = first_training(folder.path());
    model.fit(&facts, &first, &mut |_| ()).unwrap();
    model.save(folder.path()).unwrap();
    let untuned = weights(&model);
    // One look at the images tells the data. Then 10 for each of two predictors; 3 batches that are
    // measured, with and without an intervention; and updates, the fourth of which is kept.
    for left in [1 + 15, 1 + 10 + 6 + 5, 1 + 5] {
        let failing = Failing(&facts, std::cell::Cell::new(left));
        let fault = new().fit(&failing, &options, &mut |_| ()).unwrap_err();
        assert!(fault.to_string().contains("the disk is gone"), "{fault}");
    }
    let mut told = Vec::new();
    let mut resumed = new();
    let observer =
        &mut |now: FitProgress<'_>| told.push((now.node.to_owned(), now.stage, now.step));
    let again = resumed.fit(&facts, &options, observer).unwrap();
    let tuned = |step| ("image".to_owned(), FitStage::FineTuning, step);
    assert_eq!(told, [9, 10].map(tuned));
    assert_eq!(again, report);
    assert_eq!(weights(&resumed), weights(&whole));
    assert_ne!(weights(&resumed), untuned);
    resumed.save(folder.path()).unwrap();
    assert_eq!(
        weights(&DeepScm::load(folder.path()).unwrap()),
        weights(&whole)
    );
}

fn refused(model: &mut DeepScm, facts: &Records, settings: &FineTuning) -> String {
    let fault = model.fine_tune(facts, settings, 0, &mut |_| ());
    fault.unwrap_err().to_string()
}

#[rstest]
#[case(
    ImageSpec::Flow(crate::ImageFlowConfig { levels: 1, steps: 1, hidden: 4, ..Default::default() }),
    "flow: its inversion is exact, which leaves no bound to constrain"
)]
#[case(
    ImageSpec::Diffusion(crate::DiffusionConfig { widths: vec![4, 4], ..Default::default() }),
    "diffusion: its sampling is not differentiated"
)]
fn other_mechanisms_are_refused_before_anything_trains(
    #[case] image: ImageSpec,
    #[case] reason: &str,
) {
    let spec = spec(image);
    let facts = data(&spec, 8);
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let expected = format!("fine-tuning: mechanism must be vae or hvae, found {reason}");
    assert_eq!(refused(&mut model, &facts, &settings(1)), expected);
    let folder = tempfile::tempdir().unwrap();
    let options = FitOptions {
        fine_tuning: Some(settings(1)),
        folder: Some(folder.path().join("model")),
        ..options(1)
    };
    let fault = model.fit(&facts, &options, &mut |_| panic!("trained"));
    assert_eq!(fault.unwrap_err().to_string(), expected);
    assert!(!folder.path().join("model").exists());
}

#[rstest]
#[case(FineTuning { batch: 1, ..settings(1) }, "fine-tuning: batch must be at least 2, found 1")]
#[case(FineTuning { measured: 1, ..settings(1) }, "fine-tuning: measured must be at least 2, found 1")]
#[case(
    FineTuning { margin: -0.1, ..settings(1) },
    "fine-tuning: margin must be finite and at least 0, found -0.1"
)]
#[case(
    FineTuning { lambda: f64::NAN, ..settings(1) },
    "fine-tuning: lambda must be finite and at least 0, found NaN"
)]
#[case(
    FineTuning { lambda_rate: -1.0, ..settings(1) },
    "fine-tuning: lambda-rate must be finite and at least 0, found -1"
)]
#[case(
    FineTuning { learning_rate: 0.0, ..settings(1) },
    "fine-tuning: learning-rate must be positive and finite, found 0"
)]
#[case(
    FineTuning { predictors: predictors(0), ..settings(1) },
    "predictor: steps must be at least 1, found 0"
)]
#[case(
    FineTuning { attributes: vec!["weight".to_owned()], ..settings(1) },
    "weight"
)]
#[case(
    FineTuning { attributes: vec!["site".to_owned()], ..settings(1) },
    "node site: expected a cause of the image (age, level, half), found another attribute"
)]
#[case(
    FineTuning { attributes: vec!["half".to_owned(); 2], ..settings(1) },
    "node half: expected one mention among the attributes of fine-tuning, found two"
)]
#[case(
    FineTuning {
        predictors: PredictorConfig { widths: vec![4; 3], ..predictors(1) },
        ..settings(1)
    },
    "positive multiples of 2 to the number of widths"
)]
#[case(
    settings(1),
    "fine-tuning: expected a model that is trained, found one that is not"
)]
fn ill_settings_are_errors(#[case] settings: FineTuning, #[case] expected: &str) {
    let spec = spec(ImageSpec::Vae(vae()));
    let facts = data(&spec, 8);
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let fault = refused(&mut model, &facts, &settings);
    assert!(fault.contains(expected), "{fault}");
}

#[test]
fn models_and_data_that_cannot_be_tuned_are_errors() {
    let bare = ModelSpec {
        edges: "age -> level".to_owned(),
        nodes: ["age", "level"]
            .map(|name| (name.to_owned(), Kind::REAL))
            .into(),
        image: None,
        ..spec(ImageSpec::Vae(vae()))
    };
    let columns = [("age", vec![1.0, 2.0]), ("level", vec![1.0, 3.0])];
    let columns = Columns::new(&bare.schema().unwrap(), &columns).unwrap();
    let facts = Records::new(&bare.schema().unwrap(), columns, None).unwrap();
    let mut model = DeepScm::new(&bare, &facts.columns, 0).unwrap();
    assert_eq!(
        refused(&mut model, &facts, &settings(1)),
        "node image: expected an image to fine-tune the mechanism of, found only attributes"
    );
    let mut uncaused = spec(ImageSpec::Vae(vae()));
    uncaused.edges = "age; level; half; site; image".to_owned();
    let facts = data(&uncaused, 8);
    let mut model = DeepScm::new(&uncaused, &facts.columns, 0).unwrap();
    assert_eq!(
        refused(&mut model, &facts, &settings(1)),
        "node image: expected an attribute that causes it, for fine-tuning, found none"
    );
    let spec = spec(ImageSpec::Vae(vae()));
    let facts = data(&spec, 8);
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let one = facts.select(&[0]).unwrap();
    let fault = refused(&mut model, &one, &settings(1));
    assert!(
        fault.contains("at least two individuals, which exchange values, found 1"),
        "{fault}"
    );
}

/// The same seed, settings and rows: still other predictors than those that score.
#[test]
fn the_teacher_does_not_mark() {
    let spec = spec(ImageSpec::Vae(vae()));
    let facts = data(&spec, 16);
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let settings = settings(1);
    let tuner = Tuner::new(&model, &facts, &settings, 3).unwrap();
    let weights = |all: &Predictors| -> Vec<BTreeMap<String, Vec<f32>>> {
        let all = all.all().iter();
        all.map(|p| p.parameters().snapshot().unwrap()).collect()
    };
    for seed in [3, tuner.predictor_seed] {
        let parameters = |run: &str| Parameters::new(seed, run);
        let config = &settings.predictors;
        let schema = model.schema();
        let judges = Predictors::untrained(schema, &facts.columns, config, &parameters).unwrap();
        for (teacher, judge) in weights(&tuner.predictors).iter().zip(weights(&judges)) {
            assert_ne!(teacher["output.weight"], judge["output.weight"]);
        }
    }
}

/// What is asked for is what is acted on, and what descends from it follows.
#[test]
fn interventions_exchange_values_and_effects_follow() {
    let spec = spec(ImageSpec::Vae(vae()));
    let facts = data(&spec, 32).columns;
    let records = data(&spec, 32);
    let mut model = DeepScm::new(&spec, &facts, 0).unwrap();
    model.fit(&records, &options(0), &mut |_| ()).unwrap();
    let settings = FineTuning {
        attributes: vec!["half".to_owned(), "age".to_owned()],
        ..settings(1)
    };
    let tuner = Tuner::new(&model, &records, &settings, 3).unwrap();
    let [age, level, half] = ["age", "level", "half"].map(|n| model.schema().attribute(n).unwrap());
    assert_eq!(tuner.causes, [age, half]);
    let drawn: Vec<NodeId> = (0..20)
        .map(|step| tuner.cause(&format!("step {step}")))
        .collect();
    assert!(drawn.contains(&age) && drawn.contains(&half));
    let after = tuner.attributes_after(&facts, age, "step 0").unwrap();
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    assert_ne!(after.column(age), facts.column(age));
    assert_eq!(sorted(after.column(age)), sorted(facts.column(age)));
    assert_ne!(after.column(level), facts.column(level));
    assert_eq!(after.column(half), facts.column(half));
    let again = tuner.attributes_after(&facts, age, "step 0").unwrap();
    assert_eq!(after, again);
    let other = tuner.attributes_after(&facts, age, "step 1").unwrap();
    assert_ne!(after.column(age), other.column(age));
}
