//! Everything a run needs to continue after a kill, as one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use ctl_compute::optim::OptimiserState;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::record::Evaluation;
use crate::store::write_atomically;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// A checkpoint of another version is not continued.
const SCHEMA: u32 = 4;
/// Key of the part that is not arrays of floats.
const STATE_KEY: &str = "state";

/// Weights or other numbers by name.
pub(crate) type Arrays = BTreeMap<String, Vec<f32>>;

/// The best checkpoint so far under one selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) step: u64,
    pub(crate) score: f64,
    #[serde(skip)]
    pub(crate) weights: Arrays,
}

/// Where a run stands between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    schema: u32,
    /// Hash of the specification.
    pub(crate) run: String,
    /// Steps taken.
    pub(crate) step: u64,
    /// Updates made by the network's and the objective's optimiser.
    pub(crate) updates: [u64; 2],
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) best: BTreeMap<Selector, Best>,
    #[serde(skip)]
    pub(crate) weights: Arrays,
    #[serde(skip)]
    pub(crate) moments: [Vec<Vec<f32>>; 2],
    #[serde(skip)]
    pub(crate) objective: Arrays,
    #[serde(skip)]
    pub(crate) rule: Arrays,
    #[serde(skip)]
    pub(crate) averaging: Arrays,
}

impl Progress {
    /// The start of a run.
    pub(crate) fn start(run: &str) -> Self {
        Self {
            schema: SCHEMA,
            run: run.to_owned(),
            ..Self::default()
        }
    }

    /// The optimisers' states.
    pub(crate) fn optimiser(&self, which: usize) -> OptimiserState {
        OptimiserState {
            step: self.updates[which],
            moments: self.moments[which].clone(),
        }
    }

    fn arrays(&self) -> BTreeMap<String, &[f32]> {
        let mut all: BTreeMap<String, &[f32]> = BTreeMap::new();
        for (kind, arrays) in [
            ("weights", &self.weights),
            ("objective", &self.objective),
            ("rule", &self.rule),
            ("averaging", &self.averaging),
        ] {
            for (name, values) in arrays {
                all.insert(format!("{kind}/{name}"), values);
            }
        }
        for (which, moments) in self.moments.iter().enumerate() {
            for (index, values) in moments.iter().enumerate() {
                all.insert(format!("moments/{which}/{index:06}"), values);
            }
        }
        for (selector, best) in &self.best {
            for (name, values) in &best.weights {
                all.insert(format!("best/{selector}/{name}"), values);
            }
        }
        all
    }

    /// Writes the checkpoint atomically.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let fault = |message: String| HarnessError::Stored {
            path: path.to_path_buf(),
            message,
        };
        let state = serde_json::to_string(self).map_err(|e| fault(e.to_string()))?;
        let bytes: Vec<(String, Vec<u8>, usize)> = self
            .arrays()
            .into_iter()
            .map(|(name, values)| {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, bytes, values.len())
            })
            .collect();
        let views: std::result::Result<Vec<_>, _> = bytes
            .iter()
            .map(|(name, bytes, len)| {
                TensorView::new(Dtype::F32, vec![*len], bytes).map(|view| (name.clone(), view))
            })
            .collect();
        let views = views.map_err(|e| fault(e.to_string()))?;
        let metadata = [(STATE_KEY.to_owned(), state)].into_iter().collect();
        let file =
            safetensors::serialize(views, Some(metadata)).map_err(|e| fault(e.to_string()))?;
        write_atomically(path, &file)
    }

    /// Reads the checkpoint of a run, or `None` where there is none that belongs to it.
    pub(crate) fn load(path: &Path, run: &str) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let fault = |message: String| HarnessError::Stored {
            path: path.to_path_buf(),
            message: format!("{message}; delete this checkpoint to train the run from the start"),
        };
        let bytes = std::fs::read(path).map_err(|source| HarnessError::File {
            path: path.to_path_buf(),
            action: "read",
            source,
        })?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| fault(e.to_string()))?;
        let state = header.metadata().as_ref().and_then(|m| m.get(STATE_KEY));
        let state = state.ok_or_else(|| fault("no training state".into()))?;
        let mut progress: Self = serde_json::from_str(state).map_err(|e| fault(e.to_string()))?;
        if progress.schema != SCHEMA || progress.run != run {
            return Ok(None);
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| fault(e.to_string()))?;
        let mut tensors: Vec<(String, TensorView<'_>)> = file.tensors();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, view) in tensors {
            progress.place(&name, floats(view.data()));
        }
        Ok(Some(progress))
    }

    fn place(&mut self, name: &str, values: Vec<f32>) {
        let Some((kind, rest)) = name.split_once('/') else {
            return;
        };
        let arrays = match kind {
            "weights" => Some(&mut self.weights),
            "objective" => Some(&mut self.objective),
            "rule" => Some(&mut self.rule),
            "averaging" => Some(&mut self.averaging),
            _ => None,
        };
        if let Some(arrays) = arrays {
            arrays.insert(rest.to_owned(), values);
            return;
        }
        if kind == "moments" {
            // Names sort by index, so that pushing keeps the order.
            self.moments[usize::from(rest.starts_with('1'))].push(values);
            return;
        }
        let parsed = rest
            .split_once('/')
            .map(|(s, name)| (Selector::parse(s), name));
        if let Some((Ok(selector), name)) = parsed
            && let Some(best) = self.best.get_mut(&selector)
        {
            best.weights.insert(name.to_owned(), values);
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}
