use rstest::rstest;

use super::*;
use crate::{Diagram, GraphError, NodeId, NodeSet};

fn node(index: usize) -> NodeId {
    NodeId::new(index)
}

fn set(indices: &[usize]) -> NodeSet {
    indices.iter().map(|&index| node(index)).collect()
}

fn diagram() -> Diagram {
    Diagram::parse("A -> B -> C -> D").unwrap()
}

/// P(a, b) over two binary variables.
fn pair(values: [f64; 4]) -> Distributions {
    let joint = Factor::new(&[node(0), node(1)], &[2, 2], values.to_vec()).unwrap();
    Distributions::observational(&diagram(), joint).unwrap()
}

fn p(outcome: &[usize], given: &[usize]) -> Estimand {
    Probability::of(&set(outcome)).given(&set(given)).into()
}

#[rstest]
#[case(&[2], &[2, 2], 4, EstimandError::Shape { subject: "cards", expected: 1, found: 2 })]
#[case(&[0, 0], &[2, 2], 4, EstimandError::RepeatedAxis { index: 0 })]
#[case(&[0, 1], &[2, 2], 3, EstimandError::Shape { subject: "values", expected: 4, found: 3 })]
#[case(&[0], &[0], 0, EstimandError::Shape { subject: "states", expected: 1, found: 0 })]
#[case(&[0, 1], &[usize::MAX, 2], 0, EstimandError::TooLarge { limit: 1 << 26 })]
fn ill_shaped_tables_are_errors(
    #[case] axes: &[usize],
    #[case] cards: &[usize],
    #[case] cells: usize,
    #[case] expected: EstimandError,
) {
    let axes: Vec<NodeId> = axes.iter().map(|&index| node(index)).collect();
    assert_eq!(Factor::new(&axes, cards, vec![0.5; cells]), Err(expected));
}

#[rstest]
#[case(f64::NAN)]
#[case(f64::INFINITY)]
#[case(-0.1)]
fn values_that_are_no_probabilities_are_errors(#[case] value: f64) {
    let found = Factor::new(&[node(0)], &[2], vec![0.5, value]);
    assert!(matches!(
        found,
        Err(EstimandError::InvalidValue { index: 1, .. })
    ));
}

