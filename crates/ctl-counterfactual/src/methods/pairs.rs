//! Images beside what they would have been elsewhere.

use ctl_invariance::pairs::paired;
use ctl_invariance::{Augmentation, Batch, ConfigError, Intervention, in_range};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::generated::{Learnt, Place, each_labelled};

/// Every labelled sample twice: as it is, and as another source, drawn for each, would have taken
/// it, or an acquisition `t ~ U(1, reach)` times as far on the way there. From a single source both
/// are the same.
pub(super) struct CounterfactualPairs {
    pub(super) method: &'static str,
    pub(super) reach: f64,
    pub(super) place: Place,
}

pub(super) fn check_reach(method: &'static str, reach: f64) -> Result<(), ConfigError> {
    let ok = (1.0..=16.0).contains(&reach);
    in_range(method, "reach", &reach, "1 to 16", ok)
}

/// A source other than `own`, drawn uniformly; `own` where there is no other.
pub(super) fn another(environments: usize, own: usize, rng: &mut ChaCha8Rng) -> usize {
    if environments < 2 {
        return own;
    }
    let drawn = rng.random_range(0..environments - 1);
    drawn + usize::from(drawn >= own)
}

impl CounterfactualPairs {
    fn pair(
        &self,
        learnt: &Learnt,
        batch: &Batch,
        rng: &mut ChaCha8Rng,
    ) -> ctl_invariance::Result<Batch> {
        let rows: Vec<usize> = (0..batch.images.dim(0)?).collect();
        let acts: Vec<Intervention> = rows
            .iter()
            .map(|_| {
                let other = another(learnt.environments, batch.environment, rng);
                let beyond = (self.reach - 1.0) * rng.random::<f64>();
                Intervention::towards(other, 1.0 + beyond)
            })
            .collect();
        let elsewhere = learnt.replaced(self.method, batch, (&rows, &acts))?;
        paired(batch, &elsewhere)
    }
}

impl Augmentation for CounterfactualPairs {
    fn apply(
        &self,
        batches: Vec<Batch>,
        rng: &mut ChaCha8Rng,
    ) -> ctl_invariance::Result<Vec<Batch>> {
        each_labelled((self.method, &self.place), batches, |learnt, batch| {
            self.pair(learnt, batch, rng)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::augmentation::tests::{Offsets, batch, flat};
    use ctl_compute::random::stream;
    use ctl_invariance::TargetKind;

    #[test]
    fn images_come_first_and_what_they_would_have_been_elsewhere_second() {
        let method = CounterfactualPairs {
            method: "t",
            reach: 1.0,
            place: Learnt::of(Offsets, &[&[1.0], &[1.0], &[1.0]]),
        };
        let before = batch(TargetKind::Images);
        let rng = &mut stream(0, "t", "pairs");
        let after = method.apply(vec![before.clone()], rng).unwrap();
        let (images, own) = (flat(&after[0].images), flat(&before.images));
        assert_eq!(images[..80], own[..]);
        let shifts: Vec<f32> = images[80..].iter().zip(&own).map(|(a, b)| a - b).collect();
        // Never its own site, and both others.
        for shift in [-1.0f32, 1.0] {
            let count = shifts.iter().filter(|s| (*s - shift).abs() < 1e-6).count();
            assert!(count >= 20, "{shift}: {count}");
        }
        assert!(shifts.iter().all(|s| s.abs() > 0.5));
        let targets = flat(&after[0].targets[0].target);
        assert!(
            targets
                .iter()
                .zip(&images)
                .all(|(t, i)| (t - i - 100.0).abs() < 1e-4)
        );
    }

    #[test]
    fn counterfactuals_reach_beyond_the_other_site() {
        let method = CounterfactualPairs {
            method: "t",
            reach: 3.0,
            place: Learnt::of(Offsets, &[&[1.0], &[1.0], &[1.0]]),
        };
        let before = batch(TargetKind::Classes);
        let rng = &mut stream(0, "t", "pairs");
        let after = method.apply(vec![before.clone()], rng).unwrap();
        let (images, own) = (flat(&after[0].images), flat(&before.images));
        let ways: Vec<f32> = images[80..]
            .iter()
            .zip(&own)
            .map(|(a, b)| (a - b).abs())
            .collect();
        assert!(ways.iter().all(|way| (1.0..=3.0).contains(way)));
        assert!(ways.iter().filter(|way| **way > 2.0).count() >= 20);
        let error = check_reach("t", 0.5).unwrap_err().to_string();
        assert!(
            error.contains("reach = 0.5 is not allowed: it must be 1 to 16"),
            "{error}"
        );
    }
}
