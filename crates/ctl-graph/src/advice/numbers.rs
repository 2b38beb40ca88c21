//! Advice checked by number: random models of a study, in which sources and target are computed
//! exactly, must have the invariances and the exact corrections that were derived by separation,
//! and lack those that were denied.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cases::{all_studies, templates};
use super::situation::Situation;
use super::*;
use crate::graph::{Diagram, ShiftKind};
use crate::model::{BayesianNetwork, ConditionalTable, Query};
use crate::transport::reuse;

/// Models per study; what is denied must fail in at least one of them.
const MODELS: u64 = 3;
const EXACT: f64 = 1e-10;
/// Differences below this would not tell a violation from rounding.
const REAL: f64 = 1e-8;

/// A joint distribution over the study's nodes.
struct Joint {
    axes: Vec<NodeId>,
    cards: Vec<usize>,
    values: Vec<f64>,
}

impl Joint {
    fn states(&self, cell: usize, of: &[NodeId]) -> usize {
        of.iter().fold(0, |index, node| {
            let axis = self.axes.iter().position(|axis| axis == node).unwrap();
            let stride: usize = self.cards[axis + 1..].iter().product();
            index * self.cards[axis] + cell / stride % self.cards[axis]
        })
    }

    fn card(&self, of: &[NodeId]) -> usize {
        let axis = |node| self.axes.iter().position(|axis| axis == node).unwrap();
        of.iter().map(|node| self.cards[axis(node)]).product()
    }

    fn marginal(&self, of: &[NodeId]) -> Vec<f64> {
        let mut sums = vec![0.0; self.card(of)];
        for (cell, value) in self.values.iter().enumerate() {
            sums[self.states(cell, of)] += value;
        }
        sums
    }

    /// `P(of | given)`, one row per state of the given.
    fn conditional(&self, of: NodeId, given: &[NodeId]) -> Vec<f64> {
        let all: Vec<NodeId> = given.iter().copied().chain([of]).collect();
        let mut rows = self.marginal(&all);
        for row in rows.chunks_exact_mut(self.card(&[of])) {
            let sum: f64 = row.iter().sum();
            for value in row {
                *value /= sum;
            }
        }
        rows
    }

