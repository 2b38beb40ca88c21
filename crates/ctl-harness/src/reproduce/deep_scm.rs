//! Deep structural causal models of `MorphoMNIST`, whose generator is known.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ctl_counterfactual::{
    Acts, AttributeTraining, CounterfactualError, DeepScm, Examples, FitOptions, ImageSpec,
    ImageTraining, ModelSpec, Records, StructuralModel, VaeConfig,
};
use ctl_phantom::digits::{
    DigitCohort, DigitKind, DigitSpec, log_density_of_intensity, log_density_of_thickness,
};
use serde::{Deserialize, Serialize};

use super::digits::{self, Digits, GREY_LEVELS, SIDE, Seen};
use super::ledger::{Experiment, Figure, ModelOf};
use super::restarts::{Comparison, Measured, ReproduceOptions};
use crate::store::{read_json, write_json_atomically};
use crate::{Event, HarnessError, Observer, Result};

/// Raised when models are trained or scored differently than before.
const REVISION: u32 = 1;
/// Test digits that are scored together.
const CHUNK: usize = 1_000;
/// How many standard errors a model may lie above the generator itself.
const NOISE: f64 = 3.0;

/// Updates of the image's mechanism, and images of an update.
const STEPS: u64 = 7_000;
const BATCH: usize = 64;
/// Updates of each attribute's mechanism, and individuals of an update.
const ATTRIBUTE_STEPS: u64 = 1_500;
const ATTRIBUTE_BATCH: usize = 512;

/// The models that are trained: name, and the arrows among attributes and image.
const TRAINED: [(&str, &str); 2] = [
    ("independent", "thickness; intensity; image"),
    (
        "conditional",
        "thickness -> intensity; thickness -> image; intensity -> image",
    ),
];
/// Rows of the published table, in the order of [`with_decoder`].
const ROWS: [&str; 3] = ["independent", "conditional decoder", "conditional"];

/// A statement that was checked beside the published figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckShown {
    /// What is to hold.
    pub statement: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What was measured of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scores {
    revision: u32,
    data: String,
    image: f64,
    intensity: f64,
    thickness: f64,
    mae: f64,
    /// Mean and standard error of our log-density minus the generator's, of thickness and intensity.
    above: [[f64; 2]; 2],
    /// Mean log-density of the generator on the same digits, of thickness and intensity.
    generator: [f64; 2],
}

impl Scores {
    fn of(&self, quantity: &str) -> Option<f64> {
        Some(match quantity {
            "log p(x)" => self.image,
            "log p(intensity)" => self.intensity,
            "log p(thickness)" => self.thickness,
            "reconstruction MAE" => self.mae,
            _ => return None,
        })
    }
}

fn spec(edges: &str) -> ModelSpec {
    digits::spec(edges, ImageSpec::Vae(vae()))
}

/// Settings of the image's mechanism.
pub(super) fn vae() -> VaeConfig {
    VaeConfig {
        widths: vec![16, 32],
        hidden: 256,
        latent: 32,
        ..VaeConfig::default()
    }
}

/// Number of models and updates of all of them, finished ones included.
pub(super) fn size(of: &ModelOf) -> (usize, u64) {
    (TRAINED.len(), TRAINED.len() as u64 * steps(of))
}

fn steps(of: &ModelOf) -> u64 {
    of.steps.unwrap_or(STEPS)
}

