//! Named weights: seeded initialisation, saving and loading.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::random;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{NetError, Result};

/// How a weight gets its first values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// The same value everywhere.
    Constant(f64),
    /// Uniform on `[−bound, bound)`.
    Uniform {
        /// Half width of the interval.
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        standard_deviation: f64,
    },
}

impl Initialiser {
    /// Glorot & Bengio 2010, equation 16: uniform with bound `√(6 / (fan in + fan out))`.
    pub fn xavier_uniform(fan_in: usize, fan_out: usize) -> Self {
        Self::Uniform {
            bound: (6.0 / (fan_in + fan_out) as f64).sqrt(),
        }
    }

    /// `PyTorch`'s default for linear and convolution layers, weight and bias alike: uniform with
    /// bound `1 / √(fan in)`.
    pub fn fan_in_uniform(fan_in: usize) -> Self {
        Self::Uniform {
            bound: 1.0 / (fan_in as f64).sqrt(),
        }
    }

    /// The same with every first value multiplied by `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Uniform { bound } => Self::Uniform {
                bound: bound * factor,
            },
            Self::Normal { standard_deviation } => Self::Normal {
                standard_deviation: standard_deviation * factor,
            },
        }
    }

    /// He et al. 2015, equation 10, over the outgoing connections:
    /// normal with standard deviation `√(2 / fan out)`.
    pub fn he_normal_out(fan_out: usize) -> Self {
        Self::Normal {
            standard_deviation: (2.0 / fan_out as f64).sqrt(),
        }
    }
}

/// The weights of a network, by name: those that train, and buffers such as running statistics.
///
/// Each weight is drawn from its own stream, keyed by the seed, the run and its name, so adding a
/// layer does not change the others.
pub struct Parameters {
    seed: u64,
    run: String,
    dtype: DType,
    trained: BTreeMap<String, Var>,
    buffers: BTreeMap<String, Var>,
    order: Vec<String>,
}

impl Parameters {
    /// An empty set whose weights will be drawn for `(seed, run)`.
    pub fn new(seed: u64, run: &str) -> Self {
        Self {
            seed,
            run: run.to_owned(),
            dtype: DType::F32,
            trained: BTreeMap::new(),
            buffers: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// The same in double precision, for checks by finite differences; optimisers and files are
    /// single precision.
    #[must_use]
    pub fn in_double_precision(self) -> Self {
        Self {
            dtype: DType::F64,
            ..self
        }
    }

    /// Type of the weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// A new trained weight.
    ///
    /// # Errors
    /// When a size or the initialiser is out of range.
    pub fn add(&mut self, name: &str, shape: &[usize], initialiser: Initialiser) -> Result<Var> {
        let var = Var::from_tensor(&self.draw(name, shape, initialiser)?)?;
        debug_assert!(
            !self.trained.contains_key(name),
            "weight {name} is added once"
        );
        self.trained.insert(name.to_owned(), var.clone());
        self.order.push(name.to_owned());
        Ok(var)
    }

    /// A new buffer: saved with the weights, not trained.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn add_buffer(&mut self, name: &str, shape: &[usize], value: f64) -> Result<Var> {
        let var = Var::from_tensor(&self.draw(name, shape, Initialiser::Constant(value))?)?;
        self.buffers.insert(name.to_owned(), var.clone());
        Ok(var)
    }

    /// Takes the weights of another set in, shared with it, in front of those that follow; this is
    /// how a network around a network owns the weights of both.
    ///
    /// # Arguments
    /// - `other`: weights whose names this set does not have.
    pub fn share(&mut self, other: &Self) {
        debug_assert!(
            other.all().all(|(name, _)| !self.has(name)),
            "names of shared weights are new"
        );
        let shared = |set: &BTreeMap<String, Var>| -> Vec<_> {
            set.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        self.trained.extend(shared(&other.trained));
        self.buffers.extend(shared(&other.buffers));
        self.order.extend(other.order.iter().cloned());
    }

    /// Takes every weight and buffer of another set in as buffers, shared with it, their names
    /// behind a prefix: saved and not trained, as the weights of a teacher that follows.
    ///
    /// # Arguments
    /// - `other`: weights whose names behind `prefix` this set does not have.
    pub fn share_as_buffers(&mut self, other: &Self, prefix: &str) {
        for (name, var) in other.all() {
            let name = format!("{prefix}{name}");
            debug_assert!(!self.has(&name), "buffer {name} is new");
            self.buffers.insert(name, var.clone());
        }
    }

    fn has(&self, name: &str) -> bool {
        self.trained.contains_key(name) || self.buffers.contains_key(name)
    }

    /// The buffers by name: what is saved and not trained, such as running statistics.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.buffers.iter().map(|(name, var)| (name.as_str(), var))
    }

    fn draw(&self, name: &str, shape: &[usize], initialiser: Initialiser) -> Result<Tensor> {
        let rng = &mut self.stream(name);
        let drawn = match initialiser {
            Initialiser::Constant(value) => Tensor::full(value as f32, shape, &Device::Cpu)?,
            Initialiser::Uniform { bound } => random::uniform(rng, shape, (-bound, bound))?,
            Initialiser::Normal { standard_deviation } => {
                random::normal(rng, shape, 0.0, standard_deviation)?
            }
        };
        Ok(drawn.to_dtype(self.dtype)?)
    }

    fn stream(&self, name: &str) -> ChaCha8Rng {
        random::stream(self.seed, &self.run, &format!("weight {name}"))
    }

    /// The trained weights in the order in which the network added them.
    pub fn trained(&self) -> Vec<Var> {
        self.order
            .iter()
            .map(|name| self.trained[name].clone())
            .collect()
    }

    /// Names and shapes of the trained weights in the order of [`Parameters::trained`].
    pub fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.order
            .iter()
            .map(|name| (name.as_str(), self.trained[name].dims()))
            .collect()
    }

