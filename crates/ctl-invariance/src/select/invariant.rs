//! Features that cause the response, and features that predict alike in every environment.

use ctl_graph::discovery::{
    IcpOptions, InvariantPrediction, SubsetOptions, invariant_prediction, invariant_subset,
};

use super::samples::{ENVIRONMENT, RESPONSE};
use super::{HeadWeights, Response, Samples};
use crate::Result;

/// Invariant causal prediction: the features that every set shares given which the response
/// depends on them alike in every environment.
///
/// # Returns
/// Accepted sets, causes, and for each feature a p-value and an interval of its coefficient (of
/// two classes: of the log-odds of the larger label). Positions are those of the features.
///
/// # Errors
/// When lengths differ, a value is not finite, an option is out of range, there is one environment
/// only, or one has fewer than three samples.
///
/// # References
/// Peters, Bühlmann & Meinshausen 2016, Causal Inference by Using Invariant Prediction; see
/// [`invariant_prediction`] for tests and deviations.
///
/// # Examples
/// ```
/// use ctl_invariance::select::{IcpOptions, Response, Rows, Samples, causal_features};
///
/// // y = x + noise at both sites; its effect z = y + noise is shifted at the second.
/// let (mut features, mut sites, mut y) = (Vec::new(), Vec::new(), Vec::new());
/// for i in 0..400u32 {
///     let site = i / 200;
///     let x = f64::from((i % 10) * (1 + site));
///     y.push(x + f64::from(i % 7));
///     features.extend([y[i as usize] + f64::from(i % 3 + 9 * site), x]);
///     sites.push(site as usize);
/// }
/// let samples = Samples {
///     features: Rows::new(&features, 2)?,
///     environments: &sites,
///     response: Response::Real(&y),
/// };
/// let found = causal_features(&samples, &IcpOptions::default())?;
/// assert_eq!(found.causes, Some(vec![1]));
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn causal_features(samples: &Samples<'_>, options: &IcpOptions) -> Result<InvariantPrediction> {
    let table = samples.table()?;
    let mut found = invariant_prediction(&table, ENVIRONMENT, RESPONSE, options)?;
    let width = samples.features.width();
    found.p_values.truncate(width);
    found.intervals.truncate(width);
    Ok(found)
}

/// The features that [`invariant_features`] chose.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureSelection {
    /// Positions of the features, ascending.
    pub features: Vec<usize>,
    /// p-value of their invariance.
    pub p_value: f64,
    /// Expected loss on further samples of the same environments together.
    pub risk: f64,
    /// Head on all features, zero for those not chosen; of classes that of a softmax, one row for
    /// each class that occurs, the first's zero. Without rows for a regression that is not linear.
    pub head: HeadWeights,
    /// What the user should know: that no set was accepted, or that not all were tested.
    pub note: Option<String>,
}

