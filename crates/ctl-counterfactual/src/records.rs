//! Facts and counterfactuals: values of the attributes, and images.

use candle_core::Tensor;
use ctl_graph::NodeId;

use crate::{CounterfactualError, Result, Schema};

/// Values of every attribute, by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// By node; empty for the image.
    columns: Vec<Vec<f64>>,
    count: usize,
}

impl Columns {
    /// One column for every attribute of a schema, by name.
    ///
    /// # Errors
    /// When a column names no attribute, an attribute has no column or two, columns have different
    /// lengths, or a value is none that the attribute can take.
    pub fn new<S: AsRef<str>>(schema: &Schema, columns: &[(S, Vec<f64>)]) -> Result<Self> {
        let count = columns.first().map_or(0, |(_, values)| values.len());
        let mut placed: Vec<Option<Vec<f64>>> = vec![None; schema.diagram().len()];
        for (name, values) in columns {
            let name = name.as_ref();
            let node = schema.attribute(name)?;
            let fault = |expected: String, found: String| CounterfactualError::Value {
                subject: format!("column {name}"),
                expected,
                found,
            };
            if values.len() != count {
                let found = values.len().to_string();
                return Err(fault(format!("{count} values as in the others"), found));
            }
            for (row, &value) in values.iter().enumerate() {
                schema.check(node, value, || format!("{name}, row {row}"))?;
            }
            if placed[node.index()].replace(values.clone()).is_some() {
                return Err(fault("one column".to_owned(), "two".to_owned()));
            }
        }
        if let Some(node) = schema.attributes().find(|n| placed[n.index()].is_none()) {
            return Err(CounterfactualError::Node {
                node: schema.diagram().name(node).to_owned(),
                expected: "a column of values".to_owned(),
                found: "none".to_owned(),
            });
        }
        Ok(Self {
            columns: placed.into_iter().map(Option::unwrap_or_default).collect(),
            count,
        })
    }

    /// Columns by node index that are known to fit.
    pub(crate) fn from_columns(columns: Vec<Vec<f64>>, count: usize) -> Self {
        Self { columns, count }
    }

    /// Refuses columns that were made for another schema.
    ///
    /// # Errors
    /// When they are of other nodes, or hold a value that the schema's attribute cannot take.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        let of = |node: NodeId| {
            if Some(node) == schema.image() {
                0
            } else {
                self.count
            }
        };
        let expected = schema.diagram().ids().map(of);
        if !expected.eq(self.columns.iter().map(Vec::len)) {
            return Err(CounterfactualError::Value {
                subject: "columns".to_owned(),
                expected: "those of the model's own schema".to_owned(),
                found: "another's".to_owned(),
            });
        }
        for node in schema.attributes() {
            let name = schema.diagram().name(node);
            for (row, &value) in self.column(node).iter().enumerate() {
                schema.check(node, value, || format!("{name}, row {row}"))?;
            }
        }
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values of an attribute; none for the image.
    pub fn column(&self, node: NodeId) -> &[f64] {
        &self.columns[node.index()]
    }

    pub(crate) fn set(&mut self, node: NodeId, values: Vec<f64>) {
        debug_assert_eq!(
            values.len(),
            self.count,
            "a column has a value for every row"
        );
        self.columns[node.index()] = values;
    }

    /// Some rows, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |column: &Vec<f64>| -> Vec<f64> {
            if column.is_empty() {
                return Vec::new();
            }
            rows.iter().map(|&row| column[row]).collect()
        };
        Self {
            columns: self.columns.iter().map(pick).collect(),
            count: rows.len(),
        }
    }
}

/// Individuals: the values of their attributes and, where the model has an image, their images.
#[derive(Clone, Debug)]
pub struct Records {
    /// Values of the attributes.
    pub columns: Columns,
    /// `[B, C, H, W]`, 0 to 1; none where the model has no image.
    pub images: Option<Tensor>,
}

