use candle_core::Device;
use ctl_compute::random::{normal, stream};
use rstest::rstest;

use super::*;
use crate::{ImageTraining, VaeConfig};

const SIDE: usize = 4;

/// age → volume → image ← scanner, scanner ← site.
fn spec() -> ModelSpec {
    let age = Kind::Continuous {
        lower: Some(0.0),
        upper: None,
    };
    let nodes = [
        ("age", age),
        ("volume", Kind::REAL),
        ("site", Kind::named(&["north", "south"])),
        ("scanner", Kind::named(&["A", "B", "C"])),
        (
            "image",
            Kind::Image {
                shape: [1, SIDE, SIDE],
            },
        ),
    ];
    ModelSpec {
        edges: "age -> volume -> image; site -> scanner -> image".to_owned(),
        nodes: nodes.map(|(name, kind)| (name.to_owned(), kind)).into(),
        flow: crate::FlowConfig {
            hidden: 8,
            ..Default::default()
        },
        categories: crate::CategoriesConfig::default(),
        image: Some(ImageSpec::Vae(VaeConfig {
            widths: vec![4],
            hidden: 8,
            latent: 2,
            ..VaeConfig::default()
        })),
    }
}

/// Images whose level is the volume and whose contrast is the scanner.
fn data(spec: &ModelSpec, count: usize) -> Records {
    let schema = spec.schema().unwrap();
    let rng = &mut stream(0, "t", "data");
    let draws = normal(rng, (count, 3), 0.0, 1.0)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let draw = |row: usize, index: usize| f64::from(draws[row][index]);
    let ages: Vec<f64> = (0..count)
        .map(|r| 50.0 + 10.0 * draw(r, 0).tanh())
        .collect();
    let volumes: Vec<f64> = (0..count)
        .map(|r| 2.0 - ages[r] / 50.0 + 0.2 * draw(r, 1))
        .collect();
    let sites: Vec<f64> = (0..count)
        .map(|r| f64::from(u8::from(draw(r, 2) > 0.0)))
        .collect();
    let scanners: Vec<f64> = (0..count)
        .map(|r| if draw(r, 1) > 0.5 { 2.0 } else { sites[r] })
        .collect();
    let pixels: Vec<f32> = (0..count)
        .flat_map(|r| {
            let (level, contrast) = (0.4 + 0.1 * volumes[r], 0.05 * scanners[r]);
            (0..SIDE * SIDE).map(move |p| (level + contrast * (p % 2) as f64) as f32)
        })
        .collect();
    let images = Tensor::from_vec(pixels, (count, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    let columns = [
        ("age", ages),
        ("volume", volumes),
        ("site", sites),
        ("scanner", scanners),
    ];
    let columns = Columns::new(&schema, &columns).unwrap();
    Records::new(&schema, columns, Some(images)).unwrap()
}

fn options(steps: u64) -> FitOptions {
    FitOptions {
        seed: 1,
        attributes: crate::AttributeTraining {
            steps,
            batch: 64,
            evaluate_every: 20,
            ..Default::default()
        },
        image: ImageTraining {
            steps,
            batch: 16,
            warmup: 5,
            averaging: 0.9,
            checkpoint_every: 7,
            ..Default::default()
        },
        fine_tuning: None,
        folder: None,
    }
}

fn trained() -> (DeepScm, Records) {
    let (spec, steps) = (spec(), 40);
    let data = data(&spec, 300);
    let mut model = DeepScm::new(&spec, &data.columns, 0).unwrap();
    model.fit(&data, &options(steps), &mut |_| ()).unwrap();
    (model, data.select(&(0..9).collect::<Vec<_>>()).unwrap())
}

fn pixels(records: &Records) -> Vec<f32> {
    let images = records.images.as_ref().unwrap();
    images.flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn what_is_not_reached_stays_bit_for_bit() {
    let (model, facts) = trained();
    let node = |name| model.schema().attribute(name).unwrap();
    let column = |records: &Records, name| bits(records.columns.column(node(name)));
    let nothing = model.counterfactual(&facts, &Acts::none(), 3).unwrap();
    let acted = model.act(&[("volume", Act::set(0.5))]).unwrap();
    let thinner = model.counterfactual(&facts, &acted.acts, 3).unwrap();
    for name in ["age", "site", "scanner"] {
        assert_eq!(column(&thinner, name), column(&facts, name), "{name}");
        assert_eq!(column(&nothing, name), column(&facts, name), "{name}");
    }
    assert!(
        thinner
            .columns
            .column(node("volume"))
            .iter()
            .all(|&v| v.to_bits() == 0.5f64.to_bits())
    );
    assert_ne!(pixels(&thinner), pixels(&nothing));
    // Of a spec whose image does not see the age, only the volume changes.
    let alone = ModelSpec {
        edges: "age -> volume; scanner -> image; site".to_owned(),
        ..spec()
    };
    let facts = data(&alone, 9);
    let model = DeepScm::new(&alone, &facts.columns, 0).unwrap();
    let acted = model.act(&[("age", Act::set(55.0))]).unwrap();
    let older = model.counterfactual(&facts, &acted.acts, 3).unwrap();
    let nothing = model.counterfactual(&facts, &Acts::none(), 3).unwrap();
    let same = pixels(&older)
        .iter()
        .zip(pixels(&nothing))
        .all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same);
    assert_ne!(
        pixels(&nothing),
        pixels(&facts),
        "the image goes through its mechanism"
    );
}

#[test]
fn without_an_intervention_the_image_is_its_reconstruction() {
    let (model, facts) = trained();
    let noise = model.abduct(&facts, 3).unwrap();
    let parents = model.image_parents(&facts.columns).unwrap().unwrap();
    let by_hand = model.image().unwrap();
    let by_hand = by_hand
        .predict(noise.image_noise().unwrap(), &parents)
        .unwrap();
    let null = model.predict(&noise, &Acts::none()).unwrap();
    assert_eq!(
        pixels(&null),
        by_hand.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    );
    // Setting everything to what it was is no more than that, as closely as flows invert.
    let acts: Vec<(&str, Act)> = ["age", "site"]
        .map(|name| {
            let node = model.schema().attribute(name).unwrap();
            (name, Act::set(facts.columns.column(node).to_vec()))
        })
        .into();
    let same = model
        .predict(&noise, &model.act(&acts).unwrap().acts)
        .unwrap();
    for node in model.schema().attributes() {
        for (a, b) in same
            .columns
            .column(node)
            .iter()
            .zip(facts.columns.column(node))
        {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
    for (a, b) in pixels(&same).iter().zip(pixels(&null)) {
        assert!((a - b).abs() < 1e-5);
    }
}

/// With the residual in the noise, the reconstruction is the image.
#[test]
fn with_its_residual_an_image_is_reproduced() {
    let mut spec = spec();
    if let Some(ImageSpec::Vae(vae)) = &mut spec.image {
        vae.residual = true;
    }
    let facts = data(&spec, 10);
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let null = model.counterfactual(&facts, &Acts::none(), 0).unwrap();
    for (a, b) in pixels(&null).iter().zip(pixels(&facts)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

/// Neither of age and scanner descends from the other: their order does not matter, and both
/// together are one after the other.
#[test]
fn interventions_commute_where_the_diagram_says_so() {
    let (model, facts) = trained();
    let both = |first: (&str, Act), second: (&str, Act)| {
        let acts = model.act(&[first, second]).unwrap().acts;
        model.counterfactual(&facts, &acts, 3).unwrap()
    };
    let (age, scanner) = (("age", Act::set(45.0)), ("scanner", Act::set(2.0)));
    let one = both(age.clone(), scanner.clone());
    // One act after the other, in both orders: the noises of the second world are those of the first.
    let after = |facts: &Records, act: (&str, Act)| {
        let acts = model.act(&[act]).unwrap().acts;
        model.counterfactual(facts, &acts, 3).unwrap()
    };
    let orders = [
        after(&after(&facts, age.clone()), scanner.clone()),
        after(&after(&facts, scanner), age),
    ];
    for in_turn in orders {
        for node in model.schema().attributes() {
            let pairs = in_turn
                .columns
                .column(node)
                .iter()
                .zip(one.columns.column(node));
            for (a, b) in pairs {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        // What the latent variables leave over moves with the image, so the images agree as closely as
        // the belief about the latents is the same in both worlds.
        let differences = pixels(&in_turn).into_iter().zip(pixels(&one));
        let moved = pixels(&facts).into_iter().zip(pixels(&one));
        let sum = |pairs: Vec<(f32, f32)>| pairs.iter().map(|(a, b)| (a - b).abs()).sum::<f32>();
        let (apart, moved) = (sum(differences.collect()), sum(moved.collect()));
        assert!(apart < 0.5 * moved, "{apart} of {moved}");
    }
}

/// Every mechanism of images trains, is kept with its buffers, and answers the same when it is read.
#[rstest]
#[case(ImageSpec::Vae(VaeConfig { widths: vec![4], hidden: 8, latent: 2, ..VaeConfig::default() }))]
#[case(ImageSpec::Hvae(crate::HvaeConfig {
    widths: vec![4, 4, 4],
    encoder: "4b1d2,2b1d2,1b1".to_owned(),
    decoder: "1b1,2b1,4b1".to_owned(),
    latent: 2,
    bottleneck: 2,
    ..crate::HvaeConfig::default()
}))]
#[case(ImageSpec::Flow(crate::ImageFlowConfig { levels: 1, steps: 2, hidden: 4, ..Default::default() }))]
#[case(ImageSpec::Diffusion(crate::DiffusionConfig {
    widths: vec![4, 4],
    embedding: 4,
    train_steps: 10,
    sampling_steps: 3,
    bound_draws: 2,
    ..Default::default()
}))]
fn every_mechanism_trains_is_kept_and_read(#[case] image: ImageSpec) {
    let spec = ModelSpec {
        image: Some(image),
        ..spec()
    };
    let facts = data(&spec, 60);
    let mut options = options(12);
    options.attributes.steps = 1;
    let folder = tempfile::tempdir().unwrap();
    let mut model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let before = model.image().unwrap().parameters().snapshot().unwrap();
    let report = model.fit(&facts, &options, &mut |_| ()).unwrap();
    assert_eq!(
        (
            report.image.as_ref().unwrap().steps,
            report.image.unwrap().skipped
        ),
        (12, 0)
    );
    assert_ne!(
        before,
        model.image().unwrap().parameters().snapshot().unwrap()
    );
    model.save(folder.path()).unwrap();
    let loaded = DeepScm::load(folder.path()).unwrap();
    let acts = model
        .act(&[("volume", Act::set(1.0)), ("site", Act::set(0.0))])
        .unwrap()
        .acts;
    let [ours, theirs] = [&model, &loaded].map(|m| m.counterfactual(&facts, &acts, 3).unwrap());
    assert_eq!(pixels(&ours), pixels(&theirs));
    assert!(
        pixels(&ours)
            .iter()
            .all(|value| (0.0..=1.0).contains(value))
    );
    let bound = loaded.log_prob(&facts, 3).unwrap().image.unwrap();
    assert!(bound.len() == 60 && bound.iter().all(|nats| nats.is_finite()));
    let drawn = loaded.sample(5, &Acts::none(), 3).unwrap();
    assert_eq!(drawn.images.unwrap().dims(), [5, 1, SIDE, SIDE]);
}

