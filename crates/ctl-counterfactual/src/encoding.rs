//! Values of parents as numbers that a network takes.

use candle_core::{Device, Tensor};
use ctl_graph::NodeId;
use serde::{Deserialize, Serialize};

use crate::{Columns, Kind, Result, Schema};

/// Rows of numbers, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    values: Vec<f64>,
    width: usize,
    count: usize,
}

impl Rows {
    /// Rows without numbers: what a node without parents is given.
    pub fn empty(count: usize) -> Self {
        Self {
            values: Vec::new(),
            width: 0,
            count,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A row.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Some rows, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row).iter().copied());
        Self {
            values: values.collect(),
            width: self.width,
            count: rows.len(),
        }
    }

    /// `[count, width]` in single precision; a width of 0 is allowed.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let values: Vec<f32> = self.values.iter().map(|&value| value as f32).collect();
        let shape = (self.count, self.width);
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

/// How one parent is told to a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Code {
    /// `(value − mean) / deviation`
    Standardised { mean: f64, deviation: f64 },
    /// 1 for the category, 0 for the others.
    OneHot { categories: usize },
}

impl Code {
    fn width(&self) -> usize {
        match self {
            Self::Standardised { .. } => 1,
            Self::OneHot { categories } => *categories,
        }
    }
}

/// How the parents of a node are told to its mechanism: continuous ones standardised by the training
/// data, categories as one number each, in the order of [`Schema::parents`].
///
/// # Examples
/// ```
/// use ctl_counterfactual::{Columns, Encoding, Kind, Schema};
/// use ctl_graph::Diagram;
///
/// let diagram = Diagram::parse("age -> volume; sex -> volume")?;
/// let kinds = [("age", Kind::REAL), ("sex", Kind::categories(2)), ("volume", Kind::REAL)];
/// let schema = Schema::new(diagram, &kinds)?;
/// let volumes = ("volume", vec![9.0, 8.0]);
/// let columns =
///     Columns::new(&schema, &[("age", vec![40.0, 60.0]), ("sex", vec![1.0, 0.0]), volumes])?;
/// let volume = schema.attribute("volume")?;
/// let encoding = Encoding::fit(&schema, volume, &columns);
/// let rows = encoding.encode(&columns);
/// assert_eq!(rows.row(0), [-1.0, 0.0, 1.0]);
/// assert_eq!(rows.row(1), [1.0, 1.0, 0.0]);
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Index of the parent's node, and its code.
    codes: Vec<(usize, Code)>,
}

impl Encoding {
    /// The encoding of a node's parents, with means and deviations of some columns.
    pub fn fit(schema: &Schema, node: NodeId, columns: &Columns) -> Self {
        Self::of(schema, &schema.parents(node), columns)
    }

    /// The same of any attributes, in the order given.
    pub fn of(schema: &Schema, nodes: &[NodeId], columns: &Columns) -> Self {
        let codes = nodes.iter().map(|&parent| {
            let code = if let Kind::Categorical { categories } = schema.kind(parent) {
                Code::OneHot {
                    categories: categories.len(),
                }
            } else {
                let (mean, deviation) = moments(columns.column(parent));
                Code::Standardised { mean, deviation }
            };
            (parent.index(), code)
        });
        Self {
            codes: codes.collect(),
        }
    }

    /// The encoding of no parents.
    pub fn none() -> Self {
        Self { codes: Vec::new() }
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.codes.iter().map(|(_, code)| code.width()).sum()
    }

    /// Whether it is one of this node's parents.
    pub(crate) fn suits(&self, schema: &Schema, node: NodeId) -> bool {
        let parents = schema.parents(node);
        parents.len() == self.codes.len()
            && parents
                .iter()
                .zip(&self.codes)
                .all(|(parent, (index, code))| {
                    parent.index() == *index
                        && match (schema.kind(*parent), code) {
                            (
                                Kind::Categorical { categories },
                                Code::OneHot { categories: count },
                            ) => categories.len() == *count,
                            (Kind::Continuous { .. }, Code::Standardised { mean, deviation }) => {
                                mean.is_finite() && deviation.is_finite() && *deviation > 0.0
                            }
                            _ => false,
                        }
                })
    }

    /// The parents of every row.
    pub fn encode(&self, columns: &Columns) -> Rows {
        let (count, width) = (columns.len(), self.width());
        let mut values = vec![0.0; count * width];
        let mut place = 0;
        for (node, code) in &self.codes {
            let column = columns.column(NodeId::new(*node));
            for (row, &value) in column.iter().enumerate() {
                let start = row * width + place;
                match code {
                    Code::Standardised { mean, deviation } => {
                        values[start] = (value - mean) / deviation;
                    }
                    Code::OneHot { .. } => values[start + value as usize] = 1.0,
                }
            }
            place += code.width();
        }
        Rows {
            values,
            width,
            count,
        }
    }
}

/// Deviations up to this share of the largest value are rounding of a constant.
const ROUNDING: f64 = 1e-12;

/// Mean and (population) deviation; that of a constant becomes 1.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / count).sqrt();
    let largest = values
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let varies = deviation > ROUNDING * largest;
    (mean, if varies { deviation } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of ten times 0.1 is not 0.1 in doubles: what is left is no deviation.
    #[test]
    fn constants_have_no_deviation() {
        for constant in [0.1, 60f64.ln(), -3.3e7, 0.0] {
            let (mean, deviation) = moments(&[constant; 10]);
            assert!((mean - constant).abs() <= 1e-12 * constant.abs());
            assert_eq!(deviation.to_bits(), 1f64.to_bits(), "{constant}");
        }
        let (mean, deviation) = moments(&[1.0, 1.0 + 1e-9]);
        assert!((mean - 1.0).abs() < 1e-8 && deviation < 1e-9);
    }
}