    /// The same cells with other weights, which need not sum to 1.
    fn weighted(&self, weight: impl Fn(usize) -> f64) -> Self {
        let weigh = |(cell, value): (usize, &f64)| value * weight(cell);
        let values: Vec<f64> = self.values.iter().enumerate().map(weigh).collect();
        let sum: f64 = values.iter().sum();
        Self {
            axes: self.axes.clone(),
            cards: self.cards.clone(),
            values: values.iter().map(|value| value / sum).collect(),
        }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

/// A study's derived facts, and a random model that fits its selection diagram.
struct Study {
    situation: Situation,
    advice: Advice,
    network: BayesianNetwork,
    source: Joint,
    target: Joint,
}

impl Study {
    fn new(file: &DiagramFile, seed: u64) -> Self {
        let situation = Situation::derive(file).unwrap();
        let network = random_network(&situation, seed);
        let domain = &situation.diagram.domain;
        let selection = &situation.diagram.selection;
        let shifted = |state| {
            let nodes = domain.difference(selection);
            let nodes: Vec<_> = nodes.iter().map(|node| (node, state)).collect();
            nodes
        };
        let mut entered = shifted(0);
        entered.extend(selection.iter().map(|node| (node, 1)));
        Self {
            source: joint(&network, &situation, &entered),
            target: joint(&network, &situation, &shifted(1)),
            advice: advise(file).unwrap(),
            network,
            situation,
        }
    }

    fn pair(&self) -> (NodeId, NodeId) {
        (self.situation.image(), self.situation.label())
    }

    fn rule(&self, joint: &Joint) -> Vec<f64> {
        let (image, label) = self.pair();
        joint.conditional(label, &[image])
    }

    /// Weighting the source so that some nodes are distributed as in the target must do the same
    /// for others.
    fn assert_weighted(&self, by: &[NodeId], others: &[NodeId]) {
        let (new, old) = (self.target.marginal(by), self.source.marginal(by));
        let state = |cell| self.source.states(cell, by);
        let weighted = self
            .source
            .weighted(|cell| new[state(cell)] / old[state(cell)]);
        assert!(distance(&weighted.marginal(others), &self.target.marginal(others)) < EXACT);
    }

    fn is(&self, id: &str, verdict: Verdict) -> bool {
        self.advice.remedy(id).unwrap().verdict == verdict
    }
}

/// Tables for every node, with a latent parent for each bidirected edge; entries stay off 0.
fn random_network(situation: &Situation, seed: u64) -> BayesianNetwork {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = &situation.diagram.diagram;
    let mut builder = Diagram::builder();
    for node in drawn.ids() {
        builder = builder.node(drawn.name(node)).unwrap();
    }
    for (from, to) in drawn.directed_edges() {
        builder = builder.directed(drawn.name(from), drawn.name(to)).unwrap();
    }
    for (place, (a, b)) in drawn.bidirected_edges().enumerate() {
        let latent = format!("latent {place}");
        builder = builder.node(&latent).unwrap();
        for end in [a, b] {
            builder = builder.directed(&latent, drawn.name(end)).unwrap();
        }
    }
    let diagram = builder.build().unwrap();
    // More images than labels, so that images can tell every distribution of labels apart.
    let card = |node: NodeId| 2 + usize::from(node == situation.image());
    let mut table = |node: NodeId| {
        let parents: Vec<NodeId> = diagram.parents(node).iter().collect();
        let rows: usize = parents.iter().map(|&parent| card(parent)).product();
        let mut values = Vec::new();
        for _ in 0..rows {
            let row: Vec<f64> = (0..card(node))
                .map(|_| rng.random_range(0.1..1.0))
                .collect();
            let sum: f64 = row.iter().sum();
            values.extend(row.iter().map(|value| value / sum));
        }
        ConditionalTable { parents, values }
    };
    let tables = diagram.ids().map(&mut table).collect();
    let cards = diagram.ids().map(card).collect();
    BayesianNetwork::new(diagram, cards, tables).unwrap()
}

fn joint(network: &BayesianNetwork, situation: &Situation, seen: &[(NodeId, usize)]) -> Joint {
    let axes: Vec<NodeId> = situation.diagram.drawn.iter().collect();
    let query = Query::joint(&axes);
    let query = seen
        .iter()
        .fold(query, |query, &(node, state)| query.given(node, state));
    let cards = axes
        .iter()
        .map(|axis| network.cardinalities()[axis.index()])
        .collect();
    let values = network.query(&query).unwrap().values;
    Joint {
        axes,
        cards,
        values,
    }
}

/// Runs a check over random models of the studies in which a remedy is licensed.
#[track_caller]
fn where_licensed(remedy: &str, check: impl Fn(&Study)) {
    let mut checked = 0;
    for (place, file) in all_studies().iter().enumerate() {
        let study = Study::new(file, place as u64);
        if study.is(remedy, Verdict::Licensed) {
            check(&study);
            checked += 1;
        }
    }
    assert!(checked > 0, "{remedy} is nowhere licensed");
}

#[test]
fn conditionals_are_the_same_or_differ_as_derived() {
    for (place, file) in all_studies().iter().enumerate() {
        let models: Vec<Study> = (0..MODELS)
            .map(|model| Study::new(file, 1000 * model + place as u64))
            .collect();
        for conditional in &models[0].advice.conditionals {
            let gap = |study: &Study| {
                let diagram = &study.situation.diagram.diagram;
                let variable = diagram.node(&conditional.variable).unwrap();
                let given: Vec<NodeId> = diagram.set(&conditional.given).unwrap().iter().collect();
                distance(
                    &study.source.conditional(variable, &given),
                    &study.target.conditional(variable, &given),
                )
            };
            let largest = models.iter().map(gap).fold(0.0, f64::max);
            let text = || format!("{} in {}", conditional.text(), file.to_toml());
            if conditional.invariant {
                assert!(largest < EXACT, "{}: {largest}", text());
            } else {
                assert!(largest > REAL, "{}: {largest}", text());
            }
        }
    }
}

/// Two sources that each differ in another mechanism, and both in a third.
const TWO_SOURCES: &str = "schema = 1
edges = 'age -> disease -> sign -> film; scanner -> film; age -> film'
nodes = {film = {role = 'image'}, disease = {role = 'label'}, scanner = {role = 'acquisition'}}
[[shift]]
kind = 'acquisition'
nodes = ['scanner']
source = 'oslo'
[[shift]]
kind = 'population'
nodes = ['age']
source = 'pune'
[[shift]]
kind = 'manifestation'
nodes = ['sign']";

#[test]
fn each_source_offers_what_it_has_in_common_with_the_target() {
    let file = DiagramFile::parse(TWO_SOURCES).unwrap();
    for seed in 0..MODELS {
        let study = Study::new(&file, seed);
        let diagram = &study.situation.diagram;
        for (name, concerning) in &diagram.sources {
            let shifted = |node: NodeId| (node, usize::from(!concerning.contains(node)));
            let seen: Vec<_> = diagram.domain.iter().map(shifted).collect();
            let source = joint(&study.network, &study.situation, &seen);
            for conditional in &study.advice.conditionals {
                let variable = diagram.diagram.node(&conditional.variable).unwrap();
                let given = diagram.diagram.set(&conditional.given).unwrap();
                let given: Vec<NodeId> = given.iter().collect();
                let gap = distance(
                    &source.conditional(variable, &given),
                    &study.target.conditional(variable, &given),
                );
                let text = conditional.text();
                assert_eq!(
                    gap < EXACT,
                    conditional.sources.contains(name),
                    "{name}: {text}"
                );
            }
        }
    }
}

#[test]
fn transport_reuses_the_same_conditionals() {
    for file in templates() {
        let advice = advise(&file).unwrap();
        let selected = file.shifts().iter().any(|s| s.kind == ShiftKind::Selection);
        let is_foreign = |c: &Conditional| file.diagram().node(&c.variable).is_err();
        // Selected data are another question, and content is a node of the advice's own.
        if selected || advice.conditionals.iter().any(is_foreign) {
            continue;
        }
        let differing = advice.shifts.iter().flat_map(|shift| shift.nodes.clone());
        let diagram = file.diagram();
        let differing = diagram.set(&differing.collect::<Vec<_>>()).unwrap();
        for conditional in &advice.conditionals {
            let of = diagram
                .set(std::slice::from_ref(&conditional.variable))
                .unwrap();
            let given = diagram.set(&conditional.given).unwrap();
            let found = reuse(diagram, &differing, &of, &given).unwrap();
            assert_eq!(
                found.is_invariant(),
                conditional.invariant,
                "{}",
                conditional.text()
            );
            assert_eq!(conditional.moved_by.is_empty(), conditional.invariant);
        }
    }
}

#[test]
fn plain_training_learns_the_rule_of_the_target() {
    where_licensed("plain-training", |study| {
        assert!(distance(&study.rule(&study.source), &study.rule(&study.target)) < EXACT);
    });
}

#[test]
fn density_ratios_turn_the_source_into_the_target() {
    where_licensed("density-ratio-weighting", |study| {
        let (image, label) = study.pair();
        study.assert_weighted(&[image], &[image, label]);
    });
}

/// The distribution of labels within each stratum that makes the strata's images likely,
/// found as black-box shift estimation finds it: from one 2 × 2 system per stratum.
fn estimated_labels(study: &Study, strata: &[NodeId]) -> Vec<f64> {
    let (image, label) = study.pair();
    let mut by_label = strata.to_vec();
    by_label.push(label);
    let shown = study.source.conditional(image, &by_label);
    let seen = study.target.conditional(image, strata);
    let mut labels = Vec::new();
    for (rows, seen) in shown.chunks_exact(6).zip(seen.chunks_exact(3)) {
        // Σ_y P(x | y) q(y) = P*(x) with q = (1 − t, t), at the image that tells most.
        let gap = |x: &usize| (rows[3 + x] - rows[*x]).abs();
        let x = (0..3).max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap();
        let t = (seen[x] - rows[x]) / (rows[3 + x] - rows[x]);
        labels.extend([1.0 - t, t]);
    }
    labels
}

#[test]
fn label_shift_correction_is_exact_from_unlabelled_images() {
    where_licensed("label-shift-correction", |study| {
        let (image, label) = study.pair();
        let strata = study.situation.label_shift_strata().unwrap();
        let strata: Vec<NodeId> = strata.iter().collect();
        let new = estimated_labels(study, &strata);
        let old = study.source.conditional(label, &strata);
        let with = |node| strata.iter().copied().chain([node]).collect::<Vec<_>>();
        let (given, by_label) = (with(image), with(label));
        let state = |cell| study.source.states(cell, &by_label);
        let weighted = study
            .source
            .weighted(|cell| new[state(cell)] / old[state(cell)]);
        let truth = study.target.conditional(label, &given);
        assert!(distance(&weighted.conditional(label, &given), &truth) < 1e-8);
    });
}

#[test]
fn adjustment_for_covariates_is_exact() {
    where_licensed("covariate-adjustment", |study| {
        let (image, label) = study.pair();
        let strata = study.situation.adjusting().unwrap();
        let given: Vec<NodeId> = [image].into_iter().chain(&strata).collect();
        let rule = study.source.conditional(label, &given);
        let (by_image, images) = (
            study.target.marginal(&given),
            study.target.marginal(&[image]),
        );
        let cells = by_image.len() / images.len();
        let mut found = vec![0.0; 2 * images.len()];
        for (row, p) in by_image.iter().enumerate() {
            for y in 0..2 {
                found[2 * (row / cells) + y] += rule[2 * row + y] * p / images[row / cells];
            }
        }
        assert!(distance(&found, &study.rule(&study.target)) < EXACT);
        assert!(distance(&study.rule(&study.source), &study.rule(&study.target)) > REAL);
    });
}

/// The source as it is seen: before the shifts, and entered.
fn with_source(study: &Study, mut query: Query) -> Query {
    let diagram = &study.situation.diagram;
    for node in &diagram.domain {
        query = query.given(node, usize::from(diagram.selection.contains(node)));
    }
    query
}

#[test]
fn back_door_weights_give_what_setting_the_label_would_show() {
    where_licensed("site-back-door-weighting", |study| {
        let (image, label) = study.pair();
        let set: Vec<NodeId> = study.situation.back_door_set().unwrap().iter().collect();
        let by_set = study.source.conditional(label, &set);
        let labels = study.source.marginal(&[label]);
        let pair: Vec<NodeId> = set.iter().copied().chain([label]).collect();
        let weighted = study.source.weighted(|cell| {
            labels[study.source.states(cell, &[label])] / by_set[study.source.states(cell, &pair)]
        });
        // In the weighted data neither site nor covariates tell the label.
        assert!(dependence(&weighted, &set, &[label], &[]) < EXACT);
        if study.situation.relation != Relation::LabelToImage {
            return;
        }
        for state in 0..2 {
            let query = with_source(study, Query::of(image).doing(label, state));
            let truth = study.network.query(&query).unwrap().values;
            let found = weighted.conditional(image, &[label]);
            assert!(distance(&found[3 * state..3 * state + 3], &truth) < EXACT);
        }
    });
}

#[test]
fn selection_weights_bring_back_the_population() {
    where_licensed("selection-weighting", |study| {
        let diagram = &study.situation.diagram;
        let (image, label) = study.pair();
        if diagram.selection == diagram.domain {
            let set = study.situation.selection_explained().unwrap();
            study.assert_weighted(&set.iter().collect::<Vec<_>>(), &[image, label]);
        }
    });
}

/// The largest dependence of two sets within the strata of a third, in one distribution.
fn dependence(joint: &Joint, a: &[NodeId], b: &[NodeId], given: &[NodeId]) -> f64 {
    let (strata, all) = (
        joint.marginal(given),
        joint.marginal(&[given, a, b].concat()),
    );
    let with_a = joint.marginal(&[given, a].concat());
    let with_b = joint.marginal(&[given, b].concat());
    let (cards_a, cards_b) = (joint.card(a), joint.card(b));
    let gap = |(cell, value): (usize, &f64)| {
        let (row, rest) = (cell / (cards_a * cards_b), cell % (cards_a * cards_b));
        let product =
            with_a[row * cards_a + rest / cards_b] * with_b[row * cards_b + rest % cards_b];
        (value - product / strata[row]).abs()
    };
    all.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// `P(of | given)` must be the same in source and target.
#[track_caller]
fn assert_same(study: &Study, of: &NodeSet, given: &NodeSet) {
    let given: Vec<NodeId> = given.iter().collect();
    let all: Vec<NodeId> = given.iter().copied().chain(of).collect();
    let conditional = |joint: &Joint| {
        let marginal = joint.marginal(&given);
        let cells = joint.marginal(&all);
        let width = cells.len() / marginal.len();
        let share = |(cell, value): (usize, &f64)| value / marginal[cell / width];
        cells.iter().enumerate().map(share).collect::<Vec<_>>()
    };
    assert!(distance(&conditional(&study.source), &conditional(&study.target)) < EXACT);
}

#[test]
fn constraints_hold_of_the_content_that_they_name() {
    where_licensed("independence-constraints", |study| {
        let diagram = &study.situation.diagram.diagram;
        let label: NodeSet = study.situation.label().into();
        for constraint in &study.advice.constraints {
            let carrier = diagram.set(&constraint.carrier).unwrap();
            let given = match constraint.kind {
                ConstraintKind::ConditionalOnLabel => label.clone(),
                _ => NodeSet::new(),
            };
            match (constraint.variables[0].as_str(), constraint.kind) {
                ("environment", ConstraintKind::SameRule) => assert_same(study, &label, &carrier),
                ("environment", _) => assert_same(study, &carrier, &given),
                (nuisance, _) => {
                    let nuisance = [diagram.node(nuisance).unwrap()];
                    let carrier: Vec<NodeId> = carrier.iter().collect();
                    let given: Vec<NodeId> = given.iter().collect();
                    assert!(dependence(&study.source, &carrier, &nuisance, &given) < EXACT);
                }
            }
        }
    });
}

#[test]
fn what_alignment_is_made_from_is_alike() {
    where_licensed("marginal-alignment", |study| {
        let content = study.situation.alike_and_sufficient().unwrap();
        let label = study.situation.label().into();
        assert_same(study, &label, &NodeSet::new());
        assert_same(study, content, &NodeSet::new());
        assert_same(study, &label, content);
    });
    where_licensed("conditional-alignment", |study| {
        let label = study.situation.label().into();
        match study.situation.alike(true) {
            Some(content) => assert_same(study, content, &label),
            None => assert_same(study, &study.situation.image().into(), &label),
        }
    });
}

#[test]
fn exchanging_the_acquisition_acts_on_the_label_through_the_image_alone() {
    where_licensed("acquisition-randomisation", |study| {
        let diagram = &study.situation.diagram;
        let (image, label) = study.pair();
        let labels = |state: usize| {
            let mut query = Query::of(label).doing(image, 0);
            for node in &diagram.domain.difference(&diagram.selection) {
                let state = if study.situation.imaging_domain.contains(node) {
                    state
                } else {
                    0
                };
                query = query.given(node, state);
            }
            study.network.query(&query).unwrap().values
        };
        assert!(distance(&labels(0), &labels(1)) < EXACT);
    });
}
