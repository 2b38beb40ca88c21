//! The adjacency search that PC and FCI share.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::error::DiscoveryError;
use super::subsets::Subsets;
use crate::equivalence::Separations;
use crate::stats::{IndependenceTest, StatsError};
use crate::{NodeId, NodeSet};

/// Pairs at a level above which they are tested on several threads.
const PARALLEL: usize = 64;

/// For each separated pair `(smaller, larger)` what separated it.
pub(super) type Separators = BTreeMap<(NodeId, NodeId), Separator>;

/// What separated a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Separator {
    /// The first set that did.
    pub(super) first: NodeSet,
    /// The members of all sets that did, as far as they were tried. Which set is the first depends
    /// on the order of the nodes; this does not.
    pub(super) members: NodeSet,
}

/// Which nodes are adjacent, and what separates the others.
#[derive(Debug, Clone)]
pub(super) struct Skeleton {
    pub(super) adjacent: Vec<NodeSet>,
    pub(super) separators: Separators,
    /// Number of tests made.
    pub(super) tests: usize,
    /// Whether no larger conditioning set remained to be tried.
    pub(super) complete: bool,
}

/// How the adjacency search tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a, T: ?Sized> {
    pub(super) test: &'a T,
    pub(super) alpha: f64,
    pub(super) most: usize,
}

/// What became of a pair, and the number of tests made.
#[derive(Debug, Clone, Default)]
struct Verdict {
    separator: Option<Separator>,
    tests: usize,
}

impl Verdict {
    fn separated_by(&mut self, set: NodeSet) {
        match &mut self.separator {
            Some(separator) => separator.members.extend_with(&set),
            None => {
                self.separator = Some(Separator {
                    members: set.clone(),
                    first: set,
                });
            }
        }
    }
}

impl<T: IndependenceTest + ?Sized> Search<'_, T> {
    /// The order-independent search: conditioning sets grow, and within a level every pair sees
    /// the adjacencies from before it.
    pub(super) fn skeleton(&self) -> Result<Skeleton, DiscoveryError> {
        let size = self.test.names().len();
        let all = NodeSet::all(size);
        let others = |node| all.difference(&NodeSet::single(NodeId::new(node)));
        let mut skeleton = Skeleton {
            adjacent: (0..size).map(others).collect(),
            separators: Separators::new(),
            tests: 0,
            complete: true,
        };
        for level in 0.. {
            let degree = |a: &NodeSet| a.len() > level;
            if !skeleton.adjacent.iter().any(degree) {
                break;
            }
            if level > self.most {
                skeleton.complete = false;
                break;
            }
            let adjacent = skeleton.adjacent.clone();
            let pairs = self.pairs(&adjacent);
            let verdict = |&(x, y): &(NodeId, NodeId)| self.level(&adjacent, x, y, level);
            skeleton.apply(&pairs, every(&pairs, verdict)?);
        }
        Ok(skeleton)
    }

    /// Tests the remaining pairs given subsets of other candidates than neighbours, which depend
    /// on the pair and its order.
    pub(super) fn refine(
        &self,
        skeleton: &mut Skeleton,
        candidates: impl Fn(NodeId, NodeId) -> NodeSet,
    ) -> Result<(), DiscoveryError> {
        let pairs = self.pairs(&skeleton.adjacent);
        let with_candidates: Vec<_> = pairs
            .iter()
            .map(|&(x, y)| (x, y, [candidates(x, y), candidates(y, x)]))
            .collect();
        let verdict = |(x, y, sets): &(NodeId, NodeId, [NodeSet; 2])| {
            self.within((*x, *y), sets, &skeleton.adjacent)
        };
        let verdicts = every(&with_candidates, verdict)?;
        let beyond = |set: &NodeSet| set.len() > self.most;
        let mut sets = with_candidates.iter().flat_map(|(_, _, sets)| sets);
        skeleton.complete &= !sets.any(beyond);
        skeleton.apply(&pairs, verdicts);
        Ok(())
    }

    fn pairs(&self, adjacent: &[NodeSet]) -> Vec<(NodeId, NodeId)> {
        let nodes = (0..self.test.names().len()).map(NodeId::new);
        nodes
            .flat_map(|x| {
                let larger = adjacent[x.index()].iter().filter(move |&y| x < y);
                larger.map(move |y| (x, y))
            })
            .collect()
    }

    fn level(
        &self,
        adjacent: &[NodeSet],
        x: NodeId,
        y: NodeId,
        level: usize,
    ) -> Result<Verdict, StatsError> {
        let [of_x, of_y] = [(x, y), (y, x)].map(|(node, other)| {
            let mut around = adjacent[node.index()].clone();
            around.remove(other);
            around
        });
        let mut verdict = Verdict::default();
        self.sized((x, y), level, (&of_x, &[]), &mut verdict)?;
        if level > 0 {
            self.sized((x, y), level, (&of_y, &[&of_x]), &mut verdict)?;
        }
        Ok(verdict)
    }

    /// Tests every subset of a size; the subsets of the sets beside the candidates have been
    /// tested.
    fn sized(
        &self,
        (x, y): (NodeId, NodeId),
        size: usize,
        (candidates, seen): (&NodeSet, &[&NodeSet]),
        verdict: &mut Verdict,
    ) -> Result<(), StatsError> {
        let candidates: Vec<usize> = candidates.iter().map(NodeId::index).collect();
        for subset in Subsets::of_size(candidates.len(), size) {
            let given: Vec<usize> = subset.into_iter().map(|i| candidates[i]).collect();
            let tested = |set: &&NodeSet| given.iter().all(|&v| set.contains(NodeId::new(v)));
            if seen.iter().any(tested) {
                continue;
            }
            verdict.tests += 1;
            let (x, y) = (x.index(), y.index());
            if self.test.independent(x, y, &given, self.alpha)? {
                verdict.separated_by(given.into_iter().map(NodeId::new).collect());
            }
        }
        Ok(())
    }

    /// Tests the subsets of two sets of candidates that no subset of neighbours is, up to the
    /// smallest size that separates.
    fn within(
        &self,
        pair: (NodeId, NodeId),
        [of_x, of_y]: &[NodeSet; 2],
        adjacent: &[NodeSet],
    ) -> Result<Verdict, StatsError> {
        let seen = [&adjacent[pair.0.index()], &adjacent[pair.1.index()], of_x];
        let mut verdict = Verdict::default();
        for size in 1..=of_x.len().max(of_y.len()).min(self.most) {
            self.sized(pair, size, (of_x, &seen[..2]), &mut verdict)?;
            self.sized(pair, size, (of_y, &seen), &mut verdict)?;
            if verdict.separator.is_some() {
                break;
            }
        }
        Ok(verdict)
    }
}

