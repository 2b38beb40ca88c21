//! A model of simulated patients, beside the true counterfactuals.

use ctl_counterfactual::generators::{
    FittedStatistics, Statistics, StatisticsExchange, StatisticsExchangeConfig,
};
use ctl_counterfactual::{AttributeTraining, Examples, ImageSpec, ImageTraining, VaeConfig};
use ctl_invariance::{Batch, TargetKind};
use ctl_phantom::Anatomy;

use super::judged::{Judging, Place, judges, scored};
use super::ledger::{Experiment, ModelOf};
use super::restarts::ReproduceOptions;
use super::trained::{Recipe, trained, with_residual};
use crate::truth::{
    Exposed, Known, Matched, Phantoms, Questions, Rival, Simulator, Strip, TruthReport, Unmoved,
    phantom_model,
};
use crate::{Event, HarnessError, Observer, Result};

/// Sides of an image in pixels.
const SIZE: usize = 32;
/// Patients at each scanner that train, and that are asked about.
const EACH: [usize; 2] = [4_000, 500];
/// Updates of the mechanism of the image.
const STEPS: u64 = 5_000;
/// What is asked.
const INTERVENTIONS: [&[&str]; 5] = [
    &["scanner"],
    &["device"],
    &["disease"],
    &["age"],
    &["scanner", "disease"],
];
/// Training images of each scanner that intensity matching looks at.
const LOOKED_AT: usize = 500;
/// Largest factor by which intensity matching changes fine detail.
const DETAIL: f64 = 4.0;
/// Rows of the strip: place of the intervention, and of the patient; even ones are of scanner A.
const SHOWN: [(usize, usize); 7] = [(0, 0), (0, 3), (1, 6), (2, 8), (2, 11), (3, 12), (4, 14)];
const ZOOM: usize = 3;
const SEED: u64 = 0;

/// The model that is trained.
pub(super) fn recipe(of: &ModelOf) -> Recipe<'static> {
    let vae = VaeConfig {
        widths: vec![16, 32, 64],
        hidden: 256,
        latent: 48,
        independence: 100.0,
        ..VaeConfig::default()
    };
    Recipe {
        name: "vae",
        spec: phantom_model(SIZE, Some(ImageSpec::Vae(vae))),
        attributes: AttributeTraining {
            steps: of.steps.unwrap_or(1_000),
            batch: 512,
            ..AttributeTraining::default()
        },
        image: ImageTraining {
            steps: of.steps.unwrap_or(STEPS),
            batch: 64,
            ..ImageTraining::default()
        },
    }
}

/// Number of models and updates of all of them, finished ones included.
pub(super) fn size(of: &ModelOf) -> (usize, u64) {
    (1, of.steps.unwrap_or(STEPS))
}

/// Patients at each scanner that train, and that are asked about.
fn each(of: &ModelOf) -> [usize; 2] {
    EACH.map(|count| of.images.map_or(count, |most| count.min(most)))
}

/// Trains what is missing, and scores.
pub(super) fn run(
    experiment: &Experiment,
    (of, anatomy): (&ModelOf, Anatomy),
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<TruthReport> {
    let out = options.out.join(&experiment.id);
    let (recipe, mut judging) = (recipe(of), Judging::default());
    judging.predictors.steps = of.steps.unwrap_or(400);
    judging.encoder_steps = of.steps.unwrap_or(400);
    observer.event(&Event::Planned {
        what: "training steps",
        total: size(of).1,
        finished: 0,
    });
    let (model, each) = (format!("{:?} {:?}", recipe.spec, recipe.image), each(of));
    let text = format!("{model} {judging:?} {INTERVENTIONS:?} {each:?} {LOOKED_AT} {DETAIL}");
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let place = Place {
        out: &out,
        key: format!("{anatomy:?} {}", &hash[..16]),
    };
    if let Some(report) = place.report()? {
        return Ok(report);
    }
    let phantoms = Phantoms::new(anatomy, SIZE, each, SEED)?;
    let (model, budget) = trained(&recipe, &phantoms, &out, observer)?;
    let twin = with_residual(&model, &phantoms)?.ok_or_else(|| HarnessError::Config {
        origin: experiment.id.clone(),
        key: "mechanism".into(),
        message: "has no residual, and one that has is needed".into(),
    })?;
    let schema = Simulator::schema(&phantoms);
    let judges = judges(schema, &phantoms, &judging, &place, observer)?;
    let asked = phantoms.scored();
    let questions = Questions::ask(&phantoms, asked, &INTERVENTIONS, SEED)?;
    let fitted = matching(&phantoms)?;
    let unmoved = Unmoved(schema.clone());
    let truth = Known::truth(&phantoms, &questions);
    let oracle = |known: Exposed| {
        let phantoms = &phantoms;
        Known::new(schema, &questions, move |rows, case| {
            phantoms.oracle(rows, case, known)
        })
    };
    let [noiseless, residual] = [Exposed::Noiseless, Exposed::Residual].map(oracle);
    let matched = Matched {
        schema,
        fitted: &fitted,
        scanner: "scanner",
    };
    let rivals = [
        Rival::reference(TruthReport::UNMOVED, &unmoved),
        Rival::reference("true mechanism", &truth),
        Rival::reference("oracle without noise", &noiseless),
        Rival::reference("oracle, noise as residual", &residual),
        Rival {
            only: Some(vec!["scanner".to_owned()]),
            ..Rival::reference("intensity matching", &matched)
        },
        Rival::trained("vae", &model, &budget),
        Rival {
            // Its noises are those of the other.
            model: None,
            ..Rival::trained("vae with residual", &twin, &budget)
        },
    ];
    let settings = (&judging.score, &place);
    let report = scored(
        &rivals,
        &questions,
        (&phantoms, &judges),
        settings,
        observer,
    )?;
    let shown: Vec<&Rival<'_>> = rivals[4..].iter().collect();
    let rows: Vec<(usize, usize)> = SHOWN.into_iter().filter(|s| s.1 < asked.len()).collect();
    let strip = Strip::of(&shown, &questions, &rows, SEED)?;
    strip.write_png(&out.join("strip.png"), ZOOM)?;
    Ok(report)
}

/// What the images of each scanner are like.
fn matching(phantoms: &Phantoms) -> Result<FittedStatistics> {
    let exchange = StatisticsExchange::new(StatisticsExchangeConfig {
        statistics: Statistics::Quantiles,
        detail_limit: DETAIL,
        ..StatisticsExchangeConfig::default()
    })?;
    // Those of one scanner come first.
    let half = phantoms.training().len() / 2;
    let batches = [0, 1].map(|scanner| -> Result<Option<Batch>> {
        let first = scanner * half;
        let rows: Vec<usize> = (first..first + half.min(LOOKED_AT)).collect();
        let images = phantoms.images(&rows)?;
        Ok(images.map(|images| Batch::new(scanner, images, TargetKind::Classes)))
    });
    let batches: Vec<Batch> = batches
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    Ok(exchange.fit(&batches)?)
}
