use candle_core::{DType, Device};
use ctl_compute::random::{stream, uniform};
use ctl_invariance::WeightedTarget;
use ctl_nets::{Architecture, Linear, Mode, NetworkInput, NetworkOutput, NetworkSpec, Parameters};

use super::*;

/// Logits `W x + b` of images of six pixels.
struct LinearClassifier {
    weight: Tensor,
    bias: Tensor,
    parameters: Parameters,
}

impl Network for LinearClassifier {
    fn forward(&self, input: NetworkInput<'_>, _: Mode) -> ctl_nets::Result<NetworkOutput> {
        let features = input.images.flatten_from(1)?;
        let outputs = features
            .matmul(&self.weight.t()?)?
            .broadcast_add(&self.bias)?;
        Ok(NetworkOutput::new(features, outputs))
    }

    fn feature_width(&self) -> usize {
        6
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

const WEIGHTS: [f64; 6] = [1.0, -3.0, 6.0, 0.0, -4.0, 2.0];
/// All images are near this one.
const IMAGE: [f64; 6] = [0.5, 0.2, 0.3, 0.9, 0.6, 0.4];

/// A logit `w · x − b` that is −1 at the image.
fn bias() -> f64 {
    -1.0 - WEIGHTS.iter().zip(IMAGE).map(|(w, x)| w * x).sum::<f64>()
}

fn linear(weight: &[f64], bias: &[f64]) -> Rc<dyn Network> {
    Rc::new(LinearClassifier {
        weight: Tensor::from_slice(weight, (bias.len(), 6), &Device::Cpu).unwrap(),
        bias: Tensor::new(bias, &Device::Cpu).unwrap(),
        parameters: Parameters::new(0, "t"),
    })
}

/// Sparse, as finely solved as double precision has it.
fn sparse() -> ClassifierCounterfactualConfig {
    ClassifierCounterfactualConfig {
        probability: 1.0,
        sparsity: 1.0,
        smoothness: 0.0,
        max_steps: 4000,
        steps_per_strength: 2000,
        tolerance: 1e-3,
        ..ClassifierCounterfactualConfig::default()
    }
}

/// On the scale `pixel = 0.5 value + 0.1`.
fn batch(images: &[[f64; 6]]) -> Batch {
    let pixels = Tensor::from_vec(images.concat(), (images.len(), 1, 2, 3), &Device::Cpu).unwrap();
    Batch {
        centre: 0.1,
        scale: 0.5,
        ..Batch::new(0, pixels.affine(2.0, -0.2).unwrap(), TargetKind::Classes)
    }
}

fn pixels(images: &Tensor) -> Vec<f64> {
    let stored: Vec<f64> = images.flatten_all().unwrap().to_vec1().unwrap();
    stored.iter().map(|value| value * 0.5 + 0.1).collect()
}

/// The network sees `2 x − 0.2`: half its weights on values are the weights on pixels.
fn on_values(weights: &[f64], bias: f64) -> Rc<dyn Network> {
    let halved: Vec<f64> = weights.iter().map(|w| w / 2.0).collect();
    let shift: f64 = weights.iter().map(|w| 0.1 * w).sum();
    linear(&halved, &[bias + shift])
}

fn explained(
    network: Rc<dyn Network>,
    config: ClassifierCounterfactualConfig,
) -> (Vec<f64>, CounterfactualReport) {
    let method = ClassifierCounterfactual::new(config, network).unwrap();
    let found = method.explain(&batch(&[IMAGE]), &[1]).unwrap();
    let changed = pixels(&found.images);
    let change = changed
        .iter()
        .zip(IMAGE)
        .map(|(new, old)| new - old)
        .collect();
    (change, found.reports[0])
}

/// The least absolute change that raises `w · x` by 1 is 1/6 on the pixel of weight 6.
#[test]
fn the_heaviest_pixel_alone_moves_to_the_margin() {
    let (change, report) = explained(on_values(&WEIGHTS, bias()), sparse());
    assert!((change[2] - 1.0 / 6.0).abs() < 1e-4, "{change:?}");
    assert!(
        (0..6).all(|i| i == 2 || change[i].abs() < 1e-12),
        "{change:?}"
    );
    assert!(report.success && (report.from, report.to) == (0, 1));
    assert!((0.5..0.501).contains(&report.probability), "{report:?}");
    assert_eq!(report.changed, 1);
    for distance in [report.l1, report.l2, report.largest] {
        assert!((distance - 1.0 / 6.0).abs() < 1e-4);
    }
}

/// At weight 6 pixel 2 can rise by 0.7, worth 4.2; from −5 to 0 the rest, 0.8, falls to the next
/// heaviest, by 0.2 at weight −4. With `λ = 1.9` the minimum has `4 σ(−z) = 1.9`, z = ln(2.1 / 1.9),
/// from where the change is scaled down to z = 0.
#[test]
fn what_is_full_gives_way_to_the_next() {
    let config = ClassifierCounterfactualConfig {
        sparsity: 1.9,
        ..sparse()
    };
    let (change, report) = explained(on_values(&WEIGHTS, bias() - 4.0), config);
    assert!(report.success);
    let beyond = (2.1f64 / 1.9).ln();
    let share = 5.0 / (5.0 + beyond);
    assert!((change[2] - 0.7 * share).abs() < 1e-3, "{change:?}");
    assert!(
        (change[4] + (0.8 + beyond) / 4.0 * share).abs() < 1e-3,
        "{change:?}"
    );
    let others = [0, 1, 3, 5].map(|i| change[i].abs());
    assert!(others.iter().all(|other| *other < 1e-12), "{change:?}");
    assert!((report.l1 - 0.9).abs() < 0.01, "{report:?}");
}

/// The minimum of `ln(1 + e^−z) + λ |δ|` over one pixel of weight 6 has `6 σ(−z) = λ`: with a
/// confidence that this minimum just reaches, the search ends there at full strength.
#[test]
fn a_minimum_in_closed_form() {
    let config = ClassifierCounterfactualConfig {
        sparsity: 0.6,
        // σ(−z) = 0.1 there.
        confidence: 0.899,
        tolerance: 1e-5,
        ..sparse()
    };
    let (change, report) = explained(on_values(&WEIGHTS, bias()), config);
    assert_eq!(report.strength.to_bits(), 1f64.to_bits());
    // Scaled down from z = ln 9 to ln(0.899 / 0.101).
    let expected = (1.0 + (0.899f64 / 0.101).ln()) / 6.0;
    assert!((change[2] - expected).abs() < 1e-4, "{change:?} {expected}");
    // A confidence beyond it needs weaker penalties.
    let config = ClassifierCounterfactualConfig {
        confidence: 0.905,
        ..config
    };
    let (_, report) = explained(on_values(&WEIGHTS, bias()), config);
    assert!(
        report.success && (report.strength - 0.5).abs() < 1e-12,
        "{report:?}"
    );
}

/// Without a penalty on single pixels the change of a linear classifier is along its weights.
#[test]
fn without_sparsity_the_change_is_along_the_weights() {
    let config = ClassifierCounterfactualConfig {
        sparsity: 0.0,
        ..sparse()
    };
    let (change, report) = explained(on_values(&WEIGHTS, bias()), config);
    let weight: f64 = WEIGHTS.iter().map(|w| w * w).sum();
    // Box and corners are far: 1 / ‖w‖ is the distance to the margin.
    assert!(
        report.success && report.l2 < 1.4 / weight.sqrt(),
        "{report:?}"
    );
    let along: f64 = change.iter().zip(WEIGHTS).map(|(c, w)| c * w).sum();
    assert!((0.9999..1.01).contains(&along), "{along}");
}

/// A pixel at the end of its range cannot move; nothing else matters to this classifier.
#[test]
fn where_nothing_may_move_the_search_fails() {
    let mut weights = [0.0; 6];
    weights[3] = 1.0;
    let (change, report) = explained(on_values(&weights, -5.0), sparse());
    assert!(!report.success && report.to == 1 && report.probability < 0.5);
    assert!(
        change
            .iter()
            .zip(IMAGE)
            .all(|(c, x)| (-1e-12..=1.0 + 1e-12).contains(&(x + c)))
    );
    let blind = linear(&[0.0; 6], &[-1.0]);
    let (change, report) = explained(blind, sparse());
    assert!(!report.success && change.iter().all(|c| c.abs() < 1e-12));
    assert!(report.steps <= 100, "{report:?}");
}

/// One pixel is the sparsest change, and among all changes of its worth far from the smoothest, which
/// is the same everywhere.
#[test]
fn total_variation_spreads_the_change() {
    let weights = [3.0, 3.1, 3.0, 0.0, 0.0, 0.0];
    let shift = -1.0 - weights.iter().zip(IMAGE).map(|(w, x)| w * x).sum::<f64>();
    let config = ClassifierCounterfactualConfig {
        sparsity: 1.2,
        ..sparse()
    };
    let rough = explained(on_values(&weights, shift), config);
    assert_eq!(rough.1.changed, 1);
    let config = ClassifierCounterfactualConfig {
        smoothness: 3.0,
        ..config
    };
    let smooth = explained(on_values(&weights, shift), config);
    assert!(smooth.1.success && smooth.1.changed == 6, "{:?}", smooth.0);
    let variation = |change: &[f64]| penalty::total_variation(change, [1, 2, 3]).0;
    let (smooth, rough) = (variation(&smooth.0), variation(&rough.0));
    assert!(smooth < 0.2 * rough, "{smooth} {rough}");
}

/// A convolutional network, whose images are searched together and alone with the same result.
#[test]
fn images_of_a_batch_do_not_know_of_each_other() {
    let spec = NetworkSpec {
        architecture: Architecture::SmallCnn,
        channels: 1,
        height: 16,
        width: 16,
        outputs: 3,
        attributes: 0,
        hidden: None,
    };
    let network: Rc<dyn Network> = spec.build(0, "t").unwrap().into();
    let images = uniform(&mut stream(0, "t", "images"), (3, 1, 16, 16), (0.0, 1.0)).unwrap();
    let batch = Batch::new(0, images.clone(), TargetKind::Classes);
    let config = ClassifierCounterfactualConfig {
        confidence: 0.0,
        ..ClassifierCounterfactualConfig::default()
    };
    let method = ClassifierCounterfactual::new(config, network.clone()).unwrap();
    let class = |images: &Tensor| -> Vec<u32> {
        let out = network
            .forward(images.into(), Mode::Evaluate)
            .unwrap()
            .outputs;
        out.argmax(1).unwrap().to_vec1().unwrap()
    };
    let targets: Vec<u32> = class(&images).iter().map(|class| (class + 1) % 3).collect();
    let together = method.explain(&batch, &targets).unwrap();
    let flat = |images: &Tensor| images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (row, report) in together.reports.iter().enumerate() {
        let alone = method
            .explain(&batch.select(&[row]).unwrap(), &targets[row..=row])
            .unwrap();
        let own = together.images.narrow(0, row, 1).unwrap();
        let gaps = flat(&alone.images).into_iter().zip(flat(&own));
        assert!(gaps.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-3);
        assert!(report.success && alone.reports[0].success, "{report:?}");
        assert_eq!(class(&own), [targets[row]]);
        assert!(report.changed < 256 && report.changed > 0);
    }
    let again = method.explain(&batch, &targets).unwrap();
    assert_eq!(flat(&again.images), flat(&together.images));
    assert_eq!(again.reports, together.reports);
}

fn labelled(images: &[[f64; 6]], labels: &[u32]) -> Batch {
    Batch {
        classes: Some(labels.to_vec()),
        targets: vec![WeightedTarget {
            weight: 1.0,
            target: Tensor::new(labels, &Device::Cpu).unwrap(),
        }],
        ..batch(images)
    }
}

fn targets(batch: &Batch) -> Vec<u32> {
    batch.targets[0].target.to_vec1().unwrap()
}

/// Of four images of predicted class 0 one is labelled 1: it stays, as do unlabelled batches.
#[test]
fn labels_follow_the_classifier_or_stay() {
    let network = on_values(&WEIGHTS, bias());
    let before = labelled(&[IMAGE; 4], &[0, 1, 0, 0]);
    let unlabelled = batch(&[IMAGE]);
    let rng = &mut stream(0, "t", "labels");
    for (labels, expected) in [(Labels::Target, [1, 1, 1, 1]), (Labels::Keep, [0, 1, 0, 0])] {
        let config = ClassifierCounterfactualConfig { labels, ..sparse() };
        let method = ClassifierCounterfactual::new(config, network.clone()).unwrap();
        let after = method
            .apply(vec![before.clone(), unlabelled.clone()], rng)
            .unwrap();
        assert_eq!(targets(&after[0]), expected);
        assert_eq!(after[0].classes.as_deref(), Some(&expected[..]));
        let found = pixels(&after[0].images);
        for row in 0..4 {
            let moved = (found[6 * row + 2] - IMAGE[2]).abs() > 0.1;
            assert_eq!(moved, row != 1);
        }
        assert_eq!(pixels(&after[1].images), pixels(&unlabelled.images));
    }
    // A search that fails leaves image and label.
    let hard = ClassifierCounterfactualConfig {
        max_steps: 1,
        confidence: 0.999,
        ..sparse()
    };
    let method = ClassifierCounterfactual::new(hard, network).unwrap();
    let after = method.apply(vec![before.clone()], rng).unwrap();
    assert_eq!(pixels(&after[0].images), pixels(&before.images));
    assert_eq!(targets(&after[0]), [0, 1, 0, 0]);
}

/// Three classes, of which the other two are drawn about as often, and the same seed draws the same.
#[test]
fn other_classes_are_drawn_evenly() {
    let mut weights = vec![0.0; 18];
    (weights[6], weights[14]) = (4.0, 4.0);
    let before = labelled(&[IMAGE; 60], &[0; 60]);
    // The first class is ahead with 1 against 4 (2·0.5 − 0.2) − 3 = 0.2 and 4 (2·0.3 − 0.2) − 1.5 = 0.1.
    let network = linear(&weights, &[1.0, -3.0, -1.5]);
    let config = ClassifierCounterfactualConfig {
        probability: 0.8,
        ..sparse()
    };
    let method = ClassifierCounterfactual::new(config, network).unwrap();
    let draw = |seed| {
        let rng = &mut stream(seed, "t", "classes");
        let after = method.apply(vec![before.clone()], rng).unwrap();
        let bits: Vec<u64> = pixels(&after[0].images)
            .iter()
            .map(|v| v.to_bits())
            .collect();
        (targets(&after[0]), bits)
    };
    let (found, _) = draw(1);
    let count = |class| found.iter().filter(|&&c| c == class).count();
    // Binomial of 60 with shares 0.2 and 0.4: deviations 3.1 and 3.8.
    assert!((1..=24).contains(&count(0)), "{found:?}");
    assert!(
        (9..=39).contains(&count(1)) && (9..=39).contains(&count(2)),
        "{found:?}"
    );
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn ill_inputs_are_errors() {
    let network = on_values(&WEIGHTS, bias());
    let method = ClassifierCounterfactual::new(sparse(), network.clone()).unwrap();
    let message = |targets: &[u32]| {
        let found = method.explain(&batch(&[IMAGE]), targets);
        found.unwrap_err().to_string()
    };
    assert!(message(&[]).contains("each of 1 images"));
    assert!(message(&[2]).contains("expected below 2, found 2"));
    let masks = Batch {
        kind: TargetKind::Masks,
        ..labelled(&[IMAGE], &[0])
    };
    let rng = &mut stream(0, "t", "ill");
    let found = method.apply(vec![masks], rng).err().unwrap().to_string();
    assert!(
        found.contains("expected classes as targets, found Masks"),
        "{found}"
    );
    let small = Tensor::zeros((1, 1, 2, 2), DType::F64, &Device::Cpu).unwrap();
    let small = Batch::new(0, small, TargetKind::Classes);
    assert!(method.explain(&small, &[1]).is_err());
    let config = sparse();
    for (ill, key) in [
        (
            ClassifierCounterfactualConfig {
                probability: 2.0,
                ..config
            },
            "probability",
        ),
        (
            ClassifierCounterfactualConfig {
                sparsity: -1.0,
                ..config
            },
            "sparsity",
        ),
        (
            ClassifierCounterfactualConfig {
                smoothness: f64::INFINITY,
                ..config
            },
            "smoothness",
        ),
        (
            ClassifierCounterfactualConfig {
                confidence: 1.0,
                ..config
            },
            "confidence",
        ),
        (
            ClassifierCounterfactualConfig {
                max_steps: 0,
                ..config
            },
            "max_steps",
        ),
        (
            ClassifierCounterfactualConfig {
                steps_per_strength: 0,
                ..config
            },
            "steps_per_strength",
        ),
        (
            ClassifierCounterfactualConfig {
                relaxations: 61,
                ..config
            },
            "relaxations",
        ),
        (
            ClassifierCounterfactualConfig {
                step: 0.0,
                ..config
            },
            "step",
        ),
        (
            ClassifierCounterfactualConfig {
                tolerance: 0.0,
                ..config
            },
            "tolerance",
        ),
    ] {
        let result = ClassifierCounterfactual::new(ill, network.clone());
        let found = result.err().unwrap().to_string();
        assert!(found.contains(key), "{found}");
    }
    let unknown = serde_json::from_str::<ClassifierCounterfactualConfig>(r#"{"lambda": 3}"#);
    assert!(unknown.is_err());
}