/// Verdicts in the order of the pairs, whatever the number of threads.
fn every<P: Sync>(
    pairs: &[P],
    verdict: impl Fn(&P) -> Result<Verdict, StatsError> + Sync + Send,
) -> Result<Vec<Verdict>, StatsError> {
    if pairs.len() > PARALLEL {
        pairs.par_iter().map(verdict).collect()
    } else {
        pairs.iter().map(verdict).collect()
    }
}

impl Skeleton {
    fn apply(&mut self, pairs: &[(NodeId, NodeId)], verdicts: Vec<Verdict>) {
        for (&(x, y), verdict) in pairs.iter().zip(verdicts) {
            self.tests += verdict.tests;
            if let Some(separator) = verdict.separator {
                self.adjacent[x.index()].remove(y);
                self.adjacent[y.index()].remove(x);
                self.separators.insert((x, y), separator);
            }
        }
    }

    /// The unshielded triples `(a, middle, b)` with `a < b` whose middle is in no set that
    /// separated the others, by middle.
    pub(super) fn colliders(&self) -> Vec<(NodeId, NodeId, NodeId)> {
        let mut found = Vec::new();
        for (&(a, b), separator) in &self.separators {
            let shared = self.adjacent[a.index()].intersection(&self.adjacent[b.index()]);
            let unseen = shared.difference(&separator.members);
            found.extend(unseen.iter().map(|middle| (a, middle, b)));
        }
        found.sort_unstable_by_key(|&(a, middle, b)| (middle, a, b));
        found
    }
}

impl Separations for Skeleton {
    fn separator_holds(&self, a: NodeId, b: NodeId, node: NodeId) -> bool {
        separator(&self.separators, a, b).is_some_and(|found| found.members.contains(node))
    }
}

/// What separated two nodes.
pub(super) fn separator(separators: &Separators, a: NodeId, b: NodeId) -> Option<&Separator> {
    separators.get(&(a.min(b), a.max(b)))
}
