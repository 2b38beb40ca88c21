use candle_core::Device;
use ctl_counterfactual::{Answers, Columns, PredictorConfig, VaeConfig};
use ctl_graph::Diagram;

use super::*;
use crate::truth::{Known, Matched, Unmoved};

const SIDE: usize = 12;

/// The upper half has the level, and the mark is a pixel; a tone follows from the level.
struct Toy(Schema);

impl Toy {
    fn new() -> Self {
        let kinds = [
            ("level", Kind::REAL),
            ("tone", Kind::REAL),
            ("mark", Kind::categories(2)),
            (
                "image",
                Kind::Image {
                    shape: [1, SIDE, SIDE],
                },
            ),
        ];
        let edges = "level -> tone; level -> image; mark -> image";
        Self(Schema::new(Diagram::parse(edges).unwrap(), &kinds).unwrap())
    }

    fn records(&self, levels: &[f64], marks: &[f64]) -> Records {
        let mut pixels = Vec::new();
        for (&level, &mark) in levels.iter().zip(marks) {
            let mut image = vec![0f32; SIDE * SIDE];
            image[..SIDE * SIDE / 2].fill(level as f32);
            image[SIDE * SIDE - 1] = mark as f32;
            pixels.extend(image);
        }
        let shape = (levels.len(), 1, SIDE, SIDE);
        let images = Tensor::from_vec(pixels, shape, &Device::Cpu).unwrap();
        let columns = [
            ("level", levels.to_vec()),
            ("tone", levels.iter().map(|level| 2.0 * level).collect()),
            ("mark", marks.to_vec()),
        ];
        let columns = Columns::new(&self.0, &columns).unwrap();
        Records::new(&self.0, columns, Some(images)).unwrap()
    }

    fn own(individuals: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let levels = individuals.iter().map(|&i| 0.2 + 0.1 * i as f64);
        let marks = individuals.iter().map(|&i| (i % 2) as f64);
        (levels.collect(), marks.collect())
    }
}

impl Simulator for Toy {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn facts(&self, individuals: &[usize]) -> Result<Records> {
        let (levels, marks) = Self::own(individuals);
        Ok(self.records(&levels, &marks))
    }

    fn truth(&self, individuals: &[usize], case: &Case) -> Result<Records> {
        case.check(individuals.len())?;
        let (mut levels, mut marks) = Self::own(individuals);
        for (name, values) in &case.acts {
            let column = if name == "level" {
                &mut levels
            } else {
                &mut marks
            };
            column.clone_from(values);
        }
        Ok(self.records(&levels, &marks))
    }

    fn measure(&self, images: &Tensor) -> Result<BTreeMap<String, Vec<Option<f64>>>> {
        let first = images.flatten_from(1)?.narrow(1, 0, 1)?.flatten_all()?;
        let values = first.to_vec1::<f32>()?.into_iter();
        let read = values.map(|value| (value > 0.0).then_some(f64::from(value)));
        Ok(BTreeMap::from([("level".to_owned(), read.collect())]))
    }

    fn ranks(&self, _individuals: &[usize]) -> Result<BTreeMap<String, Vec<f64>>> {
        Ok(BTreeMap::new())
    }
}

fn judges(simulator: &Toy, facts: &Records) -> Judges {
    let config = PredictorConfig {
        widths: vec![2],
        hidden: 3,
        ..PredictorConfig::default()
    };
    let vae = VaeConfig {
        widths: vec![2],
        hidden: 4,
        latent: 2,
        ..VaeConfig::default()
    };
    Judges {
        predictors: Predictors::new(&simulator.0, &facts.columns, &config, 0).unwrap(),
        encoder: VaeMechanism::new(&vae, [1, SIDE, SIDE], 0, (0, "t")).unwrap(),
    }
}

fn settings() -> ScoreSettings {
    ScoreSettings {
        cycles: 2,
        crowd: 4,
        seed: 3,
    }
}