/// More individuals than are worked on at a time: the three steps one by one are the counterfactual.
#[test]
fn chunks_do_not_show() {
    let mut spec = spec();
    if let Some(ImageSpec::Vae(vae)) = &mut spec.image {
        vae.belief = crate::Belief::Draw;
    }
    let facts = data(&spec, 260);
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let acts = [("site", Act::set(1.0)), ("volume", Act::Redraw { seed: 4 })];
    let acts = model.act(&acts).unwrap().acts;
    let whole = model.counterfactual(&facts, &acts, 3).unwrap();
    let noise = model.abduct(&facts, 3).unwrap();
    let stepwise = model.predict(&noise, &acts).unwrap();
    assert_eq!(whole.columns, stepwise.columns);
    for (a, b) in pixels(&whole).iter().zip(pixels(&stepwise)) {
        assert!((a - b).abs() < 1e-5);
    }
}

/// A folder with a model that another training left is not written over.
#[test]
fn models_of_others_stay() {
    let (model, facts) = trained();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let mut options = options(5);
    options.folder = Some(folder.path().to_path_buf());
    let mut other = DeepScm::new(model.spec(), &facts.columns, 1).unwrap();
    let fault = other
        .fit(&facts, &options, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        fault.contains("a folder without a model, found a model"),
        "{fault}"
    );
    assert!(DeepScm::load(folder.path()).is_ok());
}

