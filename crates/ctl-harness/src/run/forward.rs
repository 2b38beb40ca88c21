//! Batches through a network.

use candle_core::Tensor;
use ctl_invariance::{Batch, EnvironmentOutputs};
use ctl_nets::{Mode, Network, NetworkInput, Origin};

/// All environments in one pass, so that batch statistics are over all of them.
pub(super) fn forward(
    network: &dyn Network,
    batches: &[Batch],
    step: u64,
) -> ctl_invariance::Result<Vec<EnvironmentOutputs>> {
    let images: Vec<&Tensor> = batches.iter().map(|b| &b.images).collect();
    let images = Tensor::cat(&images, 0)?;
    let contexts: Option<Vec<&Tensor>> = batches.iter().map(|b| b.context.as_ref()).collect();
    let context = contexts.map(|all| Tensor::cat(&all, 0)).transpose()?;
    let mut rows = Vec::with_capacity(batches.len());
    let mut environments = Vec::new();
    for batch in batches {
        let count = batch.images.dim(0)?;
        rows.push(count);
        environments.extend(std::iter::repeat_n(batch.environment as u32, count));
    }
    let input = NetworkInput {
        origin: Some(Origin {
            environments: &environments,
            step,
        }),
        ..NetworkInput::new(&images, context.as_ref())
    };
    let out = network.forward(input, Mode::Train)?;
    let mut first = 0;
    let mut outputs = Vec::with_capacity(batches.len());
    for (batch, rows) in batches.iter().zip(rows) {
        let part = |tensor: &Tensor| tensor.narrow(0, first, rows);
        let head = out.head.as_ref();
        let environment = EnvironmentOutputs::new(
            batch.environment,
            part(&out.features)?,
            part(&out.outputs)?,
            batch.targets.clone(),
        );
        outputs.push(
            environment
                .with_penalty(out.penalty.as_ref().map(part).transpose()?)
                .with_weights(batch.weights.clone())
                .with_classes(batch.classes.clone())
                .with_head(head.map(|head| head.narrow(first, rows)).transpose()?),
        );
        first += rows;
    }
    Ok(outputs)
}