/// Trains what is missing, scores and compares.
pub(super) fn run(
    experiment: &Experiment,
    of: &ModelOf,
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<Measured> {
    let out = options.out.join(&experiment.id);
    let mut digits = DigitSpec::new(DigitKind::Morpho);
    if let Some(most) = of.images {
        digits.images = ctl_phantom::digits::ImageCount::AtMost(most);
    }
    let cohort = DigitCohort::from_idx(&experiment.data.folder(&options.data)?, &digits)?;
    observer.event(&Event::Planned {
        what: "training steps",
        total: size(of).1,
        finished: 0,
    });
    let trained = if let Some(found) = finished(&out, &cohort, of)? {
        found
    } else {
        let text = "rendering the digits: each is morphed to its thickness";
        observer.event(&Event::Notice { text });
        let parts = ctl_compute::runtime::on_every_core(|| {
            let digits = |site| Digits::of(&cohort, site, &options.out);
            Ok::<_, HarnessError>([digits(0)?, digits(1)?])
        })
        .map_err(CounterfactualError::from)??;
        measure(&parts, &out, (of, &cohort), options, observer)?
    };
    let scores = with_decoder(trained);
    Ok(Measured {
        comparisons: compare(experiment, &scores)?,
        checks: checks(&scores),
        truth: None,
    })
}

fn score_path(out: &Path, row: &str) -> PathBuf {
    out.join(row.replace(' ', "-")).join("scores.json")
}

/// The scores of the published rows: the conditional decoder has the attributes of the independent
/// model and the image of the conditional one, whose mechanisms would be trained alike from the same
/// weights, and so is not trained again.
fn with_decoder(trained: Vec<Scores>) -> Vec<Scores> {
    let [independent, conditional] = &trained[..] else {
        return trained;
    };
    let decoder = Scores {
        image: conditional.image,
        mae: conditional.mae,
        ..independent.clone()
    };
    vec![independent.clone(), decoder, conditional.clone()]
}

/// What scores depend on.
fn key(cohort: &DigitCohort, of: &ModelOf) -> String {
    format!("{} {:?} {:?}", cohort.data_hash(), of.steps, of.images)
}

/// The scores of all models, if all are there.
fn finished(out: &Path, cohort: &DigitCohort, of: &ModelOf) -> Result<Option<Vec<Scores>>> {
    let mut all = Vec::new();
    for (row, _) in TRAINED {
        let path = score_path(out, row);
        if !path.exists() {
            return Ok(None);
        }
        let scores: Scores = read_json(&path)?;
        if scores.revision != REVISION || scores.data != key(cohort, of) {
            return Ok(None);
        }
        all.push(scores);
    }
    Ok(Some(all))
}

fn measure(
    parts: &[Digits; 2],
    out: &Path,
    (of, cohort): (&ModelOf, &DigitCohort),
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<Vec<Scores>> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Result<Scores>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(TRAINED.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&row) = TRAINED.get(index) else {
                        break;
                    };
                    let scores = one(row, parts, out, (of, cohort), observer);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push((index, scores));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, scores)| scores).collect()
}

fn one(
    (row, edges): (&str, &str),
    [training, test]: &[Digits; 2],
    out: &Path,
    (of, cohort): (&ModelOf, &DigitCohort),
    observer: &dyn Observer,
) -> Result<Scores> {
    observer.event(&Event::Started { name: row });
    let spec = spec(edges);
    let seen = Seen::new(training, &spec)?;
    let path = score_path(out, row);
    let fit = FitOptions {
        seed: 0,
        attributes: AttributeTraining {
            steps: ATTRIBUTE_STEPS,
            batch: ATTRIBUTE_BATCH,
            ..AttributeTraining::default()
        },
        image: ImageTraining {
            steps: steps(of),
            batch: BATCH,
            ..ImageTraining::default()
        },
        fine_tuning: None,
        folder: path.parent().map(|folder| folder.join("model")),
    };
    let mut model = DeepScm::new(&spec, seen.columns(), 0)?;
    model.fit(&seen, &fit, &mut |progress| {
        if progress.node == "image" {
            observer.event(&Event::Advanced {
                units: 1,
                work: 1.0,
            });
        }
    })?;
    if let Some(folder) = &fit.folder {
        model.save(folder)?;
    }
    let scores = score(&model, test, key(cohort, of))?;
    write_json_atomically(&path, &scores)?;
    observer.event(&Event::Finished {
        name: row,
        summary: &format!(
            "log p(thickness) {:.4}, log p(intensity) {:.4}, log p(x) {:.1}, reconstruction MAE {:.3}",
            scores.thickness, scores.intensity, scores.image, scores.mae
        ),
    });
    Ok(scores)
}

fn score(model: &DeepScm, test: &Digits, data: String) -> Result<Scores> {
    let columns = test.columns(model.spec())?;
    let (mut image, mut error) = (0.0, 0.0);
    let (mut thickness, mut intensity) = (Vec::new(), Vec::new());
    for start in (0..columns.len()).step_by(CHUNK) {
        let rows: Vec<usize> = (start..(start + CHUNK).min(columns.len())).collect();
        let facts = Records {
            columns: columns.select(&rows),
            images: Some(test.images(&rows).map_err(CounterfactualError::from)?),
        };
        let found = model.log_prob(&facts, start as u64)?;
        image += found.image.iter().flatten().sum::<f64>();
        thickness.extend(&found.attributes["thickness"]);
        intensity.extend(&found.attributes["intensity"]);
        let again = model.counterfactual(&facts, &Acts::none(), start as u64)?;
        error += absolute_error(&facts, &again).map_err(CounterfactualError::from)?;
    }
    let count = columns.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let true_thickness: Vec<f64> = test
        .thickness
        .iter()
        .map(|&t| log_density_of_thickness(t))
        .collect();
    let pairs = test.intensity.iter().zip(&test.thickness);
    let true_intensity: Vec<f64> = pairs
        .map(|(&i, &t)| log_density_of_intensity(i, t))
        .collect();
    Ok(Scores {
        revision: REVISION,
        data,
        image: image / count,
        intensity: mean(&intensity),
        thickness: mean(&thickness),
        mae: error / (count * (SIDE * SIDE) as f64),
        above: [
            difference(&thickness, &true_thickness),
            difference(&intensity, &true_intensity),
        ],
        generator: [mean(&true_thickness), mean(&true_intensity)],
    })
}

