//! A counterfactual: the same patient, imaged after the ventricles had grown as they do by 80.
//!
//! Run with `cargo run -p ctl-graph --example counterfactual`.

use std::io::Write;

use ctl_graph::Diagram;
use ctl_graph::model::{
    Basis, Formula, ImportanceSampling, Intervention, Mechanism, ModelError, Noise, Scm,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let diagram = Diagram::parse("age -> brain; age -> ventricles; brain -> ventricles")?;
    let [age, brain, ventricles] = ["age", "brain", "ventricles"].map(|name| diagram.node(name));
    let (age, brain, ventricles) = (age?, brain?, ventricles?);
    // Ages in decades, volumes in decilitres; the spread of the ventricles grows with age.
    let brain_volume = Formula::constant(12.0).plus(age, Basis::Hinge(4.0), -0.4);
    let ventricle_volume = Formula::constant(1.5).plus(brain, Basis::Identity, -0.1);
    let spread = Formula::constant(-3.0).plus(age, Basis::Identity, 0.2);
    let model = Scm::builder(diagram)
        .node(age, Mechanism::linear(6.0, &[]), Noise::normal(1.0))
        .node(brain, Mechanism::Additive(brain_volume), Noise::normal(0.8))
        .node(
            ventricles,
            Mechanism::LocationScale {
                location: ventricle_volume,
                log_scale: spread,
            },
            Noise::STANDARD,
        )
        .build()?;

    let mut out = std::io::stdout().lock();
    let patient = [(age, 6.0), (brain, 11.0), (ventricles, 0.5)];
    let at_80 = [(age, Intervention::Set(8.0))];
    let noises = model.abduct(&patient)?;
    writeln!(out, "noise of this patient: {noises:.3?}")?;
    let other = model.counterfactual(&patient, &at_80)?;
    writeln!(
        out,
        "at 80: brain {:.2} dl, ventricles {:.2} dl",
        other[1], other[2]
    )?;

    // Without the brain's volume the noise does not follow exactly; weighted samples answer.
    let seen = [(age, 6.0), (ventricles, 0.5)];
    let outcome = model.counterfactual(&seen, &at_80);
    assert!(matches!(outcome, Err(ModelError::Unobserved { .. })));
    let likely = model.importance(&seen, &at_80, &ImportanceSampling::default())?;
    writeln!(
        out,
        "brain not measured: ventricles {:.2} dl ({:.0} effective samples)",
        likely.mean(ventricles),
        likely.effective_sample_size()
    )?;
    Ok(())
}
