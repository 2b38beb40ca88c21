//! Linear-Gaussian models in closed form: means, covariances, effects and counterfactuals.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::{ModelError, validate};
use crate::graph::{Diagram, NodeId};

/// How far below zero an eigenvalue of a covariance may be, relative to its largest entry.
const EIGENVALUE_TOLERANCE: f64 = 1e-9;

/// A multivariate normal distribution over all nodes.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::LinearGaussian};
///
/// let diagram = Diagram::parse("x -> y")?;
/// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
/// let seen = LinearGaussian::builder(diagram).coefficient(x, y, 2.0).build()?.observational();
/// assert_eq!((seen.variance(x), seen.covariance(x, y), seen.variance(y)), (1.0, 2.0, 5.0));
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Gaussian {
    /// The mean of a node.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn mean(&self, node: NodeId) -> f64 {
        self.mean[node.index()]
    }

    /// The variance of a node, 0 where it is known.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn variance(&self, node: NodeId) -> f64 {
        self.covariance(node, node).max(0.0)
    }

    /// The covariance of two nodes.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn covariance(&self, a: NodeId, b: NodeId) -> f64 {
        self.covariance[(a.index(), b.index())]
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Tells whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }
}

/// A linear structural equation model `x = a + B x + u`, `u ~ N(0, Σ)`.
///
/// Off-diagonal entries of `Σ` are the bidirected edges: errors of nodes with a common cause.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::LinearGaussian};
///
/// let diagram = Diagram::parse("dose -> size -> score; dose -> score")?;
/// let [dose, size, score] = ["dose", "size", "score"].map(|name| diagram.node(name).unwrap());
/// let model = LinearGaussian::builder(diagram)
///     .coefficient(dose, size, 2.0)
///     .coefficient(size, score, 3.0)
///     .coefficient(dose, score, -1.0)
///     .intercept(score, 0.5)
///     .build()?;
///
/// assert_eq!(model.total_effect(dose, score)?, 2.0 * 3.0 - 1.0);
/// let set = model.interventional(&[(dose, 2.0)])?;
/// assert_eq!((set.mean(score), set.variance(score)), (10.5, 10.0));
///
/// // The same patient at another dose: the errors are kept.
/// let fact = [(dose, 1.0), (size, 2.5), (score, 7.0)];
/// let other = model.counterfactual(&fact, &[(dose, 0.0)])?;
/// assert!((other.mean(score) - 2.0).abs() < 1e-12);
/// assert!(other.variance(score) < 1e-12);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGaussian {
    diagram: Diagram,
    intercepts: DVector<f64>,
    /// `B[to, from]`.
    coefficients: DMatrix<f64>,
    /// `Σ`.
    errors: DMatrix<f64>,
}

/// Collects the parameters of a [`LinearGaussian`]; error variances are 1 unless set.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::{LinearGaussian, ModelError}};
///
/// let diagram = Diagram::parse("x -> y")?;
/// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
/// let builder = LinearGaussian::builder(diagram);
/// let model = builder.clone().coefficient(x, y, 0.5).error_variance(y, 4.0).build()?;
/// assert_eq!((model.coefficient(x, y), model.error_covariance(y, y)), (0.5, 4.0));
/// let backwards = builder.coefficient(y, x, 0.5).build();
/// assert!(matches!(backwards, Err(ModelError::NotAParent { .. })));
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LinearGaussianBuilder {
    diagram: Diagram,
    intercepts: Vec<(NodeId, f64)>,
    coefficients: Vec<(NodeId, NodeId, f64)>,
    errors: Vec<(NodeId, NodeId, f64)>,
}

impl LinearGaussianBuilder {
    /// Sets the intercept of a node.
    #[must_use]
    pub fn intercept(mut self, node: NodeId, value: f64) -> Self {
        self.intercepts.push((node, value));
        self
    }

    /// Sets the coefficient of a directed edge.
    #[must_use]
    pub fn coefficient(mut self, from: NodeId, to: NodeId, value: f64) -> Self {
        self.coefficients.push((from, to, value));
        self
    }