/// What follows from far beyond the data and is no number is an error that names it.
#[test]
fn values_that_are_none_are_refused() {
    let mut spec = spec();
    let positive = Kind::Continuous {
        lower: Some(0.0),
        upper: None,
    };
    spec.nodes.insert("volume".to_owned(), positive);
    let facts = data(&spec, 60);
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    // An untrained flow does not look at the age; one that does may lead anywhere.
    let volume = model.schema().attribute("volume").unwrap();
    let parameters = model.attribute(volume).unwrap().parameters();
    let mut weights = parameters.snapshot().unwrap();
    weights.get_mut("output.weight").unwrap().fill(3.0);
    parameters.restore(&weights).unwrap();
    let acts = model.act(&[("age", Act::set(1e6))]).unwrap().acts;
    let fault = model
        .counterfactual(&facts, &acts, 0)
        .unwrap_err()
        .to_string();
    assert!(
        fault.starts_with("volume after the interventions: expected a number above 0"),
        "{fault}"
    );
}

#[test]
fn soft_interventions_do_what_they_say() {
    let (model, facts) = trained();
    let column = |records: &Records, name: &str| {
        let node = model.schema().attribute(name).unwrap();
        records.columns.column(node).to_vec()
    };
    let under = |acts: &[(&str, Act)]| {
        let acts = model.act(acts).unwrap().acts;
        model.counterfactual(&facts, &acts, 3).unwrap()
    };
    let shifted = under(&[("age", Act::set(45.0)), ("volume", Act::shift(0.25))]);
    let set = under(&[("age", Act::set(45.0))]);
    for (a, b) in column(&shifted, "volume")
        .iter()
        .zip(column(&set, "volume"))
    {
        assert!((a - b - 0.25).abs() < 1e-12);
    }
    let redrawn = under(&[("volume", Act::Redraw { seed: 5 })]);
    assert_ne!(column(&redrawn, "volume"), column(&facts, "volume"));
    assert_eq!(column(&redrawn, "age"), column(&facts, "age"));
    let shuffled = under(&[("age", Act::Shuffle { seed: 5 })]);
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    assert_ne!(column(&shuffled, "age"), column(&facts, "age"));
    assert_eq!(
        sorted(column(&shuffled, "age")),
        sorted(column(&facts, "age"))
    );
    // A shift that leads below the least possible age is refused.
    let acts = model.act(&[("age", Act::shift(-200.0))]).unwrap().acts;
    let fault = model
        .counterfactual(&facts, &acts, 3)
        .unwrap_err()
        .to_string();
    assert!(
        fault.starts_with("age after the interventions: expected a number above 0"),
        "{fault}"
    );
}