    /// Number of trained values.
    pub fn count(&self) -> usize {
        self.trained.values().map(|v| v.elem_count()).sum()
    }

    /// Every weight and buffer as plain numbers, by name.
    ///
    /// # Errors
    /// When a tensor cannot be read back from its device.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Vec<f32>>> {
        self.all()
            .map(|(name, var)| Ok((name.clone(), single(var)?)))
            .collect()
    }

    /// Puts a snapshot back.
    ///
    /// # Errors
    /// When a weight is missing or has another size.
    pub fn restore(&self, snapshot: &BTreeMap<String, Vec<f32>>) -> Result<()> {
        for (name, var) in self.all() {
            let values = snapshot
                .get(name)
                .filter(|values| values.len() == var.elem_count());
            let Some(values) = values else {
                return Err(NetError::Compute(ctl_compute::ComputeError::State {
                    what: "network weights",
                    expected: format!("{} values for {name}", var.elem_count()),
                    found: format!("{:?} values", snapshot.get(name).map(Vec::len)),
                }));
            };
            let values = Tensor::from_slice(values, var.shape(), &Device::Cpu)?;
            var.set(&values.to_dtype(self.dtype)?)?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.trained.iter().chain(&self.buffers)
    }

    /// The weights as a safetensors file in memory.
    ///
    /// # Errors
    /// When a tensor cannot be read back from its device.
    pub fn to_safetensors(&self, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let mut stored = Vec::new();
        for (name, var) in self.all() {
            let values = single(var)?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            stored.push((name.clone(), var.dims().to_vec(), bytes));
        }
        let views = stored.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
        });
        let in_memory = || Path::new("weights in memory").to_path_buf();
        let format = |source| NetError::Format {
            path: in_memory(),
            source,
        };
        let views: Vec<_> = views
            .collect::<std::result::Result<_, _>>()
            .map_err(format)?;
        let metadata = metadata.clone().into_iter().collect();
        safetensors::serialize(views, Some(metadata)).map_err(format)
    }

    /// Replaces all weights by those of a safetensors file.
    ///
    /// Nothing is changed unless every tensor is there with the right shape and type.
    ///
    /// # Errors
    /// When the file cannot be read, is not safetensors, or a tensor is missing or of another
    /// shape or type.
    pub fn load(&self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).map_err(|source| NetError::File {
            path: path.to_path_buf(),
            action: "read the weights",
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|source| NetError::Format {
            path: path.to_path_buf(),
            source,
        })?;
        let mut read = Vec::new();
        for (name, var) in self.all() {
            read.push((var, tensor_of(path, &file, name, var)?));
        }
        for (var, tensor) in read {
            var.set(&tensor)?;
        }
        Ok(())
    }
}

fn single(var: &Var) -> Result<Vec<f32>> {
    Ok(var.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
}

fn tensor_of(path: &Path, file: &SafeTensors<'_>, name: &str, var: &Var) -> Result<Tensor> {
    let fault = |found: String| NetError::Weights {
        path: path.to_path_buf(),
        name: name.to_owned(),
        expected: format!("F32 {:?}", var.dims()),
        found,
    };
    let view = file.tensor(name).map_err(|_| fault("nothing".into()))?;
    if view.dtype() != Dtype::F32 || view.shape() != var.dims() {
        return Err(fault(format!("{:?} {:?}", view.dtype(), view.shape())));
    }
    let values: Vec<f32> = view
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Ok(Tensor::from_vec(values, var.shape(), &Device::Cpu)?.to_dtype(var.dtype())?)
}
