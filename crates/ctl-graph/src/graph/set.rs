//! Sets of nodes as bits.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

const WORD: usize = u64::BITS as usize;

/// A node of a graph, by its position in the order of insertion.
///
/// # Examples
///
/// ```
/// let diagram = ctl_graph::Diagram::parse("scanner -> image")?;
/// assert_eq!(diagram.node("image")?.index(), 1);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct NodeId(u32);

/// Indices in files stay below this, since a set takes memory up to its largest member.
const MOST_NODES: u32 = 1 << 24;

impl TryFrom<u32> for NodeId {
    type Error = String;

    fn try_from(index: u32) -> Result<Self, String> {
        if index < MOST_NODES {
            Ok(Self(index))
        } else {
            Err(format!(
                "node index {index}: expected an index below {MOST_NODES}"
            ))
        }
    }
}

impl From<NodeId> for u32 {
    fn from(node: NodeId) -> Self {
        node.0
    }
}

impl NodeId {
    /// The node at a position.
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The position, from zero.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of nodes; grows as needed, two words are held without allocation.
///
/// Sets are ordered as the ascending sequences of their members.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, NodeSet};
///
/// let mut set: NodeSet = [3, 1, 200].into_iter().map(NodeId::new).collect();
/// assert_eq!(set.iter().map(NodeId::index).collect::<Vec<_>>(), [1, 3, 200]);
/// set.remove(NodeId::new(200));
/// assert_eq!(set.len(), 2);
/// assert!(NodeSet::single(NodeId::new(3)).is_subset(&set));
/// assert_eq!(set.difference(&NodeSet::single(NodeId::new(3))), NodeSet::single(NodeId::new(1)));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct NodeSet {
    /// Never ends in a zero word, so that equality of words is equality of sets.
    words: SmallVec<[u64; 2]>,
}

impl NodeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of one node.
    pub fn single(node: NodeId) -> Self {
        let mut set = Self::new();
        set.insert(node);
        set
    }

    /// The nodes with the indices below `count`.
    pub fn all(count: usize) -> Self {
        let mut words = SmallVec::from_elem(u64::MAX, count / WORD);
        if !count.is_multiple_of(WORD) {
            words.push((1 << (count % WORD)) - 1);
        }
        Self { words }
    }

    /// Adds a node; tells whether it is new.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let (word, bit) = place(node);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Removes a node; tells whether it was there.
    pub fn remove(&mut self, node: NodeId) -> bool {
        let (word, bit) = place(node);
        let there = self.contains(node);
        if there {
            self.words[word] &= !bit;
            self.trim();
        }
        there
    }

    /// Tells whether the node is a member.
    #[inline]
    pub fn contains(&self, node: NodeId) -> bool {
        let (word, bit) = place(node);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Tells whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The member of the smallest index.
    pub fn first(&self) -> Option<NodeId> {
        self.iter().next()
    }

    /// The members in ascending order.
    pub fn iter(&self) -> Members<'_> {
        Members {
            words: &self.words,
            position: 0,
            current: self.words.first().copied().unwrap_or(0),
        }
    }

    /// The members of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.extend_with(other);
        result
    }

    /// Adds every member of the other set.
    pub fn extend_with(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, added) in self.words.iter_mut().zip(&other.words) {
            *word |= added;
        }
    }

    /// The members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & b);
        Self::trimmed(words.collect())
    }

    /// The members of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        for (word, gone) in words.iter_mut().zip(&other.words) {
            *word &= !gone;
        }
        Self::trimmed(words)
    }

    /// Tells whether every member is in the other set.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.len() <= other.words.len()
            && self
                .words
                .iter()
                .zip(&other.words)
                .all(|(a, b)| a & !b == 0)
    }

    /// Tells whether no member is in the other set.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & b == 0)
    }

    fn trimmed(words: SmallVec<[u64; 2]>) -> Self {
        let mut set = Self { words };
        set.trim();
        set
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

fn place(node: NodeId) -> (usize, u64) {
    (node.index() / WORD, 1 << (node.index() % WORD))
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = Self::new();
        set.extend(nodes);
        set
    }
}

impl Extend<NodeId> for NodeSet {
    fn extend<I: IntoIterator<Item = NodeId>>(&mut self, nodes: I) {
        for node in nodes {
            self.insert(node);
        }
    }
}

impl From<NodeId> for NodeSet {
    fn from(node: NodeId) -> Self {
        Self::single(node)
    }
}

impl PartialOrd for NodeSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodeSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.iter().map(NodeId::index))
            .finish()
    }
}

impl Serialize for NodeSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for NodeSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<NodeId>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

impl<'a> IntoIterator for &'a NodeSet {
    type Item = NodeId;
    type IntoIter = Members<'a>;

    fn into_iter(self) -> Members<'a> {
        self.iter()
    }
}

/// The members of a [`NodeSet`], ascending.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, NodeSet};
///
/// let set: NodeSet = [2, 0].map(NodeId::new).into_iter().collect();
/// let mut members = set.iter();
/// assert_eq!(members.next(), Some(NodeId::new(0)));
/// assert_eq!(members.next(), Some(NodeId::new(2)));
/// assert_eq!(members.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Members<'a> {
    words: &'a [u64],
    position: usize,
    current: u64,
}

impl Iterator for Members<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        while self.current == 0 {
            self.position += 1;
            self.current = *self.words.get(self.position)?;
        }
        let bit = self.current.trailing_zeros() as usize;
        self.current &= self.current - 1;
        Some(NodeId::new(self.position * WORD + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn build(indices: &BTreeSet<usize>) -> NodeSet {
        indices.iter().map(|&i| NodeId::new(i)).collect()
    }

    fn indices(set: &NodeSet) -> BTreeSet<usize> {
        set.iter().map(NodeId::index).collect()
    }

    #[test]
    fn a_file_cannot_ask_for_memory_by_an_index() {
        let set: NodeSet = serde_json::from_str("[3, 1]").unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), "[1,3]");
        assert!(serde_json::from_str::<NodeSet>("[4294967295]").is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_an_ordered_set(
            a in proptest::collection::btree_set(0_usize..300, 0..20),
            b in proptest::collection::btree_set(0_usize..300, 0..20),
        ) {
            let (x, y) = (build(&a), build(&b));
            prop_assert_eq!(indices(&x.union(&y)), &a | &b);
            prop_assert_eq!(indices(&x.intersection(&y)), &a & &b);
            prop_assert_eq!(indices(&x.difference(&y)), &a - &b);
            prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
            prop_assert_eq!(x.is_disjoint(&y), a.is_disjoint(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.difference(&x), NodeSet::new());
        }
    }

    #[test]
    fn all_has_every_index_below() {
        for count in [0, 1, 63, 64, 65, 128, 130] {
            assert_eq!(NodeSet::all(count), (0..count).map(NodeId::new).collect());
        }
    }

    #[test]
    fn a_far_index_neither_panics_nor_allocates_on_lookup() {
        let set = NodeSet::single(NodeId::new(3));
        assert!(!set.contains(NodeId::new(usize::MAX)));
    }
}