/// Sum of the absolute differences, in grey levels.
fn absolute_error(a: &Records, b: &Records) -> candle_core::Result<f64> {
    let (Some(a), Some(b)) = (&a.images, &b.images) else {
        return Ok(f64::NAN);
    };
    let sum = (a - b)?.abs()?.sum_all()?.to_scalar::<f32>()?;
    Ok(f64::from(sum) * GREY_LEVELS)
}

/// Mean of the differences and its standard error.
fn difference(ours: &[f64], truth: &[f64]) -> [f64; 2] {
    let count = ours.len() as f64;
    let differences: Vec<f64> = ours.iter().zip(truth).map(|(a, b)| a - b).collect();
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    [mean, (squares / (count - 1.0) / count).sqrt()]
}

fn compare(experiment: &Experiment, scores: &[Scores]) -> Result<Vec<Comparison>> {
    let compared = experiment.figures.iter().map(|figure| {
        let row = ROWS.iter().position(|row| *row == figure.row);
        let value = row.and_then(|row| scores.get(row)?.of(&figure.quantity));
        let value = value.ok_or_else(|| unknown(experiment, figure))?;
        Ok(Comparison::new(figure, (value, None), vec![value], None))
    });
    compared.collect()
}

fn unknown(experiment: &Experiment, figure: &Figure) -> HarnessError {
    HarnessError::Config {
        origin: "published.toml".into(),
        key: format!("{}.{}", experiment.id, figure.row),
        message: format!("{} is not measured", figure.quantity),
    }
}

/// The ordering that the arrow from thickness to intensity must make, and that nothing is better
/// than the generator.
fn checks(scores: &[Scores]) -> Vec<CheckShown> {
    let [independent, .., conditional] = scores else {
        return Vec::new();
    };
    let mut checks = vec![CheckShown {
        statement: "log p(intensity) of independent below conditional".to_owned(),
        measured: format!(
            "{:.4} and {:.4}",
            independent.intensity, conditional.intensity
        ),
        holds: independent.intensity < conditional.intensity,
    }];
    let above = conditional.above.iter().zip(conditional.generator);
    for (name, ([mean, error], generator)) in ["thickness", "intensity"].iter().zip(above) {
        checks.push(CheckShown {
            statement: format!(
                "log p({name}) of conditional not above the generator's own {generator:.4} by more \
                 than {NOISE} standard errors"
            ),
            measured: format!("{mean:+.4} ± {error:.4}"),
            holds: *mean <= NOISE * error,
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(intensity: f64, above: f64) -> Scores {
        Scores {
            revision: REVISION,
            data: String::new(),
            image: -1_000.0,
            intensity,
            thickness: -0.93,
            mae: 4.0,
            above: [[above, 0.01], [-0.1, 0.01]],
            generator: [-0.927, -4.204],
        }
    }

    #[test]
    fn what_cannot_be_is_found() {
        let holds = |checks: Vec<CheckShown>| -> Vec<bool> {
            checks.iter().map(|check| check.holds).collect()
        };
        let middle = || scores(-5.2, 0.0);
        let sound = checks(&[scores(-5.2, 0.0), middle(), scores(-4.3, 0.02)]);
        assert_eq!(holds(sound), [true; 3]);
        let reversed = checks(&[scores(-4.2, 0.0), middle(), scores(-4.3, 0.0)]);
        assert_eq!(holds(reversed), [false, true, true]);
        let too_good = checks(&[scores(-5.2, 0.0), middle(), scores(-4.3, 0.05)]);
        assert_eq!(holds(too_good), [true, false, true]);
    }

    #[test]
    fn the_decoder_is_made_of_both() {
        let conditional = Scores {
            image: -900.0,
            mae: 3.0,
            ..scores(-4.3, 0.02)
        };
        let rows = with_decoder(vec![scores(-5.2, 0.0), conditional]);
        let found: Vec<[f64; 3]> = rows.iter().map(|s| [s.image, s.mae, s.intensity]).collect();
        let expected = [
            [-1_000.0, 4.0, -5.2],
            [-900.0, 3.0, -5.2],
            [-900.0, 3.0, -4.3],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn differences_by_hand() {
        let [mean, error] = difference(&[1.0, 3.0, 5.0], &[1.0, 1.0, 1.0]);
        // 0, 2, 4: mean 2, variance 4, standard error 2/√3.
        assert!((mean - 2.0).abs() < 1e-12 && (error - 2.0 / 3f64.sqrt()).abs() < 1e-12);
    }
}