impl Records {
    /// Attributes and images that belong together.
    ///
    /// # Errors
    /// When the columns are of another schema, or the images are missing, superfluous, or of another
    /// shape than the schema's.
    pub fn new(schema: &Schema, columns: Columns, images: Option<Tensor>) -> Result<Self> {
        columns.check(schema)?;
        let expected = schema
            .image_shape()
            .map(|[c, h, w]| [columns.len(), c, h, w]);
        let found = images.as_ref().map(Tensor::dims);
        if found != expected.as_ref().map(|shape| &shape[..]) {
            let show = |shape: Option<&[usize]>| {
                shape.map_or_else(|| "none".to_owned(), |shape| format!("{shape:?}"))
            };
            return Err(CounterfactualError::Shape {
                subject: "images of records",
                expected: show(expected.as_ref().map(|shape| &shape[..])),
                found: show(found),
            });
        }
        Ok(Self { columns, images })
    }

    /// Number of individuals.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Some rows, in the order given.
    ///
    /// # Errors
    /// When a row does not exist.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            return Err(CounterfactualError::Value {
                subject: "row of records".to_owned(),
                expected: format!("below {}", self.len()),
                found: row.to_string(),
            });
        }
        let images = self.images.as_ref().map(|images| pick(images, rows));
        Ok(Self {
            columns: self.columns.select(rows),
            images: images.transpose()?,
        })
    }
}

/// Rows of a tensor, in the order given.
pub(crate) fn pick(tensor: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let index: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
    let index = Tensor::new(index, tensor.device())?;
    Ok(tensor.index_select(&index, 0)?)
}

/// Individuals that are read on demand: what a model is trained on.
pub trait Examples {
    /// Values of the attributes of all of them.
    fn columns(&self) -> &Columns;

    /// Images `[B, C, H, W]` of some of them, 0 to 1; none where there are no images.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn images(&self, rows: &[usize]) -> Result<Option<Tensor>>;
}

impl Examples for Records {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn images(&self, rows: &[usize]) -> Result<Option<Tensor>> {
        let images = self.images.as_ref().map(|images| pick(images, rows));
        images.transpose()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_graph::Diagram;

    use super::*;
    use crate::Kind;

    fn schema() -> Schema {
        let kinds = [
            ("sex", Kind::categories(2)),
            ("image", Kind::Image { shape: [1, 2, 2] }),
            ("age", Kind::REAL),
        ];
        let diagram = Diagram::parse("sex -> image; age -> image").unwrap();
        Schema::new(diagram, &kinds).unwrap()
    }

    #[test]
    fn ill_columns_are_errors() {
        let schema = schema();
        let age = || ("age", vec![1.0, 2.0]);
        for (columns, expected) in [
            (
                vec![age(), ("sex", vec![0.0])],
                "column sex: expected 2 values as in the others, found 1",
            ),
            (
                vec![age(), ("sex", vec![0.0, 2.0])],
                "sex, row 1: expected the index of a category, 0 to 1 (0, 1), found 2",
            ),
            (
                vec![age(), age()],
                "column age: expected one column, found two",
            ),
            (
                vec![age()],
                "node sex: expected a column of values, found none",
            ),
        ] {
            let fault = Columns::new(&schema, &columns).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        }
        assert!(Columns::new(&schema, &[("image", vec![1.0])]).is_err());
        assert!(Columns::new(&schema, &[("weight", vec![1.0])]).is_err());
    }

    #[test]
    fn images_must_fit_and_rows_stay_together() {
        let schema = schema();
        let columns = [("age", vec![1.0, 2.0, 3.0]), ("sex", vec![0.0, 1.0, 0.0])];
        let columns = Columns::new(&schema, &columns).unwrap();
        let images = Tensor::arange(0f32, 12.0, &Device::Cpu)
            .and_then(|t| t.reshape((3, 1, 2, 2)))
            .unwrap();
        assert!(Records::new(&schema, columns.clone(), None).is_err());
        let wrong = Tensor::zeros((3, 1, 2, 3), DType::F32, &Device::Cpu).unwrap();
        let fault = Records::new(&schema, columns.clone(), Some(wrong)).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "images of records: expected [3, 1, 2, 2], found [3, 1, 2, 3]"
        );
        let records = Records::new(&schema, columns, Some(images)).unwrap();
        let picked = records.select(&[2, 0]).unwrap();
        let age = schema.attribute("age").unwrap();
        assert_eq!(picked.columns.column(age), [3.0, 1.0]);
        let images = picked.images.unwrap().flatten_all().unwrap();
        assert_eq!(
            images.to_vec1::<f32>().unwrap(),
            [8.0, 9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 3.0]
        );
        assert!(records.select(&[3]).is_err());
    }
}
