//! What separation says of a study, on which every verdict rests.

use super::report::Relation;
use super::shift_diagram::{ShiftDiagram, independent};
use super::{AdviceError, ReckonedShift};
use crate::graph::{
    CausalDirection, DiagramFile, Facts, Mixed, NodeId, NodeSet, Role, Shift, ShiftKind,
};

/// With more content nodes than this, sets of them are only tried one by one and all together.
const MAX_SUBSET_NODES: usize = 8;
/// The most measured covariates that are held fixed together.
const MAX_COVARIATES: usize = 2;

/// The derived facts of a study.
pub(super) struct Situation {
    pub(super) diagram: ShiftDiagram,
    pub(super) facts: Facts,
    pub(super) relation: Relation,
    pub(super) shifts: Vec<ReckonedShift>,
    /// Sites that go with the label in the sources and mark the image.
    pub(super) confounders: NodeSet,
    /// Domain nodes that act on imaging alone.
    pub(super) imaging_domain: NodeSet,
    /// Sets of content nodes that tell of the label, larger ones first.
    pub(super) carriers: Vec<NodeSet>,
    /// Covariates that source and target data both hold.
    pub(super) covariates: NodeSet,
    pub(super) assumptions: Vec<String>,
}

impl Situation {
    pub(super) fn derive(file: &DiagramFile) -> Result<Self, AdviceError> {
        let mut shifts: Vec<Shift> = file.shifts().to_vec();
        let stated = shifts.len();
        let plain = ShiftDiagram::new(file, &shifts)?;
        let confounders = confounders(&plain);
        for site in &differing_sites(&plain, &confounders)? {
            let nodes = vec![plain.diagram.name(site).to_owned()];
            let shift = Shift {
                kind: ShiftKind::Population,
                nodes,
                source: None,
            };
            if !shifts.iter().any(|other| other.nodes == shift.nodes) {
                shifts.push(shift);
            }
        }
        let mut diagram = ShiftDiagram::new(file, &shifts)?;
        let relation = relation(file, &diagram);
        let mut assumptions = Vec::new();
        if !confounders.is_empty() {
            assumptions.push(one_population(&diagram, &confounders));
        }
        if !confounders.is_empty() && joined_directly(&diagram) {
            diagram = diagram.with_content()?;
            assumptions.push(CONTENT_ASSUMPTION.to_owned());
        }
        if diagram.content().len() > MAX_SUBSET_NODES {
            assumptions.push(MANY_CONTENTS.to_owned());
        }
        let reckoned = |(place, shift): (usize, Shift)| ReckonedShift {
            kind: shift.kind,
            nodes: shift.nodes,
            implied: place >= stated,
        };
        Ok(Self {
            facts: file.facts(),
            relation,
            shifts: shifts.into_iter().enumerate().map(reckoned).collect(),
            imaging_domain: imaging_domain(&diagram),
            carriers: carriers(&diagram),
            covariates: covariates(file, &diagram),
            confounders,
            diagram,
            assumptions,
        })
    }

    pub(super) fn image(&self) -> NodeId {
        self.diagram.image
    }

    pub(super) fn label(&self) -> NodeId {
        self.diagram.label
    }

    /// Tells whether `P(variable | given)` is the same in sources and target.
    pub(super) fn same(&self, variable: NodeId, given: &[NodeId]) -> bool {
        self.diagram
            .is_invariant(variable, &given.iter().copied().collect())
    }

    /// That `P(variable | given)` differs, and with what.
    pub(super) fn differs(&self, variable: NodeId, given: NodeId) -> String {
        let (diagram, given) = (&self.diagram, NodeSet::single(given));
        let moved_by = diagram.moved_by(variable, &given).join(" and ");
        format!(
            "{} differs, through the {moved_by}",
            diagram.factor(variable, &given)
        )
    }

    pub(super) fn same_rule(&self) -> bool {
        self.same(self.label(), &[self.image()])
    }

    pub(super) fn image_moves(&self) -> bool {
        !self.same(self.image(), &[])
    }

    pub(super) fn label_moves(&self) -> bool {
        !self.same(self.label(), &[])
    }

    pub(super) fn image_same_given_label(&self) -> bool {
        self.same(self.image(), &[self.label()])
    }

    /// What tells the groups apart that alignment would make alike: shifts, and confounded sites.
    fn groups(&self) -> NodeSet {
        self.diagram.domain.union(&self.confounders)
    }

    /// Content whose distribution is alike in all groups, marginally or for each label.
    pub(super) fn alike(&self, given_label: bool) -> Option<&NodeSet> {
        let given = if given_label {
            self.label().into()
        } else {
            NodeSet::new()
        };
        let groups = self.groups();
        let alike = |carrier: &&NodeSet| self.diagram.independent(carrier, &groups, &given);
        self.carriers.iter().find(alike)
    }

