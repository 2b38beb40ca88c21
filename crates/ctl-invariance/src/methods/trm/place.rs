//! Linear predictors on the features of one environment.

use candle_core::{Tensor, Var};

use crate::{EnvironmentOutputs, Result, SampleLoss};

/// An environment with the features that its predictor sees.
pub(super) struct Place<'a> {
    environment: &'a EnvironmentOutputs,
    /// `[B, F + 1]`, the last column 1.
    inputs: Tensor,
}

impl<'a> Place<'a> {
    pub(super) fn new(environment: &'a EnvironmentOutputs) -> Result<Self> {
        let features = &environment.features;
        let rows = features.dim(0)?;
        let ones = Tensor::ones((rows, 1), features.dtype(), features.device())?;
        Ok(Self {
            environment,
            inputs: Tensor::cat(&[features, &ones], 1)?,
        })
    }

    pub(super) fn index(&self) -> usize {
        self.environment.environment
    }

    /// A predictor of zeros, `[K, F + 1]`.
    pub(super) fn zero_head(&self) -> Result<Tensor> {
        let shape = (self.environment.outputs.dim(1)?, self.inputs.dim(1)?);
        Ok(Tensor::zeros(
            shape,
            self.inputs.dtype(),
            self.inputs.device(),
        )?)
    }

    pub(super) fn constant(&self) -> Self {
        Self {
            environment: self.environment,
            inputs: self.inputs.detach(),
        }
    }

    /// The environment with the outputs of a predictor in place of the network's.
    fn predicted(&self, outputs: Tensor) -> EnvironmentOutputs {
        let mut predicted = self.environment.clone().with_penalty(None);
        predicted.outputs = outputs;
        predicted
    }

    fn outputs(&self, head: &Tensor) -> Result<Tensor> {
        Ok(self.inputs.matmul(&head.t()?)?)
    }

    pub(super) fn risk(&self, head: &Tensor, loss: &dyn SampleLoss) -> Result<Tensor> {
        self.predicted(self.outputs(head)?).risk(loss)
    }

    /// `∂R/∂w`, shaped like the predictor and differentiable in the features.
    pub(super) fn gradient(&self, head: &Tensor, loss: &dyn SampleLoss) -> Result<Tensor> {
        let residual = self.predicted(self.outputs(head)?).output_gradient(loss)?;
        self.mean_product(&residual)
    }

    /// `Σ_b r_b x_bᵀ / B`
    fn mean_product(&self, rows: &Tensor) -> Result<Tensor> {
        let count = self.inputs.dim(0)? as f64;
        Ok((rows.t()?.matmul(&self.inputs)? / count)?)
    }

    /// The Hessian of R in w times a direction: each sample's outputs depend on w by themselves,
    /// so that the derivative of `Σ_b ⟨r_b(z), V x_b⟩` in z holds what each contributes.
    pub(super) fn hessian_product(
        &self,
        head: &Tensor,
        direction: &Tensor,
        loss: &dyn SampleLoss,
    ) -> Result<Tensor> {
        let outputs = Var::from_tensor(&self.outputs(head)?.detach())?;
        let predicted = self.predicted(outputs.as_tensor().clone());
        let along = self.outputs(direction)?;
        let slope = predicted.output_gradient(loss)?.mul(&along)?.sum_all()?;
        match slope.backward()?.get(&outputs) {
            Some(curvature) => self.mean_product(curvature),
            None => Ok(direction.zeros_like()?),
        }
    }
}