#[test]
fn samples_follow_the_data_and_the_seed() {
    let (model, _) = trained();
    let node = |name| model.schema().attribute(name).unwrap();
    let drawn = model.sample(600, &Acts::none(), 7).unwrap();
    assert_eq!(drawn.images.as_ref().unwrap().dims(), [600, 1, SIDE, SIDE]);
    let ages = drawn.columns.column(node("age"));
    let mean = ages.iter().sum::<f64>() / 600.0;
    assert!((mean - 50.0).abs() < 1.5, "{mean}");
    assert!(ages.iter().all(|&age| age > 0.0));
    let again = model.sample(600, &Acts::none(), 7).unwrap();
    assert_eq!(drawn.columns, again.columns);
    assert_eq!(pixels(&drawn), pixels(&again));
    let other = model.sample(600, &Acts::none(), 8).unwrap();
    assert_ne!(drawn.columns, other.columns);
    let acts = model.act(&[("scanner", Act::set(1.0))]).unwrap().acts;
    let set = model.sample(600, &acts, 7).unwrap();
    assert!(
        set.columns
            .column(node("scanner"))
            .iter()
            .all(|&s| s as usize == 1)
    );
    assert_eq!(set.columns.column(node("age")), ages);
    assert!(model.sample(0, &Acts::none(), 7).is_err());
}

