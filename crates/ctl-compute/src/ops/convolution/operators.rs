//! candle operators around the kernels, closed under differentiation.
//!
//! A convolution is linear in its input and in its weight; so are its two gradients.
//! The three are written as one operator of three [`Kind`]s whose backward passes are each other.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};

use crate::kernels::conv::{
    ConvShape, Epilogue, Float, channel_sums, forward, input_gradient, relu_gate, weight_gradient,
};
use crate::kernels::pointwise::{Function, apply};
use crate::ops::composite::{convolution, has_kernels};
use crate::ops::custom::{by_dtype, operands};
use crate::ops::pointwise::{Activate, Derivative};
use crate::ops::storage::slice;

/// The geometry and the shapes of the three tensors of a convolution.
#[derive(Debug)]
pub(in crate::ops) struct Geometry {
    pub(in crate::ops) shape: ConvShape,
    pub(in crate::ops) input: Shape,
    pub(in crate::ops) weight: Shape,
    pub(in crate::ops) output: Shape,
}

/// Which of the three tensors is computed from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Kind {
    /// `(x, w) -> y`
    Output,
    /// `(y, w) -> x`
    Input,
    /// `(x, y) -> w`
    Weight,
}

/// One of the three products, with what follows it in the same pass.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Product {
    pub(in crate::ops) name: &'static str,
    pub(in crate::ops) geometry: Arc<Geometry>,
    pub(in crate::ops) kind: Kind,
    pub(in crate::ops) relu: bool,
}

impl Product {
    /// Applies the operator with or without a bias, by a kernel where there is one.
    pub(in crate::ops) fn apply(
        self,
        a: &Tensor,
        b: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        if has_kernels(a) {
            self.apply_kernel(a, b, bias)
        } else {
            self.compose(a, b, bias)
        }
    }

    fn compose(
        &self,
        a: &Tensor,
        b: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let Geometry {
            shape,
            input,
            output,
            ..
        } = &*self.geometry;
        let wanted = if self.kind == Kind::Input {
            input
        } else {
            output
        };
        let y = if wanted.elem_count() == 0 {
            Tensor::zeros(wanted, a.dtype(), a.device())?
        } else if b.rank() == 2 {
            a.reshape((shape.batch, shape.channels_in))?
                .matmul(&b.t()?)?
        } else if self.kind == Kind::Input {
            convolution::transposed(shape, a, b)?
        } else {
            convolution::forward(shape, a, b)?
        };
        convolution::epilogue(&y.reshape(wanted)?, bias, self.relu)
    }

    fn apply_kernel(
        self,
        a: &Tensor,
        b: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (a, b) = (a.contiguous()?, b.contiguous()?);
        match bias {
            Some(bias) => a.apply_op3(&b, &bias.contiguous()?, self),
            None => a.apply_op2(&b, self),
        }
    }

    fn of(&self, kind: Kind, a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
        let product = Self {
            kind,
            relu: false,
            ..self.clone()
        };
        product.apply_kernel(a, b, None)
    }

    fn compute<T: Float>(&self, a: &[T], b: &[T], bias: Option<&[T]>) -> Vec<T> {
        let epilogue = Epilogue {
            bias,
            relu: self.relu,
        };
        let shape = &self.geometry.shape;
        match self.kind {
            Kind::Output => forward(shape, a, b, &epilogue),
            Kind::Input => input_gradient(shape, a, b, &epilogue),
            Kind::Weight => weight_gradient(shape, a, b),
        }
    }

    fn run(
        &self,
        a: (&CpuStorage, &Layout),
        b: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = match self.kind {
            Kind::Output => &self.geometry.output,
            Kind::Input => &self.geometry.input,
            Kind::Weight => &self.geometry.weight,
        };
        let storage = match a.0.dtype() {
            DType::F32 => {
                let bias = bias.map(|(s, l)| slice(s, l)).transpose()?;
                CpuStorage::F32(self.compute(slice(a.0, a.1)?, slice(b.0, b.1)?, bias))
            }
            DType::F64 => {
                let bias = bias.map(|(s, l)| slice(s, l)).transpose()?;
                CpuStorage::F64(self.compute(slice(a.0, a.1)?, slice(b.0, b.1)?, bias))
            }
            dtype => return Err(unsupported(self.name, dtype)),
        };
        Ok((storage, shape.clone()))
    }