    /// Sets the error variance of a node.
    #[must_use]
    pub fn error_variance(self, node: NodeId, value: f64) -> Self {
        self.error_covariance(node, node, value)
    }

    /// Sets the covariance of two nodes' errors.
    #[must_use]
    pub fn error_covariance(mut self, a: NodeId, b: NodeId, value: f64) -> Self {
        self.errors.push((a, b, value));
        self
    }

    /// Checks the parameters and makes the model.
    ///
    /// # Errors
    /// [`ModelError::Graph`] for a foreign node, [`ModelError::NotAParent`] for a coefficient
    /// without an edge, [`ModelError::Value`] for a number that is not finite and for an error
    /// covariance that is not positive semidefinite. A covariance of errors needs no bidirected
    /// edge: a diagram may leave them out where only numbers are asked for.
    pub fn build(self) -> Result<LinearGaussian, ModelError> {
        let size = self.diagram.len();
        let mut intercepts = DVector::zeros(size);
        for (node, value) in self.intercepts {
            validate::node(&self.diagram, node)?;
            validate::finite("intercept", value)?;
            intercepts[node.index()] = value;
        }
        let mut coefficients = DMatrix::zeros(size, size);
        for (from, to, value) in self.coefficients {
            validate::node(&self.diagram, to)?;
            validate::is_parent(&self.diagram, to, from)?;
            validate::finite("coefficient", value)?;
            coefficients[(to.index(), from.index())] = value;
        }
        let mut errors = DMatrix::identity(size, size);
        for (a, b, value) in self.errors {
            validate::node(&self.diagram, a)?;
            validate::node(&self.diagram, b)?;
            validate::finite("error covariance", value)?;
            errors[(a.index(), b.index())] = value;
            errors[(b.index(), a.index())] = value;
        }
        positive_semidefinite(&errors)?;
        Ok(LinearGaussian {
            diagram: self.diagram,
            intercepts,
            coefficients,
            errors,
        })
    }
}

fn positive_semidefinite(matrix: &DMatrix<f64>) -> Result<(), ModelError> {
    let smallest = matrix
        .symmetric_eigenvalues()
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    if matrix.is_empty() || smallest >= -EIGENVALUE_TOLERANCE * matrix.amax() {
        return Ok(());
    }
    Err(ModelError::Value {
        subject: "smallest eigenvalue of the error covariance".to_owned(),
        expected: "a number from 0",
        found: smallest,
    })
}

impl LinearGaussian {
    /// A builder with all coefficients and intercepts 0 and all error variances 1.
    pub fn builder(diagram: Diagram) -> LinearGaussianBuilder {
        LinearGaussianBuilder {
            diagram,
            intercepts: Vec::new(),
            coefficients: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// The intercept of a node.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn intercept(&self, node: NodeId) -> f64 {
        self.intercepts[node.index()]
    }

    /// The coefficient of an edge, 0 where there is none.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn coefficient(&self, from: NodeId, to: NodeId) -> f64 {
        self.coefficients[(to.index(), from.index())]
    }

