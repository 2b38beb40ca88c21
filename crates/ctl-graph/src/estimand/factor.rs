//! Tables over discrete variables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EstimandError;
use crate::{NodeId, NodeSet};

/// Cells that a table may have: half a gigabyte of numbers.
const MAX_CELLS: usize = 1 << 26;

/// A non-negative function of discrete variables, for instance a joint distribution.
///
/// Values are stored row-major, the axes ascending by node.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, estimand::Factor};
///
/// let diagram = Diagram::parse("disease -> test")?;
/// let (disease, test) = (diagram.node("disease")?, diagram.node("test")?);
/// let joint = Factor::new(&[test, disease], &[2, 2], vec![0.81, 0.02, 0.09, 0.08])?;
/// assert_eq!(joint.values(), [0.81, 0.09, 0.02, 0.08]);
/// let positive = joint.sum_out(&disease.into());
/// assert!((positive.value(&[(test, 1)]).unwrap() - 0.17).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Factor {
    axes: Vec<NodeId>,
    cards: Vec<usize>,
    values: Vec<f64>,
}

/// What a file holds before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    axes: Vec<NodeId>,
    cards: Vec<usize>,
    values: Vec<f64>,
}

impl TryFrom<Unchecked> for Factor {
    type Error = EstimandError;

    fn try_from(raw: Unchecked) -> Result<Self, EstimandError> {
        Self::new(&raw.axes, &raw.cards, raw.values)
    }
}

impl Factor {
    /// A table from its cells.
    ///
    /// # Arguments
    /// - `axes`: `[D]` variables in any order.
    /// - `cards`: `[D]` numbers of states, at least 1.
    /// - `values`: row-major in the order of `axes`, finite and not negative.
    ///
    /// # Errors
    /// [`EstimandError::Shape`], [`EstimandError::RepeatedAxis`], [`EstimandError::InvalidValue`]
    /// and [`EstimandError::TooLarge`] for arguments that do not fit together.
    pub fn new(axes: &[NodeId], cards: &[usize], values: Vec<f64>) -> Result<Self, EstimandError> {
        check_shape(axes, cards, &values)?;
        let invalid = |value: &f64| !(value.is_finite() && *value >= 0.0);
        if let Some(index) = values.iter().position(invalid) {
            return Err(EstimandError::InvalidValue {
                index,
                found: values[index],
            });
        }
        let given = Self {
            axes: axes.to_vec(),
            cards: cards.to_vec(),
            values,
        };
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        Ok(given.arranged(&sorted))
    }

