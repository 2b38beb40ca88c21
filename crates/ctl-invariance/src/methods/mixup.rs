//! Mixup between environments.

use candle_core::Tensor;
use ctl_compute::random::permutation;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::{
    Assumption, Augmentation, Batch, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, SearchDimension, Status, WeightedTarget, in_range,
};

/// Description of `mixup`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mixup",
    name: "Mixup",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::LinearBetweenSamples],
    paper: "Zhang, Cisse, Dauphin & Lopez-Paz 2018, mixup: Beyond Empirical Risk Minimization",
    summary: "Trains on convex combinations of images and labels from different environments.",
};

/// Settings of `mixup`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MixupConfig {
    /// Both parameters of the Beta distribution of the mixing weight, positive, at most 100.
    pub alpha: f64,
}

impl Default for MixupConfig {
    fn default() -> Self {
        Self { alpha: 0.2 }
    }
}

impl MethodConfig for MixupConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.alpha > 0.0 && self.alpha <= 100.0;
        in_range(method, "alpha", &self.alpha, "above 0 and at most 100", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("alpha", -1.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(Mixup::new(*self))],
            ..MethodParts::objective(Erm::default())
        })
    }
}

/// Each environment's batch is mixed with that of another one, in a random cycle:
/// `x = m x_i + (1 − m) x_j` with the loss `m ℓ(·, y_i) + (1 − m) ℓ(·, y_j)`, `m ~ Beta(α, α)`.
///
/// Rows of the second batch are shuffled first, so that a single environment mixes within itself.
///
/// # References
/// Zhang et al. 2018, equation 2; between domains as in Wang et al. 2020.
pub struct Mixup {
    config: MixupConfig,
}

impl Mixup {
    /// The augmentation with the given settings.
    pub fn new(config: MixupConfig) -> Self {
        Self { config }
    }
}

/// Mixes `first` with `second`, weight `mix` on the first, truncated to the shorter; what the network
/// is given beside the images is mixed alike.
///
/// # Errors
/// When image sizes differ.
pub fn mix(first: &Batch, second: &Batch, mix: f64) -> Result<Batch> {
    let rows = first.images.dim(0)?.min(second.images.dim(0)?);
    let between = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
        Ok(((a.narrow(0, 0, rows)? * mix)? + (b.narrow(0, 0, rows)? * (1.0 - mix))?)?)
    };
    let images = between(&first.images, &second.images)?;
    let context = match (&first.context, &second.context) {
        (Some(a), Some(b)) => Some(between(a, b)?),
        _ => None,
    };
    let mut targets = Vec::new();
    for (part, share) in [(first, mix), (second, 1.0 - mix)] {
        for target in &part.targets {
            targets.push(WeightedTarget {
                weight: target.weight * share,
                target: target.target.narrow(0, 0, rows)?,
            });
        }
    }
    Ok(Batch {
        images,
        context,
        targets,
        classes: None,
        weights: None,
        ..first.clone()
    })
}

impl Augmentation for Mixup {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let (labelled, unlabelled): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(Batch::is_labelled);
        let cycle = permutation(rng, labelled.len());
        // `validate` admits no α for which the distribution does not exist.
        let Ok(beta) = Beta::new(self.config.alpha, self.config.alpha) else {
            return Ok(labelled);
        };
        let mut mixed = Vec::new();
        for (position, &index) in cycle.iter().enumerate() {
            let partner = &labelled[cycle[(position + 1) % cycle.len()]];
            let partner = partner.select(&permutation(rng, partner.images.dim(0)?))?;
            mixed.push(mix(&labelled[index], &partner, beta.sample(rng))?);
        }
        mixed.sort_by_key(|batch| batch.environment);
        mixed.extend(unlabelled);
        Ok(mixed)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ctl_compute::random::stream;

    use super::*;
    use crate::TargetKind;

    fn batch(environment: usize, value: f32, label: u32) -> Batch {
        let images = Tensor::full(value, (2, 1, 1, 1), &Device::Cpu).unwrap();
        Batch {
            context: Some(Tensor::full(10.0 * value, (2, 3), &Device::Cpu).unwrap()),
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: Tensor::new(&[label, label], &Device::Cpu).unwrap(),
            }],
            ..Batch::new(environment, images, TargetKind::Classes)
        }
    }

    #[test]
    fn mixture_by_hand() {
        let mixed = mix(&batch(0, 1.0, 0), &batch(1, 5.0, 1), 0.25).unwrap();
        let values = mixed
            .images
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(values, [4.0, 4.0]);
        let context = mixed.context.unwrap().flatten_all().unwrap();
        assert_eq!(context.to_vec1::<f32>().unwrap(), [40.0; 6]);
        let weights: Vec<f64> = mixed.targets.iter().map(|t| t.weight).collect();
        assert_eq!(weights, [0.25, 0.75]);
    }

    /// Who is mixed with whom is drawn by place; whatever order environments come in, each is mixed
    /// once, with another, and its own share and its partner's come to its images.
    #[test]
    fn in_any_order_every_environment_is_mixed_once_with_another() {
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]] {
            let mixup = Mixup::new(MixupConfig::default());
            let value = |environment: usize| [1.0_f32, 10.0, 100.0][environment];
            let batches = order.map(|e| batch(e, value(e), e as u32)).to_vec();
            let mixed = mixup.apply(batches, &mut stream(3, "t", "mixup")).unwrap();
            let mut partners = Vec::new();
            for batch in &mixed {
                let class = |t: &WeightedTarget| t.target.to_vec1::<u32>().unwrap()[0] as usize;
                let [own, other] = &batch.targets[..] else {
                    panic!("two targets, found {}", batch.targets.len());
                };
                assert_eq!(class(own), batch.environment);
                assert_ne!(class(other), batch.environment);
                partners.push(class(other));
                let expected = own.weight * f64::from(value(class(own)))
                    + other.weight * f64::from(value(class(other)));
                let found = batch
                    .images
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap();
                assert!((f64::from(found[0]) - expected).abs() < 1e-4 * expected);
            }
            partners.sort_unstable();
            assert_eq!(partners, [0, 1, 2], "order {order:?}");
        }
    }

    #[test]
    fn weights_sum_to_one_and_environments_keep_their_order() {
        let mixup = Mixup::new(MixupConfig::default());
        let batches = vec![batch(0, 0.0, 0), batch(1, 1.0, 1), batch(2, 2.0, 0)];
        let mixed = mixup.apply(batches, &mut stream(0, "t", "mixup")).unwrap();
        let order: Vec<usize> = mixed.iter().map(|b| b.environment).collect();
        assert_eq!(order, [0, 1, 2]);
        for batch in mixed {
            let sum: f64 = batch.targets.iter().map(|t| t.weight).sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