    /// Tells whether the label follows from this content by the same rule everywhere.
    pub(super) fn is_sufficient(&self, content: &NodeSet) -> bool {
        self.diagram.is_invariant(self.label(), content)
    }

    /// Content whose distribution is alike and from which the label follows by the same rule.
    pub(super) fn alike_and_sufficient(&self) -> Option<&NodeSet> {
        let groups = self.groups();
        let alike = |set: &NodeSet| self.diagram.independent(set, &groups, &NodeSet::new());
        self.carriers
            .iter()
            .find(|set| alike(set) && self.is_sufficient(set))
    }

    /// Content from which the label follows by the same rule, alike in all groups if there is
    /// such content.
    pub(super) fn sufficient(&self) -> Option<&NodeSet> {
        let stays = |carrier: &&NodeSet| self.is_sufficient(carrier);
        self.alike_and_sufficient()
            .or_else(|| self.carriers.iter().find(stays))
    }

    /// The named sources with the target's own rule from image to label.
    pub(super) fn sources_with_same_rule(&self) -> Vec<String> {
        self.diagram.sources_of(self.label(), &self.image().into())
    }

    /// The confounded sites, with the fewest measured covariates that it takes, where together
    /// they satisfy the back-door criterion.
    pub(super) fn back_door_set(&self) -> Option<NodeSet> {
        let (image, label) = (self.image(), self.label());
        let diagram = &self.diagram.diagram;
        let (cause, effect): (NodeSet, _) = match self.relation {
            Relation::LabelToImage => (label.into(), image),
            // Where the label follows from content, it is the content that acts on it.
            _ if !diagram.has_directed(image, label) => (self.diagram.content(), label),
            _ => (image.into(), label),
        };
        let view = diagram.view().without_outgoing(&cause);
        let caused = diagram.descendants(&cause);
        let selection = &self.diagram.selection;
        // Selected data show the effect only where entering them is no effect of the cause.
        let blocks = |set: &NodeSet| {
            let fixed = set.union(selection);
            caused.is_disjoint(&fixed) && independent(&view, &cause, &effect.into(), &fixed)
        };
        let with_sites = |set: NodeSet| set.union(&self.confounders);
        self.covariate_sets()
            .into_iter()
            .map(with_sites)
            .find(blocks)
    }

    /// The fewest measured covariates given which image and label have the target's rule.
    pub(super) fn adjusting(&self) -> Option<NodeSet> {
        let fixed = |set: &NodeSet| set.union(&self.image().into());
        self.covariate_sets()
            .into_iter()
            .find(|set| self.diagram.is_invariant(self.label(), &fixed(set)))
    }

    /// The fewest measured covariates within which only the label's frequency differs, and
    /// within which the image tells of it: otherwise unlabelled images would not.
    pub(super) fn label_shift_strata(&self) -> Option<NodeSet> {
        let shows = |set: &NodeSet| {
            let (image, label) = (self.image().into(), self.label().into());
            !self.diagram.independent_in_sources(&label, &image, set)
        };
        let only_label_moves = |set: &NodeSet| {
            let fixed = set.union(&self.label().into());
            self.diagram.is_invariant(self.image(), &fixed)
                && !self.diagram.is_invariant(self.label(), set)
        };
        self.covariate_sets()
            .into_iter()
            .find(|set| only_label_moves(set) && shows(set))
    }

    fn covariate_sets(&self) -> Vec<NodeSet> {
        let candidates: Vec<NodeId> = self.covariates.iter().collect();
        small_sets(&candidates, MAX_COVARIATES)
    }

    /// Measured variables other than the label that explain who was selected, as far as image
    /// and label are concerned.
    pub(super) fn selection_explained(&self) -> Option<NodeSet> {
        let mut candidates: Vec<NodeId> = self.covariates.iter().collect();
        candidates.push(self.image());
        let pair = [self.image(), self.label()].into_iter().collect();
        let explains = |set: &NodeSet| {
            self.diagram
                .independent(&pair, &self.diagram.selection, set)
        };
        small_sets(&candidates, MAX_COVARIATES)
            .into_iter()
            .find(explains)
    }

    /// The shifts that exchanging the acquisition would leave.
    pub(super) fn beyond_imaging(&self) -> NodeSet {
        self.diagram.domain.difference(&self.imaging_domain)
    }

    /// Mechanisms of image, label and content, by whether they are the same everywhere.
    pub(super) fn mechanisms(&self) -> (Vec<String>, Vec<String>) {
        let diagram = &self.diagram;
        let (mut stay, mut move_on) = (Vec::new(), Vec::new());
        for node in &diagram.drawn {
            let parents = diagram.diagram.parents(node).intersection(&diagram.drawn);
            let target = if diagram.is_invariant(node, &parents) {
                &mut stay
            } else {
                &mut move_on
            };
            target.push(diagram.factor(node, &parents));
        }
        (stay, move_on)
    }
}