/// The features that predict best among those sets given which the response depends on them alike
/// in every environment.
///
/// # Returns
/// The accepted set of least risk; where none is accepted, the set with the largest p-value, and
/// the note says so.
///
/// # Errors
/// As [`causal_features`], and for a limit of no set.
///
/// # References
/// Rojas-Carulla, Schölkopf, Turner & Peters 2018, Invariant Models for Causal Transfer Learning,
/// algorithm 1; see [`invariant_subset`] for deviations.
///
/// # Examples
/// ```
/// use ctl_invariance::select::{Response, Rows, Samples, SubsetOptions, invariant_features};
///
/// let (mut features, mut sites, mut y) = (Vec::new(), Vec::new(), Vec::new());
/// for i in 0..400u32 {
///     let (site, x) = (i / 200, f64::from(i % 10));
///     y.push(x + f64::from(i % 7));
///     features.extend([y[i as usize] + f64::from(i % 3 + 9 * site), x]);
///     sites.push(site as usize);
/// }
/// let samples = Samples {
///     features: Rows::new(&features, 2)?,
///     environments: &sites,
///     response: Response::Real(&y),
/// };
/// let found = invariant_features(&samples, &SubsetOptions::default())?;
/// // The first feature predicts better, but shifts.
/// assert_eq!((found.features, found.note), (vec![1], None));
/// assert!((found.head.weight[1] - 1.0).abs() < 0.05 && found.head.weight[0] == 0.0);
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn invariant_features(
    samples: &Samples<'_>,
    options: &SubsetOptions,
) -> Result<FeatureSelection> {
    let found = invariant_subset(&samples.table()?, ENVIRONMENT, RESPONSE, options)?;
    let mut notes = Vec::new();
    if !found.accepted {
        notes.push(format!(
            "no set of features is invariant at level {}: the one with the largest p-value, {:.2e}, was taken",
            options.alpha, found.p_value
        ));
    }
    if !found.complete {
        notes.push(format!(
            "only {} sets of features were tested",
            found.tested
        ));
    }
    let width = samples.features.width();
    let mut head = HeadWeights::of(&found.models, &found.predictors, width);
    if matches!(samples.response, Response::Labels(_)) {
        // The models of classes are those of the others against the first.
        head.weight.splice(0..0, vec![0.0; width]);
        head.bias.insert(0, 0.0);
    }
    Ok(FeatureSelection {
        head,
        features: found.predictors,
        p_value: found.p_value,
        risk: found.risk,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::stream;
    use rand_distr::{Distribution, StandardNormal};

    use super::super::{ResidualTest, Rows};
    use super::*;

    /// Features of three environments: two causes, an effect that shifts, two of noise alone.
    struct Cohort {
        features: Vec<f64>,
        environments: Vec<usize>,
        score: Vec<f64>,
    }

    const WIDTH: usize = 5;

    fn cohort(seed: u64, classes: Option<u32>) -> Cohort {
        let mut rng = stream(seed, "select", "cohort");
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let (mut features, mut environments, mut score) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..900 {
            let environment = row / 300;
            let at = environment as f64;
            let first = (1.0 + at) * normal() + at;
            let second = normal() - at;
            let mean = first - 1.5 * second;
            let y = match classes {
                None => mean + normal(),
                Some(classes) => f64::from(drawn(classes, mean, &mut normal)),
            };
            let effect = y + 0.5 * normal() - 2.0 * at;
            features.extend([normal(), effect, first, normal(), second]);
            environments.push(environment);
            score.push(y);
        }
        Cohort {
            features,
            environments,
            score,
        }
    }

    /// A class with probability proportional to `exp(class · (score − ½))`.
    fn drawn(classes: u32, score: f64, normal: &mut impl FnMut() -> f64) -> u32 {
        // Half the squares of two normal values are an exponential one.
        let mut gumbel = || -(0.5 * (normal().powi(2) + normal().powi(2))).ln();
        let utility = |class: u32| (class, f64::from(class) * (score - 0.5) + gumbel());
        let best = (0..classes).map(utility).max_by(|a, b| a.1.total_cmp(&b.1));
        best.unwrap().0
    }

    impl Cohort {
        fn samples<'a>(&'a self, response: Response<'a>) -> Samples<'a> {
            Samples {
                features: Rows::new(&self.features, WIDTH).unwrap(),
                environments: &self.environments,
                response,
            }
        }
    }

    const COHORTS: u64 = 8;

    /// How many cohorts name both causes, and how many name a feature that is none.
    fn tally(options: &IcpOptions, classes: Option<u32>) -> (u32, u32) {
        let (mut found, mut wrong) = (0, 0);
        for seed in 0..COHORTS {
            let cohort = cohort(seed, classes);
            let labels: Vec<u32> = cohort.score.iter().map(|y| *y as u32).collect();
            let response = match classes {
                None => Response::Real(&cohort.score),
                Some(_) => Response::Labels(&labels),
            };
            let causes = causal_features(&cohort.samples(response), options)
                .unwrap()
                .causes;
            let causes = causes.unwrap_or_default();
            found += u32::from(causes == [2, 4]);
            wrong += u32::from(causes.iter().any(|cause| ![2, 4].contains(cause)));
        }
        (found, wrong)
    }

    /// At level 0.05 no false cause in eight cohorts is likely, two are not. Classes say less than
    /// numbers.
    #[test]
    fn causes_are_found_and_others_are_not_named() {
        for (test, classes, least) in [
            (ResidualTest::Moments, None, 7),
            (ResidualTest::Chow, None, 7),
            (ResidualTest::Moments, Some(2), 4),
            (ResidualTest::Moments, Some(3), 4),
        ] {
            let options = IcpOptions {
                test,
                ..IcpOptions::default()
            };
            let (found, wrong) = tally(&options, classes);
            assert!(
                found >= least && wrong <= 1,
                "{test:?} {classes:?}: {found} {wrong}"
            );
        }
    }

    #[test]
    fn intervals_cover_the_coefficients() {
        let cohort = cohort(5, None);
        let samples = cohort.samples(Response::Real(&cohort.score));
        let found = causal_features(&samples, &IcpOptions::default()).unwrap();
        assert_eq!(
            (found.p_values.len(), found.intervals.len()),
            (WIDTH, WIDTH)
        );
        for (feature, coefficient) in [(2, 1.0), (4, -1.5)] {
            let (low, high) = found.intervals[feature].unwrap();
            assert!(low < coefficient && coefficient < high && high - low < 0.3);
        }
    }

    /// The models are those of the second and third class against the first, whose log-odds rise
    /// with the first cause by 1 and 2.
    #[test]
    fn the_head_of_classes_is_one_of_a_softmax() {
        let cohort = cohort(3, Some(3));
        let labels: Vec<u32> = cohort.score.iter().map(|y| *y as u32).collect();
        let samples = cohort.samples(Response::Labels(&labels));
        let found = invariant_features(&samples, &SubsetOptions::default()).unwrap();
        assert!(!found.features.contains(&1), "{:?}", found.features);
        for (class, slope) in [0.0, 1.0, 2.0].into_iter().enumerate() {
            let weight = found.head.weight[class * WIDTH + 2];
            assert!((weight - slope).abs() <= 0.15 * slope, "{class}: {weight}");
        }
        assert_eq!(found.head.bias.len(), 3);
    }

    /// The head of the chosen features predicts at a site where the effect has turned round, where
    /// that of all features fails.
    #[test]
    fn what_is_chosen_transfers() {
        let cohort = cohort(2, None);
        let samples = cohort.samples(Response::Real(&cohort.score));
        let mut elsewhere = cohort.features.clone();
        for row in elsewhere.chunks_exact_mut(WIDTH) {
            row[1] = -row[1];
        }
        let error = |alpha| {
            let options = SubsetOptions {
                alpha,
                preselect: Some(4),
                ..SubsetOptions::default()
            };
            let found = invariant_features(&samples, &options).unwrap();
            let outputs = found
                .head
                .outputs(Rows::new(&elsewhere, WIDTH).unwrap())
                .unwrap();
            let squares = outputs
                .iter()
                .zip(&cohort.score)
                .map(|(z, y)| (z - y).powi(2));
            (squares.sum::<f64>() / 900.0, found)
        };
        let (invariant, found) = error(0.05);
        assert_eq!(
            found.note.as_deref(),
            Some("only 16 sets of features were tested")
        );
        assert!((found.risk - 1.0).abs() < 0.15, "{}", found.risk);
        assert!((invariant - 1.0).abs() < 0.15, "{invariant}");
        // At a level of almost 0 every set is accepted, and the effect is the best predictor.
        let (all, found) = error(1e-300);
        assert!(found.risk < 0.7 && all > 3.0, "{} {all}", found.risk);
    }

    #[test]
    fn where_nothing_is_invariant_a_note_says_so() {
        let mut cohort = cohort(21, None);
        // The response itself is moved at one site.
        for (y, environment) in cohort.score.iter_mut().zip(&cohort.environments) {
            *y += 6.0 * f64::from(u8::from(*environment == 1));
        }
        let samples = cohort.samples(Response::Real(&cohort.score));
        let options = SubsetOptions {
            max_size: Some(2),
            ..SubsetOptions::default()
        };
        let found = invariant_features(&samples, &options).unwrap();
        let note = found.note.unwrap();
        assert!(
            found.p_value <= 0.05 && note.contains("invariant at level 0.05"),
            "{note}"
        );
        assert!(note.contains("only 16 sets"), "{note}");
    }

    #[test]
    fn one_environment_is_an_error() {
        let mut cohort = cohort(1, None);
        cohort.environments.fill(3);
        let samples = cohort.samples(Response::Real(&cohort.score));
        let error = causal_features(&samples, &IcpOptions::default()).unwrap_err();
        let expected = "column environment: expected at least two environments, found 1";
        assert_eq!(error.to_string(), expected);
    }
}
