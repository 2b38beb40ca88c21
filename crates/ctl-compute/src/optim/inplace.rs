//! The in-place operators behind the optimisers.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor, Var};

use crate::ops::has_kernels;

/// Applies `update(parameters, gradient, state)` to the values of `variable` where they lie.
pub(super) fn update_in_place<S>(
    variable: &Var,
    gradient: &Tensor,
    state: &mut S,
    update: impl Fn(&mut [f32], &[f32], &mut S),
) -> candle_core::Result<()> {
    if !has_kernels(variable) {
        let gradient = host(gradient)?;
        return change_copy(variable, |theta| update(theta, &gradient, state));
    }
    let op = Update(RefCell::new(state), update);
    variable.inplace_op2(&gradient.contiguous()?, &op)
}

/// Applies `change(parameters, state)` to the values of `variable` where they lie.
pub(super) fn change_in_place(
    variable: &Var,
    state: &mut [f32],
    change: impl Fn(&mut [f32], &mut [f32]),
) -> candle_core::Result<()> {
    if !has_kernels(variable) {
        return change_copy(variable, |theta| change(theta, state));
    }
    variable.inplace_op1(&Change(RefCell::new(state), change))
}

/// A tensor's values in the memory that the optimisers' state lies in.
fn host(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Changes the values of a variable on a device without kernels.
fn change_copy(variable: &Var, change: impl FnOnce(&mut [f32])) -> candle_core::Result<()> {
    let mut theta = host(variable)?;
    change(&mut theta);
    variable.set(&Tensor::from_vec(
        theta,
        variable.shape(),
        variable.device(),
    )?)
}

fn parameters<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("optimiser: parameters are not contiguous");
    };
    let CpuStorage::F32(values) = storage else {
        candle_core::bail!("optimiser: parameters must be f32");
    };
    Ok(&mut values[start..end])
}

struct Update<'a, S, F>(RefCell<&'a mut S>, F);

impl<S, F: Fn(&mut [f32], &[f32], &mut S)> InplaceOp2 for Update<'_, S, F> {
    fn name(&self) -> &'static str {
        "optimiser-update"
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let parameters = parameters(storage, layout)?;
        let (Some((start, end)), CpuStorage::F32(gradient)) =
            (gradient_layout.contiguous_offsets(), gradient)
        else {
            candle_core::bail!("optimiser: gradients must be f32 and contiguous");
        };
        let gradient = &gradient[start..end];
        if gradient.len() != parameters.len() {
            candle_core::bail!(
                "optimiser: gradient has {} values, parameter {}",
                gradient.len(),
                parameters.len()
            );
        }
        (self.1)(parameters, gradient, &mut self.0.borrow_mut());
        Ok(())
    }
}

struct Change<'a, F>(RefCell<&'a mut [f32]>, F);

impl<F: Fn(&mut [f32], &mut [f32])> InplaceOp1 for Change<'_, F> {
    fn name(&self) -> &'static str {
        "optimiser-change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let parameters = parameters(storage, layout)?;
        let mut state = self.0.borrow_mut();
        if state.len() != parameters.len() {
            candle_core::bail!("optimiser: {} values for {}", state.len(), parameters.len());
        }
        (self.1)(parameters, &mut state);
        Ok(())
    }
}
