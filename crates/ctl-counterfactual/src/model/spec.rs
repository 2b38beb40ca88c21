//! What a model is made of, as it is written down.

use std::collections::BTreeMap;

use ctl_graph::Diagram;
use serde::{Deserialize, Serialize};

use crate::image::{DiffusionMechanism, FlowMechanism, HvaeMechanism, VaeMechanism};
use crate::{
    CategoriesConfig, DiffusionConfig, FlowConfig, HvaeConfig, ImageFlowConfig, ImageMechanism,
    Kind, Result, Schema, VaeConfig,
};

/// Which mechanism an image has, with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mechanism", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImageSpec {
    /// A conditional variational autoencoder.
    Vae(VaeConfig),
    /// A hierarchical one.
    Hvae(HvaeConfig),
    /// A conditional normalising flow, for small images.
    Flow(ImageFlowConfig),
    /// A conditional denoising diffusion model.
    Diffusion(DiffusionConfig),
}

impl ImageSpec {
    /// An untrained mechanism, its weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a setting is out of range or does not suit the images.
    pub fn build(
        &self,
        shape: [usize; 3],
        parents: usize,
        key: (u64, &str),
    ) -> Result<Box<dyn ImageMechanism>> {
        Ok(match self {
            Self::Vae(config) => Box::new(VaeMechanism::new(config, shape, parents, key)?),
            Self::Hvae(config) => Box::new(HvaeMechanism::new(config, shape, parents, key)?),
            Self::Flow(config) => Box::new(FlowMechanism::new(config, shape, parents, key)?),
            Self::Diffusion(config) => {
                Box::new(DiffusionMechanism::new(config, shape, parents, key)?)
            }
        })
    }

    /// Name of the mechanism, as in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vae(_) => "vae",
            Self::Hvae(_) => "hvae",
            Self::Flow(_) => "flow",
            Self::Diffusion(_) => "diffusion",
        }
    }
}

/// A deep structural causal model before it has seen data: the diagram, what its nodes hold, and
/// which mechanisms they have.
///
/// # Examples
/// ```
/// use ctl_counterfactual::{ImageSpec, ModelSpec};
///
/// let text = r#"{
///     "edges": "age -> volume; volume -> image",
///     "nodes": {
///         "age": { "kind": "continuous", "lower": 0 },
///         "volume": { "kind": "continuous" },
///         "image": { "kind": "image", "shape": [1, 32, 32] }
///     },
///     "image": { "mechanism": "vae", "latent": 16 }
/// }"#;
/// let spec: ModelSpec = serde_json::from_str(text)?;
/// assert_eq!(spec.schema()?.image_shape(), Some([1, 32, 32]));
/// assert!(matches!(&spec.image, Some(ImageSpec::Vae(vae)) if vae.latent == 16));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelSpec {
    /// The diagram, in the format of [`Diagram::parse`].
    pub edges: String,
    /// What each node holds, by name.
    pub nodes: BTreeMap<String, Kind>,
    /// Settings of the flows of all continuous attributes.
    #[serde(default)]
    pub flow: FlowConfig,
    /// Settings of all categorical attributes.
    #[serde(default)]
    pub categories: CategoriesConfig,
    /// The mechanism of the image; none where no node is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
}

impl ModelSpec {
    /// The diagram with its values.
    ///
    /// # Errors
    /// When the diagram cannot be read, and what [`Schema::new`] objects to.
    pub fn schema(&self) -> Result<Schema> {
        let nodes = self.nodes.iter();
        let kinds: Vec<(&String, Kind)> = nodes.map(|(name, kind)| (name, kind.clone())).collect();
        Schema::new(Diagram::parse(&self.edges)?, &kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of every mechanism are written with hyphens, as docs/COUNTERFACTUAL.md names them.
    #[test]
    fn settings_have_the_documented_names() {
        let document = include_str!("../../../../docs/COUNTERFACTUAL.md");
        let specs = [
            ImageSpec::Vae(VaeConfig::default()),
            ImageSpec::Hvae(HvaeConfig::default()),
            ImageSpec::Flow(ImageFlowConfig::default()),
            ImageSpec::Diffusion(DiffusionConfig::default()),
        ];
        for spec in specs {
            let row = document
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", spec.name())));
            let cells: Vec<&str> = row.unwrap().split('|').collect();
            let named = cells[cells.len() - 2];
            let mut named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
            let value = serde_json::to_value(&spec).unwrap();
            let keys = value.as_object().unwrap().keys().map(String::as_str);
            let mut keys: Vec<&str> = keys.filter(|key| *key != "mechanism").collect();
            named.sort_unstable();
            keys.sort_unstable();
            assert_eq!(named, keys, "{}", spec.name());
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<ImageSpec>(&text).unwrap(), spec);
        }
    }

    /// Names in the first column of the table whose header begins with a name.
    fn rows_of(document: &str, header: &str) -> Vec<String> {
        let mut lines = document.lines();
        assert!(lines.any(|line| line.starts_with(&format!("| `{header}` |"))));
        let rows = lines.skip(1).map_while(|line| line.strip_prefix("| `"));
        let names = rows.map(|row| row.split('`').next().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    /// The settings of fine-tuning are all in their tables, and no others.
    #[test]
    fn settings_of_fine_tuning_are_documented() {
        let document = include_str!("../../../../docs/COUNTERFACTUAL.md");
        let settings = crate::FineTuning {
            skip: Some(1.0),
            ..Default::default()
        };
        let mut settings = serde_json::to_value(settings).unwrap();
        let settings = settings.as_object_mut().unwrap();
        let predictors = settings.remove("predictors").unwrap();
        let keys = |table: &serde_json::Map<String, serde_json::Value>| -> Vec<String> {
            table.keys().cloned().collect()
        };
        assert_eq!(rows_of(document, "[fine-tuning]"), sorted(keys(settings)));
        let predictors = keys(predictors.as_object().unwrap());
        assert_eq!(
            rows_of(document, "[fine-tuning.predictors]"),
            sorted(predictors)
        );
    }

    fn sorted(mut names: Vec<String>) -> Vec<String> {
        names.sort_unstable();
        names
    }
}