const INDIVIDUALS: [usize; 6] = [0, 1, 2, 3, 4, 5];

fn asked(simulator: &Toy) -> Questions {
    let interventions: [&[&str]; 3] = [&["level"], &["mark"], &["level", "mark"]];
    Questions::ask(simulator, &INDIVIDUALS, &interventions, 1).unwrap()
}

fn scored(simulator: &Toy, rival: &Rival<'_>) -> RivalScore {
    let questions = asked(simulator);
    let judges = judges(simulator, &questions.facts);
    score(rival, &questions, (simulator, &judges), &settings()).unwrap()
}

#[test]
#[expect(clippy::float_cmp, reason = "these values are exact")]
fn the_truth_is_exact_and_no_change_misses_all_of_it() {
    let toy = Toy::new();
    let questions = asked(&toy);
    let known = Known::truth(&toy, &questions);
    let exact = scored(&toy, &Rival::reference("truth", &known));
    assert_eq!(exact.composition, [0.0, 0.0]);
    for case in &exact.cases {
        assert_eq!((case.mae, case.psnr, case.reversibility), (0.0, None, 0.0));
        assert!((case.ssim - 1.0).abs() < 1e-9 && (case.carried_out.unwrap() - 1.0).abs() < 1e-9);
        assert!(case.measured["level"] < 1e-6, "{case:?}");
    }
    // The tone follows the level, and is the truth's.
    assert_eq!(
        exact.cases[0].attributes,
        BTreeMap::from([("tone".to_owned(), 0.0)])
    );
    assert!(exact.cases[1].attributes.is_empty());

    let unmoved = Unmoved(toy.0.clone());
    let still = scored(&toy, &Rival::reference("no change", &unmoved));
    assert_eq!(still.composition, [0.0, 0.0]);
    let mark = &still.cases[1];
    // One pixel of 144 is wrong by 255 grey levels.
    assert!((mark.mae - 255.0 / 144.0).abs() < 1e-4, "{}", mark.mae);
    assert!((mark.changed - 1.0 / 144.0).abs() < 1e-9);
    assert!((mark.where_changed[0].unwrap() - 255.0).abs() < 1e-3);
    assert_eq!(
        (mark.where_changed[1], mark.carried_out),
        (Some(0.0), Some(0.0))
    );
    // What a rule reads off the fact is not what was asked for, but is where nothing was.
    assert!(still.cases[0].measured["level"] > 0.1 && mark.measured["level"] < 1e-6);
    // What would follow is said to be the facts', so the tone is wrong where the level changes.
    assert!(still.cases[0].attributes["tone"] > 0.1);
    assert!(still.cases[0].mae > 1.0 && still.cases[2].mae > mark.mae);
}

