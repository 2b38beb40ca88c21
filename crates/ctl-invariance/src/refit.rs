//! A last layer that is fitted in closed form once a network is trained.

use candle_core::{D, DType, Device, Tensor, Var};
use ctl_compute::random::{permutation, stream};
use ctl_nets::{
    Linear, LinearHead, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec, Parameters,
};
use rand_chacha::ChaCha8Rng;

use crate::select::HeadWeights;
use crate::wrapping::Sizes;
use crate::{Batch, ConfigError, ObjectiveError, Result, Site, TargetKind, in_range};

/// Names of the buffers of a [`Refitted`] network.
const WEIGHT: &str = "refit.weight";
const BIAS: &str = "refit.bias";
const ACTIVE: &str = "refit.active";

/// A network whose last linear layer is replaced by another one, once that is fitted; of a network
/// that does not end with a linear layer an affine map of its outputs is fitted.
pub(crate) struct Refitted {
    inner: Box<dyn Network>,
    parameters: Parameters,
    weight: Var,
    bias: Var,
    /// 1 once the layer is fitted, else 0.
    active: Var,
}

impl Refitted {
    /// The network of a specification, with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is out of range.
    pub(crate) fn new(spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Self> {
        let inner = spec.build(seed, run)?;
        let width = Sizes::of(spec, inner.as_ref())?
            .head
            .unwrap_or(spec.outputs);
        let mut parameters = Parameters::new(seed, run);
        parameters.share(inner.parameters());
        Ok(Self {
            weight: parameters.add_buffer(WEIGHT, &[spec.outputs, width], 0.0)?,
            bias: parameters.add_buffer(BIAS, &[spec.outputs], 0.0)?,
            active: parameters.add_buffer(ACTIVE, &[1], 0.0)?,
            inner,
            parameters,
        })
    }
}

/// What the last layer of a network takes and adds to; its outputs where it has no such layer.
fn last_layer(out: &NetworkOutput) -> candle_core::Result<(Tensor, Option<Tensor>)> {
    match &out.head {
        Some(head) => Ok((head.input.clone(), head.base.clone())),
        None => Ok((channels_last(&out.outputs)?, None)),
    }
}

/// `[B, K, …] -> [B, …, K]`
fn channels_last(values: &Tensor) -> candle_core::Result<Tensor> {
    let rank = values.rank();
    let order: Vec<usize> = (0..1).chain(2..rank).chain(1..2).collect();
    values.permute(order)?.contiguous()
}

impl Network for Refitted {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let out = self.inner.forward(input, mode)?;
        if self.active.to_vec1::<f32>()?[0] < 0.5 {
            return Ok(out);
        }
        let (input, base) = last_layer(&out)?;
        let head = LinearHead {
            input,
            weight: self.weight.as_tensor().clone(),
            bias: self.bias.as_tensor().clone(),
            base,
        };
        Ok(NetworkOutput {
            outputs: head.outputs(&head.input)?,
            head: Some(head),
            ..out
        })
    }

    fn feature_width(&self) -> usize {
        self.inner.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        self.inner.head()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Puts a fitted layer into a [`Refitted`] network.
///
/// # Errors
/// When the layer has other sizes than the network's last one.
pub(crate) fn install(network: &dyn Network, head: &HeadWeights) -> Result<()> {
    for (name, values) in [
        (WEIGHT, head.weight.as_slice()),
        (BIAS, head.bias.as_slice()),
        (ACTIVE, &[1.0]),
    ] {
        let buffers = network.parameters().buffers();
        let found = buffers.into_iter().find(|(own, _)| *own == name);
        let var = found
            .map(|(_, var)| var)
            .filter(|var| var.elem_count() == values.len());
        let Some(var) = var else {
            return Err(ObjectiveError::State {
                method: "refitted layer",
                key: name.to_owned(),
                expected: format!("a buffer of {} values", values.len()),
                found: "none of that size".into(),
            });
        };
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
    }
    Ok(())
}

/// Checks the settings of a search among features: the level of its test, the most features that
/// are considered, the most in a set, the most rows of an environment.
///
/// # Errors
/// Names the first setting outside its range.
pub(crate) fn check_search(
    method: &'static str,
    alpha: f64,
    [preselect, max_size, rows]: [usize; 3],
) -> std::result::Result<(), ConfigError> {
    let ok = alpha > 0.0 && alpha < 1.0;
    in_range(method, "alpha", &alpha, "above 0 and below 1", ok)?;
    let ok = (1..=20).contains(&preselect);
    in_range(method, "preselect", &preselect, "from 1 to 20", ok)?;
    let ok = max_size >= 1;
    in_range(method, "max_size", &max_size, "at least 1", ok)?;
    in_range(method, "rows", &rows, "at least 10", rows >= 10)
}

/// What the last layer of a trained network saw on the sources, and what it should have said, of
/// samples or of pixels.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// `[n, F]`, row by row.
    pub(crate) features: Vec<f64>,
    /// F
    pub(crate) width: usize,
    /// Index of each row's environment, `[n]`.
    pub(crate) environments: Vec<usize>,
    /// `[n, K]`, row by row: indicators of classes, or values of channels.
    pub(crate) responses: Vec<f64>,
    /// K
    pub(crate) outputs: usize,
    /// Class of each row, `[n]`, where there are classes.
    pub(crate) classes: Option<Vec<u32>>,
}

impl Seen {
    /// Looks at the training images of every source.
    ///
    /// # Arguments
    /// - `most`: about how many rows of an environment, at least 1; of more, some are drawn at
    ///   random, the same ones every time.
    ///
    /// # Errors
    /// When images cannot be read or have no targets.
    pub(crate) fn of(site: &dyn Site, most: usize) -> Result<Self> {
        let mut seen = Self::default();
        for batches in site.sources()? {
            let images: usize = batches.iter().map(|b| b.images.dims()[0]).sum();
            for (index, batch) in batches.iter().enumerate() {
                let share = most as f64 * batch.images.dims()[0] as f64 / images as f64;
                let key = format!("environment {} batch {index}", batch.environment);
                let mut rng = stream(0, &key, "rows of a refitted layer");
                seen.add(site.network(), batch, (share.ceil() as usize, &mut rng))?;
            }
        }
        Ok(seen)
    }

