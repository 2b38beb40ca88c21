//! The napkin: no adjustment set exists, and yet the effect follows from observation, as a ratio.

use ctl_graph::estimand::{Distributions, Factor};
use ctl_graph::identification::{Query, identify};
use ctl_graph::{Diagram, NodeId, adjustment::Adjustment};

/// P(hidden cause of protocol and dose), P(hidden cause of protocol and reading): fair coins.
const COIN: f64 = 0.5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let diagram = Diagram::parse(
        "protocol -> scanner -> dose -> reading; protocol <-> dose; protocol <-> reading",
    )?;
    let nodes: Vec<NodeId> = diagram.ids().collect();
    let [_, _, dose, reading] = nodes[..] else {
        unreachable!("the diagram names four nodes")
    };
    let adjustment = Adjustment::new(&diagram, &dose.into(), &reading.into())?;
    assert_eq!(adjustment.one_minimal(), None);

    let query = Query::of(&reading.into()).under(&dose.into());
    let answer = identify(&diagram, &query)?;
    let formula = answer.estimand().ok_or("expected a formula")?.simplified();
    assert_eq!(
        formula.display(&diagram).to_string(),
        "[sum_{protocol} P(protocol) P(dose, reading | protocol, scanner)] / \
         [sum_{protocol} P(protocol) P(dose | protocol, scanner)]"
    );
    assert_eq!(
        formula.latex(&diagram).to_string().matches(r"\sum").count(),
        2
    );

    // Only what is observed goes in; the truth is known from the model that the data come from.
    let joint = Factor::new(&nodes, &[2; 4], observed())?;
    let known = Distributions::observational(&diagram, joint)?;
    let effect = formula.evaluate_over(&query.variables(), &known)?;
    for set in [0, 1] {
        let found = effect.value(&[(dose, set), (reading, 1)]);
        let truth = COIN * chance_of_reading(set, 0) + COIN * chance_of_reading(set, 1);
        assert!(found.is_some_and(|found| (found - truth).abs() < 1e-12));
    }
    Ok(())
}

fn chance_of_reading(dose: usize, cause: usize) -> f64 {
    [[0.1, 0.5], [0.4, 0.9]][dose][cause]
}

/// P(protocol, scanner, dose, reading), the hidden causes summed out.
fn observed() -> Vec<f64> {
    let chance = |p: f64, state: usize| if state == 1 { p } else { 1.0 - p };
    let mut joint = vec![0.0; 16];
    for (cell, sum) in joint.iter_mut().enumerate() {
        let [protocol, scanner, dose, reading] = [3, 2, 1, 0].map(|bit| cell >> bit & 1);
        for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            *sum += COIN
                * COIN
                * chance([[0.2, 0.6], [0.5, 0.9]][a][b], protocol)
                * chance([0.3, 0.8][protocol], scanner)
                * chance([[0.15, 0.7], [0.4, 0.85]][scanner][a], dose)
                * chance(chance_of_reading(dose, b), reading);
        }
    }
    joint
}
