//! The search for the nearest image that a classifier calls something else.

use candle_core::{DType, Tensor, Var};
use ctl_compute::ops::{log_softmax, softmax};
use ctl_invariance::Batch;
use ctl_nets::{Mode, Network, NetworkInput};

use super::penalty::{proximal_step, total_variation};
use super::{ClassifierCounterfactualConfig, CounterfactualReport};
use crate::{CounterfactualError, Result};

/// Factor on the step after one that was too long, and after one that was not.
const SHORTER: f64 = 0.5;
const LONGER: f64 = 1.5;
/// A step that is no longer than this leads nowhere in single precision.
const SHORTEST: f64 = 1e-9;
/// Values of the objective that differ by less, relative to 1 and their size, do not say in single
/// precision which is lower by how much.
const COMPARABLE: f64 = 1e-5;
/// Halvings of the interval in which the last change of decision lies.
const BISECTIONS: usize = 16;

/// What the classifier says of one image.
pub(super) struct Verdict {
    /// Probability of the class sought.
    probability: f64,
    /// The likeliest class.
    class: u32,
    /// Cross-entropy against the class sought.
    loss: f64,
    /// Its gradient with respect to the pixels, `[C, H, W]`.
    gradient: Vec<f64>,
}

impl Verdict {
    fn arrived(&self, target: u32, confidence: f64) -> bool {
        self.class == target && self.probability >= confidence
    }
}

/// A classifier and how its images are scaled.
pub(super) struct Classifier<'a> {
    pub(super) network: &'a dyn Network,
    pub(super) batch: &'a Batch,
}

impl Classifier<'_> {
    /// Logits `[B, K]` of images of some rows; a single logit stands for two classes, the first at 0.
    fn logits(&self, pixels: &Tensor, rows: &[u32]) -> Result<Tensor> {
        let batch = self.batch;
        let images = pixels.affine(1.0 / batch.scale, -batch.centre / batch.scale)?;
        let rows = Tensor::new(rows, images.device())?;
        let context = batch.context.as_ref();
        let context = context.map(|all| all.index_select(&rows, 0)).transpose()?;
        let input = NetworkInput::new(&images, context.as_ref());
        let logits = self.network.forward(input, Mode::Evaluate)?.outputs;
        match logits.dims() {
            [_, 1] => Ok(Tensor::cat(&[&logits.zeros_like()?, &logits], 1)?),
            [_, _] => Ok(logits),
            other => Err(CounterfactualError::Shape {
                subject: "outputs of a classifier",
                expected: "[B, K]".into(),
                found: format!("{other:?}"),
            }),
        }
    }

    fn pixels(&self, images: &[Vec<f64>]) -> Result<Tensor> {
        let mut shape = self.batch.images.dims().to_vec();
        shape[0] = images.len();
        let pixels = Tensor::from_vec(images.concat(), shape, self.batch.images.device())?;
        Ok(pixels.to_dtype(self.batch.images.dtype())?)
    }

    /// The likeliest class of every image of the batch, and the number of classes.
    pub(super) fn classes(&self) -> Result<(Vec<u32>, usize)> {
        let batch = self.batch;
        let pixels = batch.images.detach().affine(batch.scale, batch.centre)?;
        let rows: Vec<u32> = (0..batch.images.dim(0)? as u32).collect();
        let logits = self.logits(&pixels, &rows)?.detach();
        Ok((logits.argmax(1)?.to_vec1()?, logits.dim(1)?))
    }

    /// What the classifier says of images in the places of some rows.
    fn judge(&self, images: &[Vec<f64>], rows: &[usize], targets: &[u32]) -> Result<Vec<Verdict>> {
        let pixels = Var::from_tensor(&self.pixels(images)?)?;
        let numbers: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        let logits = self.logits(&pixels, &numbers)?;
        let classes = logits.dim(1)?;
        let mut chosen = vec![0f64; rows.len() * classes];
        for (line, &row) in rows.iter().enumerate() {
            chosen[line * classes + targets[row] as usize] = 1.0;
        }
        let chosen = Tensor::from_vec(chosen, logits.shape(), logits.device())?;
        let chosen = chosen.to_dtype(logits.dtype())?;
        let losses = log_softmax(&logits, 1)?.mul(&chosen)?.sum(1)?.neg()?;
        let gradients = losses.sum_all()?.backward()?;
        let gradient = match gradients.get(&pixels) {
            Some(gradient) => gradient.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?,
            // A classifier that does not look at its image has no gradient.
            None => vec![0.0; pixels.elem_count()],
        };
        let logits = logits.detach().to_dtype(DType::F64)?;
        let shares = softmax(&logits, 1)?.to_vec2::<f64>()?;
        let likeliest: Vec<u32> = logits.argmax(1)?.to_vec1()?;
        let losses: Vec<f64> = losses.to_dtype(DType::F64)?.to_vec1()?;
        let size = pixels.elem_count() / rows.len();
        let verdict = |line: usize| Verdict {
            probability: shares[line][targets[rows[line]] as usize],
            class: likeliest[line],
            loss: losses[line],
            gradient: gradient[line * size..(line + 1) * size].to_vec(),
        };
        Ok((0..rows.len()).map(verdict).collect())
    }
}