    fn add(
        &mut self,
        network: &dyn Network,
        batch: &Batch,
        (most, rng): (usize, &mut ChaCha8Rng),
    ) -> Result<()> {
        let input = NetworkInput::new(&batch.images, batch.context.as_ref());
        let out = network.forward(input, Mode::Evaluate)?;
        let (features, base) = last_layer(&out)?;
        self.width = features.dim(D::Minus1)?;
        self.outputs = out.outputs.dim(1)?;
        let target = batch.targets.first().map(|part| &part.target);
        let target = target.ok_or_else(|| ObjectiveError::Environments {
            method: "refitted layer",
            expected: "labelled sources".into(),
            found: format!("environment {} without labels", batch.environment),
        })?;
        let features = features.reshape(((), self.width))?;
        let mut kept = permutation(rng, features.dim(0)?);
        kept.truncate(most);
        kept.sort_unstable();
        let rows: Vec<u32> = kept.iter().map(|&row| row as u32).collect();
        let rows = Tensor::new(rows, features.device())?;
        let double = |tensor: &Tensor| -> Result<Vec<f64>> {
            let picked = tensor.index_select(&rows, 0)?.to_dtype(DType::F64)?;
            Ok(picked.flatten_all()?.to_vec1()?)
        };
        self.features.extend(double(&features)?);
        self.environments
            .extend(std::iter::repeat_n(batch.environment, kept.len()));
        if batch.kind == TargetKind::Images {
            let target = match &base {
                Some(base) => (target - base)?,
                None => target.clone(),
            };
            let target = channels_last(&target)?.reshape(((), self.outputs))?;
            self.responses.extend(double(&target)?);
            return Ok(());
        }
        let classes = target.flatten_all()?.index_select(&rows, 0)?;
        let classes = classes.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let indicators = classes.iter().flat_map(|&class| {
            (0..self.outputs as u32).map(move |k| f64::from(u8::from(k == class)))
        });
        self.responses.extend(indicators);
        self.classes.get_or_insert_default().extend(classes);
        Ok(())
    }

    /// The values of some features, `[n, chosen]`, row by row.
    pub(crate) fn columns(&self, chosen: &[usize]) -> Vec<f64> {
        let rows = self.features.chunks_exact(self.width);
        rows.flat_map(|row| chosen.iter().map(|&feature| row[feature]))
            .collect()
    }

