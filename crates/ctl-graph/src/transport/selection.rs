//! A diagram, the populations it holds for, and what is known about each.

use serde::{Deserialize, Serialize};

use super::{Obstacle, Obstruction, Transport};
use crate::estimand::{Domain, Estimand};
use crate::graph::{DiagramFile, ShiftKind};
use crate::identification::Query;
use crate::{Diagram, GraphError, NodeSet};

/// The experiments of which a population's data come.
///
/// # Examples
///
/// ```
/// use ctl_graph::estimand::Domain;
/// use ctl_graph::{Diagram, NodeSet};
/// use ctl_graph::transport::{Experiments, Population, SelectionDiagram};
///
/// let diagram = Diagram::parse("drug -> outcome")?;
/// let drug = diagram.set(&["drug"])?;
/// let trial = Population::new("trial").offering(Experiments::Listed(vec![drug.clone()]));
/// let selection = SelectionDiagram::new(diagram).with_source(trial)?;
/// assert!(selection.offers(Domain::Source(0), &drug));
/// assert!(!selection.offers(Domain::Source(0), &NodeSet::new()));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Experiments {
    /// One on each subset of these variables, observation being the one on the empty set.
    SubsetsOf(NodeSet),
    /// Exactly these; earlier ones are preferred. No data at all is the empty list.
    Listed(Vec<NodeSet>),
}

impl Experiments {
    /// Observation alone.
    pub fn observation() -> Self {
        Self::SubsetsOf(NodeSet::new())
    }

    /// No data.
    pub fn none() -> Self {
        Self::Listed(Vec::new())
    }
}

/// A population: its name, how it may differ from the target, and its data.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, transport::{Experiments, Population}};
///
/// let diagram = Diagram::parse("scanner -> image; disease -> image")?;
/// let site = Population::new("oslo").differing_in(&diagram.set(&["image"])?);
/// assert_eq!(site.experiments(), &Experiments::observation());
/// assert_eq!(diagram.names(site.differs()), ["image"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    name: String,
    differs: NodeSet,
    experiments: Experiments,
}

impl Population {
    /// A population like the target, with observational data.
    pub fn new(name: &str) -> Self {
        let experiments = Experiments::observation();
        Self {
            name: name.to_owned(),
            differs: NodeSet::new(),
            experiments,
        }
    }

    /// Says which mechanisms may differ from the target's: where selection nodes point.
    #[must_use]
    pub fn differing_in(mut self, nodes: &NodeSet) -> Self {
        self.differs = nodes.clone();
        self
    }

    /// Says which data there are.
    #[must_use]
    pub fn offering(mut self, experiments: Experiments) -> Self {
        self.experiments = experiments;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variables whose mechanisms may differ from the target's.
    pub fn differs(&self) -> &NodeSet {
        &self.differs
    }

    /// The data there are.
    pub fn experiments(&self) -> &Experiments {
        &self.experiments
    }
}

/// A causal diagram with the populations it holds for.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, transport::{Population, SelectionDiagram}};
///
/// let diagram = Diagram::parse("disease -> image")?;
/// let moved = diagram.set(&["disease"])?;
/// let selection = SelectionDiagram::new(diagram)
///     .with_source(Population::new("pune").differing_in(&moved))?;
/// assert_eq!(selection.sources()[0].name(), "pune");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SelectionDiagram {
    diagram: Diagram,
    target: Population,
    sources: Vec<Population>,
}

impl SelectionDiagram {
    /// No source yet; the target has observational data.
    pub fn new(diagram: Diagram) -> Self {
        Self {
            diagram,
            target: Population::new("target"),
            sources: Vec::new(),
        }
    }

    /// The diagram and the sources of a diagram file, each with observational data.
    ///
    /// A shift with a `source` belongs to that source, one without to every source; where no shift
    /// names a source, there is one by the name of `source`.
    ///
    /// # Errors
    /// [`GraphError::InvalidValue`] for a shift by selection, which changes who is seen and not a
    /// mechanism.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::graph::DiagramFile;
    /// use ctl_graph::transport::SelectionDiagram;
    ///
    /// let file = DiagramFile::parse(
    ///     "schema = 1
    ///     edges = 'disease -> image'
    ///     [[shift]]
    ///     kind = 'prevalence'
    ///     nodes = ['disease']
    ///     [[shift]]
    ///     kind = 'acquisition'
    ///     nodes = ['image']
    ///     source = 'oslo'",
    /// )?;
    /// let selection = SelectionDiagram::from_file(&file)?;
    /// assert_eq!(selection.sources()[0].name(), "oslo");
    /// assert_eq!(selection.sources()[0].differs(), &file.diagram().set(&["disease", "image"])?);
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn from_file(file: &DiagramFile) -> Result<Self, GraphError> {
        let shifts = file.shifts();
        if let Some(place) = shifts
            .iter()
            .position(|shift| shift.kind == ShiftKind::Selection)
        {
            return Err(GraphError::InvalidValue {
                key: format!("shift[{place}].kind"),
                expected: "a shift that changes mechanisms".to_owned(),
                found: "selection".to_owned(),
            });
        }
        let mut names: Vec<&str> = Vec::new();
        for name in shifts.iter().filter_map(|shift| shift.source.as_deref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            names.push("source");
        }
        let mut selection = Self::new(file.diagram().clone());
        for name in names {
            let mut differs = NodeSet::new();
            for shift in shifts {
                if shift.source.as_deref().is_none_or(|source| source == name) {
                    differs.extend_with(&file.diagram().set(&shift.nodes)?);
                }
            }
            selection = selection.with_source(Population::new(name).differing_in(&differs))?;
        }
        Ok(selection)
    }

