//! Channels-last operators as compositions, a stand-in for those of `ctl-compute`.

use candle_core::{DType, Device, Tensor};
pub(crate) use ctl_compute::ops::Activation;
use ctl_compute::ops::relu;

use crate::Result;

pub(crate) fn activate(x: Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Identity => x,
        Activation::Relu => relu(&x)?,
    })
}

pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    let inner = ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?;
    Ok(((x * 0.5)? * inner)?)
}

pub(crate) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    Ok(match b {
        Some(b) => y.broadcast_add(b)?,
        None => y,
    })
}

fn pad(x: &Tensor, p: usize) -> Result<Tensor> {
    let mut x = x.clone();
    for axis in 1..x.rank() - 1 {
        if p > 0 {
            x = x.pad_with_zeros(axis, p, p)?;
        }
    }
    Ok(x)
}

pub(crate) fn conv(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    [stride, padding]: [usize; 2],
) -> Result<Tensor> {
    let x = pad(x, padding)?;
    let n = x.rank() - 2;
    let kernel = w.dims()[2];
    let out: Vec<usize> = x.dims()[1..=n]
        .iter()
        .map(|s| (s - kernel) / stride + 1)
        .collect();
    let mut total: Option<Tensor> = None;
    for offset in 0..kernel.pow(n as u32) {
        let mut part = x.clone();
        let mut weight = w.clone();
        let mut rest = offset;
        for axis in (0..n).rev() {
            let u = rest % kernel;
            rest /= kernel;
            let index: Vec<u32> = (0..out[axis]).map(|i| (i * stride + u) as u32).collect();
            let index = Tensor::from_vec(index, out[axis], &Device::Cpu)?;
            part = part.contiguous()?.index_select(&index, axis + 1)?;
            weight = weight.narrow(axis + 2, u, 1)?;
        }
        let flat = part.flatten(0, n)?;
        let weight = weight.flatten_from(1)?;
        let y = flat.matmul(&weight.t()?.contiguous()?)?;
        total = Some(match total {
            Some(total) => (total + y)?,
            None => y,
        });
    }
    let mut shape = x.dims().to_vec();
    shape[1..=n].copy_from_slice(&out);
    shape[n + 1] = w.dims()[0];
    let mut y = total.expect("kernels are not empty").reshape(shape)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    activate(y, activation)
}

pub(crate) fn conv_transpose(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    [stride, padding]: [usize; 2],
) -> Result<Tensor> {
    let mut x = x.clone();
    let n = x.rank() - 2;
    let kernel = w.dims()[2];
    let mut w = w.transpose(0, 1)?.contiguous()?;
    for axis in 0..n {
        let size = x.dims()[axis + 1];
        let mut wide = x.unsqueeze(axis + 2)?;
        wide = wide.pad_with_zeros(axis + 2, 0, stride - 1)?;
        let mut shape = x.dims().to_vec();
        shape[axis + 1] = size * stride;
        x = wide
            .reshape(shape)?
            .narrow(axis + 1, 0, (size - 1) * stride + 1)?
            .contiguous()?;
        let index: Vec<u32> = (0..kernel as u32).rev().collect();
        w = w.index_select(&Tensor::from_vec(index, kernel, &Device::Cpu)?, axis + 2)?;
    }
    conv(&x, &w, bias, activation, [1, kernel - 1 - padding])
}

/// Output, mean, population variance.
pub(crate) fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let channels = weight.elem_count();
    let flat = x.reshape(((), channels))?;
    let mean = flat.mean(0)?;
    let centred = flat.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean(0)?;
    let scale = weight.div(&(&variance + epsilon)?.sqrt()?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(bias)?;
    Ok((y.reshape(x.shape())?, mean.detach(), variance.detach()))
}

pub(crate) fn group_norm(
    x: &Tensor,
    groups: usize,
    [weight, bias]: [&Tensor; 2],
    epsilon: f64,
) -> Result<Tensor> {
    let (batch, channels) = (x.dims()[0], weight.elem_count());
    let flat = x.reshape((batch, (), groups, channels / groups))?;
    let count = (flat.dims()[1] * flat.dims()[3]) as f64;
    let mean = (flat.sum_keepdim((1, 3))? / count)?;
    let centred = flat.broadcast_sub(&mean)?;
    let variance = (centred.sqr()?.sum_keepdim((1, 3))? / count)?;
    let y = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
    let y = y.reshape((batch, (), channels))?;
    Ok(y.broadcast_mul(weight)?
        .broadcast_add(bias)?
        .reshape(x.shape())?)
}

fn windows(x: &Tensor, window: usize) -> Result<Tensor> {
    let mut x = x.clone();
    let n = x.rank() - 2;
    // [.., H, ..] to [.., H / k, k, ..], each window axis moved to the end.
    for axis in 1..=n {
        let size = x.dims()[axis] / window;
        let mut shape = x.dims().to_vec();
        shape[axis] = window;
        shape.insert(axis, size);
        x = x.narrow(axis, 0, size * window)?.reshape(shape)?;
        let mut order: Vec<usize> = (0..x.rank()).filter(|a| *a != axis + 1).collect();
        order.push(axis + 1);
        x = x.permute(order)?.contiguous()?;
    }
    Ok(x.flatten_from(x.rank() - n)?)
}

pub(crate) fn max_pool(x: &Tensor, window: usize) -> Result<Tensor> {
    let x = windows(x, window)?;
    Ok(x.max(x.rank() - 1)?)
}

pub(crate) fn average_pool(x: &Tensor, window: usize) -> Result<Tensor> {
    let x = windows(x, window)?;
    Ok(x.mean(x.rank() - 1)?)
}

pub(crate) fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten(1, x.rank() - 2)?.mean(1)?)
}

pub(crate) fn concat_channels(parts: &[&Tensor]) -> Result<Tensor> {
    let last = parts[0].rank() - 1;
    Ok(Tensor::cat(parts, last)?)
}

pub(crate) fn upsample_nearest(x: &Tensor, rate: usize) -> Result<Tensor> {
    let mut x = x.clone();
    for axis in 1..x.rank() - 1 {
        let index: Vec<u32> = (0..x.dims()[axis] * rate)
            .map(|i| (i / rate) as u32)
            .collect();
        let index = Tensor::from_vec(index.clone(), index.len(), &Device::Cpu)?;
        x = x.index_select(&index, axis)?;
    }
    Ok(x)
}

pub(crate) fn dtype_of(x: &Tensor) -> DType {
    x.dtype()
}
