//! Tables over discrete variables, and sums of their products by eliminating one variable at a time.

use std::collections::BTreeSet;

use super::ModelError;

/// The most cells a table may have while variables are eliminated: 512 MiB of `f64`.
const MAX_CELLS: usize = 1 << 26;

/// A non-negative table over some variables, the last of which varies fastest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factor {
    /// Distinct variables in the order of the axes.
    variables: Vec<usize>,
    /// Number of states per axis.
    cardinalities: Vec<usize>,
    values: Vec<f64>,
}

impl Factor {
    /// A table whose shape the caller has checked.
    pub(super) fn new(variables: Vec<usize>, cardinalities: Vec<usize>, values: Vec<f64>) -> Self {
        debug_assert_eq!(variables.len(), cardinalities.len());
        debug_assert_eq!(cardinalities.iter().product::<usize>(), values.len());
        Self {
            variables,
            cardinalities,
            values,
        }
    }

    /// The table that is 1 at one state of a variable and 0 elsewhere.
    pub(super) fn indicator(variable: usize, cardinality: usize, state: usize) -> Self {
        let values = (0..cardinality).map(|other| f64::from(u8::from(other == state)));
        Self::new(vec![variable], vec![cardinality], values.collect())
    }

    pub(super) fn variables(&self) -> &[usize] {
        &self.variables
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    fn axis(&self, variable: usize) -> Option<usize> {
        self.variables.iter().position(|&other| other == variable)
    }

    /// Distance in `values` between neighbouring states along an axis.
    fn stride(&self, axis: usize) -> usize {
        self.cardinalities[axis + 1..].iter().product()
    }

    /// Distances for a list of variables, 0 where this table does not mention one.
    fn strides(&self, variables: &[usize]) -> Vec<usize> {
        let stride = |&variable: &usize| self.axis(variable).map_or(0, |axis| self.stride(axis));
        variables.iter().map(stride).collect()
    }

    fn without_axis(&self, axis: usize, values: Vec<f64>) -> Self {
        let (mut variables, mut cardinalities) =
            (self.variables.clone(), self.cardinalities.clone());
        variables.remove(axis);
        cardinalities.remove(axis);
        Self::new(variables, cardinalities, values)
    }

    /// The slice in which a variable has the given state.
    pub(super) fn at(&self, variable: usize, state: usize) -> Self {
        let Some(axis) = self.axis(variable) else {
            return self.clone();
        };
        let inner = self.stride(axis);
        let blocks = self.values.chunks_exact(inner * self.cardinalities[axis]);
        let slices = blocks.map(|block| &block[inner * state..inner * (state + 1)]);
        self.without_axis(axis, slices.flatten().copied().collect())
    }

    /// `Σ_v self`.
    pub(super) fn sum_out(&self, variable: usize) -> Self {
        let Some(axis) = self.axis(variable) else {
            return self.clone();
        };
        let inner = self.stride(axis);
        let blocks = self.values.chunks_exact(inner * self.cardinalities[axis]);
        let mut values = vec![0.0; self.values.len() / self.cardinalities[axis]];
        for (block, sums) in blocks.zip(values.chunks_exact_mut(inner)) {
            for layer in block.chunks_exact(inner) {
                for (sum, value) in sums.iter_mut().zip(layer) {
                    *sum += value;
                }
            }
        }
        self.without_axis(axis, values)
    }

    /// The product, over the variables of this table followed by the other's new ones.
    fn times(&self, other: &Self) -> Result<Self, ModelError> {
        let (mut variables, mut cardinalities) =
            (self.variables.clone(), self.cardinalities.clone());
        for (&variable, &cardinality) in other.variables.iter().zip(&other.cardinalities) {
            if self.axis(variable).is_none() {
                variables.push(variable);
                cardinalities.push(cardinality);
            }
        }
        let cells = cells(&cardinalities)?;
        let mut left = Walk::new(&cardinalities, self.strides(&variables));
        let mut right = Walk::new(&cardinalities, other.strides(&variables));
        let product = |_| self.values[left.step()] * other.values[right.step()];
        let values = (0..cells).map(product).collect();
        Ok(Self::new(variables, cardinalities, values))
    }

    /// The same table with its axes in the given order, which must name each of them.
    fn transposed(&self, order: &[usize]) -> Self {
        let axes: Vec<usize> = order.iter().filter_map(|&v| self.axis(v)).collect();
        let cardinalities: Vec<usize> = axes.iter().map(|&axis| self.cardinalities[axis]).collect();
        let mut walk = Walk::new(&cardinalities, self.strides(order));
        let values = (0..self.values.len()).map(|_| self.values[walk.step()]);
        let values = values.collect();
        Self::new(order.to_vec(), cardinalities, values)
    }
}

/// The number of cells of a table, or an error where it would not fit.
fn cells(cardinalities: &[usize]) -> Result<usize, ModelError> {
    let cells = cardinalities
        .iter()
        .try_fold(1_usize, |cells, &states| cells.checked_mul(states));
    cells
        .filter(|&cells| cells <= MAX_CELLS)
        .ok_or(ModelError::TooLarge { limit: MAX_CELLS })
}

/// Visits the cells of a table in row-major order, answering with offsets into another one.
struct Walk<'a> {
    cardinalities: &'a [usize],
    strides: Vec<usize>,
    states: Vec<usize>,
    offset: usize,
}

