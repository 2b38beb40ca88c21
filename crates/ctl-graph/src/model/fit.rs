//! Fitting mechanisms to data: least squares, spline terms, and counted tables.

use nalgebra::{DMatrix, DVector};

use super::{
    Basis, BayesianNetwork, ConditionalTable, Formula, LinearGaussian, Mechanism, ModelError,
    Noise, Scm, validate,
};
use crate::graph::{Diagram, NodeId};

/// Singular values below this share of the largest one count as 0.
const RANK_TOLERANCE: f64 = 1e-10;

/// A least-squares fit: the coefficients (the constant first) and what they leave.
struct Fit {
    coefficients: DVector<f64>,
    residuals: Vec<f64>,
}

impl LinearGaussian {
    /// Fits every node to its parents by least squares.
    ///
    /// Error variances are residual sums of squares over `N − p − 1` for `p` parents.
    ///
    /// # Arguments
    /// - `diagram`: a DAG.
    /// - `columns`: the values of each node, in node order, all of length `N`.
    ///
    /// # Errors
    /// [`ModelError::Bidirected`] (errors with a common cause bias least squares),
    /// [`ModelError::Shape`], [`ModelError::Value`], [`ModelError::TooFewRows`], and
    /// [`ModelError::Singular`] for parents that are linearly dependent.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, model::LinearGaussian};
    ///
    /// let diagram = Diagram::parse("age -> volume")?;
    /// let (age, volume) = (diagram.node("age")?, diagram.node("volume")?);
    /// let columns = [vec![0.0, 1.0, 2.0, 3.0], vec![1.0, 3.5, 4.5, 7.0]];
    /// let model = LinearGaussian::fit(&diagram, &columns)?;
    /// // The slope and the intercept of the regression line, by hand.
    /// assert!((model.coefficient(age, volume) - 1.9).abs() < 1e-12);
    /// assert!((model.intercept(volume) - 1.15).abs() < 1e-12);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn fit(diagram: &Diagram, columns: &[Vec<f64>]) -> Result<Self, ModelError> {
        validate::is_dag(diagram)?;
        let rows = validate::columns(diagram, columns)?;
        let mut builder = Self::builder(diagram.clone());
        for node in diagram.ids() {
            let parents: Vec<NodeId> = diagram.parents(node).iter().collect();
            let design = parents.iter().map(|parent| columns[parent.index()].clone());
            let fit = least_squares(diagram, node, design.collect(), columns)?;
            builder = builder.intercept(node, fit.coefficients[0]);
            for (&parent, &value) in parents.iter().zip(fit.coefficients.iter().skip(1)) {
                builder = builder.coefficient(parent, node, value);
            }
            let squares: f64 = fit
                .residuals
                .iter()
                .map(|residual| residual * residual)
                .sum();
            builder = builder.error_variance(node, squares / (rows - parents.len() - 1) as f64);
        }
        builder.build()
    }
}

impl Scm {
    /// Fits every node additively to its parents: a linear spline in each of them, plus noise
    /// drawn from the residuals.
    ///
    /// # Arguments
    /// - `diagram`: a DAG.
    /// - `columns`: the values of each node, in node order, all of length `N`.
    /// - `knots`: inner knots per parent, at its quantiles; 0 makes the fit linear.
    ///
    /// # Errors
    /// Those of [`LinearGaussian::fit`], except that a spline's terms may be dependent: the
    /// solution of least norm is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{Intervention, Scm};
    ///
    /// let diagram = Diagram::parse("x -> y")?;
    /// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
    /// let xs: Vec<f64> = (-50..=50).map(|i| f64::from(i) / 10.0).collect();
    /// let columns = [xs.clone(), xs.iter().map(|x| x.abs()).collect()];
    /// let model = Scm::fit_additive(&diagram, &columns, 1)?;
    /// // One knot at the median, 0, is just what |x| needs.
    /// let other = model.counterfactual(&[(x, 1.0), (y, 1.0)], &[(x, Intervention::Set(-3.0))])?;
    /// assert!((other[y.index()] - 3.0).abs() < 1e-9);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn fit_additive(
        diagram: &Diagram,
        columns: &[Vec<f64>],
        knots: usize,
    ) -> Result<Self, ModelError> {
        validate::is_dag(diagram)?;
        validate::columns(diagram, columns)?;
        let mut builder = Self::builder(diagram.clone());
        for node in diagram.ids() {
            let parents = diagram.parents(node).iter();
            let terms: Vec<(NodeId, Basis)> = parents
                .flat_map(|parent| {
                    let spline = spline(&columns[parent.index()], knots).into_iter();
                    spline.map(move |basis| (parent, basis))
                })
                .collect();
            let evaluate = |&(parent, basis): &(NodeId, Basis)| {
                columns[parent.index()]
                    .iter()
                    .map(|&x| basis.at(x))
                    .collect()
            };
            let design = terms.iter().map(evaluate).collect();
            let fit = least_norm(diagram, node, design, columns)?;
            let mut formula = Formula::constant(fit.coefficients[0]);
            for (&(parent, basis), &value) in terms.iter().zip(fit.coefficients.iter().skip(1)) {
                formula = formula.plus(parent, basis, value);
            }
            builder = builder.node(
                node,
                Mechanism::Additive(formula),
                Noise::Empirical(fit.residuals),
            );
        }
        builder.build()
    }
}

