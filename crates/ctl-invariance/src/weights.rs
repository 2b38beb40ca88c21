//! Weights of an objective's own as plain numbers in single precision, and back.

use candle_core::{DType, Tensor, Var};

use crate::{ObjectiveError, ObjectiveState, Result};

/// Weights by the name under which they are stored.
pub(crate) type Named = Vec<(String, Var)>;

/// The weights as plain numbers.
pub(crate) fn state(named: &Named) -> Result<ObjectiveState> {
    let numbers = |(name, var): &(String, Var)| {
        let flat = var.flatten_all()?.to_dtype(DType::F32)?;
        Ok((name.clone(), flat.to_vec1::<f32>()?))
    };
    named.iter().map(numbers).collect()
}

/// Puts weights back; nothing changes unless all of them fit.
pub(crate) fn restore(method: &'static str, named: &Named, state: &ObjectiveState) -> Result<()> {
    let mut tensors = Vec::new();
    for (name, var) in named {
        let values = stored(method, state, name, var.elem_count())?;
        let tensor = Tensor::from_slice(values, var.shape(), var.device())?;
        tensors.push(tensor.to_dtype(var.dtype())?);
    }
    for ((_, var), tensor) in named.iter().zip(&tensors) {
        var.set(tensor)?;
    }
    Ok(())
}

fn stored<'a>(
    method: &'static str,
    state: &'a ObjectiveState,
    key: &str,
    count: usize,
) -> Result<&'a [f32]> {
    let values = state.get(key).map(Vec::as_slice);
    values
        .filter(|values| values.len() == count)
        .ok_or_else(|| ObjectiveError::State {
            method,
            key: key.to_owned(),
            expected: format!("{count} numbers"),
            found: values.map_or("nothing".into(), |v| format!("{} numbers", v.len())),
        })
}
