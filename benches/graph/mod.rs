//! The questions to causal diagrams, and the searches for them, that are compared with peers.
//!
//! Inputs are the files of `shared/bench/graph` beside the repository; where it is absent, inputs
//! of the same kind and size are drawn from fixed seeds.
//! `peers/graph.py` holds the same workloads in other software.

mod inputs;

use std::path::{Path, PathBuf};

use ctl_graph::adjustment::Adjustment;
use ctl_graph::discovery::{
    DagmaOptions, DirectLingamOptions, FciOptions, GaussianBic, GesOptions, IcpOptions, PcOptions,
    dagma, direct_lingam, fci, ges, invariant_prediction, pc,
};
use ctl_graph::identification::{Query, identify};
use ctl_graph::separation::separated;
use ctl_graph::stats::{FisherZ, IndependenceTest, Kci, KciOptions, Table};
use ctl_graph::{Diagram, NodeSet};

pub use inputs::{sparse_diagram, write_drawn_inputs};

/// The same workloads in other software, a script for Python 3.10 and later.
pub const PEER: &str = include_str!("../peers/graph.py");

/// Why an input cannot be read, or a workload not be done.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A workload that is timed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// 400 queries of separation in a diagram of 1000 nodes.
    DSeparation,
    /// All minimal adjustment sets in 20 diagrams of 15 nodes.
    MinimalAdjustment,
    /// One minimal adjustment set in each of 20 diagrams of 200 nodes.
    OneMinimalAdjustment,
    /// Identification in 60 diagrams of 10 to 15 nodes with latent common causes.
    Identify,
    /// PC-stable by Fisher's z on 50 columns of 10,000 rows.
    Pc,
    /// FCI by Fisher's z on 20 columns of 2000 rows.
    Fci,
    /// Greedy equivalence search by BIC on the same.
    Ges,
    /// `DirectLiNGAM` on 20 columns of 2000 rows with noises that are not Gaussian.
    DirectLingam,
    /// DAGMA on 50 columns of 1000 rows.
    Dagma,
    /// Invariant causal prediction of one of 10 columns in three environments of 500 rows.
    Icp,
    /// The kernel test of two columns given two, 500 rows.
    Kci,
}

impl Workload {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 11] = [
        Self::DSeparation,
        Self::MinimalAdjustment,
        Self::OneMinimalAdjustment,
        Self::Identify,
        Self::Pc,
        Self::Fci,
        Self::Ges,
        Self::DirectLingam,
        Self::Dagma,
        Self::Icp,
        Self::Kci,
    ];

    /// The name in benches, tables and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DSeparation => "d_separation_1000",
            Self::MinimalAdjustment => "minimal_adjustment_15",
            Self::OneMinimalAdjustment => "minimal_adjustment_one_200",
            Self::Identify => "identify_10_15",
            Self::Pc => "pc_50x10000",
            Self::Fci => "fci_20x2000",
            Self::Ges => "ges_20x2000",
            Self::DirectLingam => "direct_lingam_20x2000",
            Self::Dagma => "dagma_50x1000",
            Self::Icp => "icp_10x1500",
            Self::Kci => "kci_500",
        }
    }

    /// The workload of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
    }
}

/// Where the inputs that all programs share are kept.
pub fn shared_inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench/graph")
}

/// A question about two nodes and what is given.
struct Question {
    x: NodeSet,
    y: NodeSet,
    given: NodeSet,
}

/// A workload with its inputs.
pub struct GraphWork {
    input: Input,
    workload: Workload,
}

enum Input {
    /// One diagram with many questions.
    Shared(Box<Diagram>, Vec<Question>),
    /// A question each.
    Each(Vec<(Diagram, Question)>),
    Columns(Table),
}

