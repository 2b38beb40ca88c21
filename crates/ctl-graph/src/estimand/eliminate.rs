//! Sums over products of tables.

use std::rc::Rc;

use super::{EstimandError, Factor};
use crate::{NodeId, NodeSet};

/// Multiplies tables and sums variables out, the cheapest first.
///
/// A zero times an undefined value is zero, which distributes over sums of non-negative numbers:
/// the order of elimination does not matter.
///
/// # Arguments
/// - `card`: number of states of a summed variable that no table has.
pub(crate) fn sum_product(
    over: &NodeSet,
    mut tables: Vec<Rc<Factor>>,
    card: impl Fn(NodeId) -> Result<usize, EstimandError>,
) -> Result<Factor, EstimandError> {
    let mut left = over.clone();
    while let Some(node) = cheapest(&left, &tables) {
        left.remove(node);
        let holds = |table: &Rc<Factor>| table.card(node).is_some();
        let (with, without): (Vec<_>, Vec<_>) = tables.into_iter().partition(holds);
        tables = without;
        tables.push(Rc::new(if with.is_empty() {
            Factor::scalar(card(node)? as f64)
        } else {
            multiply(&with)?.sum_out(&node.into())
        }));
    }
    multiply(&tables)
}

fn multiply(tables: &[Rc<Factor>]) -> Result<Factor, EstimandError> {
    let times = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
    tables
        .iter()
        .try_fold(Factor::scalar(1.0), |product, table| {
            product.combine(table, times)
        })
}

/// The variable whose elimination makes the smallest table, the first by index among equals.
fn cheapest(left: &NodeSet, tables: &[Rc<Factor>]) -> Option<NodeId> {
    let costs = left.iter().map(|node| (cells_with(node, tables), node));
    costs.min_by(|a, b| a.0.total_cmp(&b.0)).map(|best| best.1)
}

/// Cells of the product of the tables that have a variable.
fn cells_with(node: NodeId, tables: &[Rc<Factor>]) -> f64 {
    let mut axes = NodeSet::new();
    let mut cells = 1.0;
    for table in tables.iter().filter(|table| table.card(node).is_some()) {
        for (&axis, &card) in table.axes().iter().zip(table.cards()) {
            if axes.insert(axis) {
                cells *= card as f64;
            }
        }
    }
    cells
}