/// Somebody who is asked about the mark alone, and about three individuals at most.
#[test]
fn who_knows_little_is_asked_little() {
    let toy = Toy::new();
    let unmoved = Unmoved(toy.0.clone());
    let rival = Rival {
        only: Some(vec!["mark".to_owned()]),
        most: 3,
        ..Rival::reference("little", &unmoved)
    };
    let found = scored(&toy, &rival);
    let cases: Vec<&str> = found.cases.iter().map(|case| &case.case[..]).collect();
    assert_eq!(
        (found.individuals, cases),
        (3, vec!["do(mark)", "do(level, mark)"])
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let toy = Toy::new();
    let questions = asked(&toy);
    let judge = judges(&toy, &questions.facts);
    let unmoved = Unmoved(toy.0.clone());
    let rival = Rival::reference("no change", &unmoved);
    let message = |settings: &ScoreSettings| {
        score(&rival, &questions, (&toy, &judge), settings)
            .unwrap_err()
            .to_string()
    };
    let none = ScoreSettings {
        cycles: 0,
        ..settings()
    };
    assert!(
        message(&none).contains("cycles, crowd: 0 and 4"),
        "{}",
        message(&none)
    );
    let interventions: [&[&str]; 1] = [&["height"]];
    let unknown = Questions::ask(&toy, &INDIVIDUALS, &interventions, 1);
    assert!(unknown.err().unwrap().to_string().contains("height"));
    let short = Case::new(&[("level", vec![0.5])]);
    let fault = toy.truth(&INDIVIDUALS, &short).unwrap_err().to_string();
    assert_eq!(fault, "intervention: level: 1 values for 6 individuals");
    // A simulator knows of the individuals that it was made for, and no more.
    let two = questions.first(2).unwrap();
    let known = Known::truth(&toy, &two);
    let acts = questions.questions[0].case.acts(&toy.0).unwrap();
    let fault = known
        .answer(&questions.facts, &acts, 0)
        .unwrap_err()
        .to_string();
    assert!(fault.contains("at most 2, found 6"), "{fault}");
    let acts = Acts::new(&toy.0, &[("level", ctl_counterfactual::Act::shift(0.1))]).unwrap();
    let fault = Case::of_acts(&toy.0, &acts, 6).unwrap_err().to_string();
    assert!(fault.contains("expected a value"), "{fault}");
}

/// Intensity matching answers questions about the scanner, and says nothing else.
#[test]
fn matching_moves_images_between_scanners() {
    use ctl_counterfactual::generators::{StatisticsExchange, StatisticsExchangeConfig};
    use ctl_invariance::{Batch, TargetKind};

    let toy = Toy::new();
    let noisy = |scanner: usize| {
        let value = |p: usize| 0.3 + 0.2 * scanner as f32 + 0.01 * (p * 7 % 5) as f32;
        let pixels: Vec<f32> = (0..SIDE * SIDE).map(value).collect();
        let images = Tensor::from_vec(pixels, (1, 1, SIDE, SIDE), &Device::Cpu).unwrap();
        Batch::new(scanner, images, TargetKind::Classes)
    };
    let exchange = StatisticsExchange::new(StatisticsExchangeConfig::default()).unwrap();
    let fitted = exchange.fit(&[noisy(0), noisy(1)]).unwrap();
    let matched = Matched {
        schema: &toy.0,
        fitted: &fitted,
        scanner: "mark",
    };
    let facts = Records {
        images: Some(noisy(0).images),
        ..toy.facts(&[0]).unwrap()
    };
    let middle = |records: &Records| {
        let images = records.images.as_ref().unwrap();
        images.mean_all().unwrap().to_scalar::<f32>().unwrap()
    };
    let answer = |case: Case| {
        matched
            .answer(&facts, &case.acts(&toy.0).unwrap(), 0)
            .unwrap()
    };
    let there = answer(Case::new(&[("mark", vec![1.0])]));
    assert!((middle(&there) - middle(&facts) - 0.2).abs() < 1e-3);
    let other = answer(Case::new(&[("level", vec![0.9])]));
    assert!((middle(&other) - middle(&facts)).abs() < 1e-9);
}

#[test]
fn pixels_by_hand() {
    let toy = Toy::new();
    let (fact, truth) = (toy.records(&[0.2], &[0.0]), toy.records(&[0.6], &[0.0]));
    // Half of the way: the upper half is off by 0.2 of 255, the lower one exact.
    let halfway = toy.records(&[0.4], &[0.0]);
    let found = Pixels::of(&fact, &fact, &halfway, &truth).unwrap();
    assert!((found.changed - 0.5).abs() < 1e-9);
    assert!((found.carried_out.unwrap() - 0.5).abs() < 1e-6);
    let [there, elsewhere] = found.where_changed;
    assert!((there.unwrap() - 51.0).abs() < 1e-3 && elsewhere == Some(0.0));
    // The same answer whatever is asked carries out nothing.
    let stuck = Pixels::of(&fact, &halfway, &halfway, &truth).unwrap();
    assert_eq!(stuck.carried_out, Some(0.0));
    let same = Pixels::of(&fact, &fact, &halfway, &fact).unwrap();
    assert_eq!((same.carried_out, same.where_changed[0]), (None, None));
}
