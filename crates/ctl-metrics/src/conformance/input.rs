//! Reading the inputs and parameters of a case.

use serde_json::{Map, Value};

use crate::MetricError;

/// Why a case could not be computed.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

impl From<MetricError> for Problem {
    fn from(error: MetricError) -> Self {
        Self(error.to_string())
    }
}

/// A case with typed access to its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a>(&'a Value);

impl<'a> Case<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// An input by its name, or by names and indices with slashes between them.
    fn input(self, name: &str) -> Result<&'a Value, Problem> {
        self.0["inputs"]
            .pointer(&format!("/{name}"))
            .ok_or_else(|| Problem(format!("inputs.{name}: missing")))
    }

    pub(super) fn floats(self, name: &str) -> Result<Vec<f64>, Problem> {
        list(name, self.input(name)?, Value::as_f64)
    }

    pub(super) fn float(self, name: &str) -> Result<f64, Problem> {
        let value = self.input(name)?.as_f64();
        value.ok_or_else(|| Problem(format!("inputs.{name}: expected a number")))
    }

    pub(super) fn indices(self, name: &str) -> Result<Vec<usize>, Problem> {
        list(name, self.input(name)?, as_index)
    }

    /// Labels given as 0 and 1 or as booleans.
    pub(super) fn flags(self, name: &str) -> Result<Vec<bool>, Problem> {
        list(name, self.input(name)?, |value| match value.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => value.as_bool(),
        })
    }

    /// Group names; numbers stand for themselves.
    pub(super) fn names(self, name: &str) -> Result<Vec<String>, Problem> {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        list(name, self.input(name)?, |value| Some(text(value)))
    }

    pub(super) fn count(self, name: &str) -> Result<u64, Problem> {
        self.input(name)?
            .as_u64()
            .ok_or_else(|| Problem(format!("inputs.{name}: expected a count")))
    }

    /// A real matrix: number of columns and row-major values.
    pub(super) fn float_rows(self, name: &str) -> Result<(usize, Vec<f64>), Problem> {
        let tensor = self.input(name)?;
        Ok((
            columns(name, tensor)?,
            list(name, &tensor["data"], Value::as_f64)?,
        ))
    }

    /// A real tensor of any number of dimensions: shape and row-major values.
    pub(super) fn float_tensor(self, name: &str) -> Result<(Vec<usize>, Vec<f64>), Problem> {
        self.tensor(name, Value::as_f64)
    }

    /// A tensor of indices of any number of dimensions: shape and row-major values.
    pub(super) fn index_tensor(self, name: &str) -> Result<(Vec<usize>, Vec<usize>), Problem> {
        self.tensor(name, as_index)
    }

    fn tensor<T>(
        self,
        name: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<(Vec<usize>, Vec<T>), Problem> {
        let tensor = self.input(name)?;
        Ok((
            list(name, &tensor["shape"], as_index)?,
            list(name, &tensor["data"], read)?,
        ))
    }

    /// A mask given as a string of zeros and ones: shape and row-major values.
    pub(super) fn mask(self, name: &str) -> Result<(Vec<usize>, Vec<bool>), Problem> {
        let tensor = self.input(name)?;
        let bit = |character: char| match character {
            '0' => Some(false),
            '1' => Some(true),
            _ => None,
        };
        let text = tensor["bits"].as_str();
        let bits = text.and_then(|text| text.chars().map(bit).collect());
        let bits =
            bits.ok_or_else(|| Problem(format!("inputs.{name}: expected bits of zeros and ones")))?;
        Ok((list(name, &tensor["shape"], as_index)?, bits))
    }

    /// A matrix of indices: number of columns and row-major values.
    pub(super) fn index_rows(self, name: &str) -> Result<(usize, Vec<usize>), Problem> {
        let tensor = self.input(name)?;
        Ok((
            columns(name, tensor)?,
            list(name, &tensor["data"], as_index)?,
        ))
    }

    pub(super) fn float_param(self, name: &str, default: f64) -> f64 {
        self.0["params"][name].as_f64().unwrap_or(default)
    }

    pub(super) fn count_param(self, name: &str, default: usize) -> usize {
        as_index(&self.0["params"][name]).unwrap_or(default)
    }

    pub(super) fn flag_param(self, name: &str, default: bool) -> bool {
        self.0["params"][name].as_bool().unwrap_or(default)
    }

    pub(super) fn optional_count_param(self, name: &str) -> Option<usize> {
        as_index(&self.0["params"][name])
    }

    /// The numeric keys of an expected table such as `{"0.8": …, "0.9": …}`, found by its path of
    /// names, each behind a slash.
    pub(super) fn expected_keys(self, path: &str) -> Vec<(String, f64)> {
        let table = self.0["expected"].pointer(path).and_then(Value::as_object);
        table
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| Some((key.clone(), key.parse().ok()?)))
            .collect()
    }

    /// Expected fields of a common prefix whose rest is a number, such as `aupro_0.3`.
    pub(super) fn expected_with_prefix(self, prefix: &str) -> Vec<(String, f64)> {
        let fields = self.0["expected"].as_object().into_iter().flatten();
        fields
            .filter_map(|(name, _)| {
                let number = name.strip_prefix(prefix)?.parse().ok()?;
                Some((name.clone(), number))
            })
            .collect()
    }
}

fn as_index(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn columns(name: &str, tensor: &Value) -> Result<usize, Problem> {
    let shape = list(name, &tensor["shape"], as_index)?;
    match shape[..] {
        [_, columns] if columns > 0 => Ok(columns),
        _ => Err(Problem(format!(
            "inputs.{name}: expected two dimensions, found {shape:?}"
        ))),
    }
}

fn list<T>(
    name: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    let items = value
        .as_array()
        .and_then(|items| items.iter().map(read).collect());
    items.ok_or_else(|| {
        Problem(format!(
            "inputs.{name}: expected a list of numbers, found other values"
        ))
    })
}

/// Collects computed fields; a quantity that does not exist becomes `null`.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn finish(self) -> Map<String, Value> {
        self.0
    }

    pub(super) fn value(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    pub(super) fn float(&mut self, name: impl Into<String>, value: f64) {
        self.value(name, float(value));
    }

    pub(super) fn floats(&mut self, name: impl Into<String>, values: &[f64]) {
        let list: Vec<Value> = values.iter().map(|&value| float(value)).collect();
        self.value(name, list);
    }

    pub(super) fn fallible(
        &mut self,
        name: impl Into<String>,
        value: Result<f64, MetricError>,
    ) -> Result<(), Problem> {
        match value {
            Ok(number) => self.float(name, number),
            Err(error) if error.is_undefined() => self.value(name, Value::Null),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// A JSON number, or the name of a number that JSON lacks.
fn float(value: f64) -> Value {
    if value.is_finite() {
        Value::from(value)
    } else if value.is_nan() {
        Value::from("nan")
    } else {
        Value::from(if value > 0.0 { "inf" } else { "-inf" })
    }
}
