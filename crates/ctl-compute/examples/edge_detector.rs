//! Learns Sobel's horizontal edge filter from images and its answers on them.
//!
//! Run with `cargo run -p ctl-compute --example edge_detector`.

use std::io::Write;

use candle_core::{Device, Tensor, Var};
use ctl_compute::ops::{Activation, ConvOptions, conv2d};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::{normal, stream};

const SOBEL: [f32; 9] = [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
const STEPS: usize = 200;
const BATCH: usize = 8;
const SIDE: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = |weight: &Tensor, images: &Tensor| {
        let options = ConvOptions::default();
        conv2d(images, weight, None, Activation::Identity, &options)
    };
    let teacher = Tensor::from_slice(&SOBEL, (1, 1, 3, 3), &Device::Cpu)?;
    let start = normal(&mut stream(0, "example", "weights"), (1, 1, 3, 3), 0.0, 0.1)?;
    let learnt = Var::from_tensor(&start)?;
    let params = AdamParams {
        learning_rate: 0.05,
        ..AdamParams::default()
    };
    let mut optimiser = Adam::new(vec![learnt.clone()], params)?;
    let mut images = stream(0, "example", "images");
    let mut out = std::io::stdout().lock();
    for step in 0..STEPS {
        let batch = normal(&mut images, (BATCH, SIDE, SIDE, 1), 0.0, 1.0)?;
        let error = (filter(learnt.as_tensor(), &batch)? - filter(&teacher, &batch)?)?;
        let loss = error.sqr()?.mean_all()?;
        optimiser.step(&loss.backward()?)?;
        if step % 50 == 0 || step + 1 == STEPS {
            writeln!(out, "step {step}: loss {:.6}", loss.to_scalar::<f32>()?)?;
        }
    }
    let found = learnt.flatten_all()?.to_vec1::<f32>()?;
    let far = found.iter().zip(SOBEL).map(|(a, b)| (a - b).abs());
    let far = far.fold(0.0, f32::max);
    writeln!(out, "largest difference from Sobel's filter: {far:.4}")?;
    if far > 0.05 {
        return Err("the filter was not found".into());
    }
    Ok(())
}