    /// Gradients of the two operands from the gradient behind the epilogue.
    ///
    /// The first layer reads data, not parameters: what nobody asks for is not computed.
    fn operands(
        &self,
        a: &Tensor,
        b: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (track_a, track_b) = (a.track_op(), b.track_op());
        let [a, b, gradient] = &operands([a, b, gradient]);
        let da = track_a.then(|| match self.kind {
            Kind::Output => self.of(Kind::Input, gradient, b),
            Kind::Input => self.of(Kind::Output, gradient, b),
            Kind::Weight => self.of(Kind::Input, b, gradient),
        });
        let db = track_b.then(|| match self.kind {
            Kind::Output => self.of(Kind::Weight, a, gradient),
            Kind::Input => self.of(Kind::Weight, gradient, a),
            Kind::Weight => self.of(Kind::Output, a, gradient),
        });
        Ok((da.transpose()?, db.transpose()?))
    }

    fn behind_epilogue(&self, output: &Tensor, gradient: &Tensor) -> candle_core::Result<Tensor> {
        let [gradient] = operands([&gradient.contiguous()?]);
        if self.relu {
            let [gated] = operands([&gradient.apply_op2(&output.detach(), ReluGate)?]);
            return Ok(gated);
        }
        Ok(gradient)
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.run((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        self.operands(a, b, &self.behind_epilogue(output, gradient)?)
    }
}

impl CustomOp3 for Product {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.run((s1, l1), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = self.behind_epilogue(output, gradient)?;
        let (da, db) = self.operands(a, b, &gradient)?;
        let dbias = bias.track_op().then(|| gradient.apply_op1(ChannelSum));
        Ok((da, db, dbias.transpose()?))
    }
}

/// `(x, w, bias) -> bias + w * f(x)`, without keeping `f(x)`.
pub(super) struct Behind {
    pub(super) function: Function,
    pub(super) product: Product,
}

impl Behind {
    fn activated(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<CpuStorage> {
        Ok(by_dtype!(storage, T => apply::<T>(self.function, slice(storage, layout)?)))
    }
}

impl CustomOp3 for Behind {
    fn name(&self) -> &'static str {
        self.product.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let activated = self.activated(s1, l1)?;
        let layout = Layout::contiguous(l1.shape());
        self.product
            .run((&activated, &layout), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let tracked = [x, weight, bias].map(Tensor::track_op);
        let [x, weight, gradient] = &operands([x, weight, &gradient.contiguous()?]);
        let in_x = tracked[0].then(|| {
            let inner = self.product.of(Kind::Input, gradient, weight)?;
            x.apply_op2(&inner, Derivative::first(self.function))
        });
        let in_weight = tracked[1].then(|| {
            let activated = x.apply_op1(Activate(self.function))?;
            self.product.of(Kind::Weight, &activated, gradient)
        });
        let in_bias = tracked[2].then(|| gradient.apply_op1(ChannelSum));
        Ok((
            in_x.transpose()?,
            in_weight.transpose()?,
            in_bias.transpose()?,
        ))
    }
}

fn unsupported(op: &'static str, dtype: DType) -> candle_core::Error {
    candle_core::Error::UnsupportedDTypeForOp(dtype, op).bt()
}

/// `[…, C] -> [C]`: sums over all pixels.
struct ChannelSum;

impl CustomOp1 for ChannelSum {
    fn name(&self) -> &'static str {
        "channel-sum"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let channels = l.dims().last().copied().unwrap_or(1);
        let out = match s.dtype() {
            DType::F32 => CpuStorage::F32(channel_sums(slice::<f32>(s, l)?, channels)),
            DType::F64 => CpuStorage::F64(channel_sums(slice::<f64>(s, l)?, channels)),
            dtype => return Err(unsupported("channel-sum", dtype)),
        };
        Ok((out, Shape::from(channels)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(gradient.broadcast_as(input.shape())?.contiguous()?))
    }
}

/// `(g, y) -> g` where `y > 0`, else 0.
struct ReluGate;

impl CustomOp2 for ReluGate {
    fn name(&self) -> &'static str {
        "relu-gate"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = match s1.dtype() {
            DType::F32 => CpuStorage::F32(relu_gate::<f32>(slice(s1, l1)?, slice(s2, l2)?)),
            DType::F64 => CpuStorage::F64(relu_gate::<f64>(slice(s1, l1)?, slice(s2, l2)?)),
            dtype => return Err(unsupported("relu-gate", dtype)),
        };
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _gradient: &Tensor,
        output: &Tensor,
        _res: &Tensor,
        upstream: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gated = upstream.contiguous()?.apply_op2(output, ReluGate)?;
        Ok((Some(gated), None))
    }
}
