//! Reading the inputs and settings of a case, and writing tensors.

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use crate::methods::erm::Aggregation;
use crate::{
    BinaryLogistic, ConfigError, ObjectiveError, PixelCrossEntropy, SampleLoss,
    SoftmaxCrossEntropy, SquaredError,
};

/// Why a case could not be computed.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

impl From<ObjectiveError> for Problem {
    fn from(error: ObjectiveError) -> Self {
        Self(error.to_string())
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl From<candle_core::Error> for Problem {
    fn from(error: candle_core::Error) -> Self {
        Self(error.to_string())
    }
}

/// A case with typed access to its parts.
pub(super) struct Case<'a> {
    value: &'a Value,
    /// The task's loss.
    pub(super) loss: &'static dyn SampleLoss,
    /// Whether the task's labels are class indices.
    indices: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, Problem> {
        let (loss, indices): (&'static dyn SampleLoss, bool) = match value["task"].as_str() {
            Some("classification") => (&SoftmaxCrossEntropy, true),
            Some("segmentation") => (&PixelCrossEntropy, true),
            Some("binary" | "multilabel") => (&BinaryLogistic, false),
            // Rules over given gradients have no loss and ask for none.
            Some("regression" | "gradient") => (&SquaredError, false),
            _ => return Err(Problem(format!("task: {} is unknown", value["task"]))),
        };
        Ok(Self {
            value,
            loss,
            indices,
        })
    }

    /// A part of the case, `null` where it is missing.
    pub(super) fn part(&self, name: &str) -> &'a Value {
        &self.value[name]
    }

    /// The variant, empty where none is named.
    pub(super) fn variant(&self) -> &'a str {
        self.value["variant"].as_str().unwrap_or("")
    }

    /// Fails unless the variant is one of `known`.
    pub(super) fn expect_variant(&self, known: &[&str]) -> Result<(), Problem> {
        let variant = self.variant();
        if known.contains(&variant) {
            return Ok(());
        }
        Err(Problem(format!(
            "variant: {variant:?} is not one of {known:?}"
        )))
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, Problem> {
        let value = &self.value["hyper"][name];
        value
            .as_f64()
            .ok_or_else(|| Problem(format!("hyper.{name}: expected a number, found {value}")))
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, Problem> {
        list(
            &format!("hyper.{name}"),
            &self.value["hyper"][name],
            Value::as_f64,
        )
    }

    pub(super) fn counts(&self, name: &str) -> Result<Vec<usize>, Problem> {
        list(&format!("hyper.{name}"), &self.value["hyper"][name], index)
    }

    /// A switch, off where it is missing.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match &self.value["hyper"][name] {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            other => Err(Problem(format!(
                "hyper.{name}: expected true or false, found {other}"
            ))),
        }
    }

    /// How the risks become one; `default` where the case does not say.
    pub(super) fn aggregation(&self, default: Aggregation) -> Result<Aggregation, Problem> {
        match &self.value["hyper"]["aggregation"] {
            Value::Null => Ok(default),
            Value::String(name) if name == "env_mean" => Ok(Aggregation::EnvironmentMean),
            Value::String(name) if name == "pooled" => Ok(Aggregation::Pooled),
            other => Err(Problem(format!("hyper.aggregation: {other} is unknown"))),
        }
    }

    /// Fails where the case asks for another aggregation than the objective's only one.
    pub(super) fn expect_aggregation(&self, only: Aggregation) -> Result<(), Problem> {
        if self.aggregation(only)? == only {
            return Ok(());
        }
        Err(Problem(format!(
            "hyper.aggregation: {} is not offered by the objective",
            self.value["hyper"]["aggregation"]
        )))
    }

    /// Labels in the form that the task's loss documents.
    pub(super) fn labels(&self, name: &str, value: &Value) -> Result<Tensor, Problem> {
        if !self.indices {
            return tensor(name, value);
        }
        class_indices(name, value)
    }
}

/// A tensor of class indices.
pub(super) fn class_indices(name: &str, value: &Value) -> Result<Tensor, Problem> {
    let (shape, data) = parts(name, value, |v| u32::try_from(v.as_u64()?).ok())?;
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

/// The elements of a JSON list, `what` naming it in the error.
pub(super) fn elements<'a>(what: &str, value: &'a Value) -> Result<&'a [Value], Problem> {
    let items = value.as_array().filter(|items| !items.is_empty());
    items
        .map(Vec::as_slice)
        .ok_or_else(|| Problem(format!("{what}: expected a list with elements")))
}

/// A tensor in double precision.
pub(super) fn tensor(name: &str, value: &Value) -> Result<Tensor, Problem> {
    let (shape, data) = parts(name, value, Value::as_f64)?;
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

fn parts<T>(
    name: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<(Vec<usize>, Vec<T>), Problem> {
    let shape = list(&format!("{name}.shape"), &value["shape"], index)?;
    let data = list(&format!("{name}.data"), &value["data"], read)?;
    let size = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if size != Some(data.len()) || data.is_empty() {
        let found = data.len();
        return Err(Problem(format!(
            "{name}: expected values for the shape {shape:?}, found {found}"
        )));
    }
    Ok((shape, data))
}

fn index(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn list<T>(
    name: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    let items = value
        .as_array()
        .and_then(|items| items.iter().map(read).collect());
    items.ok_or_else(|| Problem(format!("{name}: expected a list of numbers of its kind")))
}

/// A tensor as `{"shape", "data"}`.
pub(super) fn written(tensor: &Tensor) -> Result<Value, Problem> {
    let data = tensor.flatten_all()?.to_vec1::<f64>()?;
    let data: Vec<Value> = data.into_iter().map(float).collect();
    Ok(json!({"shape": tensor.dims(), "data": data}))
}

/// A scalar tensor as a number.
pub(super) fn scalar(tensor: &Tensor) -> Result<Value, Problem> {
    Ok(float(tensor.to_scalar::<f64>()?))
}

/// A JSON number, or the name of a number that JSON lacks.
pub(super) fn float(value: f64) -> Value {
    if value.is_finite() {
        Value::from(value)
    } else if value.is_nan() {
        Value::from("nan")
    } else {
        Value::from(if value > 0.0 { "inf" } else { "-inf" })
    }
}