impl BayesianNetwork {
    /// Fits every node's table by counting.
    ///
    /// `P(v | parents) = (count(v, parents) + a) / (count(parents) + a · states)` with the
    /// pseudo-count `a`.
    ///
    /// # Arguments
    /// - `diagram`: a DAG.
    /// - `cardinalities`: number of states of each node, in node order.
    /// - `columns`: the states of each node, in node order, all of one length.
    /// - `pseudo_count`: added to every cell; 0 is maximum likelihood.
    ///
    /// # Errors
    /// [`ModelError::Shape`], [`ModelError::State`], [`ModelError::Value`] for a negative
    /// pseudo-count, [`ModelError::TooFewRows`] where a pseudo-count of 0 meets parents' states
    /// that never occur, and those of [`BayesianNetwork::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, model::BayesianNetwork};
    ///
    /// let diagram = Diagram::parse("site -> disease")?;
    /// let columns = [vec![0, 0, 0, 1], vec![0, 0, 1, 1]];
    /// let network = BayesianNetwork::fit(diagram, vec![2, 2], &columns, 1.0)?;
    /// assert_eq!(network.tables()[1].values, [3.0 / 5.0, 2.0 / 5.0, 1.0 / 3.0, 2.0 / 3.0]);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn fit(
        diagram: Diagram,
        cardinalities: Vec<usize>,
        columns: &[Vec<usize>],
        pseudo_count: f64,
    ) -> Result<Self, ModelError> {
        validate::non_negative("pseudo-count", pseudo_count)?;
        validate::length("cardinalities", diagram.len(), cardinalities.len())?;
        validate::length("columns", diagram.len(), columns.len())?;
        for (node, column) in diagram.ids().zip(columns) {
            validate::length(diagram.name(node), columns[0].len(), column.len())?;
            let mut states = column.iter();
            states.try_for_each(|&s| validate::state(&diagram, node, &cardinalities, s))?;
        }
        let counting = Counting {
            diagram: &diagram,
            cardinalities: &cardinalities,
            columns,
        };
        let tables = diagram.ids().map(|node| counting.table(node, pseudo_count));
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        Self::new(diagram, cardinalities, tables)
    }
}

struct Counting<'a> {
    diagram: &'a Diagram,
    cardinalities: &'a [usize],
    columns: &'a [Vec<usize>],
}

impl Counting<'_> {
    fn table(&self, node: NodeId, pseudo_count: f64) -> Result<ConditionalTable, ModelError> {
        let parents: Vec<NodeId> = self.diagram.parents(node).iter().collect();
        let states = self.cardinalities[node.index()];
        let rows: usize = parents
            .iter()
            .map(|p| self.cardinalities[p.index()])
            .product();
        let mut values = vec![pseudo_count; rows * states];
        for (case, &state) in self.columns[node.index()].iter().enumerate() {
            let row = parents.iter().fold(0, |row, parent| {
                row * self.cardinalities[parent.index()] + self.columns[parent.index()][case]
            });
            values[row * states + state] += 1.0;
        }
        for row in values.chunks_exact_mut(states) {
            let sum: f64 = row.iter().sum();
            if sum <= 0.0 {
                let node = self.diagram.name(node).to_owned();
                return Err(ModelError::TooFewRows {
                    node,
                    expected: 1,
                    found: 0,
                });
            }
            for value in row {
                *value /= sum;
            }
        }
        Ok(ConditionalTable { parents, values })
    }
}

/// The identity, and a hinge at each inner quantile.
fn spline(values: &[f64], knots: usize) -> Vec<Basis> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let hinges = (1..=knots).map(|knot| {
        let place = knot * (sorted.len() - 1) / (knots + 1);
        Basis::Hinge(sorted[place])
    });
    std::iter::once(Basis::Identity).chain(hinges).collect()
}

/// Least squares that insists on independent columns.
fn least_squares(
    diagram: &Diagram,
    node: NodeId,
    design: Vec<Vec<f64>>,
    columns: &[Vec<f64>],
) -> Result<Fit, ModelError> {
    solve(diagram, node, design, columns, true)
}

