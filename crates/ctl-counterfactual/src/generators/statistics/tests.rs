use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_invariance::WeightedTarget;
use rstest::rstest;

use super::*;

const SIZE: [usize; 2] = [6, 7];

/// Values that all differ, within [low, high].
fn image(factor: usize, (low, high): (f64, f64)) -> Vec<f64> {
    // 43 is prime, so that multiples of the factor below it are a permutation.
    let value = |index: usize| ((index + 1) * factor % 43) as f64 / 42.0;
    (0..42)
        .map(|index| low + (high - low) * value(index))
        .collect()
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    gaps.fold(0.0, f64::max)
}

fn config(statistics: Statistics, detail_limit: f64) -> StatisticsExchangeConfig {
    StatisticsExchangeConfig {
        probability: 1.0,
        statistics,
        levels: 42,
        foreground: Foreground::All,
        detail_limit,
    }
}

fn exchange(config: StatisticsExchangeConfig) -> StatisticsExchange {
    StatisticsExchange::new(config).unwrap()
}

fn exchanged(config: StatisticsExchangeConfig, own: &[f64], donor: &[f64]) -> Vec<f64> {
    let shape = [1, SIZE[0], SIZE[1]];
    exchange(config)
        .exchanged(own, shape, (donor, shape))
        .unwrap()
}

#[rstest]
#[case(Foreground::All, 1.0)]
#[case(Foreground::AboveMean, 1.0)]
#[case(Foreground::AboveMean, 4.0)]
fn moments_become_the_donors(#[case] of: Foreground, #[case] detail_limit: f64) {
    let (own, donor) = (image(5, (0.1, 0.5)), image(11, (0.3, 0.9)));
    let config = StatisticsExchangeConfig {
        foreground: of,
        ..config(Statistics::Moments, detail_limit)
    };
    let found = exchanged(config, &own, &donor);
    let (mean, deviation) = moments(&found, &foreground(&own, of));
    let expected = moments(&donor, &foreground(&donor, of));
    assert!((mean - expected.0).abs() < 1e-12 && (deviation - expected.1).abs() < 1e-12);
    assert!(farthest(&found, &own) > 0.1);
}

/// With a level for each pixel every order statistic is the donor's, and the ranks stay.
#[rstest]
#[case(1.0)]
#[case(4.0)]
fn quantiles_become_the_donors(#[case] detail_limit: f64) {
    let (own, donor) = (image(5, (0.1, 0.5)), image(11, (0.3, 0.9)));
    let found = exchanged(config(Statistics::Quantiles, detail_limit), &own, &donor);
    let sorted = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    assert!(farthest(&sorted(&found), &sorted(&donor)) < 1e-12);
    if detail_limit > 1.0 {
        return;
    }
    let order = |values: &[f64]| {
        let mut order: Vec<usize> = (0..42).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        order
    };
    assert_eq!(order(&found), order(&own));
}

#[rstest]
#[case(Statistics::Moments)]
#[case(Statistics::Quantiles)]
fn an_image_is_its_own_donor(#[case] statistics: Statistics) {
    let own = image(5, (0.1, 0.5));
    assert!(farthest(&exchanged(config(statistics, 4.0), &own, &own), &own) < 1e-12);
}

/// Away from the border a checkerboard under L is flat: x − L x = x, the factor acts on it alone, and
/// the share of detail of a ramp with little of it grows to the donor's.
#[test]
fn detail_goes_towards_the_donors() {
    let size = [24, 24];
    let plane = |amplitude: f64| -> Vec<f64> {
        let value = |index: usize| {
            let (y, x) = (index / 24, index % 24);
            let sign = if (x + y) % 2 == 0 { 1.0 } else { -1.0 };
            0.3 + 0.01 * x as f64 + amplitude * sign
        };
        (0..576).map(value).collect()
    };
    let (smooth, rough) = (plane(0.005), plane(0.02));
    let shape = [1, 24, 24];
    let share = |plane: &[f64]| {
        let all = vec![true; 576];
        moments(&detail(plane, size), &all).1 / moments(plane, &all).1
    };
    let at = |limit: f64, own: &[f64], donor: &[f64]| {
        let method = exchange(config(Statistics::Moments, limit));
        share(&method.exchanged(own, shape, (donor, shape)).unwrap())
    };
    let same = at(1.0, &smooth, &rough);
    assert!((same / share(&smooth) - 1.0).abs() < 1e-9);
    let raised = at(16.0, &smooth, &rough);
    assert!((raised / share(&rough) - 1.0).abs() < 0.15, "{raised}");
    let lowered = at(16.0, &rough, &smooth);
    assert!((lowered / share(&smooth) - 1.0).abs() < 0.15, "{lowered}");
    // Half the way on a logarithmic scale, where the limit is 2 and the donor has four times as much.
    let limited = at(2.0, &smooth, &rough);
    assert!((limited / share(&smooth) - 2.0).abs() < 0.2, "{limited}");
}