const CONTENT_ASSUMPTION: &str = "the label goes with what the image shows of the body, not with \
     how the site changes the picture; the node `content` stands for the former";

/// What is meant by another site: without it, nothing of the label need stay.
fn one_population(diagram: &ShiftDiagram, sites: &NodeSet) -> String {
    let (sites, label) = (diagram.listed(sites), diagram.diagram.name(diagram.label));
    format!(
        "patients come from one population, and only how they are spread over {sites} differs; if \
         {label} differs in the target besides, state a further shift at {label}"
    )
}

const MANY_CONTENTS: &str = "of the many things that the image shows, a representation carries one \
     or all; other combinations were not searched";

/// Sites that mark the image and go together with the label other than through the image.
fn confounders(diagram: &ShiftDiagram) -> NodeSet {
    let label = diagram.label.into();
    let confounds = |&site: &NodeId| {
        diagram.role(site) == Role::Site
            && diagram.marks_image(site)
            && !diagram.independent_past_image(&site.into(), &label)
    };
    diagram.drawn.iter().filter(confounds).collect()
}

/// The sites that differ in the target though no shift says so: those that confound, and any
/// where nothing else is said to differ.
fn differing_sites(diagram: &ShiftDiagram, confounders: &NodeSet) -> Result<NodeSet, AdviceError> {
    if !confounders.is_empty() || !diagram.domain.is_empty() {
        return Ok(confounders.clone());
    }
    let is_site = |&node: &NodeId| diagram.role(node) == Role::Site;
    let sites: NodeSet = diagram.drawn.iter().filter(is_site).collect();
    if sites.is_empty() {
        return Err(AdviceError::NoShift);
    }
    Ok(sites)
}

fn joined_directly(diagram: &ShiftDiagram) -> bool {
    let (image, label) = (diagram.image, diagram.label);
    diagram.diagram.has_directed(image, label) || diagram.diagram.has_directed(label, image)
}

fn relation(file: &DiagramFile, diagram: &ShiftDiagram) -> Relation {
    match file.causal_direction() {
        Some(CausalDirection::Causal) => Relation::ImageToLabel,
        Some(CausalDirection::Anticausal) => Relation::LabelToImage,
        None => {
            let label = NodeSet::single(diagram.label);
            let above = diagram.diagram.ancestors(&label);
            if above.is_disjoint(&diagram.content()) {
                Relation::Unrelated
            } else {
                Relation::SharedContent
            }
        }
    }
}

/// Domain nodes all of whose effects are on imaging, while the label stays what it was.
fn imaging_domain(diagram: &ShiftDiagram) -> NodeSet {
    let imaging = diagram.imaging();
    let acts_on_imaging = |&node: &NodeId| {
        diagram.diagram.children(node).is_subset(&imaging)
            && diagram.independent_past_image(&node.into(), &diagram.label.into())
    };
    let domain = diagram.domain.difference(&diagram.selection);
    domain.iter().filter(acts_on_imaging).collect()
}

/// Non-empty sets of content nodes that tell of the label, larger ones first.
fn carriers(diagram: &ShiftDiagram) -> Vec<NodeSet> {
    let content: Vec<NodeId> = diagram.content().iter().collect();
    let mut sets = if content.len() <= MAX_SUBSET_NODES {
        small_sets(&content, content.len())
    } else {
        let mut sets = small_sets(&content, 1);
        sets.push(content.iter().copied().collect());
        sets
    };
    sets.reverse();
    let label = diagram.label.into();
    sets.retain(|set| !set.is_empty() && !diagram.independent(set, &label, &NodeSet::new()));
    sets
}

/// Observed nodes that may be held fixed: neither image nor label, nor what either causes.
fn covariates(file: &DiagramFile, diagram: &ShiftDiagram) -> NodeSet {
    let pair: NodeSet = [diagram.image, diagram.label].into_iter().collect();
    let caused = diagram.diagram.descendants(&pair);
    file.diagram()
        .observed()
        .intersection(&diagram.drawn)
        .difference(&caused)
}

/// All subsets up to a size, smaller ones first, in lexicographic order within a size.
fn small_sets(nodes: &[NodeId], largest: usize) -> Vec<NodeSet> {
    let mut sets = vec![(NodeSet::new(), 0)];
    let mut from = 0;
    for _ in 0..largest.min(nodes.len()) {
        let to = sets.len();
        for place in from..to {
            let (set, next) = sets[place].clone();
            for (later, &node) in nodes.iter().enumerate().skip(next) {
                let mut larger = set.clone();
                larger.insert(node);
                sets.push((larger, later + 1));
            }
        }
        from = to;
    }
    sets.into_iter().map(|(set, _)| set).collect()
}