    /// The covariance of two nodes' errors.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn error_covariance(&self, a: NodeId, b: NodeId) -> f64 {
        self.errors[(a.index(), b.index())]
    }

    /// The distribution of all nodes: mean `T a`, covariance `T Σ Tᵀ` with `T = (I − B)⁻¹`.
    pub fn observational(&self) -> Gaussian {
        let effects = self.transfer(&[]);
        predict(&effects, &self.intercepts, &self.errors)
    }

    /// The distribution under `do`: the set nodes lose their parents and their errors.
    ///
    /// # Errors
    /// [`ModelError::Graph`], [`ModelError::Repeated`] and [`ModelError::Value`].
    pub fn interventional(&self, set: &[(NodeId, f64)]) -> Result<Gaussian, ModelError> {
        let set = self.assignment(set, "interventions")?;
        let errors = DVector::zeros(self.diagram.len());
        Ok(self.under(&set, &errors, &self.errors))
    }

    /// The distribution of what would have been: abduct the errors from the evidence, act, predict.
    ///
    /// With `C` the rows of `T` that were seen, the errors given the evidence `e` are normal with
    /// mean `Σ Cᵀ (C Σ Cᵀ)⁻¹ (e − E e)` and covariance `Σ − Σ Cᵀ (C Σ Cᵀ)⁻¹ C Σ`.
    ///
    /// # Errors
    /// Those of [`LinearGaussian::interventional`], and [`ModelError::Singular`] where the
    /// evidence's covariance has no inverse (a node without an error of its own was seen
    /// together with everything that determines it).
    pub fn counterfactual(
        &self,
        evidence: &[(NodeId, f64)],
        set: &[(NodeId, f64)],
    ) -> Result<Gaussian, ModelError> {
        let set = self.assignment(set, "interventions")?;
        let (errors, covariance) = self.abduct(evidence)?;
        Ok(self.under(&set, &errors, &covariance))
    }

    /// Mean and covariance of the errors, given some nodes' values.
    fn abduct(
        &self,
        evidence: &[(NodeId, f64)],
    ) -> Result<(DVector<f64>, DMatrix<f64>), ModelError> {
        self.assignment(evidence, "evidence")?;
        if evidence.is_empty() {
            return Ok((DVector::zeros(self.diagram.len()), self.errors.clone()));
        }
        let transfer = self.transfer(&[]);
        let rows: Vec<usize> = evidence.iter().map(|(node, _)| node.index()).collect();
        let seen = transfer.select_rows(&rows);
        let values = DVector::from_iterator(rows.len(), evidence.iter().map(|(_, value)| *value));
        let surprise = values - &seen * &self.intercepts;
        let cross = &self.errors * seen.transpose();
        let inverse = inverse(&(&seen * &cross))?;
        let gain = &cross * inverse;
        Ok((&gain * surprise, &self.errors - &gain * cross.transpose()))
    }

    /// The distribution under interventions, for a given distribution of the errors.
    fn under(
        &self,
        set: &[Option<f64>],
        errors: &DVector<f64>,
        covariance: &DMatrix<f64>,
    ) -> Gaussian {
        let mut offsets = &self.intercepts + errors;
        let mut covariance = covariance.clone();
        for (i, value) in set.iter().enumerate() {
            let Some(value) = value else { continue };
            offsets[i] = *value;
            covariance.row_mut(i).fill(0.0);
            covariance.column_mut(i).fill(0.0);
        }
        predict(&self.transfer(set), &offsets, &covariance)
    }

    /// `(I − B)⁻¹` with the rows of set nodes of `B` emptied, by substitution in causal order.
    fn transfer(&self, set: &[Option<f64>]) -> DMatrix<f64> {
        let size = self.diagram.len();
        let mut transfer = DMatrix::identity(size, size);
        for &node in self.diagram.topological_order() {
            if set.get(node.index()).is_some_and(Option::is_some) {
                continue;
            }
            for parent in self.diagram.parents(node) {
                let coefficient = self.coefficient(parent, node);
                let reached = transfer.row(parent.index()) * coefficient;
                let mut row = transfer.row_mut(node.index());
                row += reached;
            }
        }
        transfer
    }

    /// The change of one node per unit that another is set higher: `(I − B)⁻¹ − I`.
    ///
    /// # Returns
    /// 0 for a node on itself and for a node that is no descendant.
    ///
    /// # Errors
    /// [`ModelError::Graph`] for a foreign node.
    pub fn total_effect(&self, from: NodeId, to: NodeId) -> Result<f64, ModelError> {
        validate::node(&self.diagram, from)?;
        validate::node(&self.diagram, to)?;
        if from == to {
            return Ok(0.0);
        }
        Ok(self.transfer(&[])[(to.index(), from.index())])
    }

    fn assignment(
        &self,
        pairs: &[(NodeId, f64)],
        subject: &'static str,
    ) -> Result<Vec<Option<f64>>, ModelError> {
        pairs
            .iter()
            .try_for_each(|&(_, value)| validate::finite(subject, value))?;
        validate::assignment(&self.diagram, pairs, subject)
    }
}

/// The distribution of `T (a + u)` for errors `u` of mean 0 and the given covariance.
fn predict(transfer: &DMatrix<f64>, offsets: &DVector<f64>, covariance: &DMatrix<f64>) -> Gaussian {
    Gaussian {
        mean: transfer * offsets,
        covariance: transfer * covariance * transfer.transpose(),
    }
}

