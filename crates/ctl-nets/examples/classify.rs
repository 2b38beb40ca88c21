//! Trains the small network for a few steps to tell bright from dark images.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use candle_core::{Device, Tensor};
use ctl_compute::ops::log_softmax;
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{normal, stream};
use ctl_nets::{Architecture, Mode, NetworkSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = NetworkSpec {
        architecture: Architecture::SmallCnn,
        channels: 1,
        height: 16,
        width: 16,
        outputs: 2,
        attributes: 0,
        hidden: None,
    };
    let network = spec.build(0, "example")?;
    let mut adam = Adam::new(network.parameters().trained(), AdamParams::default())?;
    let labels = Tensor::new(&[[1f32, 0.0], [0.0, 1.0]], &Device::Cpu)?;
    for step in 0..30 {
        let noise = normal(
            &mut stream(0, "example", &step.to_string()),
            (2, 1, 16, 16),
            0.0,
            0.1,
        )?;
        let brightness = Tensor::new(&[-1f32, 1.0], &Device::Cpu)?.reshape((2, 1, 1, 1))?;
        let images = noise.broadcast_add(&brightness)?;
        let out = network.forward((&images).into(), Mode::Train)?;
        let loss = log_softmax(&out.outputs, 1)?
            .mul(&labels)?
            .sum_all()?
            .neg()?;
        adam.step(&loss.backward()?)?;
        if step % 10 == 9 {
            println!("step {step}: loss {:.4}", loss.to_scalar::<f32>()?);
        }
    }
    Ok(())
}
