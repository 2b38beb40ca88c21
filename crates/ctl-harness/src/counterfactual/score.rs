//! How sound a model's counterfactuals of a cohort are.

use std::collections::BTreeMap;

use ctl_counterfactual::{
    Act, Acts, Encoding, Examples, FitOptions, FitProgress, ImageTraining, Kind, PredictorConfig,
    Predictors, Realism, Records, StructuralModel, VaeConfig, VaeMechanism, composition,
    minimality, realism, reversibility, train_image,
};
use ctl_graph::NodeId;
use serde::{Deserialize, Serialize};

use super::study::{Study, StudyModel};
use crate::Result;

/// Intervals of a continuous attribute among which minimality is judged.
pub(crate) const INTERVALS: usize = 5;

/// How models are scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreOptions {
    /// Images that are scored, at most.
    pub images: usize,
    /// Null interventions in a row.
    pub cycles: usize,
    /// The predictors against the causal direction.
    pub predictors: PredictorConfig,
    /// Updates of the autoencoder whose latent variables minimality is judged in.
    pub encoder_steps: u64,
    /// What predictors, encoder and interventions depend on.
    pub seed: u64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self {
            images: 500,
            cycles: 10,
            predictors: PredictorConfig::default(),
            encoder_steps: 1_500,
            seed: 0,
        }
    }
}

/// Soundness of the counterfactuals under one intervention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterventionScore {
    /// The intervention: an attribute that takes the value of another individual.
    pub attribute: String,
    /// How far what the predictors say of each parent of the image is from what it should be.
    pub effectiveness: BTreeMap<String, f64>,
    /// Mean absolute error after there and back, in grey levels.
    pub reversibility: f64,
    /// Distances between facts and counterfactuals as crowds.
    pub realism: Realism,
    /// Counterfactual latent divergence.
    pub minimality: f64,
}

/// Soundness of a model's counterfactuals of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Images that were scored.
    pub images: usize,
    /// Mean log-probability of each attribute given its parents, in nats.
    pub log_prob: BTreeMap<String, f64>,
    /// The same of the image, or its lower bound, where its mechanism can tell.
    pub image_log_prob: Option<f64>,
    /// Greatest distance between the ranks of the values in their conditional distributions and the
    /// uniform distribution, 0 to 1, by continuous attribute.
    pub calibration: BTreeMap<String, f64>,
    /// The predictors' own error on facts.
    pub predictors: BTreeMap<String, f64>,
    /// Mean absolute error after 1, 2, … null interventions, in grey levels.
    pub composition: Vec<f64>,
    /// By attribute that an intervention is made on.
    pub interventions: Vec<InterventionScore>,
}

