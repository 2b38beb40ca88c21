//! Two hospitals train, a third one is where the model goes: plain training leans on a cue that
//! holds in both and turns around in the third; IRM and V-REx lean on the finding.
//!
//! Run with `cargo run -p ctl-invariance --example two_sites`.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use candle_core::{Device, Tensor};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::stream;
use ctl_invariance::methods::{erm, irm, v_rex};
use ctl_invariance::{BinaryLogistic, EnvironmentOutputs, Objective, Result, Step};
use ctl_nets::{Mlp, MlpSpec, Mode, Network};
use rand::RngExt;

const PATIENTS: usize = 1000;
const STEPS: u64 = 400;
const ANNEAL_STEPS: u64 = 100;
const PENALTY_WEIGHT: f64 = 100.0;
/// How often the finding tells the disease, everywhere.
const FINDING_AGREES: f64 = 0.75;

/// Finding and cue as an image of two pixels, and the disease; `cue_agrees` is the site's own.
fn site(name: &str, cue_agrees: f64) -> Result<[Tensor; 2]> {
    let mut rng = stream(0, "two sites", name);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..PATIENTS {
        let disease = f32::from(rng.random_bool(0.5));
        for agrees in [FINDING_AGREES, cue_agrees] {
            let shown = if rng.random_bool(agrees) {
                disease
            } else {
                1.0 - disease
            };
            images.push(2.0 * shown - 1.0);
        }
        labels.push(disease);
    }
    let images = Tensor::from_vec(images, (PATIENTS, 1, 1, 2), &Device::Cpu)?;
    Ok([
        images,
        Tensor::from_vec(labels, (PATIENTS, 1), &Device::Cpu)?,
    ])
}

fn train(objective: &mut dyn Objective, sites: &[[Tensor; 2]]) -> Result<Mlp> {
    let spec = MlpSpec {
        inputs: 2,
        hidden: 16,
        outputs: 1,
    };
    let network = Mlp::new(spec, 0, "two sites")?;
    let params = AdamParams {
        learning_rate: 1e-2,
        ..AdamParams::default()
    };
    let mut adam = Adam::new(network.parameters().trained(), params)?;
    for number in 0..STEPS {
        let mut environments = Vec::new();
        for (index, [images, labels]) in sites.iter().enumerate() {
            let out = network.forward(images.into(), Mode::Train)?;
            let labels = labels.clone();
            environments.push(EnvironmentOutputs::labelled(
                index,
                out.features,
                out.outputs,
                labels,
            ));
        }
        if objective.resets_optimiser_before(number) {
            adam.reset();
        }
        let step = Step {
            number,
            environments: &environments,
            loss: &BinaryLogistic,
        };
        adam.step(&objective.evaluate(&step)?.total.backward()?)?;
    }
    Ok(network)
}

fn accuracy(network: &Mlp, [images, labels]: &[Tensor; 2]) -> Result<f32> {
    let positive = network
        .forward(images.into(), Mode::Evaluate)?
        .outputs
        .gt(0f32)?;
    let right = positive.to_dtype(labels.dtype())?.eq(labels)?;
    Ok(right.to_dtype(labels.dtype())?.mean_all()?.to_scalar()?)
}

fn main() -> Result<()> {
    let sources = [site("aarhus", 0.9)?, site("beirut", 0.8)?];
    let target = site("cusco", 0.1)?;
    let irm = irm::IrmConfig {
        penalty_weight: PENALTY_WEIGHT,
        anneal_steps: ANNEAL_STEPS,
        penalty: irm::PenaltyForm::Paper,
        ..irm::IrmConfig::default()
    };
    let v_rex = v_rex::VRexConfig {
        penalty_weight: PENALTY_WEIGHT,
        anneal_steps: ANNEAL_STEPS,
        ..v_rex::VRexConfig::default()
    };
    let methods: [(&str, Box<dyn Objective>); 3] = [
        ("erm", Box::new(erm::Erm::default())),
        ("irm", Box::new(irm::Irm::new(irm))),
        ("v-rex", Box::new(v_rex::VRex::new(v_rex))),
    ];
    println!("method  aarhus  beirut  cusco (target)");
    for (name, mut objective) in methods {
        let network = train(objective.as_mut(), &sources)?;
        let [first, second] = [
            accuracy(&network, &sources[0])?,
            accuracy(&network, &sources[1])?,
        ];
        let target = accuracy(&network, &target)?;
        println!("{name:6}  {first:6.3}  {second:6.3}  {target:6.3}");
    }
    Ok(())
}