    /// Adds a source.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`] if it mentions nodes that the diagram lacks.
    pub fn with_source(mut self, source: Population) -> Result<Self, GraphError> {
        self.diagram.check(&source.differs)?;
        self.check_experiments(&source.experiments)?;
        self.sources.push(source);
        Ok(self)
    }

    /// Says which data the target has.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`].
    pub fn with_target_data(mut self, experiments: Experiments) -> Result<Self, GraphError> {
        self.check_experiments(&experiments)?;
        self.target.experiments = experiments;
        Ok(self)
    }

    fn check_experiments(&self, experiments: &Experiments) -> Result<(), GraphError> {
        match experiments {
            Experiments::SubsetsOf(set) => self.diagram.check(set),
            Experiments::Listed(sets) => sets.iter().try_for_each(|set| self.diagram.check(set)),
        }
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// The sources, as [`Domain::Source`] counts them.
    pub fn sources(&self) -> &[Population] {
        &self.sources
    }

    /// A formula as text, its distributions marked with their populations' names.
    pub fn display(&self, estimand: &Estimand) -> String {
        estimand
            .display(&self.diagram)
            .with_sources(&self.source_names())
            .to_string()
    }

    /// A formula as LaTeX, its distributions marked with their populations' names.
    pub fn latex(&self, estimand: &Estimand) -> String {
        estimand
            .latex(&self.diagram)
            .with_sources(&self.source_names())
            .to_string()
    }

    /// The answer in words: the query and its formula, or why there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, identification::Query};
    /// use ctl_graph::transport::{Population, SelectionDiagram, transport};
    ///
    /// let diagram = Diagram::parse("disease -> image")?;
    /// let (disease, image) = (diagram.set(&["disease"])?, diagram.set(&["image"])?);
    /// let selection = SelectionDiagram::new(diagram)
    ///     .with_source(Population::new("pune").differing_in(&disease))?;
    /// let query = Query::of(&image).given(&disease);
    /// assert_eq!(
    ///     selection.explain(&query, &transport(&selection, &query)?),
    ///     "P*(image | disease) is transportable: it equals P*(image | disease)"
    /// );
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    pub fn explain(&self, query: &Query, answer: &Transport) -> String {
        let query = query.describe(&self.diagram).replacen('P', "P*", 1);
        match answer {
            Transport::Transportable(formula) => {
                let formula = self.display(&formula.estimand.simplified());
                format!("{query} is transportable: it equals {formula}")
            }
            Transport::NotTransportable(obstruction) => {
                let reason = self.describe(obstruction);
                format!("{query} is not transportable: {reason}")
            }
        }
    }

    /// The reason why a query is not transportable, in words.
    pub fn describe(&self, obstruction: &Obstruction) -> String {
        let obstacles: Vec<String> = obstruction
            .obstacles
            .iter()
            .map(|obstacle| self.obstacle(obstacle))
            .collect();
        let needed = self.diagram.names(&obstruction.district).join(", ");
        format!(
            "no population yields the mechanism of {needed}: {}",
            obstacles.join("; ")
        )
    }

    fn obstacle(&self, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::Differs { domain, nodes } => {
                let nodes = self.diagram.names(nodes).join(", ");
                format!(
                    "in {} the mechanism of {nodes} may differ",
                    self.name(*domain)
                )
            }
            Obstacle::NoData { domain } => format!("{} has no data that help", self.name(*domain)),
            Obstacle::Hedged { domain, hedge } => {
                format!(
                    "in {}, {}",
                    self.name(*domain),
                    hedge.describe(&self.diagram)
                )
            }
        }
    }

    fn name(&self, domain: Domain) -> &str {
        match domain {
            Domain::Target => "the target",
            Domain::Source(index) => self.sources.get(index).map_or("?", Population::name),
        }
    }

    fn source_names(&self) -> Vec<&str> {
        self.sources.iter().map(Population::name).collect()
    }

    /// Tells whether a population has data from an experiment.
    ///
    /// # Arguments
    /// - `domain`: the population; one that does not exist offers nothing.
    /// - `intervention`: what the experiment sets; empty for observation.
    pub fn offers(&self, domain: Domain, intervention: &NodeSet) -> bool {
        self.populations().any(|(known, population)| {
            known == domain
                && match &population.experiments {
                    Experiments::SubsetsOf(set) => intervention.is_subset(set),
                    Experiments::Listed(sets) => sets.contains(intervention),
                }
        })
    }

    /// The target, then the sources.
    pub(super) fn populations(&self) -> impl Iterator<Item = (Domain, &Population)> {
        let sources = self.sources.iter().enumerate();
        [(Domain::Target, &self.target)]
            .into_iter()
            .chain(sources.map(|(index, source)| (Domain::Source(index), source)))
    }
}