    /// Relative frequencies of the rows of data, the plug-in estimate of their distribution.
    ///
    /// p(c) = (n(c) + a) / (N + a K), with a = `pseudo_count` and K cells.
    ///
    /// # Arguments
    /// - `axes`, `cards`: `[D]` variables and their numbers of states.
    /// - `columns`: `[D, N]` states, each below its variable's number.
    /// - `pseudo_count`: added to each cell, at least 0.
    ///
    /// # Errors
    /// Those of [`Factor::new`], [`EstimandError::InvalidState`] for a state out of range, and
    /// [`EstimandError::Shape`] for columns of unequal length or without rows.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, estimand::Factor};
    ///
    /// let diagram = Diagram::parse("x -> y")?;
    /// let axes = [diagram.node("x")?, diagram.node("y")?];
    /// let table = Factor::from_samples(&axes, &[2, 2], &[&[0, 0, 1, 1], &[0, 1, 1, 1]], 0.0)?;
    /// assert_eq!(table.values(), [0.25, 0.25, 0.0, 0.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_samples(
        axes: &[NodeId],
        cards: &[usize],
        columns: &[&[usize]],
        pseudo_count: f64,
    ) -> Result<Self, EstimandError> {
        let rows = check_samples(axes, cards, columns)?;
        let cells = cell_count(cards)?;
        let mut counts = vec![pseudo_count; cells];
        for row in 0..rows {
            let place = columns
                .iter()
                .zip(cards)
                .fold(0, |at, (col, card)| at * card + col[row]);
            counts[place] += 1.0;
        }
        let total = rows as f64 + pseudo_count * cells as f64;
        for count in &mut counts {
            *count /= total;
        }
        Self::new(axes, cards, counts)
    }

    /// A number, as a table without axes.
    pub(crate) fn scalar(value: f64) -> Self {
        Self {
            axes: Vec::new(),
            cards: Vec::new(),
            values: vec![value],
        }
    }

    /// The variables, ascending.
    pub fn axes(&self) -> &[NodeId] {
        &self.axes
    }

    /// The numbers of states, in the order of the axes.
    pub fn cards(&self) -> &[usize] {
        &self.cards
    }

    /// The cells, row-major in the order of the axes.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The cell at an assignment of every axis; `None` if one is missing or out of range.
    pub fn value(&self, assignment: &[(NodeId, usize)]) -> Option<f64> {
        let mut place = 0;
        for (axis, &card) in self.axes.iter().zip(&self.cards) {
            let state = assignment.iter().find(|pair| pair.0 == *axis)?.1;
            if state >= card {
                return None;
            }
            place = place * card + state;
        }
        self.values.get(place).copied()
    }

    /// The cells, row-major in another order of the axes.
    ///
    /// # Errors
    /// [`EstimandError::Shape`] unless `order` has exactly the table's axes.
    pub fn in_order(&self, order: &[NodeId]) -> Result<Vec<f64>, EstimandError> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != self.axes {
            let (expected, found) = (self.axes.len(), order.len());
            return Err(EstimandError::Shape {
                subject: "order",
                expected,
                found,
            });
        }
        Ok(self.arranged(order).values)
    }

    /// Sums over all states of some variables; those that are no axis are passed over.
    #[must_use]
    pub fn sum_out(&self, variables: &NodeSet) -> Self {
        let keep = |axis: &NodeId| !variables.contains(*axis);
        if self.axes.iter().all(keep) {
            return self.clone();
        }
        let (axes, cards) = self.shape_where(keep);
        let mut result = Self::filled(axes, cards, 0.0);
        let strides = result.strides_along(&self.axes);
        let mut cells = self.values.iter();
        visit(&self.cards, [&strides], |[to]| {
            result.values[to] += cells.next().copied().unwrap_or(0.0);
        });
        result
    }

    /// The slice at which some variables have given states; variables that are no axis are passed
    /// over.
    ///
    /// # Errors
    /// [`EstimandError::InvalidState`] for a state beyond the variable's number.
    pub fn at(&self, states: &[(NodeId, usize)]) -> Result<Self, EstimandError> {
        let mut start = 0;
        let own = self.strides_along(&self.axes);
        for &(node, state) in states {
            if let Some(i) = self.axes.iter().position(|axis| *axis == node) {
                if state >= self.cards[i] {
                    let (node, expected) = (node.index(), self.cards[i]);
                    return Err(EstimandError::InvalidState {
                        node,
                        expected,
                        found: state,
                    });
                }
                start += own[i] * state;
            }
        }
        let (axes, cards) = self.shape_where(|axis| states.iter().all(|pair| pair.0 != *axis));
        let strides = self.strides_along(&axes);
        let mut values = Vec::with_capacity(cards.iter().product());
        visit(&cards, [&strides], |[from]| {
            values.push(self.values[start + from]);
        });
        Ok(Self {
            axes,
            cards,
            values,
        })
    }

    /// Number of states of an axis.
    pub(crate) fn card(&self, node: NodeId) -> Option<usize> {
        self.axes
            .iter()
            .position(|axis| *axis == node)
            .map(|i| self.cards[i])
    }

    /// Combines two tables cell by cell over the union of their axes.
    pub(crate) fn combine(
        &self,
        other: &Self,
        operation: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, EstimandError> {
        let mut shape: BTreeMap<NodeId, usize> = self.shape();
        shape.extend(other.shape());
        let axes: Vec<NodeId> = shape.keys().copied().collect();
        let cards: Vec<usize> = shape.into_values().collect();
        let mut values = Vec::with_capacity(cell_count(&cards)?);
        let strides = [&self.strides_along(&axes), &other.strides_along(&axes)];
        visit(&cards, strides, |[a, b]| {
            values.push(operation(self.values[a], other.values[b]));
        });
        Ok(Self {
            axes,
            cards,
            values,
        })
    }

    /// Repeats the table along a further variable.
    pub(crate) fn repeated(&self, node: NodeId, card: usize) -> Result<Self, EstimandError> {
        self.combine(&Self::filled(vec![node], vec![card], 1.0), |value, _| value)
    }

    /// Position of the first cell that holds no number, as states of the axes.
    pub(crate) fn undefined_cell(&self) -> Option<Vec<(NodeId, usize)>> {
        let place = self.values.iter().position(|value| value.is_nan())?;
        Some(self.states(place))
    }

    /// The states at a position.
    pub(crate) fn states(&self, mut place: usize) -> Vec<(NodeId, usize)> {
        let mut states = Vec::with_capacity(self.axes.len());
        for (&axis, &card) in self.axes.iter().zip(&self.cards).rev() {
            states.push((axis, place % card));
            place /= card;
        }
        states.reverse();
        states
    }

    /// Drops some axes, taking for each remaining cell the first number along them.
    pub(crate) fn first_defined(&self, dropped: &NodeSet) -> Self {
        let (axes, cards) = self.shape_where(|axis| !dropped.contains(*axis));
        let mut result = Self::filled(axes, cards, f64::NAN);
        let strides = result.strides_along(&self.axes);
        let mut cells = self.values.iter();
        visit(&self.cards, [&strides], |[to]| {
            let value = cells.next().copied().unwrap_or(f64::NAN);
            if result.values[to].is_nan() {
                result.values[to] = value;
            }
        });
        result
    }

    fn filled(axes: Vec<NodeId>, cards: Vec<usize>, value: f64) -> Self {
        let values = vec![value; cards.iter().product()];
        Self {
            axes,
            cards,
            values,
        }
    }

    fn shape(&self) -> BTreeMap<NodeId, usize> {
        self.axes
            .iter()
            .copied()
            .zip(self.cards.iter().copied())
            .collect()
    }

    fn shape_where(&self, keep: impl Fn(&NodeId) -> bool) -> (Vec<NodeId>, Vec<usize>) {
        self.axes
            .iter()
            .copied()
            .zip(self.cards.iter().copied())
            .filter(|(a, _)| keep(a))
            .unzip()
    }

    /// How far one step along each of the given axes leads in this table; 0 for foreign ones.
    fn strides_along(&self, axes: &[NodeId]) -> Vec<usize> {
        let mut stride = 1;
        let mut own = vec![0; self.axes.len()];
        for (i, card) in self.cards.iter().enumerate().rev() {
            own[i] = stride;
            stride *= card;
        }
        let of = |axis| {
            self.axes
                .iter()
                .position(|a| a == axis)
                .map_or(0, |i| own[i])
        };
        axes.iter().map(of).collect()
    }

    /// The same cells with the axes in another order, which must be a permutation.
    fn arranged(&self, order: &[NodeId]) -> Self {
        let strides = self.strides_along(order);
        let cards: Vec<usize> = order.iter().filter_map(|&axis| self.card(axis)).collect();
        let mut values = Vec::with_capacity(self.values.len());
        visit(&cards, [&strides], |[from]| values.push(self.values[from]));
        Self {
            axes: order.to_vec(),
            cards,
            values,
        }
    }
}

