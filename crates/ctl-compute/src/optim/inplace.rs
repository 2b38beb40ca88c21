//! The in-place operator behind the optimisers.

use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};

/// Applies `update(parameters, gradient)` to the values of `variable` where they lie.
pub(crate) fn update_in_place(
    variable: &Var,
    gradient: &Tensor,
    update: impl Fn(&mut [f32], &[f32]),
) -> candle_core::Result<()> {
    variable.inplace_op2(&gradient.contiguous()?, &Update(update))
}

struct Update<F>(F);

impl<F: Fn(&mut [f32], &[f32])> InplaceOp2 for Update<F> {
    fn name(&self) -> &'static str {
        "optimiser-update"
    }

    fn cpu_fwd(
        &self,
        parameters: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (Some((start, end)), Some((g_start, g_end))) = (
            layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("optimiser: operand is not contiguous");
        };
        let (CpuStorage::F32(parameters), CpuStorage::F32(gradient)) = (parameters, gradient)
        else {
            candle_core::bail!("optimiser: parameters and gradients must be f32");
        };
        let gradient = &gradient[g_start..g_end];
        if gradient.len() != end - start {
            candle_core::bail!(
                "optimiser: gradient has {} values, parameter {}",
                gradient.len(),
                end - start
            );
        }
        (self.0)(&mut parameters[start..end], gradient);
        Ok(())
    }
}

/// Sizes of the variables, in order.
pub(crate) fn sizes(variables: &[Var]) -> Vec<usize> {
    variables.iter().map(|v| v.elem_count()).collect()
}