/// Air is at 0 and stays there.
#[test]
fn quantiles_leave_a_dark_background() {
    let mut own = image(5, (0.3, 0.5));
    own[..20].fill(0.0);
    let donor = image(11, (0.4, 0.9));
    let config = StatisticsExchangeConfig {
        foreground: Foreground::AboveMean,
        ..config(Statistics::Quantiles, 1.0)
    };
    let found = exchanged(config, &own, &donor);
    assert!(found[..20].iter().all(|&value| value.abs() < 1e-15));
    assert!(found[20..].iter().all(|&value| value > 0.5));
    // A flat channel has no scale, as donor or receiver.
    let flat = vec![0.4; 42];
    assert_eq!(exchanged(config, &flat, &donor), flat);
    assert_eq!(exchanged(config, &own, &flat), own);
}

fn batch(environment: usize, images: &[Vec<f64>], kind: TargetKind) -> Batch {
    let count = images.len();
    let stored = images.concat().iter().map(|v| (v - 0.2) / 0.5).collect();
    let images = Tensor::from_vec(stored, (count, 1, SIZE[0], SIZE[1]), &Device::Cpu).unwrap();
    let target = match kind {
        TargetKind::Images => images.affine(0.5, 0.0).unwrap(),
        _ => Tensor::new(vec![1u32; count], &Device::Cpu).unwrap(),
    };
    Batch {
        centre: 0.2,
        scale: 0.5,
        targets: vec![WeightedTarget {
            weight: 1.0,
            target,
        }],
        ..Batch::new(environment, images, kind)
    }
}

fn pixels(images: &Tensor) -> Vec<f64> {
    let stored: Vec<f64> = images.flatten_all().unwrap().to_vec1().unwrap();
    stored.iter().map(|value| value * 0.5 + 0.2).collect()
}

#[test]
fn donors_are_of_other_environments() {
    let (dark, bright) = (image(5, (0.1, 0.3)), image(11, (0.5, 0.9)));
    let unlabelled = Batch {
        targets: Vec::new(),
        ..batch(1, std::slice::from_ref(&bright), TargetKind::Images)
    };
    let before = vec![
        batch(0, &[dark.clone(), image(7, (0.1, 0.2))], TargetKind::Images),
        unlabelled.clone(),
        batch(0, &[image(3, (0.0, 0.1))], TargetKind::Images),
    ];
    let method = exchange(config(Statistics::Moments, 1.0));
    let rng = &mut stream(0, "t", "exchange");
    let after = method.apply(before.clone(), rng).unwrap();
    let expected = exchanged(config(Statistics::Moments, 1.0), &dark, &bright);
    assert!(farthest(&pixels(&after[0].images)[..42], &expected) < 1e-12);
    // The target, half the image about the centre, goes through the affine map of the image.
    let (own, other) = (moments(&dark, &[true; 42]), moments(&bright, &[true; 42]));
    let map = |value: &f64| (value - own.0) / own.1 * other.1 + other.0;
    let target: Vec<f64> = pixels(&before[0].targets[0].target)[..42]
        .iter()
        .map(map)
        .collect();
    let cut: Vec<f64> = target.iter().map(|value| value.clamp(0.0, 1.0)).collect();
    assert!(farthest(&pixels(&after[0].targets[0].target)[..42], &cut) < 1e-12);
    assert_eq!(pixels(&after[1].images), pixels(&unlabelled.images));
    assert!(farthest(&pixels(&after[2].images), &pixels(&before[2].images)) > 0.3);
    // One site alone has nobody to exchange with.
    let alone = method.apply(vec![before[0].clone()], rng).unwrap();
    assert_eq!(pixels(&alone[0].images), pixels(&before[0].images));
    let never = StatisticsExchangeConfig {
        probability: 0.0,
        ..config(Statistics::Moments, 1.0)
    };
    let still = exchange(never).apply(before.clone(), rng).unwrap();
    assert_eq!(pixels(&still[0].images), pixels(&before[0].images));
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let before = vec![
        batch(
            0,
            &[image(5, (0.1, 0.3)), image(7, (0.1, 0.2))],
            TargetKind::Classes,
        ),
        batch(
            1,
            &[image(11, (0.5, 0.9)), image(3, (0.2, 0.8))],
            TargetKind::Classes,
        ),
    ];
    let half = StatisticsExchangeConfig {
        probability: 0.5,
        ..config(Statistics::Quantiles, 3.0)
    };
    let draw = |seed| {
        let rng = &mut stream(seed, "t", "bytes");
        let after = exchange(half).apply(before.clone(), rng).unwrap();
        let bits = |batch: &Batch| -> Vec<u64> {
            pixels(&batch.images).iter().map(|v| v.to_bits()).collect()
        };
        [bits(&after[0]), bits(&after[1])]
    };
    assert_eq!(draw(1), draw(1));
    assert!((2..8).any(|seed| draw(seed) != draw(1)));
}

