//! Fitting mechanisms to data: least squares, spline terms, and counted tables.

use nalgebra::{DMatrix, DVector};

use super::{
    Basis, BayesianNetwork, ConditionalTable, Formula, LinearGaussian, Mechanism, ModelError,
    Noise, Scm, validate,
};
use crate::graph::{Diagram, NodeId};

/// Singular values below this share of the largest one count as 0.
const RANK_TOLERANCE: f64 = 1e-10;

/// Squared residuals count as at least this share of their mean when scales are fitted.
const SQUARE_FLOOR: f64 = 1e-6;

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
            let fit = least_squares(diagram, node, design.collect(), &columns[node.index()])?;
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
            let splines = Splines::new(diagram, node, columns, knots);
            let (formula, residuals) = splines.fit(&columns[node.index()])?;
            let noise = Noise::Empirical(residuals);
            builder = builder.node(node, Mechanism::Additive(formula), noise);
        }
        builder.build()
    }

    /// Fits every node's location and scale to its parents: linear splines for the mean, then
    /// for the logarithm of the squared residuals, plus noise drawn from what is left.
    ///
    /// # Arguments
    /// As for [`Scm::fit_additive`].
    ///
    /// # Errors
    /// Those of [`Scm::fit_additive`].
    ///
    /// # References
    /// Harvey (1976), *Estimating regression models with multiplicative heteroscedasticity*: the
    /// first of its two steps. The constant of the log scale is left to the noise.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{Intervention, Scm};
    ///
    /// // y = x ± exp(x), each sign as often.
    /// let diagram = Diagram::parse("x -> y")?;
    /// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
    /// let xs: Vec<f64> = (0..40).map(|i| f64::from(i / 2) / 10.0).collect();
    /// let sign = |i: usize| if i % 2 == 0 { 1.0 } else { -1.0 };
    /// let ys = xs.iter().enumerate().map(|(i, x)| x + sign(i) * x.exp()).collect();
    /// let model = Scm::fit_location_scale(&diagram, &[xs, ys], 0)?;
    /// let other = model.counterfactual(&[(x, 0.0), (y, 1.0)], &[(x, Intervention::Set(1.0))])?;
    /// assert!((other[y.index()] - (1.0 + 1_f64.exp())).abs() < 1e-9);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn fit_location_scale(
        diagram: &Diagram,
        columns: &[Vec<f64>],
        knots: usize,
    ) -> Result<Self, ModelError> {
        validate::is_dag(diagram)?;
        validate::columns(diagram, columns)?;
        let mut builder = Self::builder(diagram.clone());
        for node in diagram.ids() {
            let splines = Splines::new(diagram, node, columns, knots);
            let (location, residuals) = splines.fit(&columns[node.index()])?;
            let (log_scale, noise) = splines.fit_scale(&residuals)?;
            let mechanism = Mechanism::LocationScale {
                location,
                log_scale,
            };
            builder = builder.node(node, mechanism, Noise::Empirical(noise));
        }
        builder.build()
    }
}

/// Spline terms of a node's parents, with their values in the data.
struct Splines<'a> {
    diagram: &'a Diagram,
    node: NodeId,
    columns: &'a [Vec<f64>],
    terms: Vec<(NodeId, Basis)>,
}

impl<'a> Splines<'a> {
    fn new(diagram: &'a Diagram, node: NodeId, columns: &'a [Vec<f64>], knots: usize) -> Self {
        let of_parent = |parent: NodeId| {
            let spline = spline(&columns[parent.index()], knots).into_iter();
            spline.map(move |basis| (parent, basis))
        };
        let terms = diagram.parents(node).iter().flat_map(of_parent).collect();
        Self {
            diagram,
            node,
            columns,
            terms,
        }
    }

    /// The terms that come nearest to an outcome, and what they leave.
    fn fit(&self, outcome: &[f64]) -> Result<(Formula, Vec<f64>), ModelError> {
        let evaluate = |&(parent, basis): &(NodeId, Basis)| {
            let values = self.columns[parent.index()].iter();
            values.map(|&x| basis.at(x)).collect()
        };
        let design = self.terms.iter().map(evaluate).collect();
        let fit = least_norm(self.diagram, self.node, design, outcome)?;
        let mut formula = Formula::constant(fit.coefficients[0]);
        for (&(parent, basis), &value) in self.terms.iter().zip(fit.coefficients.iter().skip(1)) {
            formula = formula.plus(parent, basis, value);
        }
        Ok((formula, fit.residuals))
    }