#[test]
fn log_probabilities_are_those_of_the_mechanisms() {
    let (model, facts) = trained();
    let found = model.log_prob(&facts, 0).unwrap();
    let names: Vec<&String> = found.attributes.keys().collect();
    assert_eq!(names, ["age", "scanner", "site", "volume"]);
    for node in model.schema().attributes() {
        let name = model.schema().diagram().name(node);
        let parents = model.parents_of(node, &facts.columns).unwrap();
        let values = facts.columns.column(node);
        let by_hand = model
            .attribute(node)
            .unwrap()
            .log_prob(values, &parents)
            .unwrap();
        assert_eq!(found.attributes[name], by_hand);
    }
    let image = found.image.unwrap();
    assert!(image.len() == 9 && image.iter().all(|nats| *nats < 0.0));
    let ranks = model.ranks(&facts.columns).unwrap();
    assert_eq!(ranks.keys().collect::<Vec<_>>(), ["age", "volume"]);
    assert!(ranks["age"].iter().all(|rank| (0.0..=1.0).contains(rank)));
}

#[test]
fn saved_models_answer_the_same() {
    let (model, facts) = trained();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let loaded = DeepScm::load(folder.path()).unwrap();
    assert_eq!(loaded.report(), model.report());
    let acts = [("age", Act::set(45.0)), ("site", Act::set(1.0))];
    let under = |model: &DeepScm| {
        let acts = model.act(&acts).unwrap().acts;
        model.counterfactual(&facts, &acts, 3).unwrap()
    };
    let (before, after) = (under(&model), under(&loaded));
    assert_eq!(before.columns, after.columns);
    assert_eq!(pixels(&before), pixels(&after));
}

/// Training that is stopped in the middle of the image and goes on is training in one go; a folder
/// of another training is refused and not touched.
#[test]
fn stopped_training_goes_on_where_it_was() {
    struct Failing<'a>(&'a Records, std::cell::Cell<usize>);
    impl Examples for Failing<'_> {
        fn columns(&self) -> &Columns {
            &self.0.columns
        }
        fn images(&self, rows: &[usize]) -> Result<Option<Tensor>> {
            self.1.set(self.1.get() + 1);
            if self.1.get() > 18 {
                return Err(CounterfactualError::Training {
                    node: "image".to_owned(),
                    message: "the disk is gone".to_owned(),
                });
            }
            Examples::images(self.0, rows)
        }
    }
    let (spec, folder) = (spec(), tempfile::tempdir().unwrap());
    let facts = data(&spec, 100);
    let new = || DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let mut options = options(24);
    let mut whole = new();
    let report = whole.fit(&facts, &options, &mut |_| ()).unwrap();
    options.folder = Some(folder.path().to_path_buf());
    let failing = Failing(&facts, std::cell::Cell::new(0));
    let fault = new().fit(&failing, &options, &mut |_| ()).unwrap_err();
    assert!(fault.to_string().contains("the disk is gone"));
    assert!(folder.path().join("image.checkpoint.safetensors").exists());
    let mut steps = Vec::new();
    let mut resumed = new();
    let again = resumed
        .fit(&facts, &options, &mut |progress| {
            steps.push((progress.node.to_owned(), progress.step));
        })
        .unwrap();
    // Attributes were done, the image goes on behind the checkpoint at update 14.
    assert_eq!(steps.first(), Some(&("image".to_owned(), 15)));
    assert_eq!(steps.len(), 10);
    assert_eq!(again, report);
    let weights = |model: &DeepScm| model.image().unwrap().parameters().snapshot().unwrap();
    assert_eq!(weights(&resumed), weights(&whole));
    assert!(!folder.path().join("image.checkpoint.safetensors").exists());
    // Everything is done: nothing trains again.
    let mut ticks = 0;
    let third = new().fit(&facts, &options, &mut |_| ticks += 1).unwrap();
    assert_eq!((ticks, &third), (0, &report));
    options.seed = 2;
    let fault = new()
        .fit(&facts, &options, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        fault.contains("training.json: expected the training of the same model"),
        "{fault}"
    );
}