/// Where the search for one image stands.
struct Walk {
    change: Vec<f64>,
    verdict: Verdict,
    /// Value and gradient of the total variation.
    variation: (f64, Vec<f64>),
    step: f64,
    /// Factor on both penalties.
    strength: f64,
    relaxations: usize,
    steps: usize,
    /// Steps at this strength.
    here: usize,
    /// The class that the image had.
    from: u32,
    done: bool,
}

/// Where it might go on.
struct Candidate {
    change: Vec<f64>,
    verdict: Verdict,
    variation: (f64, Vec<f64>),
}

impl Walk {
    /// Smooth part of the objective, and its gradient.
    fn smooth(&self, smoothness: f64) -> (f64, Vec<f64>) {
        let weight = self.strength * smoothness;
        let pixels = self.verdict.gradient.iter().zip(&self.variation.1);
        let gradient = pixels.map(|(loss, variation)| loss + weight * variation);
        let value = self.verdict.loss + weight * self.variation.0;
        (value, gradient.collect())
    }

    /// Weakens the penalties, or gives up.
    fn relax(&mut self, config: &ClassifierCounterfactualConfig) {
        if self.relaxations == config.relaxations {
            self.done = true;
            return;
        }
        self.relaxations += 1;
        self.strength *= 0.5;
        self.here = 0;
        self.step = self.step.max(config.step);
    }

    /// Whether a candidate breaks the quadratic bound of the step, by values, or, where those are too
    /// near for their precision, by slopes: on a parabola the two say the same.
    fn is_too_long(&self, candidate: &Candidate, smoothness: f64) -> bool {
        let (value, gradient) = self.smooth(smoothness);
        let weight = self.strength * smoothness;
        let found = candidate.verdict.loss + weight * candidate.variation.0;
        let moved = || {
            let pairs = candidate.change.iter().zip(&self.change);
            pairs.map(|(new, old)| new - old)
        };
        let along = |slopes: &[f64]| moved().zip(slopes).map(|(m, g)| m * g).sum::<f64>();
        let square: f64 = moved().map(|m| m * m).sum();
        if (found - value).abs() > COMPARABLE * (1.0 + value.abs()) {
            return found > value + along(&gradient) + square / (2.0 * self.step);
        }
        let slopes = candidate
            .verdict
            .gradient
            .iter()
            .zip(&candidate.variation.1);
        let slopes: Vec<f64> = slopes.map(|(loss, v)| loss + weight * v).collect();
        along(&slopes) - along(&gradient) > square / self.step
    }

    /// Takes a candidate unless its step was too long, which shortens the next.
    fn consider(
        &mut self,
        candidate: Candidate,
        target: u32,
        config: &ClassifierCounterfactualConfig,
    ) {
        self.steps += 1;
        self.here += 1;
        let mut settled = self.here >= config.steps_per_strength;
        if self.is_too_long(&candidate, config.smoothness) {
            self.step *= SHORTER;
            settled |= self.step < SHORTEST;
        } else {
            let largest = |values: &mut dyn Iterator<Item = f64>| {
                values.fold(0.0, |most, value| f64::max(most, value.abs()))
            };
            let steepest = largest(&mut self.smooth(config.smoothness).1.into_iter());
            let pairs = candidate.change.iter().zip(&self.change);
            let longest = largest(&mut pairs.map(|(new, old)| new - old));
            settled |= longest / self.step <= config.tolerance * steepest;
            (self.change, self.verdict) = (candidate.change, candidate.verdict);
            self.variation = candidate.variation;
            self.step *= LONGER;
            // Without a price on the change the loss need not have a minimum: arriving is enough.
            settled |= config.sparsity <= 0.0 && self.verdict.arrived(target, config.confidence);
        }
        if settled {
            self.settle(target, config);
        }
    }

    /// At a minimum, or where nothing more is hoped for at this strength: done where the class is the one sought.
    fn settle(&mut self, target: u32, config: &ClassifierCounterfactualConfig) {
        if self.verdict.arrived(target, config.confidence) {
            self.done = true;
        } else {
            self.relax(config);
        }
    }
}

fn added(image: &[f64], change: &[f64], share: f64) -> Vec<f64> {
    let pixels = image.iter().zip(change);
    pixels
        .map(|(value, change)| value + share * change)
        .collect()
}