    /// Turns a head that predicts indicators of classes into logits whose softmax fits the sources
    /// best, by one factor; other heads stay.
    ///
    /// The factor is the inverse temperature of least cross-entropy, by golden section between
    /// 10⁻² and 10³ on a logarithmic scale.
    pub(crate) fn as_logits(&self, mut head: HeadWeights) -> HeadWeights {
        let Some(classes) = &self.classes else {
            return head;
        };
        let rows = self.features.chunks_exact(self.width);
        let outputs: Vec<Vec<f64>> = rows.map(|row| linear(&head, row)).collect();
        let loss = |factor: f64| -> f64 {
            let rows = outputs.iter().zip(classes);
            rows.map(|(z, &class)| {
                let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = z.iter().map(|v| (factor * (v - top)).exp()).sum();
                sum.ln() - factor * (z[class as usize] - top)
            })
            .sum()
        };
        let factor = least(|power| loss(10f64.powf(power)), -2.0, 3.0);
        let factor = 10f64.powf(factor);
        let values = head.weight.iter_mut().chain(&mut head.bias);
        values.for_each(|value| *value *= factor);
        head
    }
}

/// `W x + b`
fn linear(head: &HeadWeights, row: &[f64]) -> Vec<f64> {
    let models = head.weight.chunks_exact(row.len()).zip(&head.bias);
    models
        .map(|(weight, bias)| bias + weight.iter().zip(row).map(|(w, x)| w * x).sum::<f64>())
        .collect()
}

/// Where a convex function is least, by golden section.
fn least(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let share = (5f64.sqrt() - 1.0) / 2.0;
    let mut inner = [high - share * (high - low), low + share * (high - low)];
    let mut values = inner.map(&f);
    for _ in 0..60 {
        if values[0] <= values[1] {
            high = inner[1];
            inner = [high - share * (high - low), inner[0]];
            values = [f(inner[0]), values[0]];
        } else {
            low = inner[0];
            inner = [inner[1], low + share * (high - low)];
            values = [values[1], f(inner[1])];
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use ctl_nets::Architecture;

    use super::*;
    use crate::deployed::testing::{place, spec};

    #[test]
    fn a_fitted_layer_replaces_the_last_one() {
        let mut site = place(Architecture::SmallCnn);
        let spec = spec(Architecture::SmallCnn);
        site.network = Box::new(Refitted::new(&spec, (0, "t")).unwrap());
        let seen = Seen::of(&site, 100).unwrap();
        assert_eq!((seen.width, seen.outputs), (64, 2));
        assert_eq!(seen.classes.as_deref(), Some(&[0, 1, 0, 1, 0, 1, 0, 1][..]));
        assert_eq!(seen.responses[..4], [1.0, 0.0, 0.0, 1.0]);
        let image = &site.sources[0][0].images;
        let run = || {
            let out = site.network.forward(image.into(), Mode::Evaluate).unwrap();
            out.outputs.to_vec2::<f32>().unwrap()
        };
        let plain = spec.build(0, "t").unwrap();
        let plain = plain.forward(image.into(), Mode::Evaluate).unwrap();
        assert_eq!(run(), plain.outputs.to_vec2::<f32>().unwrap());
        let mut weight = vec![0.0; 128];
        weight[64] = 2.0;
        let head = HeadWeights {
            weight,
            bias: vec![0.25, 1.0],
        };
        install(site.network.as_ref(), &head).unwrap();
        for (row, feature) in run().iter().zip(seen.features.chunks_exact(64)) {
            assert!((row[0] - 0.25).abs() < 1e-6);
            assert!((f64::from(row[1]) - 1.0 - 2.0 * feature[0]).abs() < 1e-5);
        }
        let short = HeadWeights {
            weight: vec![0.0; 3],
            bias: vec![0.0; 2],
        };
        let error = install(site.network.as_ref(), &short).unwrap_err();
        assert!(error.to_string().contains("refit.weight"), "{error}");
    }

    /// One class three times as often as the other, and nothing else known: odds of 3.
    #[test]
    fn the_factor_fits_the_sources() {
        let seen = Seen {
            features: vec![1.0; 4],
            width: 1,
            environments: vec![0; 4],
            responses: Vec::new(),
            outputs: 2,
            classes: Some(vec![0, 0, 0, 1]),
        };
        let head = HeadWeights {
            weight: vec![0.5, 0.0],
            bias: vec![0.0, 0.0],
        };
        let fitted = seen.as_logits(head);
        assert!((fitted.weight[0] - 3f64.ln()).abs() < 1e-6, "{fitted:?}");
    }

    /// Half of eight samples: two of each batch, with the labels that belong to them.
    #[test]
    fn some_rows_are_drawn_the_same_ones_every_time() {
        let site = place(Architecture::SmallCnn);
        let all = Seen::of(&site, 100).unwrap();
        let some = Seen::of(&site, 4).unwrap();
        assert_eq!(some.environments, [0; 4]);
        assert_eq!(some.features, Seen::of(&site, 4).unwrap().features);
        let rows = |seen: &Seen| -> Vec<(Vec<f64>, u32)> {
            let rows = seen.features.chunks_exact(seen.width).map(<[f64]>::to_vec);
            rows.zip(seen.classes.clone().unwrap()).collect()
        };
        let known = rows(&all);
        assert!(rows(&some).iter().all(|row| known.contains(row)));
        assert_eq!(all.columns(&[1])[0].to_bits(), all.features[1].to_bits());
    }
}