/// Scores a model on the scored rows of a study; predictors and encoder are trained on its training
/// rows.
///
/// Each intervention gives one attribute the values of other individuals, in a random order, as the
/// counterfactual benchmark has it.
///
/// # Errors
/// When images cannot be read, or a setting does not suit them.
///
/// # References
/// Monteiro et al. 2023; Melistas et al. 2024, section 3.
pub fn score(
    model: &StudyModel,
    study: &Study,
    options: &ScoreOptions,
    observer: &mut dyn FnMut(FitProgress<'_>),
) -> Result<Scorecard> {
    let (model, training) = (&model.model, study.training()?);
    let schema = model.schema();
    let seed = options.seed;
    let facts = study.scored()?.records(options.images, seed)?;
    let shape = schema.image_shape().unwrap_or_default();
    let options = &suited(options, shape);
    let predictors = Predictors::train(schema, &training, &options.predictors, seed, observer)?;
    let judge = new_encoder(shape, options)?;
    encoder(&judge, &training, options, observer)?;
    let found = model.log_prob(&facts, seed)?;
    let means = found.attributes.iter();
    let means = means.map(|(name, values)| (name.clone(), mean(values)));
    let ranks = model.ranks(&facts.columns)?.into_iter();
    let mut interventions = Vec::new();
    for node in schema.attributes() {
        if schema
            .affected(&[node])
            .iter()
            .any(|n| Some(n) == schema.image())
        {
            let judges = (&predictors, &judge);
            interventions.push(intervention(model, &facts, node, judges, seed)?);
        }
    }
    Ok(Scorecard {
        images: facts.len(),
        log_prob: means.collect(),
        image_log_prob: found.image.as_deref().map(mean),
        calibration: ranks
            .map(|(name, ranks)| (name, from_uniform(ranks)))
            .collect(),
        predictors: predictors.errors(&facts)?,
        composition: composition(model, &facts, options.cycles, seed)?.l1,
        interventions,
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The settings with as many halvings of the sides as the images allow, at least one.
pub(crate) fn suited(options: &ScoreOptions, [_, height, width]: [usize; 3]) -> ScoreOptions {
    let halvings = height.trailing_zeros().min(width.trailing_zeros()).max(1) as usize;
    let mut options = options.clone();
    options.predictors.widths.truncate(halvings);
    options
}

/// The statistic of Kolmogorov and Smirnov against the uniform distribution.
pub(crate) fn from_uniform(mut ranks: Vec<f64>) -> f64 {
    ranks.sort_by(f64::total_cmp);
    let count = ranks.len() as f64;
    let gaps = ranks.iter().enumerate().map(|(index, rank)| {
        let (below, above) = (index as f64 / count, (index + 1) as f64 / count);
        (rank - below).max(above - rank)
    });
    gaps.fold(0.0, f64::max)
}

/// An autoencoder without parents, in whose latent variables images are compared, before training.
pub(crate) fn new_encoder(shape: [usize; 3], options: &ScoreOptions) -> Result<VaeMechanism> {
    let config = VaeConfig {
        widths: options.predictors.widths.clone(),
        hidden: 128,
        latent: 16,
        ..VaeConfig::default()
    };
    Ok(VaeMechanism::new(
        &config,
        shape,
        0,
        (options.seed, "encoder"),
    )?)
}

/// Trains it.
pub(crate) fn encoder(
    encoder: &VaeMechanism,
    training: &dyn Examples,
    options: &ScoreOptions,
    observer: &mut dyn FnMut(FitProgress<'_>),
) -> Result<()> {
    let fit = FitOptions {
        seed: options.seed,
        image: ImageTraining {
            steps: options.encoder_steps,
            ..ImageTraining::default()
        },
        ..FitOptions::default()
    };
    let nobody = Encoding::none();
    train_image("encoder", (&nobody, encoder), training, &fit, observer)?;
    Ok(())
}

fn intervention(
    model: &dyn StructuralModel,
    facts: &Records,
    node: NodeId,
    (predictors, encoder): (&Predictors, &VaeMechanism),
    seed: u64,
) -> Result<InterventionScore> {
    let schema = model.schema();
    let name = schema.diagram().name(node);
    let values = others(facts.columns.column(node), seed, name);
    let acts = Acts::new(schema, &[(name, Act::set(values))])?;
    let after = model.counterfactual(facts, &acts, seed)?;
    let (own, new) = (facts.columns.column(node), after.columns.column(node));
    let groups = groups(schema.kind(node), own, new, INTERVALS);
    let back = reversibility(model, facts, &acts, 1, seed)?;
    Ok(InterventionScore {
        attribute: name.to_owned(),
        effectiveness: predictors.errors(&after)?,
        reversibility: back.l1.first().copied().unwrap_or(f64::NAN),
        realism: realism(predictors, facts, &after)?,
        minimality: minimality(encoder, facts, &after, &groups)?.mean(),
    })
}

/// The values in a random order.
fn others(values: &[f64], seed: u64, name: &str) -> Vec<f64> {
    let rng = &mut ctl_compute::random::stream(seed, "score", &format!("values of {name}"));
    let order = ctl_compute::random::permutation(rng, values.len());
    order.into_iter().map(|row| values[row]).collect()
}

/// Category, or interval between quantiles of the facts, of every value before and after.
pub(crate) fn groups(
    kind: &Kind,
    own: &[f64],
    new: &[f64],
    intervals: usize,
) -> Vec<(usize, usize)> {
    let place: Box<dyn Fn(f64) -> usize> = if matches!(kind, Kind::Categorical { .. }) {
        Box::new(|value| value as usize)
    } else {
        let mut sorted = own.to_vec();
        sorted.sort_by(f64::total_cmp);
        let cuts: Vec<f64> = (1..intervals)
            .map(|i| sorted[i * sorted.len() / intervals])
            .collect();
        Box::new(move |value| cuts.iter().filter(|&&cut| value >= cut).count())
    };
    own.iter()
        .zip(new)
        .map(|(&a, &b)| (place(a), place(b)))
        .collect()
}

impl Scorecard {
    /// The card as Markdown tables.
    pub fn to_markdown(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{} images\n\n| attribute | log p | calibration |\n|---|---:|---:|\n",
            self.images
        );
        // Writing to a string cannot fail.
        for (name, value) in &self.log_prob {
            let calibration = self.calibration.get(name).map(|c| format!("{c:.3}"));
            let _ = writeln!(
                text,
                "| {name} | {value:.4} | {} |",
                calibration.unwrap_or_else(|| "–".into())
            );
        }
        if let Some(value) = self.image_log_prob {
            let _ = writeln!(text, "| image | {value:.1} | – |");
        }
        let ends: Vec<String> = [self.composition.first(), self.composition.last()]
            .into_iter()
            .flatten()
            .map(|l1| format!("{l1:.2}"))
            .collect();
        let _ = writeln!(
            text,
            "\ncomposition after 1 and {} cycles: {} grey levels",
            self.composition.len(),
            ends.join(" and ")
        );
        let names: Vec<&str> = self.predictors.keys().map(String::as_str).collect();
        let _ = write!(
            text,
            "\n| intervention | {} | reversibility | Fréchet | kernel | minimality |\n|---|{}\n",
            names
                .iter()
                .map(|n| format!("error of {n}"))
                .collect::<Vec<_>>()
                .join(" | "),
            "---:|".repeat(names.len() + 4)
        );
        let cells = |errors: &BTreeMap<String, f64>| -> String {
            let cells: Vec<String> = names.iter().map(|n| format!("{:.4}", errors[*n])).collect();
            cells.join(" | ")
        };
        let _ = writeln!(
            text,
            "| none (facts) | {} | – | – | – | – |",
            cells(&self.predictors)
        );
        for score in &self.interventions {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {:.3} | {:.5} | {:.4} |",
                score.attribute,
                cells(&score.effectiveness),
                score.reversibility,
                score.realism.frechet,
                score.realism.kernel,
                score.minimality
            );
        }
        text
    }
}
