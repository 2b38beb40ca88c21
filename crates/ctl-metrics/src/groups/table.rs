//! One metric, group by group.

use std::collections::BTreeMap;

use crate::{Direction, MetricError, validate};

/// Lists the rows of each group, groups in their own order.
///
/// # Arguments
/// - `groups`: `[N]`, the group of each sample.
///
/// # Returns
/// Pairs of a group and the ascending indices of its samples.
///
/// # Errors
/// [`MetricError::Empty`] without samples.
///
/// # Examples
///
/// ```
/// use ctl_metrics::groups::group_rows;
/// assert_eq!(group_rows(&["b", "a", "b"])?, [(&"a", vec![1]), (&"b", vec![0, 2])]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn group_rows<G: Ord>(groups: &[G]) -> Result<Vec<(&G, Vec<usize>)>, MetricError> {
    validate::non_empty("groups", groups.len())?;
    let mut members: BTreeMap<&G, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(index);
    }
    Ok(members.into_iter().collect())
}

/// A group with its size and the value of a metric on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupValue<'a, G> {
    /// The group.
    pub group: &'a G,
    /// Number of its samples.
    pub samples: usize,
    /// The metric on its samples.
    pub value: f64,
}

/// A metric on each group of samples.
///
/// A group on which the metric does not exist, such as AUROC at a site with one class, stands in
/// [`GroupTable::undefined`]; worst group, gap and mean are over the others, and a report must
/// name both.
///
/// # Examples
///
/// ```
/// use ctl_metrics::{Direction, discrimination::BinaryConfusion, gather, groups::GroupTable};
///
/// let labels = [true, false, true, false, true];
/// let predictions = [true, false, false, false, true];
/// let sites = [1, 1, 2, 2, 3];
/// let table = GroupTable::of(&sites, |rows| {
///     let confusion =
///         BinaryConfusion::from_predictions(&gather(&predictions, rows)?, &gather(&labels, rows)?)?;
///     confusion.balanced_accuracy()
/// })?;
/// let worst = table.worst(Direction::HigherIsBetter)?;
/// assert_eq!((worst.group, worst.samples, worst.value), (&2, 2, 0.5));
/// assert_eq!(table.gap()?, 0.5);
/// assert_eq!(table.mean()?, 0.75);
/// // Site 3 has positives only.
/// assert_eq!(table.undefined().len(), 1);
/// assert_eq!(table.undefined()[0].0, &3);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTable<'a, G> {
    values: Vec<GroupValue<'a, G>>,
    undefined: Vec<(&'a G, MetricError)>,
}

impl<'a, G: Ord> GroupTable<'a, G> {
    /// Computes a metric on the rows of each group.
    ///
    /// # Arguments
    /// - `groups`: `[N]`, the group of each sample.
    /// - `metric`: computes the value from the indices of a group's samples.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without samples, and any error of the metric for which
    /// [`MetricError::is_undefined`] does not hold.
    pub fn of(
        groups: &'a [G],
        mut metric: impl FnMut(&[usize]) -> Result<f64, MetricError>,
    ) -> Result<Self, MetricError> {
        let (mut values, mut undefined) = (Vec::new(), Vec::new());
        for (group, rows) in group_rows(groups)? {
            match metric(&rows) {
                Ok(value) => {
                    validate::finite("metric", &[value])?;
                    values.push(GroupValue {
                        group,
                        samples: rows.len(),
                        value,
                    });
                }
                Err(error) if error.is_undefined() => undefined.push((group, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { values, undefined })
    }

    /// Groups with a value, in group order.
    pub fn values(&self) -> &[GroupValue<'a, G>] {
        &self.values
    }

    /// Groups on which the metric does not exist, with the reason.
    pub fn undefined(&self) -> &[(&'a G, MetricError)] {
        &self.undefined
    }

    /// The group with the worst value; the first in group order among equals.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] when no group has a value.
    pub fn worst(&self, direction: Direction) -> Result<&GroupValue<'a, G>, MetricError> {
        let worse = |found: &'_ GroupValue<'a, G>, next: &GroupValue<'a, G>| {
            direction.is_worse(next.value, found.value)
        };
        let mut values = self.values.iter();
        let first = values.next().ok_or_else(no_group)?;
        Ok(values.fold(
            first,
            |found, next| if worse(found, next) { next } else { found },
        ))
    }

    /// Largest minus smallest value.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] when no group has a value.
    pub fn gap(&self) -> Result<f64, MetricError> {
        let lowest = self.worst(Direction::HigherIsBetter)?.value;
        let highest = self.worst(Direction::LowerIsBetter)?.value;
        Ok(highest - lowest)
    }

    /// Mean of the values, every group counting the same whatever its size.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] when no group has a value.
    pub fn mean(&self) -> Result<f64, MetricError> {
        if self.values.is_empty() {
            return Err(no_group());
        }
        let sum: f64 = self.values.iter().map(|row| row.value).sum();
        Ok(sum / self.values.len() as f64)
    }
}

fn no_group() -> MetricError {
    MetricError::Undefined {
        subject: "group table",
        expected: "a group on which the metric exists",
        found: "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_is_better_reverses_the_worst_and_keeps_the_gap() {
        let groups = ["x", "y", "z"];
        let values = [0.3, 0.1, 0.3];
        let table = GroupTable::of(&groups, |rows| Ok(values[rows[0]])).unwrap();
        assert_eq!(table.worst(Direction::LowerIsBetter).unwrap().group, &"x");
        assert_eq!(table.worst(Direction::HigherIsBetter).unwrap().group, &"y");
        assert!((table.gap().unwrap() - 0.2).abs() < 1e-15);
    }

    #[test]
    fn a_table_without_values_answers_with_errors() {
        let single = |_: &[usize]| Err(MetricError::SingleClass { found: true });
        let table = GroupTable::of(&[1, 2], single).unwrap();
        assert!(
            table
                .worst(Direction::HigherIsBetter)
                .unwrap_err()
                .is_undefined()
        );
        assert!(table.gap().is_err());
        assert!(table.mean().is_err());
        assert_eq!(table.undefined().len(), 2);
    }

    #[test]
    fn ill_formed_input_is_passed_on() {
        let broken = |_: &[usize]| Err(MetricError::Empty { subject: "scores" });
        assert!(GroupTable::of(&[1], broken).is_err());
        assert!(GroupTable::<u8>::of(&[], |_| Ok(0.0)).is_err());
        assert!(GroupTable::of(&[1], |_| Ok(f64::NAN)).is_err());
    }
}