/// Searches for every image of a batch.
///
/// # Returns
/// The changes, and what is to be said of each.
pub(super) fn search(
    classifier: &Classifier<'_>,
    (images, shape): (&[Vec<f64>], [usize; 3]),
    targets: &[u32],
    config: &ClassifierCounterfactualConfig,
) -> Result<(Vec<Vec<f64>>, Vec<CounterfactualReport>)> {
    let rows: Vec<usize> = (0..images.len()).collect();
    let start = classifier.judge(images, &rows, targets)?;
    let begin = |(verdict, (image, &target)): (Verdict, (&Vec<f64>, &u32))| Walk {
        change: vec![0.0; image.len()],
        variation: (0.0, vec![0.0; image.len()]),
        step: config.step,
        strength: 1.0,
        relaxations: 0,
        steps: 0,
        here: 0,
        from: verdict.class,
        done: verdict.arrived(target, config.confidence),
        verdict,
    };
    let given = images.iter().zip(targets);
    let mut walks: Vec<Walk> = start.into_iter().zip(given).map(begin).collect();
    for _ in 0..config.max_steps {
        let active: Vec<usize> = (0..walks.len()).filter(|&row| !walks[row].done).collect();
        if active.is_empty() {
            break;
        }
        let candidate = |&row: &usize| {
            let walk = &walks[row];
            let gradient = walk.smooth(config.smoothness).1;
            let threshold = walk.step * walk.strength * config.sparsity;
            let from = (&images[row][..], &walk.change[..]);
            proximal_step(from, &gradient, (walk.step, threshold))
        };
        let candidates: Vec<Vec<f64>> = active.iter().map(candidate).collect();
        let pairs = active.iter().zip(&candidates);
        let changed: Vec<_> = pairs.map(|(&row, c)| added(&images[row], c, 1.0)).collect();
        let verdicts = classifier.judge(&changed, &active, targets)?;
        for ((&row, change), verdict) in active.iter().zip(candidates).zip(verdicts) {
            let candidate = Candidate {
                variation: total_variation(&change, shape),
                change,
                verdict,
            };
            walks[row].consider(candidate, targets[row], config);
        }
    }
    shorten(classifier, images, (&mut walks, targets), config)?;
    let reports = walks.iter().zip(targets);
    let reports = reports
        .map(|(walk, &target)| report(walk, target, config))
        .collect();
    Ok((walks.into_iter().map(|walk| walk.change).collect(), reports))
}

/// Scales each change that arrived down to where the decision changes.
fn shorten(
    classifier: &Classifier<'_>,
    images: &[Vec<f64>],
    (walks, targets): (&mut [Walk], &[u32]),
    config: &ClassifierCounterfactualConfig,
) -> Result<()> {
    let arrived = |walk: &Walk, target| walk.verdict.arrived(target, config.confidence);
    let rows: Vec<usize> = (0..walks.len())
        .filter(|&row| walks[row].steps > 0 && arrived(&walks[row], targets[row]))
        .collect();
    let mut shares: Vec<(f64, f64)> = vec![(0.0, 1.0); rows.len()];
    for _ in 0..BISECTIONS {
        if rows.is_empty() {
            break;
        }
        let middles: Vec<f64> = shares
            .iter()
            .map(|&(low, high)| f64::midpoint(low, high))
            .collect();
        let tried = rows.iter().zip(&middles);
        let tried: Vec<_> = tried
            .map(|(&row, &share)| added(&images[row], &walks[row].change, share))
            .collect();
        let verdicts = classifier.judge(&tried, &rows, targets)?;
        for (line, verdict) in verdicts.into_iter().enumerate() {
            let row = rows[line];
            if verdict.arrived(targets[row], config.confidence) {
                shares[line].1 = middles[line];
                walks[row].verdict = verdict;
            } else {
                shares[line].0 = middles[line];
            }
        }
    }
    for (&row, (_, share)) in rows.iter().zip(shares) {
        for change in &mut walks[row].change {
            *change *= share;
        }
    }
    Ok(())
}

fn report(
    walk: &Walk,
    target: u32,
    config: &ClassifierCounterfactualConfig,
) -> CounterfactualReport {
    let change = || walk.change.iter();
    CounterfactualReport {
        success: walk.verdict.arrived(target, config.confidence),
        from: walk.from,
        to: target,
        probability: walk.verdict.probability,
        steps: walk.steps,
        strength: walk.strength,
        l1: change().map(|c| c.abs()).sum(),
        l2: change().map(|c| c * c).sum::<f64>().sqrt(),
        largest: change().fold(0.0, |most, c| f64::max(most, c.abs())),
        changed: change().filter(|c| c.abs() > 0.0).count(),
    }
}
