//! Models on disk: a description in JSON, weights in safetensors, one file for each mechanism.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ctl_graph::NodeId;
use serde::{Deserialize, Serialize};

use super::files::{file_error, read_json, write_atomically, write_json};
use super::support::Support;
use super::{AttributeModel, DeepScm, FitReport, ModelSpec, Part};
use crate::attribute::Scale;
use crate::{
    AttributeCategories, AttributeFlow, CounterfactualError, Encoding, Kind, Result, Schema,
};

/// Version of the format of a model's folder.
pub(super) const SCHEMA: u32 = 1;
/// The description in a model's folder.
pub(super) const DESCRIPTION: &str = "model.json";

/// `model.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    schema: u32,
    seed: u64,
    spec: ModelSpec,
    /// By node.
    encodings: Vec<Encoding>,
    /// By node; none where there is no flow.
    scales: Vec<Option<Scale>>,
    support: Support,
    report: Option<FitReport>,
}

pub(super) fn weights_of(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("node-{}.safetensors", node.index()))
}

pub(super) fn invalid(path: &Path, expected: &str, found: String) -> CounterfactualError {
    CounterfactualError::Stored {
        path: path.to_path_buf(),
        expected: expected.to_owned(),
        found,
    }
}

impl DeepScm {
    /// Writes the model into a folder, which is made if it is not there; the description comes last,
    /// so that a folder with one is whole.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(file_error(folder, "make the folder"))?;
        let path = folder.join(DESCRIPTION);
        if path.exists() {
            // Weights of one model and the description of another must never lie side by side.
            std::fs::remove_file(&path).map_err(file_error(&path, "replace the model"))?;
        }
        let none = BTreeMap::new();
        for (node, part) in self.attributes() {
            let bytes = part.model.mechanism().parameters().to_safetensors(&none)?;
            write_atomically(&weights_of(folder, node), &bytes)?;
        }
        if let (Some((_, mechanism)), Some(node)) = (&self.image, self.schema.image()) {
            let bytes = mechanism.parameters().to_safetensors(&none)?;
            write_atomically(&weights_of(folder, node), &bytes)?;
        }
        let image = self.image.as_ref().map(|(encoding, _)| encoding);
        let encodings = self.parts.iter().map(|part| {
            let own = part.as_ref().map(|part| &part.encoding);
            own.or(image).cloned().unwrap_or_else(Encoding::none)
        });
        let scales = self.parts.iter().map(|part| match part {
            Some(Part {
                model: AttributeModel::Flow(flow),
                ..
            }) => Some(flow.scale()),
            _ => None,
        });
        let description = Description {
            schema: SCHEMA,
            seed: self.seed,
            spec: self.spec.clone(),
            encodings: encodings.collect(),
            scales: scales.collect(),
            support: self.support.clone(),
            report: self.report.clone(),
        };
        write_json(&path, &description)
    }

    /// Reads a model that [`DeepScm::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, of another version, not what it should be, or weights do not suit the
    /// description.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let description: Description = read_json(&path)?;
        if description.schema != SCHEMA {
            let expected = format!("schema {SCHEMA}");
            return Err(invalid(&path, &expected, description.schema.to_string()));
        }
        let schema = description.spec.schema()?;
        description.check(&schema, &path)?;
        let mut parts = Vec::new();
        for node in schema.diagram().ids() {
            let is_image = schema.image() == Some(node);
            let part = || description.attribute(&schema, node, &path);
            parts.push(if is_image { None } else { Some(part()?) });
        }
        let encoding = schema
            .image()
            .map(|node| description.encodings[node.index()].clone());
        let image = super::image(&description.spec, &schema, encoding, description.seed)?;
        let model = Self {
            spec: description.spec,
            seed: description.seed,
            parts,
            image,
            support: description.support,
            report: description.report,
            schema,
        };
        for (node, part) in model.attributes() {
            let parameters = part.model.mechanism().parameters();
            parameters.load(&weights_of(folder, node))?;
        }
        if let (Some((_, mechanism)), Some(node)) = (&model.image, model.schema.image()) {
            mechanism.parameters().load(&weights_of(folder, node))?;
        }
        Ok(model)
    }
}

impl Description {
    /// Refuses statistics that are not those of the diagram's nodes.
    fn check(&self, schema: &Schema, path: &Path) -> Result<()> {
        let count = schema.diagram().len();
        let ids = || schema.diagram().ids();
        let fits = self.encodings.len() == count
            && self.scales.len() == count
            && self.support.suits(schema)
            && ids().all(|node| self.encodings[node.index()].suits(schema, node))
            && ids().all(|node| {
                let is_flow = matches!(schema.kind(node), Kind::Continuous { .. });
                match (schema.kind(node), self.scales[node.index()]) {
                    (&Kind::Continuous { lower, upper }, Some(scale)) => {
                        scale.is_sound((lower, upper))
                    }
                    (_, scale) => !is_flow && scale.is_none(),
                }
            });
        if fits {
            return Ok(());
        }
        let expected = "statistics of the nodes of its own diagram";
        Err(invalid(path, expected, "others".to_owned()))
    }

    fn attribute(&self, schema: &Schema, node: NodeId, path: &Path) -> Result<Part> {
        let encoding = self.encodings[node.index()].clone();
        let run = format!("mechanism {}", schema.diagram().name(node));
        let (key, width) = ((self.seed, &run[..]), encoding.width());
        let model = match (schema.kind(node), self.scales[node.index()]) {
            (Kind::Categorical { categories }, _) => {
                let (config, count) = (self.spec.categories, categories.len());
                let categories = AttributeCategories::new(config, count, &[], width, key)?;
                AttributeModel::Categories(categories)
            }
            (_, Some(scale)) => {
                let flow = AttributeFlow::with_scale(self.spec.flow, scale, width, key)?;
                AttributeModel::Flow(flow)
            }
            (_, None) => return Err(invalid(path, "a scale for every flow", "none".to_owned())),
        };
        Ok(Part { encoding, model })
    }
}