#[test]
fn a_table_file_is_checked() {
    let read = |text: &str| serde_json::from_str::<Factor>(text);
    let table = read(r#"{"axes": [1, 0], "cards": [3, 2], "values": [1, 2, 3, 4, 5, 6]}"#).unwrap();
    assert_eq!(table.values(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(read(&text).unwrap(), table);
    assert!(read(r#"{"axes": [0], "cards": [3], "values": [1, 2]}"#).is_err());
    assert!(read(r#"{"axes": [0], "cards": [1], "values": [1], "extra": 0}"#).is_err());
}

#[test]
fn samples_out_of_range_are_errors() {
    let axes = [node(0), node(1)];
    let count = |columns: &[&[usize]]| Factor::from_samples(&axes, &[2, 2], columns, 0.0);
    assert!(matches!(
        count(&[&[0, 1], &[0, 2]]),
        Err(EstimandError::InvalidState {
            node: 1,
            expected: 2,
            found: 2
        })
    ));
    assert!(matches!(
        count(&[&[0, 1], &[0]]),
        Err(EstimandError::Shape {
            subject: "rows",
            ..
        })
    ));
    assert!(matches!(
        count(&[&[], &[]]),
        Err(EstimandError::Shape {
            subject: "rows",
            ..
        })
    ));
    assert!(matches!(
        count(&[&[0]]),
        Err(EstimandError::Shape {
            subject: "columns",
            ..
        })
    ));
    let smoothed = Factor::from_samples(&axes, &[2, 2], &[&[0], &[1]], 0.25).unwrap();
    assert_eq!(smoothed.values(), [0.125, 0.625, 0.125, 0.125]);
}

#[test]
fn slices_and_sums_keep_the_other_axes_in_place() {
    let values = (0..24).map(f64::from).collect();
    let table = Factor::new(&[node(0), node(1), node(2)], &[2, 3, 4], values).unwrap();
    let slice = table.at(&[(node(1), 2), (node(9), 0)]).unwrap();
    assert_eq!(
        slice.values(),
        [8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0]
    );
    assert_eq!(table.sum_out(&set(&[0, 2])).values(), [60.0, 92.0, 124.0]);
    assert!(matches!(
        table.at(&[(node(1), 3)]),
        Err(EstimandError::InvalidState { .. })
    ));
    assert_eq!(
        table.in_order(&[node(2), node(0), node(1)]).unwrap()[3..7],
        [12.0, 16.0, 20.0, 1.0]
    );
    assert!(table.in_order(&[node(2), node(0)]).is_err());
    assert_eq!(
        table.value(&[(node(2), 3), (node(0), 1), (node(1), 0)]),
        Some(15.0)
    );
    assert_eq!(table.value(&[(node(0), 1)]), None);
}

#[test]
fn conditioning_on_what_does_not_occur_is_an_error() {
    let known = pair([0.0, 0.0, 0.25, 0.75]);
    let found = p(&[1], &[0]).evaluate(&known);
    let event = "A=0".to_owned();
    assert_eq!(found, Err(EstimandError::ZeroProbability { event }));
    // The state that does occur has its answer, and a stratum that does not occur has no weight.
    assert_eq!(
        p(&[1], &[0])
            .fix(node(0), 1)
            .evaluate(&known)
            .unwrap()
            .values(),
        [0.25, 0.75]
    );
    let adjusted = Estimand::sum(
        &set(&[0]),
        Estimand::Product(vec![p(&[1], &[0]).into(), p(&[0], &[]).into()]),
    );
    assert_eq!(adjusted.evaluate(&known).unwrap().values(), [0.25, 0.75]);
}

#[test]
fn a_free_variable_without_influence_takes_a_state_that_occurs() {
    let known = pair([0.0, 0.0, 0.25, 0.75]);
    let found = p(&[1], &[0]).evaluate_over(&set(&[1]), &known).unwrap();
    assert_eq!(found.values(), [0.25, 0.75]);
    let spread = p(&[0], &[]).evaluate_over(&set(&[0, 1]), &known).unwrap();
    assert_eq!(spread.values(), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn missing_tables_axes_and_sizes_are_errors() {
    let known = pair([0.25; 4]);
    let text = |estimand: &Estimand| estimand.evaluate(&known).unwrap_err().to_string();
    assert_eq!(
        text(&p(&[2], &[0])),
        "target distribution: has no variable C"
    );
    let trial = Probability::of(&set(&[1]))
        .under(&set(&[0]))
        .in_domain(Domain::Source(1));
    assert_eq!(
        text(&trial.into()),
        "distribution of source 2 under do(A): not among the given distributions"
    );
    let spread = p(&[0], &[])
        .evaluate_over(&set(&[0, 3]), &known)
        .unwrap_err();
    assert_eq!(
        spread,
        EstimandError::UnknownCardinality {
            node: "D".to_owned()
        }
    );
}

#[test]
fn distributions_must_sum_to_one_and_agree() {
    let mut known = pair([0.25; 4]);
    let none = NodeSet::new();
    let table = |cards: &[usize], values: Vec<f64>| {
        let axes: Vec<NodeId> = (0..cards.len()).map(node).collect();
        Factor::new(&axes, cards, values).unwrap()
    };
    let mut insert = |set: &NodeSet, table| known.insert(Domain::Target, set, table).unwrap_err();
    assert_eq!(
        insert(&none, table(&[2, 2], vec![0.3; 4])).to_string(),
        "target distribution: expected a sum of 1, found 1.2"
    );
    assert!(matches!(
        insert(&none, table(&[3], vec![1.0, 0.0, 0.0])),
        EstimandError::Cardinality {
            expected: 2,
            found: 3,
            ..
        }
    ));
    assert!(matches!(
        insert(&set(&[2]), table(&[2], vec![0.5; 2])),
        EstimandError::Unmeasured { .. }
    ));
}

#[test]
fn constructors_drop_what_cancels() {
    assert_eq!(
        Estimand::product([p(&[], &[]), Estimand::One]),
        Estimand::One
    );
    assert_eq!(
        Estimand::product([p(&[0], &[]), Estimand::Zero]),
        Estimand::Zero
    );
    assert_eq!(
        Estimand::sum(&set(&[0, 1]), p(&[0, 1], &[2])),
        Estimand::One
    );
    assert_eq!(
        Estimand::fraction(p(&[0, 1], &[2]), p(&[1], &[2])),
        p(&[0], &[1, 2])
    );
    assert_eq!(
        Estimand::fraction(p(&[0], &[]), p(&[0], &[])),
        Estimand::One
    );
    // Another experiment does not cancel.
    let other: Estimand = Probability::of(&set(&[1])).under(&set(&[3])).into();
    let ratio = Estimand::fraction(p(&[0, 1], &[]), other);
    assert!(matches!(ratio, Estimand::Fraction { .. }));
}

#[rstest]
// Chains merge, and the sum over their first link goes.
#[case(
    Estimand::sum(&set(&[1]), Estimand::product([p(&[0], &[1, 2]), p(&[1], &[2])])),
    "P(A | C)"
)]
// A factor without the summed variable leaves the sum.
#[case(
    Estimand::sum(&set(&[0]), Estimand::product([p(&[2], &[]), p(&[0], &[]), p(&[1], &[0, 2])])),
    "P(C) sum_{A} P(A) P(B | A, C)"
)]
// Fractions of fractions resolve and cancel.
#[case(
    Estimand::fraction(
        Estimand::fraction(p(&[0, 1], &[]), p(&[2], &[3])),
        Estimand::fraction(p(&[1], &[]), p(&[2], &[3])),
    ),
    "P(A | B)"
)]
// A summed variable that hides another gets a prime.
#[case(
    Estimand::product([
        p(&[1], &[0]),
        Estimand::sum(&set(&[0]), Estimand::product([p(&[0], &[]), p(&[2], &[0, 1])])),
    ]),
    "P(B | A) sum_{A'} P(A') P(C | A', B)"
)]
#[case(
    Estimand::sum(&set(&[0]), Estimand::product([p(&[0], &[]).fix(node(0), 1), p(&[1], &[0])])),
    "P(A=1) sum_{A} P(B | A)"
)]
fn simplified_formulas_read_well(#[case] estimand: Estimand, #[case] expected: &str) {
    assert_eq!(
        estimand.simplified().display(&diagram()).to_string(),
        expected
    );
}