impl<'a> Walk<'a> {
    fn new(cardinalities: &'a [usize], strides: Vec<usize>) -> Self {
        Self {
            states: vec![0; cardinalities.len()],
            cardinalities,
            strides,
            offset: 0,
        }
    }

    /// The offset of the current cell; moves on to the next one.
    fn step(&mut self) -> usize {
        let offset = self.offset;
        for axis in (0..self.states.len()).rev() {
            self.states[axis] += 1;
            self.offset += self.strides[axis];
            if self.states[axis] < self.cardinalities[axis] {
                break;
            }
            self.offset -= self.strides[axis] * self.cardinalities[axis];
            self.states[axis] = 0;
        }
        offset
    }
}

/// `Σ Π factors` over every variable that is not kept, with the axes in the order of `keep`.
///
/// The variable whose elimination makes the smallest table goes first (min-weight); ties go to
/// the smaller index, so that the result does not depend on the order of the factors' variables.
pub(super) fn sum_product(mut factors: Vec<Factor>, keep: &[usize]) -> Result<Factor, ModelError> {
    let mentioned = factors.iter().flat_map(|factor| factor.variables.iter());
    let mut left: BTreeSet<usize> = mentioned.copied().collect();
    for variable in keep {
        left.remove(variable);
    }
    while let Some(&variable) = left.iter().min_by_key(|&&v| (weight(&factors, v), v)) {
        left.remove(&variable);
        let (bucket, rest): (Vec<_>, Vec<_>) = factors
            .into_iter()
            .partition(|factor| factor.axis(variable).is_some());
        factors = rest;
        factors.push(product(&bucket)?.sum_out(variable));
    }
    Ok(product(&factors)?.transposed(keep))
}

/// Cells of the table that eliminating a variable would build.
fn weight(factors: &[Factor], variable: usize) -> usize {
    let mut seen = BTreeSet::new();
    let mut cells = 1_usize;
    for factor in factors.iter().filter(|f| f.axis(variable).is_some()) {
        for (&other, &states) in factor.variables.iter().zip(&factor.cardinalities) {
            if seen.insert(other) {
                cells = cells.saturating_mul(states);
            }
        }
    }
    cells
}

fn product(factors: &[Factor]) -> Result<Factor, ModelError> {
    let one = Factor::new(Vec::new(), Vec::new(), vec![1.0]);
    factors
        .iter()
        .try_fold(one, |product, factor| product.times(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Factor, Factor) {
        let a = Factor::new(vec![0, 1], vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = Factor::new(vec![2, 1], vec![2, 3], vec![1.0, 0.0, 2.0, 0.5, 1.0, 0.0]);
        (a, b)
    }

    #[test]
    fn slices_and_sums_follow_the_axes() {
        let (a, _) = pair();
        assert_eq!(a.at(1, 2).values(), [3.0, 6.0]);
        assert_eq!(a.at(0, 1).values(), [4.0, 5.0, 6.0]);
        assert_eq!(a.sum_out(1).values(), [6.0, 15.0]);
        assert_eq!(a.sum_out(0).values(), [5.0, 7.0, 9.0]);
        assert_eq!(a.sum_out(9), a);
    }

    #[test]
    fn elimination_is_a_matrix_product() {
        // Σ_1 A[0, 1] B[2, 1] = A Bᵀ, by hand: rows (1·1 + 3·2, 1·½ + 2·1), (4·1 + 6·2, 4·½ + 5·1).
        let (a, b) = pair();
        let kept = sum_product(vec![a.clone(), b.clone()], &[0, 2]).unwrap();
        assert_eq!(kept.values(), [7.0, 2.5, 16.0, 7.0]);
        let turned = sum_product(vec![a, b], &[2, 0]).unwrap();
        assert_eq!(turned.values(), [7.0, 16.0, 2.5, 7.0]);
    }

    #[test]
    fn a_table_beyond_memory_is_an_error() {
        let wide = (0..4).map(|v| Factor::new(vec![v, 99], vec![1024, 2], vec![1.0; 2048]));
        let outcome = sum_product(wide.collect(), &[0, 1, 2, 3]);
        assert!(matches!(outcome, Err(ModelError::TooLarge { .. })));
    }
}