/// Site 1 is site 0 under a gain and a bias: the counterfactuals are the true ones, there and back.
#[rstest]
#[case(Statistics::Moments)]
#[case(Statistics::Quantiles)]
fn counterfactuals_between_sites(#[case] statistics: Statistics) {
    let scan = |image: &[f64]| image.iter().map(|v| 0.2 + 0.6 * v).collect::<Vec<f64>>();
    let patients = [image(5, (0.1, 0.5)), image(7, (0.2, 0.6))];
    let scanned = patients.clone().map(|image| scan(&image));
    let batches = [
        batch(3, &patients, TargetKind::Classes),
        batch(5, &scanned, TargetKind::Classes),
    ];
    let fitted = exchange(config(statistics, 1.0)).fit(&batches).unwrap();
    assert_eq!(fitted.environments(), [3, 5]);
    let go = |batch: &Batch, to: usize| {
        let all = [Intervention::environment(to), Intervention::environment(to)];
        fitted.counterfactuals(batch, &all).unwrap()
    };
    let moved = go(&batches[0], 5);
    // Moments are exact; quantiles beyond the mean landmarks lie on the lines to 0 and 1.
    let tolerance = match statistics {
        Statistics::Moments => 1e-12,
        Statistics::Quantiles => 0.08,
    };
    assert!(farthest(&pixels(&moved), &scanned.concat()) < tolerance);
    let there = Batch {
        images: moved,
        ..batches[1].clone()
    };
    assert!(farthest(&pixels(&go(&there, 3)), &patients.concat()) < 1e-9);
    assert_eq!(pixels(&go(&batches[0], 3)), pixels(&batches[0].images));
    let mixed = [Intervention::default(), Intervention::environment(5)];
    let found = pixels(&fitted.counterfactuals(&batches[0], &mixed).unwrap());
    assert_eq!(found[..42], pixels(&batches[0].images)[..42]);
    assert!(farthest(&found[42..], &scanned[1]) < tolerance);
}