/// Calls `action` for every cell in row-major order with its offset under each set of strides.
fn visit<const N: usize>(
    cards: &[usize],
    strides: [&Vec<usize>; N],
    mut action: impl FnMut([usize; N]),
) {
    let mut states = vec![0; cards.len()];
    let mut offsets = [0; N];
    loop {
        action(offsets);
        let Some(axis) = (0..cards.len()).rev().find(|&i| states[i] + 1 < cards[i]) else {
            return;
        };
        states[axis] += 1;
        for (offset, stride) in offsets.iter_mut().zip(strides) {
            *offset += stride[axis];
            for after in axis + 1..cards.len() {
                *offset -= stride[after] * states[after];
            }
        }
        states[axis + 1..].fill(0);
    }
}

fn cell_count(cards: &[usize]) -> Result<usize, EstimandError> {
    let cells = cards
        .iter()
        .try_fold(1_usize, |cells, &card| cells.checked_mul(card));
    cells
        .filter(|&cells| cells <= MAX_CELLS)
        .ok_or(EstimandError::TooLarge { limit: MAX_CELLS })
}

fn check_shape(axes: &[NodeId], cards: &[usize], values: &[f64]) -> Result<(), EstimandError> {
    if axes.len() != cards.len() {
        let (expected, found) = (axes.len(), cards.len());
        return Err(EstimandError::Shape {
            subject: "cards",
            expected,
            found,
        });
    }
    if cards.contains(&0) {
        return Err(EstimandError::Shape {
            subject: "states",
            expected: 1,
            found: 0,
        });
    }
    for (i, axis) in axes.iter().enumerate() {
        if axes[..i].contains(axis) {
            return Err(EstimandError::RepeatedAxis {
                index: axis.index(),
            });
        }
    }
    let expected = cell_count(cards)?;
    if values.len() != expected {
        return Err(EstimandError::Shape {
            subject: "values",
            expected,
            found: values.len(),
        });
    }
    Ok(())
}

fn check_samples(
    axes: &[NodeId],
    cards: &[usize],
    columns: &[&[usize]],
) -> Result<usize, EstimandError> {
    if columns.len() != axes.len() || cards.len() != axes.len() {
        let found = if columns.len() == axes.len() {
            cards.len()
        } else {
            columns.len()
        };
        return Err(EstimandError::Shape {
            subject: "columns",
            expected: axes.len(),
            found,
        });
    }
    let rows = columns.first().map_or(0, |column| column.len());
    if rows == 0 {
        return Err(EstimandError::Shape {
            subject: "rows",
            expected: 1,
            found: 0,
        });
    }
    for ((axis, &card), column) in axes.iter().zip(cards).zip(columns) {
        if column.len() != rows {
            let found = column.len();
            return Err(EstimandError::Shape {
                subject: "rows",
                expected: rows,
                found,
            });
        }
        if let Some(&found) = column.iter().find(|&&state| state >= card) {
            let node = axis.index();
            return Err(EstimandError::InvalidState {
                node,
                expected: card,
                found,
            });
        }
    }
    Ok(rows)
}
