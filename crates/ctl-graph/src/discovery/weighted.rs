//! A linear model found in data.

use serde::{Deserialize, Serialize};

use crate::stats::Matrix;
use crate::{Diagram, GraphError};

/// An acyclic linear model: an order of the variables and the coefficients along it.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DirectLingamOptions, direct_lingam};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![0.0, 3.0, 1.0, 2.0])])?;
/// let model = direct_lingam(&table, &DirectLingamOptions::default())?;
/// assert_eq!((model.order(), model.names()), ([0].as_slice(), ["x".to_owned()].as_slice()));
/// assert_eq!(model.weights()[(0, 0)], 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightedDag {
    names: Vec<String>,
    order: Vec<usize>,
    weights: Matrix,
}

impl WeightedDag {
    /// A model without edges.
    pub(super) fn empty(names: Vec<String>, order: Vec<usize>) -> Self {
        let size = names.len();
        Self {
            names,
            order,
            weights: Matrix::zeros(size, size),
        }
    }

    /// The model of these weights, `[to, from]`; `None` when they form a cycle.
    pub(super) fn acyclic(names: Vec<String>, weights: Matrix) -> Option<Self> {
        let order = causal_order(&weights)?;
        Some(Self {
            names,
            order,
            weights,
        })
    }

    pub(super) fn set(&mut self, to: usize, from: usize, weight: f64) {
        self.weights[(to, from)] = weight;
    }

    /// The variables' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Positions of the variables, causes before effects.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The coefficients: `weights[(to, from)]` is the direct effect of `from` on `to`.
    pub fn weights(&self) -> &Matrix {
        &self.weights
    }

    /// The edges with their coefficients, as (from, to, weight), ascending by their ends.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let size = self.names.len();
        let pairs = (0..size).flat_map(move |from| (0..size).map(move |to| (from, to)));
        pairs
            .map(|(from, to)| (from, to, self.weights[(to, from)]))
            .filter(|edge| edge.2 != 0.0)
    }

    /// The diagram of the nonzero coefficients.
    ///
    /// # Errors
    /// [`GraphError::EmptyName`] for a column without a name.
    pub fn to_diagram(&self) -> Result<Diagram, GraphError> {
        let mut nodes = self.names.iter();
        let builder = nodes.try_fold(Diagram::builder(), |builder, name| builder.node(name))?;
        let built = self.edges().try_fold(builder, |builder, (from, to, _)| {
            builder.directed(&self.names[from], &self.names[to])
        });
        built?.build()
    }
}

/// Variables in an order in which causes come first, the smallest position among those possible.
fn causal_order(weights: &Matrix) -> Option<Vec<usize>> {
    let size = weights.rows();
    let mut order: Vec<usize> = Vec::with_capacity(size);
    let mut placed = vec![false; size];
    while order.len() < size {
        let free = |v: &usize| {
            let caused = (0..size).any(|from| !placed[from] && weights[(*v, from)] != 0.0);
            !placed[*v] && !caused
        };
        let next = (0..size).find(free)?;
        placed[next] = true;
        order.push(next);
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_have_no_order() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let mut weights = Matrix::zeros(2, 2);
        weights[(0, 1)] = 1.0;
        let model = WeightedDag::acyclic(names(), weights.clone()).unwrap();
        assert_eq!(model.order(), [1, 0]);
        assert!(model.to_diagram().unwrap().is_dag());
        weights[(1, 0)] = 1.0;
        assert!(WeightedDag::acyclic(names(), weights).is_none());
    }
}