    /// The log scale without its constant, and the residuals divided by the scale.
    fn fit_scale(&self, residuals: &[f64]) -> Result<(Formula, Vec<f64>), ModelError> {
        let squares = residuals.iter().map(|residual| residual * residual);
        let mean = squares.clone().sum::<f64>() / residuals.len().max(1) as f64;
        // A residual of 0 must not pull the logarithm to negative infinity.
        let floor = (mean * SQUARE_FLOOR).max(f64::MIN_POSITIVE);
        let logs: Vec<f64> = squares.map(|square| 0.5 * square.max(floor).ln()).collect();
        let (mut log_scale, _) = self.fit(&logs)?;
        log_scale.intercept = 0.0;
        let rows = 0..residuals.len();
        let at = |row: usize| -> f64 {
            let term = |term: &super::Term| {
                term.coefficient * term.function.at(self.columns[term.parent.index()][row])
            };
            log_scale.terms.iter().map(term).sum()
        };
        let noise = rows.map(|row| residuals[row] * (-at(row)).exp()).collect();
        Ok((log_scale, noise))
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
            let states = cardinalities[node.index()] as f64;
            validate::positive("number of states", states)?;
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
    // Without rows there is no quantile; that there are too few is found when they are fitted.
    let last = sorted.len().saturating_sub(1);
    let hinges = (1..=knots).filter_map(|knot| {
        let place = knot * last / (knots + 1);
        sorted.get(place).map(|&value| Basis::Hinge(value))
    });
    std::iter::once(Basis::Identity).chain(hinges).collect()
}

/// Least squares that insists on independent columns.
fn least_squares(
    diagram: &Diagram,
    node: NodeId,
    design: Vec<Vec<f64>>,
    outcome: &[f64],
) -> Result<Fit, ModelError> {
    solve(diagram, node, design, outcome, true)
}

/// Least squares of least norm.
fn least_norm(
    diagram: &Diagram,
    node: NodeId,
    design: Vec<Vec<f64>>,
    outcome: &[f64],
) -> Result<Fit, ModelError> {
    solve(diagram, node, design, outcome, false)
}

fn solve(
    diagram: &Diagram,
    node: NodeId,
    mut design: Vec<Vec<f64>>,
    outcome: &[f64],
    full_rank: bool,
) -> Result<Fit, ModelError> {
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
    fn a_growing_spread_is_recovered_from_samples() {
        let diagram = Diagram::parse("x -> y").unwrap();
        let (x, y) = (diagram.node("x").unwrap(), diagram.node("y").unwrap());
        let mechanism = Mechanism::LocationScale {
            location: Formula::constant(1.0).plus(x, Basis::Identity, 2.0),
            log_scale: Formula::constant(-0.5).plus(x, Basis::Identity, 0.7),
        };
        let model = Scm::builder(diagram.clone())
            .node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD)
            .node(y, mechanism, Noise::STANDARD)
            .build()
            .unwrap();
        let samples = model.sample(20_000, 4).unwrap();
        let fitted = Scm::fit_location_scale(&diagram, samples.columns(), 0).unwrap();
        for value in [-1.0, 0.0, 1.5] {
            let fact = [(x, 0.5), (y, 3.0)];
            let set = [(x, crate::model::Intervention::Set(value))];
            let truth = model.counterfactual(&fact, &set).unwrap()[y.index()];
            let found = fitted.counterfactual(&fact, &set).unwrap()[y.index()];
            assert!((found - truth).abs() < 0.1, "{value}: {found} and {truth}");
        }
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
        let empty = BayesianNetwork::fit(diagram, vec![2, 0], &[vec![], vec![]], 1.0);
        assert!(matches!(empty, Err(ModelError::Value { .. })));
    }

    #[test]
    fn no_rows_are_too_few() {
        let diagram = Diagram::parse("a -> b").unwrap();
        let none = [vec![], vec![]];
        for fitted in [
            Scm::fit_additive(&diagram, &none, 3),
            Scm::fit_location_scale(&diagram, &none, 3),
        ] {
            assert!(matches!(fitted, Err(ModelError::TooFewRows { .. })));
        }
    }
}