/// The inverse of a covariance, scaled to unit variances first so that units do not decide.
fn inverse(covariance: &DMatrix<f64>) -> Result<DMatrix<f64>, ModelError> {
    let singular = ModelError::Singular {
        subject: "covariance of the evidence",
    };
    let scale = covariance.diagonal().map(f64::sqrt);
    if scale
        .iter()
        .any(|&deviation| deviation.is_nan() || deviation <= 0.0)
    {
        return Err(singular);
    }
    let outer = &scale * scale.transpose();
    let factor = Cholesky::new(covariance.component_div(&outer)).ok_or(singular.clone())?;
    // The squared pivots are shares of variance not explained by the variables before.
    let smallest = factor
        .l_dirty()
        .diagonal()
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    if smallest * smallest < f64::EPSILON * covariance.nrows() as f64 {
        return Err(singular);
    }
    Ok(factor.inverse().component_div(&outer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain() -> (Diagram, [NodeId; 3]) {
        let diagram = Diagram::parse("x -> m -> y; x <-> y").unwrap();
        let nodes = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
        (diagram, nodes)
    }

    #[test]
    fn correlated_errors_bias_the_regression_but_not_the_effect() {
        let (diagram, [x, m, y]) = chain();
        let model = LinearGaussian::builder(diagram)
            .coefficient(x, m, 2.0)
            .coefficient(m, y, 0.5)
            .error_covariance(x, y, 0.8)
            .build()
            .unwrap();
        // Cov(x, y) = 2 · 0.5 · Var(x) + 0.8 and Var(x) = 1.
        assert!((model.observational().covariance(x, y) - 1.8).abs() < 1e-12);
        assert!((model.total_effect(x, y).unwrap() - 1.0).abs() < 1e-12);
        // Seeing x = 1 tells of the error of y; setting it does not.
        let seen = model.counterfactual(&[(x, 1.0)], &[]).unwrap();
        let set = model.interventional(&[(x, 1.0)]).unwrap();
        assert!((seen.mean(y) - 1.8).abs() < 1e-12);
        assert!((set.mean(y) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn unusable_input_is_an_error() {
        let (diagram, [x, m, y]) = chain();
        let builder = LinearGaussian::builder(diagram);
        let wrong_way = builder.clone().coefficient(y, x, 1.0).build();
        assert!(matches!(wrong_way, Err(ModelError::NotAParent { .. })));
        let indefinite = builder.clone().error_covariance(x, y, 2.0).build();
        assert!(matches!(indefinite, Err(ModelError::Value { .. })));
        let exact = builder
            .coefficient(x, m, 1.0)
            .error_variance(m, 0.0)
            .build()
            .unwrap();
        let singular = exact.counterfactual(&[(x, 1.0), (m, 1.0)], &[]);
        assert!(matches!(singular, Err(ModelError::Singular { .. })));
        let nan = exact.interventional(&[(x, f64::NAN)]);
        assert!(matches!(nan, Err(ModelError::Value { .. })));
        let twice = exact.interventional(&[(x, 1.0), (x, 2.0)]);
        assert!(matches!(twice, Err(ModelError::Repeated { .. })));
    }

    proptest! {
        #[test]
        fn setting_what_was_seen_changes_nothing(
            values in prop::array::uniform3(-3.0_f64..3.0),
            weights in prop::array::uniform3(-2.0_f64..2.0),
        ) {
            let (diagram, [x, m, y]) = chain();
            let model = LinearGaussian::builder(diagram)
                .coefficient(x, m, weights[0])
                .coefficient(m, y, weights[1])
                .error_covariance(x, y, weights[2] / 4.0)
                .build()
                .unwrap();
            let fact = [(x, values[0]), (m, values[1]), (y, values[2])];
            let same = model.counterfactual(&fact, &[(m, values[1])]).unwrap();
            for (node, value) in fact {
                prop_assert!((same.mean(node) - value).abs() < 1e-9);
                prop_assert!(same.variance(node) < 1e-9);
            }
        }
    }
}
