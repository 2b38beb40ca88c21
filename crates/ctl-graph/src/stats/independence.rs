//! What all tests of conditional independence have in common.

use super::StatsError;

/// A test of `x ⊥ y | given` among numbered variables.
///
/// # Examples
///
/// A test by a user: everything is independent but the neighbours on a line.
///
/// ```
/// use ctl_graph::stats::{IndependenceTest, StatsError};
/// struct Line(Vec<String>);
/// impl IndependenceTest for Line {
///     fn names(&self) -> &[String] {
///         &self.0
///     }
///     fn p_value(&self, x: usize, y: usize, _: &[usize]) -> Result<f64, StatsError> {
///         Ok(if x.abs_diff(y) == 1 { 0.0 } else { 1.0 })
///     }
/// }
/// let line = Line(vec!["a".into(), "b".into(), "c".into()]);
/// assert!(line.independent(0, 2, &[1], 0.05)?);
/// assert!(!line.independent(0, 1, &[], 0.05)?);
/// # Ok::<(), StatsError>(())
/// ```
pub trait IndependenceTest: Sync {
    /// The variables' names, by position.
    fn names(&self) -> &[String];

    /// The p-value of `x ⊥ y | given`.
    ///
    /// # Errors
    /// When the test cannot be computed on these variables.
    fn p_value(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError>;

    /// Whether the test keeps `x ⊥ y | given` at level `alpha`: its p-value exceeds `alpha`.
    ///
    /// # Errors
    /// When the test cannot be computed on these variables.
    fn independent(
        &self,
        x: usize,
        y: usize,
        given: &[usize],
        alpha: f64,
    ) -> Result<bool, StatsError> {
        Ok(self.p_value(x, y, given)? > alpha)
    }
}

/// Checks that a query names existing variables, each once.
pub(crate) fn check_query(
    names: &[String],
    x: usize,
    y: usize,
    given: &[usize],
) -> Result<(), StatsError> {
    let all = || [x, y].into_iter().chain(given.iter().copied());
    if let Some(index) = all().find(|&index| index >= names.len()) {
        return Err(StatsError::UnknownVariable {
            index,
            count: names.len(),
        });
    }
    for (position, index) in all().enumerate() {
        if all().take(position).any(|earlier| earlier == index) {
            return Err(StatsError::RepeatedVariable {
                name: names[index].clone(),
            });
        }
    }
    Ok(())
}