#[test]
fn latex_escapes_names_and_sets_fractions() -> Result<(), GraphError> {
    let diagram = Diagram::parse("site_1 -> Y")?;
    let mass = Estimand::sum(
        &set(&[0]),
        Estimand::product([
            p(&[0], &[]),
            Probability::of(&set(&[1]))
                .under(&set(&[0]))
                .in_domain(Domain::Source(0))
                .into(),
        ]),
    );
    let estimand = Estimand::fraction(mass, p(&[0], &[]));
    assert_eq!(
        estimand.latex(&diagram).to_string(),
        r"\frac{\sum_{\mathrm{site\_1}'} P(\mathrm{site\_1}')\, P^{1}(Y \mid \mathrm{do}(\mathrm{site\_1}'))}{P(\mathrm{site\_1})}"
    );
    Ok(())
}

#[test]
fn estimands_survive_serialisation() {
    let estimand = Estimand::fraction(
        Estimand::sum(
            &set(&[0]),
            Estimand::product([p(&[0], &[]), p(&[1], &[0, 2])]),
        ),
        p(&[2], &[]).fix(node(2), 1),
    );
    let text = serde_json::to_string(&estimand).unwrap();
    assert_eq!(serde_json::from_str::<Estimand>(&text).unwrap(), estimand);
}