#[test]
fn ill_inputs_are_errors() {
    let images = [image(5, (0.1, 0.5))];
    let known = batch(0, &images, TargetKind::Classes);
    let method = exchange(config(Statistics::Moments, 1.0));
    let fitted = method.fit(std::slice::from_ref(&known)).unwrap();
    let message = |interventions: &[Intervention], batch: &Batch| {
        let result = fitted.counterfactuals(batch, interventions);
        result.unwrap_err().to_string()
    };
    let found = message(&[Intervention::environment(4)], &known);
    assert!(
        found.contains("environments [0], found environment 4"),
        "{found}"
    );
    let mut older = Intervention::environment(0);
    older.attributes.insert("age".into(), 70.0);
    assert!(message(&[older], &known).contains("one on age"));
    assert!(message(&[], &known).contains("each of 1 images"));
    let foreign = batch(9, &images, TargetKind::Classes);
    assert!(message(&[Intervention::environment(0)], &foreign).contains("environment 9"));
    let flat = batch(2, &[vec![0.4; 42]], TargetKind::Classes);
    let found = method.fit(&[flat]).unwrap_err().to_string();
    assert!(found.contains("environment 2"), "{found}");
    let two = Batch::new(
        1,
        Tensor::zeros((1, 2, 3, 3), candle_core::DType::F64, &Device::Cpu).unwrap(),
        TargetKind::Classes,
    );
    let rng = &mut stream(0, "t", "ill");
    let found = method
        .apply(vec![known, two.clone()], rng)
        .err()
        .unwrap()
        .to_string();
    assert!(found.contains("1 channels"), "{found}");
    let shape = [1, 6, 7];
    assert!(
        method
            .exchanged(&images[0], shape, (&[0.1], shape))
            .is_err()
    );
    for (ill, key) in [
        (
            StatisticsExchangeConfig {
                probability: -0.1,
                ..StatisticsExchangeConfig::default()
            },
            "probability",
        ),
        (
            StatisticsExchangeConfig {
                levels: 1,
                ..StatisticsExchangeConfig::default()
            },
            "levels",
        ),
        (
            StatisticsExchangeConfig {
                detail_limit: 0.5,
                ..StatisticsExchangeConfig::default()
            },
            "detail_limit",
        ),
    ] {
        let found = StatisticsExchange::new(ill).unwrap_err().to_string();
        assert!(found.contains(key), "{found}");
    }
    let unknown = serde_json::from_str::<StatisticsExchangeConfig>(r#"{"level": 3}"#);
    assert!(unknown.is_err());
}

/// Between two environments of flat moments: mean and deviation move along the line, a share of the
/// way and beyond it.
#[rstest]
#[case(0.0)]
#[case(0.5)]
#[case(1.0)]
#[case(2.0)]
fn extents_lie_on_the_line_between_profiles(#[case] extent: f64) {
    let shape = (1, 1, SIZE[0], SIZE[1]);
    let of = |environment: usize, range: (f64, f64)| {
        let pixels = Tensor::from_vec(image(5, range), shape, &Device::Cpu).unwrap();
        Batch::new(environment, pixels, TargetKind::Classes)
    };
    let (own, other) = (of(0, (0.4, 0.6)), of(1, (0.5, 0.6)));
    for statistics in [Statistics::Moments, Statistics::Quantiles] {
        let fitted = exchange(config(statistics, 1.0))
            .fit([&own, &other])
            .unwrap();
        let acts = [Intervention::towards(1, extent)];
        let found = fitted.counterfactuals(&own, &acts).unwrap();
        let found: Vec<f64> = found.flatten_all().unwrap().to_vec1().unwrap();
        // Both are stretched copies of one image: so is what lies on their line.
        let lowest = 0.4 + 0.1 * extent;
        let expected = image(5, (lowest, 0.6));
        // Twice the way has all values at 0.6; a tenth of the smaller deviation is kept of moments.
        let kept = if extent > 1.5 && statistics == Statistics::Moments {
            0.01
        } else {
            1e-9
        };
        assert!(
            farthest(&found, &expected) < kept,
            "{statistics:?} {extent}"
        );
    }
}

/// Each class weighs the same in each environment, however often it occurs, and a class that only one
/// has does not count.
#[test]
fn environments_are_compared_within_classes() {
    let batch = |environment: usize, parts: &[(u32, f64)]| {
        let images: Vec<f64> = parts
            .iter()
            .flat_map(|&(_, low)| image(5, (low, low + 0.2)))
            .collect();
        let shape = (parts.len(), 1, SIZE[0], SIZE[1]);
        Batch {
            classes: Some(parts.iter().map(|part| part.0).collect()),
            ..Batch::new(
                environment,
                Tensor::from_vec(images, shape, &Device::Cpu).unwrap(),
                TargetKind::Classes,
            )
        }
    };
    // Class 1 is brighter by 0.3 in both; environment 1 adds 0.1. Class 2 is the second's alone.
    let own = batch(0, &[(0, 0.1), (1, 0.4), (1, 0.4), (1, 0.4)]);
    let other = batch(1, &[(0, 0.2), (0, 0.2), (0, 0.2), (1, 0.5), (2, 0.7)]);
    let fitted = exchange(config(Statistics::Moments, 1.0))
        .fit([&own, &other])
        .unwrap();
    let acts = vec![Intervention::environment(1); 4];
    let found = fitted.counterfactuals(&own, &acts).unwrap();
    let moved = (found - &own.images).unwrap().mean_all().unwrap();
    assert!((moved.to_scalar::<f64>().unwrap() - 0.1).abs() < 1e-9);
    assert!(fitted.is_adjusted());
    // Without a common class the brighter class is taken for the environment's doing.
    let apart = [batch(0, &[(0, 0.1)]), batch(1, &[(1, 0.5)])];
    let fitted = exchange(config(Statistics::Moments, 1.0))
        .fit(&apart)
        .unwrap();
    assert!(!fitted.is_adjusted());
    let found = fitted.counterfactuals(&apart[0], &acts[..1]).unwrap();
    let moved = (found - &apart[0].images).unwrap().mean_all().unwrap();
    assert!((moved.to_scalar::<f64>().unwrap() - 0.4).abs() < 1e-9);
}