impl GraphWork {
    /// Reads the inputs from a folder, or draws them where it is absent.
    ///
    /// # Errors
    /// When a file of the folder is missing or ill-formed.
    pub fn new(workload: Workload, folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            input: inputs::input(workload, folder)?,
            workload,
        })
    }

    /// Does the work once.
    ///
    /// # Returns
    /// A count that depends on all of the answers: positive ones, sets, edges or tests.
    ///
    /// # Errors
    /// When the inputs are not fit for it.
    pub fn run(&self) -> Result<usize, Failure> {
        match &self.input {
            Input::Shared(diagram, questions) => {
                count(questions, |q| separates(diagram, q).map(usize::from))
            }
            Input::Each(cases) => count(cases, |(diagram, q)| self.ask(diagram, q)),
            Input::Columns(table) => self.search(table),
        }
    }

    fn ask(&self, diagram: &Diagram, question: &Question) -> Result<usize, Failure> {
        let Question { x, y, .. } = question;
        Ok(match self.workload {
            Workload::MinimalAdjustment => Adjustment::new(diagram, x, y)?.minimal().count(),
            Workload::OneMinimalAdjustment => {
                let set = Adjustment::new(diagram, x, y)?.one_minimal();
                set.map_or(0, |set| set.len() + 1)
            }
            _ => {
                let found = identify(diagram, &Query::of(y).under(x))?;
                usize::from(found.estimand().is_some())
            }
        })
    }

    fn search(&self, table: &Table) -> Result<usize, Failure> {
        Ok(match self.workload {
            Workload::Pc => pc(&FisherZ::new(table)?, &PcOptions::default())?
                .graph
                .edges()
                .count(),
            Workload::Fci => fci(&FisherZ::new(table)?, &FciOptions::default())?
                .graph
                .edges()
                .count(),
            Workload::Ges => ges(&GaussianBic::new(table, 0.5)?, &GesOptions::default())?
                .graph
                .edges()
                .count(),
            Workload::DirectLingam => direct_lingam(table, &DirectLingamOptions::default())?
                .edges()
                .count(),
            Workload::Dagma => dagma(table, &DagmaOptions::default())?.edges().count(),
            Workload::Icp => {
                let options = IcpOptions::default();
                let found =
                    invariant_prediction(table, inputs::ENVIRONMENT, inputs::TARGET, &options)?;
                found.accepted.len()
            }
            _ => {
                let test = Kci::new(table, KciOptions::default())?;
                usize::from(test.independent(0, 1, &[2, 3], 0.05)?)
            }
        })
    }
}

fn separates(diagram: &Diagram, question: &Question) -> Result<bool, Failure> {
    let Question { x, y, given } = question;
    Ok(separated(diagram, x, y, given)?)
}

fn count<T>(items: &[T], answer: impl Fn(&T) -> Result<usize, Failure>) -> Result<usize, Failure> {
    items.iter().map(answer).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: &str = "/nowhere";

    #[test]
    fn names_read_back() {
        for workload in Workload::ALL {
            assert_eq!(Workload::from_name(workload.name()), Some(workload));
        }
        assert_eq!(Workload::from_name("no-such"), None);
    }

    /// At full size, as the benches, which do each once in every check; this looks at the answers.
    #[test]
    #[ignore = "takes half a minute: part of the full check"]
    fn every_workload_can_be_drawn_and_done() {
        for workload in Workload::ALL {
            let work = GraphWork::new(workload, Path::new(ABSENT)).unwrap();
            let answer = work.run().unwrap();
            // A test may reject, and a scaled environment may leave no invariant set.
            let open = matches!(workload, Workload::Kci | Workload::Icp);
            assert!(answer > 0 || open, "{workload:?}");
        }
    }

    #[test]
    fn peers_read_what_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        write_drawn_inputs(folder.path()).unwrap();
        // One of each form: a shared diagram, a diagram each, columns.
        for workload in [Workload::DSeparation, Workload::Identify, Workload::Kci] {
            let answer = |folder| GraphWork::new(workload, folder).unwrap().run().unwrap();
            assert_eq!(
                answer(folder.path()),
                answer(Path::new(ABSENT)),
                "{workload:?}"
            );
        }
    }

    /// The answers that the files carry.
    #[test]
    fn answers_are_those_of_the_files() {
        for (workload, file) in [
            (Workload::DSeparation, "dsep1000.json"),
            (Workload::MinimalAdjustment, "adj15.json"),
            (Workload::Identify, "id15.json"),
        ] {
            let Ok(text) = std::fs::read_to_string(shared_inputs().join(file)) else {
                continue;
            };
            let content: serde_json::Value = serde_json::from_str(&text).unwrap();
            let cases = content.as_array().or(content["queries"].as_array());
            let expected: usize = cases
                .unwrap()
                .iter()
                .map(|case| match workload {
                    Workload::DSeparation => usize::from(case["separated"] == true),
                    Workload::MinimalAdjustment => case["minimal"].as_array().map_or(0, Vec::len),
                    _ => usize::from(case["identifiable"] == true),
                })
                .sum();
            let work = GraphWork::new(workload, &shared_inputs()).unwrap();
            assert_eq!(work.run().unwrap(), expected, "{file}");
        }
    }
}
