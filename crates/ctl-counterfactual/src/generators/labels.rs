//! Classes of samples, read from the targets of a batch and written there.

use candle_core::{DType, Tensor};
use ctl_invariance::{Batch, ObjectiveError, Result};

/// The class of every sample `[B]`.
///
/// # Errors
/// When there is not one target of class indices `[B]`, or of one label 0 or 1 a sample `[B, 1]`.
pub(super) fn classes(method: &'static str, batch: &Batch) -> Result<Vec<u32>> {
    let rows = batch.images.dim(0)?;
    let unfit = |found: String| ObjectiveError::Environments {
        method,
        expected: format!("one target of one class for each of {rows} samples"),
        found,
    };
    let [part] = &batch.targets[..] else {
        return Err(unfit(format!("{} targets", batch.targets.len())));
    };
    let target = &part.target;
    if target.dims() != [rows] && target.dims() != [rows, 1] {
        return Err(unfit(format!("a target {:?}", target.dims())));
    }
    let values: Vec<f64> = target.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let class = |value: f64| {
        let is_class = value >= 0.0 && value.fract() == 0.0;
        is_class
            .then_some(value as u32)
            .ok_or_else(|| unfit(format!("the target {value}")))
    };
    values.into_iter().map(class).collect()
}

/// Gives some samples another class, in the targets where those are classes, and in what is known
/// of the classes beside them.
pub(super) fn relabel(method: &'static str, batch: &mut Batch, new: &[(usize, u32)]) -> Result<()> {
    if let Some(known) = &mut batch.classes {
        for &(row, class) in new {
            known[row] = class;
        }
    }
    if batch.kind != ctl_invariance::TargetKind::Classes || new.is_empty() {
        return Ok(());
    }
    let mut all = classes(method, batch)?;
    for &(row, class) in new {
        all[row] = class;
    }
    let target = &mut batch.targets[0].target;
    let binary = target.dtype().is_float();
    if let Some(ill) = all.iter().find(|&&class| binary && class > 1) {
        return Err(ObjectiveError::Environments {
            method,
            expected: "classes 0 and 1 where targets are binary labels".into(),
            found: format!("class {ill}"),
        });
    }
    let changed = Tensor::new(all, target.device())?.reshape(target.shape())?;
    *target = changed.to_dtype(target.dtype())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use ctl_invariance::{TargetKind, WeightedTarget};

    use super::*;

    fn batch(target: Tensor) -> Batch {
        let images = Tensor::zeros((3, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
        Batch {
            classes: Some(vec![0, 1, 1]),
            targets: vec![WeightedTarget {
                weight: 1.0,
                target,
            }],
            ..Batch::new(0, images, TargetKind::Classes)
        }
    }

    #[test]
    fn indices_and_binary_labels_are_rewritten() {
        let indices = Tensor::new(&[0u32, 1, 1], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[[0f32], [1.0], [1.0]], &Device::Cpu).unwrap();
        for target in [indices.clone(), labels.clone()] {
            let mut batch = batch(target.clone());
            relabel("t", &mut batch, &[(2, 0), (0, 1)]).unwrap();
            assert_eq!(classes("t", &batch).unwrap(), [1, 1, 0]);
            assert_eq!(batch.classes, Some(vec![1, 1, 0]));
            let after = &batch.targets[0].target;
            assert_eq!(
                (after.dims(), after.dtype()),
                (target.dims(), target.dtype())
            );
        }
        let message = |result: Result<()>| result.unwrap_err().to_string();
        let found = message(relabel("t", &mut batch(labels), &[(0, 2)]));
        assert!(found.contains("class 2"), "{found}");
        let mut mixed = batch(indices);
        mixed.targets.push(mixed.targets[0].clone());
        let found = message(relabel("t", &mut mixed, &[(0, 1)]));
        assert!(found.contains("2 targets"), "{found}");
        let half = Tensor::new(&[0.5f32, 0.0, 1.0], &Device::Cpu).unwrap();
        let found = classes("t", &batch(half)).unwrap_err().to_string();
        assert!(found.contains("the target 0.5"), "{found}");
    }
}
