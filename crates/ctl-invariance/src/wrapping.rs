//! What networks around networks share.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_nets::{Architecture, MapHook, Mode, Network, NetworkInput, NetworkSpec, Origin};

use crate::Result;

/// Keeps the first map that a network shows at each stage, and changes none.
#[derive(Default)]
pub(crate) struct Capture {
    maps: RefCell<BTreeMap<usize, Tensor>>,
}

impl Capture {
    /// The map of a stage; none of networks without maps.
    pub(crate) fn map(&self, stage: usize) -> Option<Tensor> {
        self.maps.borrow().get(&stage).cloned()
    }
}

impl MapHook for Capture {
    fn at(&self, stage: usize, map: &Tensor) -> ctl_nets::Result<Tensor> {
        let mut maps = self.maps.borrow_mut();
        maps.entry(stage).or_insert_with(|| map.clone());
        Ok(map.clone())
    }
}

/// Sizes that an untrained network shows on an empty image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Width of the input of the linear map that ends it, of networks that end with one.
    pub(crate) head: Option<usize>,
    /// Channels of the first maps, by stage; none of networks without maps.
    pub(crate) maps: Vec<usize>,
}

impl Sizes {
    /// Runs an empty image through a network.
    ///
    /// # Errors
    /// When the network is not of that specification.
    pub(crate) fn of(spec: &NetworkSpec, network: &dyn Network) -> Result<Self> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let images = zeros(&[1, spec.channels, spec.height, spec.width])?;
        let context = match spec.architecture {
            Architecture::FusionLate | Architecture::FusionIntermediate => {
                Some(zeros(&[1, 2 * spec.attributes])?)
            }
            Architecture::ReconUNet
            | Architecture::ReconUNetConsistent
            | Architecture::Unrolled => Some(zeros(&[1, spec.width])?),
            _ => None,
        };
        let capture = Capture::default();
        let input = NetworkInput {
            hook: Some(&capture),
            ..NetworkInput::new(&images, context.as_ref())
        };
        let head = network.forward(input, Mode::Evaluate)?.head;
        let last = |tensor: &Tensor| tensor.dims().last().copied().unwrap_or(0);
        let maps = capture.maps.into_inner();
        Ok(Self {
            head: head.map(|head| last(&head.input)),
            maps: maps.values().map(last).collect(),
        })
    }
}

/// The rows of a batch by environment; one environment where their origin is not known.
pub(crate) struct Groups {
    /// The environments that have rows, in order.
    pub(crate) environments: Vec<u32>,
    /// 1 where a row belongs to an environment, `[B, E]`.
    members: Tensor,
    /// Rows of each environment, `[E, 1]`.
    counts: Tensor,
}

impl Groups {
    pub(crate) fn of(origin: Option<Origin<'_>>, rows: usize) -> candle_core::Result<Self> {
        let unknown = vec![0; rows];
        let of_rows = origin.map_or(unknown.as_slice(), |origin| origin.environments);
        let mut environments = of_rows.to_vec();
        environments.sort_unstable();
        environments.dedup();
        let belongs = of_rows.iter().flat_map(|row| {
            let one = move |environment: &u32| f32::from(u8::from(environment == row));
            environments.iter().map(one)
        });
        let shape = (of_rows.len(), environments.len());
        let members = Tensor::from_vec(belongs.collect::<Vec<_>>(), shape, &Device::Cpu)?;
        Ok(Self {
            counts: members.sum(0)?.unsqueeze(1)?,
            members,
            environments,
        })
    }

    /// Means over the rows of each environment, `[B, F] -> [E, F]`.
    pub(crate) fn means(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let sums = self.members.t()?.contiguous()?.matmul(rows)?;
        sums.broadcast_div(&self.counts)
    }

    /// Gives every row the value of its environment, `[E, F] -> [B, F]`.
    pub(crate) fn spread(&self, values: &Tensor) -> candle_core::Result<Tensor> {
        self.members.matmul(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(architecture: Architecture) -> NetworkSpec {
        let complex = matches!(
            architecture,
            Architecture::ReconUNet | Architecture::Unrolled
        );
        NetworkSpec {
            architecture,
            channels: if complex { 2 } else { 1 },
            height: 16,
            width: 16,
            outputs: match architecture {
                Architecture::Autoencoder => 1,
                _ => 2,
            },
            attributes: 3,
            hidden: None,
        }
    }

    #[test]
    fn sizes_of_networks() {
        for (architecture, head, maps) in [
            (Architecture::Mlp, Some(256), vec![]),
            (Architecture::SmallCnn, Some(64), vec![16, 32]),
            (Architecture::SmallUNet, Some(12), vec![12, 24]),
            (Architecture::FusionLate, Some(96), vec![16, 32]),
            (Architecture::ReconUNet, Some(16), vec![16, 32]),
            (Architecture::Unrolled, None, vec![16, 16]),
            (Architecture::Autoencoder, None, vec![16, 32]),
        ] {
            let spec = spec(architecture);
            let network = spec.build(0, "tests").unwrap();
            let found = Sizes::of(&spec, network.as_ref()).unwrap();
            assert_eq!(found, Sizes { head, maps }, "{}", architecture.name());
        }
    }

    #[test]
    fn rows_by_environment() {
        let rows = Tensor::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 0.0]], &Device::Cpu).unwrap();
        let origin = Origin {
            environments: &[4, 2, 4],
            step: 0,
        };
        let groups = Groups::of(Some(origin), 3).unwrap();
        assert_eq!(groups.environments, [2, 4]);
        let means = groups.means(&rows).unwrap();
        assert_eq!(means.to_vec2::<f32>().unwrap(), [[3.0, 4.0], [3.0, 1.0]]);
        let spread = groups.spread(&means).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(spread, [[3.0, 1.0], [3.0, 4.0], [3.0, 1.0]]);
        let alone = Groups::of(None, 3).unwrap().means(&rows).unwrap();
        assert_eq!(alone.to_vec2::<f32>().unwrap(), [[3.0, 2.0]]);
    }
}
