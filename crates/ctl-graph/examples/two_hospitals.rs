//! A trial in one hospital, records in another: the trial's effect, carried over to the other
//! hospital's patients, and evaluated on both hospitals' rows.

use ctl_graph::Diagram;
use ctl_graph::estimand::{Distributions, Domain, Factor};
use ctl_graph::identification::Query;
use ctl_graph::transport::{Experiments, Population, SelectionDiagram, transport};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 200_000;

/// Share of old patients in the trial and at the clinic.
const OLD: [f64; 2] = [0.2, 0.7];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let diagram = Diagram::parse(
        "age -> contrast; age -> finding; contrast -> finding; contrast <-> finding",
    )?;
    let [age, contrast, finding] = ["age", "contrast", "finding"].map(|name| diagram.node(name));
    let (age, contrast, finding) = (age?, contrast?, finding?);
    let query = Query::of(&finding.into()).under(&contrast.into());

    // The clinic alone cannot answer: whoever gets contrast differs in what nobody recorded.
    let clinic = SelectionDiagram::new(diagram.clone());
    assert_eq!(
        clinic.explain(&query, &transport(&clinic, &query)?),
        "P*(finding | do(contrast)) is not transportable: no population yields the mechanism of \
         finding: in the target, {contrast, finding} and {finding} form a hedge: hidden common \
         causes join them, and observing {contrast, finding} does not tell how {finding} behaves \
         under intervention on {contrast}"
    );

    let trial = Population::new("trial")
        .differing_in(&age.into())
        .offering(Experiments::SubsetsOf(contrast.into()));
    let selection = clinic.with_source(trial)?;
    let answer = transport(&selection, &query)?;
    assert_eq!(
        selection.explain(&query, &answer),
        "P*(finding | do(contrast)) is transportable: it equals \
         sum_{age} P*(age) P^trial(finding | do(contrast), age)"
    );

    let mut known = Distributions::new(&diagram);
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (hospital, domain) in [Domain::Source(0), Domain::Target].into_iter().enumerate() {
        let randomised = domain == Domain::Source(0);
        let rows = records(&mut random, OLD[hospital], randomised);
        let columns = rows.each_ref().map(Vec::as_slice);
        let table = Factor::from_samples(&[age, contrast, finding], &[2; 3], &columns, 0.0)?;
        let set = if randomised {
            contrast.into()
        } else {
            ctl_graph::NodeSet::new()
        };
        known.insert_frequencies(domain, &set, &table)?;
    }
    let estimand = answer.estimand().ok_or("expected a formula")?;
    let effect = estimand.evaluate_over(&query.variables(), &known)?;
    for given in [0, 1] {
        let found = effect.value(&[(contrast, given), (finding, 1)]);
        let truth = (1.0 - OLD[1]) * chance(0, given) + OLD[1] * chance(1, given);
        assert!(found.is_some_and(|found| (found - truth).abs() < 0.01));
        // What the trial saw in its own, younger patients is far off.
        let in_trial = (1.0 - OLD[0]) * chance(0, given) + OLD[0] * chance(1, given);
        assert!((in_trial - truth).abs() > 0.05);
    }
    Ok(())
}

/// The chance of a finding, the hidden severity averaged over.
fn chance(age: usize, contrast: usize) -> f64 {
    (0..2)
        .map(|severity| 0.5 * chance_given(age, contrast, severity))
        .sum()
}

fn chance_given(age: usize, contrast: usize, severity: usize) -> f64 {
    let part = |weight: f64, state: usize| weight * if state == 1 { 1.0 } else { 0.0 };
    0.1 + part(0.3, age) + part(0.2, contrast * age) + part(0.35, severity)
}

/// Columns of age, contrast and finding; without randomisation the severe cases get contrast.
fn records(random: &mut ChaCha8Rng, old: f64, randomised: bool) -> [Vec<usize>; 3] {
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROWS {
        let age = usize::from(random.random_bool(old));
        let severity = usize::from(random.random_bool(0.5));
        let usual = [0.2, 0.8][severity];
        let contrast = usize::from(random.random_bool(if randomised { 0.5 } else { usual }));
        let finding = usize::from(random.random_bool(chance_given(age, contrast, severity)));
        for (column, value) in columns.iter_mut().zip([age, contrast, finding]) {
            column.push(value);
        }
    }
    columns
}