/// Least squares of least norm.
fn least_norm(
    diagram: &Diagram,
    node: NodeId,
    design: Vec<Vec<f64>>,
    columns: &[Vec<f64>],
) -> Result<Fit, ModelError> {
    solve(diagram, node, design, columns, false)
}

fn solve(
    diagram: &Diagram,
    node: NodeId,
    mut design: Vec<Vec<f64>>,
    columns: &[Vec<f64>],
    full_rank: bool,
) -> Result<Fit, ModelError> {
    let outcome = &columns[node.index()];
    let (rows, expected) = (outcome.len(), design.len() + 2);
    if rows < expected {
        let node = diagram.name(node).to_owned();
        return Err(ModelError::TooFewRows {
            node,
            expected,
            found: rows,
        });
    }
    design.insert(0, vec![1.0; rows]);
    let matrix = DMatrix::from_columns(
        &design
            .into_iter()
            .map(DVector::from_vec)
            .collect::<Vec<_>>(),
    );
    // Columns of unit length, so that units do not decide what counts as dependent.
    let norms = DVector::from_iterator(
        matrix.ncols(),
        matrix
            .column_iter()
            .map(|column| column.norm().max(f64::MIN_POSITIVE)),
    );
    let mut scaled = matrix.clone();
    for (mut column, norm) in scaled.column_iter_mut().zip(norms.iter()) {
        column /= *norm;
    }
    let svd = scaled.svd(true, true);
    let singular = ModelError::Singular {
        subject: "parents' values",
    };
    let threshold = RANK_TOLERANCE * svd.singular_values.max();
    if full_rank && svd.rank(threshold) < matrix.ncols() {
        return Err(singular);
    }
    let outcome = DVector::from_column_slice(outcome);
    let coefficients = svd.solve(&outcome, threshold).map_err(|_| singular)?;
    let coefficients = coefficients.component_div(&norms);
    let residuals = outcome - matrix * &coefficients;
    Ok(Fit {
        coefficients,
        residuals: residuals.iter().copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_model_is_recovered_from_its_samples() {
        let diagram = Diagram::parse("x -> m -> y; x -> y").unwrap();
        let [x, m, y] = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
        let model = Scm::builder(diagram.clone())
            .node(x, Mechanism::linear(1.0, &[]), Noise::normal(2.0))
            .node(m, Mechanism::linear(0.0, &[(x, -0.5)]), Noise::normal(1.0))
            .node(
                y,
                Mechanism::linear(3.0, &[(x, 1.0), (m, 2.0)]),
                Noise::normal(0.5),
            )
            .build()
            .unwrap();
        let samples = model.sample(20_000, 1).unwrap();
        let fitted = LinearGaussian::fit(&diagram, samples.columns()).unwrap();
        // Five standard errors at this size.
        assert!((fitted.coefficient(x, m) + 0.5).abs() < 0.02);
        assert!((fitted.coefficient(m, y) - 2.0).abs() < 0.02);
        assert!((fitted.total_effect(x, y).unwrap() - 0.0).abs() < 0.04);
        assert!((fitted.error_covariance(y, y) - 0.25).abs() < 0.02);
    }

    #[test]
    fn unusable_data_are_errors() {
        let diagram = Diagram::parse("a -> c; b -> c").unwrap();
        let same = vec![1.0, 2.0, 4.0, 8.0, 9.0];
        let double = same.iter().map(|value| 2.0 * value).collect();
        let fit = |columns: &[Vec<f64>]| LinearGaussian::fit(&diagram, columns);
        let collinear = fit(&[same.clone(), double, same.clone()]);
        assert!(matches!(collinear, Err(ModelError::Singular { .. })));
        let short = fit(&[vec![1.0], vec![2.0], vec![3.0]]);
        assert!(matches!(short, Err(ModelError::TooFewRows { .. })));
        let uneven = fit(&[same.clone(), vec![1.0], same.clone()]);
        assert!(matches!(uneven, Err(ModelError::Shape { .. })));
        let nan = fit(&[same.clone(), vec![f64::NAN; 5], same]);
        assert!(matches!(nan, Err(ModelError::Value { .. })));
    }

    #[test]
    fn rows_that_never_occur_need_a_pseudo_count() {
        let diagram = Diagram::parse("a -> b").unwrap();
        let columns = [vec![0, 0], vec![0, 1]];
        let fit = |a| BayesianNetwork::fit(diagram.clone(), vec![2, 2], &columns, a);
        assert!(matches!(fit(0.0), Err(ModelError::TooFewRows { .. })));
        assert_eq!(fit(1.0).unwrap().tables()[1].values[2..], [0.5, 0.5]);
        assert!(matches!(fit(-1.0), Err(ModelError::Value { .. })));
    }
}