#[test]
fn interventions_beyond_the_data_are_told_or_refused() {
    let mut spec = spec();
    spec.nodes
        .insert("scanner".to_owned(), Kind::named(&["A", "B", "C", "D"]));
    let facts = data(&spec, 100);
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    let acted = model
        .act(&[("age", Act::set(90.0)), ("volume", Act::set(1.0))])
        .unwrap();
    let [beyond] = &acted.extrapolations[..] else {
        panic!("{:?}", acted.extrapolations);
    };
    let age = model.schema().attribute("age").unwrap();
    let ages = facts.columns.column(age);
    let greatest = ages.iter().copied().fold(0.0, f64::max);
    let deviation = crate::encoding::moments(ages).1;
    assert_eq!((&beyond.attribute[..], beyond.value), ("age", 90.0));
    assert!((beyond.distance - (90.0 - greatest) / deviation).abs() < 1e-12);
    let said = beyond.to_string();
    assert!(
        said.contains("standard deviations beyond the training data"),
        "{said}"
    );
    let fault = model
        .act(&[("scanner", Act::set(3.0))])
        .unwrap_err()
        .to_string();
    assert_eq!(
        fault,
        "intervention on scanner: expected a category of the training data (A, B, C), found D"
    );
    assert!(model.act(&[("weight", Act::set(1.0))]).is_err());
    assert!(model.act(&[("age", Act::set(-1.0))]).is_err());
}

#[rstest]
#[case("model.json", "{", "not a description of a model")]
#[case("node-0.safetensors", "", "not a safetensors file")]
fn damaged_models_are_errors(#[case] file: &str, #[case] text: &str, #[case] expected: &str) {
    let (model, _) = trained();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    std::fs::write(folder.path().join(file), text).unwrap();
    let fault = DeepScm::load(folder.path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(fault.contains(expected) && fault.contains(file), "{fault}");
}

#[test]
fn descriptions_of_other_diagrams_are_errors() {
    let (model, _) = trained();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let path = folder.path().join("model.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let other = text.replace("age -> volume -> image", "age -> volume; age -> image");
    assert_ne!(text, other);
    std::fs::write(&path, other).unwrap();
    let fault = DeepScm::load(folder.path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(fault.contains("statistics of the nodes"), "{fault}");
    std::fs::write(&path, text.replacen("\"schema\": 1", "\"schema\": 2", 1)).unwrap();
    let fault = DeepScm::load(folder.path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(fault.contains("expected schema 1, found 2"), "{fault}");
}

#[test]
fn models_that_are_not_whole_are_errors() {
    let spec = spec();
    let facts = data(&spec, 10);
    let without = ModelSpec {
        image: None,
        ..spec.clone()
    };
    let new = |spec: &ModelSpec| {
        DeepScm::new(spec, &facts.columns, 0)
            .map(|_| ())
            .unwrap_err()
    };
    let fault = new(&without).to_string();
    assert_eq!(
        fault,
        "node image: expected a mechanism of the image, found none"
    );
    let none = facts.columns.select(&[]);
    assert!(DeepScm::new(&spec, &none, 0).is_err());
    let model = DeepScm::new(&spec, &facts.columns, 0).unwrap();
    // Columns of another diagram, whose nodes stand in another order.
    let other = ModelSpec {
        edges: "site -> scanner -> image; age -> volume -> image".to_owned(),
        ..spec.clone()
    };
    let foreign = data(&other, 10);
    let fault = model
        .counterfactual(&foreign, &Acts::none(), 0)
        .unwrap_err();
    assert!(fault.to_string().contains(": expected"), "{fault}");
    assert!(DeepScm::new(&spec, &foreign.columns, 0).is_err());
    let bare = Records {
        columns: facts.columns.clone(),
        images: None,
    };
    assert!(model.abduct(&bare, 0).is_err());
    let acts = Acts::new(model.schema(), &[("age", Act::set(vec![40.0]))]).unwrap();
    assert!(model.counterfactual(&facts, &acts, 0).is_err());
}
